//! Safety rules that a person lifts by name, with a reason that is written down.

use state::Rule;

const FIXED: &[(&str, &str)] = &[
    (
        "locked",
        "see `migrate status`; wait with `migrate.lock-wait`",
    ),
    ("dirty", "see `migrate decide`"),
];

/// The rules of a change.
#[derive(Clone, Debug)]
pub struct Rules;

impl cli::force::Rules for Rules {
    const ALL: &'static [Rule] = &[
        Rule::Contract,
        Rule::Frozen,
        Rule::KnownBad,
        Rule::Unrehearsed,
    ];
    const FIXED: &'static [(&'static str, &'static str)] = FIXED;
}

/// The rule of an undo: that the way back was tried.
#[derive(Clone, Debug)]
pub(crate) struct UndoRules;

impl cli::force::Rules for UndoRules {
    const ALL: &'static [Rule] = &[Rule::Unrehearsed];
    const FIXED: &'static [(&'static str, &'static str)] = FIXED;
}
