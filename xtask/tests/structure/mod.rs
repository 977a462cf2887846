//! How the workspace is built: the order of its crates, the size of each, and files that use one
//! another in one direction only.

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A crate of more lines is two crates.
pub(crate) const MAX_LINES: usize = 7000;

fn crates() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(testkit::workspace().join("crates")).unwrap();
    let mut crates: Vec<_> = folders.map(|folder| folder.unwrap().path()).collect();
    crates.sort();
    assert!(crates.len() > 15, "{crates:?}");
    crates
}

/// The crates from the bottom to the top, as CONTRIBUTING.md lists them: a crate may use those of
/// the lines above its own.
fn floors() -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(testkit::workspace().join("CONTRIBUTING.md")).unwrap();
    let list = text.lines().filter_map(|line| line.strip_prefix("    "));
    list.enumerate()
        .flat_map(|(floor, line)| line.split(", ").map(move |name| (name.to_owned(), floor)))
        .collect()
}

#[test]
fn contributing_tells_of_every_crate_what_it_does() {
    let text = std::fs::read_to_string(testkit::workspace().join("CONTRIBUTING.md")).unwrap();
    let table = text.split("| crate | what it does |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| !line.is_empty());
    let told: BTreeSet<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    let crates = crates();
    let names = crates.iter().filter_map(|path| path.file_name()?.to_str());
    assert_eq!(told, names.collect());
}

/// Our crates that a crate uses.
#[derive(Default)]
struct Used {
    /// In its library and programs.
    built: BTreeSet<String>,
    /// In its tests only.
    tested: BTreeSet<String>,
}

/// Of each crate below `crates/`, as cargo reads the manifests.
fn used() -> BTreeMap<String, Used> {
    let told = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(testkit::workspace())
        .output()
        .unwrap();
    assert!(
        told.status.success(),
        "{}",
        String::from_utf8_lossy(&told.stderr)
    );
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let crates = testkit::workspace().join("crates");
    let mut all = BTreeMap::new();
    for package in told["packages"].as_array().unwrap() {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        if !Path::new(&text(&package["manifest_path"])).starts_with(&crates) {
            continue;
        }
        let mut used = Used::default();
        for dependency in package["dependencies"].as_array().unwrap() {
            if dependency["path"].is_null() {
                continue;
            }
            let name = text(&dependency["name"]);
            match dependency["kind"].as_str() {
                Some("dev") => used.tested.insert(name),
                _ => used.built.insert(name),
            };
        }
        all.insert(text(&package["name"]), used);
    }
    all
}

#[test]
fn crates_use_only_those_below_them() {
    let (floors, mut crates) = (floors(), used());
    let testkit = crates.remove("testkit").unwrap();
    assert!(testkit.built.is_empty() && testkit.tested.is_empty());
    let there: BTreeSet<_> = crates.keys().collect();
    let listed: BTreeSet<_> = floors.keys().collect();
    assert_eq!(listed, there, "the list in CONTRIBUTING.md");
    let mut wrong = Vec::new();
    for (name, used) in &crates {
        let is_below = |other: &str| floors.get(other).is_some_and(|floor| *floor < floors[name]);
        for other in &used.built {
            if !is_below(other) {
                wrong.push(format!("{name} uses {other}"));
            }
        }
        for other in &used.tested {
            if other != "testkit" && !is_below(other) {
                wrong.push(format!("the tests of {name} use {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The list in CONTRIBUTING.md may grow, and not turn round: a measurement knows no policy, what is journalled knows no
/// stage, and stages meet only through reports and the state.
#[test]
fn the_list_keeps_the_order_of_the_architecture() {
    let floors = floors();
    for order in [
        &["model", "config", "probe", "gate", "watch", "healthgate"][..],
        &["model", "state", "target", "engine", "cli", "rollback"],
        &["judge", "canary", "watch"],
        &["healthgate", "onboard", "deploy-guard"],
    ] {
        let is_above = |pair: &[&str]| floors[pair[0]] < floors[pair[1]];
        assert!(order.windows(2).all(is_above), "{order:?}");
    }
    let stages = "healthgate incident migrate preflight rollback runner-check traffic";
    let stages: BTreeSet<_> = stages.split(' ').map(|stage| floors[stage]).collect();
    assert_eq!(stages.len(), 1, "no stage uses another one");
}

/// Every Rust file below a folder.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            all.push(path);
        }
    }
    all
}

#[test]
fn a_crate_has_no_more_than_seven_thousand_lines() {
    for folder in crates() {
        let files = rust_files(&folder.join("src"));
        let lines = files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap().lines().count());
        let lines: usize = lines.sum();
        assert!(lines <= MAX_LINES, "{}: {lines} lines", folder.display());
    }
}

/// A new field of a report does not compile until it is redacted, or passed on by its name.
#[test]
fn what_is_redacted_is_taken_apart_whole() {
    for file in rust_files(&testkit::workspace().join("crates/model/src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let redacts = text.contains("fn redacted");
        let rest = text
            .lines()
            .map(str::trim)
            .filter(|_| redacts)
            .find(|line| {
                let rest = line
                    .strip_prefix("..")
                    .map(|rest| rest.trim_end_matches(','));
                rest.is_some_and(|rest| {
                    !rest.is_empty() && rest.chars().all(|c| c.is_ascii_lowercase())
                })
            });
        assert_eq!(rest, None, "{}", file.display());
    }
}

/// Rust files in `folder` that `file`, or a module below it, does not declare.
fn undeclared(file: &Path, folder: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let inner = path.join("mod.rs");
        let is_rust = path.extension().is_some_and(|ending| ending == "rs");
        if path == file || !(is_rust || inner.exists()) {
            continue;
        }
        let name = path.file_stem().unwrap().display();
        let declared = format!("mod {name};");
        let is_it = |line: &str| line.trim_start_matches("pub(crate) ") == declared;
        if !text.lines().any(is_it) {
            found.push(path);
        } else if is_rust {
            found.extend(undeclared(&path, &path.with_extension("")));
        } else {
            found.extend(undeclared(&inner, &path));
        }
    }
    found
}

/// Cargo looks for no tests where `Cargo.toml` names them.
#[test]
fn every_test_is_in_a_program_that_runs() {
    let mut wrong = Vec::new();
    for folder in crates()
        .into_iter()
        .chain([testkit::workspace().join("xtask")])
    {
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        if manifest.contains("autotests = false") {
            let tests = folder.join("tests");
            wrong.extend(undeclared(&tests.join("main.rs"), &tests));
        }
        let of_a_table = |table: &str| {
            let text = manifest.split_once(&format!("{table}\n"))?.1;
            text.split("\n[").next().map(str::to_owned)
        };
        let without = |table: &str, key: &str| {
            let line = format!("{key} = false");
            of_a_table(table).is_some_and(|text| text.lines().any(|it| it == line))
        };
        let source = folder.join("src");
        for file in rust_files(&source) {
            let text = std::fs::read_to_string(&file).unwrap();
            let is_program = file == source.join("main.rs");
            let untested = without(if is_program { "[[bin]]" } else { "[lib]" }, "test");
            let is_shown = |line: &str| {
                let line = line.trim_start();
                line.starts_with("/// ```") || line.starts_with("//! ```")
            };
            let unshown = without("[lib]", "doctest");
            if untested && text.contains("#[cfg(test)]") || unshown && text.lines().any(is_shown) {
                wrong.push(file);
            }
        }
    }
    assert!(wrong.is_empty(), "no program runs their tests: {wrong:#?}");
}

/// The crates that a build takes, each with its features: `name version|feature,feature`.
fn built(selection: &[&str]) -> BTreeSet<String> {
    let told = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix", "none"])
        .args(["--format", "{p}|{f}"])
        .args(selection)
        .current_dir(testkit::workspace())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{error}");
    let text = String::from_utf8(told.stdout).unwrap();
    // So is marked what was listed before.
    let lines = text.lines().map(|line| line.trim_end_matches(" (*)"));
    lines.map(str::to_owned).collect()
}

/// Otherwise the tests would run another binary than users do, and cargo would build every crate twice.
#[test]
fn what_is_released_has_the_features_that_tests_build() {
    let released = built(&["--package", "deploy-guard", "--edges", "normal,build"]);
    let tested = built(&["--workspace"]);
    let other: Vec<_> = released.difference(&tested).collect();
    assert!(
        other.is_empty(),
        "ask for the features of the tests in Cargo.toml too: {other:#?}"
    );
}

/// The logs of a crate are shown only if `cli` lists the crate as ours.
#[test]
fn every_crate_may_log() {
    let log = testkit::workspace().join("crates/cli/src/log.rs");
    let log = std::fs::read_to_string(log).unwrap();
    let (_, list) = log.split_once("const OURS: &[&str] = &[").unwrap();
    let (list, _) = list.split_once("];").unwrap();
    let named = list.split(',').map(|name| name.trim().trim_matches('"'));
    let named: BTreeSet<_> = named
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    let there: BTreeSet<_> = floors().keys().map(|name| name.replace('-', "_")).collect();
    assert_eq!(named, there);
}

/// Each circle of files of the crate in a folder, with the paths that make it one.
fn circles(folder: &Path) -> Vec<String> {
    let source = folder.join("src");
    let root = ["lib.rs", "main.rs"].map(|name| source.join(name));
    let root = root.iter().find(|root| root.exists()).unwrap();
    let uses = files::uses(root);
    let name = |file: &Path| file.strip_prefix(&source).unwrap().display().to_string();
    let mut all = Vec::new();
    for circle in files::circles(&uses) {
        let mut told = String::new();
        for from in &circle {
            for (to, path) in uses[from].iter().filter(|(to, _)| circle.contains(*to)) {
                writeln!(told, "{} uses {} by {path}", name(from), name(to)).unwrap();
            }
        }
        all.push(told);
    }
    all
}

#[test]
fn files_of_a_crate_use_one_another_in_one_direction() {
    let mut told = String::new();
    for folder in crates() {
        for circle in circles(&folder) {
            let name = folder.file_name().unwrap().display();
            writeln!(told, "{name}:\n{circle}").unwrap();
        }
    }
    assert!(told.is_empty(), "\n{told}");
}

/// Whether these files, `name: text`, are found to use one another in a circle.
fn is_circle(files: &[(&str, &str)]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join("src").join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    !circles(folder.path()).is_empty()
}

#[test]
fn a_circle_is_found_however_the_files_name_one_another() {
    let b = ("b.rs", "use crate::a::A; pub struct B(A);");
    let two = |root, a| is_circle(&[("lib.rs", root), ("a.rs", a), b]);
    let root = "mod a; mod b;";
    assert!(two(root, "use crate::b::B; pub struct A;"));
    assert!(two(root, "use super::b::{B as Other}; pub struct A;"));
    assert!(two(root, "pub struct A(crate::b::B);"));
    assert!(two(
        root,
        "pub struct A; fn x() { println!(\"{}\", crate::b::x()) }"
    ));
    assert!(two(
        root,
        "pub struct A; mod inside { use super::super::b::B; }"
    ));
    assert!(two(
        "mod a; mod b; pub use b::B;",
        "use crate::B; pub struct A;"
    ));
    assert!(two(
        "mod a; mod b; pub use b::*;",
        "pub struct A(crate::B);"
    ));
    assert!(two(
        "mod a; mod b; use b::B;",
        "use super::B; pub struct A;"
    ));
}

#[test]
fn what_is_of_another_crate_or_of_tests_is_no_circle() {
    let b = ("b.rs", "use crate::a::A; pub struct B(A);");
    let two = |root, a| is_circle(&[("lib.rs", root), ("a.rs", a), b]);
    let root = "mod a; mod b;";
    assert!(!two(root, "pub struct A;"));
    assert!(!two(root, "use b::B; pub struct A;"));
    assert!(!two(root, "/// See [`crate::b::B`].\npub struct A;"));
    assert!(!two(
        root,
        "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }"
    ));
    assert!(!two(root, "#[cfg(test)] use crate::b::B; pub struct A;"));
    assert!(!two(
        "mod a; mod b; pub use serde::B;",
        "use crate::B; pub struct A;"
    ));
}

#[test]
fn a_parent_and_its_child_are_a_circle_where_each_uses_the_other() {
    let below = |parent, child| {
        let root = ("lib.rs", "mod parent;");
        is_circle(&[root, ("parent.rs", parent), ("parent/child.rs", child)])
    };
    let uses = "use super::P; pub struct C(P);";
    assert!(below("mod child; pub struct P; fn x(_: child::C) {}", uses));
    assert!(below("mod child; use child::C; pub struct P;", uses));
    assert!(below(
        "mod child; pub use child::C; pub struct P; fn x(_: C) {}",
        uses
    ));
    assert!(!below("mod child; pub struct P;", uses));
    assert!(!below("mod child; pub use child::C; pub struct P;", uses));
    assert!(!below(
        "mod child; use child::C; pub struct P;",
        "pub struct C;"
    ));
}
