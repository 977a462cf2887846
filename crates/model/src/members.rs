//! Many endpoints under one outcome: how many passed, and which did not.

use crate::{Redactor, Verdict};

/// How the members of a group ended; what is missing from `total` is not decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub total: usize,
    /// How many must pass.
    pub required: usize,
    pub passed: usize,
    pub failed: usize,
    pub errors: usize,
    pub inconclusive: usize,
}

impl Tally {
    pub fn add(&mut self, verdict: Verdict) {
        *self.place(verdict) += 1;
    }

    /// Takes back what was added.
    pub fn remove(&mut self, verdict: Verdict) {
        let place = self.place(verdict);
        *place = place.saturating_sub(1);
    }

    fn place(&mut self, verdict: Verdict) -> &mut usize {
        match verdict {
            Verdict::Pass => &mut self.passed,
            Verdict::Fail => &mut self.failed,
            Verdict::Error => &mut self.errors,
            _ => &mut self.inconclusive,
        }
    }

    /// How many may fail.
    pub fn allowed(&self) -> usize {
        self.total.saturating_sub(self.required)
    }

    /// Those that have not ended.
    pub fn open(&self) -> usize {
        let ended = self.passed + self.failed + self.errors + self.inconclusive;
        self.total.saturating_sub(ended)
    }

    /// The group's verdict as soon as no open member can change it. What could not be asked might
    /// have passed: it makes nothing a fail.
    pub fn verdict(&self) -> Option<Verdict> {
        if self.passed >= self.required.max(1) {
            Some(Verdict::Pass)
        } else if self.failed > self.allowed() {
            Some(Verdict::Fail)
        } else if self.open() > 0 {
            None
        } else if self.failed + self.errors > self.allowed() {
            Some(Verdict::Error)
        } else {
            Some(Verdict::Inconclusive)
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed", self.passed)?;
        for (count, what) in [
            (self.failed, "failed"),
            (self.errors, "errors"),
            (self.inconclusive, "inconclusive"),
            (self.open(), "not decided"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// The members of a group as the report shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberCounts {
    pub tally: Tally,
    /// Of all shards together, and how many of those must pass.
    pub all: usize,
    pub all_required: usize,
    /// Whether one of them named a release, so that each that passed has named the expected one.
    pub names_release: bool,
    /// Those that did not pass, worst first; of many the first [`MemberCounts::MAX_SHOWN`].
    pub not_passed: Vec<Member>,
}

impl MemberCounts {
    /// More names do not help, and a report stays readable.
    pub const MAX_SHOWN: usize = 100;

    pub(crate) fn redacted(self, redactor: &Redactor) -> Self {
        let MemberCounts {
            tally,
            all,
            all_required,
            names_release,
            not_passed,
        } = self;
        let clean = |member: Member| {
            let Member {
                name,
                verdict,
                reason,
            } = member;
            Member {
                name: redactor.redact(&name),
                verdict,
                reason: redactor.redact(&reason),
            }
        };
        MemberCounts {
            tally,
            all,
            all_required,
            names_release,
            not_passed: not_passed.into_iter().map(clean).collect(),
        }
    }
}

/// One member that did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub verdict: Verdict,
    pub reason: String,
}

/// A part of the endpoints, asked by one of several machines: `3/10` is the third of ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub index: u32,
    pub count: u32,
}

impl Shard {
    /// More machines than a workflow matrix can have jobs.
    pub const MAX_SHARDS: u32 = 256;
}

/// A text that is not a shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a shard such as `3/10`, of at most {most}", most = Shard::MAX_SHARDS)]
pub struct ShardError(String);

impl std::str::FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let parts = text.trim().split_once('/');
        let numbers = parts.and_then(|(index, count)| {
            Some((index.trim().parse().ok()?, count.trim().parse().ok()?))
        });
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) && count <= Self::MAX_SHARDS => {
                Ok(Shard { index, count })
            }
            _ => Err(ShardError(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_decided_when_nobody_open_can_change_it() {
        let verdict = |passed, failed, errors, inconclusive| {
            Tally {
                total: 10,
                required: 8,
                passed,
                failed,
                errors,
                inconclusive,
            }
            .verdict()
        };
        assert_eq!(verdict(7, 0, 0, 0), None);
        assert_eq!(verdict(8, 0, 0, 0), Some(Verdict::Pass));
        assert_eq!(verdict(0, 2, 0, 0), None);
        assert_eq!(verdict(0, 3, 0, 0), Some(Verdict::Fail));
        // Two may fail: it is the error that is one too many.
        assert_eq!(verdict(7, 2, 1, 0), Some(Verdict::Error));
        assert_eq!(verdict(7, 2, 0, 1), Some(Verdict::Inconclusive));
        assert_eq!(verdict(0, 0, 5, 0), None);
        assert_eq!(Tally::default().verdict(), Some(Verdict::Inconclusive));
    }

    #[test]
    fn shards_are_read_and_shown() {
        assert_eq!("3/10".parse::<Shard>().unwrap().to_string(), "3/10");
        for wrong in [
            "", "3", "0/10", "11/10", "1/0", "1/1000", "a/b", "1/2/3", "-1/2",
        ] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
