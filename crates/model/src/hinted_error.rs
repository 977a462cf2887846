//! Why something cannot be done, as every stage tells it.

/// Why something cannot be done or asked, and the next step for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct HintedError {
    pub reason: String,
    pub hint: String,
}
