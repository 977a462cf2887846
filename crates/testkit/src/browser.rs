//! What a real browser makes of a summary, and of a report's page.
//!
//! With a folder in `SCREENSHOTS` pictures of them are kept there.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{testbed, tool, workspace};

/// A summary as GitHub shows it: `elements` by name, `charts` by the kind that mermaid has drawn
/// or what it says against one, `answers`, and `tables` by their cells.
pub fn summary(file: &Path) -> Value {
    seen("summary.mjs", file)
}

/// A page on a phone and on a desk, light and dark: `violations` by axe, views that are too
/// `wide`, `problems`, `requests`, how the table is `sorted` and `backwards`, and `drawings`.
pub fn page(file: &Path) -> Value {
    seen("page.mjs", file)
}

fn seen(script: &str, file: &Path) -> Value {
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
