//! Whether users get what a router has, before anything relies on it: one that was not reloaded, or kept its old file,
//! serves another side than its configuration names.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use config::value::{Share, Side};
use futures_util::future::try_join_all;
use operation::shares::observe::{Releases, SampleEnd, answers_needed, is_visible, prove, sample};
use operation::shares::sides::BothSides;
use place::{Error, Place};
use router::{Router, Split};

/// How long one place is asked who answers: behind a server that hangs, each request takes its whole timeout.
pub(crate) const SAMPLE_TIME: Duration = Duration::from_secs(15);

/// What answers for a side that should have no requests; `None` where nothing does, as far as answers can tell.
pub(crate) async fn served_by(
    router: &dyn Router,
    place: &Place,
    both: &BothSides,
    split: Split,
    idle: Side,
) -> Option<String> {
    let releases = both.releases().filter(|_| is_visible(router, split))?;
    let wanted = answers_needed(split, split)?;
    let end = Instant::now() + SAMPLE_TIME;
    let answers = sample(router, place, releases, wanted, SampleEnd::Answered(end)).await;
    (answers.of(idle) > 0).then(|| format!("{split} should be in effect, and {answers}"))
}

/// Proves that a release has all requests at every place already.
///
/// # Errors
/// Returns an error where the answers do not show it.
pub(crate) async fn has_all(
    router: &dyn Router,
    sides: &BTreeMap<Place, Side>,
    (release, stable): (&str, Option<&str>),
) -> Result<(), Error> {
    let end = Instant::now() + SAMPLE_TIME;
    let proving = sides.iter().map(|(place, side)| {
        let releases = Releases::of(*side, release, stable);
        let split = Split::giving(*side, Share::ALL);
        prove(router, place, releases, (split, split), end)
    });
    try_join_all(proving).await.map(|_| ())
}
