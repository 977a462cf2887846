//! Why a question ends without the answer it wanted.

use crate::{Error, ManifestError};

/// Why a question ends without the answer it wanted.
pub(crate) enum QueryError {
    /// 401 or 403: we are not allowed to know.
    Denied {
        status: u16,
        detail: String,
    },
    /// 404.
    Absent,
    /// The manifest is not an image.
    Unusable(ManifestError),
    Failed(Error),
}

impl QueryError {
    pub(crate) fn denied(status: u16, detail: &str) -> QueryError {
        QueryError::Denied {
            status,
            detail: detail.to_owned(),
        }
    }
}

impl From<Error> for QueryError {
    fn from(error: Error) -> QueryError {
        QueryError::Failed(error)
    }
}
