//! What a target is to those that use it: its steps, what it does at each, what it knows of what
//! runs. One file per kind implements it; the order, the journal and what becomes of failures are
//! not a target's.

use std::pin::Pin;
use std::time::Instant;

use place::{Entrypoint, Error, Standby, Step, StepFuture};

/// What proved that a release answers, if anything did.
pub type Proving<'a> = Pin<Box<dyn Future<Output = Option<String>> + 'a>>;

/// From which release to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition<'a> {
    pub to: &'a str,
    /// The release that is left; `None` where it is not known.
    pub from: Option<&'a str>,
}

impl<'a> Transition<'a> {
    /// Where the release that is left does not matter.
    pub fn to(release: &'a str) -> Self {
        Transition {
            to: release,
            from: None,
        }
    }
}

/// What a target can do; it stays so while the target is used.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// [`Switch::plan`] proves that what the destination needs is still there.
    pub proves_retention: bool,
    /// A step that failed has put back what was before. Such a step is also made again when it is
    /// resumed, whatever the journal says: that costs nothing and proves it.
    pub self_reverting: bool,
    /// Two releases may share the traffic of one place: an answer of one proves nothing about
    /// the other.
    pub splits_traffic: bool,
    /// Every step is made from this machine, whatever its place is.
    pub acts_from_here: bool,
}

/// What is needed to go back to the release that runs, beside its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseFacts {
    /// Its ARN.
    pub task_definition: String,
    /// Whether it says by itself that it is the release that was asked for.
    pub named: bool,
}

/// The parts of a place, such as the services of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceParts {
    /// What each of them runs, in words.
    pub runs: Vec<String>,
    /// What of them was looked at and does not run, in words.
    pub down: Vec<String>,
}

/// What a step that was made came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// In words.
    pub detail: String,
    /// When the destination was first seen to answer, where the step went on after that.
    pub answered: Option<Instant>,
}

impl From<String> for Applied {
    fn from(detail: String) -> Self {
        Applied {
            detail,
            answered: None,
        }
    }
}

/// How a step that was made ended.
pub type StepEnd = Result<(), Error>;

/// What runs and what is known of it. Changes nothing.
pub trait Observe {
    /// The release that runs at the step's place; `None` where the target cannot tell. `likely` is
    /// the release that it probably is.
    fn current<'a>(&'a self, step: &'a Step, likely: &'a str) -> StepFuture<'a, Option<String>>;

    /// What the parts of the step's place run, where the target sees parts; `likely` is the release that
    /// is expected of them.
    fn parts<'a>(&'a self, step: &'a Step, likely: &'a str) -> StepFuture<'a, PlaceParts> {
        let _ = (step, likely);
        Box::pin(async { Ok(PlaceParts::default()) })
    }

    /// What the state must know of what runs so that it can be gone back to, if `release` is what
    /// runs; `None` where the release's name is enough.
    fn facts<'a>(&'a self, release: &'a str) -> StepFuture<'a, Option<ReleaseFacts>> {
        let _ = release;
        Box::pin(async { Ok(None) })
    }

    /// What is worth keeping of the step's place before it is wiped away: names, and texts such as
    /// logs.
    fn diagnostics<'a>(&'a self, step: &'a Step) -> Vec<(&'static str, StepFuture<'a, String>)> {
        let _ = step;
        Vec::new()
    }

    /// What proved that the destination answers, once every step was made; `None` if only the
    /// steps' own success shows it.
    fn proof<'a>(&'a self, destination: &'a str) -> Proving<'a>;
}

/// How a release is made live.
///
/// Only `prepare`, `apply` and `revert` change anything. Steps at different places run side by side.
pub trait Switch {
    /// One step for each place, without any query.
    fn steps(&self, transition: Transition<'_>) -> Vec<Step>;

    /// Proves that the step can be made, and changes nothing, not even files that are not live;
    /// what it would do, in words.
    fn plan<'a>(&'a self, step: &'a Step, transition: Transition<'a>) -> StepFuture<'a, String>;

    /// Brings what the step needs to its place, such as images; nothing that is live changes.
    /// `None` where everything is there.
    fn prepare<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
    ) -> Option<StepFuture<'a, ()>> {
        let _ = (step, transition);
        None
    }

    /// What is needed to revert the step. Written down before it is made.
    fn snapshot<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
    ) -> StepFuture<'a, Option<String>>;

    /// Makes the step; safe to do twice, also after a kill in the middle of the first time.
    fn apply<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
        snapshot: Option<&'a str>,
    ) -> StepFuture<'a, Applied>;

    /// Puts the snapshot back; safe to do twice, and where the step was only begun or never made.
    fn revert<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
        snapshot: Option<&'a str>,
    ) -> StepFuture<'a, String>;

    /// The same of a step that this execution made, which ended so.
    fn revert_made<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
        snapshot: Option<&'a str>,
        end: &'a StepEnd,
    ) -> StepFuture<'a, String> {
        let _ = end;
        self.revert(step, transition, snapshot)
    }
}

/// What routes traffic to one of several releases that run.
pub trait Route {
    /// Where the destination answers at the step's place before it gets the traffic.
    fn standby<'a>(&'a self, step: &'a Step, destination: &'a str) -> StepFuture<'a, Standby>;

    /// The ways in that the router itself has.
    fn entrypoints(&self) -> StepFuture<'_, Vec<Entrypoint>>;
}

/// What a release runs on, or what routes to it.
pub trait Target: Observe + Switch {
    fn capabilities(&self) -> Capabilities;

    /// Itself, where it routes traffic to what runs beside it.
    fn router(&self) -> Option<&dyn Route> {
        None
    }
}
