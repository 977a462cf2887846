//! Why the log could not be used.

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    State(#[from] state::Error),
    #[error("line {line} of the log {place} is damaged: {reason}")]
    Damaged {
        place: String,
        line: usize,
        reason: String,
    },
    #[error("an event cannot be written as JSON: {0}")]
    Unwritable(serde_json::Error),
    #[error("line {line} of the log {place} was written by a newer deploy-guard: {reason}")]
    Newer {
        place: String,
        line: usize,
        reason: String,
    },
}

impl Error {
    /// The next step for a person.
    pub fn hint(&self) -> String {
        match self {
            Error::State(error) => error.hint(),
            Error::Damaged { place, line, .. } => format!(
                "it was left untouched: see `sed -n {line}p {place}`, and restore the line or take it out"
            ),
            Error::Unwritable(_) => {
                "nothing was written; this is a fault of deploy-guard: report it with the command"
                    .to_owned()
            }
            Error::Newer { .. } => {
                "it was left untouched: use the release of this tool that wrote it".to_owned()
            }
        }
    }
}
