//! What is true and what is left after a kill: of us, of the tool, of a session at the server, and of the
//! server.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bed::Bed;
use crate::projects::Kind;

/// A number from the environment, such as `KILLS=100`.
fn given(name: &str, usual: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// What is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Us,
    /// The tool's whole process group.
    Tool,
    /// Its session at the server, with which the server ends all others.
    Backend,
    Server,
}

fn start(bed: &Bed) -> Child {
    Command::new(testkit::bin_path("migrate"))
        .current_dir(bed.path())
        .env("DATABASE_URL", bed.url())
        .args(["run", "--release", "v1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn signal(name: &str, target: &str) {
    let _ = Command::new("kill")
        .args(["-s", name, "--", target])
        .stderr(Stdio::null())
        .status();
}

/// The process groups of the children of a process.
fn groups_of_children(parent: u32) -> Vec<String> {
    let listed = Command::new("ps")
        .args(["-eo", "ppid=,pgid="])
        .output()
        .unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let pairs = listed.lines().filter_map(|line| {
        let (of, group) = line.trim().split_once(' ')?;
        (of == parent.to_string()).then(|| group.trim().to_owned())
    });
    pairs.collect()
}

/// Kills the victim if it is there at this moment; whether it was.
fn strike(bed: &mut Bed, victim: Victim, us: &mut Child) -> bool {
    match victim {
        Victim::Us => us.kill().is_ok(),
        Victim::Tool => {
            let groups = groups_of_children(us.id());
            for group in &groups {
                signal("KILL", &format!("-{group}"));
            }
            !groups.is_empty()
        }
        Victim::Backend => {
            let sql = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'deploy-guard migrate %' LIMIT 1";
            let process = bed.ask(sql);
            if !process.is_empty() {
                signal("KILL", &process);
            }
            !process.is_empty()
        }
        Victim::Server => {
            bed.postgres.crash();
            bed.postgres.start_again();
            true
        }
    }
}

fn ends(us: &mut Child) -> Option<i32> {
    let mut status = None;
    let ended = testkit::wait_until(Duration::from_secs(90), || {
        status = us.try_wait().unwrap();
        status.is_some()
    });
    assert!(ended, "it does not end");
    status.and_then(|status| status.code())
}

/// What our commands said, by name: for the message of an assertion.
fn call(bed: &Bed, words: &[&str]) -> (Option<i32>, String) {
    let ran = bed.run(words).output().unwrap();
    let said =
        String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    (ran.status.code(), said)
}

/// Status tells what is so, and `resume`, `repair` and `run` lead out. `rows` is how often the migration with
/// this number was applied, which the database itself counts.
fn leads_out(bed: &Bed, kind: Kind, nth: u32, told: &str) {
    // A server that crashed accepts sessions late.
    let mut status = (None, String::new());
    testkit::wait_until(Duration::from_secs(60), || {
        status = call(bed, &["status", "--format", "json"]);
        status.0 != Some(4)
    });
    assert!(matches!(status.0, Some(0 | 1)), "{told}: {status:?}");
    let (code, said) = call(bed, &["resume"]);
    if code != Some(0) {
        // The tool's own lock, which a dead run of it left.
        let (_, decision) = call(bed, &["decide"]);
        assert!(
            decision.contains("migrate repair"),
            "{told}: {code:?} {said}\n{decision}"
        );
        let (code, said) = call(bed, &["repair"]);
        assert_eq!(code, Some(0), "{told}: {said}");
    }
    let (code, said) = call(bed, &["run", "--release", "v1"]);
    assert_eq!(code, Some(0), "{told}: {said}");
    let (code, said) = call(bed, &["status"]);
    assert_eq!(code, Some(0), "{told}: {said}");
    assert_eq!(
        bed.ask(&format!("SELECT count(*) FROM t{nth}")),
        "1",
        "{told}"
    );
    let left = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    let free = testkit::wait_until(Duration::from_secs(10), || bed.ask(left) == "0");
    assert!(free, "{told}: a lock of the database stays");
    assert!(bed.state()["lock"].is_null(), "{told}: the lease stays");
    if kind == Kind::Knex {
        assert_eq!(
            bed.ask("SELECT max(is_locked) FROM knex_migrations_lock"),
            "0",
            "{told}"
        );
    }
}

fn killed(kind: Kind, victims: &[Victim], usual: u64) {
    let (kills, seed) = (given("KILLS", usual), given("SEED", 7));
    let mut bed = Bed::new();
    kind.set_up(&bed, json!({"deadline": "60s", "retry-pause": "100ms"}));
    let (mut length, mut hits) = (Duration::from_secs(2), 0);
    for round in 0..kills {
        let nth = u32::try_from(round).unwrap() + 1;
        let up = format!(
            "CREATE TABLE t{nth} (id int); SELECT pg_sleep(0.3); INSERT INTO t{nth} VALUES (1);"
        );
        kind.migration(&bed, nth, &up, &format!("DROP TABLE t{nth};"));
        let victim = victims[usize::try_from(round).unwrap() % victims.len()];
        let since = Instant::now();
        let mut us = start(&bed);
        // Spread over all of it: the golden ratio leaves no moment out for long.
        let at = u32::try_from(round + seed).unwrap();
        let part = (f64::from(at) * 0.618_034).fract();
        std::thread::sleep(length.mul_f64(part));
        let hit = strike(&mut bed, victim, &mut us);
        let code = ends(&mut us);
        let told = format!(
            "{kind:?}, {victim:?}, round {round}, at {part:.2} of {length:?}, hit {hit}, ended {code:?}"
        );
        if code == Some(0) && !hit {
            length = since.elapsed();
        }
        hits += u64::from(hit);
        leads_out(&bed, kind, nth, &told);
    }
    eprintln!("{kind:?}: {hits} of {kills} kills hit something");
    assert!(hits > 0);
}

const ALL: [Victim; 4] = [Victim::Us, Victim::Tool, Victim::Backend, Victim::Server];

#[test]
fn dbmate_killed_anywhere_leaves_the_truth_and_a_way_out() {
    killed(Kind::Dbmate, &ALL, 8);
}

#[test]
fn alembic_killed_anywhere_leaves_the_truth_and_a_way_out() {
    killed(Kind::Alembic, &ALL, 8);
}

#[test]
fn knex_killed_anywhere_leaves_the_truth_and_a_way_out() {
    killed(Kind::Knex, &ALL, 8);
}

#[test]
fn a_tool_that_outlives_us_is_waited_for_before_it_is_connected_too() {
    let bed = Bed::new();
    Kind::Alembic.set_up(&bed, json!({"deadline": "60s"}));
    // It connects long after it was started, and gives itself another name.
    let path = bed.path().join("alembic/env.py");
    let text = std::fs::read_to_string(&path).unwrap();
    let own = "create_engine(url, connect_args={'application_name': 'shop'}, ";
    let slow = text.replace("create_engine(url, ", own);
    std::fs::write(
        path,
        format!("import sys, time\nif '--sql' not in sys.argv:\n    time.sleep(8)\n{slow}"),
    )
    .unwrap();
    Kind::Alembic.migration(
        &bed,
        1,
        "CREATE TABLE t1 AS SELECT 1 AS id; SELECT pg_sleep(0.5);",
        "DROP TABLE t1;",
    );
    let mut us = start(&bed);
    let runs = || {
        let groups = groups_of_children(us.id());
        groups.iter().any(|group| {
            let listed = Command::new("ps")
                .args(["-eo", "pgid=,args="])
                .output()
                .unwrap();
            let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
            let mut lines = listed.lines().map(str::trim);
            lines.any(|line| line.starts_with(group) && line.ends_with("upgrade head"))
        })
    };
    assert!(testkit::wait_until(Duration::from_secs(20), runs));
    us.kill().unwrap();
    us.wait().unwrap();
    let (code, said) = call(&bed, &["status"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("resume"), "{said}");
    let ran = bed.run(&["resume", "-vv"]).output().unwrap();
    let said =
        String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(0), "{said}");
    // The tool that outlived us did it; a second one was never started.
    assert!(said.contains("attempts: 0"), "{said}");
    assert_eq!(bed.ask("SELECT count(*) FROM t1"), "1");
}
