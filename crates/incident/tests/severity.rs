//! Severities by rules and by hand, response times and escalations.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bed::Bed;

fn severity_of(bed: &Bed) -> Value {
    bed.events_of("incident-opened")[0]["severity"].clone()
}

#[test]
fn the_table_of_the_runbooks_classifies() {
    for (environment, impact, expected) in [
        ("production", "down", "critical"),
        ("production", "degraded", "high"),
        ("production", "unknown", "high"),
        ("production", "none", "low"),
        ("staging", "down", "medium"),
        ("staging", "unknown", "medium"),
        ("staging", "none", "low"),
    ] {
        let bed = Bed::new(&json!({}));
        bed.configure(&json!({
            "version": 1, "service": "shop", "incident": {},
            "environments": {"production": {}, "staging": {}},
        }));
        let args = [
            "--environment",
            environment,
            "open",
            "--impact",
            impact,
            "slow",
        ];
        bed.run(&args).code(0);
        assert_eq!(severity_of(&bed), expected, "{environment} {impact}");
    }
}

#[test]
fn rules_of_the_configuration_come_first_and_a_person_has_the_last_word() {
    let rules = json!({"severity": [
        {"level": "low", "impact": ["degraded"], "after": "1h"},
        {"level": "critical", "impact": ["degraded", "unknown"]},
    ]});
    let bed = Bed::new(&rules);
    bed.run(&["open", "--impact", "degraded", "slow"]).code(0);
    let opened = &bed.events_of("incident-opened")[0];
    assert_eq!(opened["severity"], "critical");
    assert_eq!(opened["why"], "rule 2 under `incident.severity`");
    let by_hand = [
        "update",
        "--severity",
        "low",
        "--reason",
        "a test account only",
        "known",
    ];
    bed.run(&by_hand).code(0);
    let changed = &bed.events_of("severity-changed")[0];
    assert_eq!(
        (&changed["from"], &changed["to"]),
        (&json!("critical"), &json!("low"))
    );
    assert_eq!(changed["why"], "a test account only");
}

#[test]
fn the_share_of_the_hosts_that_are_affected_decides() {
    let rules = json!({"severity": [{"level": "critical", "min-hosts": "50%"}]});
    for (hosts, expected) in [("5/12", "high"), ("6/12", "critical"), ("0/0", "high")] {
        let bed = Bed::new(&rules);
        bed.run(&["open", "--hosts", hosts, "slow"]).code(0);
        assert_eq!(severity_of(&bed), expected, "{hosts}");
    }
    let bed = Bed::new(&rules);
    for wrong in ["6", "x/2", "3/2"] {
        let refused = bed.run(&["open", "--hosts", wrong, "slow"]).code(2);
        assert!(
            refused.stderr.contains("such as `2/12`"),
            "{}",
            refused.stderr
        );
    }
}

#[test]
fn a_severity_rises_with_time() {
    let rules = json!({"severity": [{"level": "critical", "impact": ["degraded"], "after": "1s"}]});
    let bed = Bed::new(&rules);
    bed.run(&["open", "--impact", "degraded", "slow"]).code(0);
    assert_eq!(severity_of(&bed), "high");
    sleep(Duration::from_millis(1_100));
    let watched = bed.run(&["watch"]).code(0);
    assert!(
        watched.stdout.contains("high → critical"),
        "{}",
        watched.stdout
    );
    bed.run(&["watch"]).code(0);
    assert_eq!(bed.events_of("severity-changed").len(), 1);
}

#[test]
fn a_severity_by_hand_holds_against_the_rules_until_it_is_worse_than_the_person_knew() {
    let rules = json!({"severity": [{"level": "critical", "impact": ["degraded"], "after": "1s"}]});
    let by_hand = |level| ["--severity", level, "--reason", "a test account only"];
    for when in ["open", "update"] {
        let bed = Bed::new(&rules);
        let open = ["open", "--impact", "degraded", "slow"];
        if when == "open" {
            bed.run(&[&open[..], &by_hand("low")].concat()).code(0);
        } else {
            bed.run(&open).code(0);
            let update = [&["update", "known"][..], &by_hand("low")].concat();
            bed.run(&update).code(0);
        }
        sleep(Duration::from_millis(1_100));
        bed.run(&["watch"]).code(0);
        let status = bed.run(&["status"]).code(0).stdout;
        assert!(status.contains("is open, low"), "{when}: {status}");
        bed.run(&["update", "--impact", "down", "all users"])
            .code(0);
        let status = bed.run(&["status"]).code(0).stdout;
        assert!(status.contains("is open, critical"), "{when}: {status}");
    }
}

#[test]
fn what_a_command_writes_is_known_to_the_rules_that_it_asks() {
    let bed = Bed::new(&json!({}));
    let open = ["open", "--severity", "medium", "--reason", "few", "slow"];
    bed.run(&open).code(0);
    let worse = ["--severity", "critical", "--reason", "it is many"];
    let update = [&["update", "--impact", "down"][..], &worse, &["many"]].concat();
    let updated = bed.run(&update).code(0).stdout;
    assert!(!updated.contains("due"), "{updated}");
    let changed = bed.events_of("severity-changed");
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(changed[0]["to"], "critical");
}

#[test]
fn a_second_opening_with_worse_news_makes_the_open_incident_worse() {
    let bed = Bed::new(&json!({}));
    bed.run(&["open", "--impact", "degraded", "slow"]).code(0);
    let worse = ["open", "--impact", "down", "--hosts", "5/5", "it is down"];
    bed.run(&worse).code(0);
    let updated = &bed.events_of("incident-updated")[0];
    assert_eq!(updated["impact"], "down");
    assert_eq!(updated["hosts"], json!({"affected": 5, "all": 5}));
    let status = bed.run(&["status"]).code(0).stdout;
    assert!(status.contains("is open, critical"), "{status}");
}

/// The command that looks at the clock names no environment.
#[test]
fn an_incident_of_staging_stays_one_of_staging() {
    let bed = Bed::new(&json!({}));
    bed.configure(&json!({
        "version": 1, "service": "shop", "incident": {},
        "environments": {"production": {}, "staging": {}},
    }));
    let open = [
        "--environment",
        "staging",
        "open",
        "--impact",
        "down",
        "slow",
    ];
    bed.run(&open).code(0);
    bed.run(&["watch"]).code(0);
    let status = bed.run(&["status"]).code(0).stdout;
    assert!(status.contains("is open, medium"), "{status}");
}

#[test]
fn an_incident_is_passed_on_once_unless_it_was_answered_or_resolved() {
    let section = json!({
        "stdout": [{"name": "boss"}, {"name": "chief"}],
        "escalate": [
            {"after": "1s", "unless": "acknowledged", "to": "boss"},
            {"after": "1s", "to": ["chief"], "text": "@vp: production is down"},
            {"after": "1s", "to": "chief", "severity": "critical"},
        ],
    });
    let bed = Bed::new(&section);
    bed.run(&["open", "slow"]).code(0);
    bed.run(&["watch"]).code(0);
    assert!(bed.events_of("escalated").is_empty());
    sleep(Duration::from_millis(1_100));
    bed.run(&["note", "every command looks at the clock"])
        .code(0);
    let escalated = bed.events_of("escalated");
    assert_eq!(
        escalated.len(),
        1,
        "opened by hand, so answered; not critical: {escalated:?}"
    );
    assert_eq!(escalated[0]["text"], "@vp: production is down");
    assert!(
        escalated[0]["sinks"]
            .as_array()
            .unwrap()
            .contains(&json!("chief"))
    );
    bed.run(&["watch"]).code(0);
    assert_eq!(bed.events_of("escalated").len(), 1);
    bed.run(&["resolve", "done"]).code(0);
    bed.run(&["watch"]).code(0);
    assert_eq!(bed.events_of("escalated").len(), 1);
}

/// What was true of the release before it is not true of this one.
#[test]
fn a_decision_counts_for_its_release_until_something_is_deployed_or_put_back() {
    let opened = |bed: &Bed, release: &str| {
        bed.run(&["open", "--release", release, "checkout answers 500"])
            .code(0);
        let opened = bed.events_of("incident-opened").remove(0);
        (opened["severity"].clone(), opened["hosts"].clone())
    };
    let holds = (json!("low"), json!({"affected": 3, "all": 4}));
    let none = (json!("high"), Value::Null);
    let bed = Bed::new(&json!({}));
    bed.decided_safe("v10", 5);
    assert_eq!(opened(&bed, "v10"), holds);

    let bed = Bed::new(&json!({}));
    bed.decided_safe("v9", 5);
    assert_eq!(opened(&bed, "v10"), none, "it is about another release");

    let bed = Bed::new(&json!({}));
    bed.decided_safe("v10", 5);
    bed.deployed("v10", 4, 1);
    assert_eq!(opened(&bed, "v10"), none, "it was deployed again since");

    let bed = Bed::new(&json!({}));
    bed.decided_safe("v10", 5);
    bed.taken_back("v10", "v9", 2);
    assert_eq!(opened(&bed, "v10"), none, "it was taken back since");

    let bed = Bed::new(&json!({}));
    bed.decided_safe("v10", 40);
    assert_eq!(opened(&bed, "v10"), none, "it is old");
}

#[test]
fn what_a_workflow_opens_no_person_has_answered() {
    let section = json!({
        "stdout": [{"name": "boss"}],
        "escalate": [{"after": "1s", "unless": "acknowledged", "to": "boss"}],
    });
    for acts in [
        &[&["open", "failed"][..]][..],
        &[&["open", "failed"], &["open", "again"]],
    ] {
        let bed = Bed::new(&section);
        for act in acts {
            let mut command = bed.command(act);
            command
                .env("GITHUB_ACTIONS", "true")
                .env("GITHUB_RUN_ID", "77");
            crate::bed::Ran::of(&command.output().unwrap()).code(0);
        }
        sleep(Duration::from_millis(1_100));
        let status = bed.run(&["status"]).code(0).stdout;
        assert!(status.contains("not yet, after"), "{acts:?}: {status}");
        assert_eq!(bed.events_of("escalated").len(), 1, "{acts:?}");
        bed.run(&["note", "I look at it"]).code(0);
        let status = bed.run(&["status"]).code(0).stdout;
        assert!(!status.contains("not yet, after"), "{acts:?}: {status}");
    }
}

#[test]
fn the_status_names_the_escalation_that_comes_next() {
    let section = json!({
        "stdout": [{"name": "boss"}, {"name": "chief"}],
        "escalate": [
            {"after": "20m", "unless": "acknowledged", "to": "boss"},
            {"after": "10m", "to": "chief"},
            {"after": "5m", "severity": "critical", "to": "boss"},
        ],
    });
    let bed = Bed::new(&section);
    bed.run(&["open", "slow"]).code(0);
    let status = bed.run(&["status"]).code(0).stdout;
    assert!(
        status.contains("chief in 9m 5") && status.contains("unless it is resolved"),
        "{status}"
    );
    bed.run(&["update", "--impact", "down", "it is down"])
        .code(0);
    let status = bed.run(&["status"]).code(0).stdout;
    assert!(status.contains("boss in 4m 5"), "{status}");
}

/// Whoever was called must hear that it is over.
#[test]
fn who_an_incident_was_passed_on_to_hears_its_end() {
    let receiver = testkit::Receiver::start(crate::bed::CANARY, testkit::Reply::Accept);
    let mut bed = Bed::new(&json!({
        "webhook": [{
            "name": "page", "url-env": "HOOK_URL", "severity": "critical",
            "events": ["incident-opened", "incident-updated"],
        }],
        "escalate": [{"after": "1s", "to": "page"}],
    }));
    bed.variables.push(("HOOK_URL", receiver.url()));
    bed.run(&["open", "--impact", "degraded", "slow"]).code(0);
    assert!(receiver.bodies().is_empty());
    sleep(Duration::from_millis(1_100));
    // Not by `watch` alone: each command that writes, and `deliver`.
    bed.run(&["deliver"]).code(0);
    bed.run(&["note", "not among its events"]).code(0);
    bed.run(&["update", "known"]).code(0);
    bed.run(&["resolve", "done"]).code(0);
    let bodies = receiver.bodies();
    let events = bodies
        .iter()
        .map(|body| serde_json::from_str::<Value>(body).unwrap()["event"].clone());
    let events: Vec<Value> = events.collect();
    assert_eq!(
        events,
        ["escalated", "incident-updated", "incident-resolved"]
    );
}

#[test]
fn an_escalation_names_a_sink_that_exists() {
    let bed = Bed::new(
        &json!({"stdout": [{"name": "log"}], "escalate": [{"after": "1m", "to": "logg"}]}),
    );
    let refused = bed.run(&["status"]).code(2);
    assert!(
        refused.stderr.contains("did you mean `log`?"),
        "{}",
        refused.stderr
    );
}

/// Someone who asks at night must not read that the pager was told when it was not.
#[test]
fn the_status_tells_whom_it_says_that_it_is_for() {
    let section = json!({
        "webhook": [{"name": "page", "url-env": "HOOK_URL", "events": ["incident-opened"]}],
        "escalate": [{"after": "1s", "to": "page"}],
    });
    let receiver = testkit::Receiver::start(crate::bed::CANARY, testkit::Reply::Accept);
    let mut bed = Bed::new(&section);
    bed.run(&["open", "slow"]).code(0);
    sleep(Duration::from_millis(1_100));
    // This machine cannot call it: that is said, and keeps no other machine from it.
    let status = bed.run(&["status"]).code(0).stdout;
    assert!(status.contains("`HOOK_URL` is not set"), "{status}");
    assert_eq!(bed.events_of("escalated").len(), 1);
    assert!(bed.events_of("undelivered").is_empty());
    bed.variables.push(("HOOK_URL", receiver.url()));
    bed.run(&["watch"]).code(0);
    let told = |receiver: &testkit::Receiver| {
        let bodies = receiver.bodies().into_iter();
        let events =
            bodies.map(|body| serde_json::from_str::<Value>(&body).unwrap()["event"].clone());
        events.collect::<Vec<Value>>()
    };
    assert_eq!(told(&receiver), ["incident-opened", "escalated"]);

    let receiver = testkit::Receiver::start(crate::bed::CANARY, testkit::Reply::Accept);
    let mut bed = Bed::new(&section);
    bed.variables.push(("HOOK_URL", receiver.url()));
    bed.run(&["open", "slow"]).code(0);
    sleep(Duration::from_millis(1_100));
    let status = bed.run(&["status"]).code(0).stdout;
    assert!(status.contains("it is for page"), "{status}");
    assert!(!status.contains("wait"), "{status}");
    assert_eq!(told(&receiver), ["incident-opened", "escalated"]);
}

#[test]
fn an_update_tells_the_severity_that_it_sets() {
    let receiver = testkit::Receiver::start("hook", testkit::Reply::Accept);
    let mut bed = Bed::new(&json!({"webhook": [{"name": "hook", "url-env": "HOOK_URL"}]}));
    bed.variables.push(("HOOK_URL", receiver.url()));
    bed.run(&["open", "--release", "v2", "slow"]).code(0);
    let before = receiver.calls().len();
    bed.run(&[
        "update",
        "--severity",
        "critical",
        "--reason",
        "all users",
        "it is worse",
    ])
    .code(0);
    let calls = receiver.calls();
    assert_eq!(calls.len(), before + 2);
    for call in &calls[before..] {
        let body: Value = serde_json::from_str(&call.body).unwrap();
        assert_eq!(body["severity"], "critical", "{body}");
    }
}
