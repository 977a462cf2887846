//! The questions that a registry is asked: is an image there, which tags are there.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LINK};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use tokio_rustls::rustls::ClientConfig;
use url::Url;

use crate::exchange::{Exchange, Speech, header, same_origin};
use crate::manifest::{self, Entry, Manifest};
use crate::query_error::QueryError;
use crate::response::read;
use crate::{
    Credentials, Error, ImageStatus, ManifestError, Reference, digest, platform, reference,
};

/// Every kind of manifest, so that none is converted for us.
const KINDS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";
/// Registries refuse manifests above this themselves (OCI distribution, "Pushing Manifests").
const MANIFEST: usize = 4 << 20;
/// As many tags as a hint needs.
const TAG_PAGES: usize = 10;
/// Indexes within indexes, and how many documents one question may read.
const DEPTH: usize = 4;
const DOCUMENTS: usize = 40;
/// Of an index, as many images are looked into for their age.
const LOOKED_INTO: usize = 8;

/// Asks registries. Cheap to make.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    timeout: Duration,
}

/// The login and the transport for a registry.
#[derive(Clone, Copy, Debug, Default)]
pub struct Access<'a> {
    pub credentials: Option<&'a Credentials>,
    /// Without TLS, or with it. `None`: with it, except at a loopback address that does not speak it.
    pub plain_http: Option<bool>,
}

/// The tags of a repository, as far as they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    pub names: Vec<String>,
    /// There are more.
    pub cut: bool,
}

/// What to find out about an image besides that it is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Want<'a> {
    /// Which platforms it has, if any are named here.
    pub platforms: &'a [String],
    /// When it was made; for the platforms above, or for one.
    pub created: bool,
}

impl Client {
    /// `timeout` bounds a whole question: tokens, redirects, retries and waits included.
    pub fn new(timeout: Duration) -> Result<Self, Error> {
        Client::trusting(timeout, None)
    }

    /// The same, over TLS with these trusted authorities; by default the system's.
    pub fn trusting(timeout: Duration, tls: Option<ClientConfig>) -> Result<Self, Error> {
        let setup = |error: reqwest::Error| Error::Setup {
            reason: error.to_string(),
        };
        let mut builder = reqwest::Client::builder().proxy(reqwest::Proxy::custom(|url| {
            model::proxy::of_process(url.scheme(), url.host_str(), url.port_or_known_default())
        }));
        if let Some(tls) = tls {
            builder = builder.tls_backend_preconfigured(tls);
        }
        let http = builder
            .user_agent(concat!("deploy-guard/", env!("CARGO_PKG_VERSION")))
            // Followed by hand: credentials must not go to another host.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(setup)?;
        Ok(Client { http, timeout })
    }

    /// Whether the image is there, and what else is wanted of it.
    pub async fn manifest(
        &self,
        reference: &Reference,
        access: Access<'_>,
        want: Want<'_>,
    ) -> Result<ImageStatus, Error> {
        let mut exchange = self.exchange(reference, access)?;
        let answer = self
            .in_time(reference, fetch_image_status(&mut exchange, want))
            .await;
        match answer {
            Ok(found) => Ok(found),
            Err(QueryError::Absent) => Ok(ImageStatus::Absent),
            Err(QueryError::Unusable(why)) => Ok(ImageStatus::Unusable(why)),
            Err(QueryError::Denied { status, detail }) => {
                Ok(ImageStatus::Denied { status, detail })
            }
            Err(QueryError::Failed(error)) => Err(error),
        }
    }

    /// The repository's tags, as many as a few pages hold; `None` if the registry does not have the
    /// repository or does not list its tags.
    pub async fn tags(
        &self,
        reference: &Reference,
        access: Access<'_>,
    ) -> Result<Option<Tags>, Error> {
        let mut exchange = self.exchange(reference, access)?;
        match self.in_time(reference, list(&mut exchange)).await {
            Ok(tags) => Ok(Some(tags)),
            Err(QueryError::Absent | QueryError::Unusable(_) | QueryError::Denied { .. }) => {
                Ok(None)
            }
            Err(QueryError::Failed(error)) => Err(error),
        }
    }

    fn exchange<'a>(
        &'a self,
        reference: &'a Reference,
        access: Access<'a>,
    ) -> Result<Exchange<'a>, Error> {
        let speech = match access.plain_http {
            Some(true) => Speech::Plain,
            // A registry on this machine often has no certificate; one that has is found out.
            None if reference.is_loopback() => Speech::Unknown,
            _ => Speech::Tls,
        };
        let scheme = if speech == Speech::Tls {
            "https"
        } else {
            "http"
        };
        let (host, repository) = (reference.host(), reference.repository());
        let base = Url::parse(&format!("{scheme}://{host}/v2/{repository}/")).map_err(|error| {
            Error::Setup {
                reason: error.to_string(),
            }
        })?;
        let authorization = match access.credentials {
            Some(Credentials::Bearer(token)) => Some(format!("Bearer {}", token.expose()).into()),
            _ => None,
        };
        Ok(Exchange {
            http: &self.http,
            reference,
            credentials: access.credentials,
            base,
            speech,
            deadline: Instant::now() + self.timeout,
            authorization,
        })
    }

    async fn in_time<T>(
        &self,
        reference: &Reference,
        asking: impl Future<Output = Result<T, QueryError>>,
    ) -> Result<T, QueryError> {
        tokio::time::timeout(self.timeout, asking)
            .await
            .unwrap_or_else(|_| {
                Err(QueryError::Failed(Error::Timeout {
                    host: reference.host().to_owned(),
                    after: self.timeout,
                }))
            })
    }
}

async fn fetch_image_status(
    exchange: &mut Exchange<'_>,
    want: Want<'_>,
) -> Result<ImageStatus, QueryError> {
    let url = exchange.url(&format!("manifests/{}", exchange.reference.target()))?;
    let platforms = !want.platforms.is_empty();
    if !platforms && !want.created {
        // Registries and caches that do not know the method for manifests answer 404 or 405 to it.
        let also = [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_FOUND];
        let head = exchange
            .send_request(Method::HEAD, &url, KINDS, &also)
            .await?;
        let digest = header(head.headers(), "docker-content-digest");
        // A head alone is believed only where it is plainly an image's, and tells its digest: a
        // login page is a 200 too, and an index may hold nothing that runs.
        if head.status() == StatusCode::OK
            && is_image(head.headers())
            && let Some(digest) = digest.filter(|got| comparable(exchange, got))
        {
            check_digest(exchange, exchange.reference.digest(), &digest)?;
            return Ok(ImageStatus::Found {
                digest: Some(digest),
                platforms: Vec::new(),
                created: None,
            });
        }
    }
    let url = exchange.url(&format!("manifests/{}", exchange.reference.target()))?;
    let response = exchange.send_request(Method::GET, &url, KINDS, &[]).await?;
    let (digest, document) = document(exchange, response, exchange.reference.digest()).await?;
    let manifest = Manifest::read(&document).ok_or_else(|| no_manifest(exchange))?;
    let (mut platforms, created) = match manifest {
        Manifest::Index { entries } => {
            let images = images(exchange, entries, want).await?;
            let created = if want.created {
                oldest(exchange, &images, want.platforms).await?
            } else {
                None
            };
            let platforms = images.into_iter().map(|image| image.platform);
            (platforms.collect(), created)
        }
        Manifest::Image { config } if platforms || want.created => {
            let config = configuration(exchange, &config).await?;
            let platforms: Vec<String> = platform::read(&config).into_iter().collect();
            (platforms, created_of(&config))
        }
        Manifest::Image { .. } => (Vec::new(), None),
        Manifest::Schema1 => return Err(QueryError::Unusable(ManifestError::Schema1)),
    };
    platforms.sort();
    platforms.dedup();
    Ok(ImageStatus::Found {
        digest,
        platforms,
        created,
    })
}

/// An image of an index that an engine may pull.
struct Image {
    digest: Option<String>,
    platform: String,
}

/// The images of an index, as an engine finds them: nested indexes are followed, and for an image
/// without a platform its own configuration is read.
async fn images(
    exchange: &mut Exchange<'_>,
    entries: Vec<Entry>,
    want: Want<'_>,
) -> Result<Vec<Image>, QueryError> {
    let whole = !want.platforms.is_empty() || want.created;
    let mut images = Vec::new();
    let mut attested = false;
    let mut read = 0;
    let mut level = entries;
    for _ in 0..=DEPTH {
        let mut open = Vec::new();
        for entry in level {
            let Entry {
                digest,
                platform,
                nested,
                attestation,
            } = entry;
            attested |= attestation;
            match platform {
                _ if attestation => {}
                Some(platform) if !nested => images.push(Image { digest, platform }),
                _ => open.extend(digest),
            }
        }
        let mut below = Vec::new();
        for digest in open {
            // One image is enough to know that there is one.
            if !whole && !images.is_empty() {
                break;
            }
            if read == DOCUMENTS {
                return Err(too_much(exchange, "it leads to too many others"));
            }
            read += 1;
            match part(exchange, &digest).await? {
                Manifest::Index { entries } => below.extend(entries),
                Manifest::Image { config } => {
                    let config = configuration(exchange, &config).await?;
                    match platform::read(&config) {
                        Some(platform) => images.push(Image {
                            digest: Some(digest),
                            platform,
                        }),
                        None => attested = true,
                    }
                }
                Manifest::Schema1 => {}
            }
        }
        if below.is_empty() || !whole && !images.is_empty() {
            return match images.is_empty() {
                false => Ok(images),
                true if attested => Err(QueryError::Unusable(ManifestError::OnlyAttestations)),
                true => Err(QueryError::Unusable(ManifestError::Empty)),
            };
        }
        level = below;
    }
    Err(too_much(
        exchange,
        "indexes stand in one another without end",
    ))
}

fn too_much(exchange: &Exchange<'_>, reason: &str) -> QueryError {
    QueryError::Failed(Error::Malformed {
        host: exchange.host(),
        what: "index",
        reason: reason.to_owned(),
    })
}

/// A manifest that another one names.
async fn part(exchange: &mut Exchange<'_>, named: &str) -> Result<Manifest, QueryError> {
    let url = exchange.url(&format!("manifests/{named}"))?;
    let response = found(
        exchange.send_request(Method::GET, &url, KINDS, &[]).await,
        exchange,
    )?;
    let (_, document) = document(exchange, response, Some(named)).await?;
    Manifest::read(&document).ok_or_else(|| no_manifest(exchange))
}

/// The date of the oldest of the wanted images; of the first, where none is named.
async fn oldest(
    exchange: &mut Exchange<'_>,
    images: &[Image],
    wanted: &[String],
) -> Result<Option<Timestamp>, QueryError> {
    let met = |image: &&Image| {
        wanted.is_empty() || wanted.iter().any(|w| platform::meets(&image.platform, w))
    };
    let most = if wanted.is_empty() { 1 } else { LOOKED_INTO };
    let mut oldest: Option<Timestamp> = None;
    for image in images.iter().filter(met).take(most) {
        let Some(named) = &image.digest else {
            return Ok(None);
        };
        let Manifest::Image { config } = part(exchange, named).await? else {
            return Err(no_manifest(exchange));
        };
        let config = configuration(exchange, &config).await?;
        match created_of(&config) {
            Some(created) => oldest = Some(oldest.map_or(created, |known| known.min(created))),
            None => return Ok(None),
        }
    }
    Ok(oldest)
}

async fn configuration(exchange: &mut Exchange<'_>, named: &str) -> Result<Value, QueryError> {
    let url = exchange.url(&format!("blobs/{named}"))?;
    let response = found(
        exchange.send_request(Method::GET, &url, "*/*", &[]).await,
        exchange,
    )?;
    let bytes = read(response, MANIFEST, &exchange.host(), "image configuration").await?;
    if let Some(got) = digest::of(&bytes, named) {
        check_digest(exchange, Some(named), &got)?;
    }
    parse(exchange, &bytes, "image configuration")
}

/// A part of an image that is there is missing: the registry is damaged, the image not absent.
fn found(
    answer: Result<Response, QueryError>,
    exchange: &Exchange<'_>,
) -> Result<Response, QueryError> {
    match answer {
        Err(QueryError::Absent) => Err(QueryError::Failed(Error::Unexpected {
            host: exchange.host(),
            status: 404,
            detail: "a part that the manifest names is missing".to_owned(),
        })),
        other => other,
    }
}

fn created_of(config: &Value) -> Option<Timestamp> {
    config["created"].as_str()?.parse().ok()
}

/// A manifest's body and its digest, by our own count; `named` is the digest it was asked by.
async fn document(
    exchange: &Exchange<'_>,
    response: Response,
    named: Option<&str>,
) -> Result<(Option<String>, Value), QueryError> {
    let told = header(response.headers(), "docker-content-digest");
    let told = told.filter(|told| digest::is_one(told));
    let bytes = read(response, MANIFEST, &exchange.host(), "manifest").await?;
    let document = parse(exchange, &bytes, "manifest")?;
    for wanted in [named, told.as_deref()].into_iter().flatten() {
        if let Some(got) = digest::of(&bytes, wanted) {
            check_digest(exchange, Some(wanted), &got)?;
        }
    }
    Ok((digest::of(&bytes, named.unwrap_or("sha256")), document))
}

fn parse(exchange: &Exchange<'_>, bytes: &[u8], what: &'static str) -> Result<Value, QueryError> {
    serde_json::from_slice(bytes).map_err(|error| {
        QueryError::Failed(Error::Malformed {
            host: exchange.host(),
            what,
            reason: error.to_string(),
        })
    })
}

/// Where a digest was asked for, only its own content is an answer.
fn check_digest(
    exchange: &Exchange<'_>,
    wanted: Option<&str>,
    got: &str,
) -> Result<(), QueryError> {
    match wanted {
        Some(wanted) if wanted != got => Err(mismatch(exchange, wanted, got)),
        _ => Ok(()),
    }
}

/// Whether a reported digest uses the algorithm of the requested one, if any.
fn comparable(exchange: &Exchange<'_>, told: &str) -> bool {
    let algorithm = |digest: &str| digest.split(':').next().map(str::to_owned);
    let wanted = exchange.reference.digest();
    digest::is_one(told) && wanted.is_none_or(|wanted| algorithm(wanted) == algorithm(told))
}

fn mismatch(exchange: &Exchange<'_>, wanted: &str, got: &str) -> QueryError {
    QueryError::Failed(Error::Digest {
        host: exchange.host(),
        wanted: wanted.to_owned(),
        got: got.to_owned(),
    })
}

fn no_manifest(exchange: &Exchange<'_>) -> QueryError {
    QueryError::Failed(Error::Malformed {
        host: exchange.host(),
        what: "manifest",
        reason: "it has neither `manifests` nor a `config`".to_owned(),
    })
}

/// Page by page, as far as the bound goes.
async fn list(exchange: &mut Exchange<'_>) -> Result<Tags, QueryError> {
    let mut tags = Vec::new();
    let mut url = exchange.url("tags/list?n=1000")?;
    for _ in 0..TAG_PAGES {
        let response = exchange
            .send_request(Method::GET, &url, "application/json", &[])
            .await?;
        let next = header(response.headers(), LINK.as_str()).and_then(|link| next_page(&link));
        let bytes = read(response, MANIFEST, &exchange.host(), "list of tags").await?;
        let page = parse(exchange, &bytes, "list of tags")?;
        let named = page["tags"].as_array().map(Vec::as_slice);
        let named = named.unwrap_or_default().iter().filter_map(Value::as_str);
        tags.extend(
            named
                .filter(|tag| reference::is_tag(tag))
                .map(str::to_owned),
        );
        match next.and_then(|next| url.join(&next).ok()) {
            Some(next) if same_origin(&next, &exchange.base) && next != url => url = next,
            _ => {
                return Ok(Tags {
                    names: tags,
                    cut: false,
                });
            }
        }
    }
    Ok(Tags {
        names: tags,
        cut: true,
    })
}

/// `</v2/…?last=…>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| target.to_owned())
}

/// Whether a head says that its body is the manifest of one image.
fn is_image(headers: &HeaderMap) -> bool {
    header(headers, CONTENT_TYPE.as_str()).is_some_and(|text| {
        let kind = text.split(';').next().unwrap_or_default().trim();
        KINDS.split(", ").any(|known| known == kind) && !manifest::is_index(kind)
    })
}
