//! Docker's own configuration, `config.json`: where `docker login` leaves its credentials.
//!
//! As Docker does: a helper for the registry, else the one for all, else what the file holds.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::{Credentials, Reference};
use model::Secret;
use model::text::cut;

/// The key under which Docker keeps the login of Docker Hub.
const HUB: &str = "https://index.docker.io/v1/";
/// A helper prints this when it has no credentials; that is not a failure (docker-credential-helpers).
const NOT_FOUND: &str = "credentials not found in native keychain";

/// Where the credentials for a registry come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// No login is stored for the registry.
    Anonymous,
    Credentials(Credentials),
    /// Ask `docker-credential-NAME get` with `server` on its input.
    Helper {
        name: String,
        server: String,
    },
}

/// What cannot be used. Reveals none of the content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("it is not Docker's configuration: {0}")]
    Configuration(String),
    #[error("the entry of `{0}` is not base64 of `user:password`")]
    Entry(String),
    #[error("`{0}` is not a name of a credential helper")]
    Helper(String),
    #[error("its answer is not JSON with `Username` and `Secret`")]
    Answer,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    // As for Go's decoder, `null` is nothing, anywhere.
    auths: Option<BTreeMap<String, Option<Auth>>>,
    creds_store: Option<String>,
    cred_helpers: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Default, Deserialize)]
struct Auth {
    #[serde(rename = "auth")]
    pair: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
    registrytoken: Option<Secret>,
}

/// Who we are to the registry of this image, by the text of `config.json`.
pub fn login(config: &str, image: &Reference) -> Result<Source, Error> {
    let config: Config = serde_json::from_str(config).map_err(|error| {
        // Its own message may quote a value.
        let (line, column) = (error.line(), error.column());
        Error::Configuration(format!("line {line}, column {column}"))
    })?;
    let registry = image.registry();
    let is_hub = matches!(registry, "docker.io" | "index.docker.io");
    let is_ours = |key: &str| {
        let host = host_of(key);
        host == registry
            || is_hub
                && matches!(
                    host,
                    "index.docker.io" | "docker.io" | "registry-1.docker.io"
                )
    };
    let helpers = config.cred_helpers.unwrap_or_default();
    let own = helpers.into_iter().find(|(key, _)| is_ours(key));
    let own = own.and_then(|(_, name)| name);
    if let Some(name) = own.or(config.creds_store)
        && !name.is_empty()
    {
        let server = if is_hub { HUB } else { registry };
        return helper(&name, server);
    }
    // A full key, such as Docker Hub's, before one that only names the same host.
    let auths = config.auths.unwrap_or_default();
    let exact = auths.get_key_value(registry);
    match exact.or_else(|| auths.iter().find(|(key, _)| is_ours(key))) {
        Some((key, Some(auth))) => read(key, auth),
        _ => Ok(Source::Anonymous),
    }
}

/// The name becomes a program's.
fn helper(name: &str, server: &str) -> Result<Source, Error> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if name.len() > 100 || !name.bytes().all(good) {
        return Err(Error::Helper(cut(name, 40)));
    }
    Ok(Source::Helper {
        name: name.to_owned(),
        server: server.to_owned(),
    })
}

fn read(key: &str, auth: &Auth) -> Result<Source, Error> {
    let filled = |text: &Option<Secret>| text.clone().filter(|text| !text.expose().is_empty());
    let username = auth.username.as_ref().filter(|name| !name.is_empty());
    if let Some(token) = filled(&auth.registrytoken) {
        return Ok(Source::Credentials(Credentials::Bearer(token)));
    }
    if let Some(token) = filled(&auth.identitytoken) {
        return Ok(Source::Credentials(Credentials::Identity(token)));
    }
    if let (Some(username), Some(password)) = (username, filled(&auth.password)) {
        return Ok(Source::Credentials(Credentials::new(username, password)));
    }
    let Some(pair) = filled(&auth.pair) else {
        // `docker login` leaves an empty entry where a helper holds the secret.
        return Ok(Source::Anonymous);
    };
    let pair = STANDARD.decode(pair.expose().trim()).ok();
    let pair = pair.and_then(|bytes| String::from_utf8(bytes).ok());
    pair.as_deref()
        .and_then(|pair| pair.split_once(':'))
        .map(|(user, password)| Credentials::new(user, password.trim_end_matches('\0')))
        .map(Source::Credentials)
        .ok_or_else(|| Error::Entry(key.to_owned()))
}

/// What a helper wrote; `None` where it has no credentials for the registry.
pub fn helper_answer(success: bool, stdout: &str) -> Result<Option<Credentials>, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: Secret,
    }
    if !success {
        return match stdout.trim() {
            NOT_FOUND => Ok(None),
            _ => Err(Error::Answer),
        };
    }
    let answer: Answer = serde_json::from_str(stdout).map_err(|_| Error::Answer)?;
    if answer.secret.expose().is_empty() {
        return Ok(None);
    }
    Ok(Some(if answer.username == "<token>" {
        Credentials::Identity(answer.secret)
    } else {
        Credentials::new(answer.username, answer.secret)
    }))
}

/// `https://host/path` and `host/path` are the host's.
fn host_of(key: &str) -> &str {
    let rest = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    rest.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn source(config: &str, image: &str) -> String {
        match login(config, &Reference::parse(image).unwrap()) {
            Ok(Source::Anonymous) => "nobody".to_owned(),
            Ok(Source::Helper { name, server }) => format!("{name} {server}"),
            Ok(Source::Credentials(Credentials::Password { username, password })) => {
                format!("{username}:{}", password.expose())
            }
            Ok(Source::Credentials(Credentials::Identity(_))) => "identity".to_owned(),
            Ok(Source::Credentials(Credentials::Bearer(_))) => "bearer".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_file_names_who_we_are_to_each_registry() {
        let auths = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
            "ghcr.io": {"auth": "bWU6YTpi"},
            "https://reg.example:5000/v2/": {"username": "u", "password": "p"},
            "acr.example": {"auth": "MDA6", "identitytoken": "x"},
            "tok.example": {"registrytoken": "x"},
            "empty.example": {},
            "bad.example": {"auth": "%%%"}}}"#;
        for (image, expected) in [
            ("nginx:1", "hub:pw"),
            ("acme/shop", "hub:pw"),
            ("docker.io/acme/shop", "hub:pw"),
            ("ghcr.io/acme/shop", "me:a:b"),
            ("reg.example:5000/a", "u:p"),
            ("acr.example/a", "identity"),
            ("tok.example/a", "bearer"),
            ("empty.example/a", "nobody"),
            ("other.example/a", "nobody"),
            (
                "bad.example/a",
                "the entry of `bad.example` is not base64 of `user:password`",
            ),
        ] {
            assert_eq!(source(auths, image), expected, "{image}");
        }
    }

    #[test]
    fn a_helper_of_the_registry_comes_before_the_one_for_all() {
        let config = r#"{"auths": {"ghcr.io": {}}, "credsStore": "desktop",
            "credHelpers": {"1.dkr.ecr.eu-west-1.amazonaws.com": "ecr-login", "evil.example": "../x"}}"#;
        for (image, expected) in [
            ("ghcr.io/a", "desktop ghcr.io"),
            ("nginx", "desktop https://index.docker.io/v1/"),
            (
                "1.dkr.ecr.eu-west-1.amazonaws.com/a",
                "ecr-login 1.dkr.ecr.eu-west-1.amazonaws.com",
            ),
            (
                "evil.example/a",
                "`../x` is not a name of a credential helper",
            ),
        ] {
            assert_eq!(source(config, image), expected, "{image}");
        }
        assert_eq!(
            source("{\"auths\": \"hunter2\"}", "a"),
            "it is not Docker's configuration: line 1, column 19"
        );
    }

    #[test]
    fn null_is_nothing_as_docker_reads_it() {
        for config in [
            r#"{"auths": null, "credsStore": null, "credHelpers": null}"#,
            r#"{"auths": {"ghcr.io": null}, "credHelpers": {"ghcr.io": null}}"#,
            r#"{"auths": {"ghcr.io": {"auth": null, "username": null}}}"#,
        ] {
            assert_eq!(source(config, "ghcr.io/acme/shop"), "nobody", "{config}");
        }
        let one = r#"{"auths": {"ghcr.io": {"auth": "bWU6YTpi"}}, "credHelpers": null}"#;
        assert_eq!(source(one, "ghcr.io/acme/shop"), "me:a:b");
    }

    #[test]
    fn a_helper_has_credentials_has_none_or_fails() {
        let good = helper_answer(true, r#"{"ServerURL":"x","Username":"u","Secret":"s"}"#);
        assert!(matches!(good, Ok(Some(Credentials::Password { .. }))));
        let token = helper_answer(true, r#"{"Username":"<token>","Secret":"s"}"#);
        assert!(matches!(token, Ok(Some(Credentials::Identity(_)))));
        assert!(matches!(
            helper_answer(false, "credentials not found in native keychain\n"),
            Ok(None)
        ));
        assert!(helper_answer(false, "locked").is_err());
        assert!(helper_answer(true, "<html>").is_err());
    }
}
