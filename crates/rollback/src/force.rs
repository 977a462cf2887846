//! Safety rules that a person lifts by name, with a reason that is written down.

use state::Rule;

/// The rules of a rollback.
#[derive(Clone, Debug)]
pub struct Rules;

impl cli::force::Rules for Rules {
    const ALL: &'static [Rule] = &[
        Rule::Frozen,
        Rule::KnownBad,
        Rule::UnknownRelease,
        Rule::Schema,
        Rule::Window,
        Rule::Unhealthy,
    ];
    const FIXED: &'static [(&'static str, &'static str)] = &[
        (
            "no-last-known-good",
            "name a release: `rollback run --to RELEASE`",
        ),
        ("already-there", "name another: `rollback run --to RELEASE`"),
        (
            "destination",
            "fix what it reports, or let some hosts fail with `rollback.max-failed`",
        ),
        ("locked", "see `rollback status`, then `rollback unlock`"),
        ("aborting", "`rollback resume` puts the rest back"),
        ("changed", "run it again"),
    ];
}
