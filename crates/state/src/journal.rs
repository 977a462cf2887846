//! What an operation means to do and what it did: one JSON line per intent and result, each synced
//! before the next thing happens.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use config::value::Share;
use jiff::Timestamp;
use model::Verdict;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::backend::{Backend, BackendError, Blob, Part, Series};
use crate::{Error, Forced, Store};

/// The operation of a journal that does not name one.
pub const ROLLBACK: &str = "rollback";
/// Journals that are finished are kept for this many operations.
const MAX_FINISHED: usize = 50;
/// How often a number is chosen anew because another has taken it.
const MAX_ATTEMPTS: u32 = 8;

/// The format of the lines that this build writes. Another one is in the first line; journals of
/// before there was one have none.
pub const SCHEMA: &str = "deploy-guard/journal/v1";

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Line")]
pub struct JournalLine {
    /// The format of this line and of those after it: [`SCHEMA`]. Only in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    pub at: Timestamp,
    #[serde(flatten)]
    pub event: Event,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The whole intention: from where to where.
    Begin {
        destination: String,
        left: Option<String>,
        token: u64,
        /// The stage whose operation it is; a rollback's has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operation: Option<String>,
        /// The safety rules that were lifted for it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        forced: Vec<Forced>,
        /// What is left is not recorded bad: no gate judged it, and nothing reported that it ran. A resumed operation
        /// cannot find out any more, because its own steps have changed what runs.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        spared: bool,
        /// When the operation that writes it began to query, check and prepare.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started: Option<Timestamp>,
        /// The share that it changes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shares: Option<SharePlan>,
        /// Why it is made, where a person or a finding wants it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A step is about to be made; `before` is what is needed to undo it.
    Intent {
        step: String,
        before: Option<String>,
    },
    /// The step was made.
    Done { step: String },
    /// The step was tried and did not work.
    Failed { step: String, reason: String },
    /// From here on what was before is put back.
    Abort { reason: String },
    /// What was before the step is there again.
    Restored { step: String },
    /// Nothing is left to do.
    End {
        #[serde(rename = "verdict")]
        ending: Ending,
    },
}

/// A change of the share of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharePlan {
    pub release: String,
    /// The one beside it; absent where its side did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<String>,
    pub before: Share,
    /// Where another gave it different shares, the largest of them.
    pub after: Share,
    /// What another gave it at each machine; null where that is no split between the two sides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub foreign: BTreeMap<String, Option<Share>>,
}

/// How an operation ended: its verdict, or a word that is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Another operation, or a deployment, took its place.
    Superseded,
    /// A person gave it up, and what was before is back.
    Aborted,
    /// Another changed the share, and that is not overwritten.
    ForeignChange,
    #[serde(untagged)]
    Verdict(Verdict),
    /// The word of a newer version.
    #[serde(untagged)]
    Other(String),
}

impl From<Verdict> for Ending {
    fn from(verdict: Verdict) -> Ending {
        Ending::Verdict(verdict)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ending::Superseded => "superseded",
            Ending::Aborted => "aborted",
            Ending::ForeignChange => "foreign-change",
            Ending::Verdict(verdict) => verdict.as_str(),
            Ending::Other(word) => word,
        })
    }
}

/// What an operation means to do, before it does anything.
#[derive(Clone, Copy, Debug)]
pub struct Intention<'a> {
    /// The stage whose operation it is: [`ROLLBACK`], or the name of another one.
    pub operation: &'a str,
    pub destination: &'a str,
    /// The release, or the revision, that it leaves.
    pub left: Option<&'a str>,
    /// The fencing token of its lease.
    pub token: u64,
    /// The safety rules that were lifted for it.
    pub forced: &'a [Forced],
    /// Whether what is left is not recorded bad.
    pub spared: bool,
    /// When it began to query, check and prepare.
    pub started: Option<Timestamp>,
    /// The share that it changes.
    pub shares: Option<&'a SharePlan>,
    /// Why it is made.
    pub reason: Option<&'a str>,
}

impl<'a> Intention<'a> {
    /// An operation under the lease of a token, without any of the rest.
    pub fn new(operation: &'a str, destination: &'a str, token: u64) -> Self {
        Intention {
            operation,
            destination,
            left: None,
            token,
            forced: &[],
            spared: false,
            started: None,
            shares: None,
            reason: None,
        }
    }
}

/// A journal that is being written, or was found unfinished.
#[derive(Debug)]
pub struct Journal {
    backend: Arc<Backend>,
    number: u64,
    /// The file as stored.
    seen: Blob,
    /// How much of that is whole lines: a kill may have left half a one at the end.
    whole: usize,
    lines: Vec<JournalLine>,
}

impl Store {
    /// Begins a journal. Journals are numbered by themselves: fencing tokens begin again where a
    /// state was put back from its backup or begun anew, and clocks are set back.
    pub async fn begin_journal(&self, intention: Intention<'_>) -> Result<Journal, Error> {
        let Intention {
            operation,
            destination,
            left,
            token,
            forced,
            spared,
            started,
            shares,
            reason,
        } = intention;
        let line = JournalLine {
            schema: Some(SCHEMA.to_owned()),
            at: Timestamp::now(),
            event: Event::Begin {
                destination: destination.to_owned(),
                left: left.map(str::to_owned),
                token,
                operation: Some(operation.to_owned()).filter(|name| name != ROLLBACK),
                forced: forced.to_vec(),
                spared,
                started,
                shares: shares.cloned(),
                reason: reason.map(str::to_owned),
            },
        };
        let backend = &self.backend;
        let mut tries = 0;
        loop {
            let numbers = self.numbers().await?;
            let number = numbers.last().unwrap_or(&0).saturating_add(1);
            let place = backend.name(&Part::Lines(Series::Journals, number));
            let bytes = text(&line).map_err(|error| Error::journal(place.clone(), error))?;
            match backend.create(Series::Journals, number, &bytes).await {
                Ok(seen) => {
                    for old in &numbers[..(numbers.len() + 1).saturating_sub(MAX_FINISHED)] {
                        // A journal that stays does no harm.
                        let _ = backend.remove(Series::Journals, *old).await;
                    }
                    return Ok(Journal {
                        backend: Arc::clone(backend),
                        number,
                        whole: seen.bytes.len(),
                        seen,
                        lines: vec![line],
                    });
                }
                Err(BackendError::Conflict) if tries < MAX_ATTEMPTS => tries += 1,
                Err(error) => return Err(Error::journal(place, error)),
            }
        }
    }

    /// The newest journal of an operation that has a beginning and no end.
    ///
    /// Damage in the newest one is an error; what is older has had its successor.
    pub async fn unfinished(&self, operation: &str) -> Result<Option<Journal>, Error> {
        for (age, number) in self.numbers().await?.into_iter().rev().enumerate() {
            let place = self.backend.name(&Part::Lines(Series::Journals, number));
            let seen = match self
                .backend
                .get(&Part::Lines(Series::Journals, number))
                .await
            {
                Ok(Some(seen)) => seen,
                // It was one too many.
                Ok(None) => continue,
                Err(error) => return Err(Error::journal(place, error)),
            };
            let (lines, whole) = match read(&seen.bytes) {
                Ok(read) => read,
                Err(_) if age > 0 => continue,
                Err(unread) => return Err(unread.at(place)),
            };
            let begun = matches!(
                lines.first().map(|line| &line.event),
                Some(Event::Begin { .. })
            );
            let ended = matches!(
                lines.last().map(|line| &line.event),
                Some(Event::End { .. })
            );
            let journal = Journal {
                backend: Arc::clone(&self.backend),
                number,
                seen,
                whole,
                lines,
            };
            if begun && !ended && journal.operation() == operation {
                return Ok(Some(journal));
            }
        }
        Ok(None)
    }

    /// Every journal that can be read, the oldest first: its place and its lines. One of a newer
    /// release is an error: what it tells would be missing.
    pub async fn journals(&self) -> Result<Vec<(String, Vec<JournalLine>)>, Error> {
        let mut journals = Vec::new();
        for number in self.numbers().await? {
            let place = self.backend.name(&Part::Lines(Series::Journals, number));
            let found = self
                .backend
                .get(&Part::Lines(Series::Journals, number))
                .await;
            let found = found.map_err(|error| Error::journal(place.clone(), error))?;
            match found.map(|blob| read(&blob.bytes)) {
                Some(Ok((lines, _))) => journals.push((place, lines)),
                Some(Err(newer @ LineError::Newer(_))) => return Err(newer.at(place)),
                Some(Err(LineError::Damaged(_))) | None => {}
            }
        }
        Ok(journals)
    }

    /// Whether there is any journal.
    pub(crate) async fn has_journals(&self) -> Result<bool, Error> {
        Ok(!self.numbers().await?.is_empty())
    }

    async fn numbers(&self) -> Result<Vec<u64>, Error> {
        let place = format!("{}.journals", self.place());
        let numbers = self.backend.numbers(Series::Journals).await;
        numbers.map_err(|error| Error::journal(place, error))
    }
}

impl Journal {
    /// What people call it.
    pub fn place(&self) -> String {
        self.backend
            .name(&Part::Lines(Series::Journals, self.number))
    }

    pub fn lines(&self) -> &[JournalLine] {
        &self.lines
    }

    /// Where the operation goes to, and what it leaves.
    pub fn plan(&self) -> Option<(&str, Option<&str>)> {
        match self.lines.first().map(|line| &line.event) {
            Some(Event::Begin {
                destination, left, ..
            }) => Some((destination, left.as_deref())),
            _ => None,
        }
    }

    /// The stage whose operation it is: `rollback`, `traffic`.
    pub fn operation(&self) -> &str {
        match self.lines.first().map(|line| &line.event) {
            Some(Event::Begin {
                operation: Some(operation),
                ..
            }) => operation,
            _ => ROLLBACK,
        }
    }

    /// The safety rules that were lifted for it.
    pub fn forced(&self) -> &[Forced] {
        match self.lines.first().map(|line| &line.event) {
            Some(Event::Begin { forced, .. }) => forced,
            _ => &[],
        }
    }

    /// Whether what is left is not recorded bad; never in journals that do not know it.
    pub fn is_spared(&self) -> bool {
        matches!(
            self.lines.first().map(|line| &line.event),
            Some(Event::Begin { spared: true, .. })
        )
    }

    /// Why what was before is being put back, where it is.
    pub fn aborting(&self) -> Option<&str> {
        self.lines.iter().find_map(|line| match &line.event {
            Event::Abort { reason } => Some(reason.as_str()),
            _ => None,
        })
    }

    /// What an intent said was there before, the first time it was meant.
    pub fn before(&self, wanted: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| match &line.event {
            Event::Intent { step, before } if step == wanted => before.as_deref(),
            _ => None,
        })
    }

    pub async fn intent(&mut self, step: &str, before: Option<String>) -> Result<(), Error> {
        self.write(Event::Intent {
            step: step.to_owned(),
            before,
        })
        .await
    }

    pub async fn done(&mut self, step: &str) -> Result<(), Error> {
        self.write(Event::Done {
            step: step.to_owned(),
        })
        .await
    }

    pub async fn failed(&mut self, step: &str, reason: &str) -> Result<(), Error> {
        self.write(Event::Failed {
            step: step.to_owned(),
            reason: reason.to_owned(),
        })
        .await
    }

    pub async fn abort(&mut self, reason: &str) -> Result<(), Error> {
        self.write(Event::Abort {
            reason: reason.to_owned(),
        })
        .await
    }

    pub async fn restored(&mut self, step: &str) -> Result<(), Error> {
        self.write(Event::Restored {
            step: step.to_owned(),
        })
        .await
    }

    pub async fn end(&mut self, ending: impl Into<Ending>) -> Result<(), Error> {
        self.write(Event::End {
            ending: ending.into(),
        })
        .await
    }

    async fn write(&mut self, event: Event) -> Result<(), Error> {
        let line = JournalLine {
            schema: None,
            at: Timestamp::now(),
            event,
        };
        let written = match text(&line) {
            Ok(bytes) => {
                let backend = &self.backend;
                let appended = backend.append(
                    Series::Journals,
                    self.number,
                    &self.seen,
                    self.whole,
                    &bytes,
                );
                match appended.await {
                    Err(error @ (BackendError::Conflict | BackendError::Unsure(_))) => {
                        self.arrived(&bytes).await.ok_or(error)
                    }
                    appended => appended,
                }
            }
            Err(error) => Err(error),
        };
        self.seen = written.map_err(|error| Error::journal(self.place(), error))?;
        self.whole = self.seen.bytes.len();
        self.lines.push(line);
        Ok(())
    }

    /// Whether a line is there although its write was uncertain. A request that was sent twice meets
    /// what it wrote the first time.
    async fn arrived(&self, line: &[u8]) -> Option<Blob> {
        let found = self
            .backend
            .get(&Part::Lines(Series::Journals, self.number))
            .await
            .ok()??;
        let before = found.bytes.strip_suffix(line)?;
        (before == &self.seen.bytes[..self.whole]).then_some(found)
    }
}

fn text(line: &JournalLine) -> Result<Vec<u8>, BackendError> {
    let mut text = serde_json::to_vec(line).map_err(BackendError::failed)?;
    text.push(b'\n');
    Ok(text)
}

/// Why a journal cannot be used.
#[derive(Debug)]
enum LineError {
    /// A newer release wrote it.
    Newer(String),
    Damaged(String),
}

impl LineError {
    fn at(self, place: String) -> Error {
        match self {
            LineError::Newer(reason) => Error::JournalNewer { place, reason },
            LineError::Damaged(reason) => Error::JournalDamaged { place, reason },
        }
    }
}

/// A journal's lines, and their length in bytes. Text after the last line's end is the remains of
/// a line after a kill, and not a line. A complete line that this build does not know is from
/// another build, and is never ignored.
fn read(bytes: &[u8]) -> Result<(Vec<JournalLine>, usize), LineError> {
    let mut lines = Vec::new();
    let mut whole = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if !line.ends_with(b"\n") {
            break;
        }
        lines.push(parse(line).map_err(|unread| {
            let at = lines.len() + 1;
            match unread {
                LineError::Newer(reason) => LineError::Newer(format!("line {at}: {reason}")),
                LineError::Damaged(reason) => LineError::Damaged(format!("line {at}: {reason}")),
            }
        })?);
        whole += line.len();
    }
    Ok((lines, whole))
}

fn parse(line: &[u8]) -> Result<JournalLine, LineError> {
    let value: Value = serde_json::from_slice(line)
        .map_err(|error| LineError::Damaged(format!("not JSON: {error}")))?;
    match &value["schema"] {
        Value::Null => {}
        Value::String(schema) if schema == SCHEMA => {}
        other => {
            let shown = model::text::cut(&other.to_string(), 100);
            return Err(LineError::Newer(format!(
                "its schema is {shown}, this release reads `{SCHEMA}`"
            )));
        }
    }
    serde_json::from_value(value).map_err(|error| LineError::Newer(error.to_string()))
}
