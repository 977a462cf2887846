//! What another changed at a place since its share was set: a person, a configuration manager, infrastructure code.

use config::value::Share;
use place::{Error, ForeignChange, Place};
use router::{Router, Split, leaves_no_split};
use state::Rollout;

use super::sides::label;

/// By what the router uses, where it tells; `None` where that is what was set, or cannot be asked.
pub async fn find(router: &dyn Router, place: &Place, set: Split) -> Option<ForeignChange> {
    compare(place, set, router.in_use(place).await)
}

/// The same of what is known to be in use.
pub fn compare(place: &Place, set: Split, found: Result<Split, Error>) -> Option<ForeignChange> {
    let is_foreign = match &found {
        Ok(found) => *found != set,
        Err(error) => leaves_no_split(error),
    };
    is_foreign.then(|| ForeignChange {
        place: place.to_string(),
        set,
        found,
    })
}

/// The share that the rollout's release has there; `None` where that is no split between the two sides.
pub fn share(change: &ForeignChange, rollout: &Rollout) -> Option<Share> {
    let side = rollout.sides.get(&change.place)?;
    Some(change.found.as_ref().ok()?.of(*side))
}

/// The same in words.
pub fn share_label(change: &ForeignChange, rollout: &Rollout) -> String {
    let share = share(change, rollout);
    share.map_or_else(|| change.found(), |share| label(&rollout.release, share))
}

/// What is at each place, and what was set, in words.
pub fn listed(changes: &[ForeignChange]) -> String {
    let told: Vec<String> = changes.iter().map(ForeignChange::to_string).collect();
    told.join("; ")
}
