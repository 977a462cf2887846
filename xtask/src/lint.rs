//! Checks of what is not Rust, and of the dependency tree.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{Failure, cargo, output, program, root, run, testbed};
use crate::setup::cargo_tool::DENY;

/// shellcheck on every script.
pub(crate) fn shell() -> Result<(), Failure> {
    let mut scripts = files("", |path| {
        path.extension().is_some_and(|extension| extension == "sh")
    });
    scripts.push(root().join(".ci/run"));
    run(program("shellcheck")
        .args(["--severity=style", "--"])
        .args(scripts))
}

/// actionlint on our workflows and on the examples that users copy. What tests read is as their authors wrote it.
pub(crate) fn workflows() -> Result<(), Failure> {
    run(program(testbed().join("venv/bin/actionlint"))
        .args(["-color=false"])
        .args(files(".github", is_workflow))
        .args(files("examples", is_workflow)))
}

/// zizmor on the actions, our workflows and the examples.
pub(crate) fn security() -> Result<(), Failure> {
    let ours = ["action.yml", "setup/action.yml", ".github"];
    let mut found: Vec<PathBuf> = ours.iter().map(|path| root().join(path)).collect();
    found.extend(files("examples", is_workflow));
    // No network access: the verdict must be the same offline.
    let mut command = program(testbed().join("venv/bin/zizmor"));
    run(command
        .args(["--offline", "--no-progress", "--color=never", "--"])
        .args(found))
}

/// `deny.toml`: licences, bans and sources; with `advisories`, which are fetched, also those.
pub(crate) fn dependencies(advisories: bool) -> Result<(), Failure> {
    DENY.install()?;
    let all = ["bans", "licenses", "sources", "advisories"];
    let asked = if advisories { &all[..] } else { &all[..3] };
    run(DENY
        .command()
        .args([
            "--all-features",
            "--locked",
            "check",
            "--hide-inclusion-graph",
        ])
        .args(asked))
}

/// A second TLS provider would double what has to be trusted and patched.
pub(crate) fn one_tls_provider() -> Result<(), Failure> {
    let edges = ["--prefix=none", "--edges=normal,build", "--locked"];
    let tree = output(cargo().args(["tree", "--workspace"]).args(edges))?;
    match second_provider(&tree) {
        None => Ok(()),
        Some(name) => Err(
            Failure::new(format!("`{name}` is in the tree beside aws-lc-rs")).hint(format!(
                "see who brings it: cargo tree --workspace --invert {name}"
            )),
        ),
    }
}

/// A line's first word is the crate's name. `openssl-sys` is not among these: libssh2 takes its
/// ciphers from there, and no TLS.
fn second_provider(tree: &str) -> Option<&'static str> {
    let unwanted = [
        "ring",
        "native-tls",
        "openssl",
        "boring",
        "rustls-openssl",
        "mbedtls",
    ];
    let has = |name: &str| {
        tree.lines()
            .any(|line| line.split(' ').next() == Some(name))
    };
    unwanted.into_iter().find(|name| has(name))
}

fn is_workflow(path: &Path) -> bool {
    let lies_there = |folder: &Path| folder.ends_with(".github/workflows");
    path.parent().is_some_and(lies_there)
}

/// Every file under a folder of ours, without what is built, and what is hidden but `.github`.
fn files(folder: &str, wanted: fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let hidden = name.to_string_lossy().starts_with('.') && name != ".github";
            if path.is_dir() && !path.is_symlink() && !hidden && name != "target" {
                folders.push(path);
            } else if path.is_file() && wanted(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::second_provider;

    #[test]
    fn a_second_provider_is_seen_and_a_similar_name_is_not() {
        let good = "probe v0.1.0\naws-lc-rs v1.19.0\nopenssl-sys v0.9.1\nring-buffer v1.0.0\n";
        assert_eq!(second_provider(good), None);
        assert_eq!(
            second_provider(&format!("{good}ring v0.17.0 (*)\n")),
            Some("ring")
        );
    }
}
