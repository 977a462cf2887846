//! Ten thousand rollouts of sixty intervals are judged in less than ten seconds on one core.

use std::time::Instant;

use judge::random::Random;

use crate::support::{Minute, ratio, report, watch};

#[test]
fn ten_thousand_rollouts_take_less_than_ten_seconds() {
    // A debug build is slow and proves nothing.
    let rollouts = if cfg!(debug_assertions) { 50 } else { 10_000 };
    let traffic = Minute {
        canary: 100,
        stable: 900,
        rate: 0.01,
    };
    let mut random = Random::new(60);
    let intervals: Vec<_> = (0..60).map(|_| traffic.draw(1.0, &mut random)).collect();
    let start = Instant::now();
    for _ in 0..rollouts {
        let mut watch = watch(ratio(1.5, None));
        for interval in &intervals {
            watch.observe(interval).unwrap();
        }
    }
    let taken = start.elapsed();
    report(format_args!(
        "{rollouts} rollouts of 60 intervals: {taken:?}"
    ));
    assert!(cfg!(debug_assertions) || taken.as_secs() < 10, "{taken:?}");
}
