//! Whether there is a way back.

use std::path::PathBuf;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{CheckConfig, RegistryLogin};
use crate::value::{Age, Weight};
use sections::KeyPosition;

/// The way back must be open before we go on: a state that can be read and written and is neither
/// frozen nor locked, a last-known-good release, the `rollback.window` to go back to it, and a target
/// that a rollback could switch.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RollbackReady {
    /// The last-known-good release's image, which must still exist: a name with
    /// `${LAST_KNOWN_GOOD}`, such as `ghcr.io/acme/shop:${LAST_KNOWN_GOOD}`. A digest that was
    /// recorded with the release must be the image's. Default: no image is required.
    pub image: Option<String>,
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
    /// How long ago a rollback may have been rehearsed, such as `90d`; `rollback record-drill` records
    /// it. Default: whenever.
    pub max_drill_age: Option<Age>,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

impl CheckConfig for RollbackReady {
    const KEYS: &[&str] = &[];

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        if !spot.defined.has_rollback {
            return Err(spot.fault("there is no `rollback` section").hint(
                "add `rollback: { state: FILE, … }`: its state records the releases that a rollback can go to",
            ));
        }
        if let Some(image) = &self.image
            && !image.contains("${LAST_KNOWN_GOOD}")
        {
            let fault = spot.key("image");
            let fault = fault.fault("it does not name `${LAST_KNOWN_GOOD}`");
            return Err(fault.hint("write it as `ghcr.io/acme/shop:${LAST_KNOWN_GOOD}`"));
        }
        if self.username_env.is_some() && self.password_env.is_none() {
            return spot.refuse("username-env", "`username-env` needs `password-env`");
        }
        Ok(())
    }
}
