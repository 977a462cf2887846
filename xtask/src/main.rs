//! The repository's own commands: `cargo xtask test`, `setup`, `deny`, `generate`, `demo`, `size`, `bench`, `dist`.
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
mod changed;
mod command;
mod dist;
mod generate;
mod lint;
mod setup;
mod size;
mod test;

use std::process::ExitCode;

use clap::Parser;

use crate::changed::Affected;
use crate::command::{Failure, cargo, run};

/// The repository's own commands.
#[derive(Parser)]
enum Task {
    /// Everything that must hold: set-up, format, lints, generated files, all tests
    Test {
        /// Of the tests only those that a change can affect: since REV, else since this branch left
        /// `main`, with what is not committed
        #[arg(long, value_name = "REV", num_args = 0..=1, default_missing_value = "")]
        changed: Option<String>,
    },
    /// Install the Debian, PyPI and npm packages that the end-to-end tests need
    Setup,
    /// Hold the dependencies against `deny.toml`: licences, bans, sources
    Deny {
        /// Fetch the advisories too and hold the dependencies against them
        #[arg(long)]
        advisories: bool,
    },
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
    /// This machine's archive of a release: built, proved to be static, and installed by the
    /// Action's own script
    Dist {
        /// Where the archive goes: `dist` in the target folder, if it is not said
        #[arg(long, value_name = "DIR")]
        to: Option<std::path::PathBuf>,
        /// Pack this binary as it is instead of building one; nothing is proved of it then
        #[arg(long, value_name = "FILE")]
        binary: Option<std::path::PathBuf>,
    },
    /// What a release publishes beside its archives: their checksums, and an installer that has
    /// them within
    Checksums {
        /// The folder with the archives
        dir: std::path::PathBuf,
        /// The repository that will have the release, for the installer
        #[arg(long, value_name = "URL", default_value = "")]
        repository: String,
    },
    /// Hold the size of the release build against its limit, after `cargo build --release`
    Size,
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
        /// Only how soon a share is changed and proved, with this `traffic`
        #[arg(long, value_name = "TRAFFIC", conflicts_with_all = ["hosts", "gate", "rollback"])]
        traffic: Option<std::path::PathBuf>,
        /// How often `--traffic` changes each share. Default: 20
        #[arg(long, value_name = "N", requires = "traffic")]
        changes: Option<usize>,
        /// Only how long others wait for a migration, with this `migrate`
        #[arg(long, value_name = "MIGRATE", conflicts_with_all = ["hosts", "gate", "rollback", "traffic"])]
        migrate: Option<std::path::PathBuf>,
        /// How long a session reads the table that `--migrate` changes. Default: 30
        #[arg(long, value_name = "N", requires = "migrate")]
        seconds: Option<u64>,
        /// Only the comparison of our judge of canaries with others, on made-up traffic
        #[arg(long, conflicts_with_all = ["hosts", "gate", "rollback", "traffic", "migrate"])]
        judge: bool,
        /// Runs of each situation that `--judge` compares
        #[arg(long, value_name = "N", requires = "judge", default_value_t = 1000)]
        runs: usize,
    },
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Test { changed: None } => test::everything(&Affected::All),
        Task::Test {
            changed: Some(revision),
        } => changed::since(&revision).and_then(|affected| test::everything(&affected)),
        Task::Setup => setup::install(),
        Task::Deny { advisories } => lint::dependencies(advisories),
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
        Task::Dist { to, binary } => dist::archive(to.as_deref(), binary.as_deref()),
        Task::Checksums { dir, repository } => dist::checksums(&dir, &repository),
        Task::Size => size::check(),
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
        Task::Bench {
            traffic: Some(traffic),
            changes,
            ..
        } => bench::traffic_with(&traffic, changes),
        Task::Bench {
            migrate: Some(migrate),
            seconds,
            ..
        } => bench::migrate_with(&migrate, seconds),
        Task::Bench {
            judge: true, runs, ..
        } => bench::judge_with(runs),
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
