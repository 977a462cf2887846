//! What the answers through a proxy prove: which release it serves, and that a switch is in force.

use futures_util::future::join_all;

/// Right answers in a row that prove what a proxy serves. Where half of the answers are of another
/// release, so many in a row come by chance once in a million times.
pub(super) const PROOFS: u32 = 20;
/// The most, where a colour had so small a share that a few answers tell nothing of it.
const MAX_PROOFS: u32 = 2000;
/// Requests at the same time: hundreds of them must fit into the time of a switch, also where each
/// takes long. Few, because they may go through one connection to a host.
const AT_ONCE: u32 = 4;

/// The release that a proxy serves: `likely` only where each server that gets traffic and every
/// answer through the front name it. `ask` asks one server, or the front.
///
/// # Errors
/// Where several servers get traffic and one cannot be asked, or the front does not answer.
pub(super) async fn served(
    active: &[&str],
    likely: &str,
    ask: impl AsyncFn(Option<&str>) -> Result<String, String>,
) -> Result<String, String> {
    for address in active {
        match ask(Some(address)).await {
            Ok(release) if release != likely => return Ok(release),
            // The front hides one of two behind the other.
            Err(reason) if active.len() > 1 => {
                return Err(format!(
                    "{address} gets traffic and cannot be asked ({reason})"
                ));
            }
            _ => {}
        }
    }
    for _ in 0..PROOFS / AT_ONCE {
        for release in join_all((0..AT_ONCE).map(|_| ask(None))).await {
            let release = release?;
            if release != likely {
                return Ok(release);
            }
        }
    }
    Ok(likely.to_owned())
}

/// Right answers in a row, until they prove a switch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streak {
    wanted: u32,
    right: u32,
    /// Since the switch could be seen, right and wrong ones.
    all: u32,
    wrong: u32,
}

impl Streak {
    /// `rarest` is the number of requests of which one went to the release that is left: of what
    /// had one in twenty, a few right answers tell nothing.
    pub(super) fn new(rarest: u32) -> Streak {
        Streak {
            wanted: PROOFS.saturating_mul(rarest.max(1)).min(MAX_PROOFS),
            right: 0,
            all: 0,
            wrong: 0,
        }
    }

    pub(super) fn right(&mut self) {
        self.right += 1;
        self.all += 1;
    }

    /// An answer that names another release, or none. Before the first right one it is a process of
    /// before that is about to end. Later it may be one that stays: a second master, or another
    /// machine behind the same address. As many right answers in a row are then wanted as do not come
    /// by chance.
    pub(super) fn wrong(&mut self) {
        self.right = 0;
        if self.all > 0 {
            self.all += 1;
            self.wrong += 1;
            let one_in = self.all.div_ceil(self.wrong);
            self.wanted = self.wanted.max(PROOFS * one_in).min(MAX_PROOFS);
        }
    }

    pub(super) fn proves(&self) -> bool {
        self.right >= self.wanted
    }

    /// How many requests to make next, at the same time: no more than are still wanted.
    pub(super) fn next(&self) -> u32 {
        self.wanted.saturating_sub(self.right).min(AT_ONCE)
    }

    pub(super) fn wanted(&self) -> u32 {
        self.wanted
    }

    pub(super) fn count(&self) -> u32 {
        self.right
    }

    /// What share of the answers was wrong, in words; empty where all were right.
    pub(super) fn mixture(&self) -> String {
        match self.wrong {
            0 => String::new(),
            wrong => format!("; {wrong} of {} answers were wrong", self.all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_a_row_prove_a_switch() {
        let mut streak = Streak::new(1);
        for _ in 0..PROOFS {
            assert!(!streak.proves());
            streak.right();
        }
        assert!(streak.proves());
        assert_eq!(PROOFS % AT_ONCE, 0);
    }

    #[test]
    fn no_more_requests_are_made_than_are_wanted() {
        let mut streak = Streak::new(1);
        assert_eq!(streak.next(), AT_ONCE);
        (0..PROOFS - 1).for_each(|_| streak.right());
        assert_eq!(streak.next(), 1);
        streak.right();
        assert_eq!(streak.next(), 0);
    }

    #[test]
    fn answers_of_before_cost_nothing() {
        let mut streak = Streak::new(1);
        (0..1000).for_each(|_| streak.wrong());
        (0..PROOFS).for_each(|_| streak.right());
        assert!(streak.proves());
    }

    #[test]
    fn where_half_of_the_answers_stay_wrong_no_streak_by_chance_proves_anything() {
        // By a generator of its own, so that every run is the same.
        let mut seed = 1_u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        };
        for one_in in [2, 5, 10] {
            let mut streak = Streak::new(1);
            for _ in 0..20_000 {
                if random() % one_in == 0 {
                    streak.wrong();
                } else {
                    streak.right();
                }
                // One in ten may be missed by the first twenty: what was seen once is not.
                assert!(streak.wrong == 0 || !streak.proves(), "one in {one_in}");
            }
        }
    }
}
