//! A verdict as a sign and a colour.

use maud::{Markup, html};
use model::{Outcome, Severity, Verdict};

/// A verdict as a word and a sign: not everyone can see colour.
pub(crate) fn mark(verdict: Verdict) -> Markup {
    let sign = match verdict {
        Verdict::Pass => "✓",
        Verdict::Fail | Verdict::Refused => "✗",
        Verdict::Error | Verdict::Partial => "!",
        Verdict::Inconclusive => "?",
        Verdict::Skipped => "–",
    };
    html! { span class={ "mark " (class(verdict)) } aria-hidden="true" { (sign) } }
}

/// What can fail no stage is a warning, whatever was found.
pub(crate) fn mark_of(outcome: &Outcome) -> Markup {
    match outcome.severity {
        Severity::Advisory if outcome.verdict > Verdict::Pass => {
            html! { span class="mark unsure" aria-hidden="true" { "!" } }
        }
        _ => mark(outcome.verdict),
    }
}

pub(crate) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail | Verdict::Refused => "fail",
        Verdict::Error | Verdict::Partial | Verdict::Inconclusive => "unsure",
        Verdict::Skipped => "skipped",
    }
}
