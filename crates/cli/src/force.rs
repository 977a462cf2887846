//! `--force RULE --reason TEXT`: a person lifts one safety rule, and the reason is kept with what
//! was done.

use std::fmt::Debug;
use std::marker::PhantomData;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use jiff::Timestamp;
use model::id::Kind;
use model::{Id, Outcome, Severity, Verdict};
use state::Forced;
pub use state::Rule;

use crate::Job;

/// The rules of one command that a person can lift.
pub trait Rules: Clone + Debug + Send + Sync + 'static {
    const ALL: &'static [Rule];
    /// Rules that nothing lifts, each with what to do instead.
    const FIXED: &'static [(&'static str, &'static str)] = &[];
}

/// The rules of the state that forbid to deploy a release, whichever stage finds them.
#[derive(Clone, Debug)]
pub struct StateRules;

impl Rules for StateRules {
    const ALL: &'static [Rule] = &[Rule::KnownBad, Rule::Frozen];
}

/// The flags of a command that lets rules be lifted.
#[derive(clap::Args, Clone, Debug)]
pub struct Force<R: Rules> {
    /// Lift this safety rule; repeatable
    #[arg(
        long = "force",
        value_name = "RULE",
        value_parser = RuleParser::<R>(PhantomData),
        requires = "reason"
    )]
    pub rules: Vec<Rule>,
    /// Why the rule is lifted; it is kept with what was done
    #[arg(long, value_name = "TEXT", value_parser = reason, requires = "rules")]
    pub reason: Option<String>,
    #[arg(skip)]
    of: PhantomData<R>,
}

impl<R: Rules> Default for Force<R> {
    fn default() -> Self {
        Force {
            rules: Vec::new(),
            reason: None,
            of: PhantomData,
        }
    }
}

impl<R: Rules> Force<R> {
    /// What is written down of each rule that this job lifts, without secrets.
    pub fn forced(&self, job: &Job) -> Vec<Forced> {
        let reason = self.reason.as_deref().unwrap_or_default();
        forced(&self.rules, &job.redactor.redact(reason), &job.actor())
    }

    /// The rules among them that another command has, too.
    pub fn known_to<S: Rules>(&self) -> Force<S> {
        let rules = self.rules.iter().copied();
        Force {
            rules: rules.filter(|rule| S::ALL.contains(rule)).collect(),
            reason: self.reason.clone(),
            of: PhantomData,
        }
    }
}

/// What is written down of rules that `by` lifts now.
pub fn forced(rules: &[Rule], reason: &str, by: &str) -> Vec<Forced> {
    let at = Timestamp::now();
    let forced = |rule: &Rule| Forced {
        rule: rule.name().to_owned(),
        reason: reason.to_owned(),
        by: by.to_owned(),
        at,
    };
    rules.iter().map(forced).collect()
}

/// What was lifted of a rule, if it was.
pub fn of(rule: Rule, forced: &[Forced]) -> Option<&Forced> {
    forced.iter().find(|forced| forced.rule == rule.name())
}

/// The rules that a command was asked to lift, and what came of each.
#[derive(Clone, Debug, Default)]
pub struct Lifting {
    requested: Vec<Forced>,
    /// Those that were in the way. One without an outcome is shown with another outcome of the command.
    lifted: Vec<(Forced, Option<Outcome>)>,
}

impl Lifting {
    /// The rules of the command line, or those of a change that was interrupted.
    pub fn new(requested: Vec<Forced>) -> Self {
        Lifting {
            requested,
            lifted: Vec::new(),
        }
    }

    pub fn requested(&self) -> &[Forced] {
        &self.requested
    }

    /// The refusal with the flag that lifts its rule, unless the rule is lifted; which is noted.
    pub fn refuse(&mut self, rule: Rule, refusal: Outcome) -> Result<(), Box<Outcome>> {
        let Some(forced) = of(rule, &self.requested).cloned() else {
            let flag = flag(rule);
            let hint = refusal.hint.as_ref();
            let hint = hint.map_or(flag.clone(), |hint| format!("{hint}; {flag}"));
            return Err(Box::new(refusal.hint(hint)));
        };
        let outcome = Outcome {
            id: Id::forced(&forced.rule),
            verdict: Verdict::Inconclusive,
            ..refusal
        };
        let outcome = lifted(outcome, &forced);
        self.note(forced, Some(outcome));
        Ok(())
    }

    /// What was lifted of a rule that is in the way, if it was; an outcome of the command shows it.
    pub fn lifts(&mut self, rule: Rule) -> Option<Forced> {
        let forced = of(rule, &self.requested).cloned()?;
        self.note(forced.clone(), None);
        Some(forced)
    }

    fn note(&mut self, forced: Forced, outcome: Option<Outcome>) {
        self.lifted.retain(|(known, _)| known.rule != forced.rule);
        self.lifted.push((forced, outcome));
    }

    /// The rules that would have forbidden it.
    pub fn lifted(&self) -> Vec<Forced> {
        let all = self.lifted.iter();
        all.map(|(forced, _)| forced.clone()).collect()
    }

    /// What a report has of them, and of those that forbade nothing.
    pub fn outcomes(&self) -> Vec<Outcome> {
        let outcome = |requested: &Forced| {
            let mut all = self.lifted.iter();
            match all.find(|(forced, _)| forced.rule == requested.rule) {
                Some((_, outcome)) => outcome.clone(),
                None => Some(unused(requested)),
            }
        };
        self.requested.iter().filter_map(outcome).collect()
    }
}

/// The end of a hint where a rule stops a command.
pub fn flag(rule: Rule) -> String {
    format!("to lift this rule: `--force {} --reason TEXT`", rule.name())
}

/// The outcome of a rule that was lifted: it is shown, stops nothing, and there is nothing left to do about it.
pub fn lifted(outcome: Outcome, forced: &Forced) -> Outcome {
    let why = outcome.reason.as_deref().unwrap_or_default();
    let colon = if why.is_empty() { "" } else { ": " };
    let reason = format!(
        "lifted by {}, because: {}{colon}{why}",
        forced.by, forced.reason
    );
    let outcome = Outcome {
        hint: None,
        ..outcome
    };
    outcome.severity(Severity::Advisory).reason(reason)
}

/// The outcome of a rule that was named and forbade nothing.
pub fn unused(forced: &Forced) -> Outcome {
    let id = Id::forced(&forced.rule);
    Outcome::skipped(id, "", "the rule forbade nothing: nothing was lifted")
}

/// The outcome of a rule that was named, and of which nothing is known.
pub fn not_asked(forced: &Forced) -> Outcome {
    let id = Id::forced(&forced.rule);
    Outcome::skipped(id, "", "the rule was not checked")
}

#[derive(Clone, Copy)]
struct RuleParser<R>(PhantomData<R>);

impl<R: Rules> TypedValueParser for RuleParser<R> {
    type Value = Rule;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Rule, clap::Error> {
        let text = value.to_string_lossy();
        rule::<R>(&text).map_err(|reason| {
            let mut error = clap::Error::new(ErrorKind::ValueValidation).with_cmd(command);
            if let Some(argument) = argument {
                let argument = ContextValue::String(argument.to_string());
                error.insert(ContextKind::InvalidArg, argument);
            }
            let value = ContextValue::String(text.into_owned());
            error.insert(ContextKind::InvalidValue, value);
            let reason = clap::builder::StyledStr::from(reason.to_string());
            error.insert(
                ContextKind::Suggested,
                ContextValue::StyledStrs(vec![reason]),
            );
            error
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(
            R::ALL.iter().map(|rule| PossibleValue::new(rule.name())),
        ))
    }
}

/// Why a rule or a reason cannot be taken.
#[derive(Debug, thiserror::Error)]
enum ForceError {
    #[error("this rule cannot be lifted: {0}")]
    Fixed(&'static str),
    /// Those that there are.
    #[error("rules that can be lifted: {}", .0.join(", "))]
    Unknown(Vec<&'static str>),
    #[error("it is empty, and it is kept with what was done")]
    Empty,
    #[error("it has a line break or another control character, or more than {MAX_REASON} bytes")]
    NoLine,
}

/// A rule by its name, as `refused/NAME` has it too.
fn rule<R: Rules>(text: &str) -> Result<Rule, ForceError> {
    let id = Id::from(text);
    let name = id.name_of(Kind::Refused).unwrap_or(text);
    if let Some(rule) = R::ALL.iter().find(|rule| rule.name() == name) {
        return Ok(*rule);
    }
    if let Some((_, instead)) = R::FIXED.iter().find(|(fixed, _)| *fixed == name) {
        return Err(ForceError::Fixed(instead));
    }
    Err(ForceError::Unknown(
        R::ALL.iter().map(|rule| rule.name()).collect(),
    ))
}

/// The longest reason that is kept, in bytes.
const MAX_REASON: usize = 512;

fn reason(text: &str) -> Result<String, ForceError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ForceError::Empty);
    }
    if text.len() > MAX_REASON || text.chars().any(char::is_control) {
        return Err(ForceError::NoLine);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Clone, Debug)]
    struct Sample;

    impl Rules for Sample {
        const ALL: &'static [Rule] = &[Rule::Frozen, Rule::Busy];
        const FIXED: &'static [(&'static str, &'static str)] = &[("locked", "wait for it")];
    }

    #[derive(Parser, Debug)]
    struct Command {
        #[command(flatten)]
        force: Force<Sample>,
    }

    fn parsed(args: &[&str]) -> Result<Force<Sample>, clap::Error> {
        let args = [&["command"], args].concat();
        Command::try_parse_from(args).map(|command| command.force)
    }

    #[test]
    fn rules_are_lifted_by_name_and_with_a_reason() {
        let force = parsed(&[
            "--force",
            "frozen",
            "--force=refused/busy",
            "--reason",
            " we looked ",
        ]);
        let force = force.unwrap();
        assert_eq!(force.rules, [Rule::Frozen, Rule::Busy]);
        assert_eq!(force.reason.as_deref(), Some("we looked"));
        for (args, part) in [
            (&["--force", "frozen"] as &[&str], "--reason"),
            (&["--reason", "x"], "--force"),
            (&["--force"], "[possible values: frozen, busy]"),
            (&["--force", "all", "--reason", "x"], "frozen, busy"),
            (&["--force", "Frozen", "--reason", "x"], "frozen, busy"),
            (
                &["--force", "locked", "--reason", "x"],
                "cannot be lifted: wait for it",
            ),
            (&["--force", "busy", "--reason", "  "], "empty"),
            (&["--force", "busy", "--reason", "a\nb"], "line break"),
        ] {
            let error = parsed(args).unwrap_err().to_string();
            assert!(error.contains(part), "{args:?}: {error}");
        }
    }

    #[test]
    fn only_what_was_in_the_way_is_lifted() {
        let mut lifting = Lifting::new(forced(&[Rule::Busy], "why", "me"));
        let refusal = || {
            Outcome::refused(Id::refused("x"), "v1")
                .reason("no")
                .hint("wait")
        };
        let refused = lifting.refuse(Rule::Frozen, refusal()).unwrap_err();
        assert_eq!(
            refused.hint.as_deref(),
            Some("wait; to lift this rule: `--force frozen --reason TEXT`")
        );
        assert_eq!(lifting.outcomes(), [unused(&lifting.requested()[0])]);
        assert!(lifting.lifted().is_empty());
        for _ in 0..2 {
            assert!(lifting.refuse(Rule::Busy, refusal()).is_ok());
        }
        assert_eq!(lifting.lifted(), lifting.requested());
        let [outcome] = &lifting.outcomes()[..] else {
            panic!("{:?}", lifting.outcomes());
        };
        assert_eq!(outcome.id, Id::forced("busy"));
        assert_eq!(
            outcome.reason.as_deref(),
            Some("lifted by me, because: why: no")
        );
        assert_eq!(
            (outcome.hint.as_deref(), outcome.weighs()),
            (None, Verdict::Pass)
        );
        assert_eq!(lifting.lifts(Rule::Frozen), None);
        assert!(lifting.lifts(Rule::Busy).is_some() && lifting.outcomes().is_empty());
    }

    #[test]
    fn what_was_lifted_is_shown_and_stops_nothing() {
        let all = forced(&[Rule::Busy], "we looked", "me");
        assert_eq!(of(Rule::Busy, &all), Some(&all[0]));
        assert_eq!(of(Rule::Frozen, &all), None);
        let outcome = Outcome::refused("refused/busy", "x").reason("a job runs");
        let outcome = outcome.hint("wait for it");
        let outcome = lifted(outcome, &all[0]);
        assert_eq!(outcome.severity, Severity::Advisory);
        assert_eq!(outcome.hint, None);
        assert_eq!(
            outcome.reason.as_deref(),
            Some("lifted by me, because: we looked: a job runs")
        );
    }
}
