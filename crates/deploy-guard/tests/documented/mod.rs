//! Tests that the documentation names: `name` in `path`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each test that a cell names, with its file: `one`, `two` in `x.rs`; `three` in `y.rs`.
pub(crate) fn named(cell: &str) -> Vec<(String, String)> {
    let mut tests = Vec::new();
    let mut waiting = Vec::new();
    // Every second piece is between backticks.
    for word in cell.split('`').skip(1).step_by(2) {
        if Path::new(word).extension().is_some() {
            let file = |name: &str| (name.to_owned(), word.to_owned());
            tests.extend(waiting.drain(..).map(file));
        } else {
            waiting.push(word);
        }
    }
    assert!(
        waiting.is_empty(),
        "no file is named for {waiting:?}: {cell}"
    );
    tests
}

/// The names of a source file's test functions.
pub(crate) fn tests(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut marked = false;
    // A macro that makes a test of each name in its braces, once for each version of a server.
    let mut listed = false;
    for line in source.lines().map(str::trim) {
        if line == "testkit::with_both! {" {
            listed = true;
        } else if listed {
            listed = line != "}";
            found.extend(
                line.split_whitespace()
                    .filter(|word| *word != "}")
                    .map(str::to_owned),
            );
        } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if line.starts_with("#[ignore") {
            marked = false;
        } else if let Some((_, rest)) = line.split_once("fn ")
            && marked
        {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            found.insert(name.to_owned());
            marked = false;
        }
    }
    found
}

/// Every source file below `crates/`, by its path from the root, with its tests.
pub(crate) fn sources() -> BTreeMap<String, BTreeSet<String>> {
    let root = testkit::workspace();
    let mut folders: Vec<PathBuf> = vec![root.join("crates")];
    let mut found = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.insert(name, tests(&text));
            }
        }
    }
    found
}

#[track_caller]
pub(crate) fn there(sources: &BTreeMap<String, BTreeSet<String>>, test: &str, file: &str) {
    let tests = sources.get(file);
    let tests = tests.unwrap_or_else(|| panic!("there is no {file}"));
    assert!(tests.contains(test), "there is no test {test} in {file}");
}
