//! The texts of the runbook.

use notify::{Facts, Texts};
use sections::incident::{IncidentTemplates, Severity};

fn facts() -> Facts {
    Facts {
        service: "shop".into(),
        environment: Some("production".into()),
        severity: Some(Severity::Critical),
        status: Some("rolling back".into()),
        version: Some("v1.2.4".into()),
        previous_version: Some("v1.2.3".into()),
        current_version: Some("v1.2.3".into()),
        stage: Some("health".into()),
        impact: Some("no user impact: blue-green".into()),
        action: Some("automatic rollback in progress".into()),
        eta: Some("5 minutes".into()),
        rollback_status: Some("completed".into()),
        service_status: Some("operational".into()),
        cause: Some("http/ready: failed (3) > failure-limit (2)".into()),
        fix: Some("the readiness of the pool".into()),
        next_step: Some("read the report of run 42".into()),
        redeployment: Some("on Tuesday".into()),
        started: Some("2026-11-21 02:45 UTC".into()),
        duration: Some("4 minutes".into()),
        run_url: Some("https://github.com/acme/shop/actions/runs/42".into()),
        ..Facts::default()
    }
}

#[test]
fn runbook_000_the_communication_templates_are_filled() {
    let texts = Texts::load(&IncidentTemplates::default(), ".".as_ref()).unwrap();
    let mut all = String::new();
    for facts in [
        facts(),
        Facts {
            service: "shop".into(),
            text: Some("the shop is slow".into()),
            ..Facts::default()
        },
    ] {
        for text in [
            texts.initial_alert(&facts),
            texts.update(&facts),
            texts.resolution(&facts),
        ] {
            all += &format!("{}\n---\n", text.unwrap());
        }
    }
    insta::assert_snapshot!(all);
}

/// A variable that is asked for only where another one is known, or is not, is found, too.
#[test]
fn each_text_can_be_tried_before_an_incident() {
    let folder = tempfile::tempdir().unwrap();
    let proved = |text: &str| {
        std::fs::write(folder.path().join("resolution.j2"), text).unwrap();
        let templates = IncidentTemplates {
            resolution: Some("resolution.j2".into()),
            ..IncidentTemplates::default()
        };
        let texts = Texts::load(&templates, folder.path()).unwrap();
        texts.prove().map_err(|error| error.to_string())
    };
    assert_eq!(proved("{{ service }}: {{ cause }}"), Ok(()));
    for text in [
        "{{ nosuch }}",
        "{% if eta %}{{ nosuch }}{% endif %}",
        "{% if not eta %}{{ nosuch }}{% endif %}",
    ] {
        let expected = "resolution.j2:1: a variable is used that does not exist";
        assert_eq!(proved(text), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn a_file_replaces_a_text_and_its_errors_name_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let load = |text: &str| {
        std::fs::write(folder.path().join("update.j2"), text).unwrap();
        let templates = IncidentTemplates {
            update: Some("update.j2".into()),
            ..IncidentTemplates::default()
        };
        let texts = Texts::load(&templates, folder.path());
        texts
            .and_then(|texts| texts.update(&facts()))
            .unwrap_or_else(|error| error.to_string())
    };
    assert_eq!(
        load("{{ service }}: {{ severity }}, {{ text }}"),
        "shop: critical, unknown"
    );
    insta::assert_snapshot!(load("a\nb {{ sevrity }}"), @"update.j2:2: a variable is used that does not exist");
    insta::assert_snapshot!(load("a\n{% for %}"), @"update.j2:2: syntax error: unexpected end of block, expected in");
    let large = "x".repeat(100 << 10);
    insta::assert_snapshot!(load(&large), @"failed to read the template update.j2: it is larger than 64 KiB");
    let missing = IncidentTemplates {
        resolution: Some("none.j2".into()),
        ..IncidentTemplates::default()
    };
    let error = Texts::load(&missing, folder.path()).map(drop).unwrap_err();
    insta::assert_snapshot!(error, @"failed to read the template none.j2: No such file or directory (os error 2)");
}
