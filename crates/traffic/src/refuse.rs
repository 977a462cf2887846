//! Why no share may change, as far as the state tells.

use cli::Failure;
use cli::force::Lifting;
use cli::rollout::in_progress;
use futures_util::future::join_all;
use model::{Id, Outcome, Verdict};
use operation::shares::work::{places_gone, runs_beside, unconfigured};
use router::Router;
use state::journal::ROLLBACK;
use state::{Document, Rollout, Rule};

use crate::session::{Session, rollout};

/// The rule that forbids to begin a rollout of this release.
pub(crate) async fn begin(
    session: &Session<'_>,
    document: Option<&Document>,
    release: &str,
) -> Result<Option<Outcome>, Failure> {
    begin_beside(session, document, release, &mut Lifting::default()).await
}

/// The same beside the rules that a person lifts.
pub(crate) async fn begin_beside(
    session: &Session<'_>,
    document: Option<&Document>,
    release: &str,
    lifting: &mut Lifting,
) -> Result<Option<Outcome>, Failure> {
    if let Some(document) = document {
        let frozen = document.refuse_frozen(release);
        let known_bad = document.refuse_known_bad(release);
        let known_bad = known_bad.map(|outcome| {
            outcome.hint(format!(
                "deploy another one; if it is good after all: `rollback record --release {release} --force known-bad --reason TEXT`"
            ))
        });
        for (rule, refusal) in [(Rule::Frozen, frozen), (Rule::KnownBad, known_bad)] {
            if refusal.is_some() && lifting.lifts(rule).is_none() {
                return Ok(refusal);
            }
        }
    }
    if let Some(rollout) = rollout(document) {
        return Ok(Some(in_progress(Id::refused("rollout"), rollout)));
    }
    let unfinished = session.store.unfinished(ROLLBACK).await?;
    Ok(unfinished.map(|journal| journal.refuse_beside()))
}

/// The rules that forbid to go on with a rollout: [`gone`], or its release runs on the other side, too.
pub(crate) async fn go_on(router: &dyn Router, rollout: &Rollout) -> Vec<Outcome> {
    let mut refused = gone(router, rollout);
    refused.extend(runs_beside(router, rollout).await);
    refused
}

/// The rule that forbids to change a rollout: a place of it is not configured any more, so that its share there could not
/// be changed, watched or taken back.
fn gone(router: &dyn Router, rollout: &Rollout) -> Vec<Outcome> {
    let gone = places_gone(router, rollout).into_iter();
    let outcomes = gone.map(|place| {
        let outcome = unconfigured(
            Id::refused(format!("share/{place}")),
            place,
            &rollout.release,
        );
        Outcome {
            verdict: Verdict::Refused,
            ..outcome
        }
    });
    outcomes.collect()
}

/// Where nothing is in progress: not an error, for a second `resume` must do nothing. But where both sides have a share, none
/// of them is known to be right: its rollout was lost with the state, or another set it.
pub(crate) async fn nothing(
    session: &Session<'_>,
    document: Option<&Document>,
    what: &str,
) -> Result<Vec<Outcome>, Failure> {
    let work = session.work(document);
    let context = work.context();
    let router = work.router(&context)?;
    let looking = router.places().iter().map(async |place| {
        let split = router.in_use(place).await.ok()?;
        split.whole().is_none().then_some((place, split))
    });
    let divided = join_all(looking).await.into_iter().flatten();
    let refused: Vec<Outcome> = divided
        .map(|(place, split)| {
            Outcome::refused(Id::refused(format!("share/{place}")), place.to_string())
                .expected("a rollout in the state, or all requests on one side")
                .actual(split.to_string())
                .reason(format!(
                    "nothing to {what} is recorded, and {place} has {split}"
                ))
                .hint(
                    "nothing was changed; `traffic switch --to blue`, or green, gives everything to that side and \
                     proves it",
                )
        })
        .collect();
    if !refused.is_empty() {
        return Ok(refused);
    }
    let told = format!("nothing to {what}: no rollout is in progress");
    Ok(vec![
        Outcome::pass(format!("{what}/nothing"), "").actual(told),
    ])
}
