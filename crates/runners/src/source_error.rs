//! Why a source could not be asked.

/// Why a source could not be asked, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    pub reason: String,
    pub hint: String,
}

impl From<github::Error> for SourceError {
    fn from(error: github::Error) -> Self {
        SourceError {
            reason: error.to_string(),
            hint: error.hint(),
        }
    }
}
