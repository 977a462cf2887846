//! Which side gets which share: blue-green and canary that prove what they did.
//!
//! [`side_choice`] finds the sides and refuses, [`ramp`] goes from share to share, [`switch`] makes one
//! change, [`judge`] asks whether a release may keep its share, [`foreign`] sees the changes of others.
//! A person or another job lets a rollout go on ([`promote`], [`resume`]) or takes it back ([`abort`]).
//! How a share is set, proved and taken back is `operation::shares`.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod abort;
mod finish;
mod foreign;
mod gate;
mod history;
mod idle;
mod in_effect;
mod judge;
mod old_side;
mod plan;
mod promote;
mod promotion;
mod provable;
mod ramp;
mod refuse;
mod resume;
mod rollout_report;
mod session;
mod side_choice;
mod stage_duration;
mod status;
mod switch;

use std::time::Duration;

use cli::force::{Force, StateRules};
use cli::{Failure, Job};
use model::{Report, StageName};

/// The stage and its subcommands.
#[derive(clap::Args, Clone, Debug)]
pub struct Stage {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Action {
    /// Show the share of each side: as configured, as loaded, as observed
    Status,
    /// Give all requests to the idle side, once it is proved healthy
    Switch(switch::SwitchFlags),
    /// Give `--release` a share that stays
    Set(switch::SetFlags),
    /// Raise the share of `--release` step by step, and judge each step
    Ramp(ramp::Flags),
    /// Continue a ramp that waits for a promotion
    Promote(promote::Flags),
    /// Give all requests back to the stable release
    Abort(abort::Flags),
    /// Finish what was interrupted
    Resume,
    /// Show what `ramp` would do; changes nothing
    Plan(ramp::Flags),
    /// Show the changes of shares, newest first
    History,
    /// Continue or stop a paused Amazon ECS deployment by the gate's verdict
    Gate(gate::Flags),
}

const EXAMPLES: &str = "Examples:
  traffic status
  traffic switch
  traffic switch --to green
  traffic ramp --release v1.2.4
  traffic ramp --release v1.2.4 --stages 10%,50%,100%
  traffic plan --release v1.2.4
  traffic set 25% --release v1.2.4
  traffic promote
  traffic abort --reason 'checkout fails'
  traffic resume
  traffic gate --cluster shop --service web --wait 10m

Exit codes: 0 pass, 1 fail, 2 usage, 3 inconclusive, 4 error, 5 refused, 6 partial";

impl cli::Stage for Stage {
    const NAME: &'static str = StageName::Traffic.as_str();
    const ABOUT: &'static str = "Which side gets which share: blue-green switch, canary ramp";
    const EXAMPLES: &'static str = EXAMPLES;
    // GitHub's second signal comes after 7.5 s: the share is taken back, and the report is left, before.
    const GRACE: Duration = Duration::from_secs(7);

    fn event(&self) -> Option<&'static str> {
        match self.action {
            Action::Status | Action::Plan(_) | Action::History => None,
            _ => Some(Self::NAME),
        }
    }

    async fn run(self, job: &Job) -> Result<Report, Failure> {
        match self.action {
            Action::Status => status::status(job).await,
            Action::Switch(flags) => switch::switch(job, &flags).await,
            Action::Set(flags) => switch::set(job, &flags).await,
            Action::Plan(flags) => plan::plan(job, &flags).await,
            Action::Ramp(flags) if job.dry_run => plan::plan(job, &flags).await,
            Action::Ramp(flags) => ramp::ramp(job, &flags).await,
            Action::Promote(flags) => Box::pin(promote::promote(job, &flags)).await,
            Action::Abort(flags) => abort::abort(job, &flags).await,
            Action::Resume => resume::resume(job).await,
            Action::History => history::history(job).await,
            Action::Gate(flags) => gate::gate(job, &flags).await,
        }
    }
}

pub use idle::idle_side;

/// Gives all requests back to the stable release of the rollout in progress.
pub async fn abort(job: &Job, reason: &str) -> Result<Report, Failure> {
    abort::abort(job, &abort::Flags::because(reason)).await
}

/// Ramps the job's release up by the stages of the file.
pub async fn ramp(job: &Job, force: &Force<StateRules>) -> Result<Report, Failure> {
    let flags = ramp::Flags {
        forced: force.forced(job),
        ..ramp::Flags::default()
    };
    ramp::ramp(job, &flags).await
}
