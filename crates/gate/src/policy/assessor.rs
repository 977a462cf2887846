//! The judgement as a fold: constant work and memory for each sample, so that a gate can watch
//! thousands of endpoints for hours.

use std::time::Duration;

use config::file::Policy;
use config::value::{Portion, Span};
use model::Verdict;
use model::text::counted;

use super::standing::{Conclusion, ProbeProgress, Sample};

/// A soak counts only if at most one in so many of its slots was missed because this process was stopped.
const MAX_MISSED_ONE_IN: u32 = 10;

/// What a policy concludes from the samples so far. It has no clock: samples carry their slot, and
/// the caller passes the time.
#[derive(Clone, Debug)]
pub struct Assessor {
    now: ProbeProgress,
    /// The slot of the first measurement.
    first: Duration,
    /// The slot of the last sample.
    last: Option<Duration>,
    /// Since the last success, as are `inconclusive`: if a failure in between restarted the count,
    /// alternating failures and errors would be watched forever (argo-rollouts#4479).
    errors: u32,
    inconclusive: u32,
    saw: Verdict,
    /// Whether any measurement could not be made: `saw` forgets it with the first failure.
    erred: bool,
    /// How long we ourselves were stopped before it passed.
    stopped: Duration,
    /// With `--watch`, a pass does not end the probe; a later failure replaces it.
    watching: bool,
    conclusion: Option<Conclusion>,
}

impl Assessor {
    /// One whose first measurement is due `offset` after the policy's initial delay.
    pub fn new(policy: &Policy, offset: Duration) -> Self {
        // No `..`: a new key does not compile until it is used below.
        let Policy {
            initial_delay,
            interval: _,
            timeout: _,
            success_threshold: _,
            failure_limit: _,
            failing_for: _,
            startup: _,
            error_limit: _,
            inconclusive_limit: _,
            min_samples: _,
            deadline: _,
            soak: _,
            soak_failure_limit: _,
        } = *policy;
        Assessor {
            now: ProbeProgress::default(),
            first: initial_delay.get() + offset,
            last: None,
            errors: 0,
            inconclusive: 0,
            saw: Verdict::Pass,
            erred: false,
            stopped: Duration::ZERO,
            watching: false,
            conclusion: None,
        }
    }

    /// Goes on after a pass, for `--watch`.
    pub fn watching(mut self) -> Self {
        self.watching = true;
        self
    }

    /// Goes on after a conclusion as a probe that has passed: what comes can only be worse.
    pub fn resume_as_passed(&mut self, at: Duration) {
        self.now = ProbeProgress {
            passed_at: Some(at),
            ..ProbeProgress::default()
        };
        self.errors = 0;
        self.inconclusive = 0;
        self.conclusion = None;
    }

    /// The successes so far prove nothing, nor does a pass by them: they are counted from here on.
    pub fn void_successes(&mut self) {
        self.conclusion.take_if(|conclusion| conclusion.is_pass());
        self.now = ProbeProgress {
            streak: 0,
            good: 0,
            passed_at: None,
            soaked: 0,
            soak_failed: 0,
            soak_missed: 0,
            ..self.now
        };
    }

    /// The standing of the probe by its samples alone.
    pub fn standing(&self) -> &ProbeProgress {
        &self.now
    }

    /// The slot of the next measurement: slots that are past `elapsed` are left out.
    pub fn next_slot(&self, policy: &Policy, elapsed: Duration) -> Duration {
        let interval = interval(policy);
        let next = self.last.map_or(self.first, |last| last + interval);
        let late = elapsed.saturating_sub(next);
        let left_out = u32::try_from(late.as_nanos().div_ceil(interval.as_nanos()));
        next + interval.saturating_mul(left_out.unwrap_or(u32::MAX))
    }

    /// The conclusion, or the standing of the probe at this time, with no measurement under way.
    pub fn stands(&self, policy: &Policy, elapsed: Duration) -> Result<Conclusion, ProbeProgress> {
        match &self.conclusion {
            Some(conclusion) => Ok(conclusion.clone()),
            None => self.out_of_time(policy, elapsed).ok_or(self.now),
        }
    }

    /// Takes the next sample. After a conclusion it changes nothing.
    pub fn push(&mut self, policy: &Policy, sample: Sample) {
        if self.conclusion.is_none() {
            self.conclusion = self.out_of_time(policy, sample.at);
        }
        if self.conclusion.is_none() {
            self.count(policy, sample);
            self.conclusion = self.judge(policy, sample);
        }
    }

    /// Records that we ourselves were stopped for a span of time. Nothing was measured then, which
    /// proves nothing about the service: every time limit is extended by that span, and a soak counts
    /// the slots that it lost.
    pub fn stopped(&mut self, policy: &Policy, from: Duration, to: Duration) {
        let lasted = to.saturating_sub(from);
        if let Some(since) = &mut self.now.failing_since {
            *since += lasted;
        }
        match self.now.passed_at {
            None => self.stopped += lasted,
            Some(passed_at) => {
                let end = (passed_at + policy.soak.get()).min(to);
                let before = self.slots_before(policy, from);
                let lost = self.slots_before(policy, end).saturating_sub(before);
                self.now.soak_missed = self.now.soak_missed.saturating_add(lost);
            }
        }
    }

    /// How many slots there are before this time.
    fn slots_before(&self, policy: &Policy, at: Duration) -> u32 {
        let since = at.saturating_sub(self.first).as_nanos();
        let slots = since.div_ceil(interval(policy).as_nanos());
        u32::try_from(slots).unwrap_or(u32::MAX)
    }

    /// By when it must have passed: a time in which we ourselves were stopped is not counted.
    pub fn deadline(&self, policy: &Policy) -> Duration {
        policy.deadline.get() + self.stopped
    }

    /// Ends with a failure that nothing measured later can undo, unless it has ended already.
    pub fn give_up(&mut self) {
        self.conclusion.get_or_insert_with(|| Conclusion {
            verdict: Verdict::Fail,
            reason: "failed, and can no longer pass".to_owned(),
        });
    }

    fn count(&mut self, policy: &Policy, sample: Sample) {
        let now = &mut self.now;
        now.seen += 1;
        self.saw = self.saw.max(sample.verdict);
        self.erred |= sample.verdict == Verdict::Error;
        self.last = Some(sample.at);
        let soaking = now.passed_at.is_some();
        now.soaked += u32::from(soaking);
        let startup = policy.startup.get();
        let starting = now.good == 0 && !soaking && !startup.is_zero() && sample.at <= startup;
        if sample.verdict == Verdict::Pass {
            now.good += 1;
            now.streak += 1;
            self.errors = 0;
            self.inconclusive = 0;
            now.failing_since = None;
            return;
        }
        now.streak = 0;
        match sample.verdict {
            Verdict::Fail if !starting => {
                now.failed += 1;
                now.soak_failed += u32::from(soaking);
                now.failing_since.get_or_insert(sample.at);
            }
            Verdict::Error => self.errors += 1,
            Verdict::Inconclusive => self.inconclusive += 1,
            _ => {}
        }
    }

    /// The rules in their order; the first that decides ends the probe.
    fn judge(&mut self, policy: &Policy, sample: Sample) -> Option<Conclusion> {
        self.failed_too_much(policy, sample)
            .or_else(|| self.silent_too_long(policy))
            .or_else(|| self.passed(policy, sample))
    }

    /// `failing-for` where it is set; else `soak-failure-limit` once the probe has passed, and
    /// `failure-limit` before.
    fn failed_too_much(&self, policy: &Policy, sample: Sample) -> Option<Conclusion> {
        let fail = |reason| {
            Some(Conclusion {
                verdict: Verdict::Fail,
                reason,
            })
        };
        let now = &self.now;
        if let Some(limit) = policy.failing_for {
            let lasted = sample.at.saturating_sub(now.failing_since?);
            if sample.verdict != Verdict::Fail || lasted < limit.get() {
                return None;
            }
            let lasted = Span::from(lasted);
            return fail(format!("failing for {lasted} ≥ failing-for ({limit})"));
        }
        if now.passed_at.is_some() {
            return if now.soak_failed as usize > self.budget(policy) {
                fail(self.over_budget(policy))
            } else {
                None
            };
        }
        let limit = policy.failure_limit?;
        if now.failed <= limit {
            return None;
        }
        fail(format!("failed ({}) > failure-limit ({limit})", now.failed))
    }

    /// A watch has no end, so there a share is one of the measurements so far.
    fn budget(&self, policy: &Policy) -> usize {
        let soaked = if self.watching { self.now.soaked } else { 0 };
        soak_budget(policy, soaked)
    }

    fn over_budget(&self, policy: &Policy) -> String {
        let (failed, limit) = (self.now.soak_failed, policy.soak_failure_limit);
        match limit {
            Portion::Count(_) => {
                format!("failed while soaking ({failed}) > soak-failure-limit ({limit})")
            }
            Portion::Percent(_) => format!(
                "failed while soaking ({failed} of {}) > soak-failure-limit ({limit})",
                self.now.soaked
            ),
        }
    }

    fn silent_too_long(&self, policy: &Policy) -> Option<Conclusion> {
        let (verdict, reason) = if self.errors > policy.error_limit {
            let reason = format!(
                "errors in a row ({}) > error-limit ({})",
                self.errors, policy.error_limit
            );
            (Verdict::Error, reason)
        } else if self.inconclusive > policy.inconclusive_limit {
            let reason = format!(
                "inconclusive in a row ({}) > inconclusive-limit ({})",
                self.inconclusive, policy.inconclusive_limit
            );
            (Verdict::Inconclusive, reason)
        } else {
            return None;
        };
        let before = self.worst_before_it_passed(policy);
        if before <= verdict {
            return Some(Conclusion { verdict, reason });
        }
        let reason = match before {
            Verdict::Fail => format!("{reason}, after failures ({})", self.now.failed),
            _ => format!("{reason}, after errors"),
        };
        Some(Conclusion {
            verdict: before,
            reason,
        })
    }

    /// What silence must not mask. Once the probe has passed, the soak's budget decides what a failure
    /// means; a failure that the startup excuses or that did not last as long as `failing-for`
    /// does not count.
    fn worst_before_it_passed(&self, policy: &Policy) -> Verdict {
        let failed = match policy.failing_for {
            Some(_) => self.now.failing_since.is_some(),
            None => self.now.failed > 0,
        };
        match self.now.passed_at {
            None if failed => Verdict::Fail,
            None if self.erred => Verdict::Error,
            _ => Verdict::Pass,
        }
    }

    fn passed(&mut self, policy: &Policy, sample: Sample) -> Option<Conclusion> {
        if sample.verdict != Verdict::Pass {
            return None;
        }
        let now = &mut self.now;
        if now.passed_at.is_none()
            && now.streak >= policy.success_threshold
            && now.good >= policy.min_samples
        {
            now.passed_at = Some(sample.at);
        }
        let soaked_at = now.passed_at? + policy.soak.get();
        // At the end of the soak the last word must be a success too.
        if self.watching || sample.at < soaked_at {
            return None;
        }
        // Slots were left out, and so the budget is smaller than it looked.
        let allowed = policy.soak_failure_limit.at_most(self.now.soaked as usize);
        if policy.failing_for.is_none() && self.now.soak_failed as usize > allowed {
            return Some(Conclusion {
                verdict: Verdict::Fail,
                reason: self.over_budget(policy),
            });
        }
        let (made, missed) = (self.now.soaked, self.now.soak_missed);
        let all = made.saturating_add(missed);
        if missed > all / MAX_MISSED_ONE_IN {
            return Some(Conclusion {
                verdict: Verdict::Inconclusive,
                reason: format!(
                    "soaked {}, but only {made} of {all} measurements were made: this process was paused",
                    policy.soak
                ),
            });
        }
        let threshold = policy.success_threshold;
        let mut reason = format!(
            "successes in a row ({}) ≥ success-threshold ({threshold})",
            self.now.streak.max(threshold)
        );
        if !policy.soak.get().is_zero() {
            reason.push_str(&format!(", soaked {}", policy.soak));
        }
        Some(Conclusion {
            verdict: Verdict::Pass,
            reason,
        })
    }

    /// The conclusion that time alone brings.
    fn out_of_time(&self, policy: &Policy, elapsed: Duration) -> Option<Conclusion> {
        match self.now.passed_at {
            None => self.too_late_to_pass(policy, elapsed),
            Some(_) if self.watching => None,
            Some(passed_at) => self.soak_without_end(policy, passed_at, elapsed),
        }
    }

    fn too_late_to_pass(&self, policy: &Policy, elapsed: Duration) -> Option<Conclusion> {
        let now = &self.now;
        let (deadline, until) = (policy.deadline, self.deadline(policy));
        let threshold = policy.success_threshold;
        let counts = format!("{} failed of {} measured", now.failed, now.seen);
        let reason = if elapsed >= until {
            format!(
                "not passed within deadline ({deadline}): {} of {threshold} successes in a row, {counts}",
                now.streak
            )
        } else if now.seen == 0 && self.first >= until {
            let first = Span::from(self.first);
            format!("nothing can be measured within deadline ({deadline}): it begins at {first}")
        } else if now.seen == 0 {
            // Even a policy that leaves too little time is worth one measurement.
            return None;
        } else {
            let missing = now.missing(policy, elapsed).total();
            let next = self.next_slot(policy, elapsed);
            let left = until.saturating_sub(next).as_nanos();
            let left = left.div_ceil(interval(policy).as_nanos());
            if left >= u128::from(missing) {
                return None;
            }
            let needed = counted(missing as usize, "more success", "more successes");
            format!(
                "can no longer pass: needs {needed}, only {left} fit before the deadline ({deadline}), {counts}"
            )
        };
        let verdict = match self.saw {
            Verdict::Fail | Verdict::Error => self.saw,
            _ => Verdict::Inconclusive,
        };
        Some(Conclusion { verdict, reason })
    }

    /// A soak ends, even if its last measurements could not be made.
    fn soak_without_end(
        &self,
        policy: &Policy,
        passed_at: Duration,
        elapsed: Duration,
    ) -> Option<Conclusion> {
        let grace = policy.failing_for.map_or(Duration::ZERO, Span::get)
            + interval(policy) * 2
            + policy.timeout.get();
        if elapsed < passed_at + policy.soak.get() + grace {
            return None;
        }
        let verdict = if self.now.failing_since.is_some() {
            Verdict::Fail
        } else if self.errors > 0 {
            Verdict::Error
        } else {
            Verdict::Inconclusive
        };
        Some(Conclusion {
            verdict,
            reason: format!("no success at the end of the soak ({})", policy.soak),
        })
    }
}

/// Flags may set what the file may not: never zero.
fn interval(policy: &Policy) -> Duration {
    policy.interval.get().max(Duration::from_millis(1))
}

/// The failures that a whole soak may have, of which so many measurements are made already: more
/// are too many, whatever comes.
pub fn soak_budget(policy: &Policy, soaked: u32) -> usize {
    let whole = policy.soak.get().as_nanos() / interval(policy).as_nanos();
    let whole = usize::try_from(whole).unwrap_or(usize::MAX);
    policy
        .soak_failure_limit
        .at_most(whole.max(soaked as usize))
}
