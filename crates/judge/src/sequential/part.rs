//! The errors of one side or instance within one interval, and what they are errors of.

use crate::reading::{Counts, Events};

/// Errors with their exposure: requests, or instances where there is no number of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Part {
    pub(crate) failed: f64,
    pub(crate) exposure: f64,
}

impl Part {
    pub(crate) fn sum<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Part {
        let none = Part::default();
        parts.into_iter().fold(none, |sum, part| Part {
            failed: sum.failed + part.failed,
            exposure: sum.exposure + part.exposure,
        })
    }

    /// Of what has no exposure no rate is known, whatever failed.
    pub(crate) fn exposed(self) -> Part {
        let is_exposed = self.exposure > 0.0;
        Some(self).filter(|_| is_exposed).unwrap_or_default()
    }

    /// 0 where there was no exposure.
    pub(crate) fn rate(self) -> f64 {
        if self.exposure > 0.0 {
            self.failed / self.exposure
        } else {
            0.0
        }
    }
}

/// An instance without a total is exposed for as long as any other.
impl From<Events> for Part {
    fn from(events: Events) -> Part {
        Part {
            failed: events.events() as f64,
            exposure: events.total().map_or(1.0, |total| total as f64),
        }
    }
}

impl From<Counts> for Part {
    fn from(counts: Counts) -> Part {
        Part {
            failed: counts.failed() as f64,
            exposure: counts.total() as f64,
        }
    }
}
