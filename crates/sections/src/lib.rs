//! Parts of the file that know nothing of its other parts, and what the rules of every part need: the
//! place of a value.

mod canary;
mod github;
mod hook;
mod host_list;
pub mod incident;
pub mod migrate;
mod prometheus;
pub mod runner_check;
mod spot;

pub use canary::{
    AccessLog, Canary, CanaryCommand, CanaryKind, CanaryMetric, CanaryPreset, CanarySides,
    CanaryThresholds, Judge, KayentaDirection, KayentaMetric, KayentaScore, LogFormat, LogSide,
};
pub use github::{Github, GithubApp};
pub use hook::Hook;
pub use host_list::HostList;
pub use prometheus::{ClientCertificate, PrometheusAccess, SloMetrics, TimeUnit, is_metric};
pub use spot::{Defined, KeyPosition, is_word};
