//! `--force RULE --reason TEXT`: a person lifts one safety rule, and the reason is kept with what
//! was done.

use std::fmt::Debug;
use std::marker::PhantomData;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use jiff::Timestamp;
use model::id::Kind;
use model::{Id, Outcome, Severity};
use state::Forced;

use crate::Job;

/// A rule of one command that a person can lift.
pub trait Rule: Copy + Eq + Debug + Send + Sync + 'static {
    const ALL: &'static [Self];
    /// Rules that nothing lifts, each with what to do instead.
    const FIXED: &'static [(&'static str, &'static str)] = &[];

    /// Its name on the command line, in `refused/NAME` and in the state.
    fn name(self) -> &'static str;
}

/// The flags of a command that lets rules be lifted.
#[derive(clap::Args, Clone, Debug)]
pub struct Force<R: Rule> {
    /// Lift this safety rule; may be given again
    #[arg(
        long = "force",
        value_name = "RULE",
        value_parser = RuleParser::<R>(PhantomData),
        requires = "reason"
    )]
    pub rules: Vec<R>,
    /// Why the rule is lifted; it is kept with what was done
    #[arg(long, value_name = "TEXT", value_parser = reason, requires = "rules")]
    pub reason: Option<String>,
}

impl<R: Rule> Default for Force<R> {
    fn default() -> Self {
        Force {
            rules: Vec::new(),
            reason: None,
        }
    }
}

impl<R: Rule> Force<R> {
    /// What is written down of each rule that this job lifts, without secrets.
    pub fn forced(&self, job: &Job) -> Vec<Forced> {
        let reason = self.reason.as_deref().unwrap_or_default();
        forced(&self.rules, &job.redactor.redact(reason), &job.actor())
    }
}

/// What is written down of rules that `by` lifts now.
pub fn forced<R: Rule>(rules: &[R], reason: &str, by: &str) -> Vec<Forced> {
    let at = Timestamp::now();
    let forced = |rule: &R| Forced {
        rule: rule.name().to_owned(),
        reason: reason.to_owned(),
        by: by.to_owned(),
        at,
    };
    rules.iter().map(forced).collect()
}

/// What was lifted of a rule, if it was.
pub fn of<R: Rule>(rule: R, forced: &[Forced]) -> Option<&Forced> {
    forced.iter().find(|forced| forced.rule == rule.name())
}

/// The end of a hint where a rule stops a command.
pub fn insist<R: Rule>(rule: R) -> String {
    format!("to insist: `--force {} --reason TEXT`", rule.name())
}

/// The outcome of a rule that was lifted: it is shown, and stops nothing.
pub fn lifted(outcome: Outcome, forced: &Forced) -> Outcome {
    let why = outcome.reason.as_deref().unwrap_or_default();
    let colon = if why.is_empty() { "" } else { ": " };
    let reason = format!(
        "lifted by {}, because: {}{colon}{why}",
        forced.by, forced.reason
    );
    outcome.severity(Severity::Advisory).reason(reason)
}

/// The outcome of a rule that was named and forbade nothing.
pub fn unused(forced: &Forced) -> Outcome {
    let id = Id::forced(&forced.rule);
    Outcome::skipped(id, "", "the rule forbade nothing: nothing was lifted")
}

#[derive(Clone, Copy)]
struct RuleParser<R>(PhantomData<R>);

impl<R: Rule> TypedValueParser for RuleParser<R> {
    type Value = R;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<R, clap::Error> {
        let text = value.to_string_lossy();
        rule(&text).map_err(|reason| {
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
fn rule<R: Rule>(text: &str) -> Result<R, ForceError> {
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

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Sample {
        Frozen,
        Busy,
    }

    impl Rule for Sample {
        const ALL: &'static [Self] = &[Sample::Frozen, Sample::Busy];
        const FIXED: &'static [(&'static str, &'static str)] = &[("locked", "wait for it")];

        fn name(self) -> &'static str {
            match self {
                Sample::Frozen => "frozen",
                Sample::Busy => "busy",
            }
        }
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
        assert_eq!(force.rules, [Sample::Frozen, Sample::Busy]);
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
    fn what_was_lifted_is_shown_and_stops_nothing() {
        let all = forced(&[Sample::Busy], "we looked", "me");
        assert_eq!(of(Sample::Busy, &all), Some(&all[0]));
        assert_eq!(of(Sample::Frozen, &all), None);
        let outcome = Outcome::refused("refused/busy", "x").reason("a job runs");
        let outcome = lifted(outcome, &all[0]);
        assert_eq!(outcome.severity, Severity::Advisory);
        assert_eq!(
            outcome.reason.as_deref(),
            Some("lifted by me, because: we looked: a job runs")
        );
    }
}
