//! Watches all probes of a `healthgate:` section side by side until each has a conclusion.
//!
//! Here is the only waiting: the n-th measurement of a probe starts at the stage's start +
//! initial delay + n × interval, whatever the ones before it took.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use config::file::{Healthgate, Identity as Required, Policy};
use futures_util::future::{Either, join_all, select};
use jiff::Timestamp;
use model::{Measurement, Outcome, Severity, Telling, Verdict};

use crate::Reading;
use crate::kinds::{self, Surroundings, Watched};
use crate::observer::{Measured, Observer, Stands};
use crate::policy::{Conclusion, Sample, Standing, assess};
use crate::release::Identity;

/// A long soak must not fill the memory: the first and the last measurements are kept.
const KEPT: usize = 1000;

/// What a gate is told from outside.
pub struct Watch<'a> {
    /// Which outcome ids are asked.
    pub selects: &'a dyn Fn(&str) -> bool,
    /// Told of each measurement, and of where each probe stands.
    pub observer: &'a dyn Observer,
    /// Gives a future that ends when the gate must stop; each probe takes one.
    pub interrupted: &'a dyn Fn() -> Interrupted,
    /// What the probes find around them.
    pub around: Surroundings,
}

/// Ends when the gate must stop.
pub type Interrupted = Pin<Box<dyn Future<Output = ()>>>;

/// Runs the gate to its end, or until it is interrupted: then what is not decided is
/// inconclusive. With `release`, what answers must be that release.
pub async fn run(gate: &Healthgate, release: Option<&str>, watch: &Watch<'_>) -> Vec<Outcome> {
    let mut broken = Vec::new();
    let mut watched = Vec::new();
    for made in kinds::all(gate, &watch.around) {
        match made {
            Ok(one) if (watch.selects)(&one.id) => watched.push(one),
            Err(outcome) if (watch.selects)(&outcome.id) => broken.push(outcome),
            _ => {}
        }
    }
    let asked: Vec<_> = watched.iter().map(Watched::asked).collect();
    watch.observer.begin(&asked);
    let common = &gate.policy;
    let start = Instant::now();
    let ends = join_all(watched.iter().enumerate().map(|(n, one)| {
        Run {
            one,
            policy: &one.policy,
            common,
            release,
            start,
            observer: watch.observer,
            n,
        }
        .until((watch.interrupted)())
    }));
    let mut outcomes = broken;
    let mut said = false;
    for end in ends.await {
        said |= end.named_a_release;
        outcomes.push(end.outcome);
        outcomes.extend(end.remarks);
    }
    watch.observer.end();
    if let Some(release) = release
        && !said
        && !outcomes.is_empty()
        && (watch.selects)("release/identity")
    {
        outcomes.push(unproven(release, gate.release_identity));
    }
    outcomes
}

fn unproven(release: &str, required: Required) -> Outcome {
    let severity = match required {
        Required::Required => Severity::Required,
        Required::Optional => Severity::Advisory,
    };
    Outcome::inconclusive("release/identity", release)
        .severity(severity)
        .expected(format!("an answer that names release {release}"))
        .actual("no answer names its release")
        .reason(format!(
            "nobody said which release answered, expected {release}"
        ))
        .hint(
            "say where it stands: `release: { url: …/version, jq: .version }` on a probe, or \
             `--release-jq`, `--release-header`; or set `release-identity: optional`",
        )
}

/// How a probe's watch ended.
struct End {
    outcome: Outcome,
    remarks: Vec<Outcome>,
    named_a_release: bool,
}

struct Run<'a> {
    one: &'a Watched,
    policy: &'a Policy,
    /// The stage's.
    common: &'a Policy,
    release: Option<&'a str>,
    start: Instant,
    observer: &'a dyn Observer,
    n: usize,
}

impl Run<'_> {
    async fn until(self, interrupted: Interrupted) -> End {
        let history = RefCell::new(History::default());
        let ended = select(Box::pin(self.watch(&history)), interrupted).await;
        let conclusion = match ended {
            Either::Left((conclusion, _)) => conclusion,
            Either::Right(_) => Conclusion {
                verdict: Verdict::Inconclusive,
                reason: format!(
                    "interrupted after {} measurements",
                    history.borrow().samples.len()
                ),
            },
        };
        self.observer.concluded(self.n, &conclusion);
        self.end(conclusion, history.take())
    }

    async fn watch(&self, history: &RefCell<History>) -> Conclusion {
        let policy = self.policy;
        let first = policy.initial_delay.get();
        let interval = policy.interval.get().max(Duration::from_millis(1));
        let mut slot: u32 = 0;
        loop {
            let due = first + interval.saturating_mul(slot);
            let standing = match assess(policy, &history.borrow().samples, self.start.elapsed()) {
                Ok(conclusion) => return conclusion,
                Err(standing) => standing,
            };
            self.tell(&standing);
            if self.sleep_until(due, &standing).await {
                // The deadline came first; the next assessment says what that means.
                continue;
            }
            self.one_measurement(due, &standing, history).await;
            // Slots that a slow answer ran over are left out, the schedule stays.
            let passed = self.start.elapsed().saturating_sub(first);
            let due = u32::try_from(passed.as_nanos().div_ceil(interval.as_nanos()));
            slot = slot.saturating_add(1).max(due.unwrap_or(u32::MAX));
        }
    }

    /// Sleeps until the measurement is due; true if the deadline comes first.
    async fn sleep_until(&self, due: Duration, standing: &Standing) -> bool {
        let deadline = self.policy.deadline.get();
        let cut = standing.passed_at.is_none() && due >= deadline;
        let until = if cut { deadline } else { due };
        tokio::time::sleep_until((self.start + until).into()).await;
        cut
    }

    fn tell(&self, standing: &Standing) {
        let elapsed = self.start.elapsed();
        self.observer.stands(&Stands {
            probe: self.n,
            standing,
            missing: &standing.missing(self.policy, elapsed),
            members: None,
            elapsed,
        });
    }

    async fn one_measurement(
        &self,
        scheduled: Duration,
        standing: &Standing,
        history: &RefCell<History>,
    ) {
        let policy = self.policy;
        let at = self.start.elapsed();
        let left = policy.deadline.get().saturating_sub(at);
        let cut = standing.passed_at.is_none() && left < policy.timeout.get();
        let timeout = if cut { left } else { policy.timeout.get() };
        let stamp = Timestamp::now();
        let clock = Instant::now();
        let reading = self.one.probe.measure(self.release, timeout).await;
        let took = clock.elapsed();
        // The deadline took this measurement's time away: that says nothing of the service,
        // unless it never said anything else.
        if cut && took >= timeout && !history.borrow().samples.is_empty() {
            return;
        }
        self.observer.measured(&Measured {
            probe: self.n,
            member: None,
            scheduled,
            started: at,
            took,
            at: stamp,
            reading: &reading,
        });
        history.borrow_mut().push(at, stamp, took, reading);
    }

    fn end(&self, conclusion: Conclusion, history: History) -> End {
        let mut measurements = history.measurements;
        history.telling.keep_in(&mut measurements);
        let one = self.one;
        let mut outcome = Outcome::new(&one.id, &one.subject, conclusion.verdict)
            .severity(one.severity)
            .took(self.start.elapsed());
        outcome.limits = one.probe.limits();
        outcome.policy =
            (self.policy != self.common).then(|| crate::watched::reported(self.policy));
        let telling = match conclusion.verdict {
            Verdict::Pass => history.last,
            _ => history.worst.or(history.last),
        };
        let mut reason = conclusion.reason;
        if let Some(reading) = telling {
            outcome = outcome.expected(reading.expected).actual(reading.actual);
            if let Some(why) = reading.reason {
                reason = format!("{reason}: {why}");
            }
        }
        if conclusion.verdict != Verdict::Pass {
            outcome = outcome.hint(one.probe.hint());
        }
        End {
            outcome: outcome.reason(reason).measurements(measurements),
            remarks: one.probe.remarks(&one.id),
            named_a_release: history.named_a_release,
        }
    }
}

/// What a probe has seen.
#[derive(Default)]
struct History {
    samples: Vec<Sample>,
    measurements: Vec<Measurement>,
    /// Those that keep their evidence.
    telling: Telling<Measurement>,
    last: Option<Reading>,
    /// The newest of the worst readings.
    worst: Option<Reading>,
    named_a_release: bool,
}

impl History {
    fn push(&mut self, at: Duration, stamp: Timestamp, took: Duration, reading: Reading) {
        self.samples.push(Sample {
            at,
            verdict: reading.verdict,
        });
        if self.measurements.len() >= KEPT {
            self.measurements.remove(KEPT / 2);
        }
        let measurement = Measurement {
            at: stamp,
            verdict: reading.verdict,
            value: reading.value.clone(),
            reason: reading.reason.clone(),
            duration: took,
            evidence: None,
        };
        self.telling.push(
            reading.verdict,
            Measurement {
                evidence: reading.evidence.clone(),
                ..measurement.clone()
            },
        );
        self.measurements.push(measurement);
        self.named_a_release |= matches!(
            reading.release,
            Some(Identity::Matches(_) | Identity::Differs { .. })
        );
        if self
            .worst
            .as_ref()
            .is_none_or(|worst| worst.verdict <= reading.verdict)
        {
            self.worst = Some(reading.clone());
        }
        self.last = Some(reading);
    }
}
