//! The stage once more, and where it differs.

use std::process::Stdio;

use cli::{Failure, Job};
use model::report::v1;
use model::{Outcome, Table};
use tokio::process::Command;

use super::{acts, had, read};

/// Flags that say where to write or what to read, which are ours to say.
const OURS: [&str; 5] = ["--report", "--summary", "--html", "--format", "--config"];

type Compared = (Vec<Outcome>, Option<Table>);

pub(super) async fn run(then: &v1::Report, job: &Job) -> Result<Compared, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::error)?;
    let report = folder.path().join("report.json");
    let dry = acts(then);
    let mut command = command(then, job, dry)?;
    command
        .arg("--report")
        .arg(&report)
        .arg("--summary")
        .arg(folder.path().join("summary.md"));
    let mut child = command.spawn().map_err(Failure::error)?;
    job.progress.say(&format!("running {} again", then.stage));
    let status = tokio::select! {
        status = child.wait() => status.map_err(Failure::error)?,
        _ = job.interrupt.wait() => return Err(Failure::error("interrupted")),
    };
    let Ok(now) = read(&report) else {
        let outcome = Outcome::error("again", &then.stage)
            .expected("a report")
            .actual(format!("none: {status}"))
            .reason(format!(
                "{} ended without a report here ({status})",
                then.stage
            ))
            .hint("the stage's own words stand above");
        return Ok((vec![outcome], None));
    };
    if dry {
        let outcome = Outcome::pass("again", &then.stage)
            .expected(format!("CI: {}: {}", then.verdict, then.reason))
            .actual(format!("here, dry: {}: {}", now.verdict, now.reason))
            .reason("it changes things, so it was run dry and is not compared");
        return Ok((vec![outcome], None));
    }
    Ok((vec![verdict(then, &now)], Some(table(then, &now))))
}

/// This program as the stage, with what the report says and nothing of our own.
fn command(then: &v1::Report, job: &Job, dry: bool) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe().map_err(Failure::error)?);
    command
        .arg(&then.stage)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("DEPLOY_GUARD_")
            || matches!(
                &*text,
                "GITHUB_OUTPUT" | "GITHUB_STEP_SUMMARY" | "GITHUB_ACTIONS"
            )
        {
            command.env_remove(&name);
        }
    }
    let Some(inputs) = &then.inputs else {
        return Ok(command);
    };
    let plain = |name: &str| {
        name.bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    let own = |name: &str| {
        OURS.iter()
            .any(|flag| name == format!("DEPLOY_GUARD_{}", flag[2..].to_ascii_uppercase()))
    };
    for (name, value) in &inputs.settings {
        if name.starts_with("DEPLOY_GUARD_") && plain(name) && !own(name) && !value.contains('\0') {
            command.env(name, value);
        }
    }
    let mut words = inputs.arguments.iter();
    let mut told = Vec::new();
    while let Some(word) = words.next() {
        if OURS.contains(&word.as_str()) {
            words.next();
        } else if !OURS
            .iter()
            .any(|flag| word.starts_with(&format!("{flag}=")))
        {
            told.push(word.as_str());
        }
    }
    if told.iter().any(|word| word.contains('\0')) {
        return Err(Failure::usage("an input in the report holds a NUL")
            .hint("is it a report of deploy-guard?"));
    }
    for (flag, value) in [
        ("--release", &then.release),
        ("--environment", &then.environment),
    ] {
        let variable = format!("DEPLOY_GUARD_{}", flag[2..].to_ascii_uppercase());
        let said = told
            .iter()
            .any(|word| *word == flag || word.starts_with(&format!("{flag}=")));
        if let Some(value) = value
            && !said
            && !inputs.settings.contains_key(&variable)
        {
            command.env(variable, value);
        }
    }
    if let Some(configuration) = &inputs.configuration {
        command.env(
            "DEPLOY_GUARD_CONFIG",
            had::configuration_here(&configuration.path, job)?,
        );
    }
    command.args(&told);
    if dry && !told.contains(&"--dry-run") {
        command.arg("--dry-run");
    }
    Ok(command)
}

fn verdict(then: &v1::Report, now: &v1::Report) -> Outcome {
    let said = |report: &v1::Report| format!("{}: {}", report.verdict, report.reason);
    let differ = differences(then, now);
    let outcome = if then.verdict == now.verdict && differ.is_empty() {
        Outcome::pass("again", &then.stage)
    } else {
        let which: Vec<&str> = differ.iter().map(|(id, _, _)| id.as_str()).collect();
        let which = if which.is_empty() {
            String::new()
        } else {
            format!("; different: {}", which.join(", "))
        };
        Outcome::fail("again", &then.stage)
            .reason(format!(
                "{} in CI, {} here{which}",
                then.verdict, now.verdict
            ))
            .hint("compare what CI had and what is here, and the network between")
    };
    outcome
        .expected(format!("CI: {}", said(then)))
        .actual(format!("here: {}", said(now)))
}

/// Outcomes with another verdict, or on one side only.
fn differences(then: &v1::Report, now: &v1::Report) -> Vec<(String, String, String)> {
    let said = |outcome: Option<&v1::Outcome>| match outcome {
        None => "not asked".to_owned(),
        Some(one) => match one.reason.as_ref().or(one.actual.as_ref()) {
            Some(why) => format!("{}: {why}", one.verdict),
            None => one.verdict.to_string(),
        },
    };
    let of =
        |report: &v1::Report, id: &str| report.outcomes.iter().find(|one| one.id == id).cloned();
    let mut all = Vec::new();
    for one in &then.outcomes {
        let here = of(now, &one.id);
        if here.as_ref().is_none_or(|here| here.verdict != one.verdict) {
            all.push((one.id.clone(), said(Some(one)), said(here.as_ref())));
        }
    }
    for one in &now.outcomes {
        if of(then, &one.id).is_none() {
            all.push((one.id.clone(), said(None), said(Some(one))));
        }
    }
    all
}

fn table(then: &v1::Report, now: &v1::Report) -> Table {
    let mut rows: Vec<Vec<String>> = differences(then, now)
        .into_iter()
        .map(|(id, ci, here)| vec![id, ci, here])
        .collect();
    if rows.is_empty() {
        rows.push(vec![
            "(none)".to_owned(),
            then.verdict.to_string(),
            now.verdict.to_string(),
        ]);
    }
    Table {
        title: "Where the two differ".to_owned(),
        header: vec!["outcome", "in CI", "here"],
        rows,
        only_in_summary: false,
    }
}
