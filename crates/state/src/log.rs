//! A log of lines beside the state that several processes append to at once, from several machines.
//!
//! The log is cut into numbered files, so that an append reads and, in a bucket, writes only the newest. What
//! the lines mean is not known here: a line is text that ends with a newline.

use std::sync::Arc;
use std::time::Instant;

use crate::backend::{Backend, BackendError, Blob, Part, Series};
use crate::{Error, Store};

/// A file that has grown beyond this, in bytes, is followed by the next.
const FULL: usize = 256 << 10;

/// The log of a state.
#[derive(Clone, Debug)]
pub struct Log {
    backend: Arc<Backend>,
}

/// The whole lines of one file of the log.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// What people call the file.
    pub place: String,
    bytes: Vec<u8>,
}

impl Lines {
    /// Each line with its number, which begins at 1.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let lines = self.bytes.split(|byte| *byte == b'\n');
        let lines = lines.enumerate().map(|(at, line)| (at + 1, line));
        lines.filter(|(_, line)| !line.is_empty())
    }
}

/// A file as it is stored: the part of it that is whole, and what a kill left behind that.
struct Stored {
    number: u64,
    blob: Blob,
    whole: usize,
}

impl Stored {
    fn new(number: u64, blob: Blob) -> Stored {
        let end = blob.bytes.iter().rposition(|byte| *byte == b'\n');
        Stored {
            number,
            whole: end.map_or(0, |end| end + 1),
            blob,
        }
    }
}

impl Store {
    /// The log beside this state.
    pub fn log(&self) -> Log {
        Log {
            backend: Arc::clone(&self.backend),
        }
    }
}

impl Log {
    /// What people call it: `state.json.events`.
    pub fn place(&self) -> String {
        let state = self.backend.name(&Part::State);
        state + Series::Events.folder().trim_end_matches('/')
    }

    /// The newest `files` files of the log, the oldest of them first; all where `None`.
    pub async fn read(&self, files: Option<usize>) -> Result<Vec<Lines>, Error> {
        let stored = self.stored(files).await?;
        Ok(stored.iter().map(|stored| self.lines(stored)).collect())
    }

    /// Appends, in one write, the lines that `decide` makes of what the newest `files` files hold. It is asked
    /// again where another process has appended meanwhile, so what it saw is what is true when its lines
    /// are written. Nothing is written where it makes none.
    ///
    /// Each line must differ from all others: that is how a line whose write was uncertain is recognised. Gives the lines
    /// that the log has now, which may be those of an attempt before the last.
    pub async fn append<E: From<Error>>(
        &self,
        files: usize,
        mut decide: impl FnMut(&[Lines]) -> Result<String, E>,
    ) -> Result<String, E> {
        let since = Instant::now();
        // One whose end is not known may still arrive when the next is decided.
        let mut attempts: Vec<String> = Vec::new();
        loop {
            // Another process may have begun the next file behind what was written.
            let stored = self.stored(Some(files.max(2))).await?;
            let seen: Vec<Lines> = stored.iter().map(|stored| self.lines(stored)).collect();
            let is_there = |lines: &String| seen.iter().any(|seen| contains(&seen.bytes, lines));
            if let Some(arrived) = attempts.iter().position(is_there) {
                return Ok(attempts.swap_remove(arrived));
            }
            let lines = decide(&seen)?;
            if lines.is_empty() {
                return Ok(lines);
            }
            let error = match self.write(stored.last(), lines.as_bytes()).await {
                Ok(()) => return Ok(lines),
                Err(error) => error,
            };
            let again = matches!(error, BackendError::Conflict | BackendError::Unsure(_));
            if !again || since.elapsed() > self.backend.patience() {
                return Err(self.failed(error).into());
            }
            attempts.push(lines);
            self.backend.pause().await;
        }
    }

    async fn write(&self, newest: Option<&Stored>, lines: &[u8]) -> Result<(), BackendError> {
        let series = Series::Events;
        match newest {
            Some(Stored {
                number,
                blob,
                whole,
            }) if *whole < FULL => {
                let appended = self.backend.append(series, *number, blob, *whole, lines);
                appended.await.map(drop)
            }
            newest => {
                let number = newest.map_or(1, |newest| newest.number.saturating_add(1));
                self.backend.create(series, number, lines).await.map(drop)
            }
        }
    }

    async fn stored(&self, files: Option<usize>) -> Result<Vec<Stored>, Error> {
        let numbers = self.backend.numbers(Series::Events).await;
        let numbers = numbers.map_err(|error| self.failed(error))?;
        let newest = numbers.len() - files.unwrap_or(usize::MAX).min(numbers.len());
        let mut stored = Vec::new();
        for number in &numbers[newest..] {
            let part = Part::Lines(Series::Events, *number);
            let blob = self.backend.get(&part).await;
            let blob = blob.map_err(|error| self.failed(error))?;
            stored.extend(blob.map(|blob| Stored::new(*number, blob)));
        }
        Ok(stored)
    }

    fn lines(&self, stored: &Stored) -> Lines {
        Lines {
            place: self
                .backend
                .name(&Part::Lines(Series::Events, stored.number)),
            bytes: stored.blob.bytes[..stored.whole].to_vec(),
        }
    }

    fn failed(&self, error: BackendError) -> Error {
        let usual = "check the free space and the permissions beside the state";
        let (reason, hint) = error.reason_and_hint(usual);
        Error::Log {
            place: self.place(),
            reason,
            hint,
        }
    }
}

/// Whether these lines are there, whole.
fn contains(bytes: &[u8], lines: &str) -> bool {
    let starts = lines.len() <= bytes.len() && bytes.starts_with(lines.as_bytes());
    let with_break = ["\n", lines].concat();
    let mut windows = bytes.windows(with_break.len());
    starts || windows.any(|window| window == with_break.as_bytes())
}
