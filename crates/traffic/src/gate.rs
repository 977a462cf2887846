//! The answer to a deployment of ECS that shifts the traffic itself and waits for us: its lifecycle
//! hook of the kind `PAUSE` goes on where the gate passes, and rolls back where it fails.

use std::time::{Duration, Instant};

use cli::{Failure, Job};
use config::value::Span;
use jiff::Timestamp;
use model::{Outcome, Report, Verdict};
use operation::shares::work::TRAFFIC;
use router::ecs_hook::{Decision, Hooks};

/// How often ECS is asked whether the deployment waits by now.
const POLL: Duration = Duration::from_secs(5);

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// The cluster, by name or ARN
    #[arg(long, value_name = "NAME")]
    cluster: String,
    /// The service, by name or ARN
    #[arg(long, value_name = "NAME")]
    service: String,
    /// The region. Default: that of the environment or the profile
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// How long to wait for the deployment to reach its pause. Default: not at all
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    wait: Span,
}

/// Runs the gate and answers the pause with what it finds.
pub(crate) async fn gate(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let started = Timestamp::now();
    let Some(section) = job.config.healthgate()? else {
        return Err(Failure::usage("no gate is configured")
            .hint("add `healthgate:` with the probes, or the `canary`, that decide"));
    };
    let region = flags.region.as_deref();
    let names = (flags.cluster.as_str(), flags.service.as_str());
    let hooks = Hooks::new(names, region, &job.env, &job.redactor);
    let paused = waited(job, &hooks, flags).await?;
    let [hook] = paused.as_slice() else {
        return Ok(Report::from_outcomes(
            TRAFFIC,
            started,
            vec![not_one(flags, paused.len())],
        ));
    };
    let watched = watch::watch(job, section, &watch::Settings::default()).await?;
    let mut outcomes = watched.outcomes;
    let verdict = Verdict::of(outcomes.iter().map(Outcome::weighs));
    let decision = match verdict {
        Verdict::Pass => Some(Decision::Continue),
        Verdict::Fail => Some(Decision::RollBack),
        _ => None,
    };
    let interrupted = job.interrupt.caught().is_some();
    let id = "gate/answer";
    outcomes.push(match decision.filter(|_| !interrupted) {
        None => Outcome::inconclusive(id, &hook.stage)
            .expected("a verdict")
            .actual("the gate did not decide")
            .reason(format!("{} still waits: it got no answer", flags.service))
            .hint(format!(
                "run it again before the pause ends; then ECS does by itself: {}",
                hook.on_expiry
            )),
        Some(decision) if job.dry_run => Outcome::skipped(
            id,
            &hook.stage,
            format!("dry run: would report {}", word(decision)),
        ),
        Some(decision) => match hooks.answer(hook, decision).await {
            Ok(()) => Outcome::pass(id, &hook.stage).actual(word(decision)),
            Err(error) => Outcome::error(id, &hook.stage)
                .expected(word(decision))
                .actual(error.to_string())
                .reason(error.to_string())
                .hint("allow `ecs:ContinueServiceDeployment`; see the deployment in the console"),
        },
    });
    let mut report = Report::from_outcomes(TRAFFIC, started, outcomes);
    report.curves = watched.curves;
    report.pauses = watched.pauses;
    Ok(report)
}

fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Continue => "continue",
        Decision::RollBack => "roll back",
    }
}

/// The pauses at which the deployment waits, waited for themselves.
async fn waited(job: &Job, hooks: &Hooks, flags: &Flags) -> Result<Vec<aws::ecs::Hook>, Failure> {
    let end = Instant::now() + flags.wait.get();
    loop {
        let paused = hooks.paused().await.map_err(Failure::error)?;
        if !paused.is_empty() || Instant::now() >= end {
            return Ok(paused);
        }
        job.progress
            .show(&format!("{} has not reached its pause", flags.service));
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            _ = job.interrupt.wait() => return Ok(Vec::new()),
        }
    }
}

fn not_one(flags: &Flags, count: usize) -> Outcome {
    let service = &flags.service;
    let reason = match count {
        0 => format!("no deployment of {service} waits at a pause"),
        count => format!("{count} pauses of {service} wait: which one is meant is not known"),
    };
    Outcome::inconclusive("gate/pause", service)
        .expected("one deployment that waits at a lifecycle hook of the kind PAUSE")
        .actual(count.to_string())
        .reason(reason)
        .hint("add a PAUSE hook to the service's deployment, and wait for it: `--wait 10m`")
}
