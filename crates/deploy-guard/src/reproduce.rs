//! `deploy-guard reproduce REPORT`: what a stage had in CI, whether it is here, the stage once more,
//! and where the two differ.
//!
//! A report is a file from elsewhere: it chooses a stage's flags, never a program, and no file beyond
//! this folder. What would act is run dry.

mod inputs;
mod report;
mod rerun;

use std::path::PathBuf;

use cli::{Failure, Job};
use model::{Outcome, Report, StageName, Verdict};

use report::read;

/// The stage and its flags.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Stage {
    /// The report, as `--report` wrote it in CI
    #[arg(value_name = "REPORT")]
    file: PathBuf,
    /// Compare what it had with what is here, and run nothing
    #[arg(long)]
    check: bool,
    /// Run it even if something is missing here
    #[arg(long, conflicts_with = "check")]
    ignore_missing: bool,
}

const EXAMPLES: &str = "Examples:
  deploy-guard reproduce report.json
  deploy-guard reproduce report.json --check     # what it had, and what is missing here
  gh run download 42 -n report && deploy-guard reproduce healthgate.json

Exit codes: 0 as in CI, 1 it differs, 2 no report, 3 something it had is not here, 4 error";

impl cli::Stage for Stage {
    const NAME: &'static str = StageName::Reproduce.as_str();
    const ABOUT: &'static str = "Repeat a stage of a CI run from its report, and compare";
    const EXAMPLES: &'static str = EXAMPLES;
    // That of the report is another question.
    const NEEDS_CONFIGURATION: bool = false;

    async fn run(self, job: &Job) -> Result<Report, Failure> {
        let started_at = jiff::Timestamp::now();
        let then = read(&self.file)?;
        let mut outcomes = inputs::compare(&then, job)?;
        let missing: Vec<String> = outcomes
            .iter()
            .filter(|outcome| !matches!(outcome.weighs(), Verdict::Pass | Verdict::Skipped))
            .map(|outcome| outcome.subject.clone())
            .collect();
        let mut table = None;
        if self.check || job.dry_run {
            let reason = "only compared: without `--check`, the stage is run again";
            outcomes.push(Outcome::skipped("again", &then.stage, reason));
        } else if !missing.is_empty() && !self.ignore_missing {
            let reason = format!(
                "not run: {} not here as in CI; `--ignore-missing` runs it all the same",
                missing.join(", ")
            );
            outcomes.push(Outcome::skipped("again", &then.stage, reason));
        } else {
            let (more, differences) = rerun::run(&then, job).await?;
            outcomes.extend(more);
            table = differences;
        }
        let mut report = Report::from_outcomes(Self::NAME, started_at, outcomes);
        report.service = then.service;
        report.environment = then.environment;
        report.release = then.release;
        report.tables.extend(table);
        Ok(report)
    }
}
