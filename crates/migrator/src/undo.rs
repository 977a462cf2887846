//! The way down: migrations are undone by the tool, and what the tables say is recorded.

use cli::Failure;
use migrations::{Command, NoUndo, Reading};
use model::Outcome;
use state::journal::Event;
use state::{Journal, Lease};

use crate::change::{Change, End, Made, change};
use crate::record::{Recorded, record};
use crate::session::{MIGRATE, Session};
use crate::truth::Truth;

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

/// What came of it.
#[derive(Debug)]
pub struct Undone {
    /// What was applied before, newest first, and is no more.
    pub revisions: Vec<String>,
    pub made: Made,
    /// What was recorded.
    pub recorded: Option<Outcome>,
}

/// Undoes the migrations behind a revision; without one, the last. The caller holds the lease and the
/// database's lock, and has refused what is to be refused.
///
/// # Errors
/// Returns the reason where the tool has no way down.
pub async fn undo(
    session: &Session<'_>,
    lease: &Lease,
    truth: &Truth,
    to: Option<&str>,
    release: Option<&str>,
) -> Result<Result<Undone, NoUndo>, Failure> {
    let commands = match session.tool.undo(&truth.reading, to) {
        Ok(commands) => commands,
        Err(none) => return Ok(Err(none)),
    };
    let before = truth.revision();
    let begun = session.store.begin_journal(
        MIGRATE,
        release.unwrap_or_default(),
        before.as_deref(),
        lease.token,
        &[],
        Some(session.started_at),
    );
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
    let wish = Change {
        commands: &commands,
        is_made: &is_made,
        token: lease.token,
    };
    let made = change(session, &wish).await?;
    let left = made
        .truth
        .as_ref()
        .map(|truth| applied(&truth.reading))
        .unwrap_or_default();
    let gone = first.into_iter().rev().filter(|id| !left.contains(id));
    let recorded = match (&made.end, &made.truth) {
        (End::Done, Some(now)) => {
            let change = Recorded {
                release,
                previous: before.as_deref(),
                is_compatible: false,
                works_with: &[],
            };
            record(session, lease, now, change).await?
        }
        _ => None,
    };
    match &made.end {
        End::Done => {
            journal.done(&step).await?;
            journal.end("pass").await?;
        }
        End::Failed(reason) | End::Late(reason) => {
            journal.failed(&step, reason).await?;
            journal.end("fail").await?;
        }
        End::Unknown(_) | End::Interrupted => {}
    }
    Ok(Ok(Undone {
        revisions: gone.collect(),
        made,
        recorded,
    }))
}
