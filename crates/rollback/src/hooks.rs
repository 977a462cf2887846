//! The user's own commands beside a rollback: a backup before, notices after. Bounded in time and
//! output; what becomes of them is shown and changes no verdict.

use std::path::PathBuf;

use cli::{Failure, Job};
use config::file::Hook;
use model::{Outcome, Report, Severity, Verdict};
use remote::local::{Captured, Script, Stream};

use crate::session::Session;

/// What is told to hooks of the rollback that is being made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tale {
    /// Whether there is a rollback to tell of.
    pub(crate) began: bool,
    pub(crate) destination: String,
    pub(crate) left: Option<String>,
    pub(crate) evidence: Option<PathBuf>,
}

impl Tale {
    /// The variables that every hook gets. Empty rather than inherited: the caller's own RELEASE
    /// must not be taken for ours.
    pub(crate) fn env(&self, job: &Job) -> Vec<(String, String)> {
        let evidence = self.evidence.as_ref();
        [
            ("RELEASE", Some(self.destination.clone())),
            ("PREVIOUS_RELEASE", self.left.clone()),
            ("SERVICE", job.config.service.clone()),
            ("ENVIRONMENT", job.environment.clone()),
            ("EVIDENCE", evidence.map(|path| path.display().to_string())),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.unwrap_or_default()))
        .collect()
    }
}

/// Runs the hooks of `kind`, side by side.
pub(crate) async fn run(
    job: &Job,
    kind: &str,
    hooks: &[Hook],
    env: &[(String, String)],
) -> Vec<Outcome> {
    let running = hooks.iter().map(|hook| async move {
        let clock = std::time::Instant::now();
        one(job, kind, hook, env).await.took(clock.elapsed())
    });
    futures_util::future::join_all(running).await
}

async fn one(job: &Job, kind: &str, hook: &Hook, env: &[(String, String)]) -> Outcome {
    let Hook {
        name,
        run,
        timeout: _,
    } = hook;
    let id = format!("{kind}/{name}");
    job.progress.say(&id);
    match script(job, hook, env.to_vec()).await {
        Ok(captured) => {
            let tail = captured.tail();
            let said = tail.lines().next_back().unwrap_or_default();
            let outcome = Outcome::pass(id, name).severity(Severity::Advisory);
            outcome.actual(if said.is_empty() { "done" } else { said })
        }
        Err(reason) => bad(id, name, reason, run),
    }
}

/// What a hook printed that ended well.
pub(crate) async fn script(
    job: &Job,
    hook: &Hook,
    env: Vec<(String, String)>,
) -> Result<Captured, String> {
    let script = Script {
        text: &hook.run,
        env,
        timeout: hook.timeout.get(),
    };
    let redactor = &job.redactor;
    let mut log = |_: Stream, line: &str| tracing::info!("{}", redactor.redact(line));
    let ran = tokio::select! {
        ran = remote::local::run(&script, &mut log) => ran,
        _ = job.interrupt.wait() => return Err("interrupted".to_owned()),
    };
    let captured = ran.map_err(|error| format!("could not be started: {error}"))?;
    if captured.success() {
        Ok(captured)
    } else {
        Err(captured.told())
    }
}

fn bad(id: String, name: &str, reason: String, run: &str) -> Outcome {
    Outcome::fail(id, name)
        .severity(Severity::Advisory)
        .expected("exit status 0")
        .actual(reason.clone())
        .reason(reason)
        .hint(format!("it changes no verdict; run it yourself: `{run}`"))
}

/// Runs the `after` hooks on what a rollback came to.
pub(crate) async fn after(
    session: &Session<'_>,
    ended: Result<Report, Failure>,
) -> Result<Report, Failure> {
    let (job, hooks) = (session.job, &session.section.after);
    let tale = session.tale.borrow().clone();
    // Whoever interrupted us has no time; `resume` tells.
    if !tale.began || job.interrupt.caught().is_some() {
        return ended;
    }
    let told = match &ended {
        Ok(report) => report.clone(),
        Err(failure) => {
            let mut report = session.report(Vec::new());
            report.verdict = match failure.code {
                model::ExitCode::Refused => Verdict::Refused,
                _ => Verdict::Error,
            };
            report.reason = failure.chain();
            report
        }
    };
    if tale.evidence.is_none() && hooks.is_empty() {
        return ended;
    }
    let file = session.keep_report(&told);
    let evidence = session.tale.borrow().evidence.clone();
    let tale = Tale { evidence, ..tale };
    let ended = ended.map(|mut report| {
        let folder = tale.evidence.as_ref();
        let folder = folder.map(|path| path.display().to_string());
        report
            .outputs
            .extend(folder.map(|path| ("evidence".to_owned(), path)));
        report
    });
    let mut env = tale.env(job);
    let file = file.map(|path| path.display().to_string());
    for (name, value) in [
        ("VERDICT", told.verdict.as_str().to_owned()),
        ("REASON", session.clean(&told.reason)),
        ("REPORT", file.unwrap_or_default()),
    ] {
        env.push((name.to_owned(), value));
    }
    let outcomes = run(job, "after", hooks, &env).await;
    match ended {
        Ok(mut report) => {
            report.outcomes.extend(outcomes);
            Ok(report)
        }
        Err(failure) => {
            for outcome in outcomes.iter().filter(|o| o.verdict != Verdict::Pass) {
                let reason = outcome.reason.as_deref().unwrap_or_default();
                tracing::warn!("{}: {}", outcome.id, session.clean(reason));
            }
            Err(failure)
        }
    }
}
