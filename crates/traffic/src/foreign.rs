//! What disturbs a share that was set: a manual edit, a reload by a configuration manager,
//! infrastructure code that puts its own back, reloads that starve a small share.

use std::time::Duration;

use config::value::Share;
use futures_util::future::join_all;
use operation::shares::observe::{Answers, Releases, contradicts, sample};
use operation::shares::work::sides_of;
use place::Place;
use router::{Router, Side, Split};
use state::Rollout;

/// The requests of ours in one interval: so few that they come as a user's do.
const ASKED: u32 = 20;

/// Why a share that was set is not what users get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Disturbed {
    /// Another changed it: what was set, and what is there.
    Foreign {
        place: Place,
        set: Split,
        found: Split,
    },
    /// It is still set, and the answers over time are not of that share.
    NotServed {
        place: Place,
        set: Split,
        answers: Answers,
    },
}

impl std::fmt::Display for Disturbed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Disturbed::Foreign { place, set, found } => {
                write!(
                    f,
                    "{place} has {found}, and {set} was set: another changed it"
                )
            }
            Disturbed::NotServed {
                place,
                set,
                answers,
            } => write!(
                f,
                "{place} has {set}, and over time {answers}: reloads, or a rule before it, keep users from their side"
            ),
        }
    }
}

/// Looks at every place, side by side. One that cannot be asked tells nothing.
pub(crate) async fn look(
    router: &dyn Router,
    rollout: &Rollout,
    share: Share,
    limit: Duration,
) -> Option<Disturbed> {
    let sides = sides_of(router, rollout);
    let looking = sides.iter().map(|(place, side)| async move {
        let set = Split::giving(*side, share);
        // By what the router uses, where it tells: what a restart would make of it is for `status`.
        let asking = async {
            match router.loaded(place).await {
                Ok(None) => router.configured(place).await.ok(),
                loaded => loaded.ok().flatten(),
            }
        };
        let seen = tokio::time::timeout(limit, asking).await.ok()?;
        let found = seen.filter(|split| *split != set)?;
        Some(Disturbed::Foreign {
            place: place.clone(),
            set,
            found,
        })
    });
    join_all(looking).await.into_iter().flatten().next()
}

/// Looks every `interval`, and asks in between as a user does, until something is found.
pub(crate) async fn watch(
    router: &dyn Router,
    rollout: &Rollout,
    share: Share,
    interval: Duration,
) -> Disturbed {
    let changed = async {
        loop {
            tokio::time::sleep(interval).await;
            if let Some(disturbed) = look(router, rollout, share, interval).await {
                return disturbed;
            }
        }
    };
    let sides = sides_of(router, rollout);
    let served = sides.iter().map(|(place, side)| {
        Box::pin(not_served(router, rollout, (place, *side), share, interval))
    });
    let served = futures_util::future::select_all(served);
    tokio::select! {
        disturbed = changed => disturbed,
        (disturbed, _, _) = served => disturbed,
    }
}

/// Ends when the answers at a place, one after another over time, contradict its share.
async fn not_served(
    router: &dyn Router,
    rollout: &Rollout,
    (place, side): (&Place, Side),
    share: Share,
    interval: Duration,
) -> Disturbed {
    let set = Split::giving(side, share);
    if !router.capabilities().can_sample {
        return std::future::pending().await;
    }
    let releases = Releases::of(side, &rollout.release, &rollout.stable);
    let mut answers = Answers::default();
    loop {
        tokio::time::sleep(interval / ASKED).await;
        answers.merge(sample(router, place, releases, 1).await);
        if contradicts(&answers, set) {
            return Disturbed::NotServed {
                place: place.clone(),
                set,
                answers,
            };
        }
    }
}
