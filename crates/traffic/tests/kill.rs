//! `kill -9` at moments all over a ramp: `resume` or `abort` converges, the release never has more
//! than is recorded, and a second `resume` does nothing.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::bed::Bed;

/// `KILLS=300` kills so often, `SEED` chooses other moments.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn a_killed_ramp_is_finished_or_taken_back() {
    let bed = Bed::new("  stages: [10%, 50%, 100%]\n  stage-duration: 100ms\n", "");
    // How long a whole one takes here.
    let began = Instant::now();
    bed.traffic(&["ramp", "--release", "v2"]).is(0, &[]);
    let whole = began.elapsed();
    let mut random = StdRng::seed_from_u64(number("SEED", 1));
    let mut cut = 0;
    for nth in 0..number("KILLS", 10) {
        bed.forget();
        bed.all_to_blue();
        let mut child = bed.spawn(&["ramp", "--release", "v2"]);
        std::thread::sleep(whole.mul_f64(random.random_range(0.02..1.0)));
        child.kill().unwrap();
        child.wait().unwrap();
        // A reload that was begun may still go on.
        std::thread::sleep(Duration::from_millis(30));
        let (recorded, configured) = (bed.recorded(), bed.configured());
        match recorded {
            Some(recorded) => {
                assert!(configured <= recorded, "{configured} > {recorded}");
                cut += 1;
            }
            None => assert!(
                configured == 0 || (configured == 100 && bed.state()["current"] == "v2"),
                "{configured}: {}",
                bed.state()
            ),
        }
        if nth % 2 == 0 {
            bed.traffic(&["resume"]).is(0, &[]);
            let done = if recorded.is_some() || configured > 0 {
                100
            } else {
                0
            };
            assert_eq!(bed.configured(), done);
        } else {
            bed.traffic(&["abort"]).is(0, &[]);
            let done = if recorded.is_none() && configured > 0 {
                100
            } else {
                0
            };
            assert_eq!(bed.configured(), done);
        }
        bed.traffic(&["resume"]).is(0, &["nothing to resume"]);
        bed.traffic(&["status"]).is(0, &[]);
        assert!(bed.state()["rollout"].is_null(), "{}", bed.state());
    }
    assert!(cut > 0, "no kill came while the ramp was under way");
}
