//! Why no share may change, as far as the state tells.

use cli::Failure;
use cli::rollout::in_progress;
use model::{Id, Outcome, Verdict};
use operation::shares::work::{places_gone, runs_beside, unconfigured};
use router::Router;
use state::journal::ROLLBACK;
use state::{Document, Rollout};

use crate::session::{Session, rollout};

/// The rule that forbids to begin a rollout of this release.
pub(crate) async fn begin(
    session: &Session<'_>,
    document: Option<&Document>,
    release: &str,
) -> Result<Option<Outcome>, Failure> {
    if let Some(document) = document {
        if let Some(frozen) = &document.frozen {
            return Ok(Some(
                Outcome::refused(Id::refused("frozen"), release)
                    .expected("an environment that is not frozen")
                    .actual(format!("frozen by {} at {:.0}", frozen.by, frozen.at))
                    .reason(format!("the environment is frozen: {}", frozen.reason))
                    .hint("when a person has looked: `rollback unfreeze`"),
            ));
        }
        if document.known_bad(release).is_some() {
            return Ok(Some(
                Outcome::refused(Id::refused("known-bad"), release)
                    .expected("a release that is not known bad")
                    .actual(format!("{release} is recorded bad"))
                    .reason(format!("{release} is known bad: it was taken back before"))
                    .hint(format!(
                        "deploy another one; if it is good after all: `rollback record --release {release}`"
                    )),
            ));
        }
    }
    if let Some(rollout) = rollout(document) {
        return Ok(Some(in_progress(Id::refused("rollout"), rollout)));
    }
    if let Some(journal) = session.store.unfinished(ROLLBACK).await? {
        return Ok(Some(
            Outcome::refused(Id::refused("unfinished"), journal.place())
                .expected("no unfinished rollback")
                .actual("one was interrupted, or is running")
                .reason("a rollback has not ended")
                .hint("`rollback status`, then `rollback resume` or `rollback abort`"),
        ));
    }
    Ok(None)
}

/// The rules that forbid to go on with a rollout: [`gone`], or its release runs on the other side, too.
pub(crate) async fn go_on(router: &dyn Router, rollout: &Rollout) -> Vec<Outcome> {
    let mut refused = gone(router, rollout);
    refused.extend(runs_beside(router, rollout).await);
    refused
}

/// The rule that forbids to change a rollout: a place of it is not configured any more, so that its share there could not
/// be changed, watched or taken back.
pub(crate) fn gone(router: &dyn Router, rollout: &Rollout) -> Vec<Outcome> {
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

/// Where nothing is in progress: not an error, for a second `resume` must do nothing.
pub(crate) fn nothing(what: &str) -> Outcome {
    Outcome::pass(format!("{what}/nothing"), "")
        .actual(format!("nothing to {what}: no rollout is in progress"))
}
