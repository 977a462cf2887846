//! Subcommands of cargo that this machine may not have. They are built into the test bed.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::command::{Failure, cargo, run, succeeds, testbed};

/// Runs each test in a process of its own and reports how long each took.
pub(crate) const NEXTEST: Tool = Tool {
    name: "nextest",
    version: "0.9.143",
};

/// Holds the dependencies against `deny.toml`.
pub(crate) const DENY: Tool = Tool {
    name: "deny",
    version: "0.20.2",
};

/// `cargo NAME`, of the crate `cargo-NAME`.
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
}

impl Tool {
    /// Builds it into the test bed, unless it is there or on this machine.
    pub(crate) fn install(&self) -> Result<(), Failure> {
        if succeeds(self.command().arg("--version")) {
            return Ok(());
        }
        let package = format!("cargo-{}", self.name);
        println!("missing {package}: it is built into the test bed");
        let (root, build) = (root(), testbed().join(format!("{}-build", self.name)));
        let mut install = cargo();
        install.args(["install", "--quiet", "--locked", &package]);
        // It waits for others: a build for speed would take longer than it saves.
        install
            .args(["--debug", "--version", self.version])
            .arg("--root");
        let result = run(install.arg(root).arg("--target-dir").arg(&build));
        // Its dependencies are of no further use; what is left of them costs only space.
        let _ = fs::remove_dir_all(build);
        result
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = cargo();
        let own = root().join("bin");
        let path = env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = env::split_paths(&path).chain([own]).collect();
        if let Ok(path) = env::join_paths(folders) {
            command.env("PATH", path);
        }
        command.arg(self.name);
        command
    }
}

fn root() -> PathBuf {
    testbed().join("cargo")
}
