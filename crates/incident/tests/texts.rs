//! What people are told: what is true at that moment, and nothing that is not known.

use serde_json::{Value, json};
use testkit::{Receiver, Reply};

use crate::bed::{Bed, CANARY};

fn heard() -> (Bed, Receiver) {
    let receiver = Receiver::start(CANARY, Reply::Accept);
    let mut bed = Bed::new(&json!({}));
    bed.variables.push(("HOOK_URL", receiver.url()));
    bed.configure(&json!({
        "version": 1, "service": "shop", "environments": {"production": {}},
        "incident": {"webhook": [{"name": "hook", "url-env": "HOOK_URL"}]},
    }));
    (bed, receiver)
}

fn act(bed: &Bed, args: &[&str]) {
    let args = [&["--environment", "production"], args].concat();
    bed.run(&args).code(0);
}

/// The newest text, without the lines that are another one each time.
fn newest(receiver: &Receiver) -> String {
    let bodies = receiver.bodies();
    let notice: Value = serde_json::from_str(bodies.last().unwrap()).unwrap();
    let text = notice["text"].as_str().unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("Duration:"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Each text is written after what the log knows by then.
#[test]
fn an_incident_of_a_person_is_told_with_what_is_true_by_then() {
    let (bed, receiver) = heard();
    bed.deployed("v2", 90, 5);
    bed.deployed("v10", 60, 5);
    let mut all = Vec::new();
    let mut told = |args: &[&str]| {
        act(&bed, args);
        all.push(newest(&receiver));
    };
    told(&[
        "open",
        "--release",
        "v10",
        "--impact",
        "degraded",
        "checkout answers 500",
    ]);
    told(&["update", "the pool is empty"]);
    bed.taken_back("v10", "v2", 0);
    told(&["update", "--phase", "identified", "v10 leaks connections"]);
    told(&["resolve", "v2 serves everything"]);
    insta::assert_snapshot!(all.join("\n---\n"));
}

#[test]
fn what_a_person_says_has_to_be_fixed_is_told_and_reported() {
    let (bed, receiver) = heard();
    act(&bed, &["open", "--release", "v10", "checkout answers 500"]);
    let said = [
        "--fix",
        "close the connections",
        "--redeployment",
        "on Tuesday",
    ];
    act(
        &bed,
        &[&["resolve"][..], &said, &["v2 serves everything"]].concat(),
    );
    let told = newest(&receiver);
    for line in [
        "Fix Required: close the connections",
        "Redeployment: on Tuesday",
    ] {
        assert!(told.lines().any(|one| one == line), "{told}");
    }
    let report = bed.run(&["report"]).code(0).stdout;
    for line in [
        "Fix required: close the connections",
        "Redeployment: on Tuesday",
    ] {
        assert!(report.lines().any(|one| one == line), "{report}");
    }
    let analysis = bed.run(&["report", "--format", "json"]).code(0).stdout;
    let analysis: Value = serde_json::from_str(&analysis).unwrap();
    assert_eq!(analysis["fix"], "close the connections");
    assert_eq!(analysis["redeployment"], "on Tuesday");
}
