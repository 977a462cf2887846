//! What happened, who must know, how are we doing over time?
//!
//! The log of events is `chronicle`; [`log`] writes into it, [`show`] and [`report`] tell from it, [`clock`]
//! is what becomes due by itself; [`stage`] asks GitHub which stage of a run failed, without the log.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod account;
mod analysis;
mod canary_share;
mod cdevents;
mod clock;
mod deliver;
mod html;
mod issue;
mod log;
mod markdown;
mod metrics;
mod observe;
mod past;
mod push;
mod report;
mod session;
mod severity;
mod show;
mod stage;
mod words;

use cli::{Failure, Format, Job};
use model::{Report, StageName};

/// The stage and its subcommands.
#[derive(clap::Args, Clone, Debug)]
pub struct Stage {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Action {
    /// Open an incident; where one is open, the text is its update
    Open(log::Open),
    /// Add a note to the log
    Note(log::Note),
    /// Update the open incident, and notify people
    Update(log::Update),
    /// End the open incident
    Resolve(log::Resolve),
    /// Show the open incident, and what becomes due
    Status,
    /// Show all incidents, the newest first
    List,
    /// Write the report of an incident: Markdown, HTML or JSON
    Report(report::Flags),
    /// Show DORA's five figures and those of the runbooks; `--format prometheus` writes them as series
    Metrics(metrics::Flags),
    /// Print a dashboard for Grafana
    Dashboard(observe::Flags),
    /// Print alerts for Prometheus
    Alerts(observe::Flags),
    /// Show which stage of a workflow run failed, and why: this run, or `--run ID`
    Stage(stage::Flags),
    /// Deliver the events that sinks have not received yet
    Deliver(deliver::Flags),
    /// Check that every sink can be reached
    Notify(deliver::Notify),
    /// Send due escalations and deliveries; for a scheduled workflow
    Watch,
}

const EXAMPLES: &str = "Examples:
  incident open --release v1.2.4 'checkout answers 500'
  incident open --release v1.2.4 --severity high --reason 'one region' 'slow'
  incident note 'the connection pool is empty'
  incident update --phase identified 'rolling back'
  incident resolve 'v1.2.3 serves everything'
  incident status
  incident list --format json
  incident report --html incident.html > incident.md
  incident report --format json > deployment_failure_report.json
  incident metrics --format prometheus
  incident report --issue > incident.md
  incident metrics --textfile deploy-guard.prom
  incident metrics --cdevents events.jsonl
  incident dashboard > dashboard.json
  incident alerts > deploy-guard.rules.yml
  incident stage --run 1234567890 --repo acme/shop
  incident deliver
  incident notify --test
  incident watch

Exit codes: 0 pass, 1 fail, 2 usage, 3 inconclusive, 4 error, 5 refused, 6 partial";

impl cli::Stage for Stage {
    const NAME: &'static str = StageName::Incident.as_str();
    const ABOUT: &'static str = "What happened, who must know, how are we doing over time?";
    const EXAMPLES: &'static str = EXAMPLES;

    fn offline_output(&self, _: Format) -> Option<Result<String, Failure>> {
        match &self.action {
            Action::Dashboard(flags) => Some(flags.dashboard()),
            Action::Alerts(flags) => Some(flags.alerts()),
            _ => None,
        }
    }

    fn writes_series(&self) -> bool {
        matches!(self.action, Action::Metrics(_))
    }

    async fn run(self, job: &Job) -> Result<Report, Failure> {
        match self.action {
            Action::Open(flags) => log::open(job, &flags).await,
            Action::Note(flags) => log::note(job, &flags).await,
            Action::Update(flags) => log::update(job, &flags).await,
            Action::Resolve(flags) => log::resolve(job, &flags).await,
            Action::Status => show::status(job).await,
            Action::List => show::list(job).await,
            Action::Report(flags) => report::report(job, &flags).await,
            Action::Metrics(flags) => metrics::metrics(job, &flags).await,
            // Both are told without a configuration.
            Action::Dashboard(_) | Action::Alerts(_) => {
                Err(Failure::usage("this is written to stdout"))
            }
            Action::Stage(flags) => stage::stage(job, &flags).await,
            Action::Deliver(flags) => deliver::deliver(job, &flags).await,
            Action::Notify(flags) => deliver::notify(job, &flags).await,
            Action::Watch => clock::watch(job).await,
        }
    }
}
