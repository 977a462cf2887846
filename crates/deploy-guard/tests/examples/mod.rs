//! The examples that users copy, each run by act against real servers: a good deployment, a bad
//! one, and its rollback.

mod world;

mod ansible;
mod cloud;
mod compose;
mod dispatch;
mod ecs;
mod migrate;
mod nginx;
mod systemd;

use std::fs;

/// Folders with a workflow that deploys nothing.
const OTHERS: [&str; 1] = ["healthgate-shards"];

#[test]
fn every_example_has_a_test_a_page_and_what_a_deployment_needs() {
    let examples = testkit::workspace().join("examples");
    let folder = testkit::workspace().join("crates/deploy-guard/tests/examples");
    let tests = fs::read_dir(folder).unwrap();
    let tests: String = tests
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let mut found = 0;
    for entry in fs::read_dir(&examples).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let Ok(workflows) = fs::read_dir(entry.path().join(".github/workflows")) else {
            continue;
        };
        if OTHERS.contains(&name.as_str()) {
            continue;
        }
        let workflows: Vec<_> = workflows
            .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
            .collect();
        for (what, how) in [
            ("permissions: {}", "asks for no more than it needs"),
            ("concurrency:\n", "waits for the one before"),
        ] {
            let all = workflows.iter().all(|text| text.contains(what));
            assert!(all, "examples/{name}: not every workflow {how}: `{what}`");
        }
        for what in ["if: (failure() || cancelled()) && ", "environment: "] {
            let some = workflows.iter().any(|text| text.contains(what));
            assert!(some, "examples/{name}: no workflow has `{what}`");
        }
        let page = fs::read_to_string(entry.path().join("README.md")).unwrap_or_default();
        assert!(page.contains("bad release"), "examples/{name}/README.md");
        let copied = format!("Example::copy(\"{name}\")");
        assert!(tests.contains(&copied), "examples/{name} has no test here");
        found += 1;
    }
    assert!(found > 4, "{found}");
}
