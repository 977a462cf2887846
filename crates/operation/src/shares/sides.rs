//! Which side runs which release at each place.

use std::collections::BTreeMap;
use std::time::Duration;

use config::value::{Share, Side};
use futures_util::future::join_all;
use place::{Error, Place};
use router::{Health, Router};

use super::observe::Releases;

/// A change of a share waits no longer to hear what runs beside it.
const BESIDE_WITHIN: Duration = Duration::from_secs(1);

/// What a side of a router answered when it was asked itself.
#[derive(Clone, Debug)]
pub struct SideAnswer {
    /// The release.
    pub release: Result<String, Error>,
    /// What the router says about it; `None` where it does not look.
    pub health: Option<Health>,
}

impl SideAnswer {
    pub fn runs(&self, release: &str) -> bool {
        self.release.as_deref().is_ok_and(|runs| runs == release)
    }
}

/// Both sides of a router at one place.
#[derive(Clone, Debug)]
pub struct BothSides {
    pub blue: SideAnswer,
    pub green: SideAnswer,
}

impl BothSides {
    /// Asks both sides, side by side.
    pub async fn query(router: &dyn Router, place: &Place, likely: &str) -> BothSides {
        let one = |side: Side| async move {
            let (release, health) = futures_util::future::join(
                router.side_release(place, side, likely),
                router.health(place, side),
            )
            .await;
            SideAnswer {
                release,
                health: health.ok().flatten(),
            }
        };
        let (blue, green) = futures_util::future::join(one(Side::Blue), one(Side::Green)).await;
        BothSides { blue, green }
    }

    pub fn of(&self, side: Side) -> &SideAnswer {
        match side {
            Side::Blue => &self.blue,
            Side::Green => &self.green,
        }
    }

    /// The sides that run the release.
    pub fn running(&self, release: &str) -> Vec<Side> {
        let running = Side::BOTH.into_iter();
        running
            .filter(|side| self.of(*side).runs(release))
            .collect()
    }

    /// Whose answers tell the sides apart; `None` where no side answers, or both run the same release.
    pub fn releases(&self) -> Option<Releases<'_>> {
        match (&self.blue.release, &self.green.release) {
            (Ok(blue), Ok(green)) => {
                (blue != green).then(|| Releases::of(Side::Blue, blue, Some(green)))
            }
            (Ok(one), Err(_)) => Some(Releases::of(Side::Blue, one, None)),
            (Err(_), Ok(one)) => Some(Releases::of(Side::Green, one, None)),
            (Err(_), Err(_)) => None,
        }
    }

    /// In words: `blue 127.0.0.1:8001 runs v1, green 127.0.0.1:8002 cannot be asked (…)`.
    pub fn describe(&self, router: &dyn Router) -> String {
        let one = |side: Side| {
            let name = router.name(side);
            match &self.of(side).release {
                Ok(release) => format!("{side} {name} runs {release}"),
                Err(error) => format!("{side} {name} cannot be queried ({error})"),
            }
        };
        format!("{}, {}", one(Side::Blue), one(Side::Green))
    }
}

/// Asks both sides at every place, side by side.
pub async fn query_all(router: &dyn Router, likely: &str) -> BTreeMap<Place, BothSides> {
    let asking = router.places().iter().map(|place| async move {
        let both = BothSides::query(router, place, likely).await;
        (place.clone(), both)
    });
    join_all(asking).await.into_iter().collect()
}

/// What an operation of the engine goes to or leaves: a release and its share. One function makes it,
/// and nothing takes it apart.
pub fn label(release: &str, share: Share) -> String {
    format!("{release} at {share}")
}

/// Why a release on this side is not to be changed beside what the other side answers: that is the release, too. What the
/// release loses would go to itself.
pub fn runs_too(router: &dyn Router, side: Side, release: &str, other: &str) -> Option<String> {
    let beside = side.other();
    (router.releases().named(other, release) == release).then(|| {
        format!(
            "{beside} {} runs {release}, and the rollout has {release} at {side}",
            router.name(beside)
        )
    })
}

/// The same at each place that answers in time.
pub async fn all_that_run_too(
    router: &dyn Router,
    sides: &BTreeMap<Place, Side>,
    release: &str,
) -> BTreeMap<Place, String> {
    let asking = sides.iter().map(|(place, side)| async move {
        let answer = router.side_release(place, side.other(), release);
        let answer = tokio::time::timeout(BESIDE_WITHIN, answer).await;
        let why = runs_too(router, *side, release, &answer.ok()?.ok()?)?;
        Some((place.clone(), why))
    });
    join_all(asking).await.into_iter().flatten().collect()
}
