//! Rules that ask more than the state's own words: the window and what is kept, the schema; and
//! how one of them is lifted.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use testkit::{Certificate, Registry};

use crate::e2e::world::{World, wait};

/// v2 was deployed three hours ago, and the window is one.
fn late(hosts: &[&str]) -> World {
    let world = World::new(hosts, true);
    world.configure(hosts, true, "  window: 1h\n");
    world.deploy_v2();
    age(&world);
    world
}

fn age(world: &World) {
    let then = Timestamp::now() - SignedDuration::from_hours(3);
    let store = world.store();
    let aged = store.update(None, |document| {
        for entry in &mut document.history {
            entry.deployed_at = then;
        }
        Ok(())
    });
    wait(aged).unwrap();
}

fn record_v1(world: &World, more: &[&str]) {
    let args = [
        &[
            "record",
            "--force=not-running",
            "--reason=test",
            "--release",
            "v1",
        ],
        more,
    ]
    .concat();
    world.rollback(&args).exits(0);
    world
        .rollback(&["record", "--pending", "--release", "v2"])
        .exits(0);
    age(world);
}

/// The first outcome of a refused run; nothing was changed.
#[track_caller]
fn refused(world: &World, rule: &str) -> Value {
    for verb in ["plan", "run"] {
        let report = world.rollback(&[verb, "--format", "json"]).exits(5).json();
        let outcome = report["outcomes"][0].clone();
        assert_eq!(outcome["id"], format!("refused/{rule}"), "{report}");
        assert_eq!(world.live(), "v2");
        assert_eq!(world.read("calls"), "");
        assert_eq!(world.journal(), None);
        assert_eq!(world.state().lock, None);
        if verb == "run" {
            return outcome;
        }
    }
    unreachable!()
}

#[test]
fn after_the_window_all_hosts_that_lost_the_release_are_named() {
    let hosts = ["web-01", "web-02", "web-03"];
    let world = late(&hosts);
    // Within `max-failed` this would do in time; after the window it does not.
    world.configure(&hosts, true, "  window: 1h\n  max-failed: 2\n");
    world.write(
        "before-check",
        "if [ $HOST != web-02.test ]; then echo $RELEASE was cleaned up >&2; exit 1; fi",
    );
    let outcome = refused(&world, "window");
    let reason = outcome["reason"].as_str().unwrap();
    assert!(
        reason.contains("the window of 1h has passed")
            && reason.contains("web-01: ")
            && reason.contains("web-03: ")
            && !reason.contains("web-02")
            && reason.contains("v1 was cleaned up"),
        "{outcome}"
    );
    let hint = outcome["hint"].as_str().unwrap();
    assert!(hint.contains("fix forward"), "{outcome}");
    assert!(hint.contains("--force window --reason"), "{outcome}");
}

#[test]
fn after_the_window_a_release_that_is_still_there_everywhere_may_be_gone_back_to() {
    let world = late(&["localhost"]);
    world.rollback(&["plan"]).exits(0).says("has passed");
    world.rollback(&["run"]).exits(0);
    assert_eq!(world.live(), "v1");
}

#[test]
fn after_the_window_the_registry_must_still_have_the_image_that_was_recorded() {
    let registry = Registry::start();
    let digest = registry.push("shop", "v1", "linux/amd64");
    let world = late(&["localhost"]);
    let image = format!("{}/shop:v1", registry.address());
    record_v1(&world, &["--image", &image, "--digest", &digest]);
    world.rollback(&["plan"]).exits(0);
    // The tag exists and names other bytes: the recorded image is gone.
    let other = format!("sha256:{}", "0".repeat(64));
    record_v1(&world, &["--digest", &other]);
    let outcome = refused(&world, "window");
    let reason = outcome["reason"].as_str().unwrap();
    assert!(
        reason.contains("what v1 needs is gone: ") && reason.contains("is not in 127.0.0.1"),
        "{outcome}"
    );
    // A registry that does not answer proves nothing.
    record_v1(&world, &["--digest", &digest]);
    drop(registry);
    let outcome = refused(&world, "window");
    let reason = outcome["reason"].as_str().unwrap();
    assert!(
        reason.contains("whether what v1 needs is still there is not known: ")
            && reason.contains("could not be queried")
            && !reason.contains("is gone"),
        "{outcome}"
    );
    let report = world
        .rollback(&[
            "run",
            "--force",
            "window",
            "--reason",
            "the host has it",
            "--format",
            "json",
        ])
        .exits(0)
        .json();
    assert!(report["outcomes"].to_string().contains("the host has it"));
    assert_eq!(world.live(), "v1");
}

/// The authority that preflight trusts for the image.
#[test]
fn after_the_window_a_registry_is_trusted_by_the_ca_file_of_preflight() {
    let registry = Registry::start();
    registry.push("shop", "v1", "linux/amd64");
    let world = late(&["localhost"]);
    let folder = world.path("tls");
    fs::create_dir(&folder).unwrap();
    let certificate = Certificate::self_signed(&folder, "localhost");
    let tls = registry.with_tls(&certificate);
    record_v1(
        &world,
        &["--image", &format!("localhost:{}/shop:v1", tls.port())],
    );
    let outcome = refused(&world, "window");
    let reason = outcome["reason"].as_str().unwrap();
    assert!(reason.contains("could not be queried"), "{outcome}");
    let preflight = format!(
        "preflight:\n  rollback-ready: {{ ca-file: '{}' }}\n",
        certificate.certificate.display()
    );
    let config = world.read("deploy-guard.yml");
    world.write("deploy-guard.yml", &format!("{config}\n{preflight}"));
    world.rollback(&["plan"]).exits(0);
}

#[test]
fn after_the_window_a_path_that_was_kept_must_still_be_there() {
    let world = late(&["localhost"]);
    let folder = world.path("it's $(v1)");
    fs::create_dir(&folder).unwrap();
    record_v1(&world, &["--retained", folder.to_str().unwrap()]);
    world.rollback(&["plan"]).exits(0);
    fs::remove_dir(&folder).unwrap();
    let outcome = refused(&world, "window");
    let reason = outcome["reason"].as_str().unwrap();
    assert!(reason.contains("it's $(v1) is gone"), "{outcome}");
}

#[test]
fn within_the_window_nobody_asks_what_was_recorded_as_kept() {
    let world = World::new(&["localhost"], true);
    world.configure(&["localhost"], true, "  window: 1h\n");
    world.set_live("v1");
    world
        .rollback(&["record", "--release", "v1", "--retained", "/nowhere/v1"])
        .exits(0);
    world.set_live("v2");
    world
        .rollback(&["record", "--pending", "--release", "v2"])
        .exits(0);
    world.rollback(&["run"]).exits(0);
}

#[test]
fn runbook_001_rollback_limits_window_and_data() {
    after_the_window_all_hosts_that_lost_the_release_are_named();
    runbook_004_emergency_irreversible_migration();
}

fn v2_brings_0042(world: &World) {
    world.set_live("v2");
    let told = ["--release", "v2", "--schema-revision", "0042"];
    let record = [&["record", "--pending"], &told[..]].concat();
    world.rollback(&record).exits(0);
}

/// A service whose v2 brought a migration that v1 does not know.
fn migrated() -> World {
    let world = World::new(&["localhost"], true);
    world.set_live("v1");
    world
        .rollback(&["record", "--release", "v1", "--schema-revision", "0041"])
        .exits(0);
    v2_brings_0042(&world);
    world
}

#[test]
fn runbook_004_emergency_irreversible_migration() {
    let world = migrated();
    let outcome = refused(&world, "schema");
    let reason = outcome["reason"].as_str().unwrap();
    assert!(
        reason.contains("0042 since v2") && reason.contains("works with 0041"),
        "{outcome}"
    );
    let hint = outcome["hint"].as_str().unwrap();
    assert!(hint.starts_with("fix forward: "), "{outcome}");
    assert!(hint.contains("--force schema --reason"), "{outcome}");
}

#[test]
fn a_release_that_works_with_the_schema_is_named_instead() {
    let world = World::new(&["localhost"], true);
    for (release, brings, works) in [("v0", "0041", "0042"), ("v1", "0041", "0040")] {
        world.set_live(release);
        let told = ["--schema-revision", brings, "--compatible-with", works];
        world
            .rollback(&[&["record", "--release", release], &told[..]].concat())
            .exits(0);
    }
    v2_brings_0042(&world);
    let outcome = refused(&world, "schema");
    let hint = outcome["hint"].as_str().unwrap();
    assert!(hint.contains("rollback run --to v0"), "{outcome}");
    world.rollback(&["run", "--to", "v0"]).exits(0);
    assert_eq!(world.live(), "v0");
    // v1 fits no better for having been left: the database still has 0042.
    world.set_live("v3");
    world
        .rollback(&["record", "--pending", "--release", "v3"])
        .exits(0);
    world
        .rollback(&["run", "--to", "v1"])
        .exits(5)
        .says("refused/schema");
}

#[test]
fn one_rule_is_lifted_by_name_with_a_reason_that_is_kept_everywhere() {
    let world = migrated();
    let reason = "the migration only adds an index; T=$(x)";
    world
        .rollback(&["run", "--force", "window", "--reason", reason])
        .exits(5)
        .says("refused/schema");
    let args = [
        "run", "--force", "schema", "--force", "frozen", "--reason", reason,
    ];
    let report = world
        .rollback(&[&args[..], &["--format", "json"]].concat())
        .exits(0)
        .json();
    let outcomes = report["outcomes"].as_array().unwrap();
    let of = |id: &str| outcomes.iter().find(|outcome| outcome["id"] == id).unwrap();
    let lifted = of("forced/schema");
    assert_eq!(lifted["severity"], "advisory", "{report}");
    assert!(
        lifted["reason"].as_str().unwrap().contains(reason),
        "{report}"
    );
    assert_eq!(of("forced/frozen")["verdict"], "skipped", "{report}");
    let journal = world.journal().unwrap().1;
    let begin: Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
    assert_eq!(begin["forced"][0]["rule"], "schema", "{begin}");
    assert_eq!(begin["forced"][0]["reason"], reason, "{begin}");
    assert_eq!(begin["forced"].as_array().unwrap().len(), 1, "{begin}");
    let state = world.state();
    let forced = &state.entry("v1").unwrap().forced;
    assert_eq!((forced.len(), forced[0].rule.as_str()), (1, "schema"));
    assert_eq!(forced[0].reason, reason);
    world.rollback(&["history"]).exits(0).says(reason);
    world.rollback(&["state", "validate"]).exits(0);
}

#[test]
fn a_rollback_that_was_killed_before_its_journal_keeps_to_the_rules() {
    for (force, code) in [
        (&[] as &[&str], 5),
        (&["--force", "window", "--reason", "it is there"], 0),
    ] {
        let hosts = ["web-01", "web-02"];
        let world = late(&hosts);
        // Killed while it asks: the lease is there and no journal.
        world.write("before-check", "kill -9 $PPID; sleep 1; exit 1");
        let args = [&["run"], force].concat();
        assert_eq!(world.rollback(&args).code, -1);
        assert!(world.state().lock.is_some());
        assert_eq!(world.journal(), None);
        // One host fails its check, and may.
        world.configure(&hosts, true, "  window: 1h\n  max-failed: 1\n");
        world.write(
            "before-check",
            "if [ $HOST = web-01.test ]; then echo gone >&2; exit 1; fi",
        );
        let resumed = world.rollback(&["resume"]);
        if code == 5 {
            resumed.exits(5).says("refused/window");
            assert_eq!((world.live().as_str(), world.journal()), ("v2", None));
        } else {
            resumed.says("lifted by").says("it is there");
        }
    }
}

#[test]
fn a_rule_that_nobody_knows_or_that_stays_is_a_usage_error() {
    let world = World::with_v2_deployed();
    for (args, words) in [
        (
            &["--force", "everything", "--reason", "x"] as &[&str],
            "known-bad, unknown-release, schema, window",
        ),
        (&["--force", "locked", "--reason", "x"], "cannot be lifted"),
        (
            &["--force", "already-there", "--reason", "x"],
            "cannot be lifted",
        ),
        (&["--force", "window"], "--reason"),
        (&["--reason", "x"], "--force"),
        (&["--force", "window", "--reason", " "], "empty"),
        (&["--force", "window", "--reason", "a\nb"], "line break"),
    ] {
        for verb in ["run", "plan"] {
            let all = [&[verb], args].concat();
            world.rollback(&all).exits(2).says(words);
        }
    }
    assert_eq!(world.live(), "v2");
}

#[test]
fn an_old_release_that_is_deployed_again_takes_no_migration_back() {
    let world = World::new(&["localhost"], true);
    let deploy = |release: &str, more: &[&str]| {
        world.set_live(release);
        let args = [&["record", "--release", release], more].concat();
        world.rollback(&args).exits(0);
    };
    deploy("v0", &["--schema-revision", "0041"]);
    let both = ["--schema-revision", "0041", "--compatible-with", "0042"];
    deploy("v1", &both);
    deploy("v2", &["--schema-revision", "0042"]);
    // Its pipeline passes no arguments, or the same ones as before.
    for told in [&[] as &[&str], &both] {
        deploy("v1", told);
        world
            .rollback(&["run", "--to", "v0"])
            .exits(5)
            .says("refused/schema")
            .says("schema 0042 since v2");
        assert_eq!(world.live(), "v1");
    }
}

#[test]
fn a_deployment_that_lies_far_ahead_is_not_taken_for_a_new_one() {
    let world = late(&["localhost"]);
    let ahead = Timestamp::now() + SignedDuration::from_hours(30);
    let store = world.store();
    let moved = store.update(None, |document| {
        document.history[0].deployed_at = ahead;
        Ok(())
    });
    wait(moved).unwrap();
    world.write("before-check", "echo $RELEASE was cleaned up >&2; exit 1");
    let outcome = refused(&world, "window");
    let actual = outcome["actual"].as_str().unwrap();
    assert!(actual.contains("ahead of this clock"), "{outcome}");
}
