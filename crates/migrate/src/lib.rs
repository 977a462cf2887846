//! May the schema change, did it, and can we still go back?
//!
//! [`status`] tells what is true, [`run`] applies what is pending in the order refuse → lock → prove → apply →
//! prove → record, [`guard`] finds releases that no longer fit, [`undo`] goes back, [`decide`] says which way to go.
//! How the tool is called and a change is made politely is `migrator`.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod backup;
mod backup_folder;
mod decide;
mod guard;
mod interrupted;
mod lint;
mod on_copy;
mod plan;
mod ready;
mod rehearse;
mod repair;
mod restore;
mod rule;
mod run;
mod status;
mod undo;
mod verify;

use std::time::Duration;

use cli::force::Force;
use cli::{Failure, Job};
use model::{Report, StageName};

pub use rule::Rules;

/// The stage and its subcommands.
#[derive(clap::Args, Clone, Debug)]
pub struct Stage {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Action {
    /// Show what is applied, pending and wrong; changes nothing
    Status,
    /// Find what the SQL of files, or what is pending, locks or breaks
    Lint(lint::Flags),
    /// Show the pending SQL: locks, rewrites and rows by statement
    Plan,
    /// Take a backup and read it to its end
    Backup,
    /// Try what is pending on a copy: apply, undo, compare, test the release before
    Rehearse(rehearse::Flags),
    /// Apply what is pending, for `--release`
    Run(run::Flags),
    /// Finish what was interrupted
    Resume,
    /// Undo the last migration, or all after a revision
    Undo(undo::Flags),
    /// Restore a backup in the place of the database, which is kept under another name
    Restore(restore::Flags),
    /// Remove what a failed migration left: a stale lock, invalid indexes
    Repair(repair::Flags),
    /// Recommend fix forward, undo or restore, with the commands
    Decide(decide::Flags),
}

const EXAMPLES: &str = "Examples:
  migrate status
  migrate lint
  migrate lint db/migrations/*.sql --sarif lint.sarif
  migrate plan
  migrate backup
  migrate rehearse
  migrate run --release v1.2.4
  migrate run --release v1.2.4 --dry-run
  migrate run --release v1.2.4 --works-with v1.2.3
  migrate resume
  migrate decide
  migrate undo --to 4f2a
  migrate restore --backup latest --confirm v1.2.4
  migrate repair

Exit codes: 0 pass, 1 fail, 2 usage, 3 inconclusive, 4 error, 5 refused, 6 partial";

impl cli::Stage for Stage {
    const NAME: &'static str = StageName::Migrate.as_str();
    const ABOUT: &'static str = "Change the schema with your migration tool, and prove each step";
    const EXAMPLES: &'static str = EXAMPLES;
    // GitHub kills a step 10 s after it asks it to end.
    const GRACE: Duration = Duration::from_secs(9);

    fn event(&self) -> Option<&'static str> {
        match self.action {
            Action::Status | Action::Lint(_) | Action::Plan | Action::Decide(_) => None,
            _ => Some(Self::NAME),
        }
    }

    async fn run(self, job: &Job) -> Result<Report, Failure> {
        match self.action {
            Action::Status => status::status(job).await,
            Action::Lint(flags) => lint::lint(job, &flags).await,
            Action::Plan => plan::plan(job).await,
            Action::Backup => backup::backup(job).await,
            Action::Rehearse(flags) => rehearse::run(job, &flags).await,
            Action::Restore(flags) => restore::restore(job, &flags).await,
            Action::Run(flags) => run::run(job, &flags).await,
            Action::Resume => run::resume(job).await,
            Action::Undo(flags) => undo::undo(job, &flags).await,
            Action::Repair(flags) => repair::repair(job, &flags).await,
            Action::Decide(flags) => decide::decide(job, &flags).await,
        }
    }
}

/// Applies what is pending for the job's release.
pub async fn apply(job: &Job, force: Force<Rules>) -> Result<Report, Failure> {
    let flags = run::Flags {
        force,
        ..run::Flags::default()
    };
    run::run(job, &flags).await
}
