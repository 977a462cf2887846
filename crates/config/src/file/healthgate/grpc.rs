//! gRPC services.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use model::{Secret, Severity};
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::probe_config::port_given;
use super::{Addresses, ClientCertificate, HostList, PolicyOverlay, ProbeConfig};
use crate::value::{Address, Portion};
use sections::KeyPosition;

/// A gRPC service that reports that it is serving, by the protocol `grpc.health.v1`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GrpcProbe {
    /// The probe's name.
    pub name: String,
    /// `host:port`.
    pub address: Address,
    /// The service to check, such as `shop.v1.Orders`. Default: the server as a whole.
    #[serde(default)]
    pub service: String,
    /// Whether TLS is spoken. Default: no, unless one of the next three keys is given.
    pub tls: Option<bool>,
    /// A file of PEM certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show to the server.
    pub client_certificate: Option<ClientCertificate>,
    /// The name that the certificate must be for. Default: the host of `address`.
    pub server_name: Option<String>,
    /// Metadata to send. A value may use `${NAME}`; such a value is a secret.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub headers: BTreeMap<String, Secret>,
    /// Addresses to connect to instead of those that the host resolves to.
    #[serde(default)]
    pub resolve: Vec<IpAddr>,
    /// The host under `hosts:` to connect from, over SSH.
    pub via: Option<String>,
    /// Which of the resolved addresses must pass. Default: all.
    #[serde(default)]
    pub addresses: Addresses,
    /// Probe many endpoints as one group: a file with one of them a line, such as
    /// `10.0.0.17:8000`; `#` begins a comment. `{target}` above is the line, `{host}` its host.
    pub targets_file: Option<PathBuf>,
    /// Probe these machines of `hosts:` as one group: `all`, a pattern, or a list. `{host}` above is
    /// the machine's name, `{address}` its address.
    pub hosts: Option<HostList>,
    /// How many of the group must pass, such as `95%` or `12`. Default 100%.
    pub require: Option<Portion>,
    /// What it does otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

impl ProbeConfig for GrpcProbe {
    common_fields!();
    group_fields!();
    server_places!();

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        if self.is_group() {
            return Ok(());
        }
        port_given(spot, &self.address)
    }
}
