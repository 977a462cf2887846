//! PagerDuty's events.

use notify::{Notice, Phase, PreviousDelivery};
use sections::incident::{EventKind, Severity};
use serde_json::Value;

use crate::bed::{CANARY, Raw, deliver, deployed, notice, resolved, told};

async fn sent(notice: &Notice) -> (String, Value) {
    let raw = Raw::answering("HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}");
    let yaml = format!(
        "pagerduty: [{{ name: page, routing-key-env: KEY, url: '{}/' }}]",
        raw.url
    );
    deliver(
        &yaml,
        &[("KEY", CANARY)],
        notice,
        PreviousDelivery::default(),
    )
    .await
    .unwrap();
    let got = raw.got();
    let (head, body) = got.split_once("\r\n\r\n").unwrap();
    let line = head.lines().next().unwrap().to_owned();
    (line, serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn an_incident_is_one_alert_and_a_deployment_a_change() {
    let (line, alert) = sent(&notice()).await;
    assert_eq!(line, "POST /v2/enqueue HTTP/1.1");
    assert_eq!(alert["routing_key"], CANARY);
    let (_, end) = sent(&resolved()).await;
    assert_eq!(end["event_action"], "resolve");
    assert_eq!(end["dedup_key"], alert["dedup_key"]);
    let (line, change) = sent(&deployed()).await;
    assert_eq!(line, "POST /v2/change/enqueue HTTP/1.1");
    insta::assert_snapshot!(format!("{alert:#}\n{change:#}"));
}

#[tokio::test]
async fn the_severity_and_the_turn_of_an_incident_are_pagerdutys_words() {
    let mut all = Vec::new();
    for severity in [
        None,
        Some(Severity::Low),
        Some(Severity::Medium),
        Some(Severity::High),
        Some(Severity::Critical),
    ] {
        let (_, event) = sent(&Notice {
            severity,
            ..notice()
        })
        .await;
        all.push(event["payload"]["severity"].as_str().unwrap().to_owned());
    }
    assert_eq!(all, ["error", "info", "warning", "error", "critical"]);
    let action = async |kind, phase| {
        let (_, event) = sent(&Notice {
            kind,
            phase,
            ..notice()
        })
        .await;
        event["event_action"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        action(EventKind::Escalated, Phase::Investigating).await,
        "trigger"
    );
    assert_eq!(
        action(EventKind::IncidentUpdated, Phase::Identified).await,
        "acknowledge"
    );
    assert_eq!(
        action(EventKind::IncidentUpdated, Phase::Investigating).await,
        "trigger"
    );
}

#[tokio::test]
async fn long_names_have_a_short_key_and_long_texts_fit() {
    let long = Notice {
        thread: "x".repeat(300),
        title: "t".repeat(5000),
        body: "ü".repeat(1 << 20),
        ..notice()
    };
    let (_, event) = sent(&long).await;
    let length = |value: &Value| value.as_str().unwrap().chars().count();
    assert_eq!(length(&event["dedup_key"]), "sha256:".len() + 64);
    assert_eq!(length(&event["payload"]["summary"]), 1024);
    assert!(event.to_string().len() < 50_000);
}

#[tokio::test]
async fn its_refusals_are_told() {
    let mut all = Vec::new();
    let invalid = format!(
        "{{\"status\": \"invalid event\", \"errors\": [\"Invalid routing key {CANARY}\"]}}"
    );
    for (head, body) in [
        ("400 Bad Request", invalid.as_str()),
        ("429 Too Many Requests", ""),
        ("500 Oops", ""),
    ] {
        let length = body.len();
        let raw = Raw::answering(format!(
            "HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}"
        ));
        let yaml = format!(
            "pagerduty: [{{ name: page, routing-key-env: KEY, url: '{}' }}]",
            raw.url
        );
        all.push(told(
            deliver(
                &yaml,
                &[("KEY", CANARY)],
                &notice(),
                PreviousDelivery::default(),
            )
            .await,
        ));
    }
    insta::assert_snapshot!(all.join("\n"));
}
