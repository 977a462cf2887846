//! Why a probe cannot be made from its configuration.

use config::file::MemberError;
use net::http::request;
use net::tls;

use crate::members;

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("no port is given")]
    NoPort,
    #[error("`{0}` is not a unit")]
    NoUnit(String),
    #[error("`{0}` is not a name")]
    NoName(String),
    /// What is looked up must be a name.
    #[error("`{0}` is an address: nothing is looked up")]
    IsAddress(String),
    /// The variable of a `*-env` key.
    #[error("the variable `{name}` is not set; {}", model::env::mapping_hint(name))]
    Unset { name: String },
    /// A host of the configuration cannot be used.
    #[error("{0}")]
    Host(net::ConnectError),
    #[error(transparent)]
    Members(#[from] members::Error),
    /// The probe of one endpoint of a group.
    #[error("{endpoint}: {cause}")]
    Endpoint { endpoint: String, cause: Box<Error> },
    #[error(transparent)]
    Request(#[from] request::Error),
    #[error(transparent)]
    Tls(#[from] tls::Error),
    #[error(transparent)]
    Prometheus(#[from] prometheus::Error),
    /// An endpoint of a group does not fit where it is put.
    #[error(transparent)]
    Member(#[from] MemberError),
}

impl Error {
    pub fn of(self, endpoint: impl Into<String>) -> Error {
        Error::Endpoint {
            endpoint: endpoint.into(),
            cause: Box::new(self),
        }
    }
}
