//! The safety rules that a person lifts for a whole run: those of its stages.

use cli::Failure;
use cli::force::{self, Rule, StateRules};
use config::Config;

/// The rules of a run's stages. Each stage lifts those that it has.
#[derive(Clone, Debug)]
pub(crate) struct Rules;

impl force::Rules for Rules {
    const ALL: &'static [Rule] = &[
        Rule::KnownBad,
        Rule::Frozen,
        Rule::NotRunning,
        Rule::NoWayBack,
        Rule::Contract,
        Rule::Unrehearsed,
    ];
}

fn all<R: force::Rules>() -> &'static [Rule] {
    R::ALL
}

/// Refuses a rule that no stage of this run has: it would lift nothing, without a word.
pub(super) fn check(rules: &[Rule], config: &Config) -> Result<(), Failure> {
    // Preflight and a ramp ask for those of the state.
    let mut known = all::<StateRules>().to_vec();
    let mut absent = Vec::new();
    for (section, is_there, rules) in [
        (
            "rollback",
            config.rollback()?.is_some(),
            all::<rollback::record::Rules>(),
        ),
        (
            "migrate",
            config.migrate()?.is_some(),
            all::<migrate::Rules>(),
        ),
    ] {
        if is_there {
            known.extend(rules);
        } else {
            absent.extend(rules.iter().map(|rule| (*rule, section)));
        }
    }
    let Some(rule) = rules.iter().find(|rule| !known.contains(rule)) else {
        return Ok(());
    };
    let failure = Failure::usage(format!(
        "no stage of this run has the rule `{}`",
        rule.name()
    ));
    let of = absent.iter().find(|(absent, _)| absent == rule);
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
            all::<StateRules>(),
            all::<rollback::record::Rules>(),
            all::<migrate::Rules>(),
        ];
        let stages: BTreeSet<Rule> = stages.concat().into_iter().collect();
        assert_eq!(
            all::<Rules>().iter().copied().collect::<BTreeSet<Rule>>(),
            stages
        );
    }
}
