//! What a GitHub token must be, and where GitHub keeps a secret.

use schemars::JsonSchema;
use serde::Deserialize;

/// Where GitHub keeps a secret. Default: in the repository, else where its organisation shares
/// it with the repository.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SecretStore {
    /// Its name there. Default: the variable's.
    pub name: Option<String>,
    /// An environment of the repository.
    pub environment: Option<String>,
    /// An organisation; needs no repository.
    pub organization: Option<String>,
    /// `owner/name`. Default: the repository of the workflow run.
    pub repository: Option<String>,
    /// The environment variable that holds a token which may read it. Default: as under `github:`.
    pub token_env: Option<String>,
}

/// What a GitHub token must be, besides valid.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TokenWish {
    /// Whose it must be.
    pub login: Option<String>,
    /// Scopes that a classic token must have, such as `repo`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What it must be allowed to read. That it may write cannot be proven without writing.
    #[serde(default)]
    pub permissions: Vec<TokenPermission>,
    /// The repository in which it must be allowed to read, `owner/name`. Default: that of the
    /// workflow run.
    pub repository: Option<String>,
}

/// A permission of fine-grained tokens and of apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenPermission {
    /// Workflow runs, jobs and artifacts.
    Actions,
    /// Self-hosted runners.
    Administration,
    /// Check runs.
    Checks,
    /// Commits and files.
    Contents,
    /// Deployments.
    Deployments,
    /// Issues.
    Issues,
    /// Pull requests.
    PullRequests,
    /// Names and ages of secrets.
    Secrets,
    /// Commit statuses.
    Statuses,
    /// Variables.
    Variables,
    /// The organisation's self-hosted runners.
    OrganizationSelfHostedRunners,
    /// Names and ages of the organisation's secrets.
    OrganizationSecrets,
}

impl TokenPermission {
    /// GitHub's word for it.
    pub fn word(self) -> &'static str {
        match self {
            TokenPermission::Actions => "actions",
            TokenPermission::Administration => "administration",
            TokenPermission::Checks => "checks",
            TokenPermission::Contents => "contents",
            TokenPermission::Deployments => "deployments",
            TokenPermission::Issues => "issues",
            TokenPermission::PullRequests => "pull_requests",
            TokenPermission::Secrets => "secrets",
            TokenPermission::Statuses => "statuses",
            TokenPermission::Variables => "variables",
            TokenPermission::OrganizationSelfHostedRunners => "organization_self_hosted_runners",
            TokenPermission::OrganizationSecrets => "organization_secrets",
        }
    }
}
