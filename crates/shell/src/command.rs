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

impl Command {
    /// Whether it is a shell that runs what it reads: `bash -s`, `sudo -u app sh`, `/bin/sh -se -- ARGUMENT`: not `bash deploy.sh` and not `bash -c TEXT`.
    pub fn reads_program(&self) -> bool {
        let mut words = self.words.iter().map(|word| word.text.as_str());
        let is_shell = words.next().is_some_and(|name| {
            matches!(
                name.rsplit('/').next(),
                Some("bash" | "sh" | "zsh" | "dash" | "ash")
            )
        });
        let mut reads = is_shell;
        for word in words {
            let letters = word.strip_prefix('-').unwrap_or_default();
            let long = letters.starts_with('-');
            if !long && letters.contains('s') {
                return is_shell;
            }
            reads &= long || !letters.is_empty() && !letters.contains('c');
        }
        reads
    }
}

/// Which word of a command is a program's text.
pub fn inner_text(name: &str, words: &[String]) -> Option<usize> {
    let after_c = || {
        let short =
            |word: &String| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c');
        let at = words.iter().position(short)?;
        (at + 1 < words.len()).then_some(at + 1)
    };
    match name {
        "bash" | "sh" | "zsh" | "dash" | "su" | "runuser" => after_c(),
        "eval" => (words.len() == 2).then_some(1),
        _ => None,
    }
}
