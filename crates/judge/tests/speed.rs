//! Ten thousand rollouts of sixty intervals are judged in less than ten seconds on one core.

use std::time::Instant;

use judge::random::Random;
use judge::{Reading, Side, Sides};

use crate::support::{counts, one, ratio, report, watch};

#[test]
fn ten_thousand_rollouts_take_less_than_ten_seconds() {
    // A debug build is slow and proves nothing.
    let rollouts = if cfg!(debug_assertions) { 50 } else { 10_000 };
    let mut random = Random::new(60);
    // The canary's share is never the same twice.
    let mut draw = |mean: u64| {
        let total = random.poisson(mean as f64);
        counts(random.poisson(total as f64 * 0.01), total)
    };
    for instances in [1, 3] {
        let mut interval = || {
            one(Reading::Ratio(Sides {
                canary: Side::Whole(draw(100)),
                stable: Side::Instances((0..instances).map(|_| draw(900 / instances)).collect()),
            }))
        };
        let intervals: Vec<_> = (0..60).map(|_| interval()).collect();
        let start = Instant::now();
        for _ in 0..rollouts {
            let mut watch = watch(ratio(1.5, None));
            for interval in &intervals {
                watch.observe(interval).unwrap();
            }
        }
        let taken = start.elapsed();
        report(format_args!(
            "{rollouts} rollouts of 60 intervals, {instances} instances: {taken:?}"
        ));
        assert!(cfg!(debug_assertions) || taken.as_secs() < 10, "{taken:?}");
    }
}
