//! `incident report --issue`: one issue for each incident, brought up to date by another call.

use serde_json::{Value, json};

use crate::bed::{Bed, CANARY};
use crate::github::GitHub;

const REPORT: [&str; 4] = ["report", "--issue", "--repo", "acme/shop"];

fn incident() -> Bed {
    let bed = Bed::new(&json!({}));
    let text = format!("checkout answers 500 for {CANARY}");
    bed.run(&["open", "--release", "v2", &text]).code(0);
    bed
}

#[tokio::test]
async fn a_report_is_filed_once_and_brought_up_to_date() {
    let bed = incident();
    let github = GitHub::with_issues(json!([])).await;
    let filed = github.run(&bed, &REPORT).code(0);
    assert!(
        filed.stdout.contains("## Timeline (UTC)"),
        "{}",
        filed.stdout
    );
    let written = github.written().await;
    let [(verb, place, body)] = &written[..] else {
        panic!("{written:?}");
    };
    assert_eq!(
        (verb.as_str(), place.as_str()),
        ("POST", "/repos/acme/shop/issues")
    );
    let title = body["title"].as_str().unwrap();
    assert!(title.contains("checkout answers 500 for ***"), "{title}");
    let text = body["body"].as_str().unwrap();
    assert!(text.starts_with("<!-- deploy-guard report inc"), "{text}");
    assert!(text.contains("## Action items"), "{text}");
    assert!(!format!("{written:?}{}", filed.stdout).contains(CANARY));

    // Another call finds it; without news it writes nothing.
    let issue = json!([{"number": 7, "state": "closed", "body": text}]);
    let github = GitHub::with_issues(issue.clone()).await;
    github.run(&bed, &REPORT).code(0);
    assert!(github.written().await.is_empty());
    bed.run(&["resolve", "v1 serves everything"]).code(0);
    let github = GitHub::with_issues(issue).await;
    github.run(&bed, &REPORT).code(0);
    let written = github.written().await;
    let [(verb, place, body)] = &written[..] else {
        panic!("{written:?}");
    };
    assert_eq!(
        (verb.as_str(), place.as_str()),
        ("PATCH", "/repos/acme/shop/issues/7")
    );
    assert!(
        body["body"]
            .as_str()
            .unwrap()
            .contains("v1 serves everything")
    );
    assert_eq!(body["state"], Value::Null, "it stays closed");
}

#[tokio::test]
async fn a_report_that_is_longer_than_an_issue_is_cut_with_a_note() {
    let bed = incident();
    for number in 0..30 {
        let text = format!("{number} {}", "🚨 the pool is empty; ".repeat(150));
        bed.run(&["note", &text]).code(0);
    }
    let github = GitHub::with_issues(json!([])).await;
    github.run(&bed, &REPORT).code(0);
    let written = github.written().await;
    let body = written[0].2["body"].as_str().unwrap();
    assert!(body.encode_utf16().count() <= 65_536, "{}", body.len());
    assert!(body.encode_utf16().count() > 55_000, "{}", body.len());
    assert!(
        body.ends_with("`incident report` writes all of it.\n"),
        "{}",
        &body[body.len() - 200..]
    );
}

#[tokio::test]
async fn a_report_that_cannot_be_filed_is_shown_all_the_same() {
    let (bed, github) = (incident(), GitHub::start().await);
    let ran = github.run(&bed, &REPORT).code(4);
    assert!(ran.stdout.contains("## Timeline (UTC)"), "{}", ran.stdout);
    let dry = github
        .run(&bed, &[&REPORT[..], &["--dry-run"]].concat())
        .code(0);
    assert!(dry.stdout.contains("## Summary"), "{}", dry.stdout);
    assert!(github.written().await.is_empty());
    let nowhere = bed.run(&["report", "--issue"]).code(2);
    assert!(
        nowhere.stderr.contains("--repo OWNER/NAME"),
        "{}",
        nowhere.stderr
    );
}
