//! `preflight:` — may we deploy now?

use std::num::NonZero;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::value::Span;

/// May we deploy now?
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Preflight {
    /// The least readiness score, 0 to 10, that passes. Default 8.
    #[serde(default = "pass_score")]
    #[schemars(range(min = 0.0, max = 10.0))]
    pub pass_score: f64,
    /// How long one check may take. Default 10s.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// Secrets that must have arrived as environment variables.
    #[serde(default)]
    pub secrets: Vec<SecretCheck>,
    /// Container images that must be in their registry.
    #[serde(default)]
    pub images: Vec<ImageCheck>,
    /// Self-hosted runners that must be online.
    #[serde(default)]
    pub runners: Vec<RunnersCheck>,
    /// Hosts that must take a login.
    #[serde(default)]
    pub hosts: Vec<HostCheck>,
}

impl Default for Preflight {
    fn default() -> Self {
        Preflight {
            pass_score: pass_score(),
            timeout: timeout(),
            secrets: Vec::new(),
            images: Vec::new(),
            runners: Vec::new(),
            hosts: Vec::new(),
        }
    }
}

/// A secret that the workflow hands over in an environment variable.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SecretCheck {
    /// The environment variable, which is also the check's name.
    pub name: String,
    /// What the value must be. Default: anything that is not empty.
    #[serde(default)]
    pub kind: SecretKind,
    /// Hosts (names under `hosts:`) at which this SSH key must log in.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default = "weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
}

/// What a secret's value must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SecretKind {
    /// Anything that is not empty.
    #[default]
    Text,
    /// A private key without passphrase, in OpenSSH or PEM form, with Unix line ends.
    SshPrivateKey,
}

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
    #[serde(default = "weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
}

/// Self-hosted runners that must be online.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunnersCheck {
    /// The check's name.
    pub name: String,
    /// Labels that a runner must all have; case does not matter.
    pub labels: Vec<String>,
    /// `owner/name`. Default: the repository of the workflow run.
    pub repository: Option<String>,
    /// Ask the organisation's runners instead of a repository's.
    pub organization: Option<String>,
    /// The environment variable that holds a token which may list runners. Default: GITHUB_TOKEN.
    pub token_env: Option<String>,
    /// How many must be online. Default 1.
    #[serde(default = "one")]
    pub min_online: NonZero<u32>,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default = "weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
}

/// A host that must be reachable and take a login.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostCheck {
    /// A name under `hosts:`.
    pub host: String,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default = "weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
}

fn pass_score() -> f64 {
    8.0
}

fn timeout() -> Span {
    Span::from_secs(10)
}

fn weight() -> f64 {
    1.0
}

fn one() -> NonZero<u32> {
    NonZero::<u32>::MIN
}
