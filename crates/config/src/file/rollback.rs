//! `rollback:` — how to put the last-known-good release back.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::file::{Hook, Match};
use crate::value::{Portion, Span, StateAddress};

mod command;
mod compose;
mod ecs;
mod entrypoint;
mod haproxy;
mod nginx;
mod sockets;
mod systemd;
mod target_config;
mod workflow;

pub use command::CommandTarget;
pub use compose::ComposeTarget;
pub use ecs::EcsTarget;
pub use entrypoint::Entrypoint;
pub use haproxy::HaproxyTarget;
pub use nginx::NginxTarget;
pub use sockets::Sockets;
pub use systemd::SystemdTarget;
pub use target_config::TargetConfig;
pub use workflow::WorkflowTarget;

use target_config::{folder_there, pause};

pub(in crate::file) use target_config::{absolute, machines};

/// The kinds of target, a row each: the key under `rollback:` and its type. `$with!` gets the rows.
#[macro_export]
macro_rules! target_kinds {
    ($with:ident) => {
        $with! {
            /// A command of yours makes the switch.
            command: CommandTarget,
            /// nginx sends the traffic to one of two colours.
            nginx: NginxTarget,
            /// HAProxy sends the traffic to one of two servers.
            haproxy: HaproxyTarget,
            /// Services of a Compose project run the release's images.
            compose: ComposeTarget,
            /// A unit of systemd runs what a link to a release's folder points to.
            systemd: SystemdTarget,
            /// A service of Amazon ECS runs the task definition that was recorded for the release.
            ecs: EcsTarget,
            /// A workflow of GitHub Actions makes the switch.
            workflow: WorkflowTarget,
        }
    };
}

macro_rules! section {
    ($($(#[$doc:meta])* $kind:ident: $config:ident,)*) => {
        /// How to put the last-known-good release back. Exactly one target: `command`, `nginx`, `haproxy`,
        /// `compose`, `systemd`, `ecs` or `workflow`.
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct Rollback {
            /// Where the state is kept: a path; `ssh://host/path`, with a name under `hosts:` (`ssh://host/~/path` is
            /// below the user's home there); or
            /// `s3://bucket/key`, with the AWS credentials of the environment or the profile. Its backup,
            /// lock and journals are kept beside it.
            pub state: StateAddress,
            /// How long after a deployment the release before it is kept and can be gone back to.
            /// Unset: for ever.
            pub window: Option<Span>,
            /// How long an operation may hold the lock before another may take it over. Default 30m.
            #[serde(default = "lock_ttl")]
            pub lock_ttl: Span,
            /// How long to wait for a lock that another holds, such as `10m`. Default: not at all.
            #[serde(default)]
            pub lock_wait: Span,
            /// How many hosts are switched side by side, a count or a share: `1`, `25%`. Every host is
            /// checked and prepared before the first batch. Default: all at once.
            #[serde(default = "whole")]
            pub batch: Portion,
            /// How many hosts may fail, a count or a share. Where more cannot be prepared, the rollback is
            /// refused before anything changes; where more fail on the way, see `on-breach`. Default 0.
            #[serde(default = "none")]
            pub max_failed: Portion,
            /// What to do when more hosts than `max-failed` fail on the way. Default `complete`.
            #[serde(default)]
            pub on_breach: OnBreach,
            /// How long checking, preparing and switching all hosts may take, without the verification; half
            /// of it is for checking and preparing. Putting back has as much again. Default 10m.
            #[serde(default = "deadline")]
            pub deadline: Span,
            /// How long a rollback may take in all, which `rollback rehearse` estimates. Default 5m.
            #[serde(default = "slo")]
            pub slo: Span,
            /// What to do where the database's schema does not fit the destination. Default `refuse`.
            #[serde(default)]
            pub migrate: sections::migrate::OnMisfit,
            /// Commands that save what must not be lost, side by side, once it is sure that the rollback can
            /// be made and before anything changes. One that fails is shown and stops nothing.
            #[serde(default)]
            pub backup: Vec<Hook>,
            /// Commands that notify others, side by side, after a rollback ended or was refused.
            #[serde(default)]
            pub after: Vec<Hook>,
            /// Commands whose output is kept as evidence before anything changes, besides logs and states
            /// that the target itself knows; for each host, here, with `HOST` set. All of it has 5s.
            #[serde(default)]
            pub capture: Vec<Hook>,
            /// Where a folder of evidence is made for each rollback; the newest 20 are kept. Default:
            /// `.deploy-guard/evidence`.
            pub evidence: Option<PathBuf>,
            /// From which `rollback decide` reads the running release; at least one with `traffic`.
            /// Default: the proxy and the colours of `nginx` and `haproxy`, else the first
            /// `healthgate` probe that has a `release`.
            #[serde(default)]
            pub entrypoints: Vec<Entrypoint>,
            $(
                $(#[$doc])*
                pub $kind: Option<$config>,
            )*
        }

        impl Rollback {
            /// Every target that the section has, by its key: a section that passes the rules has
            /// one.
            pub(crate) fn targets(&self) -> Vec<(&'static str, &dyn TargetConfig)> {
                let mut targets = Vec::new();
                $(if let Some(target) = &self.$kind {
                    targets.push((stringify!($kind), target as &dyn TargetConfig));
                })*
                targets
            }

            pub(crate) const TARGETS: &[&str] = &[$(stringify!($kind)),*];
        }
    };
}
target_kinds!(section);

impl Rollback {
    /// Every `match` of the section.
    pub(crate) fn release_rules(&self) -> Vec<Match> {
        let targets = self.targets().into_iter();
        let targets = targets.filter_map(|(_, target)| target.release_rule());
        let entrypoints = self.entrypoints.iter().map(|one| one.release.r#match);
        targets.chain(entrypoints).collect()
    }
}

/// What to do when too many hosts fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnBreach {
    /// Go on with the others: as many hosts as possible leave the bad release. `rollback resume`
    /// tries those that failed again.
    #[default]
    Complete,
    /// Begin no other host, and put back what ran before, in reverse order.
    Restore,
}

fn whole() -> Portion {
    Portion::ALL
}

fn none() -> Portion {
    Portion::Count(0)
}

fn slo() -> Span {
    Span::from_secs(5 * 60)
}

fn deadline() -> Span {
    Span::from_secs(10 * 60)
}

fn lock_ttl() -> Span {
    Span::from_secs(30 * 60)
}
