//! The id of an outcome: `kind/name`, stable from run to run (`http/ready`, `secrets/DEPLOY_KEY`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// What other code asks of an outcome's id. All other ids are names only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whether the expected release answered.
    Identity,
    /// A step of a plan.
    Step,
    /// A step that was reverted.
    Undo,
    /// A stage of a run.
    Phase,
    /// A rule that blocks the operation.
    Refused,
    /// A rule that was lifted.
    Forced,
    /// What a place runs.
    Runs,
    /// The share that a place has.
    Share,
    /// A rollback that ended before its last step.
    Stopped,
    /// A metric of a canary.
    Canary,
    Other,
}

/// The release's own outcome, in a gate.
pub const IDENTITY: &str = "release/identity";

/// How each kind is written: a whole id, or the prefix of its name.
const WRITTEN: [(Kind, &str); 10] = [
    (Kind::Identity, IDENTITY),
    (Kind::Stopped, "rollback/stopped"),
    (Kind::Step, "step/"),
    (Kind::Undo, "undo/"),
    (Kind::Phase, "run/"),
    (Kind::Refused, "refused/"),
    (Kind::Forced, "forced/"),
    (Kind::Runs, "runs/"),
    (Kind::Share, "share/"),
    (Kind::Canary, "canary/"),
];

/// An outcome's id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(String);

impl Id {
    pub fn identity() -> Id {
        Id(IDENTITY.to_owned())
    }

    pub fn stopped() -> Id {
        Id::of(Kind::Stopped, "")
    }

    pub fn step(name: impl fmt::Display) -> Id {
        Id::of(Kind::Step, name)
    }

    pub fn undo(name: impl fmt::Display) -> Id {
        Id::of(Kind::Undo, name)
    }

    pub fn phase(name: impl fmt::Display) -> Id {
        Id::of(Kind::Phase, name)
    }

    pub fn refused(rule: impl fmt::Display) -> Id {
        Id::of(Kind::Refused, rule)
    }

    pub fn forced(rule: impl fmt::Display) -> Id {
        Id::of(Kind::Forced, rule)
    }

    pub fn runs(place: impl fmt::Display) -> Id {
        Id::of(Kind::Runs, place)
    }

    pub fn share(name: impl fmt::Display) -> Id {
        Id::of(Kind::Share, name)
    }

    pub fn canary(metric: impl fmt::Display) -> Id {
        Id::of(Kind::Canary, metric)
    }

    pub fn of(kind: Kind, name: impl fmt::Display) -> Id {
        let mut all = WRITTEN.iter();
        let before = all.find_map(|(one, text)| (*one == kind).then_some(*text));
        Id(format!("{}{name}", before.unwrap_or_default()))
    }

    /// As it is written. What other code asks of it is its [`Kind`].
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn kind(&self) -> Kind {
        self.parts().0
    }

    /// The name behind the kind, where it is of this one.
    pub fn name_of(&self, kind: Kind) -> Option<&str> {
        let (own, name) = self.parts();
        (own == kind).then_some(name)
    }

    fn parts(&self) -> (Kind, &str) {
        let part = |(kind, text): &(Kind, &str)| match self.0.strip_prefix(text)? {
            "" => Some((*kind, "")),
            name => text.ends_with('/').then_some((*kind, name)),
        };
        WRITTEN
            .iter()
            .find_map(part)
            .unwrap_or((Kind::Other, &self.0))
    }
}

impl From<String> for Id {
    fn from(text: String) -> Self {
        Id(text)
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Self {
        Id(text.to_owned())
    }
}

impl From<&String> for Id {
    fn from(text: &String) -> Self {
        Id(text.clone())
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_the_kind_that_it_was_made_of() {
        for (id, kind, name) in [
            (Id::step("switch"), Kind::Step, "switch"),
            (Id::undo("switch/a"), Kind::Undo, "switch/a"),
            (Id::phase("preflight"), Kind::Phase, "preflight"),
            (Id::refused("frozen"), Kind::Refused, "frozen"),
            (Id::forced("frozen"), Kind::Forced, "frozen"),
            (Id::runs("web-01"), Kind::Runs, "web-01"),
            (Id::share("10%/web-01"), Kind::Share, "10%/web-01"),
            (Id::canary("errors"), Kind::Canary, "errors"),
            (Id::identity(), Kind::Identity, ""),
            (Id::stopped(), Kind::Stopped, ""),
            (Id::from("http/ready"), Kind::Other, "http/ready"),
            (
                Id::from("release/identity-card"),
                Kind::Other,
                "release/identity-card",
            ),
            (Id::from("verify/step/x"), Kind::Other, "verify/step/x"),
        ] {
            assert_eq!((id.kind(), id.name_of(kind)), (kind, Some(name)), "{id}");
            assert_eq!(Id::from(id.to_string()), id);
        }
    }
}
