//! A run where two sides share the requests: the release is deployed to the idle side, and gets share
//! after share.

use cli::Failure;
use config::file::OnUndecided;
use config::value::Side;
use model::shares::ForeignShare;
use model::{Id, Outcome, Report, StageName, Verdict};
use sections::incident::Impact;
use state::{Phase, Rollout};

use super::{Ending, Run, Undone};

impl Run<'_> {
    /// What a dry run says beyond the command.
    pub(super) async fn would_ramp(&self) -> Result<String, Failure> {
        let Some(section) = self.job.config.traffic()? else {
            return Ok(String::new());
        };
        let stages: Vec<String> = section.stages.iter().map(ToString::to_string).collect();
        Ok(
            match traffic::idle_side(self.job, &self.force.known_to()).await? {
                Ok(side) => format!(" SIDE={side}, then give it {}", stages.join(", ")),
                Err(outcome) => {
                    let reason = outcome.reason.unwrap_or_default();
                    format!("; now it would be refused: {reason}")
                }
            },
        )
    }

    /// Deploys to the idle side and ramps it up; the gate decides when it has everything.
    pub(super) async fn by_shares(mut self) -> Result<Report, Failure> {
        let side = match traffic::idle_side(self.job, &self.force.known_to()).await? {
            Ok(side) => side,
            Err(outcome) => {
                self.job.progress.clear();
                let reason = outcome.reason.clone().unwrap_or_default();
                let verdict = outcome.verdict;
                self.outcomes.push(Outcome {
                    id: Id::phase("side"),
                    ..*outcome
                });
                let headline = format!("{} was not deployed: no side is free for it", self.release);
                let reason = format!("{reason}; nothing was deployed");
                return Ok(self.end(Ending::refused(), verdict, headline, reason));
            }
        };
        // That it is being deployed is not written down: it has no requests yet.
        let previous = self.last_good().await?;
        match self.deploy(previous.as_deref(), Some(side)).await {
            Ok(()) => Box::pin(self.ramped(side)).await,
            Err(Undone::Lost(failure)) => Ok(self.lost("while deploying", failure)),
            Err(Undone::Failed(reason)) => {
                let verdict = match self.job.interrupt.caught() {
                    Some(_) => Verdict::Inconclusive,
                    None => Verdict::Fail,
                };
                let headline = format!(
                    "{} failed to deploy to {side}, which has no traffic: there is nothing to roll back",
                    self.release
                );
                let reason = format!("deploy: {reason}; {side} has no traffic");
                let ending = self.not_back();
                Ok(self.end(ending, verdict, headline, reason))
            }
        }
    }

    /// The ramp, and what follows from it.
    async fn ramped(mut self, side: Side) -> Result<Report, Failure> {
        self.book.touch();
        self.book
            .goes_on("its requests are given back; `traffic status` shows it");
        let (verdict, told, reason, foreign) =
            match traffic::ramp(self.job, &self.force.known_to()).await {
                Ok(report) => {
                    let report = self.stage(Ok(report), StageName::Traffic)?;
                    let foreign = report.foreign_changes;
                    (report.verdict, report.headline, report.reason, foreign)
                }
                Err(failure) => {
                    let verdict = failure.code.verdict();
                    let reason = self.not_done(Id::phase(StageName::Traffic), failure, verdict);
                    (verdict, None, reason, Vec::new())
                }
            };
        if verdict == Verdict::Pass {
            let mut judged = self.job.clone();
            // It has all requests: there is nothing beside it to compare it with.
            judged.config.healthgate_mut()?.canary = None;
            return Box::pin(self.gated(&judged)).await;
        }
        let why = format!("traffic: {reason}");
        let rollout = self.document().await?.and_then(|document| document.rollout);
        let Some(rollout) = rollout else {
            // A ramp that ends without all requests has given them back itself.
            let told = told.unwrap_or_else(|| {
                format!(
                    "{} was deployed to {side}, which has no traffic: it was not ramped up",
                    self.release
                )
            });
            if verdict == Verdict::Fail {
                self.book
                    .open(
                        &told,
                        Impact::Degraded,
                        Some("the ramp gave its requests back"),
                    )
                    .await;
            }
            let serving = self.previous.get().cloned();
            let ending = match self.job.interrupt.caught() {
                Some(_) => Ending::cancelled(serving),
                None => Ending::rolled_back(serving),
            };
            return Ok(self.end(ending, verdict, told, why));
        };
        let undecided = match verdict {
            Verdict::Inconclusive => self.deploy.on_inconclusive,
            Verdict::Error => self.deploy.on_error,
            // What the ramp could not take back, or must not, is for a person to look at.
            _ => OnUndecided::Halt,
        };
        if undecided == OnUndecided::Rollback {
            let aborted = traffic::abort(self.job, &why).await;
            return match aborted {
                Ok(report) => {
                    let report = self.stage(Ok(report), StageName::Traffic)?;
                    let verdict = verdict.max(report.verdict);
                    let back = report.headline.unwrap_or_else(|| report.reason.clone());
                    let headline = format!("{} was not judged good: {back}", self.release);
                    let ending = match report.verdict {
                        Verdict::Pass => Ending::rolled_back(rollout.stable.clone()),
                        _ => self.not_back(),
                    };
                    let reason = format!("{why}; {}", report.reason);
                    Ok(self.end(ending, verdict, headline, reason))
                }
                Err(failure) => {
                    let verdict = failure.code.verdict().max(verdict);
                    let failed = self.not_done(Id::phase("abort"), failure, verdict);
                    let headline = format!("{rollout}: it was not taken back");
                    let reason = format!("{why}; not taken back: {failed}");
                    let ending = self.not_back();
                    Ok(self.end(ending, verdict, headline, reason))
                }
            };
        }
        let (headline, next, left) = stays(&rollout, &foreign);
        let reason = format!("{why}{next}");
        self.book
            .open(&headline, Impact::Degraded, Some(left))
            .await;
        let ending = match self.job.interrupt.caught() {
            Some(_) => self.book.cancelled(),
            None => Ending::undecided(),
        };
        Ok(self.end(ending, verdict, headline, reason))
    }
}

/// Of a share that stays as it is: the headline, what a person may do, and what an incident says of it.
fn stays(rollout: &Rollout, foreign: &[ForeignShare]) -> (String, &'static str, &'static str) {
    let left = "left as it is: a person decides";
    let told: Vec<&str> = foreign
        .iter()
        .map(|change| change.reason.as_str())
        .collect();
    match told[..] {
        _ if rollout.phase == Phase::Aborting => {
            let left = "its way back is not finished: `traffic resume`";
            (rollout.to_string(), "", left)
        }
        [] => (
            format!("{rollout}, and was left so"),
            "; `traffic status`, then `traffic resume`, `traffic promote` or `traffic abort`",
            left,
        ),
        // It is not to be promoted.
        _ => (
            format!(
                "the ramp of {} stopped: {}",
                rollout.release,
                told.join("; ")
            ),
            "; `traffic status`, then `traffic resume` or `traffic abort`",
            left,
        ),
    }
}
