//! What a rollback means to do and what it did: one JSON line per intent and result, each synced
//! before the next thing happens.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::backend::{Backend, Blob, Part, Trouble};
use crate::{Error, Forced, Store};

/// Journals that are finished are kept for this many rollbacks.
const KEPT: usize = 50;
/// How often a number is chosen anew because another has taken it.
const TRIES: u32 = 8;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
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
        /// The safety rules that were lifted for it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        forced: Vec<Forced>,
        /// When whoever writes it began to ask, check and prepare.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started: Option<Timestamp>,
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
    End { verdict: String },
}

/// A journal that is being written, or was found unfinished.
#[derive(Debug)]
pub struct Journal {
    backend: Arc<Backend>,
    number: u64,
    /// As it lies there.
    seen: Blob,
    /// How much of that is whole lines: a kill may have left half a one at the end.
    whole: usize,
    lines: Vec<Line>,
}

impl Store {
    /// Begins a journal. Journals are numbered by themselves: fencing tokens begin again where a
    /// state was put back from its backup or begun anew, and clocks are set back.
    pub async fn begin_journal(
        &self,
        destination: &str,
        left: Option<&str>,
        token: u64,
        forced: &[Forced],
        started: Option<Timestamp>,
    ) -> Result<Journal, Error> {
        let line = Line {
            at: Timestamp::now(),
            event: Event::Begin {
                destination: destination.to_owned(),
                left: left.map(str::to_owned),
                token,
                forced: forced.to_vec(),
                started,
            },
        };
        let backend = &self.backend;
        let mut tries = 0;
        loop {
            let numbers = self.numbers().await?;
            let number = numbers.last().unwrap_or(&0).saturating_add(1);
            let place = backend.name(&Part::Journal(number));
            let bytes = text(&line).map_err(|trouble| Error::journal(place.clone(), trouble))?;
            match backend.create(number, &bytes).await {
                Ok(seen) => {
                    for old in &numbers[..(numbers.len() + 1).saturating_sub(KEPT)] {
                        // A journal that stays is no harm.
                        let _ = backend.remove(*old).await;
                    }
                    return Ok(Journal {
                        backend: Arc::clone(backend),
                        number,
                        whole: seen.bytes.len(),
                        seen,
                        lines: vec![line],
                    });
                }
                Err(Trouble::Conflict) if tries < TRIES => tries += 1,
                Err(trouble) => return Err(Error::journal(place, trouble)),
            }
        }
    }

    /// The newest journal that has a beginning and no end.
    ///
    /// Damage in the newest one is an error; what is older has had its successor.
    pub async fn unfinished(&self) -> Result<Option<Journal>, Error> {
        for (age, number) in self.numbers().await?.into_iter().rev().enumerate() {
            let place = self.backend.name(&Part::Journal(number));
            let seen = match self.backend.get(&Part::Journal(number)).await {
                Ok(Some(seen)) => seen,
                // It was one too many.
                Ok(None) => continue,
                Err(trouble) => return Err(Error::journal(place, trouble)),
            };
            let (lines, whole) = match read(&seen.bytes) {
                Ok(read) => read,
                Err(_) if age > 0 => continue,
                Err(reason) => return Err(Error::JournalDamaged { place, reason }),
            };
            let begun = matches!(
                lines.first().map(|line| &line.event),
                Some(Event::Begin { .. })
            );
            let ended = matches!(
                lines.last().map(|line| &line.event),
                Some(Event::End { .. })
            );
            if begun && !ended {
                return Ok(Some(Journal {
                    backend: Arc::clone(&self.backend),
                    number,
                    seen,
                    whole,
                    lines,
                }));
            }
        }
        Ok(None)
    }

    /// Every journal that can be read, the oldest first: its place and its lines.
    pub async fn journals(&self) -> Result<Vec<(String, Vec<Line>)>, Error> {
        let mut journals = Vec::new();
        for number in self.numbers().await? {
            let place = self.backend.name(&Part::Journal(number));
            let found = self.backend.get(&Part::Journal(number)).await;
            let found = found.map_err(|trouble| Error::journal(place.clone(), trouble))?;
            if let Some(Ok((lines, _))) = found.map(|blob| read(&blob.bytes)) {
                journals.push((place, lines));
            }
        }
        Ok(journals)
    }

    async fn numbers(&self) -> Result<Vec<u64>, Error> {
        let place = format!("{}.journals", self.place());
        let numbers = self.backend.journals().await;
        numbers.map_err(|trouble| Error::journal(place, trouble))
    }
}

impl Journal {
    /// What people call it.
    pub fn place(&self) -> String {
        self.backend.name(&Part::Journal(self.number))
    }

    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Where the rollback goes to, and what it leaves.
    pub fn plan(&self) -> Option<(&str, Option<&str>)> {
        match self.lines.first().map(|line| &line.event) {
            Some(Event::Begin {
                destination, left, ..
            }) => Some((destination, left.as_deref())),
            _ => None,
        }
    }

    /// The safety rules that were lifted for it.
    pub fn forced(&self) -> &[Forced] {
        match self.lines.first().map(|line| &line.event) {
            Some(Event::Begin { forced, .. }) => forced,
            _ => &[],
        }
    }

    /// Whether the step was made at any time.
    pub fn is_done(&self, wanted: &str) -> bool {
        self.lines
            .iter()
            .any(|line| matches!(&line.event, Event::Done { step } if step == wanted))
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

    pub async fn end(&mut self, verdict: &str) -> Result<(), Error> {
        self.write(Event::End {
            verdict: verdict.to_owned(),
        })
        .await
    }

    async fn write(&mut self, event: Event) -> Result<(), Error> {
        let line = Line {
            at: Timestamp::now(),
            event,
        };
        let written = match text(&line) {
            Ok(bytes) => {
                let backend = &self.backend;
                let appended = backend.append(self.number, &self.seen, self.whole, &bytes);
                match appended.await {
                    Err(trouble @ (Trouble::Conflict | Trouble::Unsure(_))) => {
                        self.arrived(&bytes).await.ok_or(trouble)
                    }
                    appended => appended,
                }
            }
            Err(trouble) => Err(trouble),
        };
        self.seen = written.map_err(|trouble| Error::journal(self.place(), trouble))?;
        self.whole = self.seen.bytes.len();
        self.lines.push(line);
        Ok(())
    }

    /// Whether a line of which nobody can say that it was written is there. A request that was
    /// sent twice meets what it wrote the first time.
    async fn arrived(&self, line: &[u8]) -> Option<Blob> {
        let found = self.backend.get(&Part::Journal(self.number)).await.ok()??;
        let before = found.bytes.strip_suffix(line)?;
        (before == &self.seen.bytes[..self.whole]).then_some(found)
    }
}

fn text(line: &Line) -> Result<Vec<u8>, Trouble> {
    let mut text = serde_json::to_vec(line).map_err(Trouble::failed)?;
    text.push(b'\n');
    Ok(text)
}

/// A journal's lines, and how many bytes they have. A torn last line is what a kill leaves; a
/// torn one before it is damage.
fn read(bytes: &[u8]) -> Result<(Vec<Line>, usize), String> {
    let mut lines = Vec::new();
    let mut whole = 0;
    let mut rest = bytes.split_inclusive(|byte| *byte == b'\n').peekable();
    while let Some(line) = rest.next() {
        match serde_json::from_slice(line) {
            Ok(parsed) if line.ends_with(b"\n") => {
                lines.push(parsed);
                whole += line.len();
            }
            _ if rest.peek().is_none() => break,
            Ok(_) => break,
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok((lines, whole))
}
