//! The stage once more, and where it differs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use cli::{Failure, Job};
use model::report::v1;
use model::{Id, Outcome, Table};
use tokio::process::Command;

use super::inputs;
use super::report::{changes, read};

/// Flags that say where to write or what to read, which are ours to say.
const OURS: [&str; 5] = ["--report", "--summary", "--html", "--format", "--config"];

/// So many differences are named in one line, and so many in a table.
const NAMED: usize = 10;
const ROWS: usize = 200;

type Compared = (Vec<Outcome>, Option<Table>);

pub(super) async fn run(then: &v1::Report, job: &Job) -> Result<Compared, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::error)?;
    let report = folder.path().join("report.json");
    let words = stage_arguments(then);
    let asked = StageWords::read(then, &words)?;
    let mut command = command(then, job)?;
    // Ours come first: behind a `--` they would be none.
    command
        .arg("--report")
        .arg(&report)
        .arg("--summary")
        .arg(folder.path().join("summary.md"));
    let dry = changes(&then.stage, asked.action.as_deref());
    if dry && !asked.dry {
        command.arg("--dry-run");
    }
    command.args(&words);
    let mut child = command.spawn().map_err(Failure::error)?;
    job.progress.show(&format!("running {} again", then.stage));
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

/// The words that the stage was given, without where to write.
fn stage_arguments(then: &v1::Report) -> Vec<&str> {
    let mut words = then.inputs.iter().flat_map(|inputs| &inputs.arguments);
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
    told
}

/// The command line as far as it has stages that can be run again.
fn stages() -> clap::Command {
    clap::Command::new("deploy-guard").subcommands([
        cli::command::<preflight::Stage>(),
        cli::command::<runner_check::Stage>(),
        cli::command::<healthgate::Stage>(),
        cli::command::<rollback::Stage>(),
        cli::command::<traffic::Stage>(),
        cli::command::<crate::run::Stage>(),
    ])
}

/// The words as the stage reads them: which of them is its action, only its command line knows.
struct StageWords {
    action: Option<String>,
    dry: bool,
}

impl StageWords {
    fn read(then: &v1::Report, words: &[&str]) -> Result<Self, Failure> {
        let unread = || {
            Failure::usage(format!(
                "the report's inputs are not inputs of {}",
                then.stage
            ))
            .hint("is it a report of deploy-guard?")
        };
        // What a variable says is not seen here, and would be missed.
        let lenient = stages().ignore_errors(true);
        let whole = ["deploy-guard", &then.stage].into_iter();
        let matches = lenient
            .try_get_matches_from(whole.chain(words.iter().copied()))
            .map_err(|_| unread())?;
        let mut command = stages();
        command.build();
        let mut command = command.find_subcommand(&then.stage).ok_or_else(unread)?;
        let mut matches = matches.subcommand_matches(&then.stage).ok_or_else(unread)?;
        let asked = StageWords {
            action: matches.subcommand_name().map(str::to_owned),
            dry: matches.get_flag("dry_run"),
        };
        loop {
            for path in files(command, matches, then) {
                if !inputs::is_below(&path) {
                    let what = format!(
                        "the report names a file that is not below this folder: {}",
                        path.display()
                    );
                    return Err(
                        Failure::usage(what).hint("run the stage by hand, if that file is meant")
                    );
                }
            }
            let Some((name, below)) = matches.subcommand() else {
                return Ok(asked);
            };
            command = command.find_subcommand(name).ok_or_else(unread)?;
            matches = below;
        }
    }
}

/// The files that a command's flags name, also those that came as variables.
fn files(command: &clap::Command, matches: &clap::ArgMatches, then: &v1::Report) -> Vec<PathBuf> {
    let is_file = |arg: &&clap::Arg| {
        arg.get_value_parser().type_id() == std::any::TypeId::of::<PathBuf>()
            && !arg
                .get_long()
                .is_some_and(|long| OURS.contains(&&*format!("--{long}")))
    };
    let settings = then.inputs.as_ref().map(|inputs| &inputs.settings);
    let mut all = Vec::new();
    for arg in command.get_arguments().filter(is_file) {
        let given = matches.get_many::<PathBuf>(arg.get_id().as_str());
        all.extend(given.into_iter().flatten().cloned());
        let variable = arg.get_long().map(|long| {
            format!(
                "DEPLOY_GUARD_{}",
                long.to_ascii_uppercase().replace('-', "_")
            )
        });
        let set = variable.and_then(|name| settings?.get(&name));
        all.extend(set.map(PathBuf::from));
    }
    all
}

/// This program as the stage, with what the report says and nothing of our own.
fn command(then: &v1::Report, job: &Job) -> Result<Command, Failure> {
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
    let told = stage_arguments(then);
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
            inputs::configuration_here(&configuration.path, job)?,
        );
    }
    Ok(command)
}

fn verdict(then: &v1::Report, now: &v1::Report) -> Outcome {
    let said = |report: &v1::Report| format!("{}: {}", report.verdict, report.reason);
    let differ = differences(then, now);
    let outcome = if then.verdict == now.verdict && differ.is_empty() {
        Outcome::pass("again", &then.stage)
    } else {
        let names = differ.iter().map(|(id, _, _)| id.as_str());
        let names: Vec<&str> = names.take(NAMED).collect();
        let more = differ.len() - names.len();
        let which = match (names.as_slice(), more) {
            ([], _) => String::new(),
            (names, 0) => format!("; different: {}", names.join(", ")),
            (names, more) => format!("; different: {} and {more} more", names.join(", ")),
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
        None => "not checked".to_owned(),
        Some(one) => match one.reason.as_ref().or(one.actual.as_ref()) {
            Some(why) => format!("{}: {why}", one.verdict),
            None => one.verdict.to_string(),
        },
    };
    let (there, here) = (by_id(then), by_id(now));
    let mut all = Vec::new();
    for one in &then.outcomes {
        let other = here.get(&one.id).copied();
        if other.is_none_or(|other| other.verdict != one.verdict) {
            all.push((one.id.to_string(), said(Some(one)), said(other)));
        }
    }
    for one in &now.outcomes {
        if !there.contains_key(&one.id) {
            all.push((one.id.to_string(), said(None), said(Some(one))));
        }
    }
    all
}

/// The first of each name.
fn by_id(report: &v1::Report) -> BTreeMap<&Id, &v1::Outcome> {
    let all = report.outcomes.iter().rev();
    all.map(|one| (&one.id, one)).collect()
}

fn table(then: &v1::Report, now: &v1::Report) -> Table {
    let differ = differences(then, now);
    let more = differ.len().saturating_sub(ROWS);
    let shown = differ.into_iter().take(ROWS);
    let mut rows: Vec<Vec<String>> = shown.map(|(id, ci, here)| vec![id, ci, here]).collect();
    if more > 0 {
        rows.push(vec![
            format!("… {more} more"),
            "in the reports".to_owned(),
            String::new(),
        ]);
    }
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
