//! After the switch: is it healthy, and what is written down.

use std::time::Duration;

use cli::Failure;
use engine::{Execution, PlaceRelease};
use gate::Gate;
use jiff::Timestamp;
use model::id::Kind;
use model::{Id, Outcome, Verdict};
use state::{Forced, Frozen, Status};
use target::Place;

use super::Rollback;
use super::ends::Findings;

/// So long may what ran before still answer: nginx tells its old workers to go 100 ms after it has
/// started the new ones (`ngx_master_process_cycle`).
const DRAIN: Duration = Duration::from_millis(300);

impl Rollback<'_> {
    /// Whether the destination is healthy after `made` steps.
    pub(super) async fn verified(
        &self,
        mut found: Findings,
        proof: Option<String>,
        made: usize,
    ) -> (Verdict, Findings) {
        let watch = self.watch();
        let timer = watch.begins(&Place::Here, "verify");
        let verifying = self.verify(proof, &found.places, made);
        let verified = watch.drawn(verifying).await;
        let verdict = Verdict::of(verified.iter().map(Outcome::weighs));
        found.outcomes.extend(verified);
        if !self.is_interrupted() {
            found.timeline.push(timer.ends(verdict));
        }
        (verdict, found)
    }

    pub(super) fn probe_context(&self) -> probe::ProbeContext {
        let job = self.session.job;
        probe::ProbeContext {
            env: job.env.clone(),
            hosts: self.places.hosts(),
            redactor: job.redactor.clone(),
        }
    }

    /// Asks the gate whether the destination is healthy and answers. `proof` is the target's own,
    /// and `vector` what the places say after `made` steps.
    async fn verify(
        &self,
        proof: Option<String>,
        vector: &[PlaceRelease],
        made: usize,
    ) -> Vec<Outcome> {
        let job = self.session.job;
        let gate = self.gate.as_ref().filter(|_| self.gate_size() > 0);
        let Some(mut gate) = gate.cloned() else {
            let id = "verify/release";
            let say = vector.iter().filter(|runs| runs.reports(self.destination));
            let say = say.count();
            return vec![
                match (proof, vector) {
                    (Some(proof), _) => Outcome::pass(id, self.destination).actual(proof),
                    (None, [runs]) if runs.release.is_none() => {
                        runs.outcome(self.destination, "rollback")
                    }
                    _ if say >= made && made > 0 => Outcome::pass(id, self.destination)
                        .actual(format!("{say} of {} report that they run it", vector.len())),
                    // The command's own exit status is all there is, and is shown as that.
                    _ => Outcome::inconclusive(id, self.destination)
                        .severity(model::Severity::Advisory)
                        .expected(format!("it is proved that {} answers", self.destination))
                        .actual("only the command's exit status shows it")
                        .reason("that the release answers was not verified")
                        .hint("add probes under `healthgate:`, or `rollback.command.current`"),
                },
                Outcome::pass("verify/command", self.destination)
                    .actual(format!("steps that ended with success: {made}")),
            ];
        };
        gate.policy.startup = gate.policy.startup.max(DRAIN.into());
        let interrupt = job.interrupt.clone();
        let interrupted = move || -> gate::Interrupted {
            let interrupt = interrupt.clone();
            Box::pin(async move {
                interrupt.wait().await;
            })
        };
        let say = |text: &str| job.progress.show(&format!("verify {text}"));
        let watch = gate::GateContext {
            selects: &|_| true,
            shard: None,
            observer: &gate::observer::StatusLine::new(&say),
            interrupted: &interrupted,
            failed_beside: &|| None,
            around: self.probe_context(),
            forever: false,
        };
        let mut outcomes = Gate::of(&gate).run(Some(self.destination), &watch).await;
        for outcome in &mut outcomes {
            // The switch's own proof says who answers where the probes do not.
            if outcome.id.kind() == Kind::Identity
                && let Some(proof) = &proof
            {
                *outcome = Outcome::pass(Id::identity(), self.destination).actual(proof.clone());
            }
            outcome.id = format!("verify/{}", outcome.id).into();
        }
        outcomes
    }

    pub(super) fn frozen(&self) -> Frozen {
        Frozen {
            reason: format!(
                "the rollback to {} did not restore the service",
                self.destination
            ),
            by: self.session.job.actor(),
            at: Timestamp::now(),
        }
    }

    /// Writes down what runs now; freezes the environment if it is not healthy.
    pub(super) async fn record(
        &self,
        execution: &Execution<'_>,
        verdict: Verdict,
        forced: &[Forced],
    ) -> Result<(), Failure> {
        let session = self.session;
        let is_spared = execution.is_spared().await;
        let left = execution.from().filter(|_| !is_spared);
        let now = Timestamp::now();
        let frozen = (verdict == Verdict::Fail).then(|| self.frozen());
        session
            .store
            .release(execution.means().lease, |document| {
                document.rolled_back(left, self.destination, verdict == Verdict::Pass, now);
                if !forced.is_empty() && document.entry(self.destination).is_none() {
                    // Whether it is good is not known yet; that a rule was lifted for it is.
                    document.deployed(self.destination, Status::Pending, now, None);
                }
                document.forced(self.destination, forced);
                if frozen.is_some() {
                    document.frozen.clone_from(&frozen);
                }
            })
            .await
            .map_err(Failure::from)
    }
}
