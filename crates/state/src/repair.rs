//! From a damaged state back to a good one: the backup, and what the journals say happened since.

use jiff::Timestamp;
use model::Verdict;

use crate::backend::Part;
use crate::document::{Document, Frozen, Status};
use crate::journal::{Ending, Event, JournalLine};
use crate::parse;
use crate::{Error, Store};

/// What a repair would write, and how it was found.
#[derive(Clone, Debug)]
pub struct Repair {
    pub document: Document,
    /// One sentence for each source.
    pub steps: Vec<String>,
}

impl Store {
    /// What can be put in the place of a state that is damaged or gone; `None` where nothing is
    /// left to make it of. `fresh` is the state of a service of which nothing is known.
    pub async fn repair(&self, fresh: Document) -> Result<Option<Repair>, Error> {
        let mut steps = Vec::new();
        let backup = self.backend.get(&Part::Backup).await;
        let backup = match backup {
            Ok(Some(blob)) => parse::document(&blob.bytes).map_err(|error| error.to_string()),
            Ok(None) => Err("it does not exist".to_owned()),
            Err(error) => Err(error.reason_and_hint("").0),
        };
        let place = self.backup();
        let mut document = match backup {
            Ok(document) => {
                steps.push(format!(
                    "take the backup {place}, generation {}: {} runs, {} is last-known-good",
                    document.generation,
                    named(document.current.as_ref()),
                    named(document.last_known_good.as_ref()),
                ));
                document
            }
            Err(reason) => {
                steps.push(format!(
                    "begin anew: the backup {place} cannot be used: {reason}"
                ));
                fresh
            }
        };
        let from_backup = document.generation > 0;
        let mut token = document.lock.as_ref().map_or(0, |lock| lock.token);
        let mut used = false;
        for (place, lines) in self.journals().await? {
            let Some(Event::Begin {
                destination,
                left,
                token: of_journal,
                forced,
                spared,
                started: _,
                operation: None,
                shares: _,
                reason: _,
            }) = lines.first().map(|line| &line.event)
            else {
                continue;
            };
            token = token.max(*of_journal);
            let Some(JournalLine {
                schema: _,
                at,
                event: Event::End { ending },
            }) = lines.last()
            else {
                steps.push(format!(
                    "leave {place} to `rollback resume`: the rollback to {destination} has not ended"
                ));
                continue;
            };
            if *at <= newest(&document) || !changed(&lines) {
                continue;
            }
            used = true;
            let before = document.clone();
            let bad = left.as_deref().filter(|_| !spared);
            apply(&mut document, destination, bad, ending, *at);
            document.forced(destination, forced);
            if before.current != document.current || before.history.len() != document.history.len()
            {
                steps.push(format!(
                    "add what {place} shows: back from {} to {destination}, {ending}",
                    named(left.as_ref())
                ));
            }
        }
        if !from_backup && !used {
            return Ok(None);
        }
        // Whatever was lost counted on: a writer of before must not be taken for one of after.
        document.generation += 2;
        document.last_token = document.last_token.max(token) + 1;
        Ok(Some(Repair { document, steps }))
    }
}

/// Whether the effect of an ended rollback still holds: it made a step, and it was neither undone
/// nor replaced by a deployment.
fn changed(lines: &[JournalLine]) -> bool {
    let made = |line: &JournalLine| matches!(line.event, Event::Done { .. });
    let undone = |line: &JournalLine| match &line.event {
        Event::Abort { .. } => true,
        Event::End { ending } => *ending == Ending::Superseded,
        _ => false,
    };
    lines.iter().any(made) && !lines.iter().any(undone)
}

fn apply(document: &mut Document, to: &str, left: Option<&str>, ending: &Ending, at: Timestamp) {
    let already = document.current.as_deref() == Some(to)
        && left.is_none_or(|left| document.status(left) == Some(Status::Bad));
    if already {
        return;
    }
    document.rolled_back(left, to, *ending == Verdict::Pass.into(), at);
    if document.entry(to).is_none() {
        document.deployed(to, Status::RolledBack, at, None);
    }
    if *ending == Verdict::Fail.into() {
        document.frozen = Some(Frozen {
            reason: format!("the rollback to {to} did not restore the service"),
            by: "its journal".to_owned(),
            at,
        });
    }
}

/// When the document was last updated.
fn newest(document: &Document) -> Timestamp {
    let entries = document.history.iter();
    let times = entries.flat_map(|entry| [Some(entry.deployed_at), entry.changed_at]);
    times.flatten().max().unwrap_or(Timestamp::MIN)
}

fn named(release: Option<&String>) -> &str {
    release.map_or("nothing", String::as_str)
}
