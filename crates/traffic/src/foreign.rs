//! A change of the share that was not ours: a manual edit, a reload by a configuration manager,
//! infrastructure code that puts its own back.

use std::time::Duration;

use config::value::Share;
use futures_util::future::join_all;
use operation::shares::work::sides_of;
use place::Place;
use router::{Router, Split};
use state::Rollout;

/// What was found instead of what was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    pub(crate) place: Place,
    pub(crate) set: Split,
    pub(crate) found: Split,
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Foreign { place, set, found } = self;
        write!(
            f,
            "{place} has {found}, and {set} was set: another changed it"
        )
    }
}

/// Looks at every place, side by side. One that cannot be asked tells nothing.
pub(crate) async fn look(
    router: &dyn Router,
    rollout: &Rollout,
    share: Share,
    limit: Duration,
) -> Option<Foreign> {
    let sides = sides_of(router, rollout);
    let looking = sides.iter().map(|(place, side)| async move {
        let set = Split::giving(*side, share);
        let asking = async {
            let configured = router.configured(place).await.ok();
            let loaded = router.loaded(place).await.ok().flatten();
            [configured, loaded]
        };
        let seen = tokio::time::timeout(limit, asking).await.ok()?;
        let found = seen.into_iter().flatten().find(|split| *split != set)?;
        Some(Foreign {
            place: place.clone(),
            set,
            found,
        })
    });
    join_all(looking).await.into_iter().flatten().next()
}

/// Looks every `interval`, until something is found.
pub(crate) async fn watch(
    router: &dyn Router,
    rollout: &Rollout,
    share: Share,
    interval: Duration,
) -> Foreign {
    loop {
        tokio::time::sleep(interval).await;
        if let Some(foreign) = look(router, rollout, share, interval).await {
            return foreign;
        }
    }
}
