//! Safety rules that a person lifts by name, with a reason that is written down.

use std::cell::RefCell;

use jiff::Timestamp;
use model::{Outcome, Severity};
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

impl Rule {
    const ALL: [Rule; 6] = [
        Rule::Frozen,
        Rule::KnownBad,
        Rule::UnknownRelease,
        Rule::Schema,
        Rule::Window,
        Rule::Unhealthy,
    ];

    pub(crate) fn name(self) -> &'static str {
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

/// Rules that nobody lifts, with what to do instead.
const FIXED: [(&str, &str); 6] = [
    (
        "no-last-known-good",
        "name a release: `rollback run --to RELEASE`",
    ),
    ("already-there", "name another: `rollback run --to RELEASE`"),
    (
        "destination",
        "mend what it says, or let some hosts fail with `rollback.max-failed`",
    ),
    ("locked", "see `rollback status`, then `rollback unlock`"),
    ("aborting", "`rollback resume` puts the rest back"),
    ("changed", "run it again"),
];

/// A rule's name, as `refused/NAME` says it.
pub(crate) fn rule(text: &str) -> Result<Rule, String> {
    let name = text.strip_prefix("refused/").unwrap_or(text);
    if let Some(rule) = Rule::ALL.into_iter().find(|rule| rule.name() == name) {
        return Ok(rule);
    }
    if let Some((_, instead)) = FIXED.iter().find(|(fixed, _)| *fixed == name) {
        return Err(format!("this rule cannot be lifted: {instead}"));
    }
    let names: Vec<&str> = Rule::ALL.map(Rule::name).to_vec();
    Err(format!(
        "there is no such rule; those that can be lifted: {}",
        names.join(", ")
    ))
}

/// The longest reason that is kept.
const MOST: usize = 512;

pub(crate) fn reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it is empty, and it is written down".to_owned());
    }
    if text.len() > MOST || text.chars().any(char::is_control) {
        return Err(format!(
            "it has a line break or another control character, or more than {MOST} bytes"
        ));
    }
    Ok(text.trim().to_owned())
}

/// The rules that a rollback was told to lift, and what came of it.
#[derive(Debug)]
pub(crate) struct Force {
    told: Vec<Forced>,
    lifted: RefCell<Vec<(Forced, Outcome)>>,
}

impl Force {
    pub(crate) fn new(rules: &[Rule], reason: Option<&str>, by: &str) -> Self {
        let at = Timestamp::now();
        let forced = |rule: &Rule| Forced {
            rule: rule.name().to_owned(),
            reason: reason.unwrap_or_default().to_owned(),
            by: by.to_owned(),
            at,
        };
        Force::told(rules.iter().map(forced).collect())
    }

    /// What a rollback that was killed had been told.
    pub(crate) fn told(told: Vec<Forced>) -> Self {
        Force {
            told,
            lifted: RefCell::default(),
        }
    }

    pub(crate) fn all(&self) -> &[Forced] {
        &self.told
    }

    /// The refusal, unless its rule is lifted; which is noted.
    pub(crate) fn refuse(&self, rule: Rule, refusal: Outcome) -> Result<(), Box<Outcome>> {
        let Some(forced) = self.told.iter().find(|told| told.rule == rule.name()) else {
            let insist = format!("to insist: `--force {} --reason TEXT`", rule.name());
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
        let mut all = self.lifted.borrow_mut();
        all.retain(|(known, _)| known.rule != forced.rule);
        all.push((forced.clone(), outcome));
        Ok(())
    }

    /// The rules that would have forbidden it.
    pub(crate) fn lifted(&self) -> Vec<Forced> {
        let all = self.lifted.borrow();
        all.iter().map(|(forced, _)| forced.clone()).collect()
    }

    /// What a report says of them.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        let lifted = self.lifted.borrow();
        let outcome = |told: &Forced| {
            let found = lifted.iter().find(|(forced, _)| forced.rule == told.rule);
            found.map_or_else(
                || {
                    let id = format!("forced/{}", told.rule);
                    Outcome::skipped(id, "", "the rule forbade nothing: nothing was lifted")
                },
                |(_, outcome)| outcome.clone(),
            )
        };
        self.told.iter().map(outcome).collect()
    }
}

/// That a rule was lifted.
pub(crate) fn lifted(forced: &Forced, subject: &str, why: &str) -> Outcome {
    let colon = if why.is_empty() { "" } else { ": " };
    Outcome::inconclusive(format!("forced/{}", forced.rule), subject)
        .severity(Severity::Advisory)
        .reason(format!(
            "lifted by {}, because: {}{colon}{why}",
            forced.by, forced.reason
        ))
        .hint("it stands in the journal and in `rollback history`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_named_or_the_rules_are() {
        for known in Rule::ALL {
            assert_eq!(rule(known.name()), Ok(known));
            assert_eq!(rule(&format!("refused/{}", known.name())), Ok(known));
        }
        for (fixed, _) in FIXED {
            let said = rule(fixed).unwrap_err();
            assert!(said.contains("cannot be lifted"), "{said}");
        }
        for unknown in ["", "all", "Frozen", "window ", "--force"] {
            let said = rule(unknown).unwrap_err();
            assert!(
                Rule::ALL.iter().all(|rule| said.contains(rule.name())),
                "{said}"
            );
        }
        assert!(reason("  ").is_err() && reason("a\nb").is_err());
    }

    #[test]
    fn only_what_was_in_the_way_is_lifted() {
        let force = Force::new(&[Rule::Frozen, Rule::Window], Some("why"), "me");
        let refusal = || Outcome::refused("refused/x", "v1").reason("no");
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
        assert_eq!(ids, ["forced/frozen", "forced/window"]);
    }
}
