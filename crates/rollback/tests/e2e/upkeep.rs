//! `rollback state`: validate, migrate, repair.

use serde_json::{Value, json};

use crate::e2e::world::{Ran, World};

fn ids(ran: &Ran) -> Vec<String> {
    let report = ran.json();
    let outcomes = report["outcomes"].as_array().unwrap();
    let id = |outcome: &Value| outcome["id"].as_str().unwrap().to_owned();
    outcomes.iter().map(id).collect()
}

/// Files beside the state whose name holds this.
fn aside(world: &World, ending: &str) -> Vec<String> {
    let mut found: Vec<String> = std::fs::read_dir(world.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(&format!("state.json.{ending}-")))
        .collect();
    found.sort();
    found
}

#[test]
fn a_whole_state_is_valid_and_each_problem_is_named_with_its_place() {
    let world = World::with_v2_deployed();
    world
        .rollback(&["state", "validate"])
        .exits(0)
        .says("no problem");
    let good = world.read("state.json");
    let change = |pointer: &str, value: Value| {
        let mut state: Value = serde_json::from_str(&good).unwrap();
        *state.pointer_mut(pointer).unwrap() = value;
        state.to_string()
    };
    let mut extra: Value = serde_json::from_str(&good).unwrap();
    extra["history"][0]["colour/1"] = json!("blue");
    let mut less: Value = serde_json::from_str(&good).unwrap();
    less["history"][1].as_object_mut().unwrap().remove("status");
    for (text, pointer) in [
        (
            change("/history/0/status", json!("fine")),
            "/history/0/status",
        ),
        (change("/history/1/deployed_at", json!("yesterday")), ""),
        (change("/generation", json!("two")), "/generation"),
        (change("/generation", json!(-1)), ""),
        (change("/schema", json!("deploy-guard/state/v2")), "/schema"),
        (change("/last_known_good", json!("v9")), "/last_known_good"),
        (change("/current", json!("v9")), "/current"),
        (change("/history", json!({})), "/history"),
        (change("/lock", json!({"token": 1})), "/lock/holder"),
        (extra.to_string(), "/history/0/colour~11"),
        (less.to_string(), "/history/1/status"),
        (String::new(), ""),
        ("[".repeat(100_000), ""),
        (good[..good.len() / 2].to_owned(), ""),
    ] {
        world.write("state.json", &text);
        let ran = world
            .rollback(&["state", "validate", "--format", "json"])
            .exits(1);
        let wanted = format!("state/valid{pointer}");
        assert!(ids(&ran).contains(&wanted), "{wanted}: {:?}", ids(&ran));
        assert_eq!(world.read("state.json"), text);
    }
    // Any file, without a state of our own.
    world.write("other.json", &good);
    world
        .rollback(&["state", "validate", "other.json"])
        .exits(0);
    world
        .rollback(&["state", "validate", "missing.json"])
        .exits(4);
    world.rollback(&["state", "validate", "."]).exits(2);
    std::fs::remove_file(world.path("state.json")).unwrap();
    world
        .rollback(&["state", "validate"])
        .exits(5)
        .says("rollback state repair");
    std::fs::remove_file(world.path("state.json.bak")).unwrap();
    world.rollback(&["state", "validate"]).exits(3);
}

#[test]
fn a_state_written_by_hand_is_refused_until_it_is_migrated() {
    let world = World::new(&["localhost"], true);
    world.set_live("v1.2.4");
    let old = json!({
        "service": "shop",
        "current_version": "v1.2.4",
        "last_known_good_version": "v1.2.3",
        "deployed_at": "2026-11-20 10:00:00",
        "image": "ghcr.io/acme/shop:v1.2.4",
        "on_call": "somebody",
        "history": [
            {"version": "v1.2.3", "status": "success", "timestamp": "2026-11-19T10:00:00Z", "digest": "sha256:abc"},
            {"version": "v1.2.2", "status": "failed", "timestamp": 1_763_000_000},
            "v1.2.1"
        ]
    })
    .to_string();
    world.write("state.json", &old);
    for args in [
        &["run"] as &[&str],
        &["status"],
        &["record", "--release", "v1.2.4"],
    ] {
        world
            .rollback(args)
            .exits(5)
            .says("rollback state migrate --dry-run");
    }
    world
        .rollback(&["state", "migrate", "--dry-run"])
        .says("/on_call is not carried over")
        .says("`v1.2.1` has no status")
        .says("current v1.2.4, last-known-good v1.2.3");
    assert_eq!(world.read("state.json"), old);
    world.rollback(&["state", "migrate"]).exits(0);
    let state = world.state();
    assert_eq!(state.last_known_good.as_deref(), Some("v1.2.3"));
    assert_eq!(state.status("v1.2.2"), Some(state::Status::Bad));
    assert_eq!(state.status("v1.2.4"), Some(state::Status::Pending));
    let image = state.entry("v1.2.4").unwrap().image.as_deref();
    assert_eq!(image, Some("ghcr.io/acme/shop:v1.2.4"));
    let kept = aside(&world, "v0");
    assert_eq!(world.read(&kept[0]), old, "the old one is kept");
    world.rollback(&["state", "validate"]).exits(0);
    world
        .rollback(&["state", "migrate"])
        .exits(0)
        .says("already");
    // And it is one to roll back by.
    world.rollback(&["run"]).exits(0);
    assert_eq!(world.live(), "v1.2.3");
}

#[test]
fn what_is_not_understood_is_not_guessed() {
    for (old, place) in [
        (
            json!({"current": "v2", "history": [{"version": "v1", "status": "purple"}]}),
            "purple",
        ),
        (json!({"current": ["v2"]}), "/current"),
        (
            json!({"current": "v2", "deployed_at": "last week"}),
            "/deployed_at",
        ),
        (
            json!({"current": "v2", "history": {"v1": "good"}}),
            "/history",
        ),
        (json!({"current": "v2", "history": ["v1", "v1"]}), "twice"),
        (json!({"current": "a\nb"}), "/current"),
        (
            json!({"last_known_good": "v1", "history": [{"tag": "v1", "status": "bad"}]}),
            "both",
        ),
    ] {
        let world = World::new(&["localhost"], true);
        world.write("state.json", &old.to_string());
        world.rollback(&["state", "migrate"]).exits(1).says(place);
        assert_eq!(world.read("state.json"), old.to_string());
    }
}

#[test]
fn a_damaged_state_is_put_back_from_backup_and_journal() {
    let world = World::with_v2_deployed();
    world.rollback(&["run"]).exits(0);
    let before = world.state();
    // The write that recorded the rollback is lost: the backup does not hold it.
    for damage in [
        "",
        "{\"schema\": \"deploy-guard/state/v1\", \"gen",
        "\0\0\0",
    ] {
        world.write("state.json", damage);
        world
            .rollback(&["state", "repair"])
            .exits(1)
            .says("take the backup")
            .says("back from v2 to v1, pass")
            .says("rollback state repair --yes");
        assert_eq!(world.read("state.json"), damage, "nothing was changed");
        let kept = aside(&world, "damaged").len();
        world.rollback(&["state", "repair", "--yes"]).exits(0);
        let state = world.state();
        assert_eq!(state.current, before.current);
        assert_eq!(state.last_known_good, before.last_known_good);
        assert_eq!(state.status("v2"), Some(state::Status::Bad));
        assert!(
            state.last_token > before.last_token,
            "no old token is good again"
        );
        assert!(state.generation > before.generation);
        let now = aside(&world, "damaged");
        assert!(now.len() > kept || world.read(now.last().unwrap()) == damage);
        assert!(
            now.iter().any(|name| world.read(name) == damage),
            "it is kept"
        );
        world.rollback(&["state", "validate"]).exits(0);
        world
            .rollback(&["state", "repair", "--yes"])
            .exits(0)
            .says("nothing to repair");
    }
}

#[test]
fn what_no_gate_judged_is_not_bad_in_a_state_that_is_put_back_either() {
    let world = World::without_an_answer();
    let run = ["run", "--release", "v2", "--gate", "skipped"];
    world.rollback(&run).exits(0);
    assert_eq!(world.state().status("v2"), Some(state::Status::Pending));
    world.write("state.json", "");
    world.rollback(&["state", "repair", "--yes"]).exits(0);
    let state = world.state();
    assert_eq!(state.current.as_deref(), Some("v1"));
    assert_eq!(state.status("v2"), Some(state::Status::Pending));
}

#[test]
fn without_a_backup_the_journals_are_what_is_left_and_without_those_nothing() {
    let world = World::with_v2_deployed();
    world.rollback(&["run"]).exits(0);
    std::fs::remove_file(world.path("state.json.bak")).unwrap();
    world.write("state.json", "garbage");
    world
        .rollback(&["state", "repair"])
        .exits(1)
        .says("begin anew");
    world.rollback(&["state", "repair", "--yes"]).exits(0);
    assert_eq!(world.state().last_known_good.as_deref(), Some("v1"));
    world.write("state.json", "garbage");
    std::fs::remove_dir_all(world.path("state.json.journals")).unwrap();
    world
        .rollback(&["state", "repair", "--yes"])
        .exits(1)
        .says("nothing is left to repair it from");
    assert_eq!(world.read("state.json"), "garbage");
    // A state of a later format is not repaired.
    world.write("state.json", "{\"schema\": \"deploy-guard/state/v2\"}");
    world
        .rollback(&["state", "repair", "--yes"])
        .exits(5)
        .says("deploy-guard/state/v2");
}

#[test]
fn a_state_of_another_service_is_no_valid_one_of_ours_and_stays_as_it_is() {
    let world = World::with_v2_deployed();
    let theirs = world.read("state.json").replace("\"shop\"", "\"other\"");
    world.write("state.json", &theirs);
    for args in [
        &["run"] as &[&str],
        &["status"],
        &["record-drill"],
        &["unfreeze"],
        &["unlock"],
        &["rehearse"],
        &["decide"],
        &["resume"],
        &["abort"],
        &[
            "record",
            "--release",
            "v2",
            "--force=not-running",
            "--reason=test",
        ],
    ] {
        world.rollback(args).exits(5).says("is of service `other`");
        assert_eq!(world.read("state.json"), theirs, "{args:?}");
    }
    world
        .rollback(&["state", "validate"])
        .exits(1)
        .says("is of service `other`");
}

#[test]
fn a_pipe_is_no_state_and_is_not_waited_for() {
    let world = World::with_v2_deployed();
    let made = std::process::Command::new("mkfifo")
        .arg(world.path("pipe"))
        .status();
    assert!(made.unwrap().success());
    world
        .rollback(&["state", "validate", "pipe"])
        .exits(2)
        .says("not a regular file");
}

#[test]
fn the_last_known_good_that_is_deployed_again_leaves_a_valid_state() {
    let world = World::with_v2_deployed();
    world.set_live("v1");
    world
        .rollback(&["record", "--pending", "--release", "v1"])
        .exits(0);
    world.rollback(&["state", "validate"]).exits(0);
    assert_eq!(world.state().last_known_good.as_deref(), Some("v1"));
}

#[test]
fn which_of_several_good_ones_is_the_newest_is_not_guessed() {
    let world = World::new(&["localhost"], true);
    let mut old = json!({"current": "v3", "history": [
        {"version": "v1", "status": "good"},
        {"version": "v2", "status": "good", "timestamp": "2026-11-19T10:00:00Z"}
    ]});
    world.write("state.json", &old.to_string());
    world
        .rollback(&["state", "migrate"])
        .exits(0)
        .says("not each has a time");
    assert_eq!(world.state().last_known_good, None);
    world.rollback(&["run"]).exits(5).says("no last-known-good");
    old["history"][0]["timestamp"] = json!("2026-11-18T10:00:00Z");
    world.write("state.json", &old.to_string());
    world.rollback(&["state", "migrate"]).exits(0);
    assert_eq!(world.state().last_known_good.as_deref(), Some("v2"));
}

#[test]
fn what_an_aborted_rollback_meant_is_not_what_happened() {
    let world = World::new(&["web-01", "web-02"], true);
    world.deploy_v2();
    // The second host fails, and what the first one did is put back.
    world.configure(&["web-01", "web-02"], true, "  batch: 1\n");
    world.write(
        "before-run",
        "if [ $HOST = web-02.test ] && [ $RELEASE = v1 ]; then exit 1; fi",
    );
    world.rollback(&["run"]);
    world.rollback(&["abort"]).exits(0);
    let (_, journal) = world.journal().unwrap();
    assert!(
        journal.contains("\"done\"") && journal.contains("aborted"),
        "{journal}"
    );
    std::fs::remove_file(world.path("before-run")).unwrap();
    let before = world.state();
    assert_eq!(before.current.as_deref(), Some("v2"));
    world.write("state.json", "garbage");
    world.rollback(&["state", "repair", "--yes"]).exits(0);
    let state = world.state();
    assert_eq!(state.current.as_deref(), Some("v2"));
    assert_eq!(state.status("v2"), Some(state::Status::Pending));
    assert_eq!(state.frozen, None);
}
