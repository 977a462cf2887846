//! Why a database was not asked, or what it answered instead of rows.

use std::time::Duration;

use net::ConnectError;

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("{at} is not reached: {reason}")]
    Unreachable { at: String, reason: String },
    /// The user, the password or the way in.
    #[error("{at} refuses the login: {reason}")]
    Login { at: String, reason: String },
    #[error("there is no database `{0}`")]
    NoDatabase(String),
    /// What the server says of a statement, by its own code (`SQLSTATE`, MySQL's number).
    #[error("{message} ({code})")]
    Server {
        code: String,
        message: String,
        detail: Option<String>,
    },
    #[error("the connection broke: {0}")]
    Lost(String),
    #[error("no answer within {}", model::text::duration(*.0))]
    Late(Duration),
    #[error("the answer has more than {} MiB", .0 >> 20)]
    TooLarge(usize),
    #[error("TLS cannot be used: {0}")]
    Tls(String),
    /// A statement that this system cannot be asked.
    #[error("{0} does not support this query")]
    System(&'static str),
}

impl Error {
    pub(crate) fn unreachable(at: impl ToString, problem: &ConnectError) -> Error {
        Error::Unreachable {
            at: at.to_string(),
            reason: problem.reason().to_owned(),
        }
    }

    /// What the server's code is, where it answered with one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Error::Server { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether a table, a schema or a column that was asked for does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(
            self.code(),
            Some("42P01" | "3F000" | "42703" | "1146" | "1049" | "1054")
        )
    }

    /// Whether the user may not read it.
    pub fn is_denied(&self) -> bool {
        matches!(self.code(), Some("42501" | "1142" | "1044" | "1143"))
    }
}
