//! Probes and the gate that watches them.
//!
//! A probe makes one measurement, without retry and without opinion about the next one;
//! [`policy`] judges a history of measurements and knows no clock; [`gate`] waits, and tells an
//! [`observer`].

mod addresses;
mod body;
pub mod certificate;
mod client_tls;
mod command;
mod compose;
pub mod connect;
mod containers;
mod dns;
mod docker;
mod ecs;
pub mod gate;
mod group;
mod grpc;
pub mod hosts;
pub mod http;
pub mod kinds;
mod limited;
pub mod observer;
pub mod policy;
mod postgres;
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
pub mod watched;

pub use addresses::Place;

use model::Verdict;

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
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SHOWN)
        .collect();
    match text.trim() {
        "" => "(empty)".to_owned(),
        text => text.to_owned(),
    }
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
    innermost.to_string()
}
