//! Verifies that a remedy helped: gathers the evidence again until it says so twice, or time is up.
//!
//! Twice, because a service that crashes at its start still runs in an early look.

use std::num::NonZero;
use std::time::Duration;

use cli::{Failure, Job};
use config::file::RunnerCheck;
use model::text::span;
use runners::{Judgement, Pool};
use tokio::time::Instant;

use crate::sources::{rules, sources, unless_interrupted};

/// Between two looks: long enough for a crash, short enough for a person who waits.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// What the last look said.
pub(crate) struct Proof {
    pub(crate) judgement: Judgement,
    /// Whether the pool could take a job, twice in a row and with the same processes.
    pub(crate) proven: bool,
    pub(crate) looks: u32,
    pub(crate) took: Duration,
}

/// Looks at a pool until it can take jobs.
pub(crate) async fn prove(job: &Job, section: &RunnerCheck, pool: &Pool) -> Result<Proof, Failure> {
    let started = Instant::now();
    let within = section.verify_timeout.get();
    let sources = sources(job, section, within);
    let mut last = None;
    let mut looks = 0;
    loop {
        looks += 1;
        let known = unless_interrupted(sources.gather(std::slice::from_ref(pool)), job).await?;
        let judgement = runners::judge(pool, &known, &rules(section));
        let services: Vec<(u32, u32)> = known
            .hosts
            .values()
            .filter_map(|seen| seen.as_ref().ok()?.unit.as_ref())
            .map(|unit| (unit.pid, unit.restarts))
            .collect();
        let up = judgement.state.is_up().then_some(services);
        let proven = up.is_some() && up == last;
        let took = started.elapsed();
        if proven || took >= within {
            return Ok(Proof {
                judgement,
                proven,
                looks,
                took,
            });
        }
        job.progress.show(&format!(
            "{}: {judgement}; waiting for it to be online, for {} more",
            pool.name,
            span(within.saturating_sub(took))
        ));
        last = up;
        unless_interrupted(
            tokio::time::sleep(POLL_INTERVAL.min(within.saturating_sub(took))),
            job,
        )
        .await?;
    }
}

/// A pool of one runner, whatever its labels.
pub(crate) fn pool_of(name: &str, job: &Job, section: &RunnerCheck) -> Option<Pool> {
    let here = job.actions.repository.as_ref();
    // Where a pool names the runner, its list is the one to look into.
    let named = section
        .pools
        .iter()
        .find(|pool| pool.runners.iter().any(|runner| runner == name));
    let pool = match named {
        Some(pool) => Pool::of_section(pool, section, here)?,
        None => Pool::everybody(section, here)?,
    };
    Some(Pool {
        name: name.to_owned(),
        labels: Vec::new(),
        min_online: NonZero::<u32>::MIN,
        members: vec![name.to_owned()],
        only_members: true,
        metric: None,
        supply: runners::Supply::Registered,
        ..pool
    })
}
