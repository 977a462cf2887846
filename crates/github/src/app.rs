//! A GitHub App's own identity, and the tokens that it makes for the accounts it is installed in.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION};
use http::response::Parts;
use jsonwebtoken::EncodingKey;
use model::Secret;
use octocrab::Octocrab;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

use crate::answer::{again, bearer, json, read, refusal};
use crate::{Access, Error, Needs};

const NEEDS: Needs = Needs::token("make tokens", "an installed app");

/// A token that ends sooner is made anew: it must last for a question and its retries.
const SPARE: SignedDuration = SignedDuration::from_mins(5);

/// One app, with the tokens that it made so far. They live an hour.
pub(crate) struct App {
    octocrab: Octocrab,
    id: String,
    key: EncodingKey,
    installation: Option<u64>,
    tokens: Mutex<BTreeMap<String, Made>>,
}

/// What an app signs ("Generating a JSON Web Token (JWT) for a GitHub App").
#[derive(Serialize)]
struct Claims<'a> {
    /// The app's id or its client id.
    iss: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct Made {
    token: Secret,
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

impl Made {
    fn lasts(&self) -> bool {
        self.expires_at
            .is_none_or(|at| at.duration_since(Timestamp::now()) > SPARE)
    }
}

impl App {
    pub(crate) fn new(
        octocrab: Octocrab,
        id: &str,
        key: &Secret,
        installation: Option<u64>,
    ) -> Result<Self, Error> {
        let pem = key.expose().trim();
        // No cause: it could quote the key.
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| Error::App {
            reason: "its private key is not an RSA key in PEM form".into(),
        })?;
        Ok(App {
            octocrab,
            id: id.trim().to_owned(),
            key,
            installation,
            tokens: Mutex::default(),
        })
    }

    /// A token for what the path is about.
    pub(crate) async fn token(&self, path: &str, access: &Access) -> Result<Secret, Error> {
        let account = account(path);
        // Held while it is asked: side by side, the first question makes the token for all.
        let mut tokens = self.tokens.lock().await;
        let key = match self.installation {
            Some(_) => "",
            None => account.as_str(),
        };
        if let Some(made) = tokens.get(key).filter(|made| made.lasts()) {
            return Ok(made.token.clone());
        }
        let base = access.api_url.trim_end_matches('/');
        let id = if let Some(id) = self.installation {
            id
        } else {
            let url = format!("{base}{account}/installation");
            let asking = async || self.request(Method::GET, &url).await;
            let found: Installation = understood(again(asking).await?, &account)?;
            found.id
        };
        let url = format!("{base}/app/installations/{id}/access_tokens");
        // Makes something, so it is asked once.
        let made: Made = understood(self.request(Method::POST, &url).await?, &account)?;
        access.redactor.add([&made.token]);
        let token = made.token.clone();
        tokens.insert(key.to_owned(), made);
        Ok(token)
    }

    async fn request(&self, method: Method, url: &str) -> Result<(Parts, Bytes), Error> {
        let unusable = |_| Error::App {
            reason: "it cannot sign with its private key".into(),
        };
        let now = Timestamp::now().as_second();
        // A minute ago, for clocks that differ; ten minutes are the most that GitHub takes.
        let claims = Claims {
            iss: &self.id,
            iat: now - 60,
            exp: now + 9 * 60,
        };
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        let jwt = jsonwebtoken::encode(&header, &claims, &self.key).map_err(unusable)?;
        let request = http::Request::builder()
            .method(method)
            .uri(url)
            .header(ACCEPT, json())
            .header(AUTHORIZATION, bearer(&Secret::from(jwt))?);
        let request = self.octocrab.build_request(request, None::<&()>);
        let answer = async { self.octocrab.execute(request?).await };
        read(answer.await).await
    }
}

fn understood<T: serde::de::DeserializeOwned>(
    (head, body): (Parts, Bytes),
    account: &str,
) -> Result<T, Error> {
    match head.status.as_u16() {
        200 | 201 => serde_json::from_slice(&body).map_err(|error| Error::Malformed {
            reason: error.to_string(),
        }),
        401 => Err(Error::App {
            reason: "GitHub does not know its id with this key (status 401)".into(),
        }),
        status => match refusal(&head, &body, NEEDS, 0) {
            Error::NoPermission { .. } => Err(Error::App {
                reason: format!("it is not installed for `{account}` (status {status})"),
            }),
            other => Err(other),
        },
    }
}

/// The repository, organisation or enterprise that a path is about: its first three or two steps.
fn account(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let steps = if path.starts_with("/repos/") { 3 } else { 2 };
    let steps: Vec<&str> = path.split('/').take(steps + 1).collect();
    steps.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_account() {
        assert_eq!(
            account("/repos/acme/shop/actions/runners?page=1"),
            "/repos/acme/shop"
        );
        assert_eq!(account("/orgs/acme/actions/runners"), "/orgs/acme");
    }
}
