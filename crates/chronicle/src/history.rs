//! What was read of the log.

use model::text::cut;
use serde_json::Value;
use state::Lines;

use crate::{Error, Event, Happening, SCHEMA};

/// An event and its line in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub event: Event,
    /// Its file and line, such as `state.json.events/00000001.jsonl:7`.
    pub place: String,
}

/// Events in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    records: Vec<Record>,
    is_cut: bool,
}

impl History {
    /// Reads the log's lines. A line that this build does not know is an error: what it tells would be missing.
    pub fn parse(files: &[Lines]) -> Result<History, Error> {
        let mut records = Vec::new();
        for file in files {
            for (line, text) in file.iter() {
                let event = parse(text).map_err(|unread| unread.at(&file.place, line))?;
                let place = format!("{}:{line}", file.place);
                records.push(Record { event, place });
            }
        }
        Ok(History {
            records,
            is_cut: false,
        })
    }

    /// The newest files of a log, of which at most so many were read.
    pub(crate) fn newest(files: &[Lines], most: usize) -> Result<History, Error> {
        let is_cut = files.len() >= most;
        let history = History::parse(files)?;
        Ok(History { is_cut, ..history })
    }

    /// Whether there may be events before these.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether it has the beginning of what an event is about.
    pub fn has_beginning(&self, of: &Event) -> bool {
        let thread = of.thread();
        let mut events = self.events().filter(|one| {
            let is_opened = matches!(one.what, Happening::IncidentOpened { .. });
            let is_own = is_opened && one.subject.incident == of.subject.incident;
            let is_started = matches!(one.what, Happening::DeploymentStarted { .. });
            is_own || of.subject.incident.is_none() && is_started && one.thread() == thread
        });
        events.next().is_some()
    }

    /// With these events alone.
    pub(crate) fn kept(mut self, is_kept: impl Fn(&Event) -> bool) -> History {
        self.records.retain(|record| is_kept(&record.event));
        self
    }

    /// Of events that are in no file.
    pub fn of(events: Vec<Event>) -> History {
        let record = |(at, event)| Record {
            event,
            place: format!("event {at}"),
        };
        History {
            records: events.into_iter().enumerate().map(record).collect(),
            is_cut: false,
        }
    }

    /// This history, and what another one has after it.
    #[must_use]
    pub fn with(mut self, later: History) -> History {
        self.records.extend(later.records);
        self
    }

    pub fn records(&self) -> &[Record] {
        &self.records
    }

    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.records.iter().map(|record| &record.event)
    }
}

enum LineError {
    Damaged(String),
    Newer(String),
}

impl LineError {
    fn at(self, place: &str, line: usize) -> Error {
        let place = place.to_owned();
        match self {
            LineError::Damaged(reason) => Error::Damaged {
                place,
                line,
                reason,
            },
            LineError::Newer(reason) => Error::Newer {
                place,
                line,
                reason,
            },
        }
    }
}

fn parse(text: &[u8]) -> Result<Event, LineError> {
    let value: Value = serde_json::from_slice(text)
        .map_err(|error| LineError::Damaged(format!("not JSON: {error}")))?;
    if value["schema"] != SCHEMA {
        let shown = cut(&value["schema"].to_string(), 100);
        let reason = format!("its schema is {shown}, this release reads `{SCHEMA}`");
        return Err(if value["schema"].is_string() {
            LineError::Newer(reason)
        } else {
            LineError::Damaged(reason)
        });
    }
    serde_json::from_value(value).map_err(|error| LineError::Newer(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{SampleHistory, note};

    #[test]
    fn a_line_of_a_newer_release_and_one_that_is_damaged_are_told_apart() {
        let mut past = SampleHistory::new();
        past.add(note("one"));
        let line = serde_json::to_string(&past.events[0]).expect("it can be written");
        assert!(parse(line.as_bytes()).is_ok());
        for (line, is_newer) in [
            (line.replace("event/v1", "event/v2"), true),
            (line.replace("\"note\"", "\"dance\""), true),
            (line[..20].to_owned(), false),
            ("{}".to_owned(), false),
        ] {
            let unread = parse(line.as_bytes()).err();
            let unread = unread.expect("it is not read").at("state.json.events/1", 7);
            assert_eq!(
                matches!(unread, Error::Newer { .. }),
                is_newer,
                "{line}: {unread}"
            );
            let told = unread.to_string();
            assert!(
                told.starts_with("line 7 of the log state.json.events/1 was")
                    || told.starts_with("line 7 of the log state.json.events/1 is"),
                "{told}"
            );
            assert!(
                unread.hint().starts_with("it was left untouched"),
                "{}",
                unread.hint()
            );
        }
    }
}
