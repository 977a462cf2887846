//! A stage that could not give a report.

use std::error::Error;
use std::path::PathBuf;

use jiff::Timestamp;
use model::{ExitCode, Outcome, Report};

/// Why there is no report, the exit code for it, and the next step.
#[derive(Debug)]
pub struct Failure {
    pub code: ExitCode,
    pub error: Box<dyn Error + Send + Sync>,
    pub hint: Option<String>,
    /// Where in a file of the repository it is wrong.
    pub place: Option<Place>,
    /// What is shown beside it, such as what became of hooks.
    pub beside: Vec<Outcome>,
}

/// A place in a text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Failure {
    /// Usage or configuration: nothing was asked and nothing changed.
    pub fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Failure {
            code: ExitCode::Usage,
            error: error.into(),
            hint: None,
            place: None,
            beside: Vec::new(),
        }
    }

    /// It could not be checked.
    pub fn error(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Failure {
            code: ExitCode::Error,
            error: error.into(),
            hint: None,
            place: None,
            beside: Vec::new(),
        }
    }

    /// A safety rule forbids it.
    pub fn refused(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Failure {
            code: ExitCode::Refused,
            error: error.into(),
            hint: None,
            place: None,
            beside: Vec::new(),
        }
    }

    /// What it comes to, as a report.
    pub fn report(&self, stage: &str, started_at: Timestamp) -> Report {
        let mut report = Report::from_outcomes(stage, started_at, self.beside.clone());
        report.verdict = self.code.verdict();
        report.reason = self.chain();
        report.hint.clone_from(&self.hint);
        report
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error and its causes in one line, each said once.
    pub fn chain(&self) -> String {
        model::text::chain(&*self.error)
    }
}

/// A configuration that cannot be used: exit code 2.
impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        let snippet = error.snippet().map(|snippet| format!("\n{snippet}"));
        Failure {
            hint: error.hint().map(str::to_owned),
            place: place(&error),
            ..Failure::usage(format!("{error}{}", snippet.unwrap_or_default()))
        }
    }
}

/// A store that refuses is a refusal; a store that cannot be asked is an error.
impl From<state::Error> for Failure {
    fn from(error: state::Error) -> Self {
        let hint = error.hint();
        let failure = match error {
            // Nothing of it was understood, and nothing done.
            state::Error::JournalNewer { .. } => Failure::usage(error),
            error if error.refuses() => Failure::refused(error),
            error => Failure::error(error),
        };
        failure.hint(hint)
    }
}

/// Where in the configuration it is wrong.
fn place(error: &config::Error) -> Option<Place> {
    match error {
        config::Error::Invalid {
            path, line, column, ..
        } => Some(Place {
            file: path.clone(),
            line: *line,
            column: *column,
        }),
        config::Error::Unreadable { path, .. } => Some(Place {
            file: path.clone(),
            line: 1,
            column: 1,
        }),
        config::Error::UnknownEnvironment { .. } => None,
    }
}
