//! The conversation with a registry: manifest, challenge, token, manifest again.

use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{Method, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use crate::challenge::{self, Challenge};
use crate::{Answer, Credentials, Error, Reference};

/// Every kind of manifest, so that none is converted for us.
const KINDS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";
/// Registries refuse manifests above this themselves (OCI distribution, "Pushing Manifests").
const MANIFEST: usize = 4 << 20;
const TOKEN: usize = 64 << 10;
const REDIRECTS: usize = 5;
/// The registry's own words are shown up to here.
const DETAIL: usize = 200;

/// Asks registries. Cheap to make.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    timeout: Duration,
}

/// One question with its authorization.
struct Question<'a> {
    reference: &'a Reference,
    base: Url,
    authorization: Option<SecretString>,
}

impl Client {
    /// `timeout` bounds a whole question, tokens and redirects included.
    pub fn new(timeout: Duration) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("deploy-guard/", env!("CARGO_PKG_VERSION")))
            // Followed by hand: credentials must not go to another host.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::Setup {
                reason: error.to_string(),
            })?;
        Ok(Client { http, timeout })
    }

    /// Whether the image is there, and for which platforms if that is asked.
    pub async fn manifest(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
        plain_http: bool,
        platforms: bool,
    ) -> Result<Answer, Error> {
        let asking = self.ask(reference, credentials, plain_http, platforms);
        match tokio::time::timeout(self.timeout, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout {
                host: reference.host().to_owned(),
                after: self.timeout,
            }),
        }
    }

    async fn ask(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
        plain_http: bool,
        platforms: bool,
    ) -> Result<Answer, Error> {
        let scheme = if plain_http || reference.is_loopback() {
            "http"
        } else {
            "https"
        };
        let host = reference.host();
        let base = Url::parse(&format!("{scheme}://{host}/v2/{}/", reference.repository()))
            .map_err(|error| Error::Setup {
                reason: error.to_string(),
            })?;
        let mut question = Question {
            reference,
            base,
            authorization: None,
        };
        let path = format!("manifests/{}", reference.target());
        let method = if platforms { Method::GET } else { Method::HEAD };
        let mut response = self.get(&question, method.clone(), &path, KINDS).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let Some(challenge) = challenge::choose(response.headers()) else {
                return self.denied(response).await;
            };
            match self.authorize(&question, challenge, credentials).await? {
                Ok(authorization) => question.authorization = Some(authorization),
                Err(denied) => return Ok(denied),
            }
            response = self.get(&question, method.clone(), &path, KINDS).await?;
        }
        // A head alone is believed only where it is plainly a manifest's: a login page is a 200 too.
        let mut look = platforms;
        if method == Method::HEAD
            && match response.status() {
                StatusCode::METHOD_NOT_ALLOWED => true,
                StatusCode::OK => !is_manifest(response.headers()),
                _ => false,
            }
        {
            response = self.get(&question, Method::GET, &path, KINDS).await?;
            look = true;
        }
        match response.status().as_u16() {
            200 => {}
            404 => return Ok(Answer::Absent),
            401 | 403 => return self.denied(response).await,
            429 => {
                let retry_after = retry_after(response.headers());
                return Err(Error::RateLimited {
                    host: host.to_owned(),
                    retry_after,
                });
            }
            status if status >= 500 => {
                let detail = self.detail(response).await;
                return Err(Error::Server {
                    host: host.to_owned(),
                    status,
                    detail,
                });
            }
            status => {
                let detail = self.detail(response).await;
                return Err(Error::Unexpected {
                    host: host.to_owned(),
                    status,
                    detail,
                });
            }
        }
        let digest = header(response.headers(), "docker-content-digest");
        if let (Some(wanted), Some(got)) = (reference.digest(), &digest)
            && wanted != got
        {
            return Err(Error::Digest {
                host: host.to_owned(),
                wanted: wanted.to_owned(),
                got: got.clone(),
            });
        }
        let platforms = if look {
            let manifest = self.json(&question, response, "manifest").await?;
            self.platforms(&question, &manifest, platforms).await?
        } else {
            Vec::new()
        };
        Ok(Answer::Found { digest, platforms })
    }

    /// The platforms of an index, or the one of a single image.
    async fn platforms(
        &self,
        question: &Question<'_>,
        manifest: &Value,
        wanted: bool,
    ) -> Result<Vec<String>, Error> {
        let mut found: Vec<String> = if let Some(all) = manifest["manifests"].as_array() {
            all.iter()
                .filter_map(|one| platform(&one["platform"]))
                .collect()
        } else {
            let digest = manifest["config"]["digest"]
                .as_str()
                .filter(|d| is_digest(d));
            let Some(digest) = digest else {
                return Err(Error::Malformed {
                    host: question.host(),
                    what: "manifest",
                    reason: "it has neither `manifests` nor a `config`".to_owned(),
                });
            };
            if !wanted {
                return Ok(Vec::new());
            }
            let blob = self
                .get(question, Method::GET, &format!("blobs/{digest}"), "*/*")
                .await?;
            if blob.status() != StatusCode::OK {
                let (host, status) = (question.host(), blob.status().as_u16());
                return Err(Error::Unexpected {
                    host,
                    status,
                    detail: self.detail(blob).await,
                });
            }
            platform(&self.json(question, blob, "image configuration").await?)
                .into_iter()
                .collect()
        };
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// One request, its redirects followed.
    async fn get(
        &self,
        question: &Question<'_>,
        method: Method,
        path: &str,
        accept: &str,
    ) -> Result<Response, Error> {
        let host = question.host();
        let mut url = question.base.join(path).map_err(|error| Error::Setup {
            reason: error.to_string(),
        })?;
        for _ in 0..=REDIRECTS {
            let mut request = self
                .http
                .request(method.clone(), url.clone())
                .header(ACCEPT, accept);
            // Credentials are for the registry itself and for nobody it points to.
            if same_origin(&url, &question.base)
                && let Some(authorization) = &question.authorization
            {
                request = request.header(AUTHORIZATION, sensitive(authorization)?);
            }
            let response = request
                .send()
                .await
                .map_err(|error| transport(&url, &error))?;
            let target = header(response.headers(), LOCATION.as_str());
            match (response.status().as_u16(), target) {
                (301 | 302 | 303 | 307 | 308, Some(target)) => {
                    let next = url.join(&target).map_err(|error| Error::Redirect {
                        host: host.clone(),
                        reason: error.to_string(),
                    })?;
                    let weaker = url.scheme() == "https" && next.scheme() != "https";
                    if weaker || !matches!(next.scheme(), "http" | "https") {
                        let reason = format!("it leads to `{}`", next.scheme());
                        return Err(Error::Redirect { host, reason });
                    }
                    url = next;
                }
                _ => return Ok(response),
            }
        }
        Err(Error::Redirect {
            host,
            reason: format!("more than {REDIRECTS} in a row"),
        })
    }

    /// What to send after a challenge; or the refusal, where nothing we have can meet it.
    async fn authorize(
        &self,
        question: &Question<'_>,
        challenge: Challenge,
        credentials: Option<&Credentials>,
    ) -> Result<Result<SecretString, Answer>, Error> {
        let denied = |status: u16, detail: &str| Answer::Denied {
            status,
            detail: detail.to_owned(),
        };
        match (challenge, credentials) {
            (Challenge::Basic, None) => Ok(Err(denied(401, "it wants a user name and a password"))),
            (Challenge::Basic, Some(credentials)) => Ok(Ok(basic(credentials))),
            (
                Challenge::Bearer {
                    realm,
                    service,
                    scope,
                },
                credentials,
            ) => {
                let asked = scope.unwrap_or_else(|| {
                    format!("repository:{}:pull", question.reference.repository())
                });
                self.token(question, &realm, service.as_deref(), &asked, credentials)
                    .await
            }
        }
    }

    async fn token(
        &self,
        question: &Question<'_>,
        realm: &str,
        service: Option<&str>,
        scope: &str,
        credentials: Option<&Credentials>,
    ) -> Result<Result<SecretString, Answer>, Error> {
        let host = question.host();
        let failed = |reason: String| Error::Token {
            host: host.clone(),
            reason,
        };
        let mut url = Url::parse(realm).map_err(|error| failed(format!("`realm`: {error}")))?;
        // A password travels unencrypted only where the registry itself is spoken to so.
        let allowed =
            url.scheme() == "https" || url.scheme() == "http" && question.base.scheme() == "http";
        if !allowed {
            return Err(failed(format!("its token service is `{}`", url.scheme())));
        }
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", service);
        }
        url.query_pairs_mut().append_pair("scope", scope);
        let mut request = self.http.get(url.clone());
        if let Some(credentials) = credentials {
            request = request.header(AUTHORIZATION, sensitive(&basic(credentials))?);
        }
        let response = request
            .send()
            .await
            .map_err(|error| transport(&url, &error))?;
        match response.status().as_u16() {
            200 => {}
            status @ (401 | 403) => {
                let detail = format!("its token service: {}", self.detail(response).await);
                return Ok(Err(Answer::Denied { status, detail }));
            }
            429 => {
                let retry_after = retry_after(response.headers());
                return Err(Error::RateLimited { host, retry_after });
            }
            status => return Err(failed(format!("its token service answers status {status}"))),
        }
        let bytes = read(response, TOKEN, &host, "token").await?;
        let answer: Value = serde_json::from_slice(&bytes)
            .map_err(|_| failed("its token service does not answer JSON".to_owned()))?;
        let token = answer["token"].as_str().or(answer["access_token"].as_str());
        let token = token.ok_or_else(|| failed("its token service gives no token".to_owned()))?;
        Ok(Ok(SecretString::from(format!("Bearer {token}"))))
    }

    async fn denied(&self, response: Response) -> Result<Answer, Error> {
        let status = response.status().as_u16();
        Ok(Answer::Denied {
            status,
            detail: self.detail(response).await,
        })
    }

    /// The registry's own words: `errors[0].message` of the protocol.
    async fn detail(&self, response: Response) -> String {
        let bytes = read(response, TOKEN, "", "error").await.unwrap_or_default();
        let said: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let error = &said["errors"][0];
        let text = error["message"]
            .as_str()
            .or(error["code"].as_str())
            .or(said["details"].as_str());
        let text: String = text
            .unwrap_or("no reason given")
            .chars()
            .take(DETAIL)
            .collect();
        text
    }

    async fn json(
        &self,
        question: &Question<'_>,
        response: Response,
        what: &'static str,
    ) -> Result<Value, Error> {
        let host = question.host();
        let bytes = read(response, MANIFEST, &host, what).await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Malformed {
            host,
            what,
            reason: error.to_string(),
        })
    }
}

impl Question<'_> {
    fn host(&self) -> String {
        self.reference.host().to_owned()
    }
}

/// Whether a head says that its body is a manifest.
fn is_manifest(headers: &HeaderMap) -> bool {
    header(headers, CONTENT_TYPE.as_str()).is_some_and(|text| {
        let kind = text.split(';').next().unwrap_or_default().trim();
        KINDS.split(", ").any(|known| known == kind)
    })
}

async fn read(
    mut response: Response,
    limit: usize,
    host: &str,
    what: &'static str,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let url = response.url().clone();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| transport(&url, &error))?
    {
        if bytes.len() + chunk.len() > limit {
            return Err(Error::TooLarge {
                host: host.to_owned(),
                what,
                limit,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn basic(credentials: &Credentials) -> SecretString {
    use base64::Engine as _;
    let pair = format!(
        "{}:{}",
        credentials.username,
        credentials.password.expose_secret()
    );
    SecretString::from(format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(pair)
    ))
}

fn sensitive(authorization: &SecretString) -> Result<HeaderValue, Error> {
    let mut value =
        HeaderValue::from_str(authorization.expose_secret()).map_err(|_| Error::Setup {
            reason: "the credentials hold a control character".to_owned(),
        })?;
    value.set_sensitive(true);
    Ok(value)
}

fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// The innermost cause, without the URL, which may hold a token.
fn transport(url: &Url, error: &reqwest::Error) -> Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Error::Transport {
        host: url.authority().to_owned(),
        reason: cause.to_string(),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    header(headers, RETRY_AFTER.as_str())?
        .parse()
        .ok()
        .map(Duration::from_secs)
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// `os/architecture[/variant]`. Attestations beside the images have the platform `unknown`.
fn platform(of: &Value) -> Option<String> {
    let (os, architecture) = (of["os"].as_str()?, of["architecture"].as_str()?);
    if os == "unknown" {
        return None;
    }
    let mut text = format!("{os}/{architecture}");
    if let Some(variant) = of["variant"].as_str().filter(|variant| !variant.is_empty()) {
        text.push('/');
        text.push_str(variant);
    }
    Some(text.to_lowercase())
}

/// Only a digest becomes part of a path.
fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(kind, hash)| {
        !kind.is_empty()
            && kind.chars().all(|c| c.is_ascii_alphanumeric())
            && hash.len() >= 32
            && hash.chars().all(|c| c.is_ascii_hexdigit())
    })
}
