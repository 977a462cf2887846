//! All stages in one binary (`deploy-guard healthgate …` is `healthgate …`), and what needs
//! several of them: `run` and `demo`.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod demo;
pub mod generate;
mod reproduce;
mod run;
mod serve;
mod shell;

use model::StageName;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::Command;
use regex::Regex;

const EXAMPLES: &str = "Examples:
  deploy-guard demo
  deploy-guard run --release v1.2.4
  deploy-guard healthgate --http http://127.0.0.1:8000/health --release v1.2.4

Exit codes: 0 pass, 1 fail, 2 usage, 3 inconclusive, 4 error, 5 refused, 6 partial,
130 and 143 interrupted";

/// The whole command line.
pub fn command() -> Command {
    let own = [
        // The code that writes the schemas from the types stays out of a release.
        #[cfg(debug_assertions)]
        generate::command(),
        serve::command(),
    ];
    cli::exemplified(for_people().subcommands(own))
}

/// The same without what only we ourselves call: completions would offer it.
fn for_people() -> Command {
    Command::new("deploy-guard")
        .version(cli::VERSION)
        .about("Guard deployments: check before, gate after, roll back")
        .after_help(EXAMPLES)
        .max_term_width(100)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(by_us(cli::command::<preflight::Stage>()))
        .subcommand(by_us(cli::command::<runner_check::Stage>()))
        .subcommand(by_us(cli::command::<healthgate::Stage>()))
        .subcommand(by_us(cli::command::<rollback::Stage>()))
        .subcommand(by_us(cli::command::<traffic::Stage>()))
        .subcommand(by_us(cli::command::<migrate::Stage>()))
        .subcommand(by_us(cli::command::<incident::Stage>()))
        .subcommand(cli::command::<run::Stage>())
        .subcommand(onboard::init::command())
        .subcommand(cli::command::<onboard::doctor::Stage>())
        .subcommand(cli::command::<reproduce::Stage>())
        .subcommand(demo::command())
        .subcommand(generate::schema_command())
        .subcommand(shell::completions_command())
        .subcommand(shell::man_command())
}

/// The name by which this process was called.
fn program_name() -> Option<String> {
    let path = std::env::args_os().next()?;
    let name = std::path::Path::new(&path).file_name()?;
    Some(name.to_str()?.to_owned())
}

/// A stage within this file: its examples call it by way of us.
fn by_us(command: Command) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    let text = command.get_after_help().map(ToString::to_string);
    let mut command = match text {
        Some(text) => command.after_help(called_by_us(&text)),
        None => command,
    };
    for name in names {
        command = command.mut_subcommand(name, by_us);
    }
    command
}

/// Where a command of ours begins in an example. Made once: each start asks for every help text.
static BEGINS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let begins = "(?m)(^  |&& |then |else |; )(preflight|runner-check|healthgate|rollback|traffic|migrate|incident)( |$)";
    Regex::new(begins).ok()
});

/// Puts our name before a stage's.
fn called_by_us(text: &str) -> String {
    match &*BEGINS {
        Some(begins) => begins
            .replace_all(text, "${1}deploy-guard ${2}${3}")
            .into_owned(),
        None => text.to_owned(),
    }
}

/// Dispatches to the stage. By way of a link with a stage's name it is the binary of that stage.
pub fn main() -> ExitCode {
    match program_name().as_deref().and_then(StageName::of) {
        Some(StageName::Preflight) => return cli::run::<preflight::Stage>(),
        Some(StageName::RunnerCheck) => return cli::run::<runner_check::Stage>(),
        Some(StageName::Healthgate) => return cli::run::<healthgate::Stage>(),
        Some(StageName::Rollback) => return cli::run::<rollback::Stage>(),
        Some(StageName::Traffic) => return cli::run::<traffic::Stage>(),
        Some(StageName::Migrate) => return cli::run::<migrate::Stage>(),
        Some(StageName::Incident) => return cli::run::<incident::Stage>(),
        _ => {}
    }
    if let Some(code) = cli::worker() {
        return code;
    }
    let env = cli::process_env();
    let matches = match cli::parse(command(), &env, std::env::args_os()) {
        Ok(matches) => matches,
        Err(code) => return code.into(),
    };
    let Some((name, matches)) = matches.subcommand() else {
        return model::ExitCode::Usage.into();
    };
    match name {
        "preflight" => cli::dispatch::<preflight::Stage>(matches, &env),
        "runner-check" => cli::dispatch::<runner_check::Stage>(matches, &env),
        "healthgate" => cli::dispatch::<healthgate::Stage>(matches, &env),
        "rollback" => cli::dispatch::<rollback::Stage>(matches, &env),
        "traffic" => cli::dispatch::<traffic::Stage>(matches, &env),
        "migrate" => cli::dispatch::<migrate::Stage>(matches, &env),
        "incident" => cli::dispatch::<incident::Stage>(matches, &env),
        "run" => cli::dispatch::<run::Stage>(matches, &env),
        "reproduce" => cli::dispatch::<reproduce::Stage>(matches, &env),
        "doctor" => cli::dispatch::<onboard::doctor::Stage>(matches, &env),
        "init" => onboard::init::main(matches, &env),
        "demo" => demo::main(matches),
        "schema" => generate::print_schema(matches),
        "completions" => shell::completions(matches, for_people()),
        "man" => shell::man(matches, for_people(), command()),
        #[cfg(debug_assertions)]
        "generate" => generate::main(matches, command()),
        _ => serve::main(matches),
    }
    .into()
}
