//! Where each step of an unfinished rollback stands, as far as its journal knows.

use model::{Outcome, Severity};
use state::Journal;
use state::journal::Event;

use target::Step;

/// The last word on a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Never begun.
    Untouched,
    /// Begun; whether it was made nobody wrote down.
    Begun,
    Done,
    Failed(String),
    /// What was before is back.
    Restored,
}

pub(crate) fn standing(journal: &Journal, wanted: &str) -> Standing {
    let mut words = journal.lines().iter().filter_map(|line| match &line.event {
        Event::Intent { step, .. } if step == wanted => Some(Standing::Begun),
        Event::Done { step } if step == wanted => Some(Standing::Done),
        Event::Failed { step, reason } if step == wanted => Some(Standing::Failed(reason.clone())),
        Event::Restored { step } if step == wanted => Some(Standing::Restored),
        _ => None,
    });
    words.next_back().unwrap_or(Standing::Untouched)
}

/// The steps that were begun, in their order, each once.
pub(crate) fn begun(journal: &Journal) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in journal.lines() {
        if let Event::Intent { step, .. } = &line.event
            && !names.contains(step)
        {
            names.push(step.clone());
        }
    }
    names
}

/// Whether the journal is of other steps than these: the configuration is another one since.
pub(super) fn foreign(journal: &Journal, steps: &[Step]) -> bool {
    let begun = begun(journal);
    !begun.is_empty() && steps.iter().all(|step| !begun.contains(&step.name))
}

/// What was begun and did not end well where the configuration no longer looks: said, for nobody
/// goes there any more.
pub(super) fn elsewhere(journal: &Journal, steps: &[Step], destination: &str) -> Vec<Outcome> {
    let mut names = begun(journal);
    names.retain(|name| steps.iter().all(|step| step.name != *name));
    names.retain(|name| standing(journal, name) != Standing::Done);
    let outcome = |name: &String| {
        Outcome::inconclusive(format!("journal/{name}"), destination)
            .severity(Severity::Advisory)
            .expected("a step of the configuration")
            .actual("it was begun, and only the journal knows it")
            .reason("the configuration no longer names its place: what it runs is not looked at")
            .hint("if it still serves, put it back into the configuration and roll it back")
    };
    names.iter().map(outcome).collect()
}

/// What `status` says of a rollback that has not ended.
pub(crate) fn outcomes(journal: &Journal) -> Vec<Outcome> {
    let (destination, left) = journal.plan().unwrap_or(("?", None));
    let (goal, hint) = match journal.aborting() {
        Some(reason) => (
            format!("is being undone ({reason})"),
            "if it is not running: `rollback resume` puts the rest back",
        ),
        None => (
            "has not ended".to_owned(),
            "if it is not running: `rollback resume` finishes it, `rollback abort` puts back what was",
        ),
    };
    let mut outcomes = vec![
        Outcome::fail("state/journal", journal.place())
            .expected("no unfinished rollback")
            .actual(format!(
                "a rollback from {} to {destination} {goal}",
                left.unwrap_or("an unknown release")
            ))
            .reason("a rollback was interrupted, or is running")
            .hint(hint),
    ];
    for name in begun(journal) {
        let id = format!("journal/{name}");
        let outcome = match standing(journal, &name) {
            Standing::Done => Outcome::pass(id, destination).actual("done"),
            Standing::Restored => Outcome::pass(id, destination).actual("put back"),
            Standing::Failed(reason) => Outcome::fail(id, destination)
                .expected("done")
                .actual(format!("failed: {reason}"))
                .reason(reason)
                .hint("`rollback resume` makes it again"),
            Standing::Begun | Standing::Untouched => Outcome::inconclusive(id, destination)
                .expected("done")
                .actual("begun; whether it was made was not written down")
                .reason("it was interrupted, or is being made")
                .hint("`rollback resume` makes it again"),
        };
        outcomes.push(outcome);
    }
    outcomes
}
