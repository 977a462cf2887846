//! Probes and the gate that watches them.
//!
//! A probe makes one measurement, without retry and without opinion about the next one;
//! [`policy`] judges a history of measurements and knows no clock; [`gate`] waits, and tells an
//! [`observer`].

mod addresses;
mod body;
mod budget;
pub mod certificate;
mod client_tls;
mod command;
mod compose;
pub mod connect;
mod containers;
mod dns;
mod docker;
pub mod ecs;
pub mod gate;
mod group;
mod grpc;
pub mod hosts;
pub mod http;
pub mod kinds;
mod limited;
pub mod observer;
pub mod party;
pub mod policy;
mod postgres;
pub mod project;
pub mod prometheus;
mod redis;
pub mod release;
mod restarts;
pub mod settle;
mod shell;
mod slo;
mod smoke;
mod systemd;
mod tcp;
mod tls;
pub mod trust;
pub mod watched;

pub use addresses::Place;

use model::Verdict;
use tokio_rustls::rustls;

/// What one measurement found.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub verdict: Verdict,
    /// What was seen, short: a status, a number.
    pub value: Option<String>,
    pub expected: String,
    pub actual: String,
    /// Why it is not a pass.
    pub reason: Option<String>,
    /// Whether the answer named its release; `None` where nobody asked.
    pub release: Option<release::Identity>,
    /// The answer's head, made by [`model::evidence::head`]: status line, headers, the first
    /// bytes of the body; or the end of a command's output by [`model::evidence::tail`].
    pub evidence: Option<String>,
    /// Who did not answer in time, if that is what is wrong.
    pub unanswered: Option<party::Party>,
    /// A failure that nothing measured later can undo: a restart that was one too many, a rollout
    /// that was given up.
    pub is_final: bool,
}

impl Reading {
    fn pass(expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Reading {
            verdict: Verdict::Pass,
            value: None,
            expected: expected.into(),
            actual: actual.into(),
            reason: None,
            release: None,
            evidence: None,
            unanswered: None,
            is_final: false,
        }
    }

    fn not(
        verdict: Verdict,
        expected: impl Into<String>,
        actual: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Reading {
            verdict,
            reason: Some(reason.into()),
            ..Reading::pass(expected, actual)
        }
    }

    /// A failure, for good.
    fn finally(mut self) -> Self {
        self.is_final = self.verdict == Verdict::Fail;
        self
    }

    fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }
}

/// More text of an answer helps nobody.
const SHOWN: usize = 200;

/// The beginning of an answer, as text on one line.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN * 4)]);
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text = cut(&text.chars().map(plain).collect::<String>());
    match text.trim() {
        "" => "(empty)".to_owned(),
        text => text.to_owned(),
    }
}

/// The beginning of a text. Secrets are replaced later, and a half of one is not found: what is
/// cut ends with a whole word. Of a longer word, or a longer secret, its pieces are found.
fn cut(text: &str) -> String {
    const WORD: usize = 64;
    let Some((end, _)) = text.char_indices().nth(SHOWN) else {
        return text.to_owned();
    };
    let least = text.char_indices().nth(SHOWN - WORD);
    let least = least.map_or(0, |(at, _)| at);
    let parts = |c: char| c.is_whitespace() || "\"',;<>{}".contains(c);
    let end = text[least..end].rfind(parts).map_or(least, |at| least + at);
    format!("{}…", &text[..end])
}

/// The value of a variable that a `*-env` key names.
fn secret(name: &str, around: &kinds::Surroundings) -> Result<String, String> {
    let value = around.env.non_empty(name).map(str::to_owned);
    value.ok_or_else(|| {
        let hint = model::env::mapping_hint(name);
        format!("the variable `{name}` is not set; {hint}")
    })
}

/// How probes introduce themselves.
const USER_AGENT: &str = concat!("deploy-guard/", env!("CARGO_PKG_VERSION"));

/// An error's plainest words: the innermost cause, as a person would say it.
fn plain_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if let Some(io) = innermost.downcast_ref::<std::io::Error>() {
        use std::io::ErrorKind as Kind;
        match io.kind() {
            Kind::ConnectionRefused => return "connection refused".into(),
            Kind::ConnectionReset => return "connection reset".into(),
            Kind::ConnectionAborted => return "connection aborted".into(),
            Kind::HostUnreachable | Kind::NetworkUnreachable => return "host unreachable".into(),
            _ => {}
        }
    }
    if let Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) =
        remote::ours::links(error).find_map(|link| link.downcast_ref())
    {
        return format!(
            "the server shows a certificate that is not one of a server ({})",
            other.0
        );
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_ends_with_a_whole_word() {
        assert_eq!(shown(b" a\nb "), "a b");
        assert_eq!(shown(b"\n"), "(empty)");
        assert_eq!(shown(&[b'x'; SHOWN]), "x".repeat(SHOWN));
        assert_eq!(shown(&[b'x'; 1000]), format!("{}…", "x".repeat(136)));
        let secret = "s3cr3t-0123456789";
        for before in 150..SHOWN {
            let text = format!("{} \"{secret}\" {}", "é".repeat(before), "y".repeat(50));
            let shown = shown(text.as_bytes());
            assert!(shown.contains(secret) || !shown.contains("s3"), "{shown}");
            assert!(shown.chars().count() <= SHOWN, "{shown}");
        }
    }
}
