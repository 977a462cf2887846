//! What a promotion makes of a rollout: how far it may go, and over which shares.

use config::value::Share;
use state::{Phase, Rollout};

/// Up to where a rollout may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Promotion {
    pub(crate) to: Share,
    /// A person named the share: it is a stage of its own.
    pub(crate) is_named: bool,
}

impl Promotion {
    /// The rollout with it.
    pub(crate) fn of(self, rollout: &Rollout) -> Rollout {
        let mut promoted = rollout.clone();
        self.apply(&mut promoted);
        promoted
    }

    pub(crate) fn apply(self, rollout: &mut Rollout) {
        rollout.promoted = rollout.promoted.max(Some(self.to));
        if is_at_its_end(rollout) {
            // Nothing is left of what was planned: the promotion is the next stage.
            rollout.stages.push(self.to);
        } else if self.is_named {
            insert(&mut rollout.stages, self.to);
        }
    }
}

/// Puts a share among those that grow, where it is not one of them.
pub(crate) fn insert(stages: &mut Vec<Share>, share: Share) {
    if let Err(at) = stages.binary_search(&share) {
        stages.insert(at, share);
    }
}

/// A share that a person set, or a ramp whose last stage is below 100 %.
pub(crate) fn is_at_its_end(rollout: &Rollout) -> bool {
    rollout.phase == Phase::Held && rollout.stages.last() == Some(&rollout.share)
}

/// The shares that are still to be set.
pub(crate) fn left(rollout: &Rollout) -> Vec<Share> {
    let current = rollout.share;
    // A stage that was over when it was promoted is not judged again: it might hold the ramp once more.
    let is_over = rollout.phase == Phase::Waiting && rollout.promoted > Some(current);
    let is_left = |share: &Share| *share > current || (*share == current && !is_over);
    rollout.stages.iter().copied().filter(is_left).collect()
}
