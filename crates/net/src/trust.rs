//! The authorities of a `ca-file`, for clients outside of probes: one rule for all of them.

use std::path::Path;

use tokio_rustls::rustls::ClientConfig;

use crate::tls::{Error, Settings};

/// TLS that trusts the certificates of a PEM file alone: those that they vouch for, and themselves.
pub fn only(ca_file: &Path) -> Result<ClientConfig, Error> {
    let settings = Settings {
        ca_file: Some(ca_file.to_owned()),
        protocols: &["h2", "http/1.1"],
        ..Settings::default()
    };
    Ok(ClientConfig::clone(&*settings.config()?))
}
