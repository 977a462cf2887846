//! Why GitHub could not be asked.

use std::time::Duration;

use model::HintedError;
use model::text::duration;

use crate::Needs;

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the token may not {} (status {status}): it needs {}{}",
        needs.to, needs.permission, says.as_ref().map(|text| format!("; GitHub reports: {text}")).unwrap_or_default()
    )]
    NoPermission {
        status: u16,
        needs: Needs,
        /// What GitHub adds in its headers: the permissions that it would take.
        says: Option<String>,
    },
    #[error("no token is given, and to {} one needs {}", needs.to, needs.permission)]
    NoToken { needs: Needs },
    #[error("the variable `{variable}` is not set")]
    NoVariable { variable: String },
    #[error("GitHub does not know the token (status 401)")]
    BadToken,
    #[error("the proxy on the way to GitHub refuses (status {status})")]
    Proxy { status: u16 },
    #[error("the app cannot be used: {reason}")]
    App { reason: String },
    #[error("GitHub's rate limit is used up for {}, until {at}", duration(*wait))]
    RateLimited { wait: Duration, at: jiff::Timestamp },
    #[error("GitHub could not be reached: {reason}")]
    Unreachable { reason: String },
    #[error("{owner} has no runner group `{group}`")]
    NoGroup { owner: String, group: String },
    #[error("GitHub refuses it (status {status}): {message}")]
    Invalid {
        status: u16,
        /// GitHub's own words.
        message: String,
    },
    #[error("GitHub answers status {status}")]
    Server { status: u16 },
    #[error("GitHub's answer is not understood: {reason}")]
    Malformed { reason: String },
    #[error("`{name}` is not the name of a repository: it is written OWNER/NAME")]
    NoRepository { name: String },
}

impl Error {
    /// Whether the same question may be answered a little later.
    pub fn is_passing(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::RateLimited { .. } => true,
            Error::Server { status } => *status >= 500,
            _ => false,
        }
    }

    /// The next step for a person.
    pub fn hint(&self) -> String {
        match self {
            Error::NoPermission { needs, .. } | Error::NoToken { needs } => match needs.workflow {
                Some(line) => format!(
                    "add `permissions: {{ {line} }}` to the job and hand over the token: `env: {{ GITHUB_TOKEN: ${{{{ github.token }}}} }}`"
                ),
                None => format!(
                    "the workflow's own GITHUB_TOKEN can never {}: make a token or an app with \
                     that permission, store it as a secret, and name its variable with `token-env`",
                    needs.to
                ),
            },
            Error::NoVariable { variable } => model::env::mapping_hint(variable),
            Error::BadToken => "has the token expired? try `gh auth status`".into(),
            Error::Proxy { .. } => {
                "check the user and password in `HTTPS_PROXY` and `HTTP_PROXY`, and that the proxy lets \
                 GitHub's host through; `NO_PROXY` goes around it"
                    .into()
            }
            Error::App { .. } => {
                "compare `github.app` with the app's settings page: id, private key, and where it \
                 is installed"
                    .into()
            }
            Error::RateLimited { .. } => {
                "wait until then, or use a token of its own: `gh api rate_limit`".into()
            }
            Error::Unreachable { .. } => {
                "check the network, `GITHUB_API_URL`, and `HTTPS_PROXY` with `NO_PROXY`".into()
            }
            Error::NoGroup { .. } => {
                "look the groups up: `gh api orgs/ORG/actions/runner-groups --jq '.runner_groups[].name'`"
                    .into()
            }
            Error::Invalid { .. } => {
                "compare the request with the workflow: its inputs, and the branch or tag".into()
            }
            Error::Server { .. } => {
                "look at GitHub's status page (githubstatus.com), then try again".into()
            }
            Error::NoRepository { .. } => "for example `acme/shop`".into(),
            Error::Malformed { .. } => "does `GITHUB_API_URL` name GitHub's REST API?".into(),
        }
    }
}

impl From<Error> for HintedError {
    fn from(error: Error) -> Self {
        HintedError {
            reason: error.to_string(),
            hint: error.hint(),
        }
    }
}
