//! How a server is reached and spoken to.

use schemars::JsonSchema;
use serde::Deserialize;

/// Which of the resolved addresses of a name must pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Addresses {
    /// Every one. For the name `localhost`, every one that accepts a connection.
    #[default]
    All,
    /// One is enough.
    One,
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HttpVersion {
    /// HTTP/2 where a TLS server offers it, else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone; to an `http://` URL without negotiation (prior knowledge).
    Http2,
}
