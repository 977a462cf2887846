//! Before a rollout: how long it takes until a good release passes and a bad one is found.
//!
//! By simulation with the judge itself, the same for the same traffic (a seed).

use crate::random::Random;
use crate::sequential::harm::Limits;
use crate::sequential::part::Part;
use crate::sequential::rates::{BURSTS, RATIOS, Rates};
use crate::sequential::settings::{Chance, SettingsError, Tolerance};

/// What is known of a metric's traffic, and what is asked of the judge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Requests of both sides in an interval.
    pub requests: f64,
    /// The canary's part of them.
    pub share: Chance,
    /// Stable's rate of errors, 0 or more.
    pub rate: f64,
    pub tolerance: Tolerance,
    pub at_most: Option<Chance>,
    pub alpha: Chance,
    pub beta: Chance,
    /// Intervals until the deadline.
    pub deadline: u32,
}

/// Intervals until a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Within {
        /// Half to twice of it is the time that most rollouts take.
        typical: u32,
        median: u32,
        ninety_percent: u32,
    },
    /// In more than half of the rollouts the deadline comes before the verdict. `needed` is the
    /// median without a deadline, where it is not too far to tell.
    Beyond { needed: Option<u32> },
    /// So much worse is tolerated.
    Tolerated,
}

/// What the traffic can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Until a release as good as stable passes.
    pub pass: Reach,
    /// Until one with twice the errors, and with five times, is found.
    pub twice: Reach,
    pub fivefold: Reach,
}

const RUNS: u64 = 400;
/// Steps that are simulated; where little happens in an interval, a step is several.
const STEPS: u32 = 1500;

pub fn plan(traffic: &Traffic) -> Result<Plan, SettingsError> {
    let Traffic { requests, rate, .. } = *traffic;
    if !(requests > 0.0 && requests < 1e12) {
        return Err(SettingsError::Requests(requests));
    }
    if !(0.0..1.0).contains(&rate) {
        return Err(SettingsError::Chance(rate));
    }
    Ok(Plan {
        pass: reach(traffic, 1.0),
        twice: reach(traffic, 2.0),
        fivefold: reach(traffic, 5.0),
    })
}

/// Of a release with so many times the errors of stable.
fn reach(traffic: &Traffic, ratio: f64) -> Reach {
    let canary_rate = (traffic.rate * ratio).min(1.0);
    let is_harm = ratio > traffic.tolerance.get()
        && traffic.at_most.is_none_or(|most| canary_rate > most.get());
    if ratio > 1.0 && !is_harm {
        return Reach::Tolerated;
    }
    let share = traffic.share.get();
    let canary = Part {
        failed: traffic.requests * share * canary_rate,
        exposure: traffic.requests * share,
    };
    let stable = Part {
        failed: traffic.requests * (1.0 - share) * traffic.rate,
        exposure: traffic.requests * (1.0 - share),
    };
    let limited = traffic
        .at_most
        .map_or(0.0, |most| canary.exposure * most.get());
    let events = (canary.failed + stable.failed).max(limited);
    if events <= 0.0 {
        return Reach::Beyond { needed: None };
    }
    // At most about one event in a step.
    let step = (1.0 / events).floor().clamp(1.0, 1e6);
    let mut times: Vec<Option<u32>> = (0..RUNS)
        .map(|seed| {
            let mut random = Random::new(seed);
            first_verdict(traffic, ratio > 1.0, canary, stable, step, &mut random)
        })
        .collect();
    times.sort_by_key(|time| time.unwrap_or(u32::MAX));
    let at = |part: usize| times[times.len() * part / 100];
    match (at(50), at(90)) {
        (Some(median), ninety) if median <= traffic.deadline => Reach::Within {
            typical: typical(
                &times,
                median,
                ninety.unwrap_or(u32::MAX).min(traffic.deadline),
            ),
            median,
            ninety_percent: ninety.unwrap_or(u32::MAX),
        },
        (needed, _) => Reach::Beyond { needed },
    }
}

/// The number up to `most` of which half to twice covers the most of these times; of several such
/// numbers the one that is nearest to the median.
fn typical(times: &[Option<u32>], median: u32, most: u32) -> u32 {
    let within = |number: u32| {
        let number = u64::from(number);
        let times = times.iter().flatten().map(|time| u64::from(*time));
        times
            .filter(|time| 2 * time >= number && *time <= 2 * number)
            .count()
    };
    let candidates = times.iter().flatten().flat_map(|time| {
        // The last number that a time is not below the half of, and the first that it is not
        // above twice of.
        [2 * u64::from(*time), u64::from(time.div_ceil(2))]
    });
    let mut candidates: Vec<u32> = candidates
        .filter_map(|number| u32::try_from(number).ok())
        .filter(|number| *number <= most)
        .chain([median])
        .collect();
    candidates.sort_unstable_by_key(|number| (number.abs_diff(median), *number));
    candidates.dedup();
    // The first of the largest ones.
    let best = candidates
        .into_iter()
        .map(|number| (within(number), number));
    best.reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map_or(median, |(_, number)| number)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "below 2^32"
)]
fn first_verdict(
    traffic: &Traffic,
    fail: bool,
    canary: Part,
    stable: Part,
    step: f64,
    random: &mut Random,
) -> Option<u32> {
    let mut rates = Rates::new(Limits {
        tolerance: traffic.tolerance.get(),
        at_most: traffic.at_most.map(Chance::get),
        spread: RATIOS,
        bursts: BURSTS,
        negligible: None,
    });
    let mut drawn = |part: Part| {
        let failed = random.poisson(part.failed * step) as f64;
        Part {
            failed: failed.min((part.exposure * step).ceil()),
            exposure: part.exposure * step,
        }
    };
    for n in 1..=STEPS {
        rates.add(drawn(canary), &[drawn(stable)]);
        let is_reached = if fail {
            rates.ln_fail(None) >= traffic.alpha.limit()
        } else {
            let limit = traffic.beta.limit();
            rates.ln_pass(None) >= limit && !rates.is_early(None, limit)
        };
        if is_reached {
            return Some((f64::from(n) * step).min(4e9) as u32);
        }
    }
    None
}
