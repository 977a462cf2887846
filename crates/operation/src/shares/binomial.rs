//! How many answers prove a share, by exact binomial tests.

/// The chance that answers of a share that is not in effect are taken for those of one that is, however often they
/// are asked for, and the other way round.
const ERROR: f64 = 0.01;
/// What of it the first try gets: a share that is in effect is nearly always proved by it.
const FIRST: f64 = 0.9;
/// How unlikely what was seen may be if the share is in effect.
const STRANGE: f64 = 1e-4;

/// The probability of at most `k` of `n`, each with probability `p`.
fn at_most(k: u32, n: u32, p: f64) -> f64 {
    if k >= n || p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    // From one term to the next by their ratio, in logarithms: the first may be smaller than any number.
    let (up, down) = (p.ln(), (-p).ln_1p());
    let mut term = f64::from(n) * down;
    let mut sum = term.exp();
    for i in 1..=k {
        term += (f64::from(n - i + 1) / f64::from(i)).ln() + up - down;
        sum += term.exp();
    }
    sum.min(1.0)
}

/// The probability of at least `k` of `n`.
fn at_least(k: u32, n: u32, p: f64) -> f64 {
    at_most(n - k.min(n), n, 1.0 - p)
}

/// The error of the try of this number, from 1 on. All together they have [`ERROR`]: 9 in 10 parts the first, and the
/// others 1 in 10 parts, by 1/2 + 1/6 + 1/12 + … = 1. With the same error each, one of many tries would pass by chance.
pub(crate) fn error_of(attempt: u32) -> f64 {
    match attempt {
        0 | 1 => ERROR * FIRST,
        more => ERROR * (1.0 - FIRST) / (f64::from(more) * f64::from(more - 1)),
    }
}

/// Whether `k` of `n` refutes that the share is `other`, where `share` is the one that is claimed.
fn refutes((k, n): (u32, u32), other: f64, share: f64, error: f64) -> bool {
    if other < share {
        at_least(k, n, other) <= error
    } else {
        at_most(k, n, other) <= error
    }
}

/// Whether `k` of `n` answers show, with this error, that a share is in effect and none of the others.
pub(crate) fn shows(counts: (u32, u32), share: f64, others: &[f64], error: f64) -> bool {
    let (k, n) = counts;
    let fits = at_most(k, n, share).min(at_least(k, n, share)) >= STRANGE / 2.0;
    fits && others
        .iter()
        .all(|other| refutes(counts, *other, share, error))
}

/// How unlikely what was seen over time may be: it is asked after every answer.
const IMPOSSIBLE: f64 = 1e-7;

/// Whether `k` of `n` answers can hardly have come from a share.
pub(crate) fn is_strange((k, n): (u32, u32), share: f64) -> bool {
    // One answer that was on its way does not refute 100 %.
    let share = share.clamp(0.001, 0.999);
    at_most(k, n, share).min(at_least(k, n, share)) < IMPOSSIBLE
}

/// So many answers of the larger side alone can hardly have come from a share.
pub(crate) fn noticed_after(share: f64) -> u32 {
    let smaller = share.min(1.0 - share).clamp(0.001, 0.5);
    let n = (IMPOSSIBLE.ln() / (-smaller).ln_1p()).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 24 to 16,111"
    )]
    let n = n as u32;
    n
}

/// How likely it is that so many answers in a row of a share that is in effect are not of it.
const UNUSUAL: f64 = 0.05;

/// So many answers in a row without one of a share are unusual.
pub(crate) fn unusual_after(share: f64) -> u32 {
    let share = share.clamp(0.0001, 0.9999);
    let n = (UNUSUAL.ln() / (-share).ln_1p()).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to 29,956"
    )]
    let n = n as u32;
    n
}

/// The answers that tell a share from another one, each with this error: the smallest number for which a
/// cut between them exists. At most `most`; `None` where that is too few.
pub(crate) fn needed(share: f64, other: f64, error: f64, most: u32) -> Option<u32> {
    let (low, high) = if share < other {
        (share, other)
    } else {
        (other, share)
    };
    let is_enough = |n: u32| {
        // The largest count that still speaks for the lower share: where it speaks against the higher
        // one as well, there is a cut.
        let cut = (0..=n).find(|cut| at_least(cut + 1, n, low) <= error);
        cut.is_some_and(|cut| at_most(cut, n, high) <= error)
    };
    if low <= 0.0 || high >= 1.0 {
        // One answer of the other side refutes it.
        let rare = (1.0 - (high - low)).max(f64::MIN_POSITIVE);
        let n = (error.ln() / rare.ln()).ceil().max(1.0);
        let fits = n <= f64::from(most);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most `most`"
        )]
        return fits.then_some(n as u32);
    }
    // Counts are whole, so it is not quite monotonous: from the first that is enough by doubling, downwards.
    let mut high_n = 1;
    while !is_enough(high_n) {
        if high_n >= most {
            return None;
        }
        high_n = (high_n * 2).min(most);
    }
    let mut low_n = high_n / 2;
    while low_n + 1 < high_n {
        let middle = low_n.midpoint(high_n);
        if is_enough(middle) {
            high_n = middle;
        } else {
            low_n = middle;
        }
    }
    Some(high_n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_those_of_the_binomial_distribution() {
        assert!((at_most(0, 10, 0.1) - 0.9_f64.powi(10)).abs() < 1e-12);
        assert!((at_least(1, 10, 0.1) - (1.0 - 0.9_f64.powi(10))).abs() < 1e-12);
        assert!((at_most(5, 10, 0.5) - 0.623_046_875).abs() < 1e-12);
        assert!((at_most(4000, 10_000, 0.5)).abs() < 1e-80);
        assert!((at_most(9_999, 10_000, 0.999) - (1.0 - 0.999_f64.powi(10_000))).abs() < 1e-9);
    }

    /// `next-stages.md`, A2: the answers that tell one share from another at 1 % error.
    #[test]
    fn so_many_answers_tell_two_shares_apart() {
        for (share, other, wanted) in [
            (0.01, 0.0, 459),
            (0.05, 0.0, 90),
            (0.10, 0.0, 44),
            (0.25, 0.0, 17),
            (1.0, 0.9, 44),
        ] {
            assert_eq!(
                needed(share, other, ERROR, 5000),
                Some(wanted),
                "{share} {other}"
            );
            assert_eq!(
                needed(other, share, ERROR, 5000),
                Some(wanted),
                "{other} {share}"
            );
        }
        for (share, other, about) in [
            (0.10, 0.25, 136),
            (0.10, 0.20, 272),
            (0.25, 0.50, 80),
            (0.50, 0.75, 80),
            (0.05, 0.10, 589),
        ] {
            let n = needed(share, other, ERROR, 5000).unwrap();
            assert!(n.abs_diff(about) * 20 <= about, "{share} {other}: {n}");
        }
        assert_eq!(needed(0.0001, 0.0, ERROR, 5000), None);
    }

    #[test]
    fn a_side_that_gets_nothing_is_noticed_after_so_many_answers() {
        for share in [0.05, 0.1, 0.5, 0.9] {
            let n = noticed_after(share);
            let smaller = |n: u32| if share <= 0.5 { 0 } else { n };
            assert!(is_strange((smaller(n), n), share), "{share}: {n}");
            assert!(!is_strange((smaller(n - 2), n - 2), share), "{share}: {n}");
        }
    }

    #[test]
    fn all_tries_together_have_the_error_of_one() {
        let all: f64 = (1..100_000).map(error_of).sum();
        assert!((ERROR * 0.999..=ERROR).contains(&all), "{all}");
    }

    #[test]
    fn what_is_in_effect_is_shown_and_nothing_else() {
        let others = [0.0, 0.25, 1.0];
        assert!(shows((14, 136), 0.10, &others, ERROR));
        assert!(!shows((0, 136), 0.10, &others, ERROR), "0 %");
        assert!(!shows((34, 136), 0.10, &others, ERROR), "25 %");
        assert!(!shows((68, 136), 0.10, &others, ERROR), "50 %");
        assert!(!shows((136, 136), 0.10, &others, ERROR), "100 %");
    }
}
