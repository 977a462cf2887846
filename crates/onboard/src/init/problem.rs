//! Why `init` wrote nothing.

use model::ExitCode;

/// Why nothing was written.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) code: ExitCode,
    pub(crate) what: String,
    pub(crate) hint: String,
}

impl Problem {
    pub(crate) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Problem {
            code: ExitCode::Usage,
            what: what.into(),
            hint: hint.into(),
        }
    }
}
