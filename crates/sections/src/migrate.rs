//! `migrate:` — how the database's schema is changed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use values::{ShellText, Span, StateAddress};
use yaml::Fault;

use crate::KeyPosition;

mod backup;
mod check;
mod command;
mod lint;
mod node;
mod on_misfit;
mod python;
mod rehearse;
mod sql_files;
mod tool_config;

pub use backup::MigrateBackup;
pub use check::MigrationsCheck;
pub use command::CommandTool;
pub use lint::{LintIgnore, MigrateLint};
pub use node::{Knex, NodePgMigrate, Prisma};
pub use on_misfit::OnMisfit;
pub use python::{Alembic, Django};
pub use rehearse::Rehearse;
pub use sql_files::{Dbmate, Flyway, GolangMigrate, Rails, Sqitch};
pub use tool_config::ToolConfig;

macro_rules! section {
    ($($(#[$doc:meta])* $kind:ident: $config:ident,)*) => {
        /// How the database's schema is changed. Exactly one tool: `alembic`, `dbmate` and the like.
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct Migrate {
            /// Where the state is kept, as under `rollback.state`. Default: that one, else
            /// `.deploy-guard/state.json`.
            pub state: Option<StateAddress>,
            /// The environment variable that holds the database's URL, such as
            /// `postgresql://app:…@db:5432/shop` or `mysql://…`. The tool gets the same variable.
            #[serde(default = "url_env")]
            pub url_env: String,
            /// A name under `hosts:`; we reach the database from there, by SSH. `127.0.0.1` is then that host
            /// itself.
            pub via: Option<String>,
            /// A name under `hosts:`: the tool runs there. Default: here.
            pub host: Option<String>,
            /// A command that runs the words after it in a container, such as `docker compose exec -T api`: the
            /// tool runs there, and its files are read there.
            pub exec: Option<ShellText>,
            /// The folder in which the tool is called. Default: the current one.
            pub directory: Option<PathBuf>,
            /// Further variables of the tool's environment.
            #[serde(default)]
            pub env: BTreeMap<String, String>,
            /// How long a statement of a migration waits for a lock before it gives up, and with it the whole
            /// attempt: requests that come after it wait as long. Default 1s.
            #[serde(default = "lock_timeout")]
            pub lock_timeout: Span,
            /// How long one statement may run. Default: as long as `deadline` leaves.
            pub statement_timeout: Option<Span>,
            /// How long others may wait for what the migration holds, before its statement is cancelled. Default:
            /// `lock-timeout`.
            pub max_blocking: Option<Span>,
            /// The pause before the next attempt, about. Default 3s.
            #[serde(default = "retry_pause")]
            pub retry_pause: Span,
            /// How long all attempts may take. Default 10m.
            #[serde(default = "deadline")]
            pub deadline: Span,
            /// Names of probes under `healthgate:` that must pass after a migration, such as `http/ready`.
            #[serde(default)]
            pub verify: Vec<String>,
            /// Which findings in the pending SQL count.
            #[serde(default)]
            pub lint: MigrateLint,
            /// The backup that must exist before anything is changed.
            #[serde(default)]
            pub backup: MigrateBackup,
            /// How a migration is tried on a copy.
            #[serde(default)]
            pub rehearse: Rehearse,
            /// Stops what uses the database before a restore; run by `sh -c`.
            pub stop: Option<ShellText>,
            /// Starts it again.
            pub start: Option<ShellText>,
            /// How long an operation may hold the lock before another may take it over. Default 30m.
            #[serde(default = "lock_ttl")]
            pub lock_ttl: Span,
            /// How long to wait for a lock that another holds. Default: not at all.
            #[serde(default)]
            pub lock_wait: Span,
            $(
                $(#[$doc])*
                pub $kind: Option<$config>,
            )*
        }

        impl Migrate {
            /// Every tool that the section has, by its key: one that passes the rules has one.
            fn tools(&self) -> Vec<(String, &dyn ToolConfig)> {
                let mut tools: Vec<(String, &dyn ToolConfig)> = Vec::new();
                $(if let Some(tool) = &self.$kind {
                    tools.push((key(stringify!($kind)), tool));
                })*
                tools
            }

            /// The keys of all tools.
            pub fn tool_keys() -> Vec<String> {
                vec![$(key(stringify!($kind))),*]
            }
        }
    };
}
migration_tools::tool_kinds!(section);

impl Migrate {
    /// The rules of the section; `state` is that of the section `rollback:`, where it has one.
    pub fn check(&self, state: Option<&StateAddress>, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let hint = "a rollback must know the schema: leave `migrate.state` out";
        spot.own_state(self.state.as_ref(), state, hint)?;
        match &self.tools()[..] {
            [] => {
                let names = Self::tool_keys().into_iter();
                let names: Vec<String> = names.map(|name| format!("`{name}:`")).collect();
                let fault = spot.fault("no migration tool is given");
                return Err(fault.hint(format!("add one of {}", names.join(", "))));
            }
            [(key, tool)] => tool.check(spot.key(key))?,
            [(first, _), (second, _), ..] => {
                let fault = spot.key(second);
                let fault = fault.fault(format!("`{first}` and `{second}` exclude each other"));
                return Err(fault.hint("a database has one migration tool"));
            }
        }
        if self.url_env.trim().is_empty() {
            return spot.refuse("url-env", "it is empty");
        }
        for (key, host) in [("via", &self.via), ("host", &self.host)] {
            if let Some(host) = host {
                spot.key(key).known_host(host)?;
            }
        }
        for (key, command) in [
            ("exec", &self.exec),
            ("stop", &self.stop),
            ("start", &self.start),
        ] {
            if let Some(command) = command {
                spot.key(key).some_text(command)?;
            }
        }
        for (key, time) in [
            ("lock-timeout", Some(self.lock_timeout)),
            ("statement-timeout", self.statement_timeout),
            ("max-blocking", self.max_blocking),
            ("deadline", Some(self.deadline)),
        ] {
            spot.key(key).some_time(time)?;
        }
        if self.lock_timeout > self.deadline {
            let fault = spot
                .key("lock-timeout")
                .fault("it is longer than `deadline`");
            return Err(fault.hint("an attempt must end before the deadline"));
        }
        self.lint.check(spot.key("lint"))?;
        self.backup.check(spot.key("backup"))?;
        self.rehearse.check(spot.key("rehearse"))
    }

    /// The tool's key.
    pub fn tool(&self) -> String {
        self.tools().swap_remove(0).0
    }

    /// How long others may wait for what a migration holds.
    pub fn max_blocking(&self) -> Span {
        self.max_blocking.unwrap_or(self.lock_timeout)
    }
}

/// A field's key in the file.
fn key(field: &str) -> String {
    field.replace('_', "-")
}

fn url_env() -> String {
    "DATABASE_URL".to_owned()
}

fn lock_timeout() -> Span {
    Span::from_secs(1)
}

fn retry_pause() -> Span {
    Span::from_secs(3)
}

fn deadline() -> Span {
    Span::from_secs(10 * 60)
}

fn lock_ttl() -> Span {
    Span::from_secs(30 * 60)
}
