//! Why a question ends without the answer it wanted.

use crate::{Error, Unusable};

/// Why a question ends without the answer it wanted.
pub(crate) enum Stop {
    /// 401 or 403: we are not allowed to know.
    Denied {
        status: u16,
        detail: String,
    },
    /// 404.
    Absent,
    /// The manifest is not an image.
    Unusable(Unusable),
    Failed(Error),
}

impl Stop {
    pub(crate) fn denied(status: u16, detail: &str) -> Stop {
        Stop::Denied {
            status,
            detail: detail.to_owned(),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error)
    }
}
