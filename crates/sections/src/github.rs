//! `github:` — as whom GitHub is asked.

use schemars::JsonSchema;
use serde::Deserialize;
use values::{AppId, HTTP_URL};
use yaml::Fault;

use crate::KeyPosition;

/// The login for GitHub, and its address. A check that names a `token-env` of its own uses that.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Github {
    /// The environment variable that holds a token. Default: GITHUB_TOKEN.
    pub token_env: Option<String>,
    /// A GitHub App instead of a token.
    pub app: Option<GithubApp>,
    /// `https://HOST/api/v3` of a GitHub Enterprise Server. Default: `GITHUB_API_URL`, else
    /// `https://api.github.com`.
    #[schemars(regex(pattern = HTTP_URL))]
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
    /// organisation in question.
    pub installation: Option<u64>,
}

impl Github {
    pub fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        if let Some(url) = &self.api_url {
            spot.key("api-url").http_url(url)?;
        }
        let Some(app) = &self.app else {
            return Ok(());
        };
        let spot = spot.key("app");
        if self.token_env.is_some() {
            return Err(spot
                .fault("`token-env` and `app` exclude each other")
                .hint("a check may name a `token-env` of its own"));
        }
        match (&app.id, &app.id_env) {
            (Some(_), Some(_)) => spot.refuse("id-env", "`id` and `id-env` exclude each other"),
            (None, None) => Err(spot
                .fault("the app has no id")
                .hint("add `id: 12345`, as its settings page shows it, or `id-env: NAME`")),
            _ => Ok(()),
        }
    }
}
