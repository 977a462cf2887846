//! What happens to a canary: how many requests, how many of them fail or are slow.

use judge::random::Random;
use judge::{Buckets, Counts, Interval, Reading, SideData, Sides};

use super::binomial::binomial;

/// One minute of the canary and of what it is compared with.
pub(super) struct Minute {
    pub(super) against_stable: Interval,
    /// The canary against a second group of the stable release with as many requests, which
    /// Kayenta advises.
    pub(super) against_baseline: Interval,
    pub(super) canary_requests: u64,
}

/// Requests in a minute.
#[derive(Clone, Copy)]
pub(super) struct Traffic {
    pub(super) canary: u64,
    pub(super) stable: u64,
}

/// What is wrong with the new release, if anything, and what else happens.
#[derive(Clone, Copy)]
pub(super) enum Course {
    /// Errors at a steady rate, of which the canary has `ratio` times as many.
    Errors { rate: f64, ratio: f64 },
    /// The same, with a variance of `spread` times the mean; stable has nine instances.
    Clustered { rate: f64, ratio: f64, spread: f64 },
    /// A tenth, a quarter and a half of the requests go to the canary, ten minutes each, while the
    /// rate of the stable release moves.
    Ramp { rates: [f64; 3], ratio: f64 },
    Latency {
        canary: Durations,
        stable: Durations,
    },
}

/// The shares of requests that take at most as long as each bound.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Durations([f64; BOUNDS.len()]);

const STABLE_INSTANCES: u64 = 9;
const RAMP: [u64; 3] = [10, 25, 50];
const RAMP_STEP: usize = 10;

/// Prometheus' default buckets, in seconds.
const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Durations are lognormal with this median and deviation: 0.4 % take longer than half a second.
const MEDIAN: f64 = 0.1;
const DEVIATION: f64 = 0.6;

impl Course {
    /// Durations: those of the canary are `factor` times as long, and `late` of its requests take a
    /// second more.
    pub(super) fn latency(factor: f64, late: f64) -> Course {
        Course::Latency {
            canary: Durations::new(factor, late),
            stable: Durations::new(1.0, 0.0),
        }
    }

    pub(super) fn minutes(self) -> usize {
        match self {
            Course::Ramp { .. } => RAMP.len() * RAMP_STEP,
            _ => 60,
        }
    }

    /// Whether the new release is like the old one.
    pub(super) fn is_same(self) -> bool {
        match self {
            Course::Errors { ratio, .. }
            | Course::Clustered { ratio, .. }
            | Course::Ramp { ratio, .. } => ratio <= 1.0,
            Course::Latency { canary, stable } => canary == stable,
        }
    }

    pub(super) fn minute(self, at: usize, traffic: Traffic, random: &mut Random) -> Minute {
        let traffic = match self {
            Course::Ramp { .. } => {
                let all = traffic.canary + traffic.stable;
                let canary = all * RAMP[at / RAMP_STEP] / 100;
                Traffic {
                    canary,
                    stable: all - canary,
                }
            }
            _ => traffic,
        };
        let canary = self.side(at, traffic.canary, true, random);
        let stable = self.stable(at, traffic.stable, random);
        let baseline = self.side(at, traffic.canary, false, random);
        Minute {
            against_stable: interval(canary.clone(), stable),
            against_baseline: interval(canary, Parts::Whole(baseline)),
            canary_requests: traffic.canary,
        }
    }

    fn stable(self, at: usize, requests: u64, random: &mut Random) -> Parts {
        match self {
            Course::Clustered { .. } => {
                let each = requests / STABLE_INSTANCES;
                let instance = |_| self.side(at, each, false, random);
                Parts::Instances((0..STABLE_INSTANCES).map(instance).collect())
            }
            _ => Parts::Whole(self.side(at, requests, false, random)),
        }
    }

    fn side(self, at: usize, requests: u64, is_canary: bool, random: &mut Random) -> Part {
        let times = |ratio: f64| if is_canary { ratio } else { 1.0 };
        match self {
            Course::Errors { rate, ratio } => {
                Part::errors(binomial(requests, rate * times(ratio), random), requests)
            }
            Course::Ramp { rates, ratio } => {
                let rate = rates[at / RAMP_STEP] * times(ratio);
                Part::errors(binomial(requests, rate, random), requests)
            }
            Course::Clustered {
                rate,
                ratio,
                spread,
            } => {
                let mean = requests as f64 * rate * times(ratio);
                Part::errors(random.negative_binomial(mean, spread), requests)
            }
            Course::Latency { canary, stable } => {
                let durations = if is_canary { canary } else { stable };
                Part::Durations(durations.draw(requests, random))
            }
        }
    }
}

/// An interval with one error, which is the canary's as often as its share of the requests and the
/// ratio of the rates have it.
pub(super) fn one_error(traffic: Traffic, ratio: f64, random: &mut Random) -> Minute {
    let Traffic { canary, stable } = traffic;
    let weight = canary as f64 * ratio;
    let is_canary = binomial(1, weight / (weight + stable as f64), random);
    let against_stable = interval(
        Part::errors(is_canary, canary),
        Parts::Whole(Part::errors(1 - is_canary, stable)),
    );
    Minute {
        against_baseline: against_stable.clone(),
        against_stable,
        canary_requests: canary,
    }
}

/// One side of one metric.
#[derive(Clone)]
enum Part {
    Errors(Counts),
    Durations(Buckets),
}

enum Parts {
    Whole(Part),
    Instances(Vec<Part>),
}

impl Part {
    fn errors(failed: u64, total: u64) -> Part {
        let counts = Counts::new(failed.min(total), total);
        Part::Errors(counts.expect("failures are among the requests"))
    }
}

fn interval(canary: Part, stable: Parts) -> Interval {
    let stable = match stable {
        Parts::Whole(part) => vec![part],
        Parts::Instances(parts) => parts,
    };
    let is_whole = stable.len() == 1;
    let reading = match canary {
        Part::Errors(canary) => {
            let counts = stable.into_iter().filter_map(|part| match part {
                Part::Errors(counts) => Some(counts),
                Part::Durations(_) => None,
            });
            Reading::Ratio(sides(canary, counts.collect(), is_whole))
        }
        Part::Durations(canary) => {
            let buckets = stable.into_iter().filter_map(|part| match part {
                Part::Durations(buckets) => Some(buckets),
                Part::Errors(_) => None,
            });
            Reading::Histogram(sides(canary, buckets.collect(), is_whole))
        }
    };
    Interval {
        metrics: vec![reading.into()],
    }
}

fn sides<T: Clone>(canary: T, stable: Vec<T>, is_whole: bool) -> Sides<T> {
    let stable = match stable.first() {
        Some(all) if is_whole => SideData::Whole(all.clone()),
        _ => SideData::Instances(stable),
    };
    Sides {
        canary: SideData::Whole(canary),
        stable,
    }
}

impl Durations {
    /// `factor` times as long as stable's, and `late` of the requests take a second more.
    fn new(factor: f64, late: f64) -> Durations {
        let share =
            |bound| (1.0 - late) * within(bound, factor) + late * within(bound - 1.0, factor);
        Durations(BOUNDS.map(share))
    }

    /// Drawn bucket by bucket: of the requests that are left, each one is in the next bucket with
    /// its share of what is left.
    fn draw(self, requests: u64, random: &mut Random) -> Buckets {
        let (mut below, mut share_below) = (0, 0.0);
        let mut cumulative = Vec::with_capacity(BOUNDS.len() + 1);
        for (bound, share) in BOUNDS.into_iter().zip(self.0) {
            let next = (share - share_below) / (1.0 - share_below);
            below += binomial(requests - below, next.clamp(0.0, 1.0), random);
            share_below = share;
            cumulative.push((bound, below));
        }
        cumulative.push((f64::INFINITY, requests));
        Buckets::new(cumulative).expect("bounds rise")
    }
}

/// The share of requests that take at most so many seconds.
fn within(seconds: f64, factor: f64) -> f64 {
    if seconds <= 0.0 {
        return 0.0;
    }
    normal_share((seconds / (MEDIAN * factor)).ln() / DEVIATION)
}

/// Φ by Simpson's rule.
fn normal_share(z: f64) -> f64 {
    const STEPS: u32 = 200;
    if z.abs() > 9.0 {
        return if z > 0.0 { 1.0 } else { 0.0 };
    }
    let width = z / f64::from(STEPS);
    let density = |step: u32| (-0.5 * (f64::from(step) * width).powi(2)).exp();
    let weighted = |step: u32| match step {
        0 | STEPS => density(step),
        odd if odd % 2 == 1 => 4.0 * density(odd),
        even => 2.0 * density(even),
    };
    let sum: f64 = (0..=STEPS).map(weighted).sum();
    0.5 + sum * width / 3.0 / std::f64::consts::TAU.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_below_a_point_is_that_of_the_tables() {
        for (z, share) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_543),
            (-1.959_963_984_540_054, 0.025),
            (4.0, 0.999_968_328_758_167),
        ] {
            assert!((normal_share(z) - share).abs() < 1e-10, "{z}");
        }
        assert!(normal_share(40.0) >= 1.0);
    }

    #[test]
    fn late_requests_are_above_a_second() {
        let mut random = Random::new(1);
        let above = |late, random: &mut Random| {
            Durations::new(1.0, late)
                .draw(100_000, random)
                .above(1.0)
                .unwrap()
        };
        assert!(above(0.0, &mut random) < 50);
        let late = above(0.03, &mut random);
        assert!((2800..3200).contains(&late), "{late}");
    }

    #[test]
    fn a_ramp_moves_requests_to_the_canary() {
        let traffic = Traffic {
            canary: 100,
            stable: 900,
        };
        let ramp = Course::Ramp {
            rates: [0.01; 3],
            ratio: 1.0,
        };
        let mut random = Random::new(1);
        let mut at = |minute| ramp.minute(minute, traffic, &mut random).canary_requests;
        assert_eq!((at(0), at(9), at(10), at(29)), (100, 100, 250, 500));
        assert_eq!(ramp.minutes(), 30);
    }
}
