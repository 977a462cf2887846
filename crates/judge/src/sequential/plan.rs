//! Before a rollout: how long it takes until a good release passes and a bad one is found.
//!
//! By simulation with the judge itself, the same for the same traffic (a seed).

use crate::random::Random;
use crate::reading::{Buckets, SideData, Sides};
use crate::sequential::harm::Limits;
use crate::sequential::latency::Latency;
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
    /// Stable's rate of errors, 0 or more and below 1.
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
pub enum IntervalsToVerdict {
    Within {
        /// Half to twice of it is the time that most rollouts take.
        typical: u32,
        /// How many of a hundred: no number covers more of them.
        near_typical: u32,
        median: u32,
        ninety_percent: u32,
        /// At least eight of ten rollouts end no earlier than this and no later than that.
        earliest: u32,
        latest: u32,
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
    pub pass: IntervalsToVerdict,
    /// Until one with twice the errors, and with five times, is found.
    pub twice: IntervalsToVerdict,
    pub fivefold: IntervalsToVerdict,
}

const RUNS: u64 = 600;
/// Of a hundred rollouts so many end before the earliest time that is told, and as many after the latest
/// one. Somewhat fewer than one of ten: the times are themselves estimates.
const OUTSIDE: usize = 7;
/// Steps that are simulated; where little happens in an interval, a step is several.
const STEPS: u32 = 1500;

/// How long it takes by failures of requests.
pub fn plan(traffic: &Traffic) -> Result<Plan, SettingsError> {
    check(traffic)?;
    let Traffic { rate, .. } = *traffic;
    if !(0.0..1.0).contains(&rate) {
        return Err(SettingsError::Chance(rate));
    }
    Ok(plan_by(traffic, &Errors))
}

/// How long it takes by a histogram: `slower` has its bounds, each with the part of stable's requests that
/// is slower, and no rate of errors counts. A release is so many times worse where so many times as many
/// of its requests are above each bound, or all of them.
pub fn plan_latency(
    traffic: &Traffic,
    slower: impl IntoIterator<Item = (f64, f64)>,
) -> Result<Plan, SettingsError> {
    check(traffic)?;
    let mut slower: Vec<(f64, f64)> = slower.into_iter().collect();
    if let Some((_, odd)) = slower.iter().find(|(_, part)| !(0.0..=1.0).contains(part)) {
        return Err(SettingsError::Chance(*odd));
    }
    slower.retain(|(bound, _)| bound.is_finite());
    slower.sort_by(|a, b| a.0.total_cmp(&b.0));
    slower.dedup_by(|a, b| a.0.total_cmp(&b.0).is_eq());
    // What is slower than a bound is slower than those below it.
    let mut most = 1.0_f64;
    for (_, part) in &mut slower {
        most = most.min(*part);
        *part = most;
    }
    Ok(plan_by(traffic, &Durations(slower)))
}

fn check(traffic: &Traffic) -> Result<(), SettingsError> {
    let Traffic { requests, .. } = *traffic;
    if requests > 0.0 && requests < 1e12 {
        Ok(())
    } else {
        Err(SettingsError::Requests(requests))
    }
}

fn plan_by(traffic: &Traffic, service: &impl Service) -> Plan {
    Plan {
        pass: reach(traffic, service, 1.0),
        twice: reach(traffic, service, 2.0),
        fivefold: reach(traffic, service, 5.0),
    }
}

/// Of a release with so many times the errors of stable.
fn reach(traffic: &Traffic, service: &impl Service, ratio: f64) -> IntervalsToVerdict {
    let is_harm = ratio > traffic.tolerance.get() && { traffic.at_most }
        .is_none_or(|most| service.most_errors(traffic, ratio) > most.get());
    if ratio > 1.0 && !is_harm {
        return IntervalsToVerdict::Tolerated;
    }
    if !service.has_events(traffic) {
        return IntervalsToVerdict::Beyond { needed: None };
    }
    let mut times: Vec<Option<u32>> = (0..service.runs())
        .map(|seed| service.first_verdict(traffic, ratio, &mut Random::new(seed)))
        .collect();
    times.sort_by_key(|time| time.unwrap_or(u32::MAX));
    let at = |part: usize| times[times.len() * part / 100];
    match (at(50), at(90)) {
        (Some(median), ninety) if median <= traffic.deadline => {
            let most = ninety.unwrap_or(u32::MAX).min(traffic.deadline);
            let (typical, near) = typical(&times, median, most);
            IntervalsToVerdict::Within {
                typical,
                near_typical: u32::try_from(near * 100 / times.len()).unwrap_or(100),
                median,
                ninety_percent: ninety.unwrap_or(u32::MAX),
                earliest: at(OUTSIDE).unwrap_or(median),
                latest: at(100 - OUTSIDE).unwrap_or(u32::MAX),
            }
        }
        (needed, _) => IntervalsToVerdict::Beyond { needed },
    }
}

/// The number up to `most` of which half to twice covers the most of these times, and how many it covers;
/// of several such numbers the one that is nearest to the median.
fn typical(times: &[Option<u32>], median: u32, most: u32) -> (u32, usize) {
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
        .map_or((median, 0), |(near, number)| (number, near))
}

/// What is simulated.
trait Service {
    fn runs(&self) -> u64;

    /// The part of the requests of a release so many times worse that are errors; of several kinds of
    /// them, of the one with the most.
    fn most_errors(&self, traffic: &Traffic, ratio: f64) -> f64;

    /// Whether there ever is anything to decide by.
    fn has_events(&self, traffic: &Traffic) -> bool;

    /// The interval of the first verdict in a rollout: a pass of a release as good as stable, a fail of
    /// one that is worse.
    fn first_verdict(&self, traffic: &Traffic, ratio: f64, random: &mut Random) -> Option<u32>;
}

/// Failures of requests.
struct Errors;

impl Service for Errors {
    fn runs(&self) -> u64 {
        RUNS
    }

    fn most_errors(&self, traffic: &Traffic, ratio: f64) -> f64 {
        (traffic.rate * ratio).min(1.0)
    }

    fn has_events(&self, traffic: &Traffic) -> bool {
        traffic.rate > 0.0 || traffic.at_most.is_some()
    }

    fn first_verdict(&self, traffic: &Traffic, ratio: f64, random: &mut Random) -> Option<u32> {
        let share = traffic.share.get();
        let part = |share: f64, rate: f64| Part {
            failed: traffic.requests * share * rate,
            exposure: traffic.requests * share,
        };
        let canary = part(share, self.most_errors(traffic, ratio));
        let stable = part(1.0 - share, traffic.rate);
        let at_most = traffic.at_most.map(Chance::get);
        let limited = at_most.map_or(0.0, |most| canary.exposure * most);
        let events = (canary.failed + stable.failed).max(limited);
        // At most about one event in a step.
        let step = (1.0 / events).floor().clamp(1.0, 1e6);
        let mut rates = Rates::new(Limits {
            tolerance: traffic.tolerance.get(),
            at_most,
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
        let (fail, pass) = (traffic.alpha.limit(), traffic.beta.limit());
        for n in 1..=STEPS {
            rates.add(drawn(canary), &[drawn(stable)]);
            let is_reached = if ratio > 1.0 {
                rates.ln_fail(None) >= fail
            } else {
                rates.ln_pass(None) >= pass && !rates.is_early(None, pass)
            };
            if is_reached {
                return Some(intervals(f64::from(n) * step));
            }
        }
        None
    }
}

/// Bounds, in rising order, with the part of stable's requests that is slower.
struct Durations(Vec<(f64, f64)>);

/// Beyond the deadline, so large a part of the time so far is one step.
const STRIDE: f64 = 0.05;
/// Further intervals are not looked at.
const FARTHEST: f64 = 1e6;

impl Durations {
    /// The buckets of so many requests, where so many times as many are above each bound.
    fn drawn(&self, requests: f64, ratio: f64, random: &mut Random) -> Option<SideData<Buckets>> {
        let mut above = 1.0;
        let mut count = 0;
        let mut draw = |up_to: f64, slower: f64| {
            let within = random.poisson(requests * (above - slower));
            above = slower;
            count += within;
            (up_to, count)
        };
        let bounds = self.0.iter();
        let mut buckets: Vec<(f64, u64)> = bounds
            .map(|(bound, slower)| draw(*bound, (slower * ratio).min(1.0)))
            .collect();
        buckets.push(draw(f64::INFINITY, 0.0));
        Buckets::new(buckets).ok().map(SideData::Whole)
    }
}

impl Service for Durations {
    /// Fewer than of failures: each has as many tests as there are bounds.
    fn runs(&self) -> u64 {
        RUNS / 2
    }

    fn most_errors(&self, _: &Traffic, ratio: f64) -> f64 {
        let most = self.0.iter().map(|(_, slower)| slower * ratio);
        most.fold(0.0, f64::max).min(1.0)
    }

    fn has_events(&self, _: &Traffic) -> bool {
        !self.0.is_empty()
    }

    fn first_verdict(&self, traffic: &Traffic, ratio: f64, random: &mut Random) -> Option<u32> {
        let share = traffic.share.get();
        let at_most = traffic.at_most.map(Chance::get);
        let mut latency = Latency::new(traffic.tolerance.get(), at_most);
        let (fail, pass) = (traffic.alpha.limit(), traffic.beta.limit());
        let mut at = 0.0;
        while at < FARTHEST {
            let step = if at < f64::from(traffic.deadline) {
                1.0
            } else {
                (at * STRIDE).floor().max(1.0)
            };
            at += step;
            let requests = traffic.requests * step;
            latency.add(&Sides {
                canary: self.drawn(requests * share, ratio, random)?,
                stable: self.drawn(requests * (1.0 - share), 1.0, random)?,
            });
            if !latency.may_reach(fail, pass) {
                continue;
            }
            let variances = latency.variances();
            let is_reached = if ratio > 1.0 {
                latency.ln_fail(&variances) >= fail
            } else {
                latency.ln_pass(&variances) >= pass && !latency.is_early(&variances, pass)
            };
            if is_reached {
                return Some(intervals(at));
            }
        }
        None
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "below 2^32"
)]
fn intervals(count: f64) -> u32 {
    count.min(4e9) as u32
}
