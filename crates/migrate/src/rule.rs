//! Safety rules that a person lifts by name, with a reason that is written down.

/// A rule that can be lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A release that is live or can be gone back to needs what a migration takes away.
    Contract,
    /// Deployments are frozen.
    Frozen,
    /// The release was taken back before.
    KnownBad,
    /// The way back was never tried.
    Unrehearsed,
}

impl cli::force::Rule for Rule {
    const ALL: &'static [Self] = &[
        Rule::Contract,
        Rule::Frozen,
        Rule::KnownBad,
        Rule::Unrehearsed,
    ];
    const FIXED: &'static [(&'static str, &'static str)] = &[
        (
            "locked",
            "see `migrate status`; wait with `migrate.lock-wait`",
        ),
        ("dirty", "see `migrate decide`"),
    ];

    fn name(self) -> &'static str {
        match self {
            Rule::Contract => "contract",
            Rule::Frozen => "frozen",
            Rule::KnownBad => "known-bad",
            Rule::Unrehearsed => "unrehearsed",
        }
    }
}

/// The rule of an undo: that the way back was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rehearsed;

impl cli::force::Rule for Rehearsed {
    const ALL: &'static [Self] = &[Rehearsed];
    const FIXED: &'static [(&'static str, &'static str)] = Rule::FIXED;

    fn name(self) -> &'static str {
        cli::force::Rule::name(Rule::Unrehearsed)
    }
}
