//! The way back as a user asks for it, on states that `rollback` itself wrote.

use std::path::Path;

use tempfile::TempDir;
use testkit::Registry;

/// A folder with a configuration and no state yet.
fn world(ready: &str, more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "version: 1\npreflight:\n  timeout: 30s\n  rollback-ready: {{ {ready} }}\nrollback:\n  state: state.json\n{more}  command: {{ run: 'true' }}\n"
    );
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    folder
}

fn rollback(folder: &Path, arguments: &[&str]) {
    let mut command = testkit::bin("rollback");
    command.current_dir(folder).args(arguments).assert().code(0);
}

/// The verdict and the reason of each part, and the exit code.
fn asked(folder: &Path) -> (i32, serde_json::Value) {
    let mut command = testkit::bin("preflight");
    let only = ["--format", "json", "--only", "rollback-ready"];
    let output = command
        .current_dir(folder)
        .env("HOME", folder)
        .args(only)
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let mut parts = serde_json::Map::new();
    for outcome in report["outcomes"].as_array().unwrap() {
        let mut keys = vec!["expected", "actual"];
        if outcome["verdict"] != "pass" {
            keys.extend(["reason", "hint"]);
        }
        for key in keys {
            assert!(outcome[key].is_string(), "{key}: {outcome}");
        }
        let id = outcome["id"]
            .as_str()
            .unwrap()
            .strip_prefix("rollback-ready/")
            .unwrap();
        parts.insert(id.to_owned(), outcome.clone());
    }
    (output.status.code().unwrap(), parts.into())
}

fn change(folder: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = folder.join("state.json");
    let mut state = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut state);
    std::fs::write(path, state.to_string()).unwrap();
}

fn ago(hours: i64) -> serde_json::Value {
    (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours))
        .to_string()
        .into()
}

/// A release is refused under each of its names.
#[test]
fn match_prefix_record_a_release_known_bad_under_another_name_is_refused() {
    const FULL: &str = "0fb16b11f9936e0374948c64e8c3b18db25b6fbf";
    let short = &FULL[..9];
    let upper = FULL.to_uppercase();
    for (recorded, asked, rule, code) in [
        (short, FULL, "prefix", 5),
        (FULL, short, "prefix", 5),
        (FULL, upper.as_str(), "exact", 5),
        (short, upper.as_str(), "prefix", 5),
        // Without a rule names are compared as text, and six digits are too short for a commit id.
        (short, FULL, "exact", 0),
        (&FULL[..6], FULL, "prefix", 0),
    ] {
        let folder = world("max-drill-age: 90d", "");
        let here = folder.path();
        let config = std::fs::read_to_string(here.join("deploy-guard.yml")).unwrap();
        let gate = format!(
            "healthgate:\n  http: [{{ name: ready, url: 'http://127.0.0.1:9/', release: {{ jq: .version, match: {rule} }} }}]\n"
        );
        std::fs::write(here.join("deploy-guard.yml"), config + &gate).unwrap();
        rollback(
            here,
            &[
                "record",
                "--force=not-running",
                "--reason=test",
                "--release",
                "v1",
            ],
        );
        rollback(here, &["record", "--pending", "--release", recorded]);
        change(here, |state| {
            let history = state["history"].as_array_mut().unwrap();
            let entry = history
                .iter_mut()
                .find(|entry| entry["release"] == recorded);
            entry.unwrap()["status"] = "bad".into();
        });
        let mut command = testkit::bin("preflight");
        let only = ["--format", "json", "--only", "release/known-bad"];
        let output = command
            .current_dir(here)
            .args(only)
            .args(["--release", asked])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{recorded} {asked}: {text}"
        );
        let told = format!("{recorded} is recorded bad");
        assert_eq!(text.contains(&told), code == 5, "{text}");
    }
}

#[test]
fn runbook_002_checklist_previous_image_is_still_there_and_the_way_back_was_walked() {
    let registry = Registry::start();
    let digest = registry.push("acme/shop", "v1", "linux/amd64");
    let image = format!(
        "image: '{}/acme/shop:${{LAST_KNOWN_GOOD}}', max-drill-age: 90d",
        registry.address()
    );
    let folder = world(&image, "  window: 1h\n");
    let here = folder.path();
    let (code, parts) = asked(here);
    assert_eq!(code, 1, "{parts}");
    for part in ["state", "last-known-good", "window", "drill", "image"] {
        let hint = parts[part]["hint"].as_str().unwrap();
        assert!(
            hint.contains("rollback record --release"),
            "{part}: {parts}"
        );
    }
    rollback(here, &["record", "--release", "v1", "--digest", &digest]);
    let (code, parts) = asked(here);
    assert_eq!(code, 1, "{parts}");
    assert_eq!(parts["drill"]["actual"], "never");
    assert_eq!(parts["image"]["verdict"], "pass", "{parts}");
    rollback(here, &["record-drill"]);
    let (code, parts) = asked(here);
    assert_eq!(code, 0, "{parts}");

    change(here, |state| state["last_drill"] = ago(100 * 24));
    let (code, parts) = asked(here);
    assert_eq!(code, 1);
    assert_eq!(
        parts["drill"]["reason"],
        "a rollback was rehearsed 100d ago, 90d are allowed"
    );

    // The tag was pushed again: the restored image would not be the good one.
    registry.push_made("acme/shop", "v1", "linux/amd64", "2026-01-01T00:00:00Z");
    let (_, parts) = asked(here);
    assert_eq!(parts["image"]["verdict"], "fail", "{parts}");
    rollback(here, &["record", "--release", "v9"]);
    let (_, parts) = asked(here);
    let reason = parts["image"]["reason"].as_str().unwrap();
    assert!(
        reason.contains("v9 cannot be gone back to: `v9` is not in"),
        "{parts}"
    );
}

#[test]
fn a_window_closes_and_a_frozen_or_locked_or_damaged_state_is_no_way_back() {
    let folder = world("", "  window: 1h\n");
    let here = folder.path();
    rollback(here, &["record", "--release", "v1"]);
    rollback(here, &["record", "--release", "v2"]);
    let (code, parts) = asked(here);
    assert_eq!(code, 0, "{parts}");
    // v2 runs, and v1 is the last-known-good.
    let newer = |hours: i64| {
        change(here, |state| {
            state["last_known_good"] = "v1".into();
            state["history"][0]["status"] = "pending".into();
            state["history"][0]["deployed_at"] = ago(hours);
        });
        asked(here)
    };
    assert_eq!(newer(0).0, 0);
    let (code, parts) = newer(3);
    assert_eq!(code, 1, "{parts}");
    let reason = parts["window"]["reason"].as_str().unwrap();
    assert_eq!(
        reason,
        "the window of 1h has passed: what v1 needs may be gone"
    );

    newer(0);
    change(here, |state| {
        state["frozen"] = serde_json::json!({"reason": "look first", "by": "eve", "at": ago(1)});
    });
    let (_, parts) = asked(here);
    assert_eq!(
        parts["state"]["reason"],
        "the environment is frozen: look first"
    );
    change(here, |state| {
        state["frozen"] = serde_json::Value::Null;
        state["lock"] = serde_json::json!({
            "holder": {"run_id": "7", "run_attempt": 1, "host": "elsewhere", "boot_id": "b",
                "namespace": "n", "pid": 1, "started": 1},
            "operation": "rollback", "acquired": ago(0), "expires": ago(-1), "token": 9,
        });
    });
    let (code, parts) = asked(here);
    assert_eq!(code, 1, "{parts}");
    assert!(
        parts["state"]["actual"]
            .as_str()
            .unwrap()
            .contains("locked by"),
        "{parts}"
    );
    std::fs::write(here.join("state.json"), "{").unwrap();
    let (code, parts) = asked(here);
    assert_eq!(code, 1, "{parts}");
    assert!(
        parts["state"]["reason"]
            .as_str()
            .unwrap()
            .contains("the state cannot be used")
    );
}

#[test]
fn beside_a_rollout_nothing_is_deployed() {
    let traffic = "traffic:\n  command: { set: 'true', get: 'echo 10', blue: 'a:1', green: 'a:2', release: { url: 'http://127.0.0.1:1/', jq: .version } }\n";
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let config = format!(
        "version: 1\npreflight:\n  rollback-ready: {{}}\nrollback:\n  state: state.json\n  command: {{ run: 'true' }}\n{traffic}"
    );
    std::fs::write(here.join("deploy-guard.yml"), config).unwrap();
    rollback(here, &["record", "--release", "v1"]);
    let asked = |code: i32| {
        let mut command = testkit::bin("preflight");
        let output = command
            .current_dir(here)
            .args(["--release", "v3", "--format", "json"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let all = report["outcomes"].as_array().unwrap().clone();
        move |id: &str| {
            let found = all.iter().find(|outcome| outcome["id"] == id);
            found.unwrap_or_else(|| panic!("{id}: {all:?}")).clone()
        }
    };
    assert_eq!(asked(0)("release/rollout")["verdict"], "pass");
    change(here, |state| {
        state["rollout"] = serde_json::json!({
            "release": "v2", "stable": "v1", "share": "10%", "sides": {"localhost": "green"},
            "phase": "judging", "started": ago(0), "changed": ago(0), "by": "eve",
        });
    });
    let outcome = asked(5);
    assert_eq!(outcome("release/rollout")["verdict"], "refused");
    assert_eq!(
        outcome("release/rollout")["actual"],
        "v2 has 10% beside v1 (judging)"
    );
    let ready = outcome("rollback-ready/state");
    assert_eq!(ready["verdict"], "fail");
    assert_eq!(
        ready["reason"],
        "a rollout of v2 is in progress: it has 10%"
    );
}

const NGINX: &str = "version: 1
preflight:
  rollback-ready: {}
rollback:
  state: state.json
  nginx: { upstream-file: live.inc, blue: '127.0.0.1:18801', green: '127.0.0.1:18802', release: { url: 'http://127.0.0.1:1/', jq: .version } }
";

#[test]
fn nginx_no_server_line_a_form_that_no_rollback_could_switch_fails_before_the_deployment() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("deploy-guard.yml"), NGINX).unwrap();
    for (text, verdict, told) in [
        (
            "set $service_url http://127.0.0.1:18801;",
            "fail",
            "has no `server` line",
        ),
        (
            "location / { proxy_pass http://127.0.0.1:18801; }",
            "fail",
            "has no `server` line",
        ),
        (
            "upstream a { server 127.0.0.1:18801; server 127.0.0.1:18802 backup; }
             upstream b { server 127.0.0.1:18802; server 127.0.0.1:18801 backup; }",
            "fail",
            "give the traffic to different colours",
        ),
        (
            "upstream shop { server 127.0.0.1:18802; }",
            "pass",
            "127.0.0.1:18802 has the traffic",
        ),
    ] {
        std::fs::write(here.join("live.inc"), text).unwrap();
        let (_, parts) = asked(here);
        let part = &parts["target"];
        assert_eq!(part["verdict"], verdict, "{text}: {part}");
        assert!(part["actual"].as_str().unwrap().contains(told), "{part}");
        if verdict == "fail" {
            let hint = part["hint"].as_str().unwrap();
            let how = if told.contains("different") {
                "`rollback.nginx.upstream: a`"
            } else {
                "let live.inc hold `upstream shop { server"
            };
            assert!(hint.contains(how), "{hint}");
        }
    }
    std::fs::remove_file(here.join("live.inc")).unwrap();
    let (_, parts) = asked(here);
    assert_eq!(parts["target"]["actual"], "there is no file live.inc");
    assert_eq!(parts["target"]["verdict"], "fail");
}

#[test]
fn a_state_whose_folder_cannot_be_made_is_no_way_back() {
    let folder = world("", "");
    let path = folder.path().join("deploy-guard.yml");
    let config = std::fs::read_to_string(&path).unwrap();
    let nowhere = config.replace("state: state.json", "state: /proc/nowhere/state.json");
    std::fs::write(path, nowhere).unwrap();
    let (code, parts) = asked(folder.path());
    assert_eq!(code, 1);
    let reason = parts["state"]["reason"].as_str().unwrap();
    assert!(
        reason.contains("nothing can be written in /proc"),
        "{reason}"
    );
}

#[test]
fn what_can_be_wrong_in_the_file_is_told_with_its_place() {
    let refused = |config: &str, why: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
        let output = testkit::bin("preflight")
            .current_dir(folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(
            text.contains(why) && text.contains("deploy-guard.yml:3:"),
            "{text}"
        );
    };
    let rollback = "rollback: { state: s.json, command: { run: 'true', current: 'true' } }\n";
    let ready = |image: &str| {
        format!("version: 1\npreflight:\n  rollback-ready: {{ image: '{image}' }}\n{rollback}")
    };
    refused(
        &ready("ghcr.io/acme/shop:v1"),
        "does not name `${LAST_KNOWN_GOOD}`",
    );
    refused(
        &ready("ghcr.io/acme/${NOT_SET}:${LAST_KNOWN_GOOD}"),
        "`NOT_SET` is not set",
    );
    let alone = "version: 1\npreflight:\n  rollback-ready: {}\n";
    refused(alone, "there is no `rollback` section");
    let elsewhere =
        "version: 1\npreflight:\n  images: [{ name: a, image: 'a:${LAST_KNOWN_GOOD}' }]\n";
    refused(elsewhere, "`LAST_KNOWN_GOOD` is not set");
}

/// What is lifted does not count, and there is nothing left to do about it; what was not asked is not known.
#[test]
fn a_rule_that_a_person_lifts_costs_no_points() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let config = "version: 1\nrollback:\n  state: state.json\n  command: { run: 'true' }\n";
    std::fs::write(here.join("deploy-guard.yml"), config).unwrap();
    rollback(here, &["record", "--release", "v1"]);
    rollback(here, &["record", "--pending", "--release", "v2"]);
    change(here, |state| {
        let history = state["history"].as_array_mut().unwrap();
        let entry = history.iter_mut().find(|entry| entry["release"] == "v2");
        entry.unwrap()["status"] = "bad".into();
        state["frozen"] = serde_json::json!({"reason": "an incident", "by": "eve", "at": ago(0)});
    });
    let asked = |rules: &[&str], further: &[&str]| {
        let mut command = testkit::bin("preflight");
        command.current_dir(here).args(["--release", "v2"]);
        command.args(["--format", "json"]).args(further);
        for rule in rules {
            command.args(["--force", rule]);
        }
        if !rules.is_empty() {
            command.args(["--reason", "tested"]);
        }
        let output = command.output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), report)
    };
    let of = |report: &serde_json::Value, id: &str| {
        let mut all = report["outcomes"].as_array().unwrap().iter();
        all.find(|outcome| outcome["id"] == id).cloned().unwrap()
    };
    let (code, report) = asked(&["known-bad"], &[]);
    assert_eq!(code, 5, "{report}");
    let hint = of(&report, "release/frozen")["hint"].to_string();
    assert!(
        hint.contains("to lift this rule: `--force frozen --reason TEXT`"),
        "{hint}"
    );
    let (code, report) = asked(&["known-bad", "frozen"], &[]);
    assert_eq!(
        (code, &report["score"]),
        (0, &serde_json::Value::Null),
        "{report}"
    );
    assert_eq!(
        report["reason"],
        "nothing else was checked (2 lifted, 0 skipped)"
    );
    for id in ["release/known-bad", "release/frozen"] {
        let lifted = of(&report, id);
        let reason = lifted["reason"].as_str().unwrap();
        assert!(reason.contains("because: tested: "), "{lifted}");
        assert!(lifted["hint"].is_null(), "{lifted}");
    }
    let (_, report) = asked(&["frozen"], &["--dry-run"]);
    let reason = of(&report, "forced/frozen")["reason"].clone();
    assert_eq!(reason, "the rule was not checked");
}
