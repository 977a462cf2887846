//! Safety rules that a person lifts by name, with a reason that is written down.

/// A rule that can be lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Frozen,
    KnownBad,
    UnknownRelease,
    Schema,
    Window,
    Unhealthy,
}

impl cli::force::Rule for Rule {
    const ALL: &'static [Self] = &[
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

    fn name(self) -> &'static str {
        match self {
            Rule::Frozen => "frozen",
            Rule::KnownBad => "known-bad",
            Rule::UnknownRelease => "unknown-release",
            Rule::Schema => "schema",
            Rule::Window => "window",
            Rule::Unhealthy => "unhealthy",
        }
    }
}
