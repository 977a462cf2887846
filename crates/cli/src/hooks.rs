//! The user's own commands beside what a stage does: a backup before, notices after. Bounded in time
//! and output; what becomes of them is shown and changes no verdict.

use std::path::Path;
use std::time::{Duration, Instant};

use config::file::Hook;
use model::{Outcome, Report, Severity};
use remote::local::{Captured, Script, Stream};

use crate::{Failure, Job};

/// Variables for hooks, by name.
pub type Variables = Vec<(String, String)>;

/// Runs the hooks of `kind`, side by side. After a signal they have `grace` left.
pub async fn run(
    job: &Job,
    kind: &str,
    hooks: &[Hook],
    env: &[(String, String)],
    grace: Duration,
) -> Vec<Outcome> {
    let running = hooks.iter().map(|hook| async move {
        let clock = Instant::now();
        run_hook(job, kind, hook, env, grace)
            .await
            .took(clock.elapsed())
    });
    futures_util::future::join_all(running).await
}

async fn run_hook(
    job: &Job,
    kind: &str,
    hook: &Hook,
    env: &[(String, String)],
    grace: Duration,
) -> Outcome {
    let Hook {
        name,
        run,
        timeout: _,
    } = hook;
    let id = format!("{kind}/{name}");
    job.progress.show(&id);
    match script(job, hook, env.to_vec(), grace).await {
        Ok(captured) => {
            let tail = captured.tail();
            let said = tail.lines().next_back().unwrap_or_default();
            let outcome = Outcome::pass(id, name).severity(Severity::Advisory);
            outcome.actual(if said.is_empty() { "done" } else { said })
        }
        Err(failure) => hook_failed(id, name, failure.chain(), run),
    }
}

/// What a hook printed that ended well.
pub async fn script(
    job: &Job,
    hook: &Hook,
    env: Variables,
    grace: Duration,
) -> Result<Captured, Failure> {
    let script = Script {
        text: &hook.run,
        env,
        timeout: hook.timeout.get(),
    };
    let redactor = &job.redactor;
    let mut log = |_: Stream, line: &str| tracing::info!("{}", redactor.redact(line));
    let ran = tokio::select! {
        ran = remote::local::run(&script, &mut log) => ran,
        () = job.interrupt.and(grace) => return Err(Failure::error("interrupted")),
    };
    let captured = ran.map_err(|error| Failure::error(format!("could not be started: {error}")))?;
    if captured.success() {
        Ok(captured)
    } else {
        Err(Failure::error(captured.summary()))
    }
}

fn hook_failed(id: String, name: &str, reason: String, run: &str) -> Outcome {
    Outcome::fail(id, name)
        .severity(Severity::Advisory)
        .expected("exit status 0")
        .actual(reason.clone())
        .reason(reason)
        .hint(format!("it changes no verdict; run it yourself: `{run}`"))
}

/// Runs the `after` hooks on the result of an operation, and adds their outcomes to it. `told` is
/// that result as a report, `file` is the path of its JSON.
pub async fn after(
    job: &Job,
    hooks: &[Hook],
    ended: Result<Report, Failure>,
    told: &Report,
    file: Option<&Path>,
    mut env: Variables,
    grace: Duration,
) -> Result<Report, Failure> {
    let file = file.map(|path| path.display().to_string());
    for (name, value) in [
        ("VERDICT", told.verdict.as_str().to_owned()),
        ("REASON", job.redactor.redact(&told.reason)),
        ("REPORT", file.unwrap_or_default()),
    ] {
        env.push((name.to_owned(), value));
    }
    let outcomes = run(job, "after", hooks, &env, grace).await;
    match ended {
        Ok(mut report) => {
            report.outcomes.extend(outcomes);
            Ok(report)
        }
        Err(mut failure) => {
            failure.beside.extend(outcomes);
            Err(failure)
        }
    }
}

/// The JSON of a report as it is so far, without secrets.
pub fn document(job: &Job, report: &Report) -> String {
    let mut report = report.clone();
    let took = jiff::Timestamp::now().duration_since(report.started_at);
    job.complete(&mut report, Duration::try_from(took).unwrap_or_default());
    crate::publish::document(&report.redacted(&job.redactor))
}
