//! Why `init` wrote nothing.

use model::ExitCode;

/// Why nothing was written.
#[derive(Debug)]
pub(crate) struct InitError {
    pub(crate) code: ExitCode,
    pub(crate) what: String,
    pub(crate) hint: String,
}

impl InitError {
    pub(crate) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        InitError {
            code: ExitCode::Usage,
            what: what.into(),
            hint: hint.into(),
        }
    }
}
