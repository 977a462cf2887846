//! A log that several environments share: each has its own incidents, figures and messages.

use serde_json::{Value, json};
use testkit::{Receiver, Reply};

use crate::bed::{Bed, CANARY, Ran};
use crate::past::minutes_ago;

/// A service with production and staging, and these keys under `incident:`.
fn shared(incident: &Value) -> Bed {
    let bed = Bed::new(&json!({}));
    bed.configure(&json!({
        "version": 1, "service": "shop", "incident": incident,
        "environments": {"production": {}, "staging": {}},
    }));
    bed
}

fn of<'a>(environment: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    [&["--environment", environment], args].concat()
}

/// The rows of a table of figures that begin so.
fn row(bed: &Bed, environment: &str, figure: &str) -> String {
    let table = bed.run(&of(environment, &["metrics"])).code(0).stdout;
    let mut rows = table.lines().filter(|line| line.starts_with(figure));
    rows.next().unwrap().to_owned()
}

#[test]
fn an_incident_of_staging_is_no_update_of_that_of_production() {
    let receiver = Receiver::start(CANARY, Reply::Accept);
    let bed = shared(&json!({"webhook": [{
        "name": "hook", "url-env": "HOOK_URL", "environments": ["production"],
    }]}));
    let told = |args: &[&str]| {
        let output = bed.command(args).env("HOOK_URL", receiver.url()).output();
        Ran::of(&output.unwrap()).code(0).stdout
    };
    told(&of(
        "production",
        &["open", "--release", "v9", "checkout answers 500"],
    ));
    told(&of(
        "staging",
        &["open", "--release", "v10", "staging is broken"],
    ));
    let opened = bed.events_of("incident-opened");
    let severities: Vec<&Value> = opened.iter().map(|event| &event["severity"]).collect();
    assert_eq!(severities, ["high", "medium"]);
    assert!(bed.events_of("incident-updated").is_empty());
    assert_eq!(receiver.bodies().len(), 1, "{:?}", receiver.bodies());

    told(&of("staging", &["resolve", "staging is well"]));
    let status = told(&of("staging", &["status"]));
    assert!(status.contains("no incident is open"), "{status}");
    let status = told(&of("production", &["status"]));
    assert!(status.contains("checkout answers 500"), "{status}");
    assert!(!status.contains("staging"), "{status}");
    let list = told(&of("staging", &["list"]));
    assert!(list.contains("1 incident, 0 of them open"), "{list}");
    let report = told(&of("staging", &["report"]));
    assert!(report.contains("staging is broken"), "{report}");
    let report = bed.run(&of(
        "staging",
        &[
            "report",
            "--incident",
            opened[0]["incident"].as_str().unwrap(),
        ],
    ));
    assert!(report.code(2).stderr.contains("no incident"));
}

#[test]
fn who_names_no_environment_sees_all_and_must_name_the_one_that_is_meant() {
    let bed = shared(&json!({}));
    let refused = bed.run(&["open", "--impact", "down", "slow"]).code(2);
    assert!(
        refused.stderr.contains("the file has: production, staging")
            && refused.stderr.contains("`--environment NAME`"),
        "{}",
        refused.stderr
    );
    bed.run(&of("production", &["open", "slow"])).code(0);
    bed.run(&["note", "which one is meant is known"]).code(0);
    bed.run(&of("staging", &["open", "slow"])).code(0);
    let status = bed.run(&["status"]).code(0).stdout;
    assert!(status.contains("2 incidents are open"), "{status}");
    for args in [["note", "x"], ["update", "x"], ["resolve", "x"]] {
        let refused = bed.run(&args).code(2);
        assert!(
            refused
                .stderr
                .contains("several environments: production, staging"),
            "{args:?}: {}",
            refused.stderr
        );
    }
    let watched = bed.run(&["watch"]).code(0).stdout;
    assert!(
        watched.contains("2 incidents are open; nothing is due"),
        "{watched}"
    );
    let refused = bed.run(&["metrics"]).code(2);
    assert!(
        refused.stderr.contains("the log has: production, staging"),
        "{}",
        refused.stderr
    );
    bed.run(&of("staging", &["resolve", "done"])).code(0);
    bed.run(&["resolve", "done"]).code(0);
    assert_eq!(
        bed.events_of("incident-resolved")[1]["environment"],
        "production"
    );
}

#[test]
fn each_environment_has_figures_of_its_own() {
    let bed = shared(&json!({}));
    bed.deployed("v9", 50, 5);
    bed.bad("v10", minutes_ago(40), Some(minutes_ago(30)));
    let mut events = bed.events();
    for event in &mut events {
        if event["release"] == "v10" {
            event["environment"] = json!("staging");
        }
    }
    bed.write_log(&events);
    for (environment, share) in [("production", " 0% (0 of 1)"), ("staging", "100% (1 of 1)")] {
        let row = row(&bed, environment, "Change fail rate");
        assert!(row.contains(share), "{environment}: {row}");
    }
}

#[test]
fn an_environment_that_the_file_does_not_have_is_refused() {
    for incident in [
        json!({"production": ["prodd"]}),
        json!({"severity": [{"level": "low", "environments": ["prodd"]}]}),
        json!({"stdout": [{"name": "log", "environments": ["prodd"]}]}),
    ] {
        let refused = shared(&incident).run(&["status"]).code(2);
        assert!(
            refused
                .stderr
                .contains("no environment `prodd` under `environments:`")
                && refused.stderr.contains("the file has: production, staging"),
            "{incident}: {}",
            refused.stderr
        );
    }
    // A file without environments may be used for any.
    let bed = Bed::new(&json!({"production": ["blue"]}));
    bed.run(&of("blue", &["open", "--impact", "down", "slow"]))
        .code(0);
    assert_eq!(bed.events_of("incident-opened")[0]["severity"], "critical");
}

/// The command of a schedule may name no environment, and looks after all of them.
#[test]
fn an_incident_is_judged_by_the_rules_of_its_environment_and_told_to_its_sinks() {
    let receiver = Receiver::start(CANARY, Reply::Accept);
    let mut bed = Bed::new(&json!({}));
    bed.variables.push(("HOOK_URL", receiver.url()));
    let sink = |name: &str| json!([{"name": name, "url-env": "HOOK_URL"}]);
    let escalate = |after: &str, to: &str| json!([{"after": after, "to": to}]);
    bed.configure(&json!({
        "version": 1, "service": "shop",
        "incident": {"webhook": sink("chat"), "escalate": escalate("1s", "chat")},
        "environments": {
            "production": {"incident": {"webhook": sink("page"), "escalate": escalate("1s", "page")}},
            "staging": {"incident": {"escalate": escalate("1h", "chat")}},
        },
    }));
    for environment in ["production", "staging"] {
        let open = of(environment, &["open", "--release", "v2", "slow"]);
        bed.run(&open).code(0);
    }
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    bed.run(&["watch"]);
    let escalated = bed.events_of("escalated");
    assert_eq!(escalated.len(), 1, "{escalated:?}");
    assert_eq!(escalated[0]["environment"], "production");
    assert_eq!(escalated[0]["sinks"], json!(["page"]));
    let heard = receiver.calls().len();
    let waits = bed.run(&["deliver"]).stdout;
    let hint = "run `incident deliver --environment production`";
    assert!(waits.contains(hint), "{waits}");
    bed.run(&of("production", &["deliver"])).code(0);
    assert_eq!(receiver.calls().len(), heard + 1);
}
