//! What holds for all data.

use judge::sequential::{Verdict, Watch};
use judge::{Interval, Reading, SideData, Sides};
use proptest::prelude::*;

use crate::support::{counts, one, ratio, watch};

/// One interval: failures and requests of the canary, and of each instance of stable.
type Numbers = ((u64, u64), Vec<(u64, u64)>);

fn part() -> impl Strategy<Value = (u64, u64)> {
    (0..2000_u64, 0.0..1.0_f64).prop_map(|(total, rate)| {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of it"
        )]
        let failed = (total as f64 * rate * rate * rate) as u64;
        (failed, total)
    })
}

fn rollout() -> impl Strategy<Value = Vec<Numbers>> {
    (1..4_usize).prop_flat_map(|instances| {
        let interval = (part(), proptest::collection::vec(part(), instances));
        proptest::collection::vec(interval, 1..30)
    })
}

/// Of a canary that may be bad, in traffic that changes little, and with stable by instance.
fn close_rollout() -> impl Strategy<Value = Vec<Numbers>> {
    let of = |failed: u64, total: std::ops::Range<u64>| (0..=failed, total);
    (2..4_usize, 2..12_u64).prop_flat_map(move |(instances, most)| {
        let stable = proptest::collection::vec(of(4, 200..400), instances);
        proptest::collection::vec((of(most, 80..200), stable), 3..40)
    })
}

fn interval((canary, stable): &Numbers) -> Interval {
    let stable: Vec<_> = stable
        .iter()
        .map(|(failed, total)| counts(*failed, *total))
        .collect();
    one(Reading::Ratio(Sides {
        canary: SideData::Whole(counts(canary.0, canary.1)),
        stable: if stable.len() == 1 {
            SideData::Whole(stable[0])
        } else {
            SideData::Instances(stable)
        },
    }))
}

fn watched(numbers: &[Numbers], at_most: Option<f64>) -> Watch {
    let mut watch = watch(ratio(1.5, at_most));
    for numbers in numbers {
        watch.observe(&interval(numbers)).unwrap();
    }
    watch
}

fn evidence(watch: &Watch) -> (f64, f64) {
    let (fail, pass) = watch.evidence(0).unwrap();
    (fail.ln_e, pass.ln_e)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn more_errors_never_help_the_canary(
        numbers in rollout(), at in any::<prop::sample::Index>(), more in 1..50_u64, limited in any::<bool>(),
    ) {
        let at_most = limited.then_some(0.02);
        let mut worse = numbers.clone();
        let canary = &mut worse[at.index(numbers.len())].0;
        canary.0 = (canary.0 + more).min(canary.1);
        let (before, after) = (watched(&numbers, at_most), watched(&worse, at_most));
        prop_assert!(after.verdict() != Verdict::Pass || before.verdict() == Verdict::Pass);
        let (before, after) = (evidence(&before), evidence(&after));
        // Halves of stable that differ are no evidence at all.
        prop_assume!(before.0.is_finite() && before.1.is_finite());
        let slack = 1e-9 * (1.0 + before.0.abs() + before.1.abs());
        prop_assert!(after.0 >= before.0 - slack, "{before:?} {after:?}");
        prop_assert!(after.1 <= before.1 + slack, "{before:?} {after:?}");
    }

    /// A fail leaves out what may be a spell or a burst of the canary: never more than was added.
    #[test]
    fn more_errors_of_the_canary_never_take_a_fail_back(
        numbers in close_rollout(), added in proptest::collection::vec((any::<prop::sample::Index>(), 1..20_u64), 1..6),
    ) {
        let mut worse = numbers.clone();
        for (at, more) in added {
            let canary = &mut worse[at.index(numbers.len())].0;
            canary.0 = (canary.0 + more).min(canary.1);
        }
        let fails_at = |numbers: &[Numbers]| {
            let watch = watched(numbers, None);
            let at = watch.decided_at().filter(|_| watch.verdict() == Verdict::Fail);
            at.unwrap_or(u32::MAX)
        };
        let (before, after) = (fails_at(&numbers), fails_at(&worse));
        prop_assert!(after <= before, "{before} {after}");
    }

    #[test]
    fn the_order_of_the_intervals_is_no_evidence(
        numbers in rollout(), one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(),
    ) {
        let mut swapped = numbers.clone();
        swapped.swap(one.index(numbers.len()), other.index(numbers.len()));
        let (a, b) = (watched(&numbers, None), watched(&swapped, None));
        // Whether the halves of stable ever differed depends on when one looked.
        prop_assume!(evidence(&a).0.is_finite() && evidence(&b).0.is_finite());
        // Of a canary with little load there is none for a pass.
        let near = |a: f64, b: f64| a.total_cmp(&b).is_eq() || (a - b).abs() < 1e-6 * (1.0 + a.abs());
        prop_assert!(near(evidence(&a).0, evidence(&b).0));
        prop_assert!(near(evidence(&a).1, evidence(&b).1));
    }

    #[test]
    fn an_interval_without_requests_changes_nothing(numbers in rollout()) {
        let mut more = numbers.clone();
        more.push(((0, 0), vec![(0, 0); numbers[0].1.len()]));
        prop_assert_eq!(evidence(&watched(&numbers, None)), evidence(&watched(&more, None)));
    }

    /// Where the absolute limit may decide, a pass says nothing of the ratio.
    #[test]
    fn the_band_does_not_contradict_the_verdict(numbers in rollout(), worse in any::<bool>()) {
        let mut watch = watch(ratio(1.5, None));
        for ((failed, total), stable) in &numbers {
            let canary = if worse { (*total, *total) } else { (failed / 50, *total) };
            watch.observe(&interval(&(canary, stable.clone()))).unwrap();
            if watch.decided_at().is_some() {
                break;
            }
        }
        let band = watch.band(0).unwrap();
        let estimate = band.estimate.unwrap_or(1.0);
        match watch.verdict() {
            Verdict::Pass => prop_assert!(band.high <= estimate.max(1.5), "{band:?}"),
            Verdict::Fail => prop_assert!(band.low >= estimate.min(1.5), "{band:?}"),
            Verdict::Inconclusive => {}
        }
    }

    #[test]
    fn no_number_is_ever_lost(numbers in rollout(), limited in any::<bool>()) {
        let watch = watched(&numbers, limited.then_some(0.02));
        for finding in watch.findings() {
            prop_assert!(!finding.fail.ln_e.is_nan() && !finding.pass.ln_e.is_nan());
        }
        let band = watch.band(0).unwrap();
        prop_assert!(band.low <= band.high, "{band:?}");
        prop_assert!(watch.verdict() != Verdict::Pass || watch.findings()[0].intervals > 0);
    }
}
