//! The safety rules that a person lifts for a whole run: those of its stages.

use cli::Failure;
use cli::force::{Rule as _, StateRule};
use config::Config;

/// A rule of a stage. Each stage lifts those that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    KnownBad,
    Frozen,
    NotRunning,
    NoWayBack,
    Contract,
    Unrehearsed,
}

impl cli::force::Rule for Rule {
    const ALL: &'static [Self] = &[
        Rule::KnownBad,
        Rule::Frozen,
        Rule::NotRunning,
        Rule::NoWayBack,
        Rule::Contract,
        Rule::Unrehearsed,
    ];

    fn name(self) -> &'static str {
        match self {
            Rule::KnownBad => "known-bad",
            Rule::Frozen => "frozen",
            Rule::NotRunning => "not-running",
            Rule::NoWayBack => "no-way-back",
            Rule::Contract => "contract",
            Rule::Unrehearsed => "unrehearsed",
        }
    }
}

fn names<R: cli::force::Rule>() -> Vec<&'static str> {
    R::ALL.iter().map(|rule| rule.name()).collect()
}

/// Refuses a rule that no stage of this run has: it would lift nothing, without a word.
pub(super) fn check(rules: &[Rule], config: &Config) -> Result<(), Failure> {
    // Preflight and a ramp ask for those of the state.
    let mut known = names::<StateRule>();
    let mut absent = Vec::new();
    for (section, is_there, names) in [
        (
            "rollback",
            config.rollback()?.is_some(),
            names::<rollback::record::Rule>(),
        ),
        (
            "migrate",
            config.migrate()?.is_some(),
            names::<migrate::Rule>(),
        ),
    ] {
        if is_there {
            known.extend(names);
        } else {
            absent.extend(names.into_iter().map(|name| (name, section)));
        }
    }
    let unknown = rules.iter().find(|rule| !known.contains(&rule.name()));
    let Some(rule) = unknown.map(|rule| rule.name()) else {
        return Ok(());
    };
    let of = absent.iter().find(|(name, _)| *name == rule);
    let failure = Failure::usage(format!("no stage of this run has the rule `{rule}`"));
    Err(match of {
        Some((_, section)) => {
            failure.hint(format!("it is of `{section}:`, which is not configured"))
        }
        None => failure,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_run_has_the_rules_of_its_stages_and_no_others() {
        let stages = [
            names::<StateRule>(),
            names::<rollback::record::Rule>(),
            names::<migrate::Rule>(),
        ];
        let stages: BTreeSet<&str> = stages.into_iter().flatten().collect();
        assert_eq!(BTreeSet::from_iter(names::<Rule>()), stages);
    }
}
