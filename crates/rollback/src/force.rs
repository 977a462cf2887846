//! Safety rules that a person lifts by name, with a reason that is written down.

use model::{Id, Outcome};
use state::Forced;

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

/// The rules that a rollback was asked to lift, and the result.
#[derive(Clone, Debug)]
pub(crate) struct Force {
    told: Vec<Forced>,
    lifted: Vec<(Forced, Outcome)>,
}

impl Force {
    /// The rules from the command line, or those of a rollback that was killed.
    pub(crate) fn new(told: Vec<Forced>) -> Self {
        Force {
            told,
            lifted: Vec::new(),
        }
    }

    pub(crate) fn requested(&self) -> &[Forced] {
        &self.told
    }

    /// The refusal, unless its rule is lifted; which is noted.
    pub(crate) fn refuse(&mut self, rule: Rule, refusal: Outcome) -> Result<(), Box<Outcome>> {
        let Some(forced) = cli::force::of(rule, &self.told) else {
            let insist = cli::force::insist(rule);
            let hint = refusal.hint.clone();
            let hint = hint.map_or(insist.clone(), |hint| format!("{hint}; {insist}"));
            return Err(Box::new(refusal.hint(hint)));
        };
        let why = refusal.reason.clone().unwrap_or_default();
        let outcome = lifted(forced, &refusal.subject, &why);
        let outcome = Outcome {
            expected: refusal.expected,
            actual: refusal.actual,
            ..outcome
        };
        let entry = (forced.clone(), outcome);
        self.lifted.retain(|(known, _)| known.rule != entry.0.rule);
        self.lifted.push(entry);
        Ok(())
    }

    /// The rules that would have forbidden it.
    pub(crate) fn lifted(&self) -> Vec<Forced> {
        let all = self.lifted.iter();
        all.map(|(forced, _)| forced.clone()).collect()
    }

    /// What a report contains about them.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        let outcome = |told: &Forced| {
            let found = self
                .lifted
                .iter()
                .find(|(forced, _)| forced.rule == told.rule);
            found.map_or_else(|| cli::force::unused(told), |(_, outcome)| outcome.clone())
        };
        self.told.iter().map(outcome).collect()
    }
}

/// That a rule was lifted.
pub(crate) fn lifted(forced: &Forced, subject: &str, why: &str) -> Outcome {
    let outcome = Outcome::inconclusive(Id::forced(&forced.rule), subject).reason(why);
    cli::force::lifted(outcome, forced).hint("the journal and `rollback history` keep it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_in_the_way_is_lifted() {
        let force = [Rule::Frozen, Rule::Window];
        let mut force = Force::new(cli::force::forced(&force, "why", "me"));
        let refusal = || Outcome::refused(Id::refused("x"), "v1").reason("no");
        assert!(force.refuse(Rule::Schema, refusal()).is_err());
        assert!(force.refuse(Rule::Frozen, refusal()).is_ok());
        assert!(force.refuse(Rule::Frozen, refusal()).is_ok());
        let lifted = force.lifted();
        assert_eq!(lifted.len(), 1);
        assert_eq!(
            (lifted[0].rule.as_str(), lifted[0].reason.as_str()),
            ("frozen", "why")
        );
        let ids: Vec<_> = force.outcomes().into_iter().map(|o| o.id).collect();
        assert_eq!(ids, ["frozen", "window"].map(Id::forced));
    }
}
