//! How long a rollback will take: as it was rehearsed, else as the last one that worked took.

use std::fmt;
use std::time::Duration;

use model::Verdict;
use model::text::span;
use state::Document;

use crate::{EtaBy, Happening, History};

/// How long something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eta {
    pub takes_ms: u64,
    /// How that is known; `None` in a log that does not tell it.
    pub by: Option<EtaBy>,
}

/// Such as `2m, as rehearsed`.
impl fmt::Display for Eta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&span(Duration::from_millis(self.takes_ms)))?;
        match self.by {
            Some(EtaBy::Rehearsal) => f.write_str(", as rehearsed"),
            Some(EtaBy::Rollback) => f.write_str(", as the last rollback took"),
            None => Ok(()),
        }
    }
}

/// How long the way back to the last good release takes; `None` where that is not known.
pub fn eta(history: &History, document: Option<&Document>) -> Option<Eta> {
    rehearsed(document).or_else(|| took(history))
}

fn rehearsed(document: Option<&Document>) -> Option<Eta> {
    let document = document?;
    let good = document.last_known_good.as_deref()?;
    let rehearsed = document.rehearsed.as_ref()?;
    let is_same = document.rule.same(&rehearsed.destination, good);
    is_same.then_some(Eta {
        takes_ms: rehearsed.takes_ms,
        by: Some(EtaBy::Rehearsal),
    })
}

fn took(history: &History) -> Option<Eta> {
    let mut worked = history
        .events()
        .rev()
        .filter_map(|event| match &event.what {
            Happening::StageEnded {
                verdict: Verdict::Pass,
                restored: Some(_),
                duration_ms,
                ..
            } => Some(*duration_ms),
            Happening::DeploymentEnded {
                rollback: Some(rollback),
                ..
            } if rollback.verdict == Verdict::Pass => Some(rollback.duration_ms),
            _ => None,
        });
    worked.next().map(|takes_ms| Eta {
        takes_ms,
        by: Some(EtaBy::Rollback),
    })
}

#[cfg(test)]
mod tests {
    use state::RehearsedRollback;

    use super::*;
    use crate::sample::{SampleHistory, second};

    fn rolled_back(verdict: Verdict, restored: Option<&str>, duration_ms: u64) -> Happening {
        Happening::StageEnded {
            stage: "rollback".to_owned(),
            verdict,
            reason: "because".to_owned(),
            hint: None,
            impact: None,
            started_at: second(0),
            duration_ms,
            counted: None,
            hosts: None,
            retries: None,
            restored: restored.map(str::to_owned),
            cancelled: false,
            resumed: false,
        }
    }

    #[test]
    fn a_rehearsal_of_the_same_way_is_better_than_the_last_rollback_that_worked() {
        let told = |past: &SampleHistory, document: Option<&Document>| {
            eta(&past.history(), document).map_or("unknown".to_owned(), |eta| eta.to_string())
        };
        let mut past = SampleHistory::new();
        assert_eq!(told(&past, None), "unknown");
        past.add(rolled_back(Verdict::Pass, Some("v1"), 90_000));
        past.add(rolled_back(Verdict::Fail, Some("v1"), 1_000));
        // A release was recorded by the same stage.
        past.add(rolled_back(Verdict::Pass, None, 5));
        assert_eq!(told(&past, None), "1m 30s, as the last rollback took");
        let mut document = Document::new(None, None);
        document.last_known_good = Some("v1".to_owned());
        document.rehearsed = Some(RehearsedRollback {
            destination: "v1".to_owned(),
            takes_ms: 120_000,
            at: second(0),
        });
        assert_eq!(told(&past, Some(&document)), "2m, as rehearsed");
        // The way to another release was rehearsed.
        document.last_known_good = Some("v0".to_owned());
        assert_eq!(
            told(&past, Some(&document)),
            "1m 30s, as the last rollback took"
        );
    }
}
