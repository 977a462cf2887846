//! Put the last-known-good release back, provably, once, even if we are killed half-way.
//!
//! [`refuse`] says why not, [`act`] drives it through the journal,
//! [`record`], [`unlock`] and [`view`] write and show the state, [`upkeep`] repairs it, [`lease`]
//! holds the lease for a deployment of which all this is a part.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

pub mod act;
mod decide;
mod evidence;
pub mod force;
mod hooks;
pub mod lease;
pub mod record;
mod refuse;
mod session;
mod unlock;
mod upkeep;
mod view;

use std::time::Duration;

use cli::{Failure, Job};
use config::value::Span;
use model::{Report, StageName};

/// The stage and its subcommands.
#[derive(clap::Args, Clone, Debug)]
pub struct Stage {
    /// How long to wait for a lock that another holds. Default: `rollback.lock-wait`, else not at
    /// all
    #[arg(long, global = true, value_name = "DURATION")]
    lock_wait: Option<Span>,
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
    /// Report whether users get the new release: SAFE (0) or CRITICAL (1)
    Decide,
    /// Show what `run` would do; changes nothing
    Plan(act::Flags),
    /// Go back to the last-known-good release
    Run(act::Flags),
    /// Finish a rollback that was interrupted
    Resume,
    /// Put back what an unfinished rollback changed, the last step first
    Abort,
    /// Take away a lock whose holder is gone
    Unlock(unlock::UnlockFlags),
    /// Allow deployments again after a failed rollback
    Unfreeze,
    /// Rehearse a rollback: everything except the change, timed and recorded as a drill
    Rehearse(act::rehearse::Flags),
    /// Record that a rollback was rehearsed now
    RecordDrill,
    /// Validate, repair or migrate the state file
    #[command(subcommand)]
    State(upkeep::Action),
}

const EXAMPLES: &str = "Examples:
  rollback run
  rollback run --dry-run
  rollback run --to v1.2.3
  if ./deploy.sh v2 && healthgate --release v2
  then rollback record --release v2; else rollback run; fi
  rollback record --release v1.2.4
  rollback decide
  rollback rehearse
  rollback resume
  rollback abort

Exit codes: 0 pass, 1 fail, 2 usage, 3 inconclusive, 4 error, 5 refused, 6 partial";

impl cli::Stage for Stage {
    const NAME: &'static str = StageName::Rollback.as_str();
    const ABOUT: &'static str = "Put the last-known-good release back, once, even if killed";
    const EXAMPLES: &'static str = EXAMPLES;
    // The runner kills 10 s after a cancellation; a step that began is finished before that.
    const GRACE: Duration = Duration::from_secs(7);

    fn configure(&self, config: &mut config::Config) -> Result<(), Failure> {
        if let (Some(wait), Some(section)) = (self.lock_wait, config.rollback_mut()?) {
            section.lock_wait = wait;
        }
        Ok(())
    }

    fn event(&self) -> Option<&'static str> {
        match self.action {
            Action::Status | Action::History | Action::Plan(_) | Action::State(_) => None,
            // Recording a release is no rollback.
            Action::Record(_) => Some("record"),
            _ => Some(Self::NAME),
        }
    }

    fn goes_back(&self) -> bool {
        matches!(self.action, Action::Run(_) | Action::Resume)
    }

    async fn run(self, job: &Job) -> Result<Report, Failure> {
        match self.action {
            Action::Record(flags) => record::record(job, &flags).await,
            Action::Status => view::status(job).await,
            Action::History => view::history(job).await,
            Action::Decide => decide::decide(job).await,
            Action::Plan(flags) => act::plan(job, &flags).await,
            Action::Run(flags) if job.dry_run => act::plan(job, &flags).await,
            Action::Run(flags) => act::run(job, &flags).await,
            Action::Resume => act::resume(job).await,
            Action::Abort => act::abort(job).await,
            Action::Unlock(flags) => unlock::unlock(job, &flags).await,
            Action::Unfreeze => unlock::unfreeze(job).await,
            Action::Rehearse(flags) => act::rehearse::rehearse(job, &flags).await,
            Action::RecordDrill => unlock::record_drill(job).await,
            Action::State(action) => upkeep::run(job, &action).await,
        }
    }
}
