//! `deploy-guard init`: looks at the repository and writes a configuration and a workflow.
//!
//! What is read may be hostile: names go into the files only where they are plain words, everything
//! else is quoted or left out and said. Nothing is ever written over.

mod ask;
mod configuration;
mod plan;
mod problem;
mod text;
mod wishes;
mod workflow;
mod write;

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use model::{Env, ExitCode};

use crate::survey::{self, Seen};
use cli::write_stdout;
use plan::Plan;
use problem::Problem;
use wishes::Wishes;

const EXAMPLES: &str = "Examples:
  deploy-guard init                  # asks on a terminal, decides for itself elsewhere
  deploy-guard init --dry-run        # shows what it would write
  deploy-guard init --url http://127.0.0.1:8080/health --environment staging
  deploy-guard init --host deploy@10.0.0.11 --kind systemd

Exit codes: 0 written, 2 usage, 4 not written, 5 refused: a file is there already";

/// The command line of `init`.
pub fn command() -> Command {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("init")
        .about("Look at this repository; write its configuration and workflow")
        .arg(
            text(
                "kind",
                "KIND",
                "How it is deployed [default: by what is found]",
            )
            .value_parser(plan::KINDS),
        )
        .arg(text(
            "service",
            "NAME",
            "What is deployed [default: the repository's name]",
        ))
        .arg(text(
            "environment",
            "NAME",
            "Where to [default: production]",
        ))
        .arg(text(
            "url",
            "URL",
            "What answers with a status from 200 to 299 when all is well",
        ))
        .arg(
            text(
                "host",
                "USER@ADDRESS",
                "A machine that is reached by SSH; may be given again",
            )
            .action(ArgAction::Append),
        )
        .arg(
            text("config", "FILE", "The configuration to write")
                .default_value(".github/deploy-guard.yml"),
        )
        .arg(
            text("workflow", "FILE", "The workflow to write")
                .default_value(".github/workflows/deploy-guard.yml"),
        )
        .arg(text(
            "action",
            "OWNER/NAME@REF",
            "The Action that the workflow uses [default: this version's]",
        ))
        .arg(text(
            "bin-dir",
            "FOLDER",
            "Where the runner has the binaries, for one without internet",
        ))
        .arg(
            Arg::new("yes")
                .long("yes")
                .short('y')
                .action(ArgAction::SetTrue)
                .help("Ask nothing, also on a terminal"),
        )
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Show what would be written, write nothing"),
        )
        .after_help(EXAMPLES)
}

/// Looks, asks and writes.
pub fn main(matches: &ArgMatches, env: &Env) -> ExitCode {
    match init(matches, env) {
        Ok(()) => ExitCode::Pass,
        Err(problem) => {
            let text = format!("error: {}\n\nhint: {}\n", problem.what, problem.hint);
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
            problem.code
        }
    }
}

fn init(matches: &ArgMatches, env: &Env) -> Result<(), Problem> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let hosts = matches.get_many::<String>("host").into_iter().flatten();
    let wishes = Wishes {
        kind: text("kind"),
        service: text("service"),
        environment: text("environment"),
        url: text("url"),
        hosts: hosts.cloned().collect(),
        config: text("config").unwrap_or_default().into(),
        workflow: text("workflow").unwrap_or_default().into(),
        action: text("action"),
        bin_dir: text("bin-dir"),
    };
    let unreadable = |error: std::io::Error| Problem {
        code: ExitCode::Error,
        what: format!("this folder cannot be read: {error}"),
        hint: "call it in the repository: `cd REPOSITORY && deploy-guard init`".to_owned(),
    };
    let here = std::env::current_dir().map_err(unreadable)?;
    let seen = survey::look(&here).map_err(unreadable)?;
    write_stdout(&told(&seen));
    // Before anything is asked: an answer that comes to nothing is a nuisance.
    let dry_run = matches.get_flag("dry-run");
    let places = write::Places::new(&seen.root, &wishes.config, &wishes.workflow)?;
    if !dry_run {
        places.are_free()?;
    }
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let asks = terminal && !matches.get_flag("yes") && env.non_empty("CI").is_none();
    let mut ask = ask::Ask::new(asks);
    let plan = Plan::make(&seen, &wishes, &mut ask)?;
    let files = write::Files {
        configuration: configuration::text(&plan),
        workflow: workflow::text(&plan),
    };
    files.hold(&seen.root, env)?;
    write_stdout(&decided(&plan));
    if dry_run {
        return match write_stdout(&files.shown(&places)) {
            ExitCode::Pass => Ok(()),
            code => Err(Problem {
                code,
                what: "the files were not shown whole".to_owned(),
                hint: "nothing was written; call it again".to_owned(),
            }),
        };
    }
    if !ask.yes("Write them?")? {
        return Err(Problem {
            code: ExitCode::Refused,
            what: "not written: the answer was not yes".to_owned(),
            hint: "`deploy-guard init --dry-run` shows what would be written".to_owned(),
        });
    }
    places.write(&files)?;
    write_stdout(&next(&plan));
    Ok(())
}

/// What was seen, for a person.
fn told(seen: &Seen) -> String {
    let mut text = format!(
        "Looked at {}\n",
        seen.root
            .join(&seen.below)
            .components()
            .collect::<PathBuf>()
            .display()
    );
    if !seen.git {
        text.push_str(
            "  no Git repository: GitHub runs the workflow once this is one (`git init`)\n",
        );
    }
    let mut line = |what: &str, which: String| {
        let _ = writeln!(text, "  {what:<16} {}", text::line(&which));
    };
    for workflow in &seen.workflows {
        let secrets: Vec<&str> = workflow.secrets.iter().map(String::as_str).collect();
        let mut more = Vec::new();
        if workflow.deploys {
            more.push("deploys".to_owned());
        }
        if !secrets.is_empty() {
            more.push(format!("secrets {}", secrets.join(", ")));
        }
        line("workflow", with(&workflow.path, &more));
    }
    for compose in &seen.compose {
        let services: Vec<&str> = compose
            .services
            .iter()
            .map(|service| service.name.as_str())
            .collect();
        line(
            "Compose file",
            with(
                &compose.path,
                &[format!("services {}", services.join(", "))],
            ),
        );
    }
    for (path, health) in &seen.dockerfiles {
        let health = health
            .as_ref()
            .map(|health| format!("healthy at {}", health.path));
        line("Dockerfile", with(path, &Vec::from_iter(health)));
    }
    for upstream in &seen.upstreams {
        let colours = format!(
            "upstream {}: {} and {}",
            upstream.name, upstream.blue, upstream.green
        );
        line("nginx", with(&upstream.path, &[colours]));
    }
    for unit in &seen.units {
        line("systemd unit", unit.path.clone());
    }
    for task in &seen.tasks {
        line(
            "ECS task",
            with(&task.path, &[format!("family {}", task.family)]),
        );
    }
    for path in &seen.migrations {
        line("migrations", path.clone());
    }
    for script in &seen.scripts {
        line("deploys", script.clone());
    }
    let composes = seen.compose.iter().flat_map(|compose| &compose.passed_over);
    for note in seen.passed_over.iter().chain(composes) {
        line("passed over", note.clone());
    }
    if seen.is_empty() {
        text.push_str("  nothing that says how it is deployed\n");
    }
    text
}

fn with(path: &str, more: &[String]) -> String {
    if more.is_empty() {
        return path.to_owned();
    }
    format!("{path} ({})", more.join("; "))
}

/// What will be written, and why.
fn decided(plan: &Plan) -> String {
    let mut text = format!(
        "\nGuards {} in {} by {}\n",
        plan.service,
        plan.environment,
        plan.way.describe()
    );
    for note in &plan.notes {
        let _ = writeln!(text, "  {}", text::line(note));
    }
    let _ = writeln!(text, "  configuration    {}", plan.config);
    let _ = writeln!(text, "  workflow         {}", plan.workflow);
    text
}

fn next(plan: &Plan) -> String {
    let mut text = String::from("\nWritten. Next:\n");
    for step in plan.left_to_do() {
        let _ = writeln!(text, "  - {step}");
    }
    text
}
