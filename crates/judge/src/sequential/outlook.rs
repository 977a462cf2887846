//! Whether a verdict is still to be reached before the deadline, and what it would take.
//!
//! A projection, no guarantee: errors come on as they did so far. Out of reach is a verdict that
//! is not reached even by counts [`LEAN`] standard deviations (of what the rates are known to, and
//! of what is to come) on its side, of both sides' errors. Of a side that has had hardly any requests
//! nothing is projected: it may be about to serve.

use crate::sequential::clustering::{ASSUMED, Clustering};
use crate::sequential::numbers::ln_mean_exp;
use crate::sequential::part::Part;
use crate::sequential::rates::Rates;
use crate::sequential::test::Test;

/// What the time until the deadline can bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    pub fail_in_reach: bool,
    pub pass_in_reach: bool,
    /// Requests of both sides that are needed beyond those until the deadline, at the rates seen so
    /// far; `None` where none are, or no number of them would do.
    pub missing_requests: Option<u64>,
}

const LEAN: f64 = 1.5;
/// Of a side, to know how many will come.
const FEWEST_REQUESTS: f64 = 30.0;
/// Further intervals that are looked ahead when no deadline is near enough.
const FARTHEST: f64 = 1e6;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Lean {
    Worse,
    Better,
    /// As seen so far.
    Straight,
}

/// The time so far and from now on, in intervals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    pub(crate) past: f64,
    pub(crate) left: f64,
}

/// The evidence at the deadline: for a fail if all goes as badly as it may, and for a pass if it
/// goes as well.
pub(crate) fn at_best(test: &Test, time: Time) -> (f64, f64) {
    let is_known =
        |(canary, stable): (Part, Part)| canary.exposure.min(stable.exposure) >= FEWEST_REQUESTS;
    match test {
        Test::Rates(_) | Test::Latency(_)
            if time.left > 0.0 && !test.shown().is_some_and(is_known) =>
        {
            (f64::INFINITY, f64::INFINITY)
        }
        Test::Rates(_) | Test::Latency(_) => (
            projected(test, time, Lean::Worse).0,
            projected(test, time, Lean::Better).1,
        ),
        Test::Gauge(gauge) => {
            let reach = if gauge.can_have_blocks(time.left) {
                f64::INFINITY
            } else {
                0.0
            };
            (reach, reach)
        }
    }
}

/// Requests of both sides beyond those until the deadline, until either limit is reached.
pub(crate) fn missing_requests(test: &Test, time: Time, limits: (f64, f64)) -> Option<u64> {
    let (canary, stable) = test.shown()?;
    let requests = canary.exposure + stable.exposure;
    let is_enough = |left: f64| {
        let (fail, pass) = projected(test, Time { left, ..time }, Lean::Straight);
        fail >= limits.0 || pass >= limits.1
    };
    let mut left = time.left.max(1.0);
    while !is_enough(left) {
        left *= 1.1;
        if left > FARTHEST {
            return None;
        }
    }
    let missing = (left - time.left) * requests / time.past;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates"
    )]
    Some(missing.max(0.0).ceil() as u64).filter(|missing| *missing > 0)
}

fn projected(test: &Test, time: Time, lean: Lean) -> (f64, f64) {
    match test {
        Test::Rates(rates) => of_rates(rates, ASSUMED, time, lean),
        Test::Latency(latency) => {
            let assumed = later(latency.buckets(), time).variance(ASSUMED);
            let of = |rates: &Rates| of_rates(rates, assumed, time, lean);
            let each: Vec<_> = latency
                .bounds()
                .iter()
                .map(|(_, rates)| of(rates))
                .collect();
            if each.is_empty() {
                return (0.0, 0.0);
            }
            let fails: Vec<f64> = each.iter().map(|(fail, _)| *fail).collect();
            let passes = each.iter().map(|(_, pass)| *pass);
            (ln_mean_exp(&fails), passes.fold(f64::INFINITY, f64::min))
        }
        Test::Gauge(_) => (0.0, 0.0),
    }
}

fn later(clustering: &Clustering, time: Time) -> Clustering {
    clustering.times((time.past + time.left) / time.past.max(1.0))
}

fn of_rates(rates: &Rates, assumed: f64, time: Time, lean: Lean) -> (f64, f64) {
    let variance = rates
        .clustering()
        .map(|seen| later(seen, time).variance(assumed));
    let growth = time.left / time.past.max(1.0);
    let (canary, stable) = rates.observed_parts();
    let to_come = |shown: Part, direction: f64| {
        let straight = shown.failed * growth;
        let spread = variance.unwrap_or(1.0) * (shown.failed + 1.0) * growth * (1.0 + growth);
        let more = direction * LEAN * spread.sqrt() + direction.max(0.0) * growth;
        let exposure = shown.exposure * growth;
        Part {
            failed: (straight + more).clamp(0.0, exposure.max(straight)),
            exposure,
        }
    };
    let (of_canary, of_stable) = match lean {
        Lean::Worse => (1.0, -1.0),
        Lean::Better => (-1.0, 1.0),
        Lean::Straight => (0.0, 0.0),
    };
    let (canary, stable) = (to_come(canary, of_canary), to_come(stable, of_stable));
    let after = rates.after(canary, stable, time.left);
    (after.ln_fail(variance), after.ln_pass(variance))
}
