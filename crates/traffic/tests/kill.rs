//! `kill -9` at moments all over a ramp: `resume` or `abort` converges, the release never has more
//! than is recorded, and a second `resume` does nothing.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::bed::Bed;

/// After a kill: the configured share is never above the recorded one; `resume` or `abort` brings it to an
/// end, and a second `resume` does nothing. Whether the kill came while a ramp was under way.
fn converges(bed: &Bed, resumes: bool) -> bool {
    // A reload that was begun may still go on.
    std::thread::sleep(Duration::from_millis(30));
    let (recorded, configured) = (bed.recorded(), bed.configured());
    match recorded {
        Some(recorded) => assert!(configured <= recorded, "{configured} > {recorded}"),
        None => assert!(
            configured == 0 || (configured == 100 && bed.state()["current"] == "v2"),
            "{configured}: {}",
            bed.state()
        ),
    }
    let is_over = recorded.is_none() && configured > 0;
    if resumes {
        bed.traffic(&["resume"]).is(0, &[]);
        let done = if recorded.is_some() || is_over {
            100
        } else {
            0
        };
        assert_eq!(bed.configured(), done);
    } else {
        bed.traffic(&["abort"]).is(0, &[]);
        assert_eq!(bed.configured(), if is_over { 100 } else { 0 });
    }
    bed.traffic(&["resume"]).is(0, &["nothing to resume"]);
    bed.traffic(&["status"]).is(0, &[]);
    assert!(bed.state()["rollout"].is_null(), "{}", bed.state());
    recorded.is_some()
}

/// How many lines all journals have.
fn lines(bed: &Bed) -> usize {
    let journals = std::fs::read_dir(bed.path("state.json.journals"));
    let texts = journals.into_iter().flatten().flatten();
    let texts = texts.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    texts.map(|text| text.lines().count()).sum()
}

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
        cut += u32::from(converges(&bed, nth % 2 == 0));
    }
    assert!(cut > 0, "no kill came while the ramp was under way");
}

/// Between the change and its proof, which nothing in the journal tells apart: the moment the reload ends.
#[test]
fn a_ramp_killed_after_each_line_of_the_journal_and_before_each_proof_is_finished_or_taken_back() {
    let bed = Bed::new("", "");
    let marked = bed.path("reloaded");
    let more = "  stages: [10%, 100%]\n  stage-duration: 100ms\n";
    let reload = bed.nginx.reload_command();
    let router = bed.router().replace(
        &format!("reload: {reload}"),
        &format!("reload: {reload} && echo >>{}", marked.display()),
    );
    bed.write(&format!("{more}{router}"), "");
    bed.traffic(&["ramp", "--release", "v2"])
        .is(0, &["v2 has 100%"]);
    let reloads = || std::fs::read(&marked).map_or(0, |text| text.len());
    for what in ["line", "reload"] {
        let count = || {
            if what == "line" {
                lines(&bed)
            } else {
                reloads()
            }
        };
        for nth in 1.. {
            bed.forget();
            bed.all_to_blue();
            let _ = std::fs::remove_file(&marked);
            let mut child = bed.spawn(&["ramp", "--release", "v2"]);
            let is_over = loop {
                if count() >= nth {
                    break false;
                }
                if child.try_wait().unwrap().is_some() {
                    break true;
                }
            };
            if is_over {
                assert!(nth > 2, "{what} {nth}");
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            converges(&bed, nth % 2 == 0);
        }
    }
}
