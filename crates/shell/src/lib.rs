//! Shell programs as the commands that they call, in the order of their text.
//!
//! Not a shell's grammar: conditions and loops are read through, because what is behind an `if` may run. What counts is
//! that a command's words come out whole, with the variables that are known and the line of each. Nothing is run, and a
//! parsing ends even on text that is not a program. Expressions of GitHub Actions (`${{ … }}`) stay as they are.

mod arguments;
mod command;
mod printed;
mod program;
mod script;
mod word;
mod wrapping;

pub use arguments::Arguments;
pub use command::{Command, HEAD, Input, Lookup, Word, inner_text};
pub use printed::printed;
pub use program::Program;
pub use script::{is_powershell, is_shell, with_own_arguments};

/// A text with its variables filled in, as in a here-document.
pub fn filled(text: &str, lookup: Lookup<'_>) -> String {
    Program::new(text).filled(lookup)
}
