//! Running programs, and where things are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Why a task stopped, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) what: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Failure {
            what: what.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The folder with the workspace's `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        // Where cargo runs us from, not where we were built: checkouts may share a target folder.
        let here = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let here = here.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        // A test of another crate may have started us.
        let root = here.ancestors().find(|f| f.join("Cargo.lock").is_file());
        root.unwrap_or(Path::new(".")).to_owned()
    });
    &ROOT
}

/// The folder that cargo builds into.
pub(crate) fn target() -> PathBuf {
    // This program lies in `TARGET/PROFILE/`: the one place where a setting in any of cargo's
    // configuration files has been taken into account.
    env::current_exe()
        .ok()
        .and_then(|exe| exe.ancestors().nth(2).map(Path::to_owned))
        .unwrap_or_else(|| root().join("target"))
}

/// The folder with the installed PyPI and npm packages.
pub(crate) fn testbed() -> PathBuf {
    env::var_os("DEPLOY_GUARD_TESTBED").map_or_else(|| target().join("testbed"), PathBuf::from)
}

/// The cargo that runs us, on the workspace, into the same target folder.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(root())
        .env("CARGO_TARGET_DIR", target());
    command.env("DEPLOY_GUARD_TESTBED", testbed());
    // Cargo's variables describe our package; a program that we start must not take them for its own.
    for (name, _) in env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_"))
        {
            command.env_remove(name);
        }
    }
    command
}

/// A program, in the workspace.
pub(crate) fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// Runs to the end, with its output on ours.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::new(format!(
            "`{}` ended with {status}",
            shown(command)
        ))),
        Err(error) => Err(not_started(command, &error)),
    }
}

/// Runs to the end; what it wrote to stdout, if it succeeded.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .output()
        .map_err(|error| not_started(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    // apt explains on stdout what it calls an error on stderr.
    let printed = [output.stderr, output.stdout].concat();
    let printed = String::from_utf8_lossy(&printed).trim().to_owned();
    let line = shown(command);
    Err(Failure::new(format!(
        "`{line}` ended with {}: {printed}",
        output.status
    )))
}

/// Whether it runs and succeeds, in silence.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The command as a person would type it: the program by its name alone.
pub(crate) fn shown(command: &Command) -> String {
    let path = command.get_program();
    let program = Path::new(path).file_name().unwrap_or(path);
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!("failed to start `{}`: {error}", shown(command)))
}
