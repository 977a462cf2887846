//! Waived outcomes. Each one shows until when, by whom and why.

use cli::glob;
use config::file::Waiver;
use jiff::Timestamp;
use model::{Outcome, Verdict};

/// What a waiver does for a name.
pub(crate) enum Grace<'a> {
    Granted(&'a Waiver),
    Expired(&'a Waiver),
    None,
}

/// The first waiver that still holds, else one that held once.
pub(crate) fn waiver<'a>(waivers: &'a [Waiver], name: &str, now: Timestamp) -> Grace<'a> {
    let mut grace = Grace::None;
    for waiver in waivers.iter().filter(|waiver| glob(&waiver.check, name)) {
        if !waiver.expires.is_over(now) {
            return Grace::Granted(waiver);
        }
        grace = Grace::Expired(waiver);
    }
    grace
}

/// A waiver as every output shows it.
pub(crate) fn render(name: &str, says: &str, waiver: &Waiver) -> String {
    let Waiver {
        check: _,
        reason,
        approver,
        expires,
    } = waiver;
    format!("{name} ({says}; waived until {expires} by {approver}: {reason})")
}

pub(crate) fn expired(name: &str, waiver: &Waiver) -> String {
    format!(
        "the waiver of {name} by {} expired on {}",
        waiver.approver, waiver.expires
    )
}

/// Lets an outcome through, or says that it was let through once.
pub(crate) fn apply(waivers: &[Waiver], mut outcome: Outcome, now: Timestamp) -> Outcome {
    let bad = matches!(
        outcome.verdict,
        Verdict::Fail | Verdict::Error | Verdict::Inconclusive
    );
    if !bad {
        return outcome;
    }
    let reason = outcome.reason.take().unwrap_or_default();
    match waiver(waivers, outcome.id.as_str(), now) {
        Grace::Granted(waiver) => {
            let says = format!("{}: {reason}", outcome.verdict);
            let told = render(outcome.id.as_str(), &says, waiver);
            outcome.verdict = Verdict::Pass;
            outcome.actual(told.clone()).reason(told)
        }
        Grace::Expired(waiver) => {
            let told = format!("{reason}; {}", expired(outcome.id.as_str(), waiver));
            outcome.reason(told)
        }
        Grace::None => outcome.reason(reason),
    }
}
