//! What is printed, and a person's consent.

use cli::write_stdout;
use model::{ExitCode, written};

use super::ask::Prompter;
use super::problem::InitError;
use super::write::NewFile;

/// Text on standard output; half of it would be worse than none. A workflow may have a password in its text.
pub(super) fn tell(text: &str) -> Result<(), InitError> {
    match write_stdout(&written::without_secrets(text)) {
        ExitCode::Pass => Ok(()),
        code => Err(InitError {
            code,
            what: "the output was not written whole".to_owned(),
            hint: "see what is there with `git status`, and call it again".to_owned(),
        }),
    }
}

/// New files, whole.
pub(super) fn files(files: &[NewFile]) -> Result<(), InitError> {
    let mut text = String::new();
    for file in files {
        text.push_str(&format!("\n# {}\n{}", file.path.display(), file.text));
    }
    tell(&text)
}

/// Leaves unless a person agrees; elsewhere the command is the agreement.
pub(super) fn agree(ask: &mut Prompter) -> Result<(), InitError> {
    if ask.yes("Write it?")? {
        return Ok(());
    }
    Err(InitError {
        code: ExitCode::Refused,
        what: "not written: the answer was not yes".to_owned(),
        hint: "`deploy-guard init --dry-run` shows what would be written".to_owned(),
    })
}
