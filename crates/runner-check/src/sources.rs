//! Whom every command asks, and until when.

use std::time::{Duration, Instant};

use cli::{Failure, Job};
use config::file::RunnerCheck;

/// Whom to ask, as the section says. A rate limit is waited for within `patience`.
pub(crate) fn sources<'a>(
    job: &'a Job,
    section: &RunnerCheck,
    patience: Duration,
) -> runners::Sources<'a> {
    let timeout = section.timeout.get();
    let until = Instant::now() + patience.max(timeout);
    let client = job.github(section.token_env.as_deref(), timeout, until);
    runners::Sources::new(job, client, timeout)
}

pub(crate) fn rules(section: &RunnerCheck) -> runners::Rules {
    runners::Rules {
        max_evidence_age: section.max_evidence_age.get(),
        max_queue_time: section.max_queue_time.get(),
    }
}

/// The work, unless a signal comes first.
pub(crate) async fn unless_interrupted<T>(
    work: impl Future<Output = T>,
    job: &Job,
) -> Result<T, Failure> {
    tokio::select! {
        done = work => Ok(done),
        _ = job.interrupt.wait() => Err(Failure::error("interrupted")),
    }
}

/// The runners' owner is not configured.
pub(crate) fn no_owner() -> Failure {
    Failure::usage("no repository is named")
        .hint("pass `--repo OWNER/NAME`; in a workflow GITHUB_REPOSITORY names it")
}
