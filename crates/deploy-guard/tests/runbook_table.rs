//! The tables of the runbooks and of the faults from the field name only existing tests, and each
//! runbook's table lists all of its tests.

use std::collections::BTreeSet;

use crate::documented::{named, sources, tests, there};

const TABLE: &str = "docs/runbooks/README.md";

/// One row: the runbook's heading above it, and its cells.
struct Row {
    runbook: String,
    cells: Vec<String>,
}

impl Row {
    fn shown_by(&self) -> &str {
        self.cells.last().unwrap()
    }
}

fn rows(text: &str) -> Vec<Row> {
    let mut runbook = String::new();
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            heading.clone_into(&mut runbook);
        }
        // The header's own cell is `page`.
        if !line.starts_with('|') || line.starts_with("| page |") || line.starts_with("| ---") {
            continue;
        }
        let cells = line
            .strip_prefix("| ")
            .and_then(|line| line.strip_suffix(" |"));
        let cells = cells.unwrap_or_else(|| panic!("no row: {line}"));
        rows.push(Row {
            runbook: runbook.clone(),
            cells: cells.split(" | ").map(str::to_owned).collect(),
        });
    }
    rows
}

fn table() -> Vec<Row> {
    let rows = rows(&std::fs::read_to_string(testkit::workspace().join(TABLE)).unwrap());
    assert!(rows.len() > 100, "{}", rows.len());
    rows
}

#[test]
fn every_row_names_a_test_that_is_there_or_says_not_yet() {
    let sources = sources();
    for row in table() {
        let cells = &row.cells;
        assert_eq!(cells.len(), 5, "{cells:?}");
        assert!(
            cells.iter().all(|cell| !cell.trim().is_empty()),
            "{cells:?}"
        );
        if row.shown_by().starts_with("not yet: ") {
            continue;
        }
        let tests = named(row.shown_by());
        assert!(
            !tests.is_empty(),
            "neither a test nor \"not yet\": {cells:?}"
        );
        for (test, file) in tests {
            there(&sources, &test, &file);
        }
    }
}

#[test]
fn every_test_of_a_runbook_stands_in_the_table() {
    let shown = table();
    let shown = shown
        .iter()
        .filter(|row| !row.shown_by().starts_with("not yet"));
    let listed: BTreeSet<(String, String)> = shown.flat_map(|row| named(row.shown_by())).collect();
    let mut found = 0;
    for (file, tests) in sources() {
        for test in tests
            .into_iter()
            .filter(|test| test.starts_with("runbook_"))
        {
            found += 1;
            let place = (test, file.clone());
            assert!(listed.contains(&place), "no row of {TABLE} names {place:?}");
        }
    }
    assert!(found > 40, "{found}");
}

/// A page is found by its runbook: each has its heading, in their order.
#[test]
fn the_table_has_all_five_runbooks() {
    let mut headings: Vec<String> = table().into_iter().map(|row| row.runbook).collect();
    headings.dedup();
    let numbers: Vec<&str> = headings.iter().map(|heading| &heading[..3]).collect();
    assert_eq!(numbers, ["000", "001", "002", "003", "004"], "{headings:?}");
}

#[test]
fn a_table_that_is_wrong_would_be_noticed() {
    let text = "## 000 One\n| page | what |\n| --- | --- |\n| a | b | c | d | `one`, `two` in `x.rs`; `three` in `y.rs` |\n| a | b | c | d | |\n";
    let rows = rows(&text.replace("d | |", "d |  |"));
    let told: Vec<String> = named(rows[0].shown_by())
        .into_iter()
        .map(|(test, file)| format!("{file}:{test}"))
        .collect();
    assert_eq!(told, ["x.rs:one", "x.rs:two", "y.rs:three"]);
    assert!(named(rows[1].shown_by()).is_empty());
    let source = "#[test]\nfn one() {}\nfn helper() {}\n#[tokio::test]\nasync fn two() {}\n#[test]\n#[ignore]\nfn three() {}\n";
    assert_eq!(
        tests(source).into_iter().collect::<Vec<_>>(),
        ["one", "two"]
    );
}

/// The rows below a heading of CONTRIBUTING.md: a kind of fault, and its tests.
fn faults() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(testkit::workspace().join("CONTRIBUTING.md")).unwrap();
    let (_, section) = text.split_once("\n## A fault from the field\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let (kind, tests) = cells.split_once(" | ")?;
        (!["kind", "---"].contains(&kind)).then(|| (kind.to_owned(), tests.to_owned()))
    });
    rows.collect()
}

#[test]
fn every_fault_from_the_field_has_a_test_that_carries_its_kind() {
    let sources = sources();
    let faults = faults();
    assert!(faults.len() > 50, "{}", faults.len());
    let mut kinds = BTreeSet::new();
    for (kind, cell) in &faults {
        assert!(kinds.insert(kind), "{kind} stands twice");
        let tests = named(cell);
        assert!(!tests.is_empty(), "no test is named for {kind}");
        let word = kind.replace(['-', '.'], "_");
        for (test, file) in tests {
            there(&sources, &test, &file);
            assert!(test.contains(&word), "{test} does not name {kind}");
        }
    }
}
