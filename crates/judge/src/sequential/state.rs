//! What is held of one metric during a watch.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::reading::{Attendance, Doubt, Sample};
use crate::sequential::band::Band;
use crate::sequential::finding::{Assumption, BoundFigures, Figures, Idle, Reason, Verdict};
use crate::sequential::latency::Latency;
use crate::sequential::load::{Load, Unequal};
use crate::sequential::outlook::{Time, at_best};
use crate::sequential::rates::Rates;
use crate::sequential::settings::{Chance, Rule};
use crate::sequential::test::{Added, Test, Weighed};

#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) test: Test,
    pub(crate) load: Load,
    attendance: Attendance,
    /// Of the intervals so far, once it was needed.
    weighed: OnceLock<Weighed>,
    /// Intervals with data of both sides, and those without a reading.
    pub(crate) seen: u32,
    pub(crate) missing: u32,
    pub(crate) no_common_bounds: bool,
    /// Whether an interval had both sides, and one of them no requests.
    without_requests: bool,
    /// Of intervals that have data; for good.
    pub(crate) doubts: BTreeSet<Doubt>,
    /// Of intervals that have none.
    pub(crate) causes: BTreeSet<Doubt>,
    pub(crate) halves_differ: bool,
    pub(crate) verdict: Option<(Verdict, u32)>,
}

impl State {
    pub(crate) fn new(rule: &Rule) -> State {
        State {
            test: Test::new(rule),
            load: Load::default(),
            attendance: Attendance::default(),
            weighed: OnceLock::new(),
            seen: 0,
            missing: 0,
            no_common_bounds: false,
            without_requests: false,
            doubts: BTreeSet::new(),
            causes: BTreeSet::new(),
            halves_differ: false,
            verdict: None,
        }
    }

    pub(crate) fn observe(&mut self, sample: &Sample, limit: f64) {
        let Some(reading) = &sample.reading else {
            self.missing += 1;
            self.causes.extend(&sample.doubts);
            return;
        };
        self.doubts.extend(&sample.doubts);
        self.attendance.note(reading);
        match self.test.add(reading, &mut self.load) {
            Added::Data => self.seen += 1,
            Added::NoRequests => self.without_requests = true,
            Added::Nothing => {}
            Added::NoCommonBounds => {
                self.no_common_bounds = true;
                self.missing += 1;
            }
        }
        self.weighed = OnceLock::new();
        if !self.halves_differ && self.test.placebo_may_reach(limit) {
            self.halves_differ = self.weighed().placebo >= limit;
        }
    }

    fn weighed(&self) -> &Weighed {
        self.weighed.get_or_init(|| self.test.weigh())
    }

    /// Whether the halves of stable may differ: what they show so far points that way.
    pub(crate) fn halves_may_differ(&self) -> bool {
        self.weighed().is_placebo_leaning
    }

    pub(crate) fn is(&self, verdict: Verdict) -> bool {
        self.verdict.is_some_and(|(own, _)| own == verdict)
    }

    /// Whether the sides may be compared.
    pub(crate) fn is_comparable(&self) -> bool {
        !self.halves_differ
            && !self.doubts.iter().any(|doubt| doubt.is_of_comparison())
            && matches!(self.load.unequal(), None | Some(Unequal::Less { .. }))
    }

    /// Whether evidence can make it pass. What a doubt is about may hide harm, and so may a light load.
    pub(crate) fn may_pass(&self) -> bool {
        self.is_comparable() && self.doubts.is_empty() && self.load.unequal().is_none()
    }

    /// Evidence of harm; where the sides cannot be compared, there is none.
    pub(crate) fn ln_fail(&self) -> f64 {
        if self.is_comparable() {
            self.weighed().fail
        } else {
            f64::NEG_INFINITY
        }
    }

    /// What of it does not rest on one spell of errors.
    pub(crate) fn ln_lasting_fail(&self) -> f64 {
        let ln_fail = self.ln_fail();
        if ln_fail <= 0.0 {
            return ln_fail;
        }
        ln_fail.min(self.test.ln_lasting_fail())
    }

    /// Evidence against harm; none where it could not make it pass.
    pub(crate) fn ln_pass(&self) -> f64 {
        if self.may_pass() {
            self.weighed().pass
        } else {
            f64::NEG_INFINITY
        }
    }

    /// What of it does not rest on one spell of errors.
    pub(crate) fn ln_lasting_pass(&self) -> f64 {
        self.ln_pass().min(self.test.ln_lasting_pass())
    }

    /// Whether the evidence for a pass is above a limit, and what of it does not rest on one spell is not.
    pub(crate) fn pass_is_a_spell(&self, limit: f64) -> bool {
        self.ln_pass() >= limit && self.ln_lasting_pass() < limit
    }

    /// The evidence for a fail and for a pass at the deadline, if all goes as far that way as it may.
    pub(crate) fn at_best(&self, time: Time) -> (f64, f64) {
        let (fail, pass) = at_best(&self.test, time);
        let or_none = |ln: f64, now: f64| if now.is_finite() { ln } else { now };
        (or_none(fail, self.ln_fail()), or_none(pass, self.ln_pass()))
    }

    /// Which side has been there and has had no requests at all.
    pub(crate) fn idle(&self) -> Option<Idle> {
        let (canary, stable) = self.test.shown().filter(|_| self.without_requests)?;
        match (canary.exposure > 0.0, stable.exposure > 0.0) {
            (false, true) => Some(Idle::Canary),
            (true, false) => Some(Idle::Stable),
            (false, false) => Some(Idle::Both),
            (true, true) => None,
        }
    }

    pub(crate) fn reasons(&self, intervals: u32) -> Vec<Reason> {
        let idle = self.idle();
        let mut reasons: Vec<Reason> = idle.map(Reason::NoRequests).into_iter().collect();
        if self.halves_differ {
            reasons.push(Reason::HalvesOfStable);
        }
        if !self.halves_differ && self.halves_may_differ() && self.verdict.is_none() {
            reasons.push(Reason::HalvesMayDiffer);
        }
        reasons.extend(self.load.unequal().map(Reason::from));
        let doubts = self
            .doubts
            .iter()
            .chain(self.causes.difference(&self.doubts));
        reasons.extend(doubts.map(|doubt| Reason::Doubt(*doubt)));
        reasons.extend(self.gone().filter(|_| self.verdict.is_none()));
        if idle.is_none() && self.no_common_bounds {
            reasons.push(Reason::NoCommonBounds);
        } else if idle.is_none() && self.seen == 0 {
            reasons.push(Reason::NoData);
        }
        if let Test::Latency(latency) = &self.test
            && let [(lowest, _), ..] = latency.bounds()
            && let [.., (highest, _)] = latency.bounds()
            && !latency.tells_of_stable()
        {
            let (lowest, highest) = (*lowest, *highest);
            reasons.push(Reason::BoundsTellNothing { lowest, highest });
        }
        if self.missing > 0 && self.seen > 0 {
            reasons.push(Reason::Missing {
                missing: self.missing,
                intervals,
            });
        }
        if let Test::Gauge(gauge) = &self.test
            && self.verdict.is_none()
            && !gauge.has_enough_blocks()
        {
            let (blocks, scrapes) = (gauge.blocks(), gauge.block());
            reasons.push(Reason::FewBlocks { blocks, scrapes });
        }
        reasons
    }

    /// What was compared and is not there any more: a pass waits until it is back.
    pub(crate) fn gone(&self) -> Option<Reason> {
        match &self.test {
            _ if self.attendance.is_one_gone() => Some(Reason::InstanceGone),
            Test::Latency(latency) => latency.lost.map(Reason::BoundGone),
            _ => None,
        }
    }

    /// Whether the evidence for a fail would reach a limit, if the errors of single intervals counted.
    pub(crate) fn is_burst(&self, limit: f64) -> bool {
        matches!(&self.test, Test::Rates(rates) if self.is_comparable() && rates.ln_fail_of_all() >= limit)
    }

    pub(crate) fn figures(&self, alpha: Chance) -> Figures {
        let verdict = self.verdict.map(|(verdict, _)| verdict);
        match &self.test {
            Test::Rates(rates) => of_rates(rates, alpha, verdict),
            Test::Latency(latency) => of_latency(latency, alpha, verdict).unwrap_or(Figures::None),
            Test::Gauge(gauge) => match gauge.levels() {
                None => Figures::None,
                Some((canary, stable)) => Figures::Gauge {
                    canary,
                    stable,
                    correlation: gauge.correlation(),
                    block: gauge.block(),
                    blocks: gauge.blocks(),
                },
            },
        }
    }
}

/// The band is two-sided, and no narrower than it must be for a look at any time. A verdict says more of
/// one side: behind it, the band ends at the tolerance, unless a pass may rest on an absolute limit.
fn band(rates: &Rates, alpha: Chance, variance: Option<f64>, verdict: Option<Verdict>) -> Band {
    let mut ratio = rates.band(alpha.get(), variance);
    let estimate = ratio.estimate.unwrap_or(1.0);
    let limits = rates.limits();
    let negligible = limits.at_most.or(limits.negligible);
    let is_above = negligible.is_none_or(|most| rates.observed_parts().0.rate() > most);
    match verdict {
        Some(Verdict::Fail) => ratio.low = ratio.low.max(limits.tolerance).min(estimate),
        Some(Verdict::Pass) if is_above => {
            ratio.high = ratio.high.min(limits.tolerance).max(estimate);
        }
        _ => {}
    }
    ratio
}

fn of_rates(rates: &Rates, alpha: Chance, verdict: Option<Verdict>) -> Figures {
    let variance = rates.variance();
    let (canary, stable) = rates.observed_parts();
    Figures::Rates {
        ratio: band(rates, alpha, variance, verdict),
        canary: (canary.failed, canary.exposure),
        stable: (stable.failed, stable.exposure),
        assumption: assumption(rates, variance),
    }
}

fn assumption(rates: &Rates, variance: Option<f64>) -> Assumption {
    let Some((within, over_blocks)) = variance.zip(rates.over_blocks(variance)) else {
        return Assumption::Independent;
    };
    if over_blocks > within {
        Assumption::InSpells {
            within,
            over_blocks,
        }
    } else {
        Assumption::Variance(within)
    }
}

fn of_latency(latency: &Latency, alpha: Chance, verdict: Option<Verdict>) -> Option<Figures> {
    let variances = latency.variances();
    let at = match verdict {
        Some(Verdict::Pass) => latency.slowest_pass(&variances)?,
        _ => latency.worst(&variances)?,
    };
    let (bound, rates) = &latency.bounds()[at];
    let (canary, stable) = rates.observed_parts();
    let (compared, of_stable) = latency.compared();
    Some(Figures::Latency {
        worst: BoundFigures {
            bound: *bound,
            canary: canary.rate(),
            stable: stable.rate(),
        },
        ratio: band(rates, alpha, variances[at], verdict),
        assumption: assumption(rates, variances[at]),
        compared,
        of_stable,
    })
}
