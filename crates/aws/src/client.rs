//! A signed request, its retries, and an answer that is bounded.

use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use model::Env;
use model::Secret;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response};
use url::Url;

use crate::answer::{read_success, transport};
use crate::credentials::{Kind, Source};
use crate::keys::Keys;
use crate::profile::Profile;
use crate::{Error, xml};

const MAX_ATTEMPTS: u32 = 4;
/// The default region. S3 answers with the right one, and ECR has it in its host names.
const REGION: &str = "us-east-1";

/// Asks AWS, or what `AWS_ENDPOINT_URL` names in its place.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    keys: Keys,
    pub(crate) region: String,
    endpoints: Endpoints,
}

#[derive(Clone, Debug)]
struct Endpoints {
    all: Option<String>,
    s3: Option<String>,
    ecr: Option<String>,
    ecs: Option<String>,
    elb: Option<String>,
    sts: Option<String>,
}

/// A service that is asked with signed requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    S3,
    Ecs,
    Ecr,
    Elb,
}

impl Service {
    /// In signatures and host names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::S3 => "s3",
            Service::Ecs => "ecs",
            Service::Ecr => "ecr",
            Service::Elb => "elasticloadbalancing",
        }
    }
}

/// One request before it is signed.
pub(crate) struct Request<'a> {
    pub(crate) service: Service,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: &'a [(&'static str, String)],
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// Who we are, by `source`; a web identity is swapped for a session here, and the machine is
    /// asked for its keys. `region` where the
    /// caller knows it.
    pub async fn connect(
        env: &Env,
        source: &Source,
        region: Option<&str>,
    ) -> Result<Client, Error> {
        let profile = Profile::load(env)?;
        let http = reqwest::Client::builder()
            .proxy(reqwest::Proxy::custom(|url| {
                model::proxy::of_process(url.scheme(), url.host_str(), url.port_or_known_default())
            }))
            .user_agent(concat!("deploy-guard/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(|error| Error::Setup {
                reason: error.to_string(),
            })?;
        let region = region
            .or_else(|| env.non_empty("AWS_REGION"))
            .or_else(|| env.non_empty("AWS_DEFAULT_REGION"))
            .or_else(|| profile.get("region"))
            .unwrap_or(REGION);
        if !is_region(region) {
            return Err(Error::Setup {
                reason: format!("`{region}` is not a region"),
            });
        }
        let named = |name: &str| env.non_empty(name).map(str::to_owned);
        let endpoints = Endpoints {
            all: named("AWS_ENDPOINT_URL")
                .or_else(|| profile.get("endpoint_url").map(str::to_owned)),
            s3: named("AWS_ENDPOINT_URL_S3"),
            ecr: named("AWS_ENDPOINT_URL_ECR"),
            ecs: named("AWS_ENDPOINT_URL_ECS"),
            elb: named("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2"),
            sts: named("AWS_ENDPOINT_URL_STS"),
        };
        let region = region.to_owned();
        let keys = match &source.0 {
            Kind::Keys(keys) => keys.clone(),
            Kind::WebIdentity {
                role,
                session,
                file,
            } => {
                let url = endpoint(endpoints.sts.as_ref().or(endpoints.all.as_ref()), || {
                    format!("https://sts.{region}.{}", domain(&region))
                })?;
                assume(&http, url, role, session, file).await?
            }
            Kind::Metadata(metadata) => {
                let keys = metadata.keys().await?;
                keys.ok_or_else(|| crate::credentials::nothing(&profile))?
            }
        };
        Ok(Client {
            http,
            keys,
            region,
            endpoints,
        })
    }

    /// What must not be shown, of the session that was begun.
    pub fn secrets(&self) -> Vec<Secret> {
        Source(Kind::Keys(self.keys.clone())).secrets()
    }

    /// The same in another region.
    pub(crate) fn in_region(&self, region: String) -> Client {
        Client {
            region,
            ..self.clone()
        }
    }

    /// The base of a service, and whether it was configured.
    pub(crate) fn base(&self, service: Service) -> Result<(Url, bool), Error> {
        let own = match service {
            Service::S3 => &self.endpoints.s3,
            Service::Ecs => &self.endpoints.ecs,
            Service::Elb => &self.endpoints.elb,
            Service::Ecr => &self.endpoints.ecr,
        };
        let named = own.as_ref().or(self.endpoints.all.as_ref());
        let (region, domain) = (&self.region, domain(&self.region));
        let name = service.name();
        let url = endpoint(named, || match service {
            Service::S3 | Service::Ecs | Service::Elb => {
                format!("https://{name}.{region}.{domain}")
            }
            Service::Ecr => format!("https://api.{name}.{region}.{domain}"),
        })?;
        Ok((url, named.is_some()))
    }

    /// Signs, sends, and sends again what did not arrive. Statuses are the caller's to judge.
    pub(crate) async fn send(&self, request: &Request<'_>) -> Result<Response, Error> {
        let mut tries = 0;
        loop {
            let result = self.once(request).await;
            tries += 1;
            let again = match &result {
                Ok(response) => matches!(response.status().as_u16(), 429 | 500 | 502..=504),
                Err(Error::Transport { .. }) => true,
                Err(_) => false,
            };
            if !again || tries >= MAX_ATTEMPTS {
                return result;
            }
            let ceiling = Duration::from_millis(200) * (1 << tries);
            tokio::time::sleep(ceiling.mul_f64(rand::random())).await;
        }
    }

    async fn once(&self, request: &Request<'_>) -> Result<Response, Error> {
        let setup = |reason: String| Error::Setup { reason };
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers {
            let value = HeaderValue::from_str(value).map_err(|error| setup(error.to_string()))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        for (name, value) in self.signature(request)? {
            let name: HeaderName = name
                .parse()
                .map_err(|_| setup("a header's name".to_owned()))?;
            let mut value = HeaderValue::from_str(&value).map_err(|e| setup(e.to_string()))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        self.http
            .request(request.method.clone(), request.url.clone())
            .headers(headers)
            .body(request.body.clone())
            .send()
            .await
            .map_err(|error| transport(&request.url, &error))
    }

    /// The headers that a signature adds.
    fn signature(&self, request: &Request<'_>) -> Result<Vec<(String, String)>, Error> {
        let setup = |reason: &dyn std::fmt::Display| Error::Setup {
            reason: format!("sign: {reason}"),
        };
        let token = self.keys.token.as_ref();
        let identity = aws_credential_types::Credentials::new(
            self.keys.access.clone(),
            self.keys.secret.expose(),
            token.map(|token| token.expose().to_owned()),
            None,
            "deploy-guard",
        )
        .into();
        let mut settings = SigningSettings::default();
        if request.service == Service::S3 {
            // S3 signs a path unchanged.
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(request.service.name())
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|error| setup(&error))?
            .into();
        let headers = request
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        let signable = SignableRequest::new(
            request.method.as_str(),
            request.url.as_str(),
            headers,
            SignableBody::Bytes(&request.body),
        )
        .map_err(|error| setup(&error))?;
        let (instructions, _) = sign(signable, &params)
            .map_err(|error| setup(&error))?
            .into_parts();
        let (headers, _) = instructions.into_parts();
        Ok(headers
            .into_iter()
            .map(|header| (header.name().to_owned(), header.value().to_owned()))
            .collect())
    }
}

/// An AWS session for a web identity. The identity's token is the proof; nothing is signed.
async fn assume(
    http: &reqwest::Client,
    mut url: Url,
    role: &str,
    session: &str,
    file: &str,
) -> Result<Keys, Error> {
    let unreadable = |reason: String| Error::Profile {
        path: file.to_owned(),
        reason,
    };
    let token = crate::profile::read(std::path::Path::new(file))?
        .ok_or_else(|| unreadable("there is no such file".to_owned()))?;
    url.set_path("/");
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", "AssumeRoleWithWebIdentity")
        .append_pair("Version", "2011-06-15")
        .append_pair("RoleArn", role)
        .append_pair("RoleSessionName", session)
        .append_pair("WebIdentityToken", token.trim())
        .finish();
    let response = http
        .post(url.clone())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .map_err(|error| transport(&url, &error))?;
    let text = read_success("STS", response).await?;
    let document = xml::parse("STS", &text)?;
    let part = |name: &str| {
        xml::text(document.root(), name)
            .map(str::to_owned)
            .ok_or_else(|| Error::Malformed {
                service: "STS",
                reason: format!("it has no `{name}`"),
            })
    };
    Ok(Keys {
        access: part("AccessKeyId")?,
        secret: Secret::from(part("SecretAccessKey")?),
        token: Some(Secret::from(part("SessionToken")?)),
    })
}

fn endpoint(named: Option<&String>, usual: impl FnOnce() -> String) -> Result<Url, Error> {
    let text = named.cloned().unwrap_or_else(usual);
    let bad = |reason: String| Error::Setup {
        reason: format!("the endpoint `{text}`: {reason}"),
    };
    let url = Url::parse(&text).map_err(|error| bad(error.to_string()))?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        return Ok(url);
    }
    Err(bad("it is not an http URL".to_owned()))
}

/// China has a domain of its own.
fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    }
}

/// A region becomes part of a host's name.
fn is_region(text: &str) -> bool {
    (3..=40).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
