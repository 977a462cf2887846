//! The workspace's own binaries, in an environment that does not depend on where tests run.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

/// The folder that holds the workspace's `Cargo.toml`.
pub fn workspace() -> &'static Path {
    static WORKSPACE: LazyLock<PathBuf> = LazyLock::new(|| {
        // Where cargo runs the test from, not where this was built: checkouts may share a target
        // folder.
        let here = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let here = here.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let mut folders = here.ancestors();
        folders
            .find(|folder| folder.join("Cargo.lock").is_file())
            .expect("crates lie below the workspace")
            .to_owned()
    });
    &WORKSPACE
}

/// The folder that cargo builds this test into, without the profile.
pub fn target_dir() -> PathBuf {
    profile_dir()
        .parent()
        .expect("a profile's folder lies in the target folder")
        .to_owned()
}

fn profile_dir() -> PathBuf {
    let exe = env::current_exe().expect("the test program has a path");
    exe.ancestors()
        .find(|folder| folder.ends_with("deps"))
        .and_then(Path::parent)
        .expect("tests lie in `deps` of their profile's folder")
        .to_owned()
}

/// A stage, or `deploy-guard`, ready to run: without the variables that change what it does, and
/// in an empty folder. A test that writes files gives the command a folder of its own.
pub fn bin(name: &str) -> assert_cmd::Command {
    let empty = target_dir().join("tmp").join("testkit-empty");
    fs::create_dir_all(&empty).expect("the empty folder can be made");
    let mut command = Command::new(bin_path(name));
    clear_environment(&mut command).current_dir(empty);
    assert_cmd::Command::from_std(command)
}

/// Takes away the variables by which CI, a colour setting or a proxy would change the outcome.
pub fn clear_environment(command: &mut Command) -> &mut Command {
    const PREFIXES: [&str; 5] = ["GITHUB_", "RUNNER_", "ACTIONS_", "DEPLOY_GUARD_", "AWS_"];
    const NAMES: [&str; 8] = [
        "DOCKER_CONFIG",
        "CI",
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "FORCE_COLOR",
        "RUST_LOG",
        "COLUMNS",
    ];
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let proxy = text.to_ascii_lowercase().ends_with("_proxy");
        if proxy || NAMES.contains(&text) || PREFIXES.iter().any(|p| text.starts_with(p)) {
            command.env_remove(&name);
        }
    }
    // No test asks beyond loopback, not even whether this is an instance of EC2.
    command.env("AWS_EC2_METADATA_DISABLED", "true")
}

/// The path of a workspace binary of the same name as its package.
///
/// Cargo builds the binaries of the package under test only. Where another package's is missing
/// or older than its sources, it is built here, once; not where `DEPLOY_GUARD_BUILT` tells that one
/// call of cargo has just built the whole workspace, as `cargo xtask test` does.
pub fn bin_path(name: &str) -> PathBuf {
    static FRESH: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let program = profile_dir().join(name);
    if env::var_os("DEPLOY_GUARD_BUILT").is_some() && program.exists() {
        return program;
    }
    let mut fresh = FRESH.lock().unwrap_or_else(PoisonError::into_inner);
    if fresh.contains(name) {
        return program;
    }
    // Test programs run side by side; two builds would only wait for each other.
    let lock = File::create(target_dir().join("testkit.lock")).expect("the lock file can be made");
    lock.lock().expect("the lock file can be locked");
    if is_stale(&program) {
        build(name);
    }
    fresh.insert(name.to_owned());
    program
}

/// Whether a source that cargo lists for the program is newer than it.
fn is_stale(program: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|data| data.modified());
    let (Ok(built), Ok(list)) = (
        changed(program),
        fs::read_to_string(program.with_extension("d")),
    ) else {
        return true;
    };
    // A make rule, `program: source source`; our paths have no spaces except in the checkout's
    // own path, and a path that is not found counts as new and costs one idle cargo call.
    let sources = list.split_once(": ").map_or("", |(_, sources)| sources);
    sources
        .split_whitespace()
        .any(|source| changed(Path::new(source)).unwrap_or(SystemTime::now()) > built)
}

fn build(package: &str) {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // Of the whole workspace, whose features are more: with those of one package every library would
    // be built again for each.
    command.args(["build", "--quiet", "--workspace", "--bin", package]);
    command
        .arg("--target-dir")
        .arg(target_dir())
        .current_dir(workspace());
    if profile_dir().ends_with("release") {
        command.arg("--release");
    }
    let status = command.status().expect("cargo can be started");
    assert!(
        status.success(),
        "cargo build --bin {package} ended with {status}"
    );
}
