//! What a rollback over several hosts looks like: in a real browser, drawn by mermaid and by us.

use testkit::browser;

use crate::e2e::fleet::{fails_at, fleet};

#[test]
fn the_steps_by_host_are_drawn_in_the_summary_and_on_the_page() {
    let world = fleet("  batch: 2\n  max-failed: 20%\n");
    fails_at(&world, "web-02");
    world
        .rollback(&["run", "--summary", "summary.md", "--html", "page.html"])
        .exits(6);
    let summary = browser::summary(&world.path("summary.md"));
    assert_eq!(
        summary["charts"],
        serde_json::json!(["gantt"]),
        "{summary:#}"
    );
    let page = browser::page(&world.path("page.html"));
    for nothing in ["violations", "wide", "problems"] {
        assert_eq!(page[nothing], serde_json::json!([]), "{page:#}");
    }
    let drawing = page["drawings"][0].as_str().unwrap();
    // The five hosts, and this machine, which verifies.
    assert!(
        drawing.starts_with("Timeline of 6 places over "),
        "{drawing}"
    );
}
