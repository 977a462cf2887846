//! `preflight:` — may we deploy now?

use std::num::NonZero;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::value::Span;

mod artifacts;
mod backup;
mod check_config;
mod checks;
mod command;
mod deployments;
mod disk;
mod freeze;
mod hosts;
mod images;
mod rollback_ready;
mod runners;
mod secrets;
mod token;
mod variables;

pub use artifacts::ArtifactCheck;
pub use backup::{BackupCheck, BackupProof};
pub use check_config::CheckConfig;
pub use checks::{AlertSeverity, CodeScanning, CommitChecks, Waiver};
pub use command::CommandCheck;
pub use deployments::{DeploymentsCheck, StagingCheck};
pub use disk::{DiskCheck, RoomCheck};
pub use freeze::{FreezeWindow, Weekday};
pub use hosts::HostCheck;
pub(crate) use hosts::named_hosts;
pub use images::{ImageCheck, RegistryLogin};
pub use rollback_ready::RollbackReady;
pub use runners::RunnersCheck;
pub use secrets::{SecretCheck, SecretKind};
pub use sections::migrate::MigrationsCheck;
pub use token::{SecretStore, TokenPermission, TokenWish};
pub use variables::VariableCheck;

/// The kinds of check, one row each: the key under `preflight:` and the type of its value. They
/// are planned in this order. `$with!` gets the rows.
#[macro_export]
macro_rules! check_kinds {
    ($with:ident) => {
        $with! {
            /// Secrets that must have arrived as environment variables.
            #[serde(default)]
            secrets: Vec<SecretCheck>,
            /// Plain settings that must be there.
            #[serde(default)]
            variables: Vec<VariableCheck>,
            /// Times in which nothing is deployed.
            #[serde(default)]
            freeze: Vec<FreezeWindow>,
            /// Container images that must be in their registry.
            #[serde(default)]
            images: Vec<ImageCheck>,
            /// Backups that must be fresh, large enough and intact.
            #[serde(default)]
            backup: Vec<BackupCheck>,
            /// Whether there is a way back.
            rollback_ready: Option<RollbackReady>,
            /// Artifacts of workflow runs that must be there.
            #[serde(default)]
            artifacts: Vec<ArtifactCheck>,
            /// What CI must report for the commit.
            #[serde(default)]
            checks: Vec<CommitChecks>,
            /// Environments to which the same commit must have been deployed before.
            #[serde(default)]
            staging: Vec<StagingCheck>,
            /// Environments to which nothing else may be being deployed.
            #[serde(default)]
            deployments: Vec<DeploymentsCheck>,
            /// Runners that must take the job.
            #[serde(default)]
            runners: Vec<RunnersCheck>,
            /// Hosts that must take a login, and have what a deployment needs.
            #[serde(default)]
            hosts: Vec<HostCheck>,
            /// Commands whose exit status and output decide.
            #[serde(default)]
            command: Vec<CommandCheck>,
            /// File systems of the machine that runs us that must have room.
            #[serde(default)]
            disk: Vec<DiskCheck>,
            /// The pending migrations, and whether the database is ready for them.
            migrations: Option<MigrationsCheck>,
        }
    };
}

macro_rules! section {
    ($($(#[$attribute:meta])* $kind:ident: $entries:ty,)*) => {
        /// May we deploy now?
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct Preflight {
            /// The least readiness score, 0 to 10, that passes. Default 8.
            #[serde(default = "pass_score")]
            #[schemars(range(min = 0.0, max = 10.0))]
            pub pass_score: f64,
            /// The commit that is deployed, for all checks that query GitHub for it: a commit, a tag or a
            /// branch, such as `v${VERSION}` where the release is called otherwise than its tag. Default:
            /// the release, where it is a tag or a commit of the repository; else, and the outcome shows
            /// it, the commit of the workflow run.
            pub commit: Option<String>,
            /// How long one check may take, where it has no time of its own. Default 10s.
            #[serde(default = "timeout")]
            pub timeout: Span,
            /// How long the whole stage may take; what was not answered by then is an error, but for
            /// `checks` with a `wait` of their own. Default 2m.
            #[serde(default = "deadline")]
            pub deadline: Span,
            /// How many hosts are checked at a time. Default 32.
            #[serde(default = "parallel_hosts")]
            pub parallel_hosts: NonZero<u16>,
            /// Outcomes that are let through although they are not a success. What a rollback's state
            /// refuses takes `--force` instead.
            #[serde(default)]
            pub waivers: Vec<Waiver>,
            $(
                $(#[$attribute])*
                pub $kind: $entries,
            )*
        }

        impl Default for Preflight {
            fn default() -> Self {
                Preflight {
                    pass_score: pass_score(),
                    commit: None,
                    timeout: timeout(),
                    deadline: deadline(),
                    parallel_hosts: parallel_hosts(),
                    waivers: Vec::new(),
                    $($kind: Default::default(),)*
                }
            }
        }
    };
}
check_kinds!(section);

fn pass_score() -> f64 {
    8.0
}

fn timeout() -> Span {
    Span::from_secs(10)
}

fn parallel_hosts() -> NonZero<u16> {
    NonZero::new(32).unwrap_or(NonZero::<u16>::MIN)
}

fn deadline() -> Span {
    Span::from_secs(120)
}
