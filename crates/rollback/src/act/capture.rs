//! What a rollback would wipe away, kept before it acts: logs, the state of services and
//! containers, and the gate's answers. Side by side with preparing and within a few seconds; what
//! cannot be had is named and never stops the rollback.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use cli::Failure;
use config::file::HttpProbe;
use config::value::Span;
use futures_util::future::join_all;
use model::{Outcome, Severity};
use operation::standby::{asked_at_once, reads};

use super::Rollback;
use crate::evidence;
use crate::hooks::{self, HookContext};
use target::{Place, Step, Target, Transition};

/// What is kept, once it is there.
type Look<'a> = Pin<Box<dyn Future<Output = Result<String, Failure>> + 'a>>;

/// How long all of it may take.
const DEADLINE: Duration = Duration::from_secs(5);

impl Rollback<'_> {
    /// Writes into the folder `evidence`, or reports why it could not.
    pub(super) async fn capture(
        &self,
        target: &dyn Target,
        hook_context: &HookContext,
        evidence: Result<PathBuf, Failure>,
    ) -> Vec<Outcome> {
        let session = self.session;
        let folder = match evidence {
            Ok(folder) => folder,
            Err(failure) => return vec![missing("evidence", "", &failure)],
        };
        let steps = target.steps(Transition {
            to: self.destination,
            from: hook_context.left.as_deref(),
        });
        let env = hook_context.env(session.job);
        let mut looks: Vec<(String, Look<'_>)> = Vec::new();
        for step in &steps {
            for (name, text) in target.diagnostics(step) {
                let text = Box::pin(async { text.await.map_err(Failure::error) });
                looks.push((format!("{}/{name}", step.place), text));
            }
            for hook in &session.section.capture {
                let text = Box::pin(self.hooked(step, hook, env.clone()));
                looks.push((format!("{}/{}", step.place, hook.name), text));
            }
        }
        looks.push(("gate/answers".to_owned(), Box::pin(self.gate_answers())));
        let until = tokio::time::Instant::now() + DEADLINE;
        let looking = looks.into_iter().map(|(name, text)| {
            let folder = folder.clone();
            async move {
                let text = tokio::time::timeout_at(until, text).await;
                let late = || target::Error::Late {
                    what: "not there",
                    within: DEADLINE,
                };
                let text = text.unwrap_or_else(|_| Err(Failure::error(late())));
                let kept = text.and_then(|text| {
                    let text = session.redact(&text);
                    evidence::keep(&folder, &name, &text)
                });
                (name, kept)
            }
        });
        let watch = self.watch();
        let looking = watch.unless_interrupted(join_all(looking), Duration::ZERO);
        let Some(found) = looking.await else {
            return Vec::new();
        };
        outcomes(&folder, found)
    }

    /// What a command of the user's prints of a place.
    async fn hooked(
        &self,
        step: &Step,
        hook: &config::file::Hook,
        mut env: Vec<(String, String)>,
    ) -> Result<String, Failure> {
        let job = self.session.job;
        let address = match &step.place {
            Place::Here => "localhost",
            Place::Host(name) => {
                let host = job.config.hosts.get(name);
                host.map_or(name.as_str(), |host| host.address.as_str())
            }
        };
        env.push(("HOST".to_owned(), address.to_owned()));
        let ran = cli::hooks::script(job, hook, env, hooks::NO_TIME).await?;
        Ok(format!("{}{}", ran.stdout, ran.stderr))
    }

    /// What the gate's own questions are answered now.
    async fn gate_answers(&self) -> Result<String, Failure> {
        let Some(gate) = self.session.gate() else {
            return Ok("no probe is configured under `healthgate:`\n".to_owned());
        };
        let all = gate.http.iter();
        let http: Vec<HttpProbe> = all.filter(|probe| reads(probe)).cloned().collect();
        let mut policy = gate.policy.clone();
        policy.failure_limit = Some(0);
        policy.deadline = policy.deadline.min(Span::from_secs(4));
        let mut text = String::new();
        let interrupt = &self.session.job.interrupt;
        for outcome in asked_at_once(http, policy, interrupt, self.probe_context()).await {
            text.push_str(&format!(
                "{} {}: {}\n",
                outcome.id, outcome.subject, outcome.verdict
            ));
            for (word, value) in [
                ("expected", &outcome.expected),
                ("actual", &outcome.actual),
                ("reason", &outcome.reason),
            ] {
                if let Some(value) = value {
                    text.push_str(&format!("  {word}: {value}\n"));
                }
            }
            for measurement in &outcome.measurements {
                let value = measurement.value.as_deref().unwrap_or_default();
                text.push_str(&format!("  at {}: {value}\n", measurement.at));
                for line in measurement.evidence.iter().flat_map(|text| text.lines()) {
                    text.push_str(&format!("    {line}\n"));
                }
            }
        }
        Ok(text)
    }
}

fn outcomes(folder: &Path, found: Vec<(String, Result<usize, Failure>)>) -> Vec<Outcome> {
    let shown = folder.display().to_string();
    let (mut files, mut bytes) = (0, 0);
    let mut outcomes = Vec::new();
    for (name, kept) in found {
        match kept {
            Ok(length) => {
                files += 1;
                bytes += length;
            }
            Err(failure) => outcomes.push(missing(&name, &shown, &failure)),
        }
    }
    let all = Outcome::pass("capture/evidence", &shown)
        .severity(Severity::Advisory)
        .actual(format!(
            "{bytes} bytes of evidence in {shown} (files: {files})"
        ));
    outcomes.insert(0, all);
    outcomes
}

fn missing(name: &str, folder: &str, failure: &Failure) -> Outcome {
    let reason = failure.chain();
    Outcome::inconclusive(format!("capture/{name}"), folder)
        .severity(Severity::Advisory)
        .expected("what was there before is kept")
        .actual(reason.clone())
        .reason(reason)
        .hint("the rollback went on without it; look there by hand")
}
