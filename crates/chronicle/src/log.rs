//! The log of events itself.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use model::incident::UnreadLine;
use state::{Lines, Log, Store};

use crate::{Error, Event, History, Owner};

/// A decision that needs what happened lately reads this many of the log's files, of 256 KiB each.
const RECENT_FILES: usize = 4;

/// How much of the log a decision needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadScope {
    /// The newest files: about a thousand events.
    Recent,
    Full,
}

/// The log of events beside a state, as its owner reads it: what is of another service or environment is left out.
#[derive(Clone, Debug)]
pub struct Chronicle {
    log: Log,
    owner: Owner,
    /// Of all that was read by now.
    unread: Arc<Mutex<BTreeSet<UnreadLine>>>,
}

impl Chronicle {
    pub fn beside(store: &Store, owner: Owner) -> Chronicle {
        Chronicle {
            log: store.log(),
            owner,
            unread: Arc::default(),
        }
    }

    /// What people call it: `state.json.events`.
    pub fn place(&self) -> String {
        self.log.place()
    }

    /// The lines that could not be read, as far as the log was looked at.
    pub fn unread(&self) -> Vec<UnreadLine> {
        let unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        unread.iter().cloned().collect()
    }

    /// Its owner's part of what was read.
    fn own(&self, read: History) -> History {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        unread.extend(read.unread().iter().cloned());
        read.of_owner(&self.owner)
    }

    /// Everything that was written down.
    pub async fn read(&self) -> Result<History, Error> {
        Ok(self.own(History::parse(&self.log.read(None).await?)))
    }

    /// What was written down lately: about the newest thousand events, and never less than what a
    /// decision of [`Chronicle::append`] sees.
    pub async fn recent(&self) -> Result<History, Error> {
        let read = self.log.read(Some(RECENT_FILES)).await?;
        Ok(self.own(History::newest(&read, RECENT_FILES)))
    }

    /// Appends the events that `decide` makes of what happened, all of them in one write. It is asked again where
    /// another process was first.
    pub async fn append<E: From<Error>>(
        &self,
        seeing: ReadScope,
        mut decide: impl FnMut(&History) -> Result<Vec<Event>, E>,
    ) -> Result<Vec<Event>, E> {
        let mut attempts: Vec<(String, Vec<Event>)> = Vec::new();
        let files = match seeing {
            ReadScope::Recent => RECENT_FILES,
            ReadScope::Full => usize::MAX,
        };
        let written = self.log.append(files, |read: &[Lines]| {
            let history = self.own(History::newest(read, files));
            let events = decide(&history).map_err(AppendError::Decided)?;
            let lines = lines(&events).map_err(|error| AppendError::Decided(error.into()))?;
            attempts.push((lines.clone(), events));
            Ok(lines)
        });
        match written.await {
            Ok(written) => {
                let mut attempts = attempts.into_iter();
                let arrived = attempts.find(|(lines, _)| *lines == written);
                Ok(arrived.map(|(_, events)| events).unwrap_or_default())
            }
            Err(AppendError::Store(error)) => Err(Error::State(error).into()),
            Err(AppendError::Decided(error)) => Err(error),
        }
    }

    /// Appends events whatever happened. An event that is there already is not written again: how an earlier attempt
    /// ended may not be known.
    pub async fn write(&self, events: &[Event]) -> Result<(), Error> {
        let lines = lines(events)?;
        let missing = |read: &[Lines]| {
            let is_there = |line: &str| {
                let mut known = read.iter().flat_map(Lines::iter);
                known.any(|(_, known)| known == line.trim_end().as_bytes())
            };
            let missing = lines.split_inclusive('\n').filter(|line| !is_there(line));
            Ok(missing.collect())
        };
        self.log.append(1, missing).await.map(drop)
    }
}

/// Why nothing was written.
enum AppendError<E> {
    Store(state::Error),
    Decided(E),
}

impl<E> From<state::Error> for AppendError<E> {
    fn from(error: state::Error) -> AppendError<E> {
        AppendError::Store(error)
    }
}

fn lines(events: &[Event]) -> Result<String, Error> {
    let mut lines = String::new();
    for event in events {
        let line = serde_json::to_string(event).map_err(Error::Unwritable)?;
        lines.push_str(&line);
        lines.push('\n');
    }
    Ok(lines)
}
