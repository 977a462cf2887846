//! What another changed at a place since its share was set: a person, a configuration manager, infrastructure code.

use config::value::Share;
use place::{Error, Place};
use router::{Router, Split, leaves_no_split};
use state::Rollout;

use super::sides::label;

/// A place that has something else than what was set.
#[derive(Clone, Debug)]
pub struct ForeignChange {
    pub place: Place,
    pub set: Split,
    /// What is there; an error where it is no split between the two sides.
    pub found: Result<Split, Error>,
}

impl ForeignChange {
    /// By what the router uses, where it tells; `None` where that is what was set, or cannot be asked.
    pub async fn find(router: &dyn Router, place: &Place, set: Split) -> Option<ForeignChange> {
        ForeignChange::of(place, set, router.in_use(place).await)
    }

    /// The same of what is known to be in use.
    pub fn of(place: &Place, set: Split, found: Result<Split, Error>) -> Option<ForeignChange> {
        let is_foreign = match &found {
            Ok(found) => *found != set,
            Err(error) => leaves_no_split(error),
        };
        is_foreign.then(|| ForeignChange {
            place: place.clone(),
            set,
            found,
        })
    }

    /// The share that the rollout's release has there; `None` where that is no split between the two sides.
    pub fn share(&self, rollout: &Rollout) -> Option<Share> {
        let side = rollout.sides.get(&self.place.to_string())?;
        Some(self.found.as_ref().ok()?.of(*side))
    }

    /// The same in words.
    pub fn label(&self, rollout: &Rollout) -> String {
        let share = self.share(rollout);
        share.map_or_else(|| self.found(), |share| label(&rollout.release, share))
    }

    /// What is there, in words.
    pub fn found(&self) -> String {
        match &self.found {
            Ok(found) => found.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

/// What is at each place, and what was set, in words.
pub fn listed(changes: &[ForeignChange]) -> String {
    let told: Vec<String> = changes.iter().map(ForeignChange::to_string).collect();
    told.join("; ")
}

impl std::fmt::Display for ForeignChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ForeignChange { place, set, found } = self;
        match found {
            Ok(found) => write!(
                f,
                "{place} has {found}, and {set} was set: another changed it"
            ),
            Err(found) => write!(f, "{place} had {set}, and now {found}: another changed it"),
        }
    }
}
