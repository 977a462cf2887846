//! The repository's own commands: `cargo xtask test`, `setup`, `generate`, `demo`, `bench`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a development tool; no stage runs this code"
)]

mod bench;
mod command;
mod generate;
mod lint;
mod setup;
mod test;

use std::process::ExitCode;

use clap::Parser;

use crate::command::{Failure, cargo, run};

/// The repository's own commands.
#[derive(Parser)]
enum Task {
    /// Everything that must hold: set-up, format, lints, generated files, all tests
    Test,
    /// Install the Debian, PyPI and npm packages that the end-to-end tests need
    Setup,
    /// Write the JSON Schemas and the reference pages
    Generate {
        /// Only say whether the committed ones are current
        #[arg(long)]
        check: bool,
    },
    /// The main job with nothing installed, as in the README
    Demo {
        /// Handed to `deploy-guard demo`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Each figure as a ratio to a peer in the same run
    Bench {
        /// Only the logins at a hundred hosts, with this `preflight`
        #[arg(long, value_name = "PREFLIGHT")]
        hosts: Option<std::path::PathBuf>,
        /// Only the gate's loop, with this `healthgate`
        #[arg(long, value_name = "HEALTHGATE", conflicts_with = "hosts")]
        gate: Option<std::path::PathBuf>,
        /// Only how soon the last release is back, with this `rollback`
        #[arg(long, value_name = "ROLLBACK", conflicts_with_all = ["hosts", "gate"])]
        rollback: Option<std::path::PathBuf>,
    },
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Test => test::everything(),
        Task::Setup => setup::install(),
        Task::Generate { check: true } => generate::check(),
        Task::Generate { check: false } => generate::write(),
        Task::Demo { args } => run(cargo()
            .args([
                "run",
                "--release",
                "--package",
                "deploy-guard",
                "--",
                "demo",
            ])
            .args(args)),
        Task::Bench {
            hosts: Some(preflight),
            ..
        } => bench::hosts_with(&preflight),
        Task::Bench {
            gate: Some(healthgate),
            ..
        } => bench::gate_with(&healthgate),
        Task::Bench {
            rollback: Some(rollback),
            ..
        } => bench::rollback_with(&rollback),
        Task::Bench { .. } => bench::all(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { what, hint }) => {
            eprintln!("error: {what}");
            if let Some(hint) = hint {
                eprintln!("\nhint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}
