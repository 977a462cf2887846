//! May we deploy now?
//!
//! Every check is one file under [`check`]; all run side by side, each within its time, and
//! [`score`] makes one verdict of them.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod check;
mod score;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use cli::force::{self, Force, StateRules};
use cli::{Failure, Job};
use config::file::{ImageCheck, Preflight, RegistryLogin, SecretCheck, SecretKind};
use config::value::Weight;
use model::{Outcome, Report, Severity, StageName, Verdict};

use crate::check::{Context, Planned, waiver};
use crate::score::Weighed;

/// The stage and its flags.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Stage {
    /// Also check that this environment variable holds a secret; repeatable
    #[arg(long, value_name = "NAME")]
    pub secret: Vec<String>,
    /// Also check that this image is in its registry; repeatable
    #[arg(long, value_name = "IMAGE")]
    pub image: Vec<String>,
    /// The least readiness score that passes, 0 to 10 [default: 8]
    #[arg(long, value_name = "SCORE")]
    pub pass_score: Option<f64>,
    #[command(flatten)]
    pub force: Force<StateRules>,
    #[command(subcommand)]
    pub action: Option<Action>,
}

#[derive(clap::Subcommand, Clone, Copy, Debug)]
pub enum Action {
    /// List the checks and the permissions they need, and run none
    List,
}

const EXAMPLES: &str = "Examples:
  preflight --release v1.2.4
  preflight --secret DEPLOY_KEY --image ghcr.io/acme/shop:v1.2.4
  preflight --only secrets images/backend
  preflight list      # the checks, and the permissions they need

Exit codes: 0 pass, 1 fail, 2 usage, 3 inconclusive, 4 error, 5 refused (known-bad release, frozen environment)";

impl cli::Stage for Stage {
    const NAME: &'static str = StageName::Preflight.as_str();
    const ABOUT: &'static str = "May we deploy now? Secrets, images, runners, hosts, the release";
    const EXAMPLES: &'static str = EXAMPLES;

    fn configure(&self, config: &mut config::Config) -> Result<(), Failure> {
        let section = config.preflight_mut()?;
        if let Some(score) = self.pass_score {
            if !(0.0..=10.0).contains(&score) {
                return Err(Failure::usage("`--pass-score` is not a score from 0 to 10"));
            }
            section.pass_score = score;
        }
        for name in &self.secret {
            section.secrets.push(SecretCheck {
                name: name.clone(),
                kind: SecretKind::Text,
                token: None,
                max_age: None,
                stored: None,
                min_days: None,
                passphrase_env: None,
                hosts: Vec::new(),
                severity: Severity::Required,
                weight: Weight::default(),
            });
        }
        for image in &self.image {
            section.images.push(ImageCheck {
                name: image.clone(),
                image: image.clone(),
                platforms: Vec::new(),
                digest: None,
                max_age: None,
                login: RegistryLogin::default(),
                username_env: None,
                password_env: None,
                plain_http: None,
                ca_file: None,
                severity: Severity::Required,
                weight: Weight::default(),
            });
        }
        Ok(())
    }

    fn event(&self) -> Option<&'static str> {
        self.action.is_none().then_some(Self::NAME)
    }

    async fn run(self, job: &Job) -> Result<Report, Failure> {
        let started_at = jiff::Timestamp::now();
        let section = job.config.preflight()?.cloned().unwrap_or_default();
        check::usable(&section, job)?;
        let scene = Context::new(job, &section, self.force.forced(job));
        let mut planned = check::plan_checks(&section, &scene);
        let ids: Vec<String> = planned.iter().map(|planned| planned.id.clone()).collect();
        let unknown = job.only.unknown(&ids);
        planned.retain(|planned| job.only.selects(&planned.id));
        if planned.is_empty() {
            let mut report = Report::from_outcomes(Self::NAME, started_at, Vec::new());
            report.reason =
                "nothing was checked: no check is configured, or `--only` and `--skip` left none"
                    .into();
            return Ok(report);
        }
        if self.action.is_some() {
            let outcomes = planned.into_iter().map(list).collect();
            let mut report = Report::from_outcomes(Self::NAME, started_at, outcomes);
            report.verdict = Verdict::Pass;
            let count = report.outcomes.len();
            report.reason = format!("{count} check(s) would run; none did");
            return Ok(report);
        }
        let mut checks = if job.dry_run {
            dry(planned)
        } else {
            run(planned, &section, &scene).await
        };
        checks.extend(unknown.into_iter().map(unmatched_pattern));
        let readiness = score::judge(&checks, section.pass_score);
        let outcomes = checks.into_iter().map(|check| check.outcome).collect();
        let mut report = Report::from_outcomes(Self::NAME, started_at, outcomes);
        report.score = readiness.score;
        report.verdict = readiness.verdict;
        report.reason = readiness.reason;
        let told = scene.forced.iter().filter_map(|forced| {
            let id = check::release::id(&forced.rule);
            let mut all = report.outcomes.iter();
            let found = all.find(|outcome| outcome.id == id);
            match found.map(|outcome| outcome.verdict) {
                Some(Verdict::Refused) => None,
                Some(Verdict::Skipped) => Some(force::not_asked(forced)),
                _ => Some(force::unused(forced)),
            }
        });
        let told: Vec<Outcome> = told.collect();
        report.outcomes.extend(told);
        Ok(report)
    }
}

/// What would be asked.
fn list(planned: Planned<'_>) -> Outcome {
    let mut reason = format!("would {}", planned.asks);
    if let Some(needs) = planned.needs {
        reason.push_str(&format!("; needs {needs}"));
    }
    Outcome::skipped(planned.id, planned.subject, reason).severity(planned.severity)
}

/// The pass of the other checks must not be taken for the pass of a check that does not exist.
fn unmatched_pattern(pattern: &str) -> Weighed {
    let outcome = Outcome::inconclusive(format!("only/{pattern}"), pattern)
        .expected("a check of that name")
        .actual("none")
        .reason(format!("`--only {pattern}` fits no check"))
        .hint("`preflight list` shows their names");
    Weighed {
        outcome,
        weight: 0.0,
    }
}

fn dry(planned: Vec<Planned<'_>>) -> Vec<Weighed> {
    let weighed = |planned: Planned<'_>| Weighed {
        weight: planned.weight.get(),
        outcome: list(planned),
    };
    planned.into_iter().map(weighed).collect()
}

/// Asks everything at once; the outcomes come in the order of the configuration.
async fn run(planned: Vec<Planned<'_>>, section: &Preflight, scene: &Context<'_>) -> Vec<Weighed> {
    let job = scene.job;
    let start = Instant::now();
    let deadline = section.deadline.get();
    let waiting = RefCell::new(planned.iter().map(|p| p.id.clone()).collect::<Vec<_>>());
    let ticking = async {
        loop {
            // Not borrowed over the pause: a check that ends takes its name off the list.
            let ids: Vec<String> = {
                let ids = waiting.borrow();
                ids.iter().map(|id| scene.waits_for(id)).collect()
            };
            job.progress
                .show(&format!("waiting for {}", ids.join(", ")));
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    let asking = futures_util::future::join_all(planned.into_iter().map(|planned| async {
        let id = planned.id.clone();
        let mut checked = run_check(planned, start, deadline, job).await;
        let now = jiff::Timestamp::now();
        checked.outcome = waiver::apply(&section.waivers, checked.outcome, now);
        waiting.borrow_mut().retain(|other| *other != id);
        checked
    }));
    tokio::select! {
        checks = asking => checks,
        () = ticking => Vec::new(),
    }
}

fn interrupted(id: &str, subject: &str) -> Outcome {
    Outcome::inconclusive(id, subject)
        .expected("an answer")
        .actual("none: interrupted")
        .reason("interrupted before it was answered")
        .hint(retry_hint(id))
}

fn retry_hint(id: &str) -> String {
    format!("run it again: `preflight --only {id}`")
}

/// A report leaves no question open, not even where all is well.
fn complete(mut outcome: Outcome) -> Outcome {
    if outcome.verdict == Verdict::Pass {
        let again = || retry_hint(outcome.id.as_str());
        outcome.hint.get_or_insert_with(again);
        outcome.reason = outcome.reason.take().or_else(|| outcome.actual.clone());
    }
    debug_assert!(
        outcome.verdict == Verdict::Skipped
            || score::is_lifted(&outcome)
            || [
                &outcome.expected,
                &outcome.actual,
                &outcome.reason,
                &outcome.hint
            ]
            .iter()
            .all(|part| part.is_some()),
        "{outcome:?}"
    );
    outcome
}

/// Asks one check, within its own time and what is left of the stage's.
async fn run_check(planned: Planned<'_>, start: Instant, deadline: Duration, job: &Job) -> Weighed {
    let Planned {
        id,
        subject,
        severity,
        weight,
        asks: _,
        needs: _,
        timeout,
        wait,
        ask,
    } = planned;
    // A little more than the check's own time, in which it can name the step that hangs.
    let own = timeout + Duration::from_millis(500);
    // What is waited for by name has its time whatever the others' is.
    let left = deadline.saturating_sub(start.elapsed());
    let left = if wait.is_zero() { left } else { left.max(own) };
    let late = |what: &str, time: Duration, hint: &str| {
        let time = model::text::duration(time);
        Outcome::error(&id, &subject)
            .expected(format!("an answer within {what} of {time}"))
            .actual("none")
            .reason(format!("no answer within {what} of {time}"))
            .hint(hint)
    };
    let outcome = tokio::select! {
        outcome = ask => outcome,
        () = tokio::time::sleep(own) => late("its time", timeout, "raise `preflight.timeout`, or see why it is slow"),
        () = tokio::time::sleep(left) => late("the stage's deadline", deadline, "raise `preflight.deadline`, or see what else is slow"),
        _ = job.interrupt.wait() => interrupted(&id, &subject),
    };
    let mut outcome = complete(outcome).took(start.elapsed());
    // A rule that refuses keeps its severity: `--force` lifts it, not the configuration.
    if outcome.verdict != Verdict::Refused && severity == Severity::Advisory {
        outcome = outcome.severity(severity);
    }
    Weighed {
        outcome,
        weight: weight.get(),
    }
}
