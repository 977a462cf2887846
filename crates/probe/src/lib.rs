//! Probes and the gate that watches them.
//!
//! A probe makes one measurement, without retry and without opinion about the next one;
//! [`policy`] judges a history of measurements and knows no clock; [`gate`] waits.

mod body;
pub mod certificate;
pub mod gate;
pub mod http;
pub mod policy;
pub mod prometheus;
mod proxy;
pub mod release;

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
