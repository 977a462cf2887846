//! What users got of a bad release: how many requests it served, and how many of them failed.

use std::fmt;

use jiff::Timestamp;
use model::outcome::Requests;
use model::text::percent_of;
use serde::{Deserialize, Serialize};

/// What a release served between two times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    /// What is certain, of the requests that failed and of all.
    pub failed: u64,
    pub total: u64,
    #[serde(default)]
    pub bound: CountBound,
    #[serde(default)]
    pub source: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The same part by part, each as long as the others; what is certain only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over_time: Vec<Slice>,
}

/// How far the truth may be above what is certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CountBound {
    #[default]
    Exact,
    AtMost(Requests),
    /// Something was not seen: nothing bounds it.
    AtLeast,
}

/// Who counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    #[default]
    Prometheus,
    AccessLog,
    /// The gate, while it compared the release with the one before it.
    Gate,
}

impl Source {
    fn words(self) -> &'static str {
        match self {
            Source::Prometheus => "Prometheus",
            Source::AccessLog => "the access log",
            Source::Gate => "the gate while it judged",
        }
    }
}

/// A part of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    pub from: Timestamp,
    pub failed: u64,
    pub total: u64,
    /// Requests to all releases, where they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_all: Option<u64>,
}

impl Exposure {
    /// The counts that are certain.
    pub fn counts(&self) -> Requests {
        Requests {
            failed: self.failed,
            total: self.total,
        }
    }

    /// What is known once the same was asked again. A later answer that is certain of less, such as that of a log which
    /// was rotated meanwhile, takes away nothing of what was certain; of a longer time than was counted, that is the least.
    #[must_use]
    pub fn or_later(&self, later: &Exposure) -> Exposure {
        let is_longer = self
            .until
            .zip(later.until)
            .is_some_and(|(own, its)| its > own);
        let tells_less = match (self.bound, later.bound) {
            (_, CountBound::Exact) => false,
            (CountBound::Exact, _) | (CountBound::AtMost(_), CountBound::AtLeast) if !is_longer => {
                true
            }
            (_, CountBound::AtMost(most)) => most.total < self.total,
            (_, CountBound::AtLeast) => later.total < self.total,
        };
        match (tells_less, self.bound) {
            (false, _) => later.clone(),
            (true, CountBound::Exact | CountBound::AtMost(_)) if is_longer => Exposure {
                bound: CountBound::AtLeast,
                ..self.clone()
            },
            (true, _) => self.clone(),
        }
    }
}

/// Such as `between 900 and 1000 requests, 12 failed (1.2% to 1.33%)`.
impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Exposure { failed, total, .. } = self;
        match self.bound {
            CountBound::Exact => write!(f, "{total} requests, {failed} failed")?,
            CountBound::AtLeast => write!(f, "at least {total} requests, {failed} failed")?,
            CountBound::AtMost(most) => {
                write!(f, "{} requests, ", range(*total, most.total))?;
                write!(f, "{} failed", range(*failed, most.failed))?;
            }
        }
        let certain = self.counts();
        let [best, worst] = match self.bound {
            CountBound::Exact | CountBound::AtLeast => [certain, certain],
            // What is not certain may all have been answered, or may all have failed. A line of the log may hold anything.
            CountBound::AtMost(most) => {
                let more = most.failed.saturating_sub(*failed);
                let total = total.saturating_add(more).min(most.total);
                let best = Requests {
                    total: most.total,
                    ..certain
                };
                [best, Requests { total, ..most }]
            }
        };
        match (
            percent_of(best.failed, best.total),
            percent_of(worst.failed, worst.total),
        ) {
            (Some(least), Some(most)) if least == most => write!(f, " ({least})")?,
            (Some(least), Some(most)) => write!(f, " ({least} to {most})")?,
            _ => {}
        }
        write!(f, ", counted by {}", self.source.words())
    }
}

fn range(least: u64, most: u64) -> String {
    if least == most {
        least.to_string()
    } else {
        format!("between {least} and {most}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::second;

    #[test]
    fn what_is_certain_and_what_is_not_are_told_apart() {
        let told = |total, bound, source| {
            let exposure = Exposure {
                failed: 12,
                total,
                bound,
                source,
                from: Some(second(0)),
                until: None,
                over_time: Vec::new(),
            };
            exposure.to_string()
        };
        let most = |failed, total| CountBound::AtMost(Requests { failed, total });
        let all = [
            told(1000, CountBound::Exact, Source::Prometheus),
            told(900, most(12, 1000), Source::Prometheus),
            told(900, most(20, 900), Source::AccessLog),
            told(900, CountBound::AtLeast, Source::Gate),
            told(0, CountBound::Exact, Source::Prometheus),
        ];
        // Lines of the log may be damaged.
        for total in [0, u64::MAX] {
            assert!(!told(total, most(u64::MAX, 1), Source::Gate).is_empty());
            assert!(!told(total, most(0, u64::MAX), Source::Gate).is_empty());
        }
        insta::assert_snapshot!(all.join("\n"), @r"
        1000 requests, 12 failed (1.2%), counted by Prometheus
        between 900 and 1000 requests, 12 failed (1.2% to 1.33%), counted by Prometheus
        900 requests, between 12 and 20 failed (1.33% to 2.22%), counted by the access log
        at least 900 requests, 12 failed (1.33%), counted by the gate while it judged
        0 requests, 12 failed, counted by Prometheus
        ");
    }

    #[test]
    fn what_was_certain_is_not_taken_away_by_a_later_answer_that_is_certain_of_less() {
        let counted = |total, bound, until| Exposure {
            failed: 0,
            total,
            bound,
            source: Source::AccessLog,
            from: Some(second(0)),
            until: Some(second(until)),
            over_time: Vec::new(),
        };
        let most = |total| CountBound::AtMost(Requests { failed: 0, total });
        let (exact, least) = (CountBound::Exact, CountBound::AtLeast);
        for (known, later, expected) in [
            // The log was rotated.
            ((90, least, 5), (0, least, 5), (90, least, 5)),
            ((90, least, 5), (95, least, 5), (95, least, 5)),
            ((90, least, 5), (91, exact, 5), (91, exact, 5)),
            ((90, least, 5), (80, most(95), 5), (80, most(95), 5)),
            ((90, least, 5), (10, most(20), 5), (90, least, 5)),
            ((90, exact, 5), (0, least, 5), (90, exact, 5)),
            ((90, exact, 5), (80, most(95), 5), (90, exact, 5)),
            ((90, exact, 5), (92, exact, 5), (92, exact, 5)),
            ((80, most(95), 5), (85, least, 5), (80, most(95), 5)),
            ((80, most(95), 5), (85, most(90), 5), (85, most(90), 5)),
            // It served on.
            ((90, exact, 5), (0, least, 9), (90, least, 5)),
            ((90, exact, 5), (100, least, 9), (100, least, 9)),
            ((80, most(95), 5), (0, least, 9), (80, least, 5)),
        ] {
            let of = |(total, bound, until)| counted(total, bound, until);
            let told = of(known).or_later(&of(later));
            assert_eq!(told, of(expected), "{known:?} {later:?}");
        }
    }
}
