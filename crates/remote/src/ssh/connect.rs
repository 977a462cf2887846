//! The steps of a login by libssh2: name, port, handshake, host key, our key.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use base64::Engine as _;
use model::Secret;
use ssh2::{ErrorCode, MethodType};
use tokio::sync::oneshot;

use super::link::Link;
use super::offer;
use super::pump::Relay;
use super::socket::Socket;
use super::target::Ssh2Target;
use super::{Error, GUARD, Handle, Session, bastion};
use crate::known_hosts::{HostKeys, Trust};
use crate::local_error;
use crate::resolve::resolve;

/// What libssh2 calls a time that is over.
pub(super) const TIMEOUT: ErrorCode = ErrorCode::Session(-9);
/// A key that could not be read or opened.
const KEY_FILE: ErrorCode = ErrorCode::Session(-16);
const KEY_FILE_AUTH: ErrorCode = ErrorCode::Session(-48);
/// No banner, or a connection that ended: a server that is short of places closes before it says
/// a word (`MaxStartups`).
const CLOSED: [ErrorCode; 4] = [
    ErrorCode::Session(-2),
    ErrorCode::Session(-13),
    ErrorCode::Session(-43),
    ErrorCode::Session(-7),
];
/// How often a server that closes at once is asked again, and after which pause.
const MAX_ATTEMPTS: u32 = 4;
const RETRY_DELAY: Duration = Duration::from_millis(150);

/// Cheapest first: both sides spend most of a login here.
const KEX: &str = "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,\
ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group14-sha256,\
diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
diffie-hellman-group-exchange-sha256";

impl Ssh2Target {
    /// Logs in. The first step that fails is the error; all of them together end in time.
    pub(super) async fn connect(self, timeout: Duration) -> Result<Session, Error> {
        let deadline = Instant::now() + timeout;
        let key = self.key.expose();
        if self.passphrase.is_none() {
            crate::key::inspect_for_login(key).map_err(Error::Key)?;
        }
        let key = crate::key::for_login(key).map_err(Error::Key)?;
        let known =
            HostKeys::read(&self.known_hosts, &self.address, self.port).map_err(|error| {
                Error::KnownHosts {
                    known_hosts: self.known_hosts.clone(),
                    reason: error.to_string(),
                }
            })?;
        let target = Arc::new(Ssh2Target {
            key: Secret::from(key),
            ..self
        });
        let known = Arc::new(known);
        let mut preferred = known.kinds();
        let mut tries = 1;
        loop {
            let (stream, through) = match &target.jump {
                None => (Socket::Tcp(target.open(deadline).await?), None),
                Some(jump) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    let place = (target.address.as_str(), target.port);
                    let (stream, through) = bastion::open(jump, place, left).await?;
                    (Socket::Unix(stream), Some(through))
                }
            };
            let plug = Shutdown(stream.try_clone().ok());
            let (task, keys) = (Arc::clone(&target), Arc::clone(&known));
            let kinds = preferred.clone();
            let thread = SessionThread::start(move || {
                task.log_in(stream, deadline, timeout, kinds.as_deref(), &keys)
                    .map(|mut link| {
                        link.through = through;
                        link
                    })
            })?;
            let left = deadline.saturating_duration_since(Instant::now()) + GUARD;
            let Ok(Ok(result)) = tokio::time::timeout(left, thread.ended).await else {
                return Err(Error::TimedOut(timeout));
            };
            let pause = RETRY_DELAY * tries;
            match result {
                Ok(()) => {
                    plug.leave();
                    return Ok(Session::ssh2(thread.handle));
                }
                Err(LoginError::Closed(_))
                    if tries < MAX_ATTEMPTS && Instant::now() + pause < deadline =>
                {
                    tries += 1;
                    tokio::time::sleep(pause).await;
                }
                // The host may have none of the kinds that are known: then its key has changed.
                Err(LoginError::NoMethod(_)) if preferred.is_some() => preferred = None,
                // Its offer would have to be read through the jump host.
                Err(LoginError::NoMethod(error)) if target.jump.is_some() => return Err(error),
                Err(LoginError::NoMethod(error)) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    let apart = offer::find_mismatch(&target.address, target.port, KEX, left).await;
                    return Err(apart.map_or(error, Error::NothingInCommon));
                }
                Err(LoginError::Closed(error) | LoginError::Final(error)) => return Err(error),
            }
        }
    }

    /// Resolves the name and connects to the first of its addresses that answers.
    async fn open(&self, deadline: Instant) -> Result<TcpStream, Error> {
        let left = || deadline.saturating_duration_since(Instant::now());
        let lookup = resolve(&self.address, self.port);
        let within = left();
        let addresses = match tokio::time::timeout(within, lookup).await {
            Ok(found) => found?,
            Err(_) => {
                return Err(Error::NameTimedOut {
                    name: self.address.clone(),
                    within,
                });
            }
        };
        let mut last = Error::Ours("there is no address".to_owned());
        for (nth, address) in addresses.iter().enumerate() {
            // One address that swallows what it is sent leaves time for the others.
            let share = left() / u32::try_from(addresses.len() - nth).unwrap_or(1);
            let connecting = tokio::net::TcpStream::connect(address);
            let connected = tokio::time::timeout(share, connecting).await;
            let closed = |reason| Error::Port {
                port: self.port,
                reason,
            };
            last = match connected.map(|stream| stream.and_then(blocking)) {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => match (local_error::fault(&error), error.kind()) {
                    (Some(fault), _) => Error::Ours(fault.to_owned()),
                    (_, std::io::ErrorKind::ConnectionRefused) => {
                        closed("connection refused".to_owned())
                    }
                    _ => closed(error.to_string()),
                },
                Err(_) => closed(format!("no answer within {}", model::text::duration(share))),
            };
        }
        Err(last)
    }

    fn log_in(
        &self,
        stream: Socket,
        deadline: Instant,
        timeout: Duration,
        kinds: Option<&str>,
        known: &HostKeys,
    ) -> Result<Link, LoginError> {
        let link = handshake(stream, deadline, timeout, kinds)?;
        self.verify(&link, known).map_err(LoginError::Final)?;
        link.set_deadline(deadline);
        self.authenticate(&link, timeout)
            .map_err(LoginError::Final)?;
        Ok(link)
    }

    fn verify(&self, link: &Link, known: &HostKeys) -> Result<(), Error> {
        let known_hosts = self.known_hosts.clone();
        let session = &link.session;
        let fingerprint = session
            .host_key_hash(ssh2::HashType::Sha256)
            .map(|hash| {
                let hash = base64::engine::general_purpose::STANDARD_NO_PAD.encode(hash);
                format!("SHA256:{hash}")
            })
            .unwrap_or_default();
        let Some((key, _)) = session.host_key() else {
            return Err(Error::Handshake {
                reason: "the host shows no key".to_owned(),
            });
        };
        match known.trusts(key) {
            Trust::Known => Ok(()),
            Trust::Changed => Err(Error::HostKeyChanged {
                fingerprint,
                known_hosts,
            }),
            Trust::Revoked => Err(Error::HostKeyRevoked {
                fingerprint,
                known_hosts,
            }),
            Trust::Unknown => Err(Error::HostKeyUnknown {
                fingerprint,
                known_hosts,
                authority: known.authority,
            }),
        }
    }

    fn authenticate(&self, link: &Link, within: Duration) -> Result<(), Error> {
        let passphrase = self.passphrase.as_ref().map(Secret::expose);
        let user = || self.user.clone();
        let methods = || {
            let list = link.session.auth_methods(&self.user).unwrap_or_default();
            list.split(',').map(str::to_owned).collect::<Vec<_>>()
        };
        let takes_keys = |methods: &[String]| methods.iter().any(|one| one == "publickey");
        let before = methods();
        link.session
            .userauth_pubkey_memory(&self.user, None, self.key.expose(), passphrase)
            .map_err(|error| match error.code() {
                TIMEOUT => Error::LoginTimedOut {
                    user: user(),
                    within,
                },
                // The key itself was read before: it is the passphrase that does not fit.
                KEY_FILE | KEY_FILE_AUTH if passphrase.is_some() => Error::Passphrase,
                // If the key is right but the server requires more, it lists the remaining methods,
                // and keys are no longer among them.
                _ if takes_keys(&before) => match methods() {
                    left if left.iter().any(|one| !one.is_empty()) && !takes_keys(&left) => {
                        Error::SecondFactor {
                            user: user(),
                            wants: left.join(", "),
                        }
                    }
                    _ => Error::Login {
                        user: user(),
                        reason: error.message().to_owned(),
                    },
                },
                _ => Error::Login {
                    user: user(),
                    reason: error.message().to_owned(),
                },
            })
    }
}

/// Ends an abandoned login: a peer could keep its thread busy forever.
struct Shutdown(Option<Socket>);

impl Shutdown {
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        if let Some(stream) = &self.0 {
            stream.shut_down();
        }
    }
}

/// A thread that logs in, says how that went, and then serves its handle.
struct SessionThread {
    ended: oneshot::Receiver<Result<(), LoginError>>,
    handle: Handle,
}

impl SessionThread {
    fn start(
        log_in: impl FnOnce() -> Result<Link, LoginError> + Send + 'static,
    ) -> Result<SessionThread, Error> {
        let ours = |error: std::io::Error| {
            let fault = local_error::fault(&error).map(str::to_owned);
            Error::Ours(fault.unwrap_or_else(|| error.to_string()))
        };
        let (wake, woken) = UnixStream::pair().map_err(ours)?;
        wake.set_nonblocking(true).map_err(ours)?;
        woken.set_nonblocking(true).map_err(ours)?;
        let (inbox, orders) = mpsc::channel();
        let (done, ended) = oneshot::channel();
        let open = Arc::new(AtomicBool::new(true));
        let unwanted = Arc::new(AtomicBool::new(false));
        let handle = Handle {
            inbox,
            wake,
            open: Arc::clone(&open),
            unwanted: Arc::clone(&unwanted),
        };
        let clock = Instant::now();
        let work = move || match log_in() {
            Ok(mut link) => {
                link.unwanted = unwanted;
                let pump = Relay::new(link, orders, woken, open, clock.elapsed());
                // Else it came too late: who asked has gone.
                if done.send(Ok(())).is_ok() {
                    pump.run();
                }
            }
            Err(refusal) => drop(done.send(Err(refusal))),
        };
        let thread = std::thread::Builder::new().name("ssh".to_owned());
        thread.spawn(work).map_err(ours)?;
        Ok(SessionThread { ended, handle })
    }
}

/// Why a connection did not become a login, and whether to try again.
enum LoginError {
    /// Closed before anything was agreed.
    Closed(Error),
    /// Nothing that both sides can speak.
    NoMethod(Error),
    Final(Error),
}

fn blocking(stream: tokio::net::TcpStream) -> std::io::Result<TcpStream> {
    // Small packets in turns: waiting to fill one would cost 40 ms a step.
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn handshake(
    stream: Socket,
    deadline: Instant,
    timeout: Duration,
    kinds: Option<&str>,
) -> Result<Link, LoginError> {
    let broken = |error: ssh2::Error| Error::Handshake {
        reason: error.message().to_owned(),
    };
    let unusable = |error| LoginError::Final(broken(error));
    let session = ssh2::Session::new().map_err(unusable)?;
    let mut link = Link::new(session, stream);
    link.set_deadline(deadline);
    let session = &mut link.session;
    session
        .method_pref(MethodType::Kex, KEX)
        .map_err(unusable)?;
    if let Some(kinds) = kinds {
        // A kind that libssh2 does not know is an error, one that the host does not have is not.
        let known = session.method_pref(MethodType::HostKey, kinds);
        known.map_err(|error| LoginError::NoMethod(broken(error)))?;
    }
    session.handshake().map_err(|error| match error.code() {
        TIMEOUT if link.session.banner().is_none() => LoginError::Final(Error::Silent(timeout)),
        TIMEOUT => LoginError::Final(Error::Handshake {
            reason: format!(
                "the key exchange was not done within {}",
                model::text::duration(timeout)
            ),
        }),
        code if CLOSED.contains(&code) => LoginError::Closed(broken(error)),
        _ => LoginError::NoMethod(broken(error)),
    })?;
    Ok(link)
}
