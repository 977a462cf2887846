//! The router of `traffic:`: whether it can be read, and whether the first share could be set.

use std::time::Duration;

use ::router::{Router, Split};
use cli::Job;
use config::file::Traffic;
use config::value::{Share, Side};
use futures_util::future::join_all;
use model::text::duration;
use model::{Outcome, StageName};
use operation::shares::work::Work;
use place::Place;

use super::finding::Finding;

/// How long one machine may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) async fn look(job: &Job) -> Vec<Finding> {
    let Some(section) = job.config.traffic().ok().flatten() else {
        return Vec::new();
    };
    let Ok(Some(address)) = job.config.state_address() else {
        return Vec::new();
    };
    // The findings of the state report a store that cannot be opened.
    let Ok(store) = job.store(address) else {
        return Vec::new();
    };
    let work = Work::new(job, section, store, Vec::new());
    let context = work.context();
    let router = match work.router(&context) {
        Ok(router) => router,
        Err(failure) => {
            let reason = failure.chain();
            let outcome = Outcome::fail("router/share", "traffic")
                .expected(EXPECTED)
                .actual(reason.clone())
                .reason(reason)
                .hint("`traffic status` shows more");
            return vec![Finding::new(outcome, &[StageName::Traffic])];
        }
    };
    let places = router.places().iter();
    join_all(places.map(|place| at(&*router, section, place))).await
}

const EXPECTED: &str = "a rollout could set its shares";

async fn at(router: &dyn Router, section: &Traffic, place: &Place) -> Finding {
    let id = match place {
        Place::Here => "router/share".to_owned(),
        Place::Host(host) => format!("router/{host}"),
    };
    let asked = tokio::time::timeout(QUERY_TIMEOUT, settable(router, section, place)).await;
    let late = || format!("no answer within {}", duration(QUERY_TIMEOUT));
    let (outcome, stops): (Outcome, &[StageName]) = match asked.unwrap_or_else(|_| Err(late())) {
        Ok(split) => (
            Outcome::pass(id, router.kind()).actual(split.to_string()),
            &[],
        ),
        Err(reason) => (
            Outcome::fail(id, router.kind())
                .actual(reason.clone())
                .reason(format!(
                    "no share could be set with {}: {reason}",
                    router.kind()
                ))
                .hint("`traffic status` and `traffic plan` show more, as the user that ramps"),
            &[StageName::Traffic],
        ),
    };
    Finding::new(outcome.expected(EXPECTED), stops)
}

/// The split that is configured, where the side with less could get the first share.
async fn settable(router: &dyn Router, section: &Traffic, place: &Place) -> Result<Split, String> {
    let configured = router.configured(place).await;
    let configured = configured.map_err(|error| error.to_string())?;
    let first = section.stages.first().copied().unwrap_or(Share::ALL);
    let idle = Side::BOTH
        .into_iter()
        .min_by_key(|side| configured.of(*side))
        .unwrap_or(Side::Green);
    let wanted = Split::giving(idle, first);
    let change = router.check(place, wanted).await;
    let change = change.map_err(|error| error.to_string())?;
    if change.split != wanted {
        return Err(format!(
            "{wanted} cannot be expressed: the nearest is {}",
            change.split
        ));
    }
    Ok(configured)
}
