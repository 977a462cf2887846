//! The report, the analysis and the metrics: the same bytes each time, and nothing in them is markup.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use testkit::{Nginx, Shop, wait_until};

use crate::bed::Bed;
use crate::past::minutes_ago;

/// Text that would do something where it is not escaped.
const HOSTILE: &str =
    "@channel <!here> [x](http://evil.example) <img src=x onerror=alert(1)> | `code` ${{ x }}";

#[test]
fn the_report_has_the_shape_of_a_post_mortem_and_the_same_bytes_each_time() {
    let bed = Bed::new(&json!({}));
    bed.run(&[
        "open",
        "--release",
        "v2",
        "--impact",
        "down",
        "checkout answers 500",
    ])
    .code(0);
    bed.run(&["update", "--phase", "identified", "rolling back to v1"])
        .code(0);
    bed.run(&["resolve", "v1 serves everything"]).code(0);
    let first = bed.run(&["report", "--html", "a.html"]).code(0).stdout;
    let second = bed.run(&["report", "--html", "b.html"]).code(0).stdout;
    assert_eq!(first, second);
    let page = |name: &str| std::fs::read(bed.path(name)).unwrap();
    assert_eq!(page("a.html"), page("b.html"));
    for heading in [
        "## Summary",
        "## Impact and exposure",
        "## Timeline (UTC)",
        "## Times",
        "## Cause",
        "## Resolution",
        "## Questions",
        "## Action items",
        "## Messages",
    ] {
        assert!(first.contains(heading), "{heading}: {first}");
    }
    let rows = first
        .lines()
        .filter(|line| line.contains("state.json.events/00000001.jsonl:"));
    assert_eq!(
        rows.count(),
        3,
        "each row of the timeline names its evidence: {first}"
    );
    let json = || bed.run(&["report", "--format", "json"]).code(0).stdout;
    let analysis: Value = serde_json::from_str(&json()).unwrap();
    assert_eq!(json(), json());
    assert_eq!(analysis["severity"], "critical");
    assert_eq!(analysis["impact"], "down");
    assert_eq!(analysis["timeline"].as_array().unwrap().len(), 3);
    assert!(analysis["recovery_ms"].is_u64() && analysis["exposure"].is_null());
}

#[test]
fn an_incident_by_hand_has_its_deployment_and_all_that_stages_did_meanwhile() {
    let bed = Bed::new(&json!({}));
    bed.deployed("v9", 90, 5);
    bed.deployed("v10", 60, 5);
    bed.run(&["open", "--release", "v10", "checkout answers 500"])
        .code(0);
    // After the opening in the log, and before it by the clock.
    bed.taken_back("v10", "v9", 1);
    bed.run(&["resolve", "v9 serves everything"]).code(0);
    bed.deployed("v11", 1, 1);
    let json = bed.run(&["report", "--format", "json"]).code(0).stdout;
    let analysis: Value = serde_json::from_str(&json).unwrap();
    let rows = analysis["timeline"].as_array().unwrap();
    let kinds: Vec<&Value> = rows.iter().map(|row| &row["kind"]).collect();
    let expected = [
        "deployment-started",
        "deployment-ended",
        "incident-opened",
        "stage-ended",
        "incident-resolved",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(analysis["deployment_id"], "v10#42/1");
    assert_eq!(analysis["previous_release"], "v1");
    assert_eq!(analysis["conclusion"], "rolled-back");
    assert_eq!(analysis["serving"], "v9");
    let detection = analysis["detection_ms"].as_u64().unwrap();
    assert!((3_600_000..3_700_000).contains(&detection), "{detection}");
}

#[test]
fn a_release_that_is_named_later_is_that_of_the_incident() {
    let bed = Bed::new(&json!({}));
    bed.run(&["open", "slow"]).code(0);
    for (release, expected) in [("v2", "v2"), ("v3", "v2")] {
        bed.run(&["update", "--release", release, "it is this one"])
            .code(0);
        let report = bed.run(&["report"]).code(0).stdout;
        assert!(
            report.contains(&format!("| release | {expected} |")),
            "{report}"
        );
    }
}

#[test]
fn a_severity_has_its_own_reason() {
    let bed = Bed::new(&json!({}));
    bed.run(&["open", "slow"]).code(0);
    let update = ["update", "--severity", "low", "--reason", "only one region"];
    bed.run(&[&update[..], &["known"]].concat()).code(0);
    let worst = "the service is production, and whether users are affected is not known";
    let markdown = bed.run(&["report", "--html", "a.html"]).code(0).stdout;
    let told = format!("| severity | high: {worst}; then low: only one region |");
    assert!(markdown.contains(&told), "{markdown}");
    let page = std::fs::read_to_string(bed.path("a.html")).unwrap();
    for part in [
        format!("high</span> {worst}"),
        "low</span> only one region".to_owned(),
    ] {
        assert!(page.contains(&part), "{part}: {page}");
    }
    let json = bed.run(&["report", "--format", "json"]).code(0).stdout;
    let analysis: Value = serde_json::from_str(&json).unwrap();
    let told = [
        "severity",
        "severity_reason",
        "last_severity",
        "last_severity_reason",
    ];
    let told = told.map(|key| analysis[key].clone());
    assert_eq!(told, ["high", worst, "low", "only one region"]);
}

#[test]
fn hostile_text_is_text_everywhere() {
    let bed = Bed::new(&json!({}));
    let release = "v2|@channel";
    bed.run(&["open", "--release", release, HOSTILE]).code(0);
    bed.run(&["note", HOSTILE]).code(0);
    let markdown = bed.run(&["report", "--html", "page.html"]).code(0).stdout;
    for markup in [
        "@channel",
        "<!here>",
        "](http",
        "<img",
        "`code`",
        "http://evil",
    ] {
        assert!(!markdown.contains(markup), "{markup}: {markdown}");
    }
    let page = std::fs::read_to_string(bed.path("page.html")).unwrap();
    assert!(
        !page.contains("<img") && !page.contains("<!here>"),
        "{page}"
    );
}

#[test]
fn a_secret_of_the_environment_reaches_no_line() {
    let bed = Bed::new(&json!({"webhook": [{"name": "hook", "url-env": "HOOK_URL"}]}));
    let secret = format!("http://127.0.0.1:9/{}", crate::bed::CANARY);
    let mut command = bed.command(&["open", &format!("posted to {secret}")]);
    let output = command.env("HOOK_URL", &secret).output().unwrap();
    let shown = format!("{output:?}{:?}", bed.events());
    assert!(!shown.contains(crate::bed::CANARY), "{shown}");
}

#[test]
fn what_only_the_state_remembers_is_measured() {
    let bed = Bed::new(&json!({}));
    let now = jiff::Timestamp::now();
    let ago = |hours: i64| (now - jiff::SignedDuration::from_hours(hours)).to_string();
    let entry = |release: &str, status: &str, hours: i64| json!({"release": release, "status": status, "deployed_at": ago(hours), "changed_at": ago(hours - 1)});
    let state = json!({
        "schema": "deploy-guard/state/v1", "service": "shop", "generation": 1, "current": "v4",
        "history": [
            entry("v4", "good", 2), entry("v3", "bad", 30), entry("v2", "good", 60), entry("v1", "good", 90),
        ],
    });
    std::fs::create_dir(bed.path(".deploy-guard")).unwrap();
    std::fs::write(bed.path(".deploy-guard/state.json"), state.to_string()).unwrap();
    let series = bed
        .run(&["metrics", "--format", "prometheus"])
        .code(0)
        .stdout;
    for line in [
        "deployment_started_total{service=\"shop\",environment=\"\"} 4",
        "deployment_completed_total{service=\"shop\",environment=\"\",status=\"success\"} 3",
        "deployment_completed_total{service=\"shop\",environment=\"\",status=\"failure\"} 1",
        "rollback_triggered_total{service=\"shop\",environment=\"\"} 1",
    ] {
        assert!(series.lines().any(|one| one == line), "{line}: {series}");
    }
    bed.run(&["metrics", "--textfile", "shop.prom"]).code(0);
    assert_eq!(
        std::fs::read_to_string(bed.path("shop.prom")).unwrap(),
        series
    );
    let json = bed.run(&["metrics", "--format", "json"]).code(0).stdout;
    let view: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(view["deployments"]["succeeded"], 3);
    let table = bed.run(&["metrics"]).code(0).stdout;
    assert!(table.contains("75"), "three of four succeeded: {table}");
}

/// Two machines wrote it, of which one has another time.
#[test]
fn what_ended_before_it_began_took_an_unknown_time() {
    let bed = Bed::new(&json!({}));
    bed.run(&["open", "--release", "v2", "slow"]).code(0);
    let report = bed.run(&["report"]).code(0).stdout;
    assert!(report.contains("| duration | not over yet |"), "{report}");
    bed.run(&["resolve", "fast again"]).code(0);
    let mut log = bed.events();
    for event in log
        .iter_mut()
        .filter(|event| event["kind"] == "incident-resolved")
    {
        event["at"] = json!(minutes_ago(60));
    }
    bed.write_log(&log);
    let report = bed.run(&["report"]).code(0).stdout;
    for row in [
        "| duration | unknown |",
        "| recovery: first evidence → restored | unknown |",
    ] {
        assert!(report.contains(row), "{row}: {report}");
    }
    let json = bed.run(&["metrics", "--format", "json"]).code(0).stdout;
    let view: Value = serde_json::from_str(&json).unwrap();
    let recovery = &view["figures"]["mean_time_to_recovery"];
    assert_eq!(
        (&recovery["counted"], &recovery["unknown"]),
        (&json!(0), &json!(1)),
        "{json}"
    );
}

/// A release that was found bad after its run had ended well is a failure, with the time that a person took.
#[test]
fn a_rollback_by_hand_is_counted_against_the_release_that_it_took_back() {
    let bed = Bed::new(&json!({}));
    bed.deployed("v2", 200, 8);
    bed.deployed("v3", 120, 8);
    bed.reported("v3", 100);
    // The log has it about the deployment that was refused meanwhile: which one it left, its order tells.
    bed.refused("v4", 98);
    bed.taken_back("v4", "v2", 90);
    let json = bed.run(&["metrics", "--format", "json"]).code(0).stdout;
    let view: Value = serde_json::from_str(&json).unwrap();
    let all = &view["deployments"];
    let told = ["succeeded", "rolled_back", "failed", "refused", "rollbacks"].map(|key| &all[key]);
    assert_eq!(json!(told), json!([1, 1, 0, 1, 1]), "{json}");
    let figures = &view["figures"];
    for (figure, value, counted) in [
        ("change_fail_rate", json!(0.5), 2),
        ("rollback_rate", json!(0.5), 2),
        ("rollback_time", json!(120_000), 1),
        ("deployment_success_rate", json!(0.5), 2),
    ] {
        let told = &figures[figure];
        assert_eq!(told["value"], value, "{figure}: {told}");
        assert_eq!(
            (&told["counted"], &told["unknown"]),
            (&json!(counted), &json!(0)),
            "{told}"
        );
    }
    // The log was written line by line, each by the clock.
    let recovery = figures["failed_deployment_recovery_time"]["value"].as_u64();
    assert!((600_000..610_000).contains(&recovery.unwrap()), "{json}");
    bed.run(&["metrics", "--cdevents", "a.jsonl"]).code(0);
    let events = std::fs::read_to_string(bed.path("a.jsonl")).unwrap();
    let rolled_back = events
        .lines()
        .filter(|line| line.contains("service.rolledback"));
    let rolled_back: Vec<&str> = rolled_back.collect();
    assert_eq!(rolled_back.len(), 1, "{events}");
    assert!(rolled_back[0].contains("shop@v2"), "{events}");
}

/// The figures, and the series of Prometheus' text by name and labels, without those of the service.
fn measured(bed: &Bed) -> (Value, BTreeMap<String, String>) {
    let json = bed.run(&["metrics", "--format", "json"]).code(0).stdout;
    let series = bed
        .run(&["metrics", "--format", "prometheus"])
        .code(0)
        .stdout;
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        let name = name.replace("{service=\"shop\",environment=\"\"}", "");
        let name = name.replace("service=\"shop\",environment=\"\",", "");
        (!line.starts_with('#')).then(|| (name, value.to_owned()))
    };
    let series = series.lines().filter_map(sample).collect();
    (serde_json::from_str(&json).unwrap(), series)
}

/// How many of how many, and of how many it is not known.
fn part(view: &Value, figure: &str) -> Value {
    let figure = &view["figures"][figure];
    json!([figure["part"], figure["counted"], figure["unknown"]])
}

/// Prometheus takes a fall of a counter for a restart, and counts the whole value once more.
#[test]
fn a_counter_never_falls_and_a_rollback_of_a_rollback_is_no_second_failure() {
    let bed = Bed::new(&json!({}));
    bed.deployed("v1", 300, 8);
    bed.deployed("v2", 200, 8);
    let counters = || {
        let (_, series) = measured(&bed);
        [
            "deployment_completed_total{status=\"success\"}",
            "deployment_completed_total{status=\"failure\"}",
            "deployment_duration_seconds_count",
            "rollback_triggered_total",
        ]
        .map(|name| series[name].parse::<u64>().unwrap())
    };
    assert_eq!(counters(), [2, 0, 2, 0]);
    bed.taken_back("v2", "v1", 90);
    assert_eq!(counters(), [2, 0, 2, 1]);
    let (view, _) = measured(&bed);
    assert_eq!(view["deployments"]["rolled_back"], 1, "{view}");
    // v2 was good after all, and is put back; the state finds v1, which was left for it, bad.
    bed.taken_back("v1", "v2", 60);
    let entry = |release: &str, status: &str, deployed: i64, changed: i64| json!({"release": release, "status": status, "deployed_at": minutes_ago(deployed), "changed_at": minutes_ago(changed)});
    let state = json!({
        "schema": "deploy-guard/state/v1", "service": "shop", "generation": 1, "current": "v2",
        "history": [entry("v2", "good", 195, 61), entry("v1", "bad", 295, 61)],
    });
    std::fs::write(bed.path(".deploy-guard/state.json"), state.to_string()).unwrap();
    assert_eq!(counters(), [2, 0, 2, 2]);
    let (view, _) = measured(&bed);
    let all = &view["deployments"];
    assert_eq!(
        json!([all["succeeded"], all["rolled_back"], all["rollbacks"]]),
        json!([2, 0, 2]),
        "{view}"
    );
    for (figure, told) in [
        ("deployment_success_rate", json!([2, 2, 0])),
        ("change_fail_rate", json!([0, 2, 0])),
        ("deployment_rework_rate", json!([0, 2, 0])),
        ("rollback_rate", json!([1, 2, 0])),
    ] {
        assert_eq!(part(&view, figure), told, "{figure}: {view}");
    }
    // And taken back for good.
    bed.taken_back("v2", "v1", 30);
    assert_eq!(counters(), [2, 0, 2, 3]);
    assert_eq!(measured(&bed).0["deployments"]["rolled_back"], 1);
}

#[test]
fn an_incident_that_gets_worse_is_counted_as_it_was_opened() {
    let bed = Bed::new(&json!({}));
    bed.run(&["open", "--release", "v2", "--impact", "none", "slow"])
        .code(0);
    let told = || {
        let (_, series) = measured(&bed);
        ["incidents_total", "open_incidents"].map(|name| {
            let name = format!("deploy_guard_{name}{{");
            let of = series.iter().filter(|(key, _)| key.starts_with(&name));
            let of = of.filter(|(_, value)| *value != "0");
            of.map(|(key, value)| format!("{} {value}", key.trim_start_matches(&name)))
                .collect::<Vec<_>>()
                .join(", ")
        })
    };
    assert_eq!(told(), ["severity=\"low\"} 1", "severity=\"low\"} 1"]);
    let worse = ["update", "--severity", "critical", "--reason", "all fails"];
    bed.run(&[&worse[..], &["down"]].concat()).code(0);
    assert_eq!(told(), ["severity=\"low\"} 1", "severity=\"critical\"} 1"]);
}

/// By hand, days after it was deployed: the time of its deployment tells nothing.
#[test]
fn rework_counts_from_when_a_release_was_found_bad() {
    let bed = Bed::new(&json!({}));
    bed.deployed("v1", 80 * 60, 8);
    bed.deployed("v2", 72 * 60, 8);
    bed.taken_back("v2", "v1", 120);
    bed.deployed("v3", 60, 8);
    let rework = |bed: &Bed| part(&measured(bed).0, "deployment_rework_rate");
    assert_eq!(rework(&bed), json!([1, 3, 0]));
    // v3 was good: what follows is planned.
    bed.deployed("v4", 30, 8);
    assert_eq!(rework(&bed), json!([1, 4, 0]));
    // A fix that comes more than a day later is none.
    let bed = Bed::new(&json!({}));
    bed.deployed("v2", 72 * 60, 8);
    bed.taken_back("v2", "v1", 26 * 60);
    bed.deployed("v3", 60, 8);
    assert_eq!(rework(&bed), json!([0, 2, 0]));
    // One that was deployed before the failure was found is no fix of it.
    let bed = Bed::new(&json!({}));
    bed.deployed("v1", 90, 8);
    bed.deployed("v2", 80, 8);
    bed.taken_back("v2", "v1", 70);
    bed.taken_back("v1", "v0", 60);
    assert_eq!(rework(&bed), json!([0, 2, 0]));
}

/// The target reports another name than `--release`, and the rollback finds that one bad.
#[test]
fn a_run_whose_release_reports_another_name_is_counted_once() {
    let bed = Bed::new(&json!({}));
    bed.deployed("v1", 300, 8);
    bed.rolled_back("v2", 60);
    bed.deployed("4f2c1d0", 40, 8);
    let during_rollback = minutes_ago(55);
    let entry = |release: &str, status: &str, deployed| json!({"release": release, "status": status, "deployed_at": deployed, "changed_at": deployed});
    let write = |rule: &str| {
        bed.configure(&json!({
            "version": 1, "service": "shop", "incident": {},
            "healthgate": {"http": [{
                "name": "ready", "url": "http://127.0.0.1:9/", "release": {"jq": ".version", "match": rule},
            }]},
        }));
        let state = json!({
            "schema": "deploy-guard/state/v1", "service": "shop", "generation": 1, "current": "v1",
            "history": [
                entry("4f2c1d0b6e1f2a3948576a0b1c2d3e4f50617283", "good", minutes_ago(35)),
                entry("bad-", "bad", during_rollback), entry("v1", "good", minutes_ago(295)),
            ],
        });
        std::fs::write(bed.path(".deploy-guard/state.json"), state.to_string()).unwrap();
    };
    write("prefix");
    let (view, _) = measured(&bed);
    let all = &view["deployments"];
    assert_eq!(
        json!([all["started"], all["succeeded"], all["rolled_back"]]),
        json!([3, 2, 1]),
        "{view}"
    );
    assert_eq!(part(&view, "change_fail_rate"), json!([1, 3, 0]));
}

/// Steps of their own write no start and end of a deployment: the state has it, and the log what its gate found.
#[test]
fn a_release_that_was_recorded_good_stays_a_success_of_the_counter() {
    let bed = Bed::new(&json!({}));
    let gate = |release: &str, verdict: &str, ago: i64| {
        let end = json!({
            "kind": "stage-ended", "stage": "healthgate", "verdict": verdict, "reason": "by the gate",
            "started_at": minutes_ago(ago + 1), "duration_ms": 60_000,
        });
        bed.append(release, minutes_ago(ago), end);
    };
    gate("v1", "pass", 299);
    gate("v2", "pass", 199);
    gate("v3", "fail", 99);
    let write = |v2: &str, changed: i64| {
        let entry = |release: &str, status: &str, deployed: i64, changed: i64| json!({"release": release, "status": status, "deployed_at": minutes_ago(deployed), "changed_at": minutes_ago(changed)});
        let state = json!({
            "schema": "deploy-guard/state/v1", "service": "shop", "generation": 1, "current": "v1",
            "history": [
                entry("v3", "bad", 100, 98), entry("v2", v2, 200, changed), entry("v1", "good", 300, 298),
            ],
        });
        std::fs::write(bed.path(".deploy-guard/state.json"), state.to_string()).unwrap();
    };
    let counters = || {
        let (_, series) = measured(&bed);
        ["success", "failure", "undecided"].map(|status| {
            let name = format!("deployment_completed_total{{status=\"{status}\"}}");
            series[&name].parse::<u64>().unwrap()
        })
    };
    // It is about to be deployed.
    write("pending", 200);
    assert_eq!(counters(), [1, 1, 0]);
    write("good", 198);
    assert_eq!(counters(), [2, 1, 0]);
    write("bad", 50);
    assert_eq!(counters(), [2, 1, 0]);
    let all = &measured(&bed).0["deployments"];
    assert_eq!(json!([all["succeeded"], all["rolled_back"]]), json!([1, 2]));
}

/// Each stage is a step of its own: the log has how long each took. A release that failed its gate is seldom recorded: then
/// the rollback makes its entry, which names no run.
#[test]
fn the_steps_of_a_workflow_run_tell_duration_rollback_time_and_recovery() {
    for (run, deployed, changed) in [(json!("42/1"), 20, 171), (Value::Null, 165, 165)] {
        let bed = Bed::new(&json!({}));
        let start = minutes_ago(60);
        let at = |seconds: i64| start + SignedDuration::from_secs(seconds);
        let step = |stage: &str, verdict: &str, from: i64, took: i64, restored: Value| {
            let end = json!({
                "kind": "stage-ended", "stage": stage, "verdict": verdict, "reason": "by the step",
                "started_at": at(from), "duration_ms": took * 1000, "restored": restored,
            });
            bed.append("v2", at(from + took), end);
        };
        step("preflight", "pass", 0, 10, Value::Null);
        if !run.is_null() {
            step("record", "pass", 20, 1, Value::Null);
        }
        step("healthgate", "fail", 30, 90, Value::Null);
        step("rollback", "pass", 130, 40, json!("v1"));
        // `rollback decide`, by a curious person.
        step("rollback", "pass", 300, 1, Value::Null);
        let entry = json!({
            "release": "v2", "status": "rolled-back", "deployed_at": at(deployed), "changed_at": at(changed),
            "run": run,
        });
        let state = json!({
            "schema": "deploy-guard/state/v1", "service": "shop", "generation": 1, "current": "v1",
            "history": [entry],
        });
        std::fs::write(bed.path(".deploy-guard/state.json"), state.to_string()).unwrap();
        let (view, _) = measured(&bed);
        for (figure, millis) in [
            ("deployment_duration", 170_000),
            ("rollback_time", 40_000),
            ("failed_deployment_recovery_time", 50_000),
        ] {
            let told = &view["figures"][figure];
            assert_eq!(told["value"], json!(millis), "{figure} of {run}: {told}");
            assert_eq!(
                (&told["counted"], &told["unknown"]),
                (&json!(1), &json!(0)),
                "{figure} of {run}: {told}"
            );
        }
    }
}

/// A signal ends the run in its rollback, which a person resumes.
#[test]
fn a_cancelled_run_is_a_failed_change_where_its_gate_had_failed() {
    for (verdict, cancelled, expected) in [
        ("fail", false, json!([0, 1])),
        // The signal ended the gate: it found nothing.
        ("fail", true, json!([1, 0])),
        ("inconclusive", false, json!([1, 0])),
    ] {
        let bed = Bed::new(&json!({}));
        bed.begun("v2", 20);
        let gate = json!({
            "kind": "stage-ended", "stage": "healthgate", "verdict": verdict, "reason": "by the gate",
            "started_at": minutes_ago(19), "duration_ms": 60_000, "cancelled": cancelled,
        });
        bed.append("v2", minutes_ago(18), gate);
        let end = json!({
            "kind": "deployment-ended", "conclusion": "cancelled", "reason": "interrupted in its rollback",
            "started_at": minutes_ago(20), "duration_ms": 180_000, "serving": null,
            "rollback": {"started_at": minutes_ago(18), "duration_ms": 60_000, "verdict": "error"},
        });
        bed.append("v2", minutes_ago(17), end);
        bed.taken_back("v2", "v1", 10);
        let all = &measured(&bed).0["deployments"];
        assert_eq!(
            json!([all["cancelled"], all["rolled_back"]]),
            expected,
            "{verdict} {cancelled}"
        );
    }
}

/// What a person resumes is the rollback that the run began: one trigger, and its time runs from there.
#[test]
fn an_interrupted_rollback_and_its_resumption_are_one() {
    let one = |is_resumed: bool| {
        let bed = Bed::new(&json!({}));
        bed.begun("v2", 20);
        let gate = json!({
            "kind": "stage-ended", "stage": "healthgate", "verdict": "fail", "reason": "by the gate",
            "started_at": minutes_ago(19), "duration_ms": 60_000,
        });
        bed.append("v2", minutes_ago(18), gate);
        let end = json!({
            "kind": "deployment-ended", "conclusion": "cancelled", "reason": "interrupted in its rollback",
            "started_at": minutes_ago(20), "duration_ms": 180_000, "serving": null,
            "rollback": {"started_at": minutes_ago(18), "duration_ms": 60_000, "verdict": "inconclusive"},
        });
        bed.append("v2", minutes_ago(17), end);
        if is_resumed {
            bed.resumed("v2", "v1", 10);
        } else {
            bed.taken_back("v2", "v1", 10);
        }
        let view = measured(&bed).0;
        let time = view["figures"]["rollback_time"]["value"].as_u64().unwrap();
        // The moments are asked for one after another.
        let minutes = (time + 5000) / 60_000;
        (view["deployments"]["rollbacks"].as_u64().unwrap(), minutes)
    };
    assert_eq!(one(true), (1, 8));
    // Another rollback, after one that came to nothing.
    assert_eq!(one(false), (2, 2));
}

/// What was killed goes on for no one: it is unknown as soon as another one changed what users have.
#[test]
fn a_deployment_that_never_told_its_end_runs_until_another_one_came_after_it() {
    let bed = Bed::new(&json!({}));
    let told = |key: &str| {
        let json = bed.run(&["metrics", "--format", "json"]).code(0).stdout;
        let view: Value = serde_json::from_str(&json).unwrap();
        view["deployments"][key].as_u64().unwrap()
    };
    bed.begun("v2", 90);
    assert_eq!((told("running"), told("undecided")), (1, 0));
    bed.refused("v3", 80);
    assert_eq!((told("running"), told("undecided")), (1, 0));
    bed.deployed("v4", 60, 8);
    assert_eq!((told("running"), told("undecided")), (0, 1));
    // Killed, and finished by hand.
    bed.begun("v5", 40);
    bed.taken_back("v5", "v4", 30);
    assert_eq!((told("running"), told("rolled_back")), (0, 1));
    let bed = Bed::new(&json!({}));
    bed.begun("v2", 6 * 24 * 60);
    let json = bed.run(&["metrics", "--format", "json"]).code(0).stdout;
    let view: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(view["deployments"]["undecided"], 1, "{json}");
}

#[test]
fn the_state_knows_of_a_rollback_without_the_log_and_of_a_run_that_is_no_more() {
    let bed = Bed::new(&json!({}));
    bed.deployed("v2", 300, 8);
    bed.append(
        "v3",
        minutes_ago(200),
        json!({"kind": "deployment-started"}),
    );
    let state = json!({
        "schema": "deploy-guard/state/v1", "service": "shop", "generation": 1, "current": "v1",
        "history": [{
            "release": "v2", "status": "bad", "deployed_at": minutes_ago(293), "changed_at": minutes_ago(250),
        }],
    });
    std::fs::write(bed.path(".deploy-guard/state.json"), state.to_string()).unwrap();
    let json = bed.run(&["metrics", "--format", "json"]).code(0).stdout;
    let told = serde_json::from_str::<Value>(&json).unwrap()["deployments"].clone();
    assert_eq!(told["succeeded"], 0, "{told}");
    assert_eq!(told["rolled_back"], 1, "{told}");
    assert_eq!(
        (&told["running"], &told["undecided"]),
        (&json!(0), &json!(1)),
        "{told}"
    );
}

#[test]
fn the_share_that_a_canary_gets_is_observed() {
    let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
    let nginx = Nginx::start(&blue.address());
    // Recorded are 10 %, and another hand has set half.
    let server = |shop: &Shop| format!("    server {};\n", shop.address());
    nginx.read(&format!(
        "upstream shop {{\n{}{}}}\n",
        server(&blue),
        server(&green)
    ));
    let bed = Bed::new(&json!({}));
    bed.configure(&json!({
        "version": 1, "service": "shop", "incident": {},
        "traffic": {"state": ".deploy-guard/state.json", "nginx": {
            "upstream-file": nginx.upstream_file(), "blue": blue.address(), "green": green.address(),
            "release": {"url": nginx.url("/api/v1/version"), "jq": ".version"},
            "test": nginx.test_command(), "reload": nginx.reload_command(),
        }},
    }));
    let state = json!({
        "schema": "deploy-guard/state/v1", "service": "shop", "generation": 1, "current": "v1", "history": [],
        "rollout": {
            "release": "v2", "stable": "v1", "share": "10%", "sides": {"localhost": "green"}, "phase": "judging",
            "started": minutes_ago(2), "changed": minutes_ago(1), "by": "ann",
        },
    });
    std::fs::create_dir(bed.path(".deploy-guard")).unwrap();
    std::fs::write(bed.path(".deploy-guard/state.json"), state.to_string()).unwrap();
    let metrics = ["metrics", "--format", "prometheus"];
    let share = |source: &str| -> f64 {
        let series = bed.run(&metrics).code(0).stdout;
        let wanted = format!("source=\"{source}\"");
        let line = series.lines().find(|line| line.contains(&wanted));
        let line = line.unwrap_or_else(|| panic!("{source}: {series}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!((share("configured") - 0.1).abs() < 1e-9);
    // For a moment after a reload, both configurations answer.
    let half = || (share("observed") - 0.5).abs() < 0.05;
    assert!(wait_until(Duration::from_secs(10), half));
}

#[test]
fn dashboard_and_alerts_need_no_configuration() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["dashboard", "alerts"] {
        let mut incident = std::process::Command::new(testkit::bin_path("incident"));
        testkit::clear_environment(&mut incident);
        let output = incident
            .current_dir(folder.path())
            .arg(command)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(output.stdout.len() > 500);
    }
}

#[test]
fn a_pushgateway_takes_the_series_and_a_second_push_replaces_them() {
    let gateway = testkit::Pushgateway::start();
    let bed = Bed::new(&json!({}));
    bed.run(&["open", "--release", "v2", "slow"]).code(0);
    let url = gateway.url();
    let push = || {
        bed.run(&["metrics", "--format", "prometheus", "--pushgateway", &url])
            .code(0)
    };
    push();
    push();
    let body = testkit::get(&format!("{url}/metrics")).unwrap().body;
    let body = String::from_utf8(body).unwrap();
    let line = "deploy_guard_incidents_total{environment=\"\",instance=\"\",job=\"deploy-guard\",service=\"shop\",severity=\"high\"} 1";
    assert!(body.lines().any(|one| one == line), "{body}");
    // stdout has the figures; stderr has why it failed.
    let failed = bed.run(&["metrics", "--pushgateway", "http://127.0.0.1:1"]);
    let failed = failed.code(4);
    assert!(failed.stdout.contains("deployment"), "{}", failed.stdout);
    assert!(failed.stderr.contains("127.0.0.1:1"), "{}", failed.stderr);
    bed.run(&["metrics", "--pushgateway", "gateway"]).code(2);
    bed.run(&["metrics", "--since", "0s"]).code(2);
}

#[test]
fn figures_are_printed_also_where_their_file_cannot_be_written() {
    let bed = Bed::new(&json!({}));
    std::fs::create_dir(bed.path("folder.prom")).unwrap();
    for (flag, file) in [
        ("--textfile", "missing/shop.prom"),
        ("--textfile", "folder.prom"),
        ("--cdevents", "missing/events.jsonl"),
    ] {
        let ran = bed.run(&["metrics", flag, file]).code(4);
        assert!(ran.stdout.contains("success rate"), "{}", ran.stdout);
        assert!(
            ran.stderr.contains(&format!("failed to write {file}: ")),
            "{}",
            ran.stderr
        );
        assert!(!ran.stderr.contains(".deploy-guard-"), "{}", ran.stderr);
    }
}

#[test]
fn figures_look_back_over_a_quarter_and_half_a_year() {
    let bed = Bed::new(&json!({}));
    for (since, hours) in [("90d", 90 * 24), ("26w", 26 * 7 * 24), ("720h", 720)] {
        let args = ["metrics", "--format", "json", "--since", since];
        let figures: Value = serde_json::from_str(&bed.run(&args).code(0).stdout).unwrap();
        let time =
            |key: &str| -> jiff::Timestamp { figures[key].as_str().unwrap().parse().unwrap() };
        assert_eq!(time("until").duration_since(time("from")).as_hours(), hours);
    }
    for since in ["90", "a quarter", "99999d", "-3d"] {
        let wrong = bed.run(&["metrics", &format!("--since={since}")]).code(2);
        assert!(wrong.stderr.contains("--since"), "{}", wrong.stderr);
    }
}

#[test]
fn cdevents_are_read_by_the_specifications_library() {
    let bed = Bed::new(&json!({}));
    bed.deployed("v2", 120, 8);
    bed.rolled_back("v3", 60);
    // The sink of GitHub made an issue, and wrote a comment into it.
    let mut log = bed.events();
    let opened = log.iter().find(|event| event["kind"] == "incident-opened");
    let (opened, at) = opened
        .map(|event| (event["id"].clone(), event["at"].clone()))
        .unwrap();
    for id in ["7f", "80"] {
        log.push(json!({
            "schema": "deploy-guard/event/v1", "id": id, "at": at, "by": {"actor": "ann"}, "kind": "delivered",
            "delivery": {"event": opened, "sink": "issue"}, "reference": {"kind": "github-issue", "number": 9},
        }));
    }
    bed.write_log(&log);
    let ticket = || {
        bed.run(&["metrics", "--cdevents", "ticket.jsonl"]).code(0);
        let text = std::fs::read_to_string(bed.path("ticket.jsonl")).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        last["data"]["subject"]["content"]["ticketURI"].clone()
    };
    let write = |name: &str| {
        bed.run(&["metrics", "--cdevents", name]).code(0);
        std::fs::read_to_string(bed.path(name)).unwrap()
    };
    let text = write("a.jsonl");
    assert_eq!(text, write("b.jsonl"), "the same log gives the same lines");
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.len(), 5);
    let reported = events.last().unwrap();
    assert_eq!(reported["type"], "dev.cdevents.incident.reported.0.3.0");
    let content = &reported["data"]["subject"]["content"];
    assert_eq!(
        content["ticketURI"],
        "https://github.com/acme/shop/issues/9"
    );
    assert_eq!(content["environment"]["id"], "production");
    for event in events {
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["source"], "/shop");
        assert!(event["data"]["context"]["chainId"].is_string());
        let read: cdevents_sdk::CDEvent = serde_json::from_value(event["data"].clone()).unwrap();
        assert_eq!(read.ty(), event["type"].as_str().unwrap());
    }
    bed.run(&["metrics", "--cdevents", "c.jsonl", "--since", "1m"])
        .code(0);
    // The sink has another repository: as the log tells, else as it is configured.
    bed.configure(&json!({"version": 1, "service": "shop", "incident": {
        "github-issue": [{"name": "issue", "repository": "acme/configured"}],
    }}));
    assert_eq!(ticket(), "https://github.com/acme/configured/issues/9");
    for event in &mut log {
        // A laptop has no page of a run.
        event.as_object_mut().unwrap().remove("evidence");
        if event["kind"] == "delivered" {
            event["reference"]["repository"] = json!("acme/incidents");
        }
    }
    bed.write_log(&log);
    assert_eq!(ticket(), "https://github.com/acme/incidents/issues/9");
    assert_eq!(std::fs::read_to_string(bed.path("c.jsonl")).unwrap(), "");
}

/// DORA's two usual interventions: a rollback, and a hotfix.
#[test]
fn a_release_whose_incident_a_hotfix_ended_failed_and_the_hotfix_is_rework() {
    let bed = Bed::new(&json!({}));
    bed.deployed("v1", 300, 8);
    bed.deployed("v2", 200, 8);
    bed.reported("v2", 150);
    bed.deployed("v3", 140, 10);
    let (view, series) = measured(&bed);
    assert_eq!(part(&view, "change_fail_rate"), json!([1, 3, 0]));
    assert_eq!(part(&view, "deployment_success_rate"), json!([2, 3, 0]));
    assert_eq!(part(&view, "deployment_rework_rate"), json!([1, 3, 0]));
    // From the report to the proof that the hotfix serves.
    let recovery = &view["figures"]["failed_deployment_recovery_time"];
    assert_eq!(recovery["counted"], 1, "{recovery}");
    let took = recovery["value"].as_u64().unwrap();
    assert!((1_200_000..1_210_000).contains(&took), "{recovery}");
    // A counter counts how a run ended, and that does not change.
    assert_eq!(
        series["deployment_completed_total{status=\"success\"}"],
        "3"
    );
    assert_eq!(series["rollback_triggered_total"], "0");
}

#[test]
fn an_incident_that_no_user_notices_or_that_no_other_release_ended_makes_no_failure() {
    let quiet = json!({"severity": "low", "impact": "none"});
    let loud = json!({"severity": "high", "impact": "degraded"});
    for (incident, next) in [(&quiet, "v3"), (&loud, "v2")] {
        let bed = Bed::new(&json!({}));
        bed.deployed("v1", 300, 8);
        bed.deployed("v2", 200, 8);
        let mut open = json!({
            "kind": "incident-opened", "incident": "inc-1", "why": "a rule", "text": "a typo",
            "deployment": null,
        });
        open.as_object_mut()
            .unwrap()
            .extend(incident.as_object().unwrap().clone());
        bed.append("v2", minutes_ago(150), open);
        bed.deployed(next, 140, 10);
        let (view, _) = measured(&bed);
        assert_eq!(
            part(&view, "change_fail_rate"),
            json!([0, 3, 0]),
            "{incident} {next}"
        );
        assert_eq!(
            part(&view, "deployment_rework_rate"),
            json!([0, 3, 0]),
            "{incident} {next}"
        );
    }
}

#[test]
fn each_rollback_is_counted_however_often_it_goes_back_and_forth() {
    let bed = Bed::new(&json!({}));
    bed.deployed("v1", 300, 8);
    bed.deployed("v2", 200, 8);
    let mut before = 0;
    for (nth, to) in ["v1", "v2", "v1", "v2"].into_iter().enumerate() {
        let nth = i64::try_from(nth).unwrap();
        bed.taken_back("v2", to, 100 - nth * 20);
        let (view, series) = measured(&bed);
        let count: i64 = series["rollback_triggered_total"].parse().unwrap();
        assert_eq!(count, before + 1, "{to}");
        let time = &view["figures"]["rollback_time"];
        assert_eq!(
            (&time["counted"], &time["unknown"]),
            (&json!(count), &json!(0)),
            "{time}"
        );
        assert_eq!(time["value"], json!(120_000), "{time}");
        before = count;
    }
}

/// The rollback of each failed, and a third release ended the incident that the first one opened.
#[test]
fn all_that_failed_before_a_good_release_recovered_with_it() {
    let bed = Bed::new(&json!({}));
    bed.deployed("v1", 300, 8);
    for (release, began) in [("v2", 200), ("v3", 180)] {
        bed.begun(release, began);
        let end = json!({
            "kind": "deployment-ended", "conclusion": "failed", "reason": "its rollback failed too",
            "started_at": minutes_ago(began), "duration_ms": 60_000, "failed_stage": "healthgate",
            "failed_at": minutes_ago(began - 1),
        });
        bed.append(release, minutes_ago(began - 2), end);
    }
    bed.deployed("v4", 150, 10);
    let (view, _) = measured(&bed);
    let recovery = &view["figures"]["failed_deployment_recovery_time"];
    assert_eq!(
        (&recovery["counted"], &recovery["unknown"]),
        (&json!(2), &json!(0)),
        "{recovery}"
    );
}

/// What a run writes after the proof, and waits for, is no part of it.
#[test]
fn a_release_is_restored_when_its_rollback_is_proved_and_the_report_has_the_same_time() {
    let bed = Bed::new(&json!({}));
    bed.deployed("v1", 300, 8);
    bed.rolled_back("v2", 60);
    let mut log = bed.events();
    for event in &mut log {
        let is_end = event["kind"] == "deployment-ended" && event["release"] == "v2";
        if is_end || event["kind"] == "incident-resolved" {
            event["at"] = json!(minutes_ago(50));
        }
    }
    bed.write_log(&log);
    let (view, _) = measured(&bed);
    let recovery = &view["figures"]["failed_deployment_recovery_time"];
    assert_eq!(recovery["value"], json!(120_000), "{recovery}");
    let report = bed.run(&["report", "--format", "json"]).code(0).stdout;
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["recovery_ms"], json!(120_000), "{report}");
}

/// One form and one value, whichever command tells it.
#[test]
fn every_command_tells_how_long_an_incident_lasted_in_the_same_words() {
    let bed = Bed::new(&json!({}));
    bed.run(&["open", "slow"]).code(0);
    // Longer than a second, and no whole number of them.
    std::thread::sleep(Duration::from_millis(1200));
    let resolved = bed.run(&["resolve", "v1 serves"]).code(0).stdout;
    let (_, told) = resolved.split_once("resolved after ").unwrap();
    let told = told.lines().next().unwrap();
    assert!(told.starts_with(|c: char| c.is_ascii_digit()), "{told}");
    for (command, wanted) in [
        ("list", format!("resolved after {told}:")),
        ("report", format!("| duration | {told} |")),
        ("metrics", format!("mean {told}, p90 {told}")),
    ] {
        let text = bed.run(&[command]).code(0).stdout;
        assert!(text.contains(&wanted), "{command}: {wanted}: {text}");
    }
}
