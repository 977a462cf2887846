//! How a real browser shows a summary, and a report's page.
//!
//! With a folder in `SCREENSHOTS` pictures of them are kept there.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{testbed, tool, workspace};

/// A summary as GitHub shows it: `elements` by name, `charts` by the kind that mermaid has drawn
/// or what it says against one, `answers`, `tables` by their cells, its `title`, and by their first
/// lines the details that are `open` and `folded`.
pub fn summary(file: &Path) -> Value {
    run_script("summary.mjs", file)
}

/// A page on a phone and on a desk, light and dark: `violations` by axe, views that are too
/// `wide`, `problems`, `requests`, how the table is `sorted` and `backwards`, `drawings`,
/// `links`, its `title`, how many rows a phone shows `folded` and `unfolded`, and how many pixels
/// high a `hint` is there.
pub fn page(file: &Path) -> Value {
    run_script("page.mjs", file)
}

fn run_script(script: &str, file: &Path) -> Value {
    let output = Command::new(tool("node"))
        .arg(workspace().join("crates/testkit/browser").join(script))
        .arg(testbed().join("node_modules"))
        .arg(tool("chromium"))
        .arg(file)
        .args(std::env::var_os("SCREENSHOTS"))
        .output()
        .expect("node can be started");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("the script answers in JSON")
}
