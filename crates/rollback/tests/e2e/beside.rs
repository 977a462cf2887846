//! Hooks of a rollback: evidence and a backup before, notices after; none of them decides.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::e2e::world::World;

const NOTICE: &str = "printf '%s|' \"$RELEASE\" \"$PREVIOUS_RELEASE\" \"$VERDICT\" \"$SERVICE\" >>notices; cp \"$REPORT\" sent.json";

fn with(extra: &str) -> World {
    let world = World::new(&["localhost"], true);
    world.configure(&["localhost"], true, extra);
    world.deploy_v2();
    world
}

/// The folders of evidence, the oldest first.
fn folders(world: &World) -> Vec<PathBuf> {
    let Ok(all) = fs::read_dir(world.path(".deploy-guard/evidence")) else {
        return Vec::new();
    };
    let mut all: Vec<_> = all.map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

fn evidence(world: &World, name: &str) -> String {
    let folder = folders(world).pop().unwrap();
    fs::read_to_string(folder.join(name)).unwrap_or_default()
}

#[track_caller]
fn outcome<'r>(report: &'r Value, id: &str) -> &'r Value {
    let mut all = report["outcomes"].as_array().unwrap().iter();
    all.find(|outcome| outcome["id"] == id)
        .unwrap_or_else(|| panic!("{id}: {report}"))
}

#[test]
fn runbook_003_automatic_rollback_3_and_6_backup_first_and_notify_after() {
    let world = with(&format!(
        "  backup: [{{ name: database, run: \"cat live >saved; echo $PREVIOUS_RELEASE to $RELEASE >>saved\" }}]\n  \
           after: [{{ name: chat, run: {} }}]\n",
        serde_json::json!(NOTICE)
    ));
    let report = world.rollback(&["run", "--format", "json"]).exits(0).json();
    // Saved while v2 was live still.
    assert_eq!(world.read("saved"), "v2v2 to v1\n");
    assert_eq!(world.read("notices"), "v1|v2|pass|shop|");
    let sent: Value = serde_json::from_str(&world.read("sent.json")).unwrap();
    assert_eq!(sent["schema"], "deploy-guard/report/v1");
    assert_eq!(
        (&sent["verdict"], &sent["reason"]),
        (&report["verdict"], &report["reason"])
    );
    for id in ["backup/database", "after/chat", "capture/evidence"] {
        assert_eq!(outcome(&report, id)["verdict"], "pass", "{report}");
        assert_eq!(outcome(&report, id)["severity"], "advisory", "{report}");
    }
    // A resume without work sends no notice.
    world.rollback(&["resume"]).exits(0);
    assert_eq!(world.read("notices"), "v1|v2|pass|shop|");
}

#[test]
fn hooks_that_fail_hang_or_chatter_change_no_verdict() {
    let world = with(
        "  backup:\n    - { name: full, run: \"echo no space left >&2; exit 28\" }\n    \
             - { name: stuck, run: \"sleep 60\", timeout: 300ms }\n  \
           after:\n    - { name: chat, run: \"yes no answer | head -c 3000000; exit 7\" }\n    \
             - { name: late, run: \"sleep 60\", timeout: 300ms }\n",
    );
    let begun = Instant::now();
    let ran = world.rollback(&["run", "--format", "json"]).exits(0);
    assert!(
        begun.elapsed() < Duration::from_secs(45),
        "{:?}",
        begun.elapsed()
    );
    assert!(ran.stdout.len() < 200_000, "{}", ran.stdout.len());
    let report = ran.json();
    assert_eq!(world.live(), "v1");
    for (id, words) in [
        ("backup/full", "no space left"),
        ("backup/stuck", ""),
        ("after/chat", "exit status 7"),
        ("after/late", ""),
    ] {
        let outcome = outcome(&report, id);
        assert_eq!(
            (&outcome["verdict"], &outcome["severity"]),
            (&"fail".into(), &"advisory".into())
        );
        assert!(
            outcome["reason"].as_str().unwrap().contains(words),
            "{outcome}"
        );
    }
    assert_eq!(report["verdict"], "pass");
}

#[test]
fn whoever_is_told_hears_of_refusals_and_failures_too() {
    let world = with(&format!(
        "  backup: [{{ name: b, run: \"touch saved\" }}]\n  after: [{{ name: chat, run: {} }}]\n",
        serde_json::json!(NOTICE)
    ));
    world.write("before-check", "exit 1");
    world.rollback(&["run"]).exits(5);
    assert_eq!(world.read("notices"), "v1|v2|refused|shop|");
    assert!(!world.path("saved").exists(), "nothing was going to change");
    fs::remove_file(world.path("before-check")).unwrap();
    world.server.unhealthy.store(true, Ordering::SeqCst);
    world.rollback(&["run"]).exits(1);
    assert!(world.read("notices").ends_with("v1|v2|fail|shop|"));
    // A hook that succeeds does not change a failure.
    world.rollback(&["run"]).exits(5);
    assert!(world.read("notices").ends_with("|refused|shop|"));
    world.rollback(&["plan"]).exits(5);
    world.rollback(&["run", "--dry-run"]).exits(5);
    assert_eq!(world.read("notices").matches("shop").count(), 3);
}

#[test]
fn what_would_be_wiped_away_is_kept_bounded_and_without_secrets() {
    let world = World::new(&["localhost"], true);
    world.configure(
        &["localhost"],
        true,
        "  capture:\n    - { name: log, run: \"echo $HOST $RELEASE; echo token $TOKEN; cat live\" }\n    \
             - { name: long, run: \"yes abcdefghi | head -c 2000000; echo the end\" }\n    \
             - { name: broken, run: \"echo why >&2; exit 3\" }\n",
    );
    let text = world.read("deploy-guard.yml") + "preflight:\n  secrets: [{ name: TOKEN }]\n";
    world.write("deploy-guard.yml", &text);
    let secret = "s3cr3t-t0ken-of-ours";
    world
        .env
        .lock()
        .unwrap()
        .push(("TOKEN".into(), secret.into()));
    world.deploy_v2();
    world.server.unhealthy.store(true, Ordering::SeqCst);
    let report = world.rollback(&["run", "--format", "json"]).exits(1).json();
    let folder = folders(&world).pop().unwrap();
    let said = outcome(&report, "capture/evidence")["actual"]
        .as_str()
        .unwrap();
    assert!(said.contains(folder.to_str().unwrap()), "{report}");
    assert_eq!(
        fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let log = evidence(&world, "localhost.log.txt");
    // v2 was live still.
    assert!(
        log.starts_with("localhost v1\n") && log.contains("token ***") && log.contains("v2"),
        "{log}"
    );
    let chatter = evidence(&world, "localhost.long.txt");
    assert!(
        chatter.len() < 300_000 && chatter.contains("the end"),
        "{}",
        chatter.len()
    );
    let answers = evidence(&world, "gate.answers.txt");
    assert!(
        answers.contains("http/ready") && answers.contains("degraded"),
        "{answers}"
    );
    let broken = outcome(&report, "capture/localhost/broken");
    assert!(
        broken["reason"].as_str().unwrap().contains("why"),
        "{broken}"
    );
    for file in fs::read_dir(&folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn evidence_that_cannot_be_had_never_stops_a_rollback() {
    let world = with(
        "  capture: [{ name: slow, run: \"sleep 100\", timeout: 50s }]\n  evidence: /proc/nowhere\n",
    );
    let report = world.rollback(&["run", "--format", "json"]).exits(0).json();
    assert_eq!(
        outcome(&report, "capture/evidence")["verdict"],
        "inconclusive"
    );
    assert_eq!(world.live(), "v1");
    let world = with("  capture: [{ name: slow, run: \"sleep 100\", timeout: 50s }]\n");
    let begun = Instant::now();
    let report = world.rollback(&["run", "--format", "json"]).exits(0).json();
    assert!(begun.elapsed() < Duration::from_secs(40));
    let slow = outcome(&report, "capture/localhost/slow");
    assert!(
        slow["reason"].as_str().unwrap().contains("within 5s"),
        "{slow}"
    );
}

#[test]
fn the_newest_folders_are_kept_and_what_is_not_ours_stays() {
    let world = with("");
    let base = world.path(".deploy-guard/evidence");
    fs::create_dir_all(base.join("notes-to-myself")).unwrap();
    for nth in 10..40 {
        fs::create_dir(base.join(format!("20200101T0000{nth}Z-v2-to-v1"))).unwrap();
    }
    world.rollback(&["run"]).exits(0);
    let all = folders(&world);
    assert_eq!(all.len(), 21, "{all:?}");
    assert!(base.join("notes-to-myself").exists());
    assert!(base.join("20200101T000039Z-v2-to-v1").exists());
    assert!(!base.join("20200101T000010Z-v2-to-v1").exists());
}

#[test]
fn half_a_secret_is_not_kept_where_a_log_is_cut() {
    let secret = "tok_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_end";
    let world = with(
        "  capture: [{ name: noisy, run: \"yes $API_TOKEN | head -n 7000 | tr '\\\\n' ' '\" }]\n",
    );
    let config = world.read("deploy-guard.yml");
    world.write(
        "deploy-guard.yml",
        &format!("{config}preflight:\n  secrets: [{{ name: API_TOKEN, kind: token }}]\n"),
    );
    let variable = ("API_TOKEN".to_owned(), secret.to_owned());
    world.env.lock().unwrap().push(variable);
    world.rollback(&["run"]).exits(0);
    let kept = evidence(&world, "localhost.noisy.txt");
    assert!(kept.contains("left out") && kept.contains("***"), "{kept}");
    for part in ["tok_", "ABCD", "6789", "_end"] {
        assert!(!kept.contains(part), "{part}: {kept}");
    }
}

#[test]
fn a_rollback_that_lost_its_lock_leaves_nothing_that_could_be_resumed() {
    let rollback = testkit::bin_path("rollback");
    let rollback = rollback.display();
    // While the backup runs another process takes the lock away and deploys.
    let world = with(&format!(
        "  backup: [{{ name: slow, run: \"{rollback} unlock --force locked --reason test && printf v3 >live && {rollback} record --release v3\" }}]\n",
    ));
    world.rollback(&["run"]).exits(5).says("was lost");
    assert_eq!(world.journal(), None);
    world
        .rollback(&["resume"])
        .exits(0)
        .says("nothing to resume");
    assert_eq!(world.live(), "v3");
    assert_eq!(world.state().last_known_good.as_deref(), Some("v3"));
}
