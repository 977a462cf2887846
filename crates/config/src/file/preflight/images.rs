//! Container images that must be in their registry.

use std::path::PathBuf;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::value::{Age, Weight};

/// A container image that must exist before it is deployed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageCheck {
    /// The check's name.
    pub name: String,
    /// `registry/repository:tag` or `…@sha256:…`; `nginx:1` is Docker Hub's. With a tag and a
    /// digest the digest must exist, and a tag that names something else by now is told.
    pub image: String,
    /// Platforms such as `linux/amd64` or `linux/arm/v7` for which the image must run, by the rule of
    /// containerd: `linux/arm/v7` also runs on `linux/arm64`.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// The digest (`sha256:…`) that the tag must name, such as an output of the build job.
    pub digest: Option<String>,
    /// How old the image may be, such as `30d`, by the date in its own configuration. An image
    /// whose build left no true date (reproducible builds write 1970 or 1980) is inconclusive.
    pub max_age: Option<Age>,
    /// Where the credentials come from. Default: `auto`.
    #[serde(default)]
    pub login: RegistryLogin,
    /// The environment variable that holds the registry's user name.
    pub username_env: Option<String>,
    /// The environment variable that holds the registry's password or token.
    pub password_env: Option<String>,
    /// Speak plain HTTP to the registry, or with `false` never. Default: only to a loopback address
    /// that does not speak TLS.
    pub plain_http: Option<bool>,
    /// A file of PEM certificates to trust for the registry instead of the system's: authorities, or
    /// the registry's own.
    pub ca_file: Option<PathBuf>,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

/// Where the credentials for a registry come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegistryLogin {
    /// `password-env` if it is given; else Docker's configuration (`$DOCKER_CONFIG`, else
    /// `~/.docker`) with its credential helpers; else, for `*.dkr.ecr.*.amazonaws.com`, a token
    /// of ECR's, and for `ghcr.io` GITHUB_TOKEN; else none.
    #[default]
    Auto,
    /// A token of ECR's `GetAuthorizationToken`, with the AWS credentials of the environment,
    /// the profile, the container or the instance: also for a registry under another name, in
    /// `AWS_REGION`.
    Ecr,
    /// Nobody: what the whole world may see.
    Anonymous,
}
