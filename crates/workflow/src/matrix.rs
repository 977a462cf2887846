//! The jobs of a workflow in their order, and the rows of their matrices.

use std::collections::{BTreeMap, BTreeSet};

use yaml::{Kind, Node};

use crate::{Job, expression};

/// Rows of a matrix that are read.
const MAX_ROWS: usize = 32;

/// The jobs, each after those that it needs. Jobs that need one another in a circle never run.
pub fn in_order(jobs: &[Job]) -> Vec<usize> {
    let places: BTreeMap<&str, usize> = jobs
        .iter()
        .enumerate()
        .map(|(nth, job)| (job.id.as_str(), nth))
        .collect();
    let mut waits: Vec<usize> = vec![0; jobs.len()];
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); jobs.len()];
    for (nth, job) in jobs.iter().enumerate() {
        for needed in job
            .needs
            .iter()
            .filter_map(|need| places.get(need.as_str()))
        {
            waits[nth] += 1;
            after[*needed].push(nth);
        }
    }
    let mut ready: BTreeSet<usize> = (0..jobs.len()).filter(|nth| waits[*nth] == 0).collect();
    let mut order = Vec::new();
    while let Some(nth) = ready.pop_first() {
        order.push(nth);
        for later in &after[nth] {
            waits[*later] -= 1;
            if waits[*later] == 0 {
                ready.insert(*later);
            }
        }
    }
    order
}

/// The rows of a matrix that the workflow itself says.
pub fn rows(matrix: Option<&Node>) -> Vec<BTreeMap<String, String>> {
    let Some(matrix) = matrix else {
        return vec![BTreeMap::new()];
    };
    let mut rows = vec![BTreeMap::new()];
    for (key, node) in matrix.entries() {
        if matches!(key.name.as_str(), "include" | "exclude") || node.items().is_empty() {
            continue;
        }
        let mut more = Vec::new();
        for row in &rows {
            for item in node.items() {
                let mut row: BTreeMap<String, String> = row.clone();
                flat(&key.name, item, &mut row);
                more.push(row);
            }
        }
        rows = more;
        rows.truncate(MAX_ROWS);
    }
    let included = matrix.get("include").map_or(&[][..], Node::items);
    for one in included.iter().take(MAX_ROWS) {
        let mut row = BTreeMap::new();
        for (key, value) in one.entries() {
            flat(&key.name, value, &mut row);
        }
        let same = |other: &&mut BTreeMap<String, String>| {
            !other.is_empty()
                && other
                    .iter()
                    .all(|(key, value)| row.get(key).is_none_or(|one| one == value))
        };
        if rows.len() == 1 && rows[0].is_empty() {
            rows[0] = row;
        } else if let Some(other) = rows.iter_mut().find(same) {
            other.extend(row);
        } else {
            rows.push(row);
        }
    }
    rows.truncate(MAX_ROWS);
    rows
}

/// The rows with what their environment is called, and nothing else.
pub fn opened(rows: Vec<BTreeMap<String, String>>, job: &Job) -> Vec<BTreeMap<String, String>> {
    let environment = job
        .environment
        .as_ref()
        .map_or("", |text| text.value.text());
    let names = |key: &String| {
        expression::inners(environment)
            .any(|inner| expression::reads(inner, &format!("matrix.{key}")))
    };
    let mut kept: Vec<BTreeMap<String, String>> = Vec::new();
    for mut row in rows {
        row.retain(|key, _| names(key));
        if !kept.contains(&row) {
            kept.push(row);
        }
    }
    kept
}

fn flat(name: &str, node: &Node, row: &mut BTreeMap<String, String>) {
    match &node.kind {
        Kind::Scalar(scalar) => {
            row.insert(name.to_owned(), scalar.text.clone());
        }
        Kind::Map(entries) => {
            for (key, value) in entries {
                flat(&format!("{name}.{}", key.name), value, row);
            }
        }
        Kind::List(_) => {}
    }
}
