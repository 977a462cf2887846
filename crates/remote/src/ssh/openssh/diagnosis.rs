//! Why the `ssh` program did not log in, from what it logs: the same causes as of the built-in client.
//!
//! The program has one exit status for all of them. It does not translate its messages.

use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;

use crate::local_error;
use crate::resolve::ResolveError;
use crate::ssh::{Apart, Error, OpensshTarget};

/// Longer than any reason.
const MAX_REASON: usize = 300;

/// A server that ended the connection before anything was agreed.
const CLOSED: [&str; 4] = [
    "kex_exchange_identification: ",
    "banner exchange: ",
    "Connection closed by ",
    "Connection reset by ",
];

/// What the program has told.
pub(super) struct ProgramOutput<'a> {
    pub(super) log: &'a str,
    /// Before it had a log.
    pub(super) printed: &'a str,
    pub(super) target: &'a OpensshTarget,
    pub(super) timeout: Duration,
}

impl<'a> ProgramOutput<'a> {
    fn lines(&self) -> impl DoubleEndedIterator<Item = &'a str> + use<'a> {
        self.log.lines().chain(self.printed.lines()).map(str::trim)
    }

    /// What follows these words in the last line that has them.
    fn after(&self, words: &str) -> Option<&'a str> {
        let found = self.lines().rev().find_map(|line| line.split_once(words));
        found.map(|(_, rest)| rest.trim())
    }

    fn has(&self, words: &str) -> bool {
        self.lines().any(|line| line.contains(words))
    }

    fn known_hosts(&self) -> PathBuf {
        let own = self.target.known_hosts.clone();
        own.unwrap_or_else(|| PathBuf::from("~/.ssh/known_hosts"))
    }

    /// The last line that is not about its work.
    fn last(&self) -> Option<String> {
        let is_own = |line: &&str| !line.is_empty() && !line.starts_with("debug");
        self.lines().rev().find(is_own).map(printable_line)
    }
}

/// Whether the login was by the key of this path.
pub(super) fn is_by(told: &ProgramOutput<'_>, path: &str) -> bool {
    let accepted = told.after("Server accepts key: ");
    accepted.is_some_and(|key| key.split(' ').next() == Some(path))
}

/// As whom the program has logged in, or tried to.
pub(super) fn user(told: &ProgramOutput<'_>) -> String {
    let own = told.target.user.clone();
    let tried = || {
        // `debug1: Authenticating to 10.0.0.1:22 as 'deploy'`
        let user = told.after("Authenticating to ")?.split_once(" as '")?.1;
        Some(printable_line(user.trim_end_matches('\'')))
    };
    own.or_else(tried)
        .unwrap_or_else(|| "of the `ssh` program".to_owned())
}

/// Its time was over: how far it has come.
pub(super) fn late(told: &ProgramOutput<'_>) -> Error {
    let within = told.timeout;
    if told.has("SSH2_MSG_SERVICE_ACCEPT received") {
        let user = user(told);
        return Error::LoginTimedOut { user, within };
    }
    if told.has("Remote protocol version") {
        return Error::Handshake {
            reason: format!(
                "the key exchange was not done within {}",
                model::text::duration(within)
            ),
        };
    }
    if told.has("Connection established") || told.has("Executing proxy command") {
        return Error::Silent(within);
    }
    if told.has("Connecting to ") {
        let reason = format!("no answer within {}", model::text::duration(within));
        return port(told, reason);
    }
    Error::TimedOut(within)
}

/// It has ended by itself: why, and whether the server closed before anything was agreed.
pub(super) fn failed(told: &ProgramOutput<'_>) -> (Error, bool) {
    let known = name(told)
        .or_else(|| connection(told))
        .or_else(|| host_key(told))
        .or_else(|| nothing_in_common(told))
        .or_else(|| login(told));
    if let Some(error) = known {
        return (error, false);
    }
    let closed = CLOSED.iter().find_map(|words| {
        let rest = told.after(words)?;
        Some(printable_line(&format!(
            "{}{rest}",
            words.trim_start_matches("kex_exchange_identification: ")
        )))
    });
    if let Some(reason) = closed {
        if told.has("Connection timed out during banner exchange") {
            return (Error::Silent(told.timeout), false);
        }
        return (Error::Handshake { reason }, true);
    }
    let reason = told.last();
    let reason = reason.unwrap_or_else(|| "it ended without a reason".to_owned());
    (Error::Program { reason }, false)
}

fn name(told: &ProgramOutput<'_>) -> Option<Error> {
    // `ssh: Could not resolve hostname web-01: Name or service not known`
    let rest = told.after("Could not resolve hostname ")?;
    let (name, reason) = rest.rsplit_once(": ").unwrap_or((rest, ""));
    let name = printable_line(name);
    let asked_in_vain = ["emporary failure", "ry again", "System error"];
    if asked_in_vain.iter().any(|words| reason.contains(words)) {
        let reason = printable_line(reason);
        return Some(ResolveError::NotAsked { name, reason }.into());
    }
    let what = if reason.contains("o address associated") {
        "it has no address"
    } else {
        "there is no such name"
    };
    Some(ResolveError::NoName { name, what }.into())
}

fn port(told: &ProgramOutput<'_>, reason: String) -> Error {
    // `debug1: Connecting to web-01 [10.0.0.1] port 22.`
    let tried = told.after("Connecting to ").and_then(|rest| {
        let port = rest.rsplit_once("port ")?.1;
        port.trim_end_matches('.').parse().ok()
    });
    let port = told.target.port.or(tried).unwrap_or(22);
    Error::Port { port, reason }
}

fn connection(told: &ProgramOutput<'_>) -> Option<Error> {
    // `ssh: connect to host 10.0.0.1 port 22: Connection refused`
    let rest = told.after("connect to host ")?;
    let (_, reason) = rest.rsplit_once(": ")?;
    let own = [
        ("Network is unreachable", Errno::NETUNREACH),
        ("Network is down", Errno::NETDOWN),
        ("Operation not permitted", Errno::PERM),
        ("Permission denied", Errno::ACCESS),
        ("Cannot assign requested address", Errno::ADDRNOTAVAIL),
        ("Too many open files", Errno::MFILE),
    ];
    let fault = own.iter().find(|(words, _)| reason.contains(words));
    if let Some(fault) = fault.and_then(|(_, errno)| local_error::fault(&(*errno).into())) {
        return Some(Error::Ours(fault.to_owned()));
    }
    let reason = if reason.contains("Connection refused") {
        "connection refused".to_owned()
    } else if reason.contains("timed out") {
        format!("no answer within {}", model::text::duration(told.timeout))
    } else {
        printable_line(reason)
    };
    Some(port(told, reason))
}

fn host_key(told: &ProgramOutput<'_>) -> Option<Error> {
    let known_hosts = told.known_hosts();
    // `debug1: Server host key: ssh-ed25519 SHA256:…`
    let shown = told.after("Server host key: ");
    let fingerprint = shown.and_then(|rest| rest.split(' ').nth(1));
    let fingerprint = printable_line(fingerprint.unwrap_or_default());
    if told.has("REVOKED HOST KEY DETECTED") || told.has("is marked as revoked") {
        return Some(Error::HostKeyRevoked {
            fingerprint,
            known_hosts,
        });
    }
    if let Some(reason) = told.after("Certificate invalid: ") {
        let reason = printable_line(reason);
        return Some(Error::HostCertificate { reason });
    }
    if told.has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        return Some(Error::HostKeyChanged {
            fingerprint,
            known_hosts,
        });
    }
    let unknown = told.has("host key is known for") || told.has("Host key verification failed");
    unknown.then_some(Error::HostKeyUnknown {
        fingerprint,
        known_hosts,
        authority: false,
    })
}

fn nothing_in_common(told: &ProgramOutput<'_>) -> Option<Error> {
    // `Unable to negotiate with 10.0.0.1 port 22: no matching cipher found. Their offer: a,b`
    let rest = told.after("no matching ")?;
    let (what, offer) = rest.split_once(" found. Their offer: ")?;
    let kind = match what {
        "key exchange method" => "key exchange",
        "host key type" => "host key",
        "cipher" => "cipher",
        _ => "MAC",
    };
    Some(Error::NothingInCommon(Apart {
        kind,
        theirs: printable_line(&offer.replace(',', ", ")),
        ours: "what the `ssh` program is configured to".to_owned(),
    }))
}

fn login(told: &ProgramOutput<'_>) -> Option<Error> {
    if told.has("incorrect passphrase supplied") || told.has("read_passphrase") {
        return Some(Error::Passphrase);
    }
    // `deploy@10.0.0.1: Permission denied (publickey,password).`
    let methods = told.after("Permission denied (")?;
    let methods = printable_line(methods.trim_end_matches(['.', ')']));
    let user = user(told);
    if told.has("with partial success") {
        let wants = methods.replace(',', ", ");
        return Some(Error::SecondFactor { user, wants });
    }
    // Why a key was not even shown: a file with wrong rights, an agent that refuses.
    let own = [
        "Load key \"",
        "UNPROTECTED PRIVATE KEY FILE",
        "agent refused",
        "signing failed",
    ];
    let own = told
        .lines()
        .find(|line| own.iter().any(|words| line.contains(words)));
    let reason = match own {
        Some(own) => printable_line(own),
        None => format!("permission denied ({methods})"),
    };
    Some(Error::Login { user, reason })
}

/// What may be shown: a line of a program, which may repeat what a server has sent.
fn printable_line(text: &str) -> String {
    let plain = text.trim().chars().filter(|c| !c.is_control());
    plain.take(MAX_REASON).collect()
}
