//! What a change can affect: the packages whose tests could end differently.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{Failure, cargo, output, program, root, succeeds};

/// A package of the workspace.
#[derive(Debug)]
struct Package {
    /// From the root, such as `crates/probe`.
    folder: String,
    /// The packages of the workspace that it is built from.
    built_from: BTreeSet<String>,
    /// What its tests say: they name the binaries that they start and the files that they read.
    tests: String,
}

/// The tests to run after a change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Affected {
    All,
    /// Those of these packages.
    Of(BTreeSet<String>),
}

impl Affected {
    /// For `cargo nextest run --filterset`.
    pub(crate) fn filter(&self) -> Option<String> {
        let Affected::Of(packages) = self else {
            return None;
        };
        let terms = packages.iter().map(|name| format!("package(={name})"));
        Some(terms.collect::<Vec<_>>().join(" | "))
    }
}

/// What has changed since `revision`, committed or not; where it is empty, since this branch left
/// `main`.
pub(crate) fn since(revision: &str) -> Result<Affected, Failure> {
    let base = if revision.is_empty() {
        branched_from()?
    } else {
        revision.to_owned()
    };
    let mut changed =
        output(program("git").args(["diff", "--name-only", "--no-renames", &base, "--"]))?;
    changed.push_str(&output(program("git").args([
        "ls-files",
        "--others",
        "--exclude-standard",
    ]))?);
    let changed: Vec<&str> = changed.lines().collect();
    if changed.is_empty() {
        return Err(Failure::new(format!("nothing has changed since {base}"))
            .hint("name an older commit: `cargo xtask test --changed HEAD~1`"));
    }
    println!("{} file(s) have changed since {base}", changed.len());
    Ok(affected(&packages()?, &changed))
}

fn branched_from() -> Result<String, Failure> {
    let is_known =
        |name: &&str| succeeds(program("git").args(["rev-parse", "--quiet", "--verify", name]));
    let main = ["origin/main", "main"].into_iter().find(is_known);
    let main = main.ok_or_else(|| {
        Failure::new("this repository has no branch `main`")
            .hint("name a commit: `cargo xtask test --changed HEAD~1`")
    })?;
    let base = output(program("git").args(["merge-base", "HEAD", main]))?;
    Ok(base.trim().to_owned())
}

fn packages() -> Result<BTreeMap<String, Package>, Failure> {
    let text = output(cargo().args(["metadata", "--no-deps", "--format-version=1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("cargo metadata is not JSON: {error}")))?;
    let mut packages = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap_or_default());
        let folder = manifest.parent().unwrap_or(root());
        let below = folder.strip_prefix(root()).unwrap_or(folder);
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let ours = dependencies.filter(|one| !one["path"].is_null());
        let built_from = ours.filter_map(|one| one["name"].as_str().map(str::to_owned));
        let found = Package {
            folder: below.display().to_string(),
            built_from: built_from.collect(),
            tests: text_of(&folder.join("tests")),
        };
        packages.insert(
            package["name"].as_str().unwrap_or_default().to_owned(),
            found,
        );
    }
    Ok(packages)
}

/// The text of every file in Rust below a folder.
fn text_of(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            text.push_str(&text_of(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap_or_default());
        }
    }
    text
}

fn affected(packages: &BTreeMap<String, Package>, changed: &[&str]) -> Affected {
    let mut found = BTreeSet::new();
    for path in changed {
        let within = |package: &Package| Path::new(path).starts_with(&package.folder);
        if let Some((name, _)) = packages.iter().find(|(_, package)| within(package)) {
            found.insert(name.clone());
            continue;
        }
        // A document or an example: for its readers.
        let first = path.split('/').next().unwrap_or(path);
        let readers: BTreeSet<String> = packages
            .iter()
            .filter(|(_, package)| package.tests.contains(first))
            .map(|(name, _)| name.clone())
            .collect();
        if readers.is_empty() || first.starts_with("Cargo.") {
            return Affected::All;
        }
        found.extend(readers);
    }
    loop {
        let reached = packages.iter().filter(|(name, package)| {
            let starts = |other: &&String| package.tests.contains(&format!("\"{other}\""));
            !found.contains(*name)
                && (!package.built_from.is_disjoint(&found) || found.iter().any(|one| starts(&one)))
        });
        let reached: BTreeSet<String> = reached.map(|(name, _)| name.clone()).collect();
        if reached.is_empty() {
            return Affected::Of(found);
        }
        found.extend(reached);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(changed: &[&str]) -> String {
        let package = |folder: &str, built_from: &[&str], tests: &str| Package {
            folder: folder.to_owned(),
            built_from: built_from.iter().map(|name| (*name).to_owned()).collect(),
            tests: tests.to_owned(),
        };
        let packages = BTreeMap::from([
            ("model".to_owned(), package("crates/model", &[], "")),
            ("probe".to_owned(), package("crates/probe", &["model"], "")),
            ("page".to_owned(), package("crates/page", &[], "")),
            (
                "gate".to_owned(),
                package("crates/gate", &["probe"], "read(\"examples/gate\")"),
            ),
            (
                "rollback".to_owned(),
                package("crates/rollback", &[], "bin_path(\"gate\")"),
            ),
        ]);
        match affected(&packages, changed) {
            Affected::All => "all".to_owned(),
            Affected::Of(names) => names.into_iter().collect::<Vec<_>>().join(" "),
        }
    }

    #[test]
    fn a_change_affects_what_is_built_from_it_starts_it_or_reads_it() {
        assert_eq!(of(&["crates/page/src/lib.rs"]), "page");
        assert_eq!(of(&["crates/probe/src/lib.rs"]), "gate probe rollback");
        assert_eq!(of(&["examples/gate/tcp.yml"]), "gate rollback");
        assert_eq!(of(&["crates/page/x", "crates/rollback/x"]), "page rollback");
        // What could affect anything, and what is not known to affect nothing.
        assert_eq!(of(&["Cargo.lock"]), "all");
        assert_eq!(of(&["rust-toolchain.toml"]), "all");
    }
}
