//! A verdict as a sign.

use model::{Outcome, Severity, Verdict};

/// What can fail no stage is a warning, whatever was found.
pub(super) fn mark(outcome: &Outcome) -> &'static str {
    match outcome.severity {
        Severity::Advisory if outcome.verdict > Verdict::Pass => "⚠️",
        _ => outcome.verdict.emoji(),
    }
}
