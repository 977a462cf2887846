//! Parses bytes from any writer into a document.

use serde_json::Value;

use crate::document::{Document, SCHEMA};
use model::text::cut;

/// Numbers above this are read as others by `jq` and everything else that has only floats.
const MAX_NUMBER: u64 = 1 << 53;

/// Why bytes are not a usable state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("{0}")]
    Damaged(String),
    /// Another version's, by its `schema`.
    #[error("its schema `{0}` is not `{SCHEMA}`")]
    Newer(String),
    /// Written by hand, or by a release of before version 1.
    #[error("it has the format of before version 1")]
    Older,
}

pub(crate) fn document(bytes: &[u8]) -> Result<Document, ParseError> {
    let damaged = |reason: String| ParseError::Damaged(reason);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(damaged("it is empty".into()));
    }
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| damaged(format!("not JSON: {error}")))?;
    if crate::migrate::is_older(&value) {
        return Err(ParseError::Older);
    }
    match value["schema"].as_str() {
        Some(SCHEMA) => {}
        Some(schema) if schema.starts_with("deploy-guard/state/") => {
            return Err(ParseError::Newer(cut(schema, 100)));
        }
        _ => {
            return Err(damaged(format!(
                "it is not a state file: `schema` is not `{SCHEMA}`"
            )));
        }
    }
    let document: Document =
        serde_json::from_value(value).map_err(|error| damaged(error.to_string()))?;
    numbers(&document)?;
    Ok(document)
}

/// Whether everything that reads the state reads the same numbers.
pub(crate) fn numbers(document: &Document) -> Result<(), ParseError> {
    let token = document.lock.as_ref().map_or(0, |lock| lock.token);
    for (name, number) in [
        ("generation", document.generation),
        ("last_token", document.last_token),
        ("lock.token", token),
    ] {
        if number > MAX_NUMBER {
            return Err(ParseError::Damaged(format!(
                "`{name}` is {number}, more than any counter reaches"
            )));
        }
    }
    Ok(())
}
