//! Secrets that must have arrived.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::CheckConfig;
use super::token::{SecretStore, TokenWish};
use crate::value::{Age, Weight};
use sections::KeyPosition;

/// A secret that the workflow hands over in an environment variable.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SecretCheck {
    /// The environment variable, which is also the check's name.
    pub name: String,
    /// What the value must be. Default: anything that is not empty.
    #[serde(default)]
    pub kind: SecretKind,
    /// The days that a `pem-certificate` or a `token` must still hold. Default 14.
    pub min_days: Option<u32>,
    /// What a `token` must be, besides valid.
    pub token: Option<TokenWish>,
    /// How long ago it may have been set at most, such as `90d`. GitHub shows that to a token
    /// which may read secrets, never to GITHUB_TOKEN.
    pub max_age: Option<Age>,
    /// Where GitHub keeps it, for `max-age`.
    pub stored: Option<SecretStore>,
    /// The environment variable that holds the passphrase of an `ssh-private-key`. Default: that
    /// of its hosts, else it must have none.
    pub passphrase_env: Option<String>,
    /// Hosts at which this SSH key must log in: names, groups and patterns of `hosts:`, or `all`.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

/// What a secret's value must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SecretKind {
    /// Anything that is not empty.
    #[default]
    Text,
    /// A private key that OpenSSH reads from a file with these bytes; one for `hosts`, which our
    /// own login reads, may lack the last line break. One with a passphrase needs
    /// `passphrase-env`, and that it opens the key is proven by a login at `hosts`.
    SshPrivateKey,
    /// A certificate or a chain of them, the leaf first, each signed by the next one.
    PemCertificate,
    /// A token of GitHub's: GitHub knows it, and it still lasts for `min-days`.
    Token,
    /// A JSON document.
    Json,
    /// A URL with a host or a socket, such as `postgres://user:password@db/shop`, with several
    /// hosts where its scheme takes them; or another connection string of databases (`jdbc:…`,
    /// `host=db dbname=shop`, `Server=db;Database=shop`).
    Url,
}

impl CheckConfig for SecretCheck {
    const KEYS: &[&str] = &["name"];

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let is_token = self.kind == SecretKind::Token;
        if self.token.is_some() && !is_token {
            return spot.refuse("token", "`token` is for `kind: token`");
        }
        if self.passphrase_env.is_some() && self.kind != SecretKind::SshPrivateKey {
            let message = "`passphrase-env` is for `kind: ssh-private-key`";
            return spot.refuse("passphrase-env", message);
        }
        if self.stored.is_some() && self.max_age.is_none() {
            return spot.refuse("stored", "`stored` is for `max-age`");
        }
        if self.stored.as_ref().is_some_and(|stored| {
            stored.organization.is_some()
                && (stored.environment.is_some() || stored.repository.is_some())
        }) {
            let message = "`organization` excludes `environment` and `repository`";
            return spot.key("stored").refuse("organization", message);
        }
        if self.min_days.is_some() && self.kind != SecretKind::PemCertificate && !is_token {
            let message = "`min-days` is for `kind: pem-certificate` and `kind: token`";
            return spot.refuse("min-days", message);
        }
        for (nth, host) in self.hosts.iter().enumerate() {
            super::named_hosts(spot.key("hosts").item(nth), host)?;
        }
        Ok(())
    }
}
