//! A login on a host, step by step, so that the first step that fails can be named.

use std::io::Read as _;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use secrecy::{ExposeSecret as _, SecretString};
use ssh2::{CheckResult, KnownHostFileKind, MethodType, Session};

/// A login that prints more than this is not what `true` prints.
const MAX_OUTPUT: u64 = 1 << 20;
/// More than `known_hosts` files hold.
const MAX_KNOWN_HOSTS: u64 = 16 << 20;

/// Where to log in, as whom.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: String,
    pub port: u16,
    pub user: String,
    pub key: SecretString,
    pub known_hosts: PathBuf,
}

/// The step of a login that failed, and why.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("the name `{name}` does not resolve")]
    Name { name: String },
    #[error("port {port} is not open: {reason}")]
    Port { port: u16, reason: String },
    #[error("the port is open, but no SSH server answers: {reason}")]
    Handshake { reason: String },
    #[error("the host's key {fingerprint} is not in {}", known_hosts.display())]
    HostKeyUnknown {
        fingerprint: String,
        known_hosts: PathBuf,
    },
    #[error("the host's key {fingerprint} is not the one in {}: the host was changed, or is another one", known_hosts.display())]
    HostKeyChanged {
        fingerprint: String,
        known_hosts: PathBuf,
    },
    #[error("the known_hosts file {} cannot be read: {reason}", known_hosts.display())]
    KnownHosts {
        known_hosts: PathBuf,
        reason: String,
    },
    #[error("the key cannot be used: {0}")]
    Key(crate::key::Problem),
    #[error("user `{user}` may not log in with this key: {reason}")]
    Login { user: String, reason: String },
    #[error("the login works, but no command runs: {reason}")]
    Command { reason: String },
    #[error("not done within {} ms", .0.as_millis())]
    TimedOut(Duration),
}

impl Target {
    /// The next step after a failure.
    pub fn hint(&self, error: &Error) -> String {
        let Target {
            address,
            port,
            user,
            key: _,
            known_hosts,
        } = self;
        match error {
            Error::Name { .. } => format!("look it up: `getent hosts {address}`"),
            Error::Port { .. } => format!(
                "the name resolves; check that sshd runs there and that a firewall lets port {port} through: `nc -vz {address} {port}`"
            ),
            Error::Handshake { .. } | Error::TimedOut(_) => {
                format!("see what answers there: `ssh -v -p {port} {user}@{address} true`")
            }
            Error::HostKeyUnknown { .. } => format!(
                "`ssh-keyscan -p {port} {address} >> {}`, after comparing the fingerprint with the host's own",
                known_hosts.display()
            ),
            Error::HostKeyChanged { .. } => format!(
                "find out why before you trust it; then `ssh-keygen -R '[{address}]:{port}' -f {}`",
                known_hosts.display()
            ),
            Error::KnownHosts { .. } => format!(
                "`ssh-keyscan -p {port} {address} > {}`, after comparing the fingerprint with the host's own",
                known_hosts.display()
            ),
            Error::Key(problem) => problem.hint().to_owned(),
            Error::Login { .. } => {
                format!("add the public key to ~{user}/.ssh/authorized_keys on the host")
            }
            Error::Command { .. } => format!(
                "try `ssh -p {port} {user}@{address} true`; the login shell may be restricted"
            ),
        }
    }

    /// Logs in and runs `true`. Each step has passed if the next one was tried.
    pub async fn check(self, timeout: Duration) -> Result<(), Error> {
        let task = tokio::task::spawn_blocking(move || self.check_blocking(timeout));
        // A name look-up has no timeout of its own; the thread is left to end by itself.
        match tokio::time::timeout(timeout, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(Error::Command {
                reason: error.to_string(),
            }),
            Err(_) => Err(Error::TimedOut(timeout)),
        }
    }

    fn check_blocking(&self, timeout: Duration) -> Result<(), Error> {
        // Ours ends a little before the caller's, so that the step can be named.
        let deadline = Instant::now() + timeout.mul_f64(0.95);
        crate::key::inspect(self.key.expose_secret()).map_err(Error::Key)?;
        let known = read_bounded(&self.known_hosts)?;
        let preferred = key_types(&known, &self.address, self.port);
        let session = match self.handshake(deadline, preferred.as_deref()) {
            // The host may have none of the kinds that are known: then its key has changed.
            Err(Error::Handshake { .. }) if preferred.is_some() => {
                self.handshake(deadline, None)?
            }
            other => other?,
        };
        self.verify_host_key(&session)?;
        session
            .userauth_pubkey_memory(&self.user, None, self.key.expose_secret(), None)
            .map_err(|error| Error::Login {
                user: self.user.clone(),
                reason: error.message().to_owned(),
            })?;
        run_true(&session, deadline)
    }

    fn connect(&self, deadline: Instant) -> Result<TcpStream, Error> {
        let name = || Error::Name {
            name: self.address.clone(),
        };
        let addresses = (self.address.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|_| name())?;
        let mut last = name();
        for address in addresses {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    let reason = match error.kind() {
                        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
                        std::io::ErrorKind::TimedOut => "no answer in time".to_owned(),
                        _ => error.to_string(),
                    };
                    last = Error::Port {
                        port: self.port,
                        reason,
                    };
                }
            }
        }
        Err(last)
    }

    fn handshake(&self, deadline: Instant, preferred: Option<&str>) -> Result<Session, Error> {
        let stream = self.connect(deadline)?;
        let broken = |error: ssh2::Error| Error::Handshake {
            reason: error.message().to_owned(),
        };
        let mut session = Session::new().map_err(broken)?;
        let left = deadline
            .saturating_duration_since(Instant::now())
            .as_millis();
        session.set_timeout(u32::try_from(left).unwrap_or(u32::MAX).max(1));
        if let Some(preferred) = preferred {
            session
                .method_pref(MethodType::HostKey, preferred)
                .map_err(broken)?;
        }
        session.set_tcp_stream(stream);
        session.handshake().map_err(broken)?;
        Ok(session)
    }

    fn verify_host_key(&self, session: &Session) -> Result<(), Error> {
        let known_hosts = self.known_hosts.clone();
        let unreadable = |error: ssh2::Error| Error::KnownHosts {
            known_hosts: self.known_hosts.clone(),
            reason: error.message().to_owned(),
        };
        let fingerprint = session
            .host_key_hash(ssh2::HashType::Sha256)
            .map(|hash| {
                format!(
                    "SHA256:{}",
                    base64::engine::general_purpose::STANDARD_NO_PAD.encode(hash)
                )
            })
            .unwrap_or_default();
        let Some((key, _)) = session.host_key() else {
            return Err(Error::Handshake {
                reason: "the host shows no key".to_owned(),
            });
        };
        let mut known = session.known_hosts().map_err(unreadable)?;
        known
            .read_file(&self.known_hosts, KnownHostFileKind::OpenSSH)
            .map_err(unreadable)?;
        match known.check_port(&self.address, self.port, key) {
            CheckResult::Match => Ok(()),
            CheckResult::Mismatch => Err(Error::HostKeyChanged {
                fingerprint,
                known_hosts,
            }),
            CheckResult::NotFound => Err(Error::HostKeyUnknown {
                fingerprint,
                known_hosts,
            }),
            CheckResult::Failure => Err(Error::KnownHosts {
                known_hosts,
                reason: "the key could not be compared".to_owned(),
            }),
        }
    }
}

fn run_true(session: &Session, deadline: Instant) -> Result<(), Error> {
    let broken = |reason: String| Error::Command { reason };
    let ssh = |error: ssh2::Error| broken(error.message().to_owned());
    let mut channel = session.channel_session().map_err(ssh)?;
    channel.exec("true").map_err(ssh)?;
    let mut seen = 0_u64;
    let mut piece = [0; 8 << 10];
    loop {
        match channel.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => seen += length as u64,
            Err(error) => return Err(broken(error.to_string())),
        }
        if seen > MAX_OUTPUT {
            return Err(broken("the login prints more than 1 MiB".to_owned()));
        }
        if Instant::now() >= deadline {
            return Err(broken("`true` did not end in time".to_owned()));
        }
    }
    channel.wait_close().map_err(ssh)?;
    match channel.exit_status().map_err(ssh)? {
        0 => Ok(()),
        status => Err(broken(format!("`true` ends with exit status {status}"))),
    }
}

fn read_bounded(path: &Path) -> Result<String, Error> {
    let unreadable = |reason: String| Error::KnownHosts {
        known_hosts: path.to_owned(),
        reason,
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_KNOWN_HOSTS).read_to_end(&mut bytes))
        .map_err(|error| unreadable(error.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The kinds of key that are known for a host, as a preference list. Without it a server that
/// offers another kind first would seem to be unknown. Hashed names cannot be read, so their
/// kinds count too.
fn key_types(known: &str, address: &str, port: u16) -> Option<String> {
    let with_port = format!("[{address}]:{port}");
    let mut kinds: Vec<&str> = Vec::new();
    for line in known.lines().filter(|line| !line.starts_with(['#', '@'])) {
        let mut words = line.split_whitespace();
        let (Some(hosts), Some(kind)) = (words.next(), words.next()) else {
            continue;
        };
        let named = hosts
            .split(',')
            .any(|host| host == with_port || port == 22 && host == address);
        if named || hosts.starts_with("|1|") {
            let kind = if kind == "ssh-rsa" {
                "rsa-sha2-512,rsa-sha2-256,ssh-rsa"
            } else {
                kind
            };
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
    (!kinds.is_empty()).then(|| kinds.join(","))
}
