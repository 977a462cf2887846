//! Who asks, and for how long.

use std::time::{Duration, Instant};

use model::Redactor;
use model::Secret;

/// What GitHub is shown.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Nothing: public repositories answer some questions.
    None,
    /// A token of a person, an app's installation or a workflow run.
    Token(Secret),
    /// A GitHub App, which makes itself a token for each account that it asks about.
    App {
        /// Its id, a number, or its client id.
        id: String,
        /// PEM.
        key: Secret,
        /// Else the one of the account is looked up.
        installation: Option<u64>,
    },
}

/// One API, one identity, and the time that asking may take.
#[derive(Clone, Debug)]
pub struct Access {
    /// `https://api.github.com`, or `https://HOST/api/v3` of a GHES.
    pub api_url: String,
    pub credentials: Credentials,
    /// Bounds one question with its retries, but not the wait for a rate limit.
    pub timeout: Duration,
    /// Requests do not wait for a rate limit beyond this.
    pub until: Instant,
    /// Receives every token that is created on the way.
    pub redactor: Redactor,
}

/// What a question needs, and what it is called when it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Fits after "may not": `list runners`.
    pub to: &'static str,
    /// The permission of a fine-grained token or an app, and what a classic token needs.
    pub permission: &'static str,
    /// The line under `permissions:` that gives it to GITHUB_TOKEN; `None` where that can never
    /// have it.
    pub workflow: Option<&'static str>,
}

impl Needs {
    /// Something that a workflow's own token can be allowed.
    pub const fn workflow(to: &'static str, line: &'static str, permission: &'static str) -> Self {
        Needs {
            to,
            permission,
            workflow: Some(line),
        }
    }

    /// Something that needs a token of a person or an app.
    pub const fn token(to: &'static str, permission: &'static str) -> Self {
        Needs {
            to,
            permission,
            workflow: None,
        }
    }
}
