//! What applies, undoes or prints migrations: data, which others run.

use remote::quote;
use values::ShellText;

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Text of a shell that calls the tool, such as `poetry run alembic`.
    pub call: String,
    /// Each is one word behind it.
    pub words: Vec<String>,
    /// Variables that the tool gets, beside those of its place.
    pub env: Vec<(String, String)>,
    /// The folder in which it is called, from the one of the section.
    pub folder: Option<String>,
}

impl Command {
    pub fn new<T: Into<String>>(call: &str, words: impl IntoIterator<Item = T>) -> Command {
        Command {
            call: call.to_owned(),
            words: words.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            folder: None,
        }
    }

    /// A text of the user's, with the variables that it names; words may follow it.
    pub(crate) fn of(text: &ShellText) -> Command {
        let mut command = Command::new::<String>(text, []);
        command.env.extend_from_slice(text.variables());
        command
    }

    /// What the user calls a tool by, or else what it is called by.
    pub(crate) fn calling<T: Into<String>>(
        call: Option<&ShellText>,
        default: &str,
        words: impl IntoIterator<Item = T>,
    ) -> Command {
        match call {
            Some(call) => Command::of(call).and(words),
            None => Command::new(default, words),
        }
    }

    #[must_use]
    pub(crate) fn and<T: Into<String>>(mut self, words: impl IntoIterator<Item = T>) -> Command {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub(crate) fn in_folder(mut self, folder: Option<&str>) -> Command {
        self.folder = folder.map(str::to_owned);
        self
    }

    /// As `sh` reads it, without the variables.
    pub fn text(&self) -> String {
        let words = self.words.iter().map(|word| quote(word));
        let all: Vec<String> = [self.call.clone()].into_iter().chain(words).collect();
        match &self.folder {
            Some(folder) => format!("cd {} && {}", quote(folder), all.join(" ")),
            None => all.join(" "),
        }
    }
}

/// Why a tool cannot undo.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UndoError {
    #[error("nothing is applied")]
    NothingApplied,
    #[error("{0} cannot undo migrations")]
    Tool(&'static str),
    #[error("{0} undoes migrations in its paid editions alone")]
    Paid(&'static str),
    #[error("`undo` is not configured")]
    Unconfigured,
    /// Its file has no way back.
    #[error("{0} has no way back")]
    Irreversible(String),
    /// What is applied has no file here.
    #[error("the file of {0} is not in this release")]
    NoFile(String),
    #[error("{0} is not applied")]
    NotApplied(String),
}

/// How the SQL of what is pending is had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pending {
    /// The files have it.
    Scripts(Vec<Script>),
    /// Each command prints the SQL of a revision, or of all where it names none.
    Commands(Vec<(Option<String>, Command)>),
    /// The tool cannot print it.
    Unavailable(&'static str),
}

/// The SQL of one migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    pub revision: String,
    pub path: String,
    pub sql: String,
}

/// What a failure undoes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transactions {
    /// Each migration is a transaction: those before a failed one stay.
    Each,
    /// All pending ones are one transaction.
    All,
    /// A failed migration may be half applied.
    None,
    /// The migrations decide it.
    Files,
}
