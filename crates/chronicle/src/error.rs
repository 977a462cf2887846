//! Why the log could not be used.

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    State(#[from] state::Error),
    #[error("an event cannot be written as JSON: {0}")]
    Unwritable(serde_json::Error),
}

impl Error {
    /// The next step for a person.
    pub fn hint(&self) -> String {
        match self {
            Error::State(error) => error.hint(),
            Error::Unwritable(_) => {
                "nothing was written; this is a fault of deploy-guard: report it with the command"
                    .to_owned()
            }
        }
    }
}
