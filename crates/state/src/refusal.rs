//! The safety rules, each with its one name, and the refusals that follow from the state alone, in one wording. A stage adds
//! what a user can do next, and gives its own id and subject where its outcome has them.

use model::{Id, Outcome};

use crate::{Document, Entry, Journal};

/// A safety rule that a person can lift in the commands that have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The runner has a job, which a restart loses.
    Busy,
    /// A release that is live or can be gone back to needs what a migration takes away.
    Contract,
    /// The environment is frozen.
    Frozen,
    /// The release was rolled back from.
    KnownBad,
    /// A lock is held, and its holder may be alive.
    Locked,
    /// No rollback could ever switch the target, as it is configured.
    NoWayBack,
    /// What runs is another release, or it could not be queried.
    NotRunning,
    /// The release does not work with the schema that the database has.
    Schema,
    /// The destination is unhealthy already.
    Unhealthy,
    /// The destination was never recorded.
    UnknownRelease,
    /// The way back was never tried.
    Unrehearsed,
    /// The destination is older than the rollback window.
    Window,
}

impl Rule {
    /// Its name on the command line, in `refused/NAME` and in the state.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Busy => "busy",
            Rule::Contract => "contract",
            Rule::Frozen => "frozen",
            Rule::KnownBad => "known-bad",
            Rule::Locked => "locked",
            Rule::NoWayBack => "no-way-back",
            Rule::NotRunning => "not-running",
            Rule::Schema => "schema",
            Rule::Unhealthy => "unhealthy",
            Rule::UnknownRelease => "unknown-release",
            Rule::Unrehearsed => "unrehearsed",
            Rule::Window => "window",
        }
    }

    pub fn refusal(self, subject: impl Into<String>) -> Outcome {
        Outcome::refused(Id::refused(self.name()), subject)
    }
}

impl Document {
    /// Refuses to change anything while the environment is frozen.
    pub fn refuse_frozen(&self, subject: impl Into<String>) -> Option<Outcome> {
        let frozen = self.frozen.as_ref()?;
        Some(
            Rule::Frozen
                .refusal(subject)
                .expected("an environment that is not frozen")
                .actual(format!("frozen by {} at {:.0}", frozen.by, frozen.at))
                .reason(format!("the environment is frozen: {}", frozen.reason))
                .hint("when a person has looked: `rollback unfreeze`"),
        )
    }

    /// Refuses a release that was rolled back from.
    pub fn refuse_known_bad(&self, release: &str) -> Option<Outcome> {
        let Entry {
            release: recorded,
            deployed_at,
            changed_at,
            ..
        } = self.known_bad(release)?;
        let at = changed_at.unwrap_or(*deployed_at);
        Some(
            Rule::KnownBad
                .refusal(release)
                .expected("a release that is not known bad")
                .actual(format!("{recorded} is recorded bad"))
                .reason(format!(
                    "{release} is known bad: it was rolled back from at {at:.0}"
                )),
        )
    }
}

impl Journal {
    /// Refuses what must not be done beside this rollback, which has not ended.
    pub fn refuse_beside(&self) -> Outcome {
        Outcome::refused(Id::refused("unfinished"), self.place())
            .expected("no unfinished rollback")
            .actual("one was interrupted, or is running")
            .reason("a rollback has not ended")
            .hint("`rollback status`, then `rollback resume` or `rollback abort`")
    }
}
