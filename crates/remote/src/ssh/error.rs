//! What can go wrong between a name and a command that has run, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use super::Target;
use crate::resolve::ResolveError;

/// The step of a login that failed, and why.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Name(#[from] ResolveError),
    #[error("the name `{name}` was not looked up within {}: {} is silent", model::text::duration(*within), crate::resolve::resolver())]
    NameTimedOut { name: String, within: Duration },
    #[error("port {port} is not open: {reason}")]
    Port { port: u16, reason: String },
    #[error("the port is open, but the server sent nothing within {}", model::text::duration(*.0))]
    Silent(Duration),
    #[error("the port is open, but no SSH server answers: {reason}")]
    Handshake { reason: String },
    #[error("the host's key {fingerprint} is not in {}{}", known_hosts.display(), if *.authority {
        ", which only names an authority that may sign for it"
    } else {
        ""
    })]
    HostKeyUnknown {
        fingerprint: String,
        known_hosts: PathBuf,
        authority: bool,
    },
    #[error("the host's key {fingerprint} differs from the one in {}: the host was reinstalled, or another host answers", known_hosts.display())]
    HostKeyChanged {
        fingerprint: String,
        known_hosts: PathBuf,
    },
    #[error("the host's key {fingerprint} is revoked in {}", known_hosts.display())]
    HostKeyRevoked {
        fingerprint: String,
        known_hosts: PathBuf,
    },
    #[error("the host's certificate is not valid: {reason}")]
    HostCertificate { reason: String },
    #[error("the known_hosts file {} cannot be read: {reason}", known_hosts.display())]
    KnownHosts {
        known_hosts: PathBuf,
        reason: String,
    },
    #[error("the key cannot be used: {0}")]
    Key(crate::key::Error),
    #[error("the passphrase does not open the key")]
    Passphrase,
    #[error("user `{user}` may not log in with this key: {reason}")]
    Login { user: String, reason: String },
    #[error("the host accepts the key of user `{user}` and requires a second factor: {wants}")]
    SecondFactor { user: String, wants: String },
    #[error("no common {}: the host offers {}, and we {}", .0.kind, .0.theirs, .0.ours)]
    NothingInCommon(super::Apart),
    #[error("the login of `{user}` was not answered within {}", model::text::duration(*within))]
    LoginTimedOut { user: String, within: Duration },
    #[error("the login works, but no command runs: {reason}")]
    Command { reason: String },
    #[error(
        "the connection broke while a command ran: {reason}; how far the command got is not known"
    )]
    Lost { reason: String },
    #[error("the connection is closed: an earlier command was cut off")]
    Closed,
    #[error("other commands kept the connection busy for {}", model::text::duration(*.0))]
    Busy(Duration),
    #[error("the host cannot connect to {host}:{port}")]
    NoWay { host: String, port: u16 },
    #[error("the host does not forward connections: {reason}")]
    NoForwarding { reason: String },
    #[error("the host has not connected to {host}:{port} within {}", model::text::duration(*within))]
    NoAnswer {
        host: String,
        port: u16,
        within: Duration,
    },
    #[error("this machine cannot open a connection: {0}")]
    Ours(String),
    #[error("the `ssh` program is not installed here")]
    NoProgram,
    #[error("the `ssh` program does not log in: {reason}")]
    Program { reason: String },
    #[error("jump host {host}: {error}")]
    Jump { host: String, error: Box<Error> },
    #[error("the host has not answered within {}", model::text::duration(*.0))]
    NoPulse(Duration),
    #[error("the login did not finish within {}", model::text::duration(*.0))]
    TimedOut(Duration),
}

impl Error {
    /// Whether it was not the host's answer but something here that kept us from asking.
    pub fn is_ours(&self) -> bool {
        if let Error::Jump { error, .. } = self {
            return error.is_ours();
        }
        matches!(
            self,
            Error::KnownHosts { .. }
                | Error::NoProgram
                | Error::Program { .. }
                | Error::Closed
                | Error::Busy(_)
                | Error::Ours(_)
                | Error::Name(ResolveError::NotAsked { .. } | ResolveError::Ours { .. })
                | Error::NameTimedOut { .. }
        )
    }
}

impl Target {
    /// The next step after a failure.
    pub fn hint(&self, error: &Error) -> String {
        if let Error::Jump { error, .. } = error {
            return self
                .jump()
                .map_or_else(|| self.advice(error), |jump| jump.hint(error));
        }
        self.advice(error)
    }

    fn advice(&self, error: &Error) -> String {
        let (address, words) = (self.address(), self.ssh_words());
        let port = self.port().unwrap_or(22);
        let user = self.user().unwrap_or("USER");
        let known_hosts = self.known_hosts();
        let known_hosts = known_hosts.display();
        match error {
            Error::Name(_) | Error::NameTimedOut { .. } => {
                format!("look it up: `getent hosts {address}`")
            }
            Error::Port { .. } => format!(
                "the name resolves; check that sshd runs there and that a firewall lets port {port} through: `nc -vz {address} {port}`"
            ),
            Error::Silent(_) => format!(
                "sshd hangs, or a firewall or load balancer took the connection: `nc -v {address} {port}` should show `SSH-2.0-…`"
            ),
            Error::Handshake { .. } | Error::TimedOut(_) | Error::Closed | Error::NoPulse(_) => {
                format!("see what answers there: `ssh -v {words} true`")
            }
            Error::HostKeyUnknown { .. } => format!(
                "`ssh-keyscan -p {port} {address} >> {known_hosts}`, after comparing the fingerprint with the host's own"
            ),
            Error::HostKeyChanged { .. } => format!(
                "find out why before you trust it; then `ssh-keygen -R '[{address}]:{port}' -f {known_hosts}`"
            ),
            Error::HostKeyRevoked { .. } => format!(
                "do not deploy there: a key that was given up is in use; see `grep @revoked {known_hosts}`"
            ),
            Error::KnownHosts { .. } => format!(
                "`ssh-keyscan -p {port} {address} > {known_hosts}`, after comparing the fingerprint with the host's own"
            ),
            Error::Key(error) => error.hint().to_owned(),
            Error::Passphrase => {
                "try it: `ssh-keygen -y -f KEY` prompts for the same passphrase".to_owned()
            }
            Error::Login { .. } => {
                format!("add the public key to ~{user}/.ssh/authorized_keys on the host")
            }
            Error::SecondFactor { .. } => format!(
                "let this user in by its key alone: `Match User {user}` with `AuthenticationMethods publickey` in the host's sshd_config"
            ),
            Error::NothingInCommon(apart) => format!(
                "update the host's sshd, or let it offer one of ours (`{}` in its sshd_config); see `ssh -vv {words} true`",
                match apart.kind {
                    "key exchange" => "KexAlgorithms",
                    "host key" => "HostKeyAlgorithms",
                    "cipher" => "Ciphers",
                    _ => "MACs",
                }
            ),
            Error::LoginTimedOut { .. } => {
                format!("see sshd's log on the host: `journalctl -u ssh -n 50` at {address}")
            }
            Error::NoWay { host, port: there }
            | Error::NoAnswer {
                host, port: there, ..
            } => {
                format!("see what listens there: `ssh {words} 'nc -vz {host} {there}'`")
            }
            Error::NoForwarding { .. } => format!(
                "see `AllowTcpForwarding`, `PermitOpen` and `DisableForwarding` in the host's sshd: `ssh {words} 'sudo sshd -T | grep -i -e forward -e permitopen'`"
            ),
            Error::HostCertificate { .. } => format!(
                "see it: `ssh-keyscan -c -p {port} {address} | ssh-keygen -L -f -`; its principals must hold `{address}`"
            ),
            Error::NoProgram => {
                "install it (Debian: `apt-get install openssh-client`), or leave `ssh: openssh` out"
                    .to_owned()
            }
            Error::Program { .. } => {
                format!("see what it does: `ssh -v {words} true`")
            }
            Error::Jump { error, .. } => self.hint(error),
            Error::Busy(_) => {
                "run fewer commands on this host at a time, or raise the timeout".to_owned()
            }
            Error::Ours(_) => {
                "the fault is on this machine, not on the host: fix what the error names".to_owned()
            }
            Error::Lost { .. } => {
                format!("see whether the host is up: `ssh {words} uptime`")
            }
            Error::Command { .. } => {
                format!("try `ssh {words} true`; the login shell may be restricted")
            }
        }
    }
}
