//! Runs, written as a few lines.

use diagnosis::{Cause, Facts, Needed, Stage, StepLog, cause, classify, error_lines};
use github::Job;
use github::jobs::Step;
use jiff::{SignedDuration, Timestamp};
use model::Redactor;

/// A step takes so many seconds, and the next one begins in the second in which it ends.
const STEP: i64 = 10;

fn begin() -> Timestamp {
    "2026-11-21T02:00:00Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    begin() + SignedDuration::from_secs(seconds)
}

/// `build failure @60: Set up job ok; Run make FAIL; Test skip`: a job, how it ended, when it began,
/// and its steps. A step that ends with `lost` was running when all ended.
pub(crate) fn job(line: &str, id: u64) -> Job {
    let (head, steps) = line.split_once(": ").unwrap_or((line, ""));
    let (head, start) = head.split_once(" @").unwrap_or((head, "0"));
    let start: i64 = start.parse().unwrap();
    let (name, conclusion) = head.rsplit_once(' ').unwrap();
    let mut at = start;
    let steps: Vec<Step> = steps
        .split("; ")
        .filter(|step| !step.is_empty())
        .map(|step| {
            let (name, word) = step.rsplit_once(' ').unwrap();
            let conclusion = match word {
                "ok" => "success",
                "FAIL" => "failure",
                "skip" => "skipped",
                "cancelled" => "cancelled",
                "lost" | "open" => "",
                _ => panic!("{step}"),
            };
            let runs = word != "skip" && word != "open";
            let from = at;
            at += if runs { STEP } else { 0 };
            Step {
                name: name.to_owned(),
                status: match word {
                    "lost" => "in_progress",
                    "open" => "pending",
                    _ => "completed",
                }
                .to_owned(),
                conclusion: (!conclusion.is_empty()).then(|| conclusion.to_owned()),
                started_at: Some(after(from)),
                completed_at: (!conclusion.is_empty()).then(|| after(at)),
            }
        })
        .collect();
    let is_over = conclusion != "running";
    Job {
        id,
        name: name.to_owned(),
        status: if is_over { "completed" } else { "in_progress" }.to_owned(),
        labels: Vec::new(),
        runner_name: (!steps.is_empty()).then(|| "GitHub Actions 2".to_owned()),
        created_at: Some(begin()),
        started_at: Some(after(start)),
        completed_at: is_over.then(|| after(at)),
        conclusion: is_over.then(|| conclusion.to_owned()),
        steps: Some(steps),
        html_url: Some(format!(
            "https://github.com/acme/shop/actions/runs/42/job/{id}"
        )),
    }
}

pub(crate) fn jobs(lines: &str) -> Vec<Job> {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.zip(1..).map(|(line, id)| job(line, id)).collect()
}

/// A log as GitHub keeps it, of a job that began at 0: `2| text` is in the middle of its third step,
/// and `2. text` in the second in which that ends.
pub(crate) fn log(lines: &str, job: &Job) -> String {
    let steps = job.steps.as_deref().unwrap_or_default();
    let mut text = String::from("\u{feff}");
    let mut at = begin();
    for line in lines
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty())
    {
        let step = |number: &str| steps.get(number.parse::<usize>().ok()?);
        let half = SignedDuration::from_secs(STEP / 2);
        let shown = match (line.split_once("| "), line.split_once(". ")) {
            (Some((number, rest)), _) if step(number).is_some() => {
                at = step(number).unwrap().started_at.unwrap() + half;
                rest
            }
            (_, Some((number, rest))) if step(number).is_some() => {
                at = step(number).unwrap().completed_at.unwrap();
                rest
            }
            _ => line,
        };
        text.push_str(&format!("{at:.7} {shown}\n"));
    }
    text
}

pub(crate) fn needed(lines: &[(&str, &[&str])]) -> Needed {
    let own = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let jobs = lines.iter();
    Needed {
        jobs: jobs
            .map(|(job, needs)| ((*job).to_owned(), own(needs)))
            .collect(),
        ..Needed::default()
    }
}

/// What is found without asking: the stage, the job, the step, and the first error line.
pub(crate) fn found(
    jobs: &[Job],
    text: &str,
    needed: &Needed,
) -> (Stage, String, String, Vec<String>) {
    let Some(Cause { first, .. }) = cause(jobs, needed) else {
        return (Stage::Unknown, String::new(), String::new(), Vec::new());
    };
    let step = first.step.map(|step| step.name.clone()).unwrap_or_default();
    let times = first
        .step
        .and_then(|step| Some((step.started_at?, step.completed_at)));
    let log = (!text.is_empty())
        .then(|| StepLog::of(&log(text, first.job), &step, times, &Redactor::default()));
    let stage = classify(&Facts {
        job: &first.job.name,
        step: first.step.map(|step| step.name.as_str()),
        runs: None,
        log: log.as_ref(),
    });
    let lines = log.map(|log| error_lines(&log)).unwrap_or_default();
    (stage, first.job.name.clone(), step, lines)
}
