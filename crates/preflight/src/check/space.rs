//! Space and inodes of a file system, here or on a host, counted as `df` counts them.

use config::value::Room;
use model::Outcome;
use model::text::{bytes, percent_of};

/// What `statvfs` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes in use.
    pub(crate) used: u64,
    /// Bytes that a user without privileges may still fill.
    pub(crate) available: u64,
    pub(crate) inodes: u64,
    pub(crate) free_inodes: u64,
}

impl Space {
    /// From counts of blocks: their size, how many there are, are free, and are free for users.
    pub(crate) fn new(size: u64, [total, free, available]: [u64; 3], inodes: [u64; 2]) -> Space {
        Space {
            used: total.saturating_sub(free).saturating_mul(size),
            available: available.saturating_mul(size),
            inodes: inodes[0],
            free_inodes: inodes[1].min(inodes[0]),
        }
    }
}

/// Whether enough bytes are left. `path` is named in what a person reads, `look` is the hint.
pub(crate) fn judge_free(outcome: Builder, space: &Space, least: Room, look: &str) -> Outcome {
    let total = space.used.saturating_add(space.available);
    let actual = format!(
        "{} of {} free ({})",
        bytes(space.available),
        bytes(total),
        percent(space.available, total)
    );
    let expected = format!("at least {least} free");
    if total == 0 {
        return outcome
            .inconclusive(expected, "it has no blocks of its own")
            .reason("the file system counts no space")
            .hint(look.to_owned());
    }
    outcome.judged(least.fits(space.available, total), expected, actual, look)
}

/// Whether enough inodes are left. Some file systems make them as they go.
pub(crate) fn judge_inodes(outcome: Builder, space: &Space, least: Room, look: &str) -> Outcome {
    let least_text = match least {
        Room::Percent(percent) => format!("{percent}%"),
        Room::Amount(count) => count.to_string(),
    };
    let expected = format!("at least {least_text} of the inodes free");
    if space.inodes == 0 {
        return outcome.judged(
            true,
            expected,
            "the file system has no fixed number".into(),
            look,
        );
    }
    let actual = format!(
        "{} of {} free ({})",
        space.free_inodes,
        space.inodes,
        percent(space.free_inodes, space.inodes)
    );
    let enough = least.fits(space.free_inodes, space.inodes);
    outcome.judged(enough, expected, actual, look)
}

/// Builds the outcome of a check: id, subject and reason.
pub(crate) struct Builder {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) what: String,
}

impl Builder {
    pub(crate) fn judged(
        self,
        good: bool,
        expected: String,
        actual: String,
        hint: &str,
    ) -> Outcome {
        if good {
            return Outcome::pass(self.id, self.subject)
                .expected(expected)
                .actual(actual);
        }
        Outcome::fail(self.id, self.subject)
            .reason(format!("{}: {actual}, expected {expected}", self.what))
            .expected(expected)
            .actual(actual)
            .hint(hint)
    }

    /// Without a reason yet.
    pub(crate) fn inconclusive(
        self,
        expected: impl Into<String>,
        actual: impl Into<String>,
    ) -> Outcome {
        Outcome::inconclusive(self.id, self.subject)
            .expected(expected)
            .actual(actual)
    }
}

pub(crate) fn percent(part: u64, whole: u64) -> String {
    percent_of(part, whole).unwrap_or_else(|| "0%".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Verdict::{Fail, Inconclusive, Pass};

    fn head() -> Builder {
        Builder {
            id: "disk/".into(),
            subject: "/".into(),
            what: "/".into(),
        }
    }

    #[test]
    fn room_is_what_a_user_could_fill() {
        // 100 blocks of 1 KiB, 10 free, of which 5 are kept for root: 5 of 95.
        let space = Space::new(1024, [100, 10, 5], [10, 0]);
        let free = |least| judge_free(head(), &space, least, "look").verdict;
        assert_eq!(free(Room::Percent(5.0)), Pass);
        assert_eq!(free(Room::Percent(5.3)), Fail);
        assert_eq!(free(Room::Amount(5120)), Pass);
        assert_eq!(free(Room::Amount(5121)), Fail);
        assert_eq!(
            judge_inodes(head(), &space, Room::Percent(1.0), "").verdict,
            Fail
        );
        assert_eq!(
            judge_inodes(head(), &space, Room::Amount(0), "").verdict,
            Pass
        );
    }

    #[test]
    fn a_file_system_that_counts_nothing_is_not_guessed_at() {
        let none = Space::new(4096, [0, 0, 0], [0, 0]);
        assert_eq!(
            judge_free(head(), &none, Room::Percent(0.0), "").verdict,
            Inconclusive
        );
        assert_eq!(
            judge_inodes(head(), &none, Room::Percent(5.0), "").verdict,
            Pass
        );
        let absurd = Space::new(u64::MAX, [u64::MAX, 0, u64::MAX], [1, 9]);
        assert_eq!(
            judge_free(head(), &absurd, Room::Percent(1.0), "").verdict,
            Pass
        );
        assert_eq!(absurd.free_inodes, 1);
    }
}
