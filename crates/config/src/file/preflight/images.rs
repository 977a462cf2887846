//! Container images that must be in their registry.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::value::Weight;

/// A container image that must exist before it is deployed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageCheck {
    /// The check's name.
    pub name: String,
    /// `registry/repository:tag` or `…@sha256:…`.
    pub image: String,
    /// Platforms such as `linux/amd64` that the image must have.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// The environment variable that holds the registry's user name.
    pub username_env: Option<String>,
    /// The environment variable that holds the registry's password or token.
    pub password_env: Option<String>,
    /// Speak plain HTTP to the registry. Default: only to loopback addresses.
    #[serde(default)]
    pub plain_http: bool,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}
