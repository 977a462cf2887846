//! Which steps of workflows are ours.

use survey::Step;

/// Whether a step calls our Action, by whatever name its owner gave it.
pub(crate) fn is_ours(step: &Step) -> bool {
    let uses = step.uses.as_ref().map(|uses| uses.value.text());
    uses.is_some_and(|uses| uses.contains("deploy-guard"))
}
