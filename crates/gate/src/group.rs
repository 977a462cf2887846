//! What the ends of a group's members mean for the group, and which of them a shard asks.

use config::file::Member;
use model::{Shard, Tally, Verdict};
use probe::members::Endpoints;
use sha2::{Digest as _, Sha256};

/// How many of how many must pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Group {
    /// Of those that are asked here.
    pub(crate) required: usize,
    pub(crate) total: usize,
    /// Of all shards together.
    pub(crate) all: usize,
    pub(crate) all_required: usize,
    sharded: bool,
}

impl Group {
    /// The group, and those of its members that are asked here.
    pub(crate) fn of(members: Endpoints, shard: Option<Shard>) -> (Group, Vec<Member>) {
        let Endpoints { mut list, required } = members;
        let (all, all_required) = (list.len(), required);
        if let Some(shard) = shard {
            list.retain(|member| holds(shard, &member.target));
        }
        let total = list.len();
        let group = Group {
            // The same share of the shard, rounded to the careful side.
            required: (all_required * total).div_ceil(all),
            total,
            all,
            all_required,
            sharded: shard.is_some(),
        };
        (group, list)
    }

    /// The verdict as soon as it is certain. A shard counts to its end, because its numbers are
    /// added to those of others; only when it alone has more failures than all may have, the
    /// whole has failed.
    pub(crate) fn verdict(self, tally: &Tally) -> Option<Verdict> {
        let certain = tally.open() == 0 || tally.failed > self.all - self.all_required;
        if self.sharded && !certain {
            return None;
        }
        tally.verdict()
    }

    /// Whether the gate has failed with it: a shard may have more than its share of failures while
    /// the whole has few enough, and its other probes must be watched to their end for those.
    pub(crate) fn fails_the_gate(self, tally: &Tally) -> bool {
        !self.sharded || tally.failed > self.all - self.all_required
    }

    pub(crate) fn expected(self) -> String {
        let Group {
            required, total, ..
        } = self;
        let here = format!("{required} of {total} pass");
        if !self.sharded {
            return here;
        }
        format!("{here} here ({} of {} in all)", self.all_required, self.all)
    }

    /// With its arithmetic.
    pub(crate) fn reason(self, verdict: Verdict, tally: &Tally) -> String {
        let required = self.required;
        match verdict {
            Verdict::Pass => format!("passed ({}) ≥ required ({required})", tally.passed),
            Verdict::Fail => format!("failed ({}) > allowed ({})", tally.failed, tally.allowed()),
            _ => format!("passed ({}) < required ({required})", tally.passed),
        }
    }
}

/// Whether a shard asks this. By a hash, so that a line that is added or taken away moves no other.
pub(crate) fn holds(shard: Shard, name: &str) -> bool {
    let hash = Sha256::digest(name.as_bytes());
    let number = hash
        .iter()
        .take(8)
        .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    number % u64::from(shard.count) == u64::from(shard.index - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_in_exactly_one_shard_and_stays_there() {
        let names: Vec<_> = (0..5000)
            .map(|n| format!("10.0.{}.{}:80", n / 250, n % 250))
            .collect();
        for count in [1, 3, 10] {
            let mut sizes = vec![0_usize; count as usize];
            for name in &names {
                let asked: Vec<_> = (1..=count)
                    .filter(|index| {
                        holds(
                            Shard {
                                index: *index,
                                count,
                            },
                            name,
                        )
                    })
                    .collect();
                assert_eq!(asked.len(), 1);
                sizes[asked[0] as usize - 1] += 1;
            }
            let fair = names.len() / count as usize;
            assert!(
                sizes.iter().all(|size| size.abs_diff(fair) < fair / 4 + 1),
                "{sizes:?}"
            );
        }
        // The split never changes: reports of two versions can be merged.
        let third = Shard {
            index: 3,
            count: 10,
        };
        assert!(holds(third, "10.0.0.25:80") && !holds(third, "10.0.0.26:80"));
    }
}
