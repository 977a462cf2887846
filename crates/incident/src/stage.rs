//! `incident stage`: which stage of a workflow run failed, as GitHub tells it. The log of events is not touched.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use cli::{Failure, Job};
use diagnosis::{Diagnosis, RunQuery, diagnose};
use github::{Repository, RunId};
use jiff::Timestamp;
use model::report::Table;
use model::{Measurement, Outcome, Report, Severity, StageName, Verdict};

use crate::words::ParseError;

/// For one question, and for a rate limit to end.
const TIMEOUT: Duration = Duration::from_secs(20);
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(60);
/// What is shown of a list; `failed_run` has all of it.
const MAX_ANNOTATIONS: usize = 10;
const MAX_JOBS: usize = 20;
const MAX_STEPS: usize = 10;

#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
    /// The run: its number, or the address of its page [default: this run]
    #[arg(long, value_name = "ID", value_parser = run)]
    run: Option<RunAddress>,
    /// Which attempt at the run [default: the latest]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// The repository of the run [default: that of the workflow]
    #[arg(long, value_name = "OWNER/NAME")]
    repo: Option<String>,
}

/// A run as a person names it.
#[derive(Clone, Debug)]
struct RunAddress {
    run: RunId,
    /// Where its address tells it.
    repository: Option<String>,
}

fn run(text: &str) -> Result<RunAddress, ParseError> {
    if let Some(run) = RunId::parse(text) {
        return Ok(RunAddress {
            run,
            repository: None,
        });
    }
    let page = || {
        let run = RunId::of_url(text)?;
        let (before, _) = text.split_once("/actions/runs/")?;
        let mut names = before.rsplit('/');
        let (name, owner) = (names.next()?, names.next()?);
        Some(RunAddress {
            run,
            repository: Some(format!("{owner}/{name}")),
        })
    };
    page().ok_or(ParseError(
        "the number of a run, or the address of its page: https://github.com/OWNER/NAME/actions/runs/ID",
    ))
}

/// Which run of which repository is meant.
struct Target {
    /// A folder that may have its workflow's file: this one, unless the run is of another repository.
    checkout: Option<PathBuf>,
    repository: Repository,
    run: RunId,
    attempt: Option<u32>,
}

impl Flags {
    /// # Errors
    /// Returns a usage error where it is not known which run is meant.
    fn target(&self, actions: &actions::Context) -> Result<Target, Failure> {
        let here = actions.repository.as_deref();
        let of_page = self
            .run
            .as_ref()
            .and_then(|asked| asked.repository.as_deref());
        let name = self.repo.as_deref().or(of_page).or(here).ok_or_else(|| {
            Failure::usage("it is not known which repository the run is of")
                .hint("add `--repo OWNER/NAME`, or write the address of the run's page")
        })?;
        let repository = Repository::parse(name)
            .map_err(|error| Failure::usage(error).hint("for example `--repo acme/shop`"))?;
        let is_here = here.is_some_and(|here| here.eq_ignore_ascii_case(name));
        // On a laptop nothing tells of which repository the folder is.
        let checkout = (is_here || here.is_none()).then(|| PathBuf::from("."));
        if let Some(asked) = &self.run {
            return Ok(Target {
                checkout,
                repository,
                run: asked.run,
                attempt: self.attempt,
            });
        }
        let own = actions.run_id.as_deref().and_then(RunId::parse);
        let run = own.filter(|_| is_here).ok_or_else(|| {
            Failure::usage("it is not known which run is meant")
                .hint(format!(
                    "add `--run ID`; `gh run list --repo {repository} --status failure` shows the numbers"
                ))
        })?;
        Ok(Target {
            checkout,
            repository,
            run,
            attempt: self.attempt.or(actions.run_attempt),
        })
    }
}

/// Asks GitHub for the run.
pub(crate) async fn stage(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let started_at = Timestamp::now();
    let target = flags.target(&job.actions)?;
    let cannot = |error: github::Error| {
        let hint = error.hint();
        Failure::error(error).hint(hint)
    };
    let until = Instant::now() + RATE_LIMIT_WAIT;
    let client = job.github(None, TIMEOUT, until).map_err(cannot)?;
    let question = RunQuery {
        repository: &target.repository,
        run: target.run,
        attempt: target.attempt,
        checkout: target.checkout.as_deref(),
    };
    let diagnosis = diagnose(&client, &question, &job.redactor).await;
    let diagnosis = diagnosis.map_err(|error| {
        let hint = error.hint();
        Failure::error(error).hint(hint)
    })?;
    Ok(report(&diagnosis, &target, started_at))
}

/// What a run that ended so, or goes on, comes to.
fn verdict(diagnosis: &Diagnosis) -> Verdict {
    let is_bad = diagnosis.job.is_some() || diagnosis.ended.is_some();
    match diagnosis.conclusion.as_deref() {
        // A job that may fail is among its jobs all the same.
        Some("success" | "neutral" | "skipped") => Verdict::Pass,
        _ if is_bad => Verdict::Fail,
        // Someone must approve it, or GitHub gave it up.
        None | Some("action_required" | "stale") => Verdict::Inconclusive,
        Some(_) => Verdict::Fail,
    }
}

fn report(diagnosis: &Diagnosis, target: &Target, started_at: Timestamp) -> Report {
    let verdict = verdict(diagnosis);
    let about = format!(
        "{} run {}, attempt {}",
        target.repository, diagnosis.run, diagnosis.attempt
    );
    let headline = if verdict == Verdict::Pass {
        let how = diagnosis.conclusion.as_deref().unwrap_or("success");
        format!("run {} ended with {how}", diagnosis.run)
    } else {
        diagnosis.headline()
    };
    let mut stage = Outcome::new("run/stage", about.clone(), verdict)
        .expected("no job of the run fails")
        .actual(match (&diagnosis.conclusion, diagnosis.waits) {
            (Some(how), _) => how.clone(),
            (None, Some(waits)) => format!("it {waits}"),
            (None, None) => "it goes on".to_owned(),
        });
    if verdict > Verdict::Pass {
        let page = diagnosis.url.clone();
        let run = diagnosis.run;
        let page = page.unwrap_or_else(|| format!("`gh run view {run} --log-failed`"));
        stage = stage.reason(headline.clone()).hint(match verdict {
            Verdict::Inconclusive => match diagnosis.waits {
                Some(waits) => format!("{page}: {}", waits.hint()),
                None => format!("run this again when it has ended: {page}"),
            },
            _ => page,
        });
    }
    if verdict == Verdict::Fail && !diagnosis.error_lines.is_empty() {
        stage.measurements = vec![seen(started_at, &diagnosis.error_lines)];
    }
    let mut outcomes = vec![stage];
    if verdict > Verdict::Pass {
        outcomes.extend(annotations(diagnosis, &about, started_at));
        outcomes.extend(other_steps(diagnosis, &about));
        outcomes.extend(others(diagnosis, &about, started_at));
        outcomes.extend(diagnosis.gaps.iter().map(|gap| {
            Outcome::inconclusive("run/unknown", about.clone())
                .severity(Severity::Advisory)
                .reason(gap.to_string())
                .hint(gap.hint())
        }));
    }
    let mut report = Report::from_outcomes(StageName::Incident.as_str(), started_at, outcomes);
    report.headline = Some(headline);
    if verdict == Verdict::Fail {
        report.failed_run = Some(diagnosis.failed_run());
        let lines = table(
            "The first lines of the error",
            "line",
            &diagnosis.error_lines,
        );
        let notes = table(
            "Annotations",
            "annotation",
            &shown(notes(diagnosis), MAX_ANNOTATIONS),
        );
        report.tables = lines.into_iter().chain(notes).collect();
        let mut output = |name: &str, value: Option<String>| {
            report
                .outputs
                .extend(value.map(|value| (name.to_owned(), value)));
        };
        output("failed-stage", Some(diagnosis.stage.to_string()));
        output("failed-job", diagnosis.job.clone());
        output("failed-step", diagnosis.step.clone());
    }
    report
}

/// Lines of a log, or like those, as evidence.
fn seen(at: Timestamp, lines: &[String]) -> Measurement {
    Measurement {
        at,
        verdict: Verdict::Fail,
        value: None,
        reason: lines.first().cloned(),
        duration: Duration::ZERO,
        evidence: Some(lines.join("\n")),
    }
}

/// What GitHub and the tools say beside the log.
fn annotations(diagnosis: &Diagnosis, about: &str, at: Timestamp) -> Option<Outcome> {
    let lines = shown(notes(diagnosis), MAX_ANNOTATIONS);
    let first = lines.first()?;
    Some(
        Outcome::fail("run/annotations", about)
            .severity(Severity::Advisory)
            .actual(format!("{} of the job", diagnosis.annotations.len()))
            .reason(first.clone())
            .measurements(vec![seen(at, &lines)]),
    )
}

/// The first lines, and how many there are beside them.
fn shown(mut lines: Vec<String>, most: usize) -> Vec<String> {
    let more = lines.len().saturating_sub(most);
    lines.truncate(most);
    lines.extend((more > 0).then(|| format!("and {more} more")));
    lines
}

fn notes(diagnosis: &Diagnosis) -> Vec<String> {
    let notes = diagnosis.annotations.iter();
    let told = notes.map(|note| match &note.place {
        Some((file, line)) => format!("{}: {file}:{line}: {}", note.level, note.message),
        None => format!("{}: {}", note.level, note.message),
    });
    told.collect()
}

/// Lines for a terminal and the summary: the JSON document has them in `failed_run`.
fn table(title: &str, head: &'static str, lines: &[String]) -> Option<Table> {
    let rows = lines.iter().map(|line| vec![line.clone()]);
    (!lines.is_empty()).then(|| Table {
        title: title.to_owned(),
        header: vec![head],
        rows: rows.collect(),
        only_in_summary: false,
    })
}

/// The other steps of the job that failed.
fn other_steps(diagnosis: &Diagnosis, about: &str) -> Option<Outcome> {
    let steps = diagnosis
        .other_steps
        .iter()
        .map(|step| format!("step {step}"));
    let steps = shown(steps.collect(), MAX_STEPS);
    (!steps.is_empty()).then(|| {
        Outcome::fail("run/other-steps", about)
            .severity(Severity::Advisory)
            .actual(format!(
                "{} more of the job failed",
                diagnosis.other_steps.len()
            ))
            .reason(format!("failed, too: {}", steps.join("; ")))
    })
}

/// The other jobs that did not end well.
fn others(diagnosis: &Diagnosis, about: &str, at: Timestamp) -> Option<Outcome> {
    let others = diagnosis.others.iter();
    let lines: Vec<String> = others
        .map(|other| {
            let how = other.conclusion.as_deref().unwrap_or("running");
            let steps = other.step.iter().chain(&other.other_steps);
            let steps = steps.map(|step| format!("step {step}"));
            let mut parts = vec![format!("{}: job {}", other.stage, other.job)];
            parts.extend(shown(steps.collect(), MAX_STEPS));
            format!("{}: {how}", parts.join(", "))
        })
        .collect();
    if lines.is_empty() {
        return None;
    }
    let lines = shown(lines, MAX_JOBS);
    Some(
        Outcome::fail("run/other-jobs", about)
            .severity(Severity::Advisory)
            .actual(format!("{} more did not end well", diagnosis.others.len()))
            .reason(lines.join("; "))
            .measurements(vec![seen(at, &lines)]),
    )
}
