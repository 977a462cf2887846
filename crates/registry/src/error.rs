//! Why a registry could not be asked.

use std::time::Duration;

use model::text::span;

/// A question that got no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("reach {host}: {reason}")]
    Transport {
        host: String,
        reason: String,
        /// The connection was established, and broke.
        connected: bool,
    },
    #[error("trust the certificate of {host}: {reason}")]
    Untrusted { host: String, reason: String },
    #[error("get an answer from {host} within {}", span(*after))]
    Timeout { host: String, after: Duration },
    #[error("query {host}: rate limit reached{}", wait(*retry_after))]
    RateLimited {
        host: String,
        retry_after: Option<Duration>,
    },
    #[error("query {host}: status {status}{}", detail_suffix(detail))]
    Server {
        host: String,
        status: u16,
        detail: String,
    },
    /// A status that the protocol does not have.
    #[error("query {host}: unexpected status {status}{}", detail_suffix(detail))]
    Unexpected {
        host: String,
        status: u16,
        detail: String,
    },
    #[error("follow a redirect of {host}: {reason}")]
    Redirect { host: String, reason: String },
    #[error("get a token for {host}: {reason}")]
    Token { host: String, reason: String },
    #[error("read the {what} from {host}: it is larger than {limit} bytes")]
    TooLarge {
        host: String,
        what: &'static str,
        limit: usize,
    },
    #[error("read the {what} from {host}: {reason}")]
    Malformed {
        host: String,
        what: &'static str,
        reason: String,
    },
    #[error("trust {host}: requested {wanted}, received {got}")]
    Digest {
        host: String,
        wanted: String,
        got: String,
    },
    #[error("set up the HTTP client: {reason}")]
    Setup { reason: String },
}

impl Error {
    /// The next step for a person.
    pub fn hint(&self) -> &'static str {
        match self {
            Error::Transport { .. } => {
                "check the registry's name, the network and HTTPS_PROXY; a registry without TLS \
                 needs `plain-http: true`"
            }
            Error::Untrusted { .. } => {
                "name the certificate of the authority that signed it as `ca-file`; see it: \
                 `openssl s_client -connect REGISTRY:443 -showcerts`"
            }
            Error::Timeout { .. } => {
                "see how long it takes: `curl -sv https://REGISTRY/v2/`; or raise `preflight.timeout`"
            }
            Error::RateLimited { .. } => {
                "wait, or log in: registries allow more requests to known users (`docker login`, or \
                 `username-env` and `password-env`)"
            }
            Error::Server { .. } => "look at the registry's status page and try again",
            Error::Unexpected { .. } | Error::Malformed { .. } | Error::TooLarge { .. } => {
                "is this address a container registry? `curl -i https://REGISTRY/v2/` answers 200 \
                 or 401 there"
            }
            Error::Redirect { .. } => "use the registry's final name",
            Error::Token { .. } => {
                "the registry named a token service that gave no usable token; see \
                 `curl -i https://REGISTRY/v2/`, header WWW-Authenticate"
            }
            Error::Digest { .. } => {
                "something between here and the registry changes its answers: look at the proxy or \
                 mirror, and compare with `docker manifest inspect -v IMAGE`"
            }
            Error::Setup { .. } => {
                "check that the system's certificates are installed (Debian: ca-certificates)"
            }
        }
    }
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| format!(", try again in {}", span(wait)))
}

fn detail_suffix(detail: &str) -> String {
    if detail.is_empty() {
        String::new()
    } else {
        format!(", {detail}")
    }
}
