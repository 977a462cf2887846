//! What a delivery left at the service, by which the next one of the same thread finds it.

use serde::{Deserialize, Serialize};

/// Kept by the caller for each thread and sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reference {
    /// The message of a thread.
    Slack {
        channel: String,
        ts: String,
    },
    GithubIssue {
        number: u64,
        /// `owner/name`; earlier builds left it out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repository: Option<String>,
    },
    GithubDeployment {
        id: u64,
    },
}
