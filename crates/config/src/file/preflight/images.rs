//! Container images that must be in their registry.

use std::path::PathBuf;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::CheckConfig;
use crate::value::{Age, Weight};
use sections::KeyPosition;

/// A container image that must exist before it is deployed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageCheck {
    /// The check's name.
    pub name: String,
    /// `registry/repository:tag` or `…@sha256:…`; `nginx:1` is Docker Hub's. With a tag and a
    /// digest the digest must exist, and a tag that names something else by now is reported.
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
    /// No login: only what is public.
    Anonymous,
}

impl CheckConfig for ImageCheck {
    const KEYS: &[&str] = &["name"];

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        for (nth, platform) in self.platforms.iter().enumerate() {
            if !is_platform(platform) {
                let fault = spot.key("platforms").item(nth);
                let fault = fault.fault(format!("`{platform}` is not a platform"));
                return Err(fault.hint("write it as `linux/amd64` or `linux/arm/v7`"));
            }
        }
        if let Some(digest) = &self.digest
            && !is_digest(digest)
        {
            let fault = spot.key("digest");
            let fault = fault.fault(format!("`{digest}` is not a digest"));
            return Err(fault.hint("write it as `sha256:` and 64 hexadecimal digits"));
        }
        if self.username_env.is_some() && self.password_env.is_none() {
            return spot.refuse("username-env", "`username-env` needs `password-env`");
        }
        Ok(())
    }
}

/// `os/architecture[/variant]`.
fn is_platform(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let part = |part: &str| !part.is_empty() && part.bytes().all(good);
    (1..=2).contains(&text.matches('/').count()) && text.split('/').all(part)
}

fn is_digest(text: &str) -> bool {
    let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    text.strip_prefix("sha256:")
        .is_some_and(|hash| hash.len() == 64 && hash.bytes().all(hex))
}
