//! The state of each step of an unfinished operation, according to its journal.

use state::Journal;
use state::journal::Event;
use target::Step;

/// The last word on a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepStatus {
    /// Never begun.
    Untouched,
    /// Begun; whether it was made was not written down.
    Begun,
    Done,
    Failed(String),
    /// What was before is back.
    Restored,
}

pub fn of(journal: &Journal, wanted: &str) -> StepStatus {
    let mut words = journal.lines().iter().filter_map(|line| match &line.event {
        Event::Intent { step, .. } if step == wanted => Some(StepStatus::Begun),
        Event::Done { step } if step == wanted => Some(StepStatus::Done),
        Event::Failed { step, reason } if step == wanted => {
            Some(StepStatus::Failed(reason.clone()))
        }
        Event::Restored { step } if step == wanted => Some(StepStatus::Restored),
        _ => None,
    });
    words.next_back().unwrap_or(StepStatus::Untouched)
}

/// The steps that were begun, in their order, each once.
pub fn begun(journal: &Journal) -> Vec<String> {
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
pub fn is_foreign(journal: &Journal, steps: &[Step]) -> bool {
    let begun = begun(journal);
    !begun.is_empty() && steps.iter().all(|step| !begun.contains(&step.name))
}

/// What was begun and did not end well where the configuration no longer looks.
pub fn lost(journal: &Journal, steps: &[Step]) -> Vec<String> {
    let mut names = begun(journal);
    names.retain(|name| steps.iter().all(|step| step.name != *name));
    names.retain(|name| of(journal, name) != StepStatus::Done);
    names
}
