//! Why a Prometheus server gives no answer that can be used.

use std::sync::Arc;
use std::time::Duration;

use net::cause::plain_cause;
use net::tls;
use url::Url;

use crate::display_url::without_credentials;

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Address(#[from] url::ParseError),
    #[error("the variable `{0}` is not set")]
    Unset(String),
    #[error("the tenant `{0}` cannot be sent")]
    Tenant(String),
    #[error("{0}")]
    Tls(#[from] tls::Error),
    /// No client can be built from these settings.
    #[error("{}", plain_cause(&**.0))]
    Client(Arc<reqwest::Error>),
    #[error("{}", plain_cause(&**cause))]
    NoAnswer {
        server: Url,
        cause: Arc<reqwest::Error>,
    },
    #[error("no complete answer within {}", model::text::span(*.0))]
    Late(Duration),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
    #[error("the answer broke off: {0}")]
    BrokeOff(String),
    /// A status other than success, and the reason in JSON where the answer has one.
    #[error("{}", unsuccessful(*status, said.as_deref()))]
    Status {
        status: u16,
        said: Option<String>,
        server: Url,
    },
    /// A good status, and an error all the same; the server's own words.
    #[error("Prometheus refuses the query: {0}")]
    Refused(String),
    #[error("the answer is not JSON")]
    NotJson,
    #[error("the answer has no type of result (`data.resultType`)")]
    NoType,
    #[error("the query gives {}, not an instant's values", describe_type(.0))]
    Type(String),
    #[error("the query gives {}, not the samples of a selector", describe_type(.0))]
    NotSamples(String),
    #[error("the answer has no list of results (`data.result`)")]
    NoResults,
    #[error("{count} series, more than {limit}")]
    TooManySeries { count: usize, limit: usize },
    #[error("the answer has a value that is not a number")]
    NoNumber,
    #[error("the result is a histogram, not a number")]
    Histogram,
    #[error("Prometheus warns: {0}")]
    Warning(String),
    /// What is wrong with an answer, and its head.
    #[error("{cause}")]
    Answered { cause: Box<Error>, head: String },
    /// A cause, and of what it is.
    #[error("{what}: {cause}")]
    About {
        what: &'static str,
        cause: Box<Error>,
    },
}

impl Error {
    pub fn about(self, what: &'static str) -> Error {
        Error::About {
            what,
            cause: Box::new(self),
        }
    }

    pub(crate) fn answered(self, head: String) -> Error {
        Error::Answered {
            cause: Box::new(self),
            head,
        }
    }

    /// The server read the query and did not want it.
    pub fn is_refusal(&self) -> bool {
        match self {
            Error::Status { status, .. } => matches!(status, 400 | 422),
            Error::Answered { cause, .. } | Error::About { cause, .. } => cause.is_refusal(),
            _ => false,
        }
    }

    /// What to do about it, unless the query itself is to blame.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Answered { cause, .. } | Error::About { cause, .. } => cause.hint(),
            Error::NoAnswer { server, .. } => Some(format!(
                "check that Prometheus answers: `curl {}-/ready`",
                without_credentials(server)
            )),
            Error::Status { status, server, .. } => match status {
                401 | 403 => Some(
                    "check `access`: who we are to Prometheus (`username`, `token-env`, \
                     `client-certificate`), and for which `tenant`"
                        .to_owned(),
                ),
                404 => Some(format!(
                    "is the path prefix right? The request went to `{}`; Mimir and Cortex answer below \
                     `/prometheus`",
                    without_credentials(server)
                )),
                407 => Some("check the user and the password in the proxy's address".to_owned()),
                429 | 500.. => Some("see the load and the log of the server".to_owned()),
                _ => None,
            },
            Error::Address(_) => Some("write `server` as `http://HOST:PORT`".to_owned()),
            Error::Unset(name) => Some(format!("set `{name}` in the step's `env:`")),
            Error::Tenant(_) => Some("a tenant has printable characters of ASCII alone".to_owned()),
            Error::Tls(_) => Some("check the files that `access` names".to_owned()),
            Error::Client(_) => Some("check `server`, `access` and the proxy".to_owned()),
            Error::Late(_) => {
                Some("see how busy the server is, or raise the time that the query has".to_owned())
            }
            Error::BrokeOff(_) => {
                Some("see the log of the server and of the proxies before it".to_owned())
            }
            Error::TooLarge(_) => {
                Some("narrow the query down: more labels, or a sum over fewer".to_owned())
            }
            Error::NotJson | Error::NoType | Error::NoResults | Error::NoNumber => {
                Some("check that `server` is the address of a Prometheus server".to_owned())
            }
            // The query is to blame.
            Error::Refused(_)
            | Error::Type(_)
            | Error::NotSamples(_)
            | Error::TooManySeries { .. }
            | Error::Histogram
            | Error::Warning(_) => None,
        }
    }

    /// The head of the answer that is wrong.
    pub fn evidence(&self) -> Option<&str> {
        match self {
            Error::Answered { head, .. } => Some(head),
            Error::About { cause, .. } => cause.evidence(),
            _ => None,
        }
    }
}

/// 400, 422 and 503 carry their reason in JSON; the others come from what answers before the server.
fn unsuccessful(status: u16, said: Option<&str>) -> String {
    match said {
        Some(said) => format!("Prometheus refuses the query: {said} (status {status})"),
        None => format!("Prometheus answers status {status}"),
    }
}

fn describe_type(result_type: &str) -> &'static str {
    match result_type {
        "vector" => "an instant's values (a vector)",
        "matrix" => "a range of values (a matrix)",
        "string" => "a text (a string)",
        _ => "something else",
    }
}
