//! What a job does, before it is known what that means.

use std::collections::BTreeMap;

use crate::deployment::Login;
use tools::Ends;
use workflow::Value;
use workflow::{Fact, Line};

/// Something that a job does.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// The step, by its place in the job.
    pub(crate) step: usize,
    pub(crate) at: Line,
    /// The lines that lead there, the first first.
    pub(crate) by: Vec<Line>,
    pub(crate) place: Place,
    /// Each `if` that leads there, by its line, and which part of it.
    pub(crate) arms: Vec<(Line, usize)>,
    pub(crate) what: EventDetail,
}

impl Event {
    /// Whether an `if` runs either the one or the other.
    pub(crate) fn excludes(&self, other: &Event) -> bool {
        (self.arms.iter()).any(|(at, part)| {
            let mut others = other.arms.iter();
            others.any(|(there, one)| there == at && one != part && *part > 0 && *one > 0)
        })
    }

    fn words(&self) -> Vec<&str> {
        match &self.what {
            EventDetail::Command { words, .. } => words.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it waits until a platform runs what it was given.
    pub(crate) fn waits(&self) -> bool {
        match &self.what {
            EventDetail::Command { words, .. } => tools::waits(words),
            EventDetail::Action { name, with, .. } => {
                let calls = tools::calls_of(name, with);
                calls.iter().any(|words| tools::waits(words))
            }
            EventDetail::Script { .. } | EventDetail::Writes { .. } => false,
        }
    }

    /// How a call that deploys ends.
    pub(crate) fn ends(&self) -> Ends {
        match &self.what {
            EventDetail::Command { words, .. } => tools::ends(words),
            EventDetail::Action { name, with, .. } => tools::action_ends(name, with),
            EventDetail::Script { .. } | EventDetail::Writes { .. } => Ends::Unknown,
        }
    }

    /// Whether it sets the link to what runs: `ln -sfn releases/7 current`.
    pub(crate) fn links(&self) -> bool {
        let is_release = |word: &&str| word.ends_with("current") || word.contains("release");
        match self.words()[..] {
            ["ln", options, ref rest @ ..] if options.starts_with('-') && options.contains('s') => {
                rest.iter().any(is_release)
            }
            _ => false,
        }
    }
}

/// Where something is done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// The machine that is reached by SSH; the runner otherwise.
    pub(crate) login: Option<Login>,
    pub(crate) folder: Option<Fact<String>>,
}

#[derive(Clone, Debug)]
pub(crate) enum EventDetail {
    Command {
        /// The program's name without its folder, then its arguments.
        words: Vec<String>,
        /// The first word as it is written.
        program: String,
        env: BTreeMap<String, String>,
    },
    /// An action with its inputs.
    Action {
        name: String,
        with: BTreeMap<String, Fact<Value>>,
        env: BTreeMap<String, String>,
    },
    /// Text that is written into a file.
    Writes { file: String, text: String },
    /// A program of the repository that is read from here on, or one that is not in it.
    Script {
        path: String,
        interpreter: Option<String>,
        arguments: Vec<Value>,
        known: bool,
        env: BTreeMap<String, String>,
    },
}

/// What a job did, and what others take from it.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) events: Vec<Event>,
    pub(crate) outputs: BTreeMap<String, String>,
}
