//! `cargo xtask bench --judge`: our judge of canaries beside those that people use, on the same
//! made-up traffic.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of requests, errors and runs are small"
)]

mod binomial;
mod needed;
mod ours;
mod peers;
mod tables;
mod traffic;

use std::thread;
use std::time::{Duration, Instant};

use judge::Measure;
use judge::random::Random;
use judge::sequential::Verdict;

use self::ours::Ours;
use self::peers::{Against, Judge, Kayenta, RepeatedTest, Threshold};
use self::tables::Row;
use self::traffic::{Course, Minute, Traffic};

/// A judge of the comparison.
struct Contender {
    name: &'static str,
    start: fn() -> Box<dyn Judge>,
}

/// A release in its traffic.
struct Situation {
    name: &'static str,
    traffic: Traffic,
    course: Course,
}

/// How one run ended.
#[derive(Clone, Copy)]
struct Run {
    verdict: Verdict,
    minute: usize,
    /// Requests that the canary served until it failed, or until the watch would have ended.
    served: u64,
}

const ERRORS: &[Contender] = &[
    Contender {
        name: "ours, any increase",
        start: || Box::new(Ours::errors(1.01, Some(60))),
    },
    Contender {
        name: "ours, tolerance 1.5",
        start: || Box::new(Ours::errors(1.5, Some(60))),
    },
    Contender {
        name: "Kayenta, all of stable",
        start: || Box::new(Kayenta::new(Measure::FailureRate, Against::Stable)),
    },
    Contender {
        name: "Kayenta, equal baseline",
        start: || Box::new(Kayenta::new(Measure::FailureRate, Against::Baseline)),
    },
    Contender {
        name: "Flagger, > 5 % five times",
        start: || Box::new(Threshold::flagger(Measure::FailureRate, 0.05)),
    },
    Contender {
        name: "runbook, + 5 points",
        start: || Box::new(Threshold::runbook(1)),
    },
    Contender {
        name: "runbook, 5-minute window",
        start: || Box::new(Threshold::runbook(5)),
    },
    Contender {
        name: "p ≤ 0.01 at each look",
        start: || Box::new(RepeatedTest::default()),
    },
];

const LATENCY: &[Contender] = &[
    Contender {
        name: "ours, any increase",
        start: || Box::new(Ours::latency(1.01, Some(60))),
    },
    Contender {
        name: "ours, tolerance 1.5",
        start: || Box::new(Ours::latency(1.5, Some(60))),
    },
    Contender {
        name: "Kayenta, p95",
        start: || Box::new(Kayenta::new(Measure::Quantile(0.95), Against::Stable)),
    },
    Contender {
        name: "Kayenta, p95, equal baseline",
        start: || Box::new(Kayenta::new(Measure::Quantile(0.95), Against::Baseline)),
    },
    Contender {
        name: "p99 > 0.5 s five times",
        start: || Box::new(Threshold::flagger(Measure::Quantile(0.99), 0.5)),
    },
];

const SMALL: Traffic = Traffic {
    canary: 20,
    stable: 180,
};
const MEDIUM: Traffic = Traffic {
    canary: 100,
    stable: 900,
};
const LARGE: Traffic = Traffic {
    canary: 1000,
    stable: 9000,
};

const fn errors(name: &'static str, traffic: Traffic, rate: f64, ratio: f64) -> Situation {
    Situation {
        name,
        traffic,
        course: Course::Errors { rate, ratio },
    }
}

const fn ramp(name: &'static str, rates: [f64; 3], ratio: f64) -> Situation {
    Situation {
        name,
        traffic: MEDIUM,
        course: Course::Ramp { rates, ratio },
    }
}

const fn clustered(name: &'static str, ratio: f64, spread: f64) -> Situation {
    Situation {
        name,
        traffic: MEDIUM,
        course: Course::Clustered {
            rate: 0.01,
            ratio,
            spread,
        },
    }
}

const OF_ERRORS: &[Situation] = &[
    errors("100 + 900, 1 %: same", MEDIUM, 0.01, 1.0),
    errors("100 + 900, 1 %: 1.5 ×", MEDIUM, 0.01, 1.5),
    errors("100 + 900, 1 %: 2 ×", MEDIUM, 0.01, 2.0),
    errors("100 + 900, 1 %: 3 ×", MEDIUM, 0.01, 3.0),
    errors("100 + 900, 1 %: 10 ×", MEDIUM, 0.01, 10.0),
    errors("1000 + 9000, 1 %: same", LARGE, 0.01, 1.0),
    errors("1000 + 9000, 1 %: 1.5 ×", LARGE, 0.01, 1.5),
    errors("1000 + 9000, 1 %: 2 ×", LARGE, 0.01, 2.0),
    errors("20 + 180, 1 %: same", SMALL, 0.01, 1.0),
    errors("20 + 180, 1 %: 3 ×", SMALL, 0.01, 3.0),
    errors("20 + 180, 1 %: 5 ×", SMALL, 0.01, 5.0),
    errors("100 + 900, 0.1 %: same", MEDIUM, 0.001, 1.0),
    errors("100 + 900, 0.1 %: 3 ×", MEDIUM, 0.001, 3.0),
    errors("100 + 900, 0.1 %: 5 ×", MEDIUM, 0.001, 5.0),
    errors("100 + 900, 0.1 %: 10 ×", MEDIUM, 0.001, 10.0),
    ramp("ramp, 0.5 → 1 → 3 %: same", [0.005, 0.01, 0.03], 1.0),
    ramp("ramp, 0.5 → 1 → 3 %: 2 ×", [0.005, 0.01, 0.03], 2.0),
    ramp("ramp, 3 → 1 → 0.5 %: same", [0.03, 0.01, 0.005], 1.0),
    ramp("ramp, 3 → 1 → 0.5 %: 2 ×", [0.03, 0.01, 0.005], 2.0),
    clustered("clustered, variance 3 ×: same", 1.0, 3.0),
    clustered("clustered, variance 3 ×: 3 ×", 3.0, 3.0),
    clustered("clustered, variance 10 ×: same", 1.0, 10.0),
    clustered("clustered, variance 10 ×: 10 ×", 10.0, 10.0),
];

fn of_latency() -> Vec<Situation> {
    [
        ("same", 1.0, 0.0),
        ("10 % slower", 1.1, 0.0),
        ("25 % slower", 1.25, 0.0),
        ("50 % slower", 1.5, 0.0),
        ("1 % of requests + 1 s", 1.0, 0.01),
        ("3 % of requests + 1 s", 1.0, 0.03),
    ]
    .map(|(name, factor, late)| Situation {
        name,
        traffic: MEDIUM,
        course: Course::latency(factor, late),
    })
    .into()
}

/// Prints the comparison of so many runs of each situation.
pub(super) fn compare(runs: usize) {
    let started = Instant::now();
    println!("{runs} runs of each situation, a look every minute.\n");
    tables::print("errors", ERRORS, &rows(OF_ERRORS, ERRORS, runs));
    tables::print("latency", LATENCY, &rows(&of_latency(), LATENCY, runs));
    needed::print();
    let time = cost(10_000);
    println!(
        "10,000 runs of 60 intervals on one core: {:.2} s.",
        time.as_secs_f64()
    );
    eprintln!(
        "The comparison took {:.0} s.",
        started.elapsed().as_secs_f64()
    );
}

fn rows<'a>(situations: &'a [Situation], contenders: &[Contender], runs: usize) -> Vec<Row<'a>> {
    let row = |(at, situation): (usize, &'a Situation)| Row {
        name: situation.name,
        is_same: situation.course.is_same(),
        results: all_runs(at as u64, situation, contenders, runs),
    };
    situations.iter().enumerate().map(row).collect()
}

/// For each contender its runs.
fn all_runs(
    number: u64,
    situation: &Situation,
    contenders: &[Contender],
    runs: usize,
) -> Vec<Vec<Run>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let of_thread = |first: usize| {
        let runs = (first..runs).step_by(threads);
        let one = |run: usize| one_run(number, run as u64, situation, contenders);
        runs.map(one).collect::<Vec<Vec<Run>>>()
    };
    let done: Vec<Vec<Run>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || of_thread(first)))
            .collect();
        let results = workers.into_iter().map(thread::ScopedJoinHandle::join);
        results.flat_map(|it| it.expect("a run ends")).collect()
    });
    let of_contender = |at: usize| done.iter().map(|run| run[at]).collect();
    (0..contenders.len()).map(of_contender).collect()
}

/// The same minutes for each contender.
fn one_run(number: u64, run: u64, situation: &Situation, contenders: &[Contender]) -> Vec<Run> {
    let Situation {
        traffic, course, ..
    } = situation;
    let mut random = Random::new(seed(number, run));
    let minutes: Vec<Minute> = (0..course.minutes())
        .map(|at| course.minute(at, *traffic, &mut random))
        .collect();
    let until = |minute: usize| minutes[..minute].iter().map(|it| it.canary_requests).sum();
    contenders
        .iter()
        .map(|contender| {
            let (verdict, minute) = watch(&mut *(contender.start)(), &minutes);
            Run {
                verdict,
                minute,
                served: until(match verdict {
                    Verdict::Fail => minute,
                    Verdict::Pass | Verdict::Inconclusive => minutes.len(),
                }),
            }
        })
        .collect()
}

/// Of one run of one situation.
fn seed(situation: u64, run: u64) -> u64 {
    situation << 48 | run
}

fn watch(judge: &mut dyn Judge, minutes: &[Minute]) -> (Verdict, usize) {
    let seen = |(at, minute)| Some((judge.see(minute)?, at + 1));
    let decided = minutes.iter().enumerate().find_map(seen);
    decided.unwrap_or_else(|| (judge.end(), minutes.len()))
}

/// What our judge takes for so many runs of sixty intervals, without making them up.
fn cost(runs: usize) -> Duration {
    let Situation {
        traffic, course, ..
    } = &OF_ERRORS[0];
    let mut time = Duration::ZERO;
    for run in 0..runs {
        let mut random = Random::new(seed(0, run as u64));
        let minutes: Vec<Minute> = (0..course.minutes())
            .map(|at| course.minute(at, *traffic, &mut random))
            .collect();
        let started = Instant::now();
        watch(&mut Ours::errors(1.01, Some(60)), &minutes);
        time += started.elapsed();
    }
    time
}
