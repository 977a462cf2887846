//! The JSON Schemas and the reference pages, written by `deploy-guard` from its own types.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{Failure, cargo, program, root, run, target};

/// Writes them into the checkout.
pub(crate) fn write() -> Result<(), Failure> {
    generate(root())
}

/// Says which of the committed ones differ.
pub(crate) fn check() -> Result<(), Failure> {
    compare(generate)
}

/// The same with the program that the tests were built with. By itself cargo would build its
/// dependencies anew, without the features that the tests add to them.
pub(crate) fn check_built() -> Result<(), Failure> {
    let built = target().join("debug/deploy-guard");
    compare(|folder| run(program(&built).arg("generate").arg(folder)))
}

fn compare(generate: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
    let fresh = tempfile::tempdir().map_err(|error| Failure::new(error.to_string()))?;
    generate(fresh.path())?;
    let made = files(fresh.path());
    if made.is_empty() {
        return Err(Failure::new("nothing was generated"));
    }
    let stale: Vec<String> = made
        .iter()
        .filter(|name| fs::read(fresh.path().join(name)).ok() != fs::read(root().join(name)).ok())
        .map(|name| name.display().to_string())
        .collect();
    if stale.is_empty() {
        println!("{} generated files are current", made.len());
        return Ok(());
    }
    Err(Failure::new(format!("not current: {}", stale.join(", ")))
        .hint("run `cargo xtask generate` and commit what it wrote"))
}

fn generate(folder: &Path) -> Result<(), Failure> {
    let mut command = cargo();
    command.args([
        "run",
        "--quiet",
        "--package",
        "deploy-guard",
        "--",
        "generate",
    ]);
    run(command.arg(folder))
}

/// Every file below a folder, by its path from there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(name) = path.strip_prefix(folder) {
                found.push(name.to_owned());
            }
        }
    }
    found.sort();
    found
}
