//! cargo-nextest, which runs each test in a process of its own and tells how long each took.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::command::{Failure, cargo, run, succeeds, testbed};

const VERSION: &str = "0.9.143";

/// Builds it into the test bed where this machine has none.
pub(crate) fn install() -> Result<(), Failure> {
    if succeeds(command().arg("--version")) {
        return Ok(());
    }
    println!("missing cargo-nextest: it is built into the test bed");
    let (root, build) = (root(), testbed().join("nextest-build"));
    let mut install = cargo();
    install.args(["install", "--quiet", "--locked", "cargo-nextest"]);
    // It waits for tests: a build for speed would take longer than it saves.
    install
        .args(["--debug", "--version", VERSION])
        .arg("--root");
    let result = run(install.arg(root).arg("--target-dir").arg(&build));
    // Its dependencies are of no further use; what is left of them costs only space.
    let _ = fs::remove_dir_all(build);
    result
}

/// `cargo nextest`.
pub(crate) fn command() -> Command {
    let mut command = cargo();
    let own = root().join("bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).chain([own]).collect();
    if let Ok(path) = env::join_paths(folders) {
        command.env("PATH", path);
    }
    command.arg("nextest");
    command
}

fn root() -> PathBuf {
    testbed().join("cargo")
}
