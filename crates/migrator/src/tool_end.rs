//! How a call of the migration tool ended.

/// What `sh` ends with where it does not find the program (POSIX, Shell Command Language, 2.8.2).
pub(crate) const NOT_FOUND: i32 = 127;

/// How it ended. An exit code of 0 proves nothing.
#[derive(Clone, Debug)]
pub struct ToolEnd {
    pub is_success: bool,
    pub is_late: bool,
    pub failure: ToolFailure,
}

/// What is known of a tool that failed.
#[derive(Clone, Debug)]
pub struct ToolFailure {
    /// How it ended and the last lines that it printed.
    pub told: String,
    /// The shell did not find the program.
    pub is_missing: bool,
}

impl From<String> for ToolFailure {
    fn from(told: String) -> ToolFailure {
        ToolFailure {
            told,
            is_missing: false,
        }
    }
}
