//! What is known, in rows: a table of evidence for a pool, and one of all runners.

use model::Table;

use crate::outcome::row;
use crate::{Judgement, Pool};

/// The evidence about a pool: source, runner, content, and age.
pub fn evidence(pool: &Pool, judgement: &Judgement) -> Table {
    let named = judgement.runners.iter().flat_map(|r| &r.evidence);
    Table {
        title: format!("{}: {}", pool.name, judgement.state),
        header: vec!["source", "runner", "state", "age", "evidence"],
        rows: named.chain(&judgement.about_pool).map(row).collect(),
        only_in_summary: false,
    }
}

/// Every runner with its state, and why.
pub fn runners(title: String, judgement: &Judgement, labels: impl Fn(&str) -> String) -> Table {
    let row = |runner: &crate::judge::JudgedRunner| {
        vec![
            runner.name.clone(),
            runner.merged.state.to_string(),
            labels(&runner.name),
            runner.merged.reason.clone(),
        ]
    };
    Table {
        title,
        header: vec!["runner", "state", "labels", "why"],
        rows: judgement.runners.iter().map(row).collect(),
        only_in_summary: false,
    }
}
