//! What a rollback means to do and what it did: one JSON line per intent and result, each synced
//! before the next thing happens.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::atomic;

/// Journals that are finished are kept for this many rollbacks.
const KEPT: usize = 50;
/// Far more than a rollback writes.
const MAX_SIZE: u64 = 16 << 20;

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
    /// Nothing is left to do.
    End { verdict: String },
}

/// A journal that is being written, or was found unfinished.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    lines: Vec<Line>,
}

impl Journal {
    /// The folder of a state's journals.
    pub fn folder(state: &Path) -> PathBuf {
        atomic::beside(state, "journals")
    }

    /// Begins a journal. Journals are numbered by themselves: fencing tokens begin again where a
    /// state was put back from its backup or begun anew, and clocks are set back.
    pub fn begin(
        state: &Path,
        destination: &str,
        left: Option<&str>,
        token: u64,
    ) -> io::Result<Self> {
        let folder = Self::folder(state);
        std::fs::create_dir_all(&folder)?;
        atomic::sync_folder(&atomic::folder(&folder))?;
        let number = all(&folder)?
            .last()
            .and_then(|path| number(path))
            .unwrap_or(0)
            + 1;
        let path = folder.join(format!("{number:08}.jsonl"));
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)?;
        atomic::sync_folder(&folder)?;
        let mut journal = Journal {
            path,
            file,
            lines: Vec::new(),
        };
        journal.write(Event::Begin {
            destination: destination.to_owned(),
            left: left.map(str::to_owned),
            token,
        })?;
        prune(&folder);
        Ok(journal)
    }

    /// The newest journal that has a beginning and no end.
    ///
    /// Damage in the newest one is an error; what is older has had its successor.
    pub fn unfinished(state: &Path) -> io::Result<Option<Self>> {
        for (age, path) in all(&Self::folder(state))?.into_iter().rev().enumerate() {
            let lines = match read(&path) {
                Err(error) if age > 0 && error.kind() == io::ErrorKind::InvalidData => continue,
                lines => lines?,
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
                let file = OpenOptions::new().append(true).open(&path)?;
                let mut journal = Journal { path, file, lines };
                journal.mend()?;
                return Ok(Some(journal));
            }
        }
        Ok(None)
    }

    /// Cuts off a last line that a kill left half-written.
    fn mend(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        File::open(&self.path)?
            .take(MAX_SIZE)
            .read_to_end(&mut bytes)?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        if whole < bytes.len() {
            let file = OpenOptions::new().write(true).open(&self.path)?;
            file.set_len(whole as u64)?;
            file.sync_all()?;
        }
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
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

    pub fn is_done(&self, wanted: &str) -> bool {
        self.lines
            .iter()
            .any(|line| matches!(&line.event, Event::Done { step } if step == wanted))
    }

    /// What an intent said was there before, the first time it was meant.
    pub fn before(&self, wanted: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| match &line.event {
            Event::Intent { step, before } if step == wanted => before.as_deref(),
            _ => None,
        })
    }

    pub fn intent(&mut self, step: &str, before: Option<String>) -> io::Result<()> {
        self.write(Event::Intent {
            step: step.to_owned(),
            before,
        })
    }

    pub fn done(&mut self, step: &str) -> io::Result<()> {
        self.write(Event::Done {
            step: step.to_owned(),
        })
    }

    pub fn failed(&mut self, step: &str, reason: &str) -> io::Result<()> {
        self.write(Event::Failed {
            step: step.to_owned(),
            reason: reason.to_owned(),
        })
    }

    pub fn end(&mut self, verdict: &str) -> io::Result<()> {
        self.write(Event::End {
            verdict: verdict.to_owned(),
        })
    }

    fn write(&mut self, event: Event) -> io::Result<()> {
        let line = Line {
            at: Timestamp::now(),
            event,
        };
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        // One write, so that a kill leaves at most one torn line, at the end.
        self.file.write_all(text.as_bytes())?;
        self.file.sync_all()?;
        self.lines.push(line);
        Ok(())
    }
}

/// A journal's lines. A torn last line is what a kill leaves; a torn one before it is damage.
fn read(path: &Path) -> io::Result<Vec<Line>> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_SIZE).read_to_end(&mut text)?;
    let mut lines = Vec::new();
    let mut rest = text.split_inclusive(|byte| *byte == b'\n').peekable();
    while let Some(line) = rest.next() {
        match serde_json::from_slice(line) {
            Ok(parsed) if line.ends_with(b"\n") => lines.push(parsed),
            _ if rest.peek().is_none() => break,
            Ok(_) => break,
            Err(error) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the journal {} is damaged: {error}", path.display()),
                ));
            }
        }
    }
    Ok(lines)
}

/// Journals by age, oldest first.
fn all(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| number(path).is_some())
        .collect();
    paths.sort_by_key(|path| number(path));
    Ok(paths)
}

/// `7` of `00000007.jsonl`.
fn number(path: &Path) -> Option<u64> {
    path.file_name()?
        .to_str()?
        .strip_suffix(".jsonl")?
        .parse()
        .ok()
}

fn prune(folder: &Path) {
    let Ok(paths) = all(folder) else { return };
    for path in &paths[..paths.len().saturating_sub(KEPT)] {
        // A journal that stays is no harm.
        let _ = std::fs::remove_file(path);
    }
}
