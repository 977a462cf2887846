//! The side that a deployment goes to: no request reaches it.

use cli::force::{Force, Lifting, StateRules};
use cli::{Failure, Job};
use config::value::Side;
use futures_util::future::join_all;
use model::{Id, Outcome};
use operation::shares::sides::BothSides;
use place::Place;
use router::{Router, Splits};

use crate::in_effect::served_by;
use crate::refuse;
use crate::session::Session;

/// Finds the side that has no share at any place, where `--release` could be ramped up once it is
/// deployed there; else why not. Nothing is changed.
pub async fn idle_side(
    job: &Job,
    force: &Force<StateRules>,
) -> Result<Result<Side, Box<Outcome>>, Failure> {
    let session = Session::open(job)?;
    let release = session.named()?;
    let document = session.read().await?;
    let mut lifting = Lifting::new(force.forced(job));
    let asking = refuse::begin_beside(&session, document.as_ref(), release, &mut lifting);
    if let Some(outcome) = asking.await? {
        return Ok(Err(Box::new(outcome)));
    }
    let release = document
        .as_ref()
        .map_or_else(|| release.to_owned(), |document| document.name_of(release));
    let work = session.work(document.as_ref());
    let context = work.context();
    let router = work.router(&context)?;
    let places = router.places().iter();
    let asking = places.map(|place| idle_at(&*router, place, &release));
    let mut idle: Option<Side> = None;
    for found in join_all(asking).await {
        let side = match found {
            Ok(side) => side,
            Err(outcome) => return Ok(Err(outcome)),
        };
        if *idle.get_or_insert(side) != side {
            let reason = "the idle side is blue at one place and green at another";
            let hint = "`traffic status` shows them; `traffic switch --to SIDE` makes them alike";
            return Ok(Err(refused(
                "no-idle-side",
                &release,
                reason.to_owned(),
                hint,
            )));
        }
    }
    // A router has at least one place.
    let none = || Failure::usage("the router has no place");
    idle.map(Ok).ok_or_else(none)
}

async fn idle_at(router: &dyn Router, place: &Place, release: &str) -> Result<Side, Box<Outcome>> {
    let (splits, both) = futures_util::future::join(
        Splits::read(router, place),
        BothSides::query(router, place, release),
    )
    .await;
    let splits = splits.map_err(|error| {
        let outcome = Outcome::error("idle-side", place.to_string())
            .expected("the router's configuration")
            .actual(error.to_string())
            .reason(format!("which side has the requests is not known: {error}"));
        Box::new(outcome.hint("`traffic status`"))
    })?;
    let split = splits.in_use;
    if let Some(reason) = splits.disagreement(router.kind()) {
        let hint = "`traffic status`; HAProxy keeps what is set where `state-file` or `config-file` is given";
        return Err(refused("no-idle-side", release, reason, hint));
    }
    let idle = Side::BOTH
        .into_iter()
        .find(|side| split.of(*side).is_none());
    let Some(idle) = idle else {
        let reason = format!("both sides have requests at {place}: {split}");
        let hint = "`traffic switch --to SIDE` gives all of them to one side";
        return Err(refused("no-idle-side", release, reason, hint));
    };
    if both.of(idle.other()).runs(release) {
        let reason = format!(
            "{release} has all requests already at {place}: {}",
            both.describe(router)
        );
        let hint =
            "there is nothing to deploy; if it is not recorded as good, run `rollback record`";
        return Err(refused("already-there", release, reason, hint));
    }
    if let Some(reason) = served_by(router, place, &both, split, idle).await {
        let hint = "`traffic status`; reload the router, or `traffic switch --to SIDE`";
        return Err(refused("no-idle-side", release, reason, hint));
    }
    Ok(idle)
}

fn refused(rule: &str, release: &str, reason: String, hint: &str) -> Box<Outcome> {
    Box::new(
        Outcome::refused(Id::refused(rule), release)
            .expected("a side without requests, to deploy to")
            .actual(reason.clone())
            .reason(reason)
            .hint(hint),
    )
}
