//! A rollout in progress, to those that must not act beside it.

use model::{Id, Outcome};
use state::Rollout;

/// The refusal of what a rollout in progress forbids.
pub fn in_progress(id: Id, rollout: &Rollout) -> Outcome {
    Outcome::refused(id, &rollout.release)
        .expected("no rollout in progress")
        .actual(rollout.to_string())
        .reason(format!(
            "a rollout of {} is in progress: it has {}",
            rollout.release, rollout.share
        ))
        .hint("`traffic status`; then `traffic resume`, `traffic promote` or `traffic abort`")
}
