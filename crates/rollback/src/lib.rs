//! Put the last-known-good release back, provably, once, even if we are killed half-way.
//!
//! [`refuse`] says why not, [`target`] makes the switch, [`act`] drives it through the journal,
//! [`record`] and [`view`] write and show the state.

pub mod act;
mod picture;
pub mod record;
mod refuse;
mod session;
mod target;
mod view;

use std::time::Duration;

use cli::{Failure, Job};
use config::Section;
use model::Report;

/// The stage and its subcommands.
#[derive(clap::Args, Clone, Debug)]
pub struct Stage {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Action {
    /// Record `--release` as good: it becomes last-known-good
    Record(record::Flags),
    /// Show what runs, what can be gone back to, and who holds the lock
    Status,
    /// Show the releases that were recorded, newest first
    History,
    /// Show what `run` would do; changes nothing
    Plan(act::Flags),
    /// Go back to the last-known-good release
    Run(act::Flags),
    /// Finish a rollback that was interrupted
    Resume,
    /// Take away a lock whose holder is gone
    Unlock(record::UnlockFlags),
    /// Allow deployments again after a failed rollback
    Unfreeze,
    /// Record that a rollback was rehearsed now
    Drilled,
}

const EXAMPLES: &str = "Examples:
  ./deploy.sh v2 && healthgate --release v2 && rollback record --release v2 || rollback run
  rollback run --dry-run
  rollback run --to v1.2.3
  rollback resume

Exit codes: 0 pass, 1 fail, 2 usage, 3 inconclusive, 4 error, 5 refused, 6 partial";

impl cli::Stage for Stage {
    const NAME: &'static str = "rollback";
    const ABOUT: &'static str =
        "Put the last-known-good release back, provably, once, even if killed half-way";
    const EXAMPLES: &'static str = EXAMPLES;
    // The gate verifies what the rollback did.
    const SECTIONS: &'static [Section] = &[Section::Hosts, Section::Rollback, Section::Healthgate];
    // The runner kills 10 s after a cancellation; a step that began is finished before that.
    const GRACE: Duration = Duration::from_secs(7);

    async fn run(self, job: &Job) -> Result<Report, Failure> {
        match self.action {
            Action::Record(flags) => record::record(job, &flags),
            Action::Status => view::status(job),
            Action::History => view::history(job),
            Action::Plan(flags) => act::plan(job, &flags).await,
            Action::Run(flags) if job.dry_run => act::plan(job, &flags).await,
            Action::Run(flags) => act::run(job, &flags).await,
            Action::Resume => act::resume(job).await,
            Action::Unlock(flags) => record::unlock(job, &flags),
            Action::Unfreeze => record::unfreeze(job),
            Action::Drilled => record::drilled(job),
        }
    }
}
