//! The inputs that are flags, as `action/run.sh` has them.

use std::fs;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Each line is a value.
    Line,
    /// All of it is one value.
    Text,
    /// `true` or `false`.
    Switch,
}

#[derive(Debug)]
pub(crate) struct Row {
    /// As a workflow spells it.
    pub(crate) input: String,
    pub(crate) flag: String,
    pub(crate) how: How,
    pub(crate) stages: Vec<String>,
}

impl Row {
    /// The arguments that a text becomes.
    pub(crate) fn arguments(&self, text: &str) -> Vec<String> {
        let flag = &self.flag;
        match self.how {
            How::Line => {
                let lines = text.lines().filter(|line| !line.trim().is_empty());
                lines.map(|line| format!("{flag}={line}")).collect()
            }
            How::Text => vec![format!("{flag}={}", text.trim_end_matches(['\r', '\n']))],
            How::Switch if text == "true" => vec![flag.clone()],
            How::Switch => Vec::new(),
        }
    }
}

pub(crate) fn rows() -> Vec<Row> {
    let script = fs::read_to_string(testkit::workspace().join("action/run.sh")).unwrap();
    let (_, table) = script.split_once("readonly FLAG_INPUTS=(\n").unwrap();
    let (table, _) = table.split_once("\n)\n").unwrap();
    let rows: Vec<Row> = table.lines().map(row).collect();
    assert!(rows.len() > 20, "{rows:?}");
    rows
}

fn row(line: &str) -> Row {
    let mut words = line.trim().trim_matches('\'').split(' ');
    let mut next = || words.next().unwrap().to_owned();
    let input = next().to_lowercase().replace('_', "-");
    let flag = next();
    let how = match next().as_str() {
        "line" => How::Line,
        "text" => How::Text,
        "switch" => How::Switch,
        other => panic!("{line}: {other}"),
    };
    let stages = words.map(str::to_owned).collect();
    Row {
        input,
        flag,
        how,
        stages,
    }
}
