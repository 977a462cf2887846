//! The way down: migrations are undone by the tool, and what the tables say is recorded.

use std::time::Duration;

use cli::Failure;
use migrations::{Command, Reading, UndoError};
use model::{Outcome, Verdict};
use state::journal::{Ending, Event, Intention};
use state::{Forced, Journal, Lease};

use crate::change::{Change, ChangeEnd, ChangeResult, change};
use crate::record::{Recorded, record};
use crate::session::{MIGRATE, Session};
use crate::tool_end::ToolFailure;
use crate::truth::SchemaState;

/// The step of the journal; the revision behind it, where one is named, follows.
const UNDO: &str = "undo";

/// An undo that a journal began and did not end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The revision that is not undone itself, where one was named.
    pub to: Option<String>,
    /// The revision from which it began.
    pub from: Option<String>,
    pub release: Option<String>,
    /// The rules that a person lifted for it.
    pub forced: Vec<Forced>,
}

impl Unfinished {
    /// `None` where the journal is of a change in the other direction.
    pub fn of(journal: &Journal) -> Option<Unfinished> {
        let steps = begun_steps(journal);
        let step = steps
            .into_iter()
            .find(|step| step.split('/').next() == Some(UNDO))?;
        let (release, _) = journal.plan().unwrap_or_default();
        Some(Unfinished {
            to: step.split_once('/').map(|(_, to)| to.to_owned()),
            from: journal.before(&step).map(str::to_owned),
            release: Some(release.to_owned()).filter(|release| !release.is_empty()),
            forced: journal.forced().to_vec(),
        })
    }

    /// Whether the tables say that it was made. Of several migrations a part may be undone.
    pub fn is_done(&self, reading: &Reading) -> bool {
        match &self.to {
            Some(to) => is_at(reading, to),
            None => reading.revision() != self.from,
        }
    }
}

/// Whether a revision is the current one, or that of its branch or app.
fn is_at(reading: &Reading, to: &str) -> bool {
    reading.revision().unwrap_or_default() == to
        || reading.current.iter().any(|current| current == to)
}

fn begun_steps(journal: &Journal) -> Vec<String> {
    let steps = journal.lines().iter().filter_map(|line| match &line.event {
        Event::Intent { step, .. } => Some(step.clone()),
        _ => None,
    });
    steps.collect()
}

/// What is to be undone, with both locks held. Where the database's lock is lost on the way, it goes on under a new one.
#[derive(Debug)]
pub struct UndoRequest<'w> {
    to: Option<&'w str>,
    release: Option<&'w str>,
    /// The rules that a person lifted for it.
    forced: &'w [Forced],
    /// What a run that is gone has begun of it.
    begun: Option<&'w Unfinished>,
}

impl<'w> UndoRequest<'w> {
    /// The migrations behind a revision; without one, the last alone. `release` is for whom.
    pub fn new(to: Option<&'w str>, release: Option<&'w str>) -> UndoRequest<'w> {
        UndoRequest {
            to,
            release,
            forced: &[],
            begun: None,
        }
    }

    /// The same, for which a person lifted these rules: the journal keeps them.
    #[must_use]
    pub fn lifting(self, forced: &'w [Forced]) -> UndoRequest<'w> {
        UndoRequest { forced, ..self }
    }

    /// What a run that is gone has begun.
    pub fn begun(unfinished: &'w Unfinished) -> UndoRequest<'w> {
        UndoRequest {
            to: unfinished.to.as_deref(),
            release: unfinished.release.as_deref(),
            forced: &unfinished.forced,
            begun: Some(unfinished),
        }
    }

    /// What a run that is gone has begun of it.
    pub fn begun_before(&self) -> Option<Unfinished> {
        self.begun.cloned()
    }

    /// What is begun now.
    pub fn begun_at(&self, truth: &SchemaState) -> Unfinished {
        Unfinished {
            to: self.to.map(str::to_owned),
            from: truth.revision(),
            release: self.release.map(str::to_owned),
            forced: self.forced.to_vec(),
        }
    }

    /// Undoes it, or what is left of it where it was begun before.
    ///
    /// # Errors
    /// Returns the reason where the tool has no way down.
    pub async fn make(
        &self,
        session: &Session<'_>,
        lease: &Lease,
        truth: &SchemaState,
        begun: Option<&Unfinished>,
    ) -> Result<Result<Undone, UndoError>, Failure> {
        let unfinished = session.store.unfinished(MIGRATE).await?;
        let unfinished = unfinished.filter(|journal| Unfinished::of(journal).is_some());
        if let Some(begun) = begun
            && begun.is_done(&truth.reading)
        {
            let done = done_before(session, lease, truth, begun, unfinished);
            return Ok(Ok(done.await?));
        }
        // It is begun anew, with a journal of its own.
        if let Some(mut journal) = unfinished {
            journal.end(Ending::Superseded).await?;
        }
        undo(session, lease, truth, self).await
    }
}

/// Only what the tables say is to be recorded.
async fn done_before(
    session: &Session<'_>,
    lease: &Lease,
    truth: &SchemaState,
    begun: &Unfinished,
    unfinished: Option<Journal>,
) -> Result<Undone, Failure> {
    let change = Recorded {
        release: begun.release.as_deref(),
        previous: begun.from.as_deref(),
        is_compatible: false,
        works_with: &[],
        forced: &begun.forced,
    };
    let recorded = record(session, lease, truth, change).await?;
    if let Some(mut journal) = unfinished {
        journal.end(Verdict::Pass).await?;
    }
    let made = ChangeResult {
        end: ChangeEnd::Done,
        truth: Some(truth.clone()),
        attempts: 0,
        took: Duration::ZERO,
        longest_wait: 0,
        is_unseen: false,
        is_blocked: false,
    };
    Ok(Undone {
        revisions: Vec::new(),
        made,
        recorded,
    })
}

/// What came of it.
#[derive(Debug)]
pub struct Undone {
    /// What was applied before, newest first, and is undone now. Empty if an interrupted run had undone it already.
    pub revisions: Vec<String>,
    pub made: ChangeResult,
    /// What was recorded.
    pub recorded: Option<Outcome>,
}

async fn undo(
    session: &Session<'_>,
    lease: &Lease,
    truth: &SchemaState,
    wish: &UndoRequest<'_>,
) -> Result<Result<Undone, UndoError>, Failure> {
    let (to, release) = (wish.to, wish.release);
    let commands = match session.tool.undo(&truth.reading, to) {
        Ok(commands) => commands,
        Err(none) => return Ok(Err(none)),
    };
    let before = truth.revision();
    let begun = session.store.begin_journal(Intention {
        left: before.as_deref(),
        forced: wish.forced,
        started: Some(session.started_at),
        ..Intention::new(MIGRATE, release.unwrap_or_default(), lease.token)
    });
    let mut journal = begun.await?;
    let step = match to {
        Some(to) => format!("{UNDO}/{to}"),
        None => UNDO.to_owned(),
    };
    journal.intent(&step, before.clone()).await?;
    let applied = |reading: &Reading| -> Vec<String> {
        reading
            .applied
            .iter()
            .map(|applied| applied.id.clone())
            .collect()
    };
    let first = applied(&truth.reading);
    let is_made = |reading: &Reading| match to {
        Some(to) => is_at(reading, to) && applied(reading) != first,
        None => applied(reading).len() < first.len(),
    };
    let commands = |_: &Reading| -> Vec<Command> { commands.clone() };
    let wanted = Change {
        commands: &commands,
        is_made: &is_made,
        token: lease.token,
    };
    let made = change(session, &wanted).await?;
    let left = made
        .truth
        .as_ref()
        .map(|truth| applied(&truth.reading))
        .unwrap_or_default();
    let gone = first.into_iter().rev().filter(|id| !left.contains(id));
    let recorded = match (&made.end, &made.truth) {
        (ChangeEnd::Done, Some(now)) => {
            let change = Recorded {
                release,
                previous: before.as_deref(),
                is_compatible: false,
                works_with: &[],
                forced: wish.forced,
            };
            record(session, lease, now, change).await?
        }
        _ => None,
    };
    match &made.end {
        ChangeEnd::Done => {
            journal.done(&step).await?;
            journal.end(Verdict::Pass).await?;
        }
        ChangeEnd::Failed(ToolFailure { told: reason, .. }) | ChangeEnd::Late(reason) => {
            journal.failed(&step, reason).await?;
            journal.end(Verdict::Fail).await?;
        }
        ChangeEnd::Unknown(_) | ChangeEnd::Interrupted => {}
    }
    Ok(Ok(Undone {
        revisions: gone.collect(),
        made,
        recorded,
    }))
}
