//! Several hosts: in batches, within what may fail, onwards or back, and what each runs at the end.

use std::os::unix::process::ExitStatusExt as _;

use serde_json::Value;

use crate::e2e::world::{World, finish, kill, wait_for};

const HOSTS: [&str; 5] = ["web-01", "web-02", "web-03", "web-04", "web-05"];

/// Each host has its own live release: v2 everywhere.
pub(crate) fn fleet(extra: &str) -> World {
    let world = World::new(&HOSTS, false);
    world.configure(&HOSTS, false, extra);
    world.write(
        "run.sh",
        "printf '%s\\n' \"$HOST: $PREVIOUS_RELEASE > $RELEASE\" >>calls\n\
         if [ -f before-run ]; then . ./before-run; fi\n\
         printf %s \"$RELEASE\" >\"new.$HOST\" && mv \"new.$HOST\" \"live.$HOST\"\n\
         if [ -f after-run ]; then . ./after-run; fi\n",
    );
    world.write("current.sh", "cat \"live.$HOST\"");
    for release in ["v1", "v2"] {
        for host in HOSTS {
            world.write(&format!("live.{host}.test"), release);
        }
        let pending: &[&str] = if release == "v2" { &["--pending"] } else { &[] };
        let args = [&["record", "--release", release], pending].concat();
        world.rollback(&args).exits(0);
    }
    world
}

/// What the hosts run, in their order.
pub(crate) fn live(world: &World) -> String {
    let releases = HOSTS.map(|host| world.read(&format!("live.{host}.test")));
    releases.join(" ")
}

/// The releases that they run, by the report.
pub(crate) fn vector(report: &Value) -> Vec<String> {
    let outcomes = report["outcomes"].as_array().unwrap().iter();
    let runs = outcomes.filter(|outcome| outcome["id"].as_str().unwrap().starts_with("runs/"));
    runs.map(|outcome| {
        let actual = outcome["actual"].as_str().unwrap();
        actual.split([' ', ':']).next().unwrap().to_owned()
    })
    .collect()
}

pub(crate) fn fails_at(world: &World, host: &str) {
    world.write(
        "before-run",
        &format!("if [ $HOST = {host}.test ]; then echo no space left >&2; exit 28; fi"),
    );
}

#[test]
fn all_hosts_are_switched_side_by_side_and_each_is_asked() {
    let world = fleet("");
    // Each waits for all the others: one after another they would never end.
    world.write(
        "before-run",
        "touch begun.$HOST; while [ \"$(ls | grep -c ^begun)\" -lt 5 ]; do sleep 0.02; done",
    );
    let report = world.rollback(&["run", "--format", "json"]).exits(0).json();
    assert_eq!(live(&world), "v1 v1 v1 v1 v1");
    assert_eq!(vector(&report), ["v1"; 5], "{report}");
}

#[test]
fn plan_shows_the_very_steps_that_run_makes() {
    let world = fleet("");
    let steps = |report: &Value, kind: &str| -> Vec<String> {
        let outcomes = report["outcomes"].as_array().unwrap().iter();
        let names = outcomes.filter_map(|outcome| outcome["id"].as_str()?.strip_prefix(kind));
        names.map(str::to_owned).collect()
    };
    let plan = world
        .rollback(&["plan", "--format", "json"])
        .exits(0)
        .json();
    let run = world.rollback(&["run", "--format", "json"]).exits(0).json();
    let planned = steps(&plan, "plan/command/");
    assert_eq!(planned, HOSTS);
    assert_eq!(planned, steps(&run, "step/command/"));
    let from = plan["outcomes"][0]["actual"].as_str().unwrap();
    assert!(
        from.starts_with("from v2 (") && from.ends_with("to v1"),
        "{from}"
    );
}

#[test]
fn a_batch_begins_when_the_one_before_has_ended() {
    let world = fleet("  batch: 40%\n");
    world.write("before-run", "echo begin >>order");
    world.write("after-run", "sleep 0.1; echo end >>order");
    world
        .rollback(&["run"])
        .exits(0)
        .says("What each host runs");
    let order = world
        .read("order")
        .replace("begin", "b")
        .replace("end", "e");
    let words: String = order.split_whitespace().collect();
    assert_eq!(words, "bbeebbeebe");
}

#[test]
fn a_host_that_fails_leaves_the_others_on_the_destination_and_is_named() {
    let world = fleet("  batch: 1\n");
    fails_at(&world, "web-02");
    let report = world.rollback(&["run", "--format", "json"]).exits(6).json();
    assert_eq!(report["verdict"], "partial");
    assert_eq!(live(&world), "v1 v2 v1 v1 v1");
    assert_eq!(vector(&report), ["v1", "v2", "v1", "v1", "v1"], "{report}");
    assert!(
        report["reason"].as_str().unwrap().contains("4 of 5 hosts"),
        "{report}"
    );
    world
        .rollback(&["status"])
        .exits(1)
        .says("journal/command/web-02")
        .says("no space left")
        .says("rollback abort");
    std::fs::remove_file(world.path("before-run")).unwrap();
    let calls = world.read("calls").lines().count();
    world.rollback(&["resume"]).exits(0);
    assert_eq!(live(&world), "v1 v1 v1 v1 v1");
    assert_eq!(
        world.read("calls").lines().count(),
        calls + 1,
        "the others are left alone"
    );
    world
        .rollback(&["resume"])
        .exits(0)
        .says("nothing to resume");
}

#[test]
fn within_what_may_fail_the_rest_is_verified_and_recorded() {
    let world = fleet("  max-failed: 20%\n");
    fails_at(&world, "web-05");
    world
        .rollback(&["run"])
        .exits(6)
        .says("1 of 5 hosts do not run it")
        .says("rolled back v2 → v1 on 4 of 5 hosts")
        .says("4 of 5 report that they run it");
    assert_eq!(world.state().current.as_deref(), Some("v1"));
    assert_eq!(world.state().lock, None);
    std::fs::remove_file(world.path("before-run")).unwrap();
    world.rollback(&["resume"]).exits(0);
    assert_eq!(live(&world), "v1 v1 v1 v1 v1");
}

#[test]
fn on_a_breach_the_hosts_are_put_back_in_reverse_order() {
    let world = fleet("  batch: 1\n  on-breach: restore\n");
    fails_at(&world, "web-03");
    let report = world.rollback(&["run", "--format", "json"]).exits(6).json();
    // web-03 takes v2 no more than v1: its own hook fails both ways.
    assert_eq!(live(&world), "v2 v2 v2 v2 v2", "{report}");
    let calls = "web-01.test: v2 > v1\nweb-02.test: v2 > v1\nweb-03.test: v2 > v1\n\
                 web-03.test: v1 > v2\nweb-02.test: v1 > v2\nweb-01.test: v1 > v2\n";
    assert_eq!(world.read("calls"), calls);
    std::fs::remove_file(world.path("before-run")).unwrap();
    world.rollback(&["status"]).exits(1).says("is being undone");
    for verb in ["plan", "run"] {
        world.rollback(&[verb]).exits(5).says("refused/aborting");
    }
    world.rollback(&["resume"]).exits(0).says("v2 is back");
    assert_eq!(
        world.read("calls"),
        calls.to_owned() + "web-03.test: v1 > v2\n"
    );
    assert_eq!(world.state().current.as_deref(), Some("v2"));
    world
        .rollback(&["resume"])
        .exits(0)
        .says("nothing to resume");
}

#[test]
fn a_breach_that_is_put_back_whole_is_a_failure_and_not_mixed() {
    let world = fleet("  batch: 2\n  on-breach: restore\n");
    world.write(
        "before-run",
        "if [ $HOST.$RELEASE = web-02.test.v1 ]; then exit 1; fi",
    );
    let report = world.rollback(&["run", "--format", "json"]).exits(1).json();
    assert_eq!(vector(&report), ["v2"; 5], "{report}");
    assert_eq!(live(&world), "v2 v2 v2 v2 v2");
    assert!(
        !world.read("calls").contains("web-03"),
        "no other host is begun"
    );
    world
        .rollback(&["resume"])
        .exits(0)
        .says("nothing to resume");
    // It leaves nothing behind that blocks the next one.
    std::fs::remove_file(world.path("before-run")).unwrap();
    world.rollback(&["run"]).exits(0);
    assert_eq!(live(&world), "v1 v1 v1 v1 v1");
}

#[test]
fn hosts_that_are_not_ready_are_refused_before_anything_changes_or_left_out() {
    let world = fleet("");
    world.write(
        "before-check",
        "if [ $HOST = web-04.test ]; then echo image is gone; exit 1; fi",
    );
    let report = world.rollback(&["run", "--format", "json"]).exits(5).json();
    assert_eq!(
        report["outcomes"][0]["id"], "refused/destination/web-04",
        "{report}"
    );
    assert_eq!(
        (live(&world).as_str(), world.journal()),
        ("v2 v2 v2 v2 v2", None)
    );
    world.configure(&HOSTS, false, "  max-failed: 1\n");
    world.rollback(&["run"]).exits(6).says("image is gone");
    assert_eq!(live(&world), "v1 v1 v1 v2 v1");
}

#[test]
fn a_step_without_end_is_over_at_the_deadline() {
    let world = fleet("  deadline: 3s\n  batch: 2\n");
    world.write(
        "before-run",
        "if [ $HOST = web-01.test ]; then sleep 60; fi",
    );
    let since = std::time::Instant::now();
    let report = world.rollback(&["run", "--format", "json"]).exits(6).json();
    assert!(since.elapsed().as_secs() < 20, "{:?}", since.elapsed());
    assert_eq!(live(&world), "v2 v1 v2 v2 v2");
    assert_eq!(vector(&report), ["v2", "v1", "v2", "v2", "v2"], "{report}");
    let text = report.to_string();
    assert!(
        text.contains("not done within the deadline of 3s"),
        "{text}"
    );
    assert!(text.contains("the deadline has passed"), "{text}");
}

#[test]
fn abort_puts_back_what_an_interrupted_rollback_changed() {
    let world = fleet("  batch: 2\n");
    world.rollback(&["abort"]).exits(0).says("nothing to abort");
    world.write(
        "before-run",
        "if [ $HOST = web-03.test ]; then rm before-run; kill -9 $PPID; exit 1; fi",
    );
    let status = world.spawn(&["run"]).wait().unwrap();
    assert_eq!(status.signal(), Some(9));
    wait_for("its hooks end", || !world.path("before-run").exists());
    world.rollback(&["abort", "--dry-run"]).exits(3);
    world.rollback(&["abort"]).exits(0).says("v2 is back");
    assert_eq!(live(&world), "v2 v2 v2 v2 v2");
    assert_eq!(world.state().current.as_deref(), Some("v2"));
    assert_eq!(world.state().lock, None);
    let calls = world.read("calls");
    world.rollback(&["abort"]).exits(0).says("nothing to abort");
    world
        .rollback(&["resume"])
        .exits(0)
        .says("nothing to resume");
    assert_eq!(world.read("calls"), calls, "a second abort acts no more");
}

#[test]
fn an_abort_killed_after_any_line_of_its_journal_is_resumed_to_its_end() {
    let mut lines = 1;
    loop {
        let world = fleet("  batch: 1\n");
        world.write(
            "before-run",
            "if [ $HOST$RELEASE = web-04.testv1 ]; then kill -9 $PPID; exit 1; fi",
        );
        world.spawn(&["run"]).wait().unwrap();
        std::fs::remove_file(world.path("before-run")).unwrap();
        let (path, before) = world.journal().unwrap();
        let whole = before.lines().count();
        world.write("before-run", "sleep 0.1");
        let mut child = world.spawn(&["abort"]);
        wait_for("a line of the abort, or its end", || {
            let text = std::fs::read_to_string(&path).unwrap();
            text.lines().count() >= whole + lines || child.try_wait().unwrap().is_some()
        });
        let ended = child.try_wait().unwrap().is_some();
        kill("KILL", child.id());
        drop(finish(child));
        std::fs::remove_file(world.path("before-run")).unwrap();
        // A hook of the killed one may still be at it.
        std::thread::sleep(std::time::Duration::from_millis(200));
        world.rollback(&["resume"]).exits(0);
        assert_eq!(live(&world), "v2 v2 v2 v2 v2", "killed after line {lines}");
        assert_eq!(world.state().lock, None);
        world
            .rollback(&["resume"])
            .exits(0)
            .says("nothing to resume");
        if ended {
            break;
        }
        lines += 1;
    }
    assert!(lines > 5, "an abort, four steps and an end: {lines}");
}

#[test]
fn a_fleet_killed_after_any_line_of_its_journal_converges() {
    for lines in 1..=11 {
        let world = fleet("");
        world.write("before-run", "sleep 0.05");
        let mut child = world.spawn(&["run"]);
        wait_for("a line, or the end", || {
            let written = world.journal().map_or(0, |(_, text)| text.lines().count());
            written >= lines || child.try_wait().unwrap().is_some()
        });
        kill("KILL", child.id());
        drop(finish(child));
        std::thread::sleep(std::time::Duration::from_millis(150));
        world.rollback(&["resume"]).exits(0);
        assert_eq!(live(&world), "v1 v1 v1 v1 v1", "killed after line {lines}");
        world
            .rollback(&["resume"])
            .exits(0)
            .says("nothing to resume");
    }
}

#[test]
fn a_terminal_shows_a_tree_and_keeps_only_the_report() {
    let world = fleet("");
    fails_at(&world, "web-04");
    world.write("after-run", "if [ $HOST = web-02.test ]; then sleep 2; fi");
    let run = format!("{} run", testkit::bin_path("rollback").display());
    let folder = world.path("");
    let seen = testkit::screens(&run, &folder, (120, 100), &[("NO_COLOR", "1")]);
    let live = seen.iter().find(|screen| screen.contains("… switch"));
    let live = live.unwrap_or_else(|| panic!("{seen:#?}"));
    let row = |place: &str| live.lines().find(|line| line.contains(place)).unwrap();
    assert!(
        live.starts_with("rollback  ") && live.contains("v2 → v1"),
        "{live}"
    );
    assert!(row("web-01").starts_with("├─ web-01  ✓ prepare"), "{live}");
    assert!(row("web-01").contains("✓ switch"), "{live}");
    assert!(row("web-04").contains("✗ switch"), "{live}");
    assert!(row("web-05").starts_with("└─"), "{live}");
    let last = seen.last().unwrap();
    assert!(
        !last.contains("├─") && last.contains("4 of 5 hosts"),
        "{last}"
    );
    // Elsewhere a line for each end that is worth one.
    std::fs::remove_file(world.path("before-run")).unwrap();
    world
        .rollback(&["abort"])
        .exits(0)
        .says("web-02: ✓ put back 2.");
    world
        .rollback(&["run"])
        .exits(0)
        .says("web-02: ✓ switch 2.");
}
