//! Is what we deployed healthy, and is it *the release we deployed*?
//!
//! The stage around [`gate::Gate`]: flags, configuration, report.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod explain;
mod flags;
mod judge;
mod members;
mod merge;
mod only;
mod picture;
mod plan;
mod policy_flags;
mod slowest;

use cli::{Failure, Job, Stage as _};
use config::file::{Canary, CanaryMetric};
use gate::Gate;
use model::release::Match;
use model::{Id, Outcome, Report, Secret, StageName};
use probe::kinds::Planned;

pub use flags::Flags;

/// The stage and its flags.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Stage {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Action {
    /// Explain a report: what was measured when, and what decided the verdict
    Explain(explain::Flags),
    /// Merge the reports of all shards into one verdict
    Merge(merge::Flags),
    /// Judge recorded data by the section `canary`, as the gate would have, without querying a server
    Judge(judge::Flags),
    /// Estimate how long the canary judge will take
    Plan(plan::Flags),
}

const EXAMPLES: &str = "Examples:
  healthgate --release v1.2.4
  healthgate --http http://127.0.0.1:8000/health --status 200 --interval 1s --deadline 30s
  healthgate explain report.json      # why it ended as it did
  healthgate --shard 3/10 --report 3.json && healthgate merge *.json
  healthgate judge trace.jsonl        # a canary, from recorded data
  healthgate plan --requests-per-minute 600 --error-rate 1%

Exit codes: 0 pass, 1 fail, 2 usage, 3 inconclusive, 4 error";

impl cli::Stage for Stage {
    const NAME: &'static str = StageName::Healthgate.as_str();
    const ABOUT: &'static str = "Is what we deployed healthy, and is it the release we deployed?";
    const EXAMPLES: &'static str = EXAMPLES;

    fn configure(&self, config: &mut config::Config) -> Result<(), Failure> {
        match &self.action {
            // Nothing is asked, and so no variable is missed.
            Some(_) => Ok(()),
            None => self.flags.lay_over(config),
        }
    }

    fn secrets(&self) -> Vec<Secret> {
        self.flags.secrets()
    }

    fn offline_output(&self, format: cli::Format) -> Option<Result<String, Failure>> {
        match self.action.as_ref()? {
            Action::Explain(flags) => Some(flags.render(format)),
            Action::Merge(_) | Action::Judge(_) | Action::Plan(_) => None,
        }
    }

    fn event(&self) -> Option<&'static str> {
        matches!(self.action, None | Some(Action::Merge(_))).then_some(Self::NAME)
    }

    async fn run(self, job: &Job) -> Result<Report, Failure> {
        match &self.action {
            Some(Action::Merge(flags)) => flags.merge(job).await,
            Some(Action::Judge(flags)) => flags.judge(job).await,
            Some(Action::Plan(flags)) => flags.plan(job).await,
            _ => watched(job, &self.flags).await,
        }
    }
}

/// Runs the gate of a job's configuration.
pub async fn gate(job: &Job) -> Result<Report, Failure> {
    watched(job, &Flags::default()).await
}

async fn watched(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let started_at = jiff::Timestamp::now();
    let section = job.config.healthgate()?.cloned().unwrap_or_default();
    let gate = Gate::of(&section);
    let compared = section.canary.as_ref().map(Canary::compared);
    let compared = compared.unwrap_or_default();
    if gate.probes.is_empty() && section.canary.is_none() {
        return Err(Failure::usage("no probe is configured")
            .hint("add `healthgate: { http: [{ name: ready, url: … }] }` to the configuration, or pass `--http URL`"));
    }
    if job.dry_run {
        let mut outcomes = skipped_outcomes(&gate.probes, job);
        if let Some(canary) = &section.canary {
            outcomes.extend(not_compared(canary, &compared, job));
        }
        return Ok(Report::from_outcomes(Stage::NAME, started_at, outcomes));
    }
    let settings = watch::Settings {
        shard: flags.shard,
        forever: flags.watch,
        record: flags.record_trace.as_deref(),
    };
    let watched = watch::watch(job, &section, &settings).await?;
    let mut outcomes = watched.outcomes;
    let mut ids: Vec<_> = gate.probes.iter().map(|one| one.id.clone()).collect();
    ids.push(model::id::IDENTITY.to_owned());
    ids.extend(
        compared
            .iter()
            .map(|metric| Id::canary(&metric.name).into()),
    );
    outcomes.extend(
        job.only
            .unknown(&ids)
            .into_iter()
            .map(only::unmatched_pattern),
    );
    let mut report = Report::from_outcomes(Stage::NAME, started_at, outcomes);
    report.shard = flags.shard;
    report.pauses = watched.pauses;
    let rule = Match::widest(job.config.release_rules());
    report.release_match = Some(rule).filter(|rule| *rule != Match::default());
    report.tables.extend(members::table(&report.outcomes));
    // A canary alone is not asked by the policy.
    report.policy = (!gate.probes.is_empty()).then(|| section.policy.to_report());
    report.pictures = picture::charts(&report.outcomes);
    report
        .pictures
        .extend(watched.curves.iter().map(picture::curve));
    report.curves = watched.curves;
    report.tables.extend(slowest::slowest(&report.outcomes));
    Ok(report)
}

/// What a dry run would compare.
fn not_compared(canary: &Canary, metrics: &[CanaryMetric], job: &Job) -> Vec<Outcome> {
    let metrics = metrics
        .iter()
        .map(|metric| (Id::canary(&metric.name), watch::subject(canary, metric)));
    metrics
        .filter(|(id, _)| job.only.selects(id.as_str()))
        .map(|(id, subject)| Outcome::skipped(id, subject, "dry run: not compared"))
        .collect()
}

/// What a dry run would ask.
fn skipped_outcomes(planned: &[Planned<'_>], job: &Job) -> Vec<Outcome> {
    planned
        .iter()
        .filter(|one| job.only.selects(&one.id))
        .map(|one| Outcome::skipped(&one.id, &one.subject, "dry run: not checked"))
        .collect()
}
