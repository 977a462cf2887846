//! The watch over a canary: one interval after the other, until a verdict.

use crate::reading::{Interval, ReadingError};
use crate::sequential::band::Band;
use crate::sequential::combine::adjusted;
use crate::sequential::finding::{Evidence, Figures, Finding, Reason, Verdict};
use crate::sequential::numbers::ln_mean_exp;
use crate::sequential::outlook::{Outlook, Time, missing_requests};
use crate::sequential::settings::{Metric, Rule, Settings, SettingsError};
use crate::sequential::state::State;

/// Why an interval cannot be taken in. Nothing of it was.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WatchError {
    #[error("{got} samples for {metrics} metrics")]
    Samples { got: usize, metrics: usize },
    #[error("`{metric}`: the reading is of another kind than the metric")]
    Kind { metric: String },
    #[error("`{metric}`: {source}")]
    Reading {
        metric: String,
        source: ReadingError,
    },
}

/// Takes the intervals in and holds the evidence, in constant memory.
///
/// The first verdict stands: a pass is not taken back by what comes later, nor is a fail. A metric
/// that passed waits for the other required ones, and until they have passed, too, a fail of all
/// metrics together takes it back.
#[derive(Clone, Debug)]
pub struct Watch {
    settings: Settings,
    metrics: Vec<State>,
    intervals: u32,
    verdict: Option<(Verdict, u32)>,
}

impl Watch {
    pub fn new(settings: Settings) -> Result<Watch, SettingsError> {
        settings.check()?;
        let metrics = settings
            .metrics
            .iter()
            .map(|metric| State::new(&metric.rule));
        Ok(Watch {
            metrics: metrics.collect(),
            settings,
            intervals: 0,
            verdict: None,
        })
    }

    /// Takes an interval in; an interval without data counts as one, and adds nothing.
    pub fn observe(&mut self, interval: &Interval) -> Result<(), WatchError> {
        self.check(interval)?;
        self.intervals += 1;
        let limit = self.settings.alpha.limit();
        for (state, sample) in self.metrics.iter_mut().zip(&interval.metrics) {
            state.observe(sample, limit);
        }
        let beta = self.settings.beta.limit();
        let metrics = &mut self.metrics;
        if metrics
            .iter_mut()
            .any(|state| state.test.may_reach(limit, beta))
        {
            self.decide();
        }
        Ok(())
    }

    /// The deadline has come, in whatever number of intervals: what is certain now is certain, early or not.
    pub fn end(&mut self) {
        self.settings.deadline = Some(self.intervals);
        self.decide();
    }

    fn check(&self, interval: &Interval) -> Result<(), WatchError> {
        let (got, metrics) = (interval.metrics.len(), self.metrics.len());
        if got != metrics {
            return Err(WatchError::Samples { got, metrics });
        }
        for (at, sample) in interval.metrics.iter().enumerate() {
            let Some(reading) = &sample.reading else {
                continue;
            };
            let metric = || self.settings.metrics[at].name.clone();
            match self.metrics[at].test.check(reading) {
                Ok(true) => {}
                Ok(false) => return Err(WatchError::Kind { metric: metric() }),
                Err(source) => {
                    return Err(WatchError::Reading {
                        metric: metric(),
                        source,
                    });
                }
            }
        }
        Ok(())
    }

    fn decide(&mut self) {
        let Settings { alpha, beta, .. } = self.settings;
        let most_missing = self.most_missing();
        let at = self.intervals;
        let is_last = self.intervals_left() == Some(0);
        let ln_fail = self.ln_fail(State::ln_lasting_fail);
        let is_open = self.verdict.is_none();
        let own = self.own_of_required(State::ln_lasting_fail);
        let fails = is_open && ln_mean_exp(&own) >= alpha.limit();
        for (n, state) in self.metrics.iter_mut().enumerate() {
            let required = self.settings.metrics[n].required;
            if required && !is_open {
                continue;
            }
            if ln_fail[n] >= alpha.limit() && (!required || fails) {
                let is_later = state
                    .verdict
                    .is_some_and(|(verdict, _)| verdict == Verdict::Fail);
                if !is_later && (required || state.verdict.is_none()) {
                    state.verdict = Some((Verdict::Fail, at));
                }
            } else if state.verdict.is_none()
                && state.seen > 0
                && f64::from(state.missing) <= most_missing
                && state.ln_pass() >= beta.limit()
                && state.ln_lasting_pass() >= beta.limit()
                && !state.halves_may_differ()
                && state.gone().is_none()
                && (is_last || state.test.is_placebo_told())
                && (is_last || !state.test.is_early(beta.limit()))
            {
                state.verdict = Some((Verdict::Pass, at));
            }
        }
        if !is_open {
            return;
        }
        if fails {
            self.verdict = Some((Verdict::Fail, at));
            // All metrics together are worse, and none of them is by itself: the worst is named.
            let required = self.required();
            if !required.iter().any(|n| self.metrics[*n].is(Verdict::Fail)) {
                let worst = required
                    .into_iter()
                    .max_by(|a, b| ln_fail[*a].total_cmp(&ln_fail[*b]));
                if let Some(worst) = worst {
                    self.metrics[worst].verdict = Some((Verdict::Fail, at));
                }
            }
        } else if self
            .required()
            .iter()
            .all(|n| self.metrics[*n].is(Verdict::Pass))
        {
            self.verdict = Some((Verdict::Pass, at));
        }
    }

    /// Intervals that may lack data where a metric passes.
    fn most_missing(&self) -> f64 {
        self.settings.most_missing * f64::from(self.intervals)
    }

    fn required(&self) -> Vec<usize> {
        let metrics = self.settings.metrics.iter().enumerate();
        let required = metrics.filter(|(_, metric)| metric.required);
        required.map(|(n, _)| n).collect()
    }

    /// Evidence of harm for each metric, of a required one adjusted for the others.
    fn ln_fail(&self, of: fn(&State) -> f64) -> Vec<f64> {
        let mut ln_fail: Vec<f64> = self.metrics.iter().map(of).collect();
        let adjusted = adjusted(&self.own_of_required(of));
        for (n, ln) in self.required().into_iter().zip(adjusted) {
            ln_fail[n] = ln;
        }
        ln_fail
    }

    fn own_of_required(&self, of: fn(&State) -> f64) -> Vec<f64> {
        let required = self.required().into_iter();
        required.map(|n| of(&self.metrics[n])).collect()
    }

    /// Inconclusive until it is decided.
    pub fn verdict(&self) -> Verdict {
        self.verdict
            .map_or(Verdict::Inconclusive, |(verdict, _)| verdict)
    }

    /// The interval that decided, from 1.
    pub fn decided_at(&self) -> Option<u32> {
        self.verdict.map(|(_, at)| at)
    }

    pub fn intervals(&self) -> u32 {
        self.intervals
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Evidence of harm and against it for a metric, as it is after this interval. Cheap, for a
    /// caller that draws it.
    pub fn evidence(&self, metric: usize) -> Option<(Evidence, Evidence)> {
        let ln_e = *self.ln_fail(State::ln_fail).get(metric)?;
        let state = &self.metrics[metric];
        let pass = state.ln_pass();
        Some((
            Evidence {
                ln_e,
                limit: self.settings.alpha.limit(),
            },
            Evidence {
                ln_e: pass,
                limit: self.settings.beta.limit(),
            },
        ))
    }

    /// The ratio of the rates of a metric with the band that holds over all intervals with a
    /// certainty of 1 − `alpha`; of a histogram, that of its worst bound. `None` for gauges.
    pub fn band(&self, metric: usize) -> Option<Band> {
        match self.metrics.get(metric)?.figures(self.settings.alpha) {
            Figures::Rates { ratio, .. } | Figures::Latency { ratio, .. } => Some(ratio),
            Figures::Gauge { .. } | Figures::None => None,
        }
    }

    /// All that is known of each metric.
    pub fn findings(&self) -> Vec<Finding<'_>> {
        (0..self.metrics.len()).map(|n| self.finding(n)).collect()
    }

    fn finding(&self, n: usize) -> Finding<'_> {
        let (state, Metric { name, required, .. }) = (&self.metrics[n], &self.settings.metrics[n]);
        let never = Evidence {
            ln_e: f64::NEG_INFINITY,
            limit: f64::INFINITY,
        };
        let (fail, pass) = self.evidence(n).unwrap_or((never, never));
        let outlook = self.outlook_of(n);
        let mut reasons = state.reasons(self.intervals);
        if state.verdict.is_none() && state.idle().is_none() {
            let reason = match outlook {
                Some(Outlook {
                    fail_in_reach: false,
                    pass_in_reach: false,
                    missing_requests,
                }) => Reason::Futile { missing_requests },
                _ if pass.ln_e >= pass.limit
                    && (f64::from(state.missing) > self.most_missing()
                        || state.gone().is_some()) =>
                {
                    Reason::HeldUp
                }
                _ if pass.ln_e >= pass.limit
                    && (state.test.is_early(pass.limit) || !state.test.is_placebo_told()) =>
                {
                    Reason::Early
                }
                _ if fail.ln_e >= fail.limit || state.pass_is_a_spell(pass.limit) => Reason::Spell,
                _ if state.is_burst(fail.limit) => Reason::Burst,
                _ => Reason::Undecided,
            };
            reasons.push(reason);
        }
        Finding {
            name,
            required: *required,
            verdict: state
                .verdict
                .map_or(Verdict::Inconclusive, |(verdict, _)| verdict),
            decided_at: state.verdict.map(|(_, at)| at),
            intervals: state.seen,
            fail,
            pass,
            figures: state.figures(self.settings.alpha),
            reasons,
            outlook,
        }
    }

    /// The metric that cannot pass any more before the deadline, where a fail cannot be reached either.
    pub fn futile(&self) -> Option<usize> {
        let left = self.intervals_left().filter(|_| self.verdict.is_none())?;
        let required = self.required();
        let best: Vec<_> = required
            .iter()
            .map(|n| self.metrics[*n].at_best(self.time(left)))
            .collect();
        let fails: Vec<f64> = best.iter().map(|(fail, _)| *fail).collect();
        let (futile, _) = required.into_iter().zip(best).find(|(n, (_, pass))| {
            self.metrics[*n].verdict.is_none() && *pass < self.settings.beta.limit()
        })?;
        (ln_mean_exp(&fails) < self.settings.alpha.limit()).then_some(futile)
    }

    /// Intervals until the deadline.
    fn intervals_left(&self) -> Option<u32> {
        (self.intervals > 0).then_some(self.settings.deadline?.saturating_sub(self.intervals))
    }

    fn time(&self, left: u32) -> Time {
        Time {
            past: f64::from(self.intervals),
            left: f64::from(left),
        }
    }

    fn outlook_of(&self, n: usize) -> Option<Outlook> {
        let state = &self.metrics[n];
        if state.verdict.is_some() || self.intervals == 0 {
            return None;
        }
        let time = self.time(self.intervals_left()?);
        let (fail, pass) = state.at_best(time);
        Some(Outlook {
            fail_in_reach: fail >= self.settings.alpha.limit(),
            pass_in_reach: pass >= self.settings.beta.limit(),
            missing_requests: self.missing_requests(n, time),
        })
    }

    /// Requests of both sides that are needed from now on, at the rates seen so far: of a recording that
    /// has ended.
    pub fn missing_from_now(&self, metric: usize) -> Option<u64> {
        self.missing_requests(metric, self.time(0))
    }

    fn missing_requests(&self, n: usize, time: Time) -> Option<u64> {
        let state = self.metrics.get(n).filter(|_| self.intervals > 0)?;
        let (alpha, beta) = (self.settings.alpha.limit(), self.settings.beta.limit());
        let counts_requests = !matches!(self.settings.metrics[n].rule, Rule::Count { .. });
        // No number of requests takes a doubt back, or makes the canary's load a full one.
        let beta_in_reach = if state.may_pass() {
            beta
        } else {
            f64::INFINITY
        };
        let missing = missing_requests(&state.test, time, (alpha, beta_in_reach));
        missing.filter(|_| counts_requests && state.is_comparable())
    }
}
