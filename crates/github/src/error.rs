//! Why GitHub could not be asked.

use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the token may not list runners (status {status}): it needs {permission}")]
    NoPermission {
        status: u16,
        permission: &'static str,
    },
    #[error("no token is given, and listing runners needs {permission}")]
    NoToken { permission: &'static str },
    #[error("GitHub does not know the token (status 401)")]
    BadToken,
    #[error("GitHub's rate limit is used up{}", wait(*.retry_after))]
    RateLimited { retry_after: Option<Duration> },
    #[error("GitHub could not be reached: {reason}")]
    Unreachable { reason: String },
    #[error("GitHub answers status {status}")]
    Server { status: u16 },
    #[error("GitHub's answer is not understood: {reason}")]
    Malformed { reason: String },
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after
        .map(|time| format!(", it says to wait {} s", time.as_secs()))
        .unwrap_or_default()
}

impl Error {
    /// The next step for a person.
    pub fn hint(&self) -> &'static str {
        match self {
            Error::NoPermission { .. } | Error::NoToken { .. } => {
                "the workflow's own GITHUB_TOKEN can never list runners: make a token or an app \
                 with that permission, store it as a secret, and name its variable with `token-env`"
            }
            Error::BadToken => "has the token expired? try `gh auth status`",
            Error::RateLimited { .. } => "wait, or use a token of its own: `gh api rate_limit`",
            Error::Unreachable { .. } => "check the network and `GITHUB_API_URL`",
            Error::Server { .. } => "look at GitHub's status page, then try again",
            Error::Malformed { .. } => "does `GITHUB_API_URL` name GitHub's REST API?",
        }
    }
}
