//! What is true and what is left after a kill: of us, of the tool, of a session at the server, and of the
//! server.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bed::Bed;
use crate::projects::Kind;

/// A number from the environment, such as `KILLS=100`.
pub(crate) fn given(name: &str, usual: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Us,
    /// The tool's whole process group.
    Tool,
    /// Both, as where the machine of the job dies.
    Machine,
    /// The tool's session at the server, with which the server ends all others.
    Backend,
    Server,
}

const VICTIMS: [Victim; 5] = [
    Victim::Us,
    Victim::Tool,
    Victim::Machine,
    Victim::Backend,
    Victim::Server,
];

/// When it is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// After this part of the time that a run takes.
    Part(f64),
    /// As soon as the journal has so many lines.
    Line(usize),
}

/// A run that nothing disturbs.
struct Undisturbed {
    took: Duration,
    /// Of its journal.
    lines: usize,
}

impl Undisturbed {
    /// So many moments: all over the time, and at each line of the journal in turn.
    fn moments(&self, kills: u64, seed: u64) -> Vec<Moment> {
        let at_lines = kills / 3;
        let parts = kills - at_lines;
        let shift = (f64::from(u32::try_from(seed).unwrap()) * 0.618_034).fract();
        let part = |nth: u64| {
            let nth = f64::from(u32::try_from(nth).unwrap());
            Moment::Part((nth + shift) / f64::from(u32::try_from(parts).unwrap()))
        };
        let line = |nth: u64| Moment::Line(1 + usize::try_from(nth + seed).unwrap() % self.lines);
        let (mut parts, mut lines) = ((0..parts).map(part), (0..at_lines).map(line));
        let next = |nth: u64| match nth % 3 {
            2 => lines.next().or_else(|| parts.next()),
            _ => parts.next(),
        };
        (0..kills).filter_map(next).collect()
    }
}

/// The newest journal: its number and its lines.
fn journal(bed: &Bed) -> (u64, Vec<String>) {
    let folder = bed.path().join(".deploy-guard/state.json.journals");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let numbered = files.filter_map(|file| {
        let path = file.path();
        Some((path.file_stem()?.to_str()?.parse::<u64>().ok()?, path))
    });
    let Some((number, path)) = numbered.max() else {
        return (0, Vec::new());
    };
    let text = std::fs::read_to_string(path).unwrap_or_default();
    (number, text.lines().map(str::to_owned).collect())
}

/// Waits for the moment; whether it came before the run ended.
fn wait_for(
    bed: &Bed,
    moment: Moment,
    undisturbed: &Undisturbed,
    us: &mut Child,
    before: u64,
) -> bool {
    match moment {
        Moment::Part(part) => {
            std::thread::sleep(undisturbed.took.mul_f64(part));
            us.try_wait().unwrap().is_none()
        }
        Moment::Line(wanted) => {
            let until = Instant::now() + Duration::from_secs(60);
            loop {
                let (number, lines) = journal(bed);
                if number > before && lines.len() >= wanted {
                    return true;
                }
                if us.try_wait().unwrap().is_some() || Instant::now() > until {
                    return false;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// What it says is in the file `said`.
fn start(bed: &Bed) -> Child {
    let said = std::fs::File::create(bed.path().join("said")).unwrap();
    Command::new(testkit::bin_path("migrate"))
        .current_dir(bed.path())
        .env("DATABASE_URL", bed.url())
        .args(["run", "--release", "v1"])
        .stdout(said.try_clone().unwrap())
        .stderr(said)
        .spawn()
        .unwrap()
}

pub(crate) fn signal(name: &str, target: &str) {
    let _ = Command::new("kill")
        .args(["-s", name, "--", target])
        .stderr(Stdio::null())
        .status();
}

/// The process groups of the children of a process.
pub(crate) fn groups_of_children(parent: u32) -> Vec<String> {
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

/// The process groups of the tool: beside it we have programs of our own, which only read.
fn groups_of_tool(us: u32) -> Vec<String> {
    let is_tool = |group: &String| {
        let environment = std::fs::read(format!("/proc/{group}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        variables.any(|variable| variable.starts_with(b"DEPLOY_GUARD_MIGRATE="))
    };
    let groups = groups_of_children(us).into_iter();
    groups.filter(is_tool).collect()
}

/// Kills the victim if it is there at this moment; whether it was.
fn strike(bed: &mut Bed, victim: Victim, us: &mut Child) -> bool {
    let kill = |groups: Vec<String>| {
        for group in &groups {
            signal("KILL", &format!("-{group}"));
        }
        !groups.is_empty()
    };
    match victim {
        Victim::Us => us.kill().is_ok(),
        Victim::Tool => kill(groups_of_tool(us.id())),
        Victim::Machine => {
            // It starts no other one while its own is killed.
            signal("STOP", &us.id().to_string());
            kill(groups_of_children(us.id()));
            us.kill().is_ok()
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

/// The same as soon as the victim is there, while we run.
fn strike_soon(bed: &mut Bed, victim: Victim, us: &mut Child) -> bool {
    while us.try_wait().unwrap().is_none() {
        if strike(bed, victim, us) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
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

/// What is so, as the tool's own table, the catalog and the journal have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Facts {
    is_applied: bool,
    has_table: bool,
    /// The last journal does not end.
    is_unfinished: bool,
    /// The tool's own lock is held.
    is_locked: bool,
}

impl Facts {
    /// `nth` is the number of the newest migration.
    fn of(bed: &Bed, kind: Kind, nth: u32) -> Facts {
        let applied = match kind {
            Kind::Alembic => format!("alembic_version WHERE version_num = 'r{nth:04}'"),
            Kind::Django => format!("django_migrations WHERE app = 'shop' AND name = '{nth:04}_m'"),
            Kind::Dbmate => format!("schema_migrations WHERE version = '{nth:04}'"),
            Kind::Knex => format!("knex_migrations WHERE name = '{nth:04}_m.js'"),
            Kind::Sqitch => format!("sqitch.changes WHERE change = 'm{nth:04}'"),
        };
        let is = |sql: &str| bed.ask(sql) == "t";
        let end = |line: &String| line.contains("\"event\":\"end\"");
        Facts {
            is_applied: is(&format!("SELECT count(*) = 1 FROM {applied}")),
            has_table: is(&format!("SELECT to_regclass('t{nth}') IS NOT NULL")),
            is_unfinished: !journal(bed).1.last().is_some_and(end),
            is_locked: kind == Kind::Knex
                && is("SELECT max(is_locked) = 1 FROM knex_migrations_lock"),
        }
    }
}

/// Status says what is so, while nothing changes it: a tool that outlived us may be at work.
fn tells_the_truth(bed: &Bed, kind: Kind, nth: u32, told: &str) {
    let mut facts = Facts::of(bed, kind, nth);
    let mut status = (None, String::new());
    let is_still = testkit::wait_until(Duration::from_secs(60), || {
        status = call(bed, &["status", "--format", "json"]);
        let before = std::mem::replace(&mut facts, Facts::of(bed, kind, nth));
        before == facts
    });
    assert!(is_still, "{told}: {facts:?}");
    let Facts {
        is_applied,
        has_table,
        is_unfinished,
        is_locked,
    } = facts;
    let (code, said) = status;
    let told = format!("{told}: {facts:?}, status {code:?} {said}");
    assert_eq!(is_applied, has_table, "{told}");
    assert_eq!(!is_applied, said.contains("\"pending/"), "{told}");
    assert_eq!(is_unfinished, said.contains("migrate/unfinished"), "{told}");
    assert_eq!(is_locked, said.contains("\"locked"), "{told}");
    let is_well = is_applied && !is_unfinished && !is_locked;
    assert_eq!(code, Some(i32::from(!is_well)), "{told}");
}

/// `resume`, `repair` and `run` lead out.
fn leads_out(bed: &Bed, kind: Kind, nth: u32, told: &str) {
    let (code, said) = call(bed, &["resume"]);
    if code != Some(0) {
        // The tool's own lock, which a dead run of it left.
        assert_eq!(kind, Kind::Knex, "{told}: {code:?} {said}");
        let (_, decision) = call(bed, &["decide"]);
        assert!(
            decision.contains("migrate repair"),
            "{told}: {code:?} {said}\n{decision}"
        );
        let (code, said) = call(bed, &["repair"]);
        assert_eq!(code, Some(0), "{told}: {said}");
    }
    for words in [["run", "--release", "v1"].as_slice(), &["status"]] {
        let (code, said) = call(bed, words);
        assert_eq!(code, Some(0), "{told}: {words:?} {said}");
    }
    // The database itself counts how often it was applied.
    let rows = bed.ask(&format!("SELECT count(*) FROM t{nth}"));
    assert_eq!(rows, "1", "{told}");
}

/// No lock, no lease and no session stays.
fn leaves_nothing(bed: &Bed, kind: Kind, nth: u32, told: &str) {
    for left in [
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'deploy-guard%'",
    ] {
        let is_gone = testkit::wait_until(Duration::from_secs(10), || bed.ask(left) == "0");
        assert!(is_gone, "{told}: {left}");
    }
    assert!(bed.state()["lock"].is_null(), "{told}: the lease stays");
    let facts = Facts::of(bed, kind, nth);
    let well = Facts {
        is_applied: true,
        has_table: true,
        is_unfinished: false,
        is_locked: false,
    };
    assert_eq!(facts, well, "{told}");
}

fn migration(bed: &Bed, kind: Kind, nth: u32) {
    let up = format!(
        "CREATE TABLE t{nth} (id int); SELECT pg_sleep(0.3); INSERT INTO t{nth} VALUES (1);"
    );
    kind.migration(bed, nth, &up, &format!("DROP TABLE t{nth};"));
}

/// The second of two, because the first one makes the tool's tables.
fn undisturbed(bed: &Bed, kind: Kind) -> Undisturbed {
    let mut measured = None;
    for nth in [1, 2] {
        migration(bed, kind, nth);
        let since = Instant::now();
        assert_eq!(ends(&mut start(bed)), Some(0));
        measured = Some(Undisturbed {
            took: since.elapsed(),
            lines: journal(bed).1.len(),
        });
    }
    measured.unwrap()
}

fn killed(kind: Kind) {
    // `KILLS` counts those of all tools together.
    let (kills, seed) = (given("KILLS", 32).div_ceil(4), given("SEED", 7));
    let mut bed = Bed::new();
    kind.set_up(&bed, json!({"deadline": "60s", "retry-pause": "100ms"}));
    let mut undisturbed = undisturbed(&bed, kind);
    let mut hits = 0;
    let victims = VICTIMS.iter().cycle();
    for ((nth, moment), victim) in (3..).zip(undisturbed.moments(kills, seed)).zip(victims) {
        migration(&bed, kind, nth);
        let (before, _) = journal(&bed);
        let since = Instant::now();
        let mut us = start(&bed);
        let came = wait_for(&bed, moment, &undisturbed, &mut us, before);
        let hit = came && strike_soon(&mut bed, *victim, &mut us);
        let code = ends(&mut us);
        hits += u64::from(hit);
        let took = undisturbed.took;
        if !hit {
            // The machine is busier now, or less.
            undisturbed.took = since.elapsed();
        }
        let told = format!(
            "{kind:?}, {victim:?}, migration {nth}, at {moment:?} of {took:?}, hit {hit}, ended {code:?}"
        );
        let said = std::fs::read_to_string(bed.path().join("said")).unwrap();
        eprintln!("{told}");
        let told = format!("{told}, said {said}");
        assert!(matches!(code, None | Some(0 | 1 | 3 | 4)), "{told}");
        if code == Some(4) {
            eprintln!("{said}");
        }
        let answers = || bed.postgres.psql("shop").args(["-c", "SELECT 1"]).output();
        let is_back = || answers().is_ok_and(|ran| ran.status.success());
        assert!(testkit::wait_until(Duration::from_secs(60), is_back));
        if code == Some(0) {
            assert!(Facts::of(&bed, kind, nth).is_applied, "{told}");
        }
        tells_the_truth(&bed, kind, nth, &told);
        leads_out(&bed, kind, nth, &told);
        leaves_nothing(&bed, kind, nth, &told);
    }
    let Undisturbed { took, lines } = undisturbed;
    eprintln!("{kind:?}: {hits} of {kills} kills hit something, in {took:?} and {lines} lines");
    assert!(hits * 2 >= kills, "{kind:?}: {hits} of {kills}");
}

#[test]
fn alembic_killed_anywhere_leaves_the_truth_and_a_way_out() {
    killed(Kind::Alembic);
}

#[test]
fn dbmate_killed_anywhere_leaves_the_truth_and_a_way_out() {
    killed(Kind::Dbmate);
}

#[test]
fn django_killed_anywhere_leaves_the_truth_and_a_way_out() {
    killed(Kind::Django);
}

#[test]
fn knex_killed_anywhere_leaves_the_truth_and_a_way_out() {
    killed(Kind::Knex);
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
