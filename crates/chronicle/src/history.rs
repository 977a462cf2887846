//! What was read of the log.

use model::incident::{UnreadCause, UnreadLine};
use model::text::cut;
use serde_json::Value;
use state::Lines;

use crate::{Event, Happening, SCHEMA};

/// An event and its line in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub event: Event,
    /// Its file and line, such as `state.json.events/00000001.jsonl:7`.
    pub place: String,
    /// A line after it cannot be read: that may tell what became of it.
    pub is_before_unread: bool,
}

/// Events in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    records: Vec<Record>,
    /// The lines that tell something that is not among them, of whichever service and environment.
    unread: Vec<UnreadLine>,
    is_cut: bool,
}

impl History {
    /// Reads the log's lines. What this build cannot read is left out, and told: someone may need the rest at once.
    pub fn parse(files: &[Lines]) -> History {
        let mut history = History::default();
        for file in files {
            for (line, text) in file.iter() {
                match parse(text) {
                    Ok(event) => history.records.push(Record {
                        event,
                        place: format!("{}:{line}", file.place),
                        is_before_unread: false,
                    }),
                    Err((cause, reason)) => {
                        history.unread.push(UnreadLine {
                            file: file.place.clone(),
                            line,
                            cause,
                            reason: cut(&reason, MAX_REASON),
                        });
                        for record in history.records.iter_mut().rev() {
                            if record.is_before_unread {
                                break;
                            }
                            record.is_before_unread = true;
                        }
                    }
                }
            }
        }
        history
    }

    /// The newest files of a log, of which at most so many were read.
    pub(crate) fn newest(files: &[Lines], most: usize) -> History {
        History {
            is_cut: files.len() >= most,
            ..History::parse(files)
        }
    }

    /// The lines that could not be read: nothing of them is among the events.
    pub fn unread(&self) -> &[UnreadLine] {
        &self.unread
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
            is_before_unread: false,
        };
        History {
            records: events.into_iter().enumerate().map(record).collect(),
            ..History::default()
        }
    }

    /// This history, and what another one has after it.
    #[must_use]
    pub fn with(mut self, later: History) -> History {
        self.records.extend(later.records);
        self.unread.extend(later.unread);
        self
    }

    pub fn records(&self) -> &[Record] {
        &self.records
    }

    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Event> + Clone {
        self.records.iter().map(|record| &record.event)
    }
}

/// The most of a reason, in characters: it may cite the line.
const MAX_REASON: usize = 200;

/// How each format begins.
const FORMATS: &str = "deploy-guard/event/";

/// A line's event, or why it is not one.
fn parse(text: &[u8]) -> Result<Event, (UnreadCause, String)> {
    let value: Value = serde_json::from_slice(text).map_err(|error| {
        let reason = format!("not JSON from column {} on", error.column());
        (UnreadCause::Damaged, reason)
    })?;
    let schema = &value["schema"];
    if schema != SCHEMA {
        let is_format = schema.as_str().is_some_and(|it| it.starts_with(FORMATS));
        let cause = if is_format {
            UnreadCause::Newer
        } else {
            UnreadCause::Damaged
        };
        let shown = cut(&schema.to_string(), 100);
        let reason = format!("its schema is {shown}, this release reads `{SCHEMA}`");
        return Err((cause, reason));
    }
    serde_json::from_value(value).map_err(|error| (UnreadCause::Unknown, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{SampleHistory, note};

    #[test]
    fn why_a_line_is_not_read_is_told() {
        let mut past = SampleHistory::new();
        past.add(note("one"));
        let line = serde_json::to_string(&past.events[0]).expect("it can be written");
        assert!(parse(line.as_bytes()).is_ok());
        for (line, cause) in [
            (line.replace("event/v1", "event/v2"), UnreadCause::Newer),
            (line.replace("event/v1", "evemt/v1"), UnreadCause::Damaged),
            (line.replace("\"note\"", "\"dance\""), UnreadCause::Unknown),
            (line.replace("\"at\"", "\"et\""), UnreadCause::Unknown),
            (line[..20].to_owned(), UnreadCause::Damaged),
            (line.clone() + &line, UnreadCause::Damaged),
            ("{}".to_owned(), UnreadCause::Damaged),
        ] {
            let unread = parse(line.as_bytes()).expect_err("it is not read");
            assert_eq!(unread.0, cause, "{line}: {}", unread.1);
        }
    }
}
