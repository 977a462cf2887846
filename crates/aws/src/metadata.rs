//! Keys from the machine that we run on: ECS tasks and EKS pods get them at an address in their
//! variables, every process on an EC2 instance at a link-local address (IMDSv2).

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use model::Env;
use model::Secret;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use url::{Host, Url};

use crate::Error;
use crate::answer::{read, service_error, transport};
use crate::keys::Keys;

/// ECS's agent.
const CONTAINER: &str = "http://169.254.170.2";
/// Where plain HTTP stays on the machine: ECS's agent, and EKS's (two addresses).
const AGENTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
const INSTANCE: &str = "http://169.254.169.254";
/// These addresses answer within milliseconds on AWS, and not at all elsewhere.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// Who hands out the keys.
#[derive(Clone, Debug)]
pub(crate) enum Metadata {
    Container {
        url: Url,
        authorization: Option<Secret>,
    },
    Instance(Url),
}

impl Metadata {
    /// What a container's variables name.
    pub(crate) fn of_container(env: &Env) -> Result<Option<Metadata>, Error> {
        let text = match (
            env.non_empty("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            env.non_empty("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        ) {
            (Some(path), _) => format!("{CONTAINER}{path}"),
            (None, Some(url)) => url.to_owned(),
            (None, None) => return Ok(None),
        };
        let url = parse(&text)?;
        if url.scheme() == "http" && !stays_here(&url) {
            return Err(Error::Setup {
                reason: format!("`{text}` would give keys away unencrypted"),
            });
        }
        let authorization = match env.non_empty("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(path) => crate::profile::read(Path::new(path))?.map(Secret::from),
            None => env.secret("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        };
        Ok(Some(Metadata::Container { url, authorization }))
    }

    /// The instance's own, unless that is switched off.
    pub(crate) fn of_instance(env: &Env) -> Result<Option<Metadata>, Error> {
        let off = env.non_empty("AWS_EC2_METADATA_DISABLED");
        if off.is_some_and(|off| off.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let named = env.non_empty("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        Ok(Some(Metadata::Instance(parse(named.unwrap_or(INSTANCE))?)))
    }

    /// The keys; `None` where no instance's service answers, which is so on most machines.
    pub(crate) async fn keys(&self) -> Result<Option<Keys>, Error> {
        match self {
            Metadata::Container { url, authorization } => {
                let header = authorization.as_ref().map(|token| ("authorization", token));
                let text = fetch_metadata(Method::GET, url, header).await?;
                keys(&text).map(Some)
            }
            Metadata::Instance(base) => match instance(base).await {
                Err(Error::Transport { .. }) => Ok(None),
                other => other.map(Some),
            },
        }
    }
}

/// Gets a session token first, so that a request that an attacker makes us send gets no keys.
async fn instance(base: &Url) -> Result<Keys, Error> {
    let at = |path: &str| {
        base.join(path).map_err(|error| Error::Setup {
            reason: error.to_string(),
        })
    };
    let seconds = Secret::from("60");
    let lifetime = Some(("x-aws-ec2-metadata-token-ttl-seconds", &seconds));
    let token = fetch_metadata(Method::PUT, &at("latest/api/token")?, lifetime).await?;
    let token = Secret::from(token.trim());
    let token = Some(("x-aws-ec2-metadata-token", &token));
    let roles = at("latest/meta-data/iam/security-credentials/")?;
    let role = fetch_metadata(Method::GET, &roles, token).await?;
    let role = role.lines().next().unwrap_or_default().trim();
    let role = roles.join(role).map_err(|error| Error::Setup {
        reason: error.to_string(),
    })?;
    keys(&fetch_metadata(Method::GET, &role, token).await?)
}

fn keys(text: &str) -> Result<Keys, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        access_key_id: String,
        secret_access_key: Secret,
        token: Option<Secret>,
    }
    // The parser's own words may quote a key.
    let answer: Answer = serde_json::from_str(text).map_err(|_| Error::Malformed {
        service: SERVICE,
        reason: "it holds no keys: has the instance or the task a role?".to_owned(),
    })?;
    Ok(Keys {
        access: answer.access_key_id,
        secret: answer.secret_access_key,
        token: answer.token,
    })
}

const SERVICE: &str = "the metadata service";

async fn fetch_metadata(
    method: Method,
    url: &Url,
    header: Option<(&'static str, &Secret)>,
) -> Result<String, Error> {
    let setup = |reason: String| Error::Setup { reason };
    // Of this machine alone: no proxy may see it.
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(METADATA_TIMEOUT)
        .build()
        .map_err(|error| setup(error.to_string()))?;
    let mut headers = HeaderMap::new();
    if let Some((name, value)) = header {
        let mut value = HeaderValue::from_str(value.expose().trim())
            .map_err(|_| setup(format!("`{name}` holds a control character")))?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
    }
    let sent = http.request(method, url.clone()).headers(headers).send();
    let response = sent.await.map_err(|error| transport(url, &error))?;
    match response.status() {
        StatusCode::OK => read(SERVICE, response).await,
        status => Err(service_error(SERVICE, status.as_u16(), "")),
    }
}

fn parse(text: &str) -> Result<Url, Error> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| Error::Setup {
            reason: format!("`{text}` is not the address of a metadata service"),
        })
}

fn stays_here(url: &Url) -> bool {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address),
        Some(Host::Ipv6(address)) => IpAddr::from(address),
        Some(Host::Domain(name)) => return name == "localhost",
        None => return false,
    };
    address.is_loopback() || AGENTS.contains(&address.to_string().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_travel_unencrypted_on_this_machine_alone() {
        for (url, good) in [
            ("http://127.0.0.1:9/x", true),
            ("http://localhost/x", true),
            ("http://169.254.170.2/v2", true),
            ("http://[fd00:ec2::23]/v1", true),
            ("https://keys.example/x", true),
            ("http://keys.example/x", false),
            ("http://169.254.170.2.example/x", false),
            ("http://10.0.0.1/x", false),
            ("file:///etc/passwd", false),
            ("x", false),
        ] {
            let env = Env::from_iter([("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)]);
            assert_eq!(Metadata::of_container(&env).is_ok(), good, "{url}");
        }
    }
}
