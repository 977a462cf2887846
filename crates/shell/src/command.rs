//! A command as it is called.

/// What `lookup` is asked for the commit that is checked out.
pub const HEAD: &str = "git rev-parse HEAD";

/// A longer value is not filled in.
pub(crate) const MAX_VALUE: usize = 1 << 13;

/// Where a shell splits the value of a variable that is not quoted: `$COMPOSE up`.
pub(crate) const FIELD: char = '\u{1f}';

/// One command, without its wrapping in conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// `NAME=value` before the command, or alone.
    pub assignments: Vec<(String, String)>,
    pub words: Vec<Word>,
    /// `bundle exec`, `npx` and `sudo`, which the program needs.
    pub runner: String,
    /// What it reads: a here-document, by its first line of text, or the file behind `<`.
    pub input: Option<Input>,
    /// The files behind `>` and `>>`.
    pub outputs: Vec<String>,
    /// Whether it takes what the command before it prints.
    pub piped: bool,
    /// The subshells that it is in, the outermost first: what one changes is its own.
    pub groups: Vec<usize>,
    /// Each `if` that it is in, the outermost first: its line, and which part of it. Of two parts one is run.
    pub arms: Vec<(usize, usize)>,
    /// From 0, in the program's text.
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Text(Word),
    File(String),
}

/// What the value of a variable is, where it is known.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;
