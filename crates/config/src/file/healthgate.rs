//! `healthgate:` — is what we deployed healthy, and is it the release we deployed?

mod command;
mod databases;
mod dns;
mod docker;
mod ecs;
mod group;
mod grpc;
mod host_list;
mod http;
mod policy;
mod prometheus;
mod slo;
mod smoke;
mod systemd;
mod tcp;
mod tls;
mod transport;

use schemars::JsonSchema;
use serde::Deserialize;

pub use crate::value::{Member, has_place};
pub use command::CommandProbe;
pub use databases::{PostgresProbe, PostgresTls, RedisProbe};
pub use dns::DnsProbe;
pub use docker::{ComposeProbe, DockerProbe};
pub use ecs::EcsProbe;
pub use group::{Group, Template};
pub use grpc::GrpcProbe;
pub use host_list::HostList;
pub use http::{HttpProbe, ReleaseSource};
pub use model::release::Match;
pub use policy::{Impossible, Policy, PolicyOverlay};
pub use prometheus::{PrometheusAccess, PrometheusProbe, Reduce, Undecided};
pub use slo::{Slo, SloMetrics, TimeUnit};
pub use smoke::{SmokeProbe, SmokeRequest};
pub use systemd::SystemdProbe;
pub use tcp::TcpProbe;
pub use tls::TlsProbe;
pub use transport::{Addresses, ClientCertificate, HttpVersion};

/// Is what we deployed healthy, and is it the release we deployed?
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Healthgate {
    /// When a probe passes, fails, or is given up.
    #[serde(default)]
    pub policy: Policy,
    /// Whether somebody must prove that `--release` is what answered. Default: required.
    #[serde(default)]
    pub release_identity: Identity,
    /// HTTP endpoints.
    #[serde(default)]
    pub http: Vec<HttpProbe>,
    /// TCP ports.
    #[serde(default)]
    pub tcp: Vec<TcpProbe>,
    /// TLS servers and their certificates.
    #[serde(default)]
    pub tls: Vec<TlsProbe>,
    /// Names that resolve.
    #[serde(default)]
    pub dns: Vec<DnsProbe>,
    /// PostgreSQL servers.
    #[serde(default)]
    pub postgres: Vec<PostgresProbe>,
    /// Redis servers.
    #[serde(default)]
    pub redis: Vec<RedisProbe>,
    /// Commands, here or on hosts.
    #[serde(default)]
    pub command: Vec<CommandProbe>,
    /// Units of systemd, here or on hosts.
    #[serde(default)]
    pub systemd: Vec<SystemdProbe>,
    /// Containers, here or on hosts.
    #[serde(default)]
    pub docker: Vec<DockerProbe>,
    /// Services of Compose projects, here or on hosts.
    #[serde(default)]
    pub compose: Vec<ComposeProbe>,
    /// gRPC services.
    #[serde(default)]
    pub grpc: Vec<GrpcProbe>,
    /// Smoke tests: HTTP requests that build on one another.
    #[serde(default)]
    pub smoke: Vec<SmokeProbe>,
    /// Prometheus queries.
    #[serde(default)]
    pub prometheus: Vec<PrometheusProbe>,
    /// Service level objectives, asked of Prometheus.
    pub slo: Option<Slo>,
    /// Services of Amazon ECS.
    #[serde(default)]
    pub ecs: Vec<EcsProbe>,
}

/// Whether a gate that was given a release may pass without anybody saying which one answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// No probe that names the release is inconclusive.
    #[default]
    Required,
    /// A wrong release fails, silence is accepted.
    Optional,
}
