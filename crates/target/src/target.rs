//! What a target is to those that use it: its steps, what it does at each, what it knows of what
//! runs. One file per kind implements it; the order, the journal and what becomes of failures are
//! not a target's.

use std::pin::Pin;
use std::time::Instant;

use crate::place::Place;
use crate::question::Question;

/// What a place answers, once it has; the error is a reason in words.
pub type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + 'a>>;

/// What proved that a release answers, if anything did.
pub type Proving<'a> = Pin<Box<dyn Future<Output = Option<String>> + 'a>>;

/// What is switched as a whole at one place: a release on a host, or the colour behind a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `command/web-01`, `nginx/localhost`: stable, the journal knows it by this.
    pub name: String,
    /// In words, for a plan.
    pub does: String,
    pub place: Place,
}

/// From where to where.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    pub destination: &'a str,
    pub left: Option<&'a str>,
}

/// A way in to the service.
#[derive(Clone, Debug)]
pub struct Door {
    pub name: String,
    pub question: Question,
    /// The server (`host:port`) that is asked instead of the URL's own.
    pub at: Option<String>,
    pub place: Place,
    /// Whether users come this way.
    pub traffic: bool,
    /// Why nobody can say who else answers here: then good answers prove nothing.
    pub unsure: Option<String>,
}

impl Door {
    /// The front door of a proxy and the colours behind it (name, address), at one of its machines.
    /// Where several are `active`, each has traffic of its own: one user in twenty is not seen
    /// through the front door.
    pub(crate) fn of_proxy(
        kind: &str,
        place: &Place,
        question: &Question,
        colours: &[(&str, &str)],
        active: Result<Vec<&str>, String>,
    ) -> Vec<Door> {
        let (active, unsure) = match active {
            Ok(active) => (active, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let shared = |at: &str| active.len() > 1 && active.contains(&at);
        let door = |name: &str, at: Option<&str>| Door {
            name: match place {
                Place::Here => name.to_owned(),
                Place::Host(host) => format!("{name}/{host}"),
            },
            question: question.clone(),
            at: at.map(str::to_owned),
            place: place.clone(),
            traffic: at.is_none_or(shared),
            unsure: unsure.clone().filter(|_| at.is_none()),
        };
        let mut doors = vec![door(kind, None)];
        doors.extend(colours.iter().map(|(name, at)| door(name, Some(at))));
        doors
    }
}

/// A destination that runs and has no traffic yet.
#[derive(Clone, Debug)]
pub struct Idle {
    /// `host:port`.
    pub at: String,
    /// The front door's URL.
    pub front: String,
}

/// What is needed to go back to the release that runs, beside its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Its ARN.
    pub task_definition: String,
    /// Whether it says by itself that it is the release that was asked for.
    pub named: bool,
}

/// The parts of a place, such as the services of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// What each of them runs, in words.
    pub runs: Vec<String>,
    /// What of them was looked at and does not run, in words.
    pub down: Vec<String>,
}

/// How the switch is made.
///
/// Only `prepare`, `act` and `undo` change anything. Steps at different places run side by side.
pub trait Target {
    /// One step a place, without asking anybody.
    fn steps(&self, moving: Move<'_>) -> Vec<Step>;

    /// The release that runs at the step's place; `None` where the target cannot tell. `likely` is
    /// the release that it probably is.
    fn current<'a>(&'a self, step: &'a Step, likely: &'a str) -> Asking<'a, Option<String>>;

    /// What the parts of the step's place run, where the target sees parts; `likely` is the release that
    /// is expected of them.
    fn parts<'a>(&'a self, step: &'a Step, likely: &'a str) -> Asking<'a, Parts> {
        let _ = (step, likely);
        Box::pin(async { Ok(Parts::default()) })
    }

    /// What the state must know of what runs so that it can be gone back to, if `release` is what
    /// runs; `None` where the release's name is enough.
    fn learned<'a>(&'a self, release: &'a str) -> Asking<'a, Option<Learned>> {
        let _ = release;
        Box::pin(async { Ok(None) })
    }

    /// Proves that the step can be made, and changes nothing, not even files that are not live;
    /// what it would do, in words.
    fn plan<'a>(&'a self, step: &'a Step, moving: Move<'a>) -> Asking<'a, String>;

    /// Brings what the step needs to its place, such as images; nothing that is live changes.
    /// `None` where everything is there.
    fn prepare<'a>(&'a self, step: &'a Step, moving: Move<'a>) -> Option<Asking<'a, ()>> {
        let _ = (step, moving);
        None
    }

    /// Whether [`Target::plan`] proves that what the destination needs is still there.
    fn proves(&self) -> bool {
        true
    }

    /// Where the destination answers at the step's place before it gets the traffic, and the URL
    /// of the front door that it will be asked through; `None` where it cannot be asked before.
    fn idle<'a>(&'a self, step: &'a Step, destination: &'a str) -> Asking<'a, Option<Idle>> {
        let _ = (step, destination);
        Box::pin(async { Ok(None) })
    }

    /// The ways in that the target knows by itself.
    fn doors(&self) -> Asking<'_, Vec<Door>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// What is worth keeping of the step's place before it is wiped away: names, and texts such as
    /// logs. They change nothing.
    fn looks<'a>(&'a self, step: &'a Step) -> Vec<(&'static str, Asking<'a, String>)> {
        let _ = step;
        Vec::new()
    }

    /// What is needed to undo the step. Written down before it is made.
    fn before<'a>(&'a self, step: &'a Step, moving: Move<'a>) -> Asking<'a, Option<String>>;

    /// Makes the step; safe to do twice, also after a kill in the middle of the first time.
    fn act<'a>(
        &'a self,
        step: &'a Step,
        moving: Move<'a>,
        before: Option<&'a str>,
    ) -> Asking<'a, String>;

    /// Puts `before` back; safe to do twice, and where the step was only begun or never made.
    fn undo<'a>(
        &'a self,
        step: &'a Step,
        moving: Move<'a>,
        before: Option<&'a str>,
    ) -> Asking<'a, String>;

    /// Whether a step that failed has put back what was before. Such a step is also made again
    /// when it is resumed, whatever the journal says: that costs nothing and proves it.
    fn undoes(&self) -> bool {
        false
    }

    /// Whether two releases may share the traffic: then one answer through the front door says
    /// nothing of the other.
    fn shares(&self) -> bool {
        false
    }

    /// When the destination was seen to answer at the last place, where a step goes on after that.
    fn answered(&self) -> Option<Instant> {
        None
    }

    /// What proved that the destination answers, once every step was made; `None` where nothing
    /// but the steps' own success says so.
    fn proof<'a>(&'a self, destination: &'a str) -> Proving<'a>;
}
