//! `healthgate:` — is what we deployed healthy, and is it the release we deployed?

#[macro_use]
mod probe_config;

mod command;
mod compose;
mod dns;
mod docker;
mod ecs;
mod grpc;
mod http;
mod policy;
mod postgres;
mod prometheus;
mod redis;
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
pub use compose::ComposeProbe;
pub use dns::DnsProbe;
pub use docker::DockerProbe;
pub use ecs::EcsProbe;
pub use grpc::GrpcProbe;
pub use http::{HttpProbe, ReleaseSource};
pub use model::release::Match;
pub use policy::{Impossible, Policy, PolicyOverlay};
pub use postgres::{PostgresProbe, PostgresTls};
pub use probe_config::{Group, MemberError, ProbeConfig};
pub use prometheus::{PrometheusProbe, Reduce, Undecided};
pub use redis::RedisProbe;
pub use sections::{
    AccessLog, Canary, CanaryCommand, CanaryKind, CanaryMetric, CanaryPreset, CanarySides,
    CanaryThresholds, ClientCertificate, HostList, Judge, KayentaDirection, KayentaMetric,
    KayentaScore, LogFormat, LogSide, PrometheusAccess, SloMetrics, TimeUnit,
};
pub use slo::Slo;
pub use smoke::{SmokeProbe, SmokeRequest};
pub use systemd::SystemdProbe;
pub use tcp::TcpProbe;
pub use tls::TlsProbe;
pub use transport::{Addresses, HttpVersion};

/// The kinds of probe, a row each: the key under `healthgate:` and the type of its entries. The
/// gate asks them in this order. `$with!` gets the rows.
#[macro_export]
macro_rules! probe_kinds {
    ($with:ident) => {
        $with! {
            /// HTTP endpoints.
            http: HttpProbe,
            /// TCP ports.
            tcp: TcpProbe,
            /// TLS servers and their certificates.
            tls: TlsProbe,
            /// Names that resolve.
            dns: DnsProbe,
            /// PostgreSQL servers.
            postgres: PostgresProbe,
            /// Redis servers.
            redis: RedisProbe,
            /// Commands, here or on hosts.
            command: CommandProbe,
            /// Units of systemd, here or on hosts.
            systemd: SystemdProbe,
            /// Containers, here or on hosts.
            docker: DockerProbe,
            /// Services of Compose projects, here or on hosts.
            compose: ComposeProbe,
            /// gRPC services.
            grpc: GrpcProbe,
            /// Smoke tests: HTTP requests that build on one another.
            smoke: SmokeProbe,
            /// Prometheus queries.
            prometheus: PrometheusProbe,
            /// Services of Amazon ECS.
            ecs: EcsProbe,
        }
    };
}

macro_rules! section {
    ($($(#[$doc:meta])* $kind:ident: $config:ident,)*) => {
        /// Is what we deployed healthy, and is it the release we deployed?
        #[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct Healthgate {
            /// When a probe passes, fails, or is given up.
            #[serde(default)]
            pub policy: Policy,
            /// Whether a probe must prove that `--release` is what answered. Default: required.
            #[serde(default)]
            pub release_identity: Identity,
            $(
                $(#[$doc])*
                #[serde(default)]
                pub $kind: Vec<$config>,
            )*
            /// Service level objectives, read from Prometheus.
            pub slo: Option<Slo>,
            /// The release under test against the one before it, while both serve.
            pub canary: Option<Canary>,
        }

        impl Healthgate {
            /// Every `match` of its probes.
            pub(crate) fn release_rules(&self) -> Vec<Match> {
                let mut rules = Vec::new();
                $(rules.extend(self.$kind.iter().filter_map(ProbeConfig::release_rule));)*
                rules
            }
        }
    };
}
probe_kinds!(section);

/// Whether a gate that was given a release may pass without proof of which one answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// No probe that names the release is inconclusive.
    #[default]
    Required,
    /// A wrong release fails, silence is accepted.
    Optional,
}
