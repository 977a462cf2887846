//! What GitHub reports about a token: its owner, its expiry, its permissions.

use http::HeaderMap;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{Client, Error, Needs, Repository};

/// What is known about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `None` for the token of an app or a workflow run, which belongs to no user.
    pub login: Option<String>,
    pub expires: Expiry,
    /// A classic token's scopes; other tokens have none.
    pub scopes: Option<Vec<String>>,
}

/// When a token expires, according to GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    At(Timestamp),
    /// Not reported: a token without an expiry, or one of an app.
    Untold,
    /// Reported in an unreadable form.
    Unreadable,
}

/// Whether a token may read something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MayRead {
    Yes,
    /// With what GitHub says that it lacks.
    No {
        says: Option<String>,
    },
    /// There is nothing to ask about this permission.
    Unasked,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

const SELF: Needs = Needs::token("read its owner", "nothing but to be valid");
const READ: Needs = Needs::token("read this", "the requested permission");

impl Client {
    /// Whose token this is.
    pub async fn identity(&self) -> Result<Identity, Error> {
        match self.get_with_headers::<User>("/user", SELF).await {
            Ok((user, headers)) => Ok(Identity {
                login: Some(user.login),
                expires: expiration(&headers),
                scopes: scopes(&headers),
            }),
            // An app's token belongs to no user; only such tokens can read this endpoint.
            Err(Error::NoPermission { .. }) => {
                let path = "/installation/repositories?per_page=1";
                let (_, headers) = self.get_with_headers::<IgnoredAny>(path, SELF).await?;
                Ok(Identity {
                    login: None,
                    expires: expiration(&headers),
                    scopes: None,
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the token may read what a permission is for, in a repository or its organisation.
    /// `permission` is a fine-grained token's word with underscores.
    pub async fn may_read(
        &self,
        repository: &Repository,
        permission: &str,
    ) -> Result<MayRead, Error> {
        let repo = repository.path();
        let owner = repository.owner();
        let path = match permission {
            "actions" => format!("{repo}/actions/runs"),
            "administration" => format!("{repo}/actions/runners"),
            "checks" => format!("{repo}/commits/HEAD/check-runs"),
            "contents" => format!("{repo}/commits"),
            "deployments" => format!("{repo}/deployments"),
            "issues" => format!("{repo}/issues"),
            "pull_requests" => format!("{repo}/pulls"),
            "secrets" => format!("{repo}/actions/secrets"),
            "statuses" => format!("{repo}/commits/HEAD/status"),
            "variables" => format!("{repo}/actions/variables"),
            "organization_self_hosted_runners" => format!("/orgs/{owner}/actions/runners"),
            "organization_secrets" => format!("/orgs/{owner}/actions/secrets"),
            _ => return Ok(MayRead::Unasked),
        };
        let path = format!("{path}?per_page=1");
        Ok(match self.get::<IgnoredAny>(&path, READ).await {
            Ok(_) => MayRead::Yes,
            Err(Error::NoPermission { says, .. }) => MayRead::No { says },
            Err(error) => return Err(error),
        })
    }
}

/// `2026-12-21 10:00:00 UTC`, or with an offset.
fn expiration(headers: &HeaderMap) -> Expiry {
    let Some(told) = headers.get("github-authentication-token-expiration") else {
        return Expiry::Untold;
    };
    let at = told.to_str().ok().and_then(|text| time(text.trim()));
    at.map_or(Expiry::Unreadable, Expiry::At)
}

fn time(text: &str) -> Option<Timestamp> {
    if let Some(utc) = text.strip_suffix(" UTC") {
        let at: DateTime = utc.parse().ok()?;
        return Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp());
    }
    Timestamp::strptime("%Y-%m-%d %H:%M:%S %z", text).ok()
}

fn scopes(headers: &HeaderMap) -> Option<Vec<String>> {
    let text = headers.get("x-oauth-scopes")?.to_str().ok()?;
    let scopes = text.split(',').map(|scope| scope.trim().to_owned());
    Some(scopes.filter(|scope| !scope.is_empty()).collect())
}

/// Whether a classic token with these scopes has another one: some include others (docs: "Scopes
/// for OAuth apps").
pub fn includes(scopes: &[String], wanted: &str) -> bool {
    const PARTS: [(&str, &[&str]); 9] = [
        (
            "repo",
            &[
                "repo:status",
                "repo_deployment",
                "public_repo",
                "repo:invite",
                "security_events",
            ],
        ),
        ("admin:org", &["write:org", "read:org"]),
        ("write:org", &["read:org"]),
        ("write:packages", &["read:packages"]),
        ("admin:repo_hook", &["write:repo_hook", "read:repo_hook"]),
        ("write:repo_hook", &["read:repo_hook"]),
        ("user", &["read:user", "user:email", "user:follow"]),
        (
            "admin:enterprise",
            &[
                "manage_runners:enterprise",
                "manage_billing:enterprise",
                "read:enterprise",
            ],
        ),
        ("admin:public_key", &["write:public_key", "read:public_key"]),
    ];
    scopes.iter().any(|scope| {
        scope == wanted
            || PARTS
                .iter()
                .any(|(whole, parts)| scope == whole && parts.contains(&wanted))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_read_in_both_of_its_forms() {
        let at = |text: &'static str| {
            let value = http::HeaderValue::from_static(text);
            let name = http::HeaderName::from_static("github-authentication-token-expiration");
            match expiration(&HeaderMap::from_iter([(name, value)])) {
                Expiry::At(at) => Some(at.to_string()),
                Expiry::Untold => panic!("it is told"),
                Expiry::Unreadable => None,
            }
        };
        assert_eq!(
            at("2026-12-21 10:00:00 UTC").as_deref(),
            Some("2026-12-21T10:00:00Z")
        );
        assert_eq!(
            at("2026-12-21 10:00:00 +0200").as_deref(),
            Some("2026-12-21T08:00:00Z")
        );
        assert_eq!(at("soon"), None);
    }

    #[test]
    fn a_scope_includes_its_parts() {
        let has = |scope: &str, wanted| includes(&[scope.to_owned()], wanted);
        assert!(has("repo", "repo:status") && has("admin:org", "read:org"));
        assert!(!has("repo:status", "repo") && !has("read:org", "write:org"));
    }
}
