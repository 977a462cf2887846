//! `github:` — as whom GitHub is asked.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::value::AppId;

/// As whom GitHub is asked, and where. A check that names a `token-env` of its own uses that.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Github {
    /// The environment variable that holds a token. Default: GITHUB_TOKEN.
    pub token_env: Option<String>,
    /// A GitHub App instead of a token.
    pub app: Option<GithubApp>,
    /// `https://HOST/api/v3` of a GitHub Enterprise Server. Default: `GITHUB_API_URL`, else
    /// `https://api.github.com`.
    pub api_url: Option<String>,
}

/// A GitHub App; it makes itself a token for an hour.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GithubApp {
    /// The environment variable that holds the app's id or client id.
    pub id_env: Option<String>,
    /// The app's id, a number, or its client id, such as `Iv23liAbCdEf`; neither is a secret. One of
    /// `id` and `id-env` is needed.
    pub id: Option<AppId>,
    /// The environment variable that holds the app's private key, in PEM form.
    pub key_env: String,
    /// The number of one of its installations. Default: the installation of the repository or the
    /// organisation that is asked about.
    pub installation: Option<u64>,
}
