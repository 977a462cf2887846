//! How long a ramp stays at each share, by the judge's own plan and the traffic of late.

use std::time::Duration;

use cli::Job;
use config::file::{Canary, CanaryMetric, Healthgate, Judge};
use config::value::{Quantity, Share, Span};
use model::planned::TimeToVerdict;
use model::text::span;
use model::{Outcome, Severity};
use watch::outlook::{Outlook, Recent, Requests, unplanned};

use crate::judge;

/// What is known of how long a release is judged.
pub(crate) struct StageDurations {
    gate: Option<Healthgate>,
    duration: Span,
    /// The metrics that are compared at a share, with their traffic or why that is not known.
    compared: Vec<(CanaryMetric, Result<Requests, String>)>,
}

/// The time at one share.
pub(crate) struct StageTime {
    /// In words.
    pub(crate) told: String,
    /// Until a good release goes on; `None` where the traffic does not tell.
    pub(crate) likely: Option<Duration>,
    pub(crate) at_most: Duration,
    /// What the traffic shows, and by when.
    pub(crate) outcomes: Vec<Outcome>,
    /// For the table: the metric, until a good release passes, until one twice as bad is found.
    pub(crate) rows: Vec<[String; 3]>,
}

impl StageDurations {
    /// Asks for the traffic of each metric that is compared.
    pub(crate) async fn query(
        job: &Job,
        gate: Option<Healthgate>,
        duration: Span,
    ) -> StageDurations {
        let mut compared = Vec::new();
        if let Some(canary) = gate.as_ref().and_then(|gate| gate.canary.as_ref()) {
            let recent = recent(job, canary).await;
            for metric in canary.compared() {
                let requests = match (&recent, unplanned(&metric)) {
                    (Err(why), _) => Err(why.clone()),
                    (Ok(_), Some(why)) => Err(why.to_owned()),
                    (Ok(recent), None) => {
                        let asked = recent.requests(&metric, canary).await;
                        asked.map_err(|failure| job.redactor.redact(&failure.chain()))
                    }
                };
                compared.push((metric, requests));
            }
        }
        StageDurations {
            gate,
            duration,
            compared,
        }
    }

    /// At a share of the requests.
    pub(crate) fn at(&self, share: Share) -> StageTime {
        let Some(gate) = &self.gate else {
            return StageTime::exactly(self.duration, "watched");
        };
        let has_probes = !gate::Gate::of(gate).probes.is_empty();
        if share.is_all() {
            return if has_probes {
                StageTime::of_gate(gate)
            } else {
                StageTime::exactly(Span::ZERO, "watched")
            };
        }
        match &gate.canary {
            Some(canary) => self.compared_at(share, &judge::within(canary, self.duration)),
            None if has_probes => StageTime::exactly(self.duration.max(gate.policy.soak), "judged"),
            None => StageTime::exactly(self.duration, "watched"),
        }
    }

    fn compared_at(&self, share: Share, canary: &Canary) -> StageTime {
        let of_requests = Quantity::percent(share.fraction() * 100.0);
        let (mut outcomes, mut rows) = (Vec::new(), Vec::new());
        // Of each metric that decides: how long it takes, or why that is not known.
        let mut decides: Vec<Result<(Duration, String), String>> = Vec::new();
        for (metric, requests) in &self.compared {
            let id = format!("minutes/{share}/{}", metric.name);
            let (passes, twice, takes) = match requests {
                Ok(requests) => {
                    let outlook = Outlook::of(id, canary, metric, requests, of_requests);
                    let [passes, twice, _] = outlook.cells;
                    let takes = takes(&outlook.outcome, &passes);
                    outcomes.push(advisory(outlook.outcome));
                    (passes, twice, takes)
                }
                Err(why) => {
                    outcomes.push(Outcome::skipped(id, "", format!("unknown: {why}")));
                    let unknown = || "unknown".to_owned();
                    (unknown(), unknown(), Err(why.clone()))
                }
            };
            rows.push([metric.name.clone(), passes, twice]);
            if metric.severity == Severity::Required {
                decides.push(takes.map_err(|why| format!("{}: {why}", metric.name)));
            }
        }
        let all: Result<Vec<_>, String> = decides.into_iter().collect();
        let limit = canary.deadline;
        let (likely, told) = match all.map(|all| all.into_iter().max_by_key(|(takes, _)| *takes)) {
            Ok(Some((takes, passes))) => (
                Some(takes),
                format!(
                    "then judged: a good release passes in about {passes}, within {limit} at most"
                ),
            ),
            Ok(None) => (None, format!("then judged for at most {limit}")),
            Err(why) => (
                None,
                format!("then judged for at most {limit}; how soon it passes is unknown ({why})"),
            ),
        };
        StageTime {
            told,
            likely,
            at_most: limit.get(),
            outcomes,
            rows,
        }
    }
}

/// Until a good release passes by a metric's plan.
fn takes(planned: &Outcome, passes: &str) -> Result<(Duration, String), String> {
    match planned.planned.map(|planned| planned.pass) {
        Some(TimeToVerdict::Within { typical, .. }) => Ok((typical, passes.to_owned())),
        _ => Err(planned.reason.clone().unwrap_or_default()),
    }
}

/// It forbids no ramp: what it foretells may not come.
fn advisory(outcome: Outcome) -> Outcome {
    let outcome = outcome.severity(Severity::Advisory);
    if outcome.hint.is_none() {
        return outcome;
    }
    // The deadline of a share is the shorter of both.
    outcome.hint(
        "begin with a larger share, or set a longer `traffic.stage-duration` and `healthgate.canary.deadline`, or a larger `tolerance`",
    )
}

/// The source of the recent traffic, or why it is unknown.
async fn recent(job: &Job, canary: &Canary) -> Result<Recent, String> {
    match canary.judge {
        Judge::Sequential => {}
        Judge::Kayenta => return Err("`judge: kayenta` has no plan".to_owned()),
        Judge::Threshold => return Err("`judge: threshold` has no plan".to_owned()),
    }
    if canary.access_log.is_some() {
        return Err("an access log is read from its end on".to_owned());
    }
    if canary.command.is_some() {
        return Err("a command reports what comes, and not what was".to_owned());
    }
    let recent = Recent::of(job, canary).await;
    recent.map_err(|failure| job.redactor.redact(&failure.chain()))
}

impl StageTime {
    fn exactly(duration: Span, what: &str) -> StageTime {
        let duration = duration.get();
        let told = match duration {
            Duration::ZERO => "then the ramp is over".to_owned(),
            _ => format!("then {what} for {}", span(duration)),
        };
        StageTime {
            told,
            likely: Some(duration),
            at_most: duration,
            outcomes: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// With all requests the gate itself decides, by its own policy.
    fn of_gate(gate: &Healthgate) -> StageTime {
        let policy = &gate.policy;
        let soak = policy.soak.get();
        let looks = policy.interval.get() * policy.success_threshold.saturating_sub(1);
        let at_most = policy.deadline.get() + soak;
        StageTime {
            told: format!("then the gate decides, within {}", span(at_most)),
            likely: Some(policy.initial_delay.get() + looks + soak),
            at_most,
            outcomes: Vec::new(),
            rows: Vec::new(),
        }
    }
}
