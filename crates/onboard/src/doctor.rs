//! `deploy-guard doctor`: what on this machine, in this repository and in this token would stop
//! each stage. It looks and asks; it changes nothing, and deploys nothing to find out.

mod configuration;
mod finding;
mod handed;
mod inputs;
mod machine;
mod needed;
mod permission;
mod repository;
mod router;
mod schema;
mod sinks;
mod state;
mod target;
mod token;
mod workflows;

use cli::{Failure, Job};
use finding::{ALL, Finding, is_configured};
use model::{Outcome, Report, Severity, StageName, Table, Verdict};

/// The stage; it has no flags of its own.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Stage {}

const EXAMPLES: &str = "Examples:
  deploy-guard doctor
  deploy-guard doctor --environment staging --format json
  deploy-guard doctor --only token

Exit codes: 0 nothing stops a stage, 1 something does, 3 not known, 4 not readable";

impl cli::Stage for Stage {
    const NAME: &'static str = StageName::Doctor.as_str();
    const ABOUT: &'static str = "Check whether each stage can run here, and with this token";
    const EXAMPLES: &'static str = EXAMPLES;
    const NEEDS_CONFIGURATION: bool = false;

    async fn run(self, job: &Job) -> Result<Report, Failure> {
        let started_at = jiff::Timestamp::now();
        let repository = repository::Repository::find();
        let alone = repository.asks_by_itself();
        let mut findings = configuration::look(job, &repository, alone.as_ref());
        findings.extend(machine::look(job).await);
        findings.extend(repository.look(job));
        findings.extend(inputs::look(job, &repository));
        findings.extend(handed::look(job, &repository).await);
        findings.extend(workflows::look(job, &repository).await);
        findings.extend(state::look(job).await);
        findings.extend(target::look(job).await);
        findings.extend(Box::pin(router::look(job)).await);
        findings.extend(Box::pin(schema::look(job)).await);
        findings.extend(sinks::look(job).await);
        findings.extend(token::look(job, &repository).await);
        let found = findings.len();
        findings.retain(|finding| job.only.selects(finding.outcome.id.as_str()));
        let nothing = if findings.len() == found {
            "nothing that can be seen from here"
        } else {
            "nothing of what was chosen"
        };
        // Without a configuration every stage is asked for, and none of them can start.
        let all = job.config_path.is_none() && alone.is_none();
        let counts = |who: StageName| all || is_configured(who, &job.config);
        let alone = alone.map(|step| format!("{step} probes an address by itself"));
        let table = table(&findings, counts, nothing, alone);
        let outcomes = findings
            .into_iter()
            .map(|finding| told(finding, counts))
            .collect();
        let mut report = Report::from_outcomes(Self::NAME, started_at, outcomes);
        if report.verdict == Verdict::Pass {
            report.reason = format!("{nothing} would stop a stage");
        }
        report.tables.push(table);
        Ok(report)
    }
}

/// The outcome, with the stages that it stops in its reason; an outcome that stops none is only advice.
fn told(finding: Finding, counts: impl Fn(StageName) -> bool) -> Outcome {
    let bad = finding.is_bad();
    let stops: Vec<&str> = ALL
        .into_iter()
        .filter(|who| finding.stops.contains(who) && counts(*who))
        .map(StageName::as_str)
        .collect();
    let mut outcome = finding.outcome;
    if !bad {
        return outcome;
    }
    if stops.is_empty() {
        return outcome.severity(Severity::Advisory);
    }
    let reason = outcome.reason.take().unwrap_or_default();
    outcome.reason(format!("{reason}; stops {}", stops.join(", ")))
}

/// `alone` is told of the gate that needs no configuration.
fn table(
    findings: &[Finding],
    counts: impl Fn(StageName) -> bool,
    nothing: &str,
    alone: Option<String>,
) -> Table {
    let row = |who: StageName| {
        let stoppers: Vec<&str> = findings
            .iter()
            .filter(|finding| finding.is_bad() && finding.stops.contains(&who))
            .map(|finding| finding.outcome.id.as_str())
            .collect();
        let said = match stoppers.as_slice() {
            _ if !counts(who) => match &alone {
                Some(step) if who == StageName::Healthgate => step.clone(),
                _ => "nothing is configured for it".to_owned(),
            },
            [] => nothing.to_owned(),
            ids => ids.join(", "),
        };
        vec![who.to_string(), said]
    };
    Table {
        title: "What would stop each stage".to_owned(),
        header: vec!["stage", "stopped by"],
        rows: ALL.into_iter().map(row).collect(),
        only_in_summary: false,
    }
}
