//! The share that the release of a rollout in progress gets, by who answers through the router.

use std::time::Duration;

use cli::Job;
use config::value::Share;
use futures_util::future::join_all;
use operation::shares::observe::{Releases, SampleEnd, sample};
use operation::shares::work::{Work, sides_of};
use state::Document;

/// Requests at all places together: a share of 50 % is then seen within 10 points in 99.5 of 100 looks, and the alert waits
/// for two minutes.
const ANSWERS: u32 = 200;
/// At each place at least.
const LEAST_ANSWERS: u32 = 10;
/// How long they may take.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The observed share; `None` without a rollout or `traffic:`, and where no answer shows it in time.
pub(crate) async fn observed(job: &Job, document: &Document) -> Option<Share> {
    let rollout = document.rollout.as_ref()?;
    let section = job.config.traffic().ok().flatten()?;
    let store = job.store(&job.state_address().ok()?).ok()?;
    let work = Work::new(job, section, store, document.history.clone());
    let context = work.context();
    let router = work.router(&context).ok()?;
    let sides = sides_of(&*router, rollout);
    let places = u32::try_from(sides.len()).unwrap_or(u32::MAX).max(1);
    let wanted = (ANSWERS / places).max(LEAST_ANSWERS);
    let asking = sides.iter().map(|(place, side)| {
        let releases = Releases::of(*side, &rollout.release, rollout.stable.as_deref());
        let router = &*router;
        async move {
            let answers = sample(router, place, releases, wanted, SampleEnd::Never).await;
            (answers.of(*side), answers.blue + answers.green)
        }
    });
    let all = tokio::time::timeout(SAMPLE_TIMEOUT, join_all(asking))
        .await
        .ok()?;
    let own: u32 = all.iter().map(|(own, _)| own).sum();
    let known: u32 = all.iter().map(|(_, known)| known).sum();
    (known > 0).then(|| Share::of(own.into(), known.into()))
}
