//! One migrator at a time, whatever the number of runners: the database itself checks it.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bed::Bed;
use crate::kills::{given, groups_of_children, signal};
use crate::projects::{FOUR, Kind};

const RUNNERS: usize = 3;

/// A session that changes the schema keeps a lock until its session ends. Another one that changes it meanwhile fails,
/// and is counted, as is each time that a migration begins: no transaction takes a number of a sequence back.
const GUARD: &str = "
    CREATE SEQUENCE two_at_once; CREATE SEQUENCE begun; GRANT USAGE ON SEQUENCE begun TO app;
    CREATE FUNCTION alone() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        IF NOT pg_try_advisory_lock(17) THEN
            PERFORM nextval('public.two_at_once');
            RAISE EXCEPTION 'two change the schema at once';
        END IF;
    END $$;
    CREATE EVENT TRIGGER alone ON ddl_command_start EXECUTE FUNCTION alone();";

/// A bed whose database checks that one at a time changes the schema.
fn guarded(kind: Kind, further: Value) -> Bed {
    let bed = Bed::new();
    bed.postgres.sql_in("shop", GUARD);
    kind.set_up(&bed, further);
    bed
}

/// The migration with this number: it is counted, and takes its time.
fn slow_migration(bed: &Bed, kind: Kind, nth: u32, seconds: f64) {
    let up = format!(
        "SELECT nextval('begun'); CREATE TABLE t{nth} (id int); SELECT pg_sleep({seconds}); INSERT INTO t{nth} VALUES (1);"
    );
    kind.migration(bed, nth, &up, &format!("DROP TABLE t{nth};"));
}

/// How often a sequence gave a number.
fn times(bed: &Bed, sequence: &str) -> u32 {
    let sql = format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}");
    bed.ask(&sql).parse().unwrap()
}

/// A configuration whose state no other runner has.
fn with_own_state(bed: &Bed, runner: usize) -> String {
    let text = std::fs::read_to_string(bed.path().join("deploy-guard.yml")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["migrate"]["state"] = json!(format!("own-{runner}/state.json"));
    let name = format!("own-{runner}.yml");
    bed.write(&name, &config.to_string());
    name
}

fn text(ran: &Output) -> String {
    let (out, log) = (&ran.stdout, &ran.stderr);
    format!(
        "{:?} {}{}",
        ran.status.code(),
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(log)
    )
}

/// All runners at once, on one state or each on its own. One applies the migration with this number, and
/// the others find it done or are refused.
fn race(bed: &Bed, nth: u32, shares_state: bool) {
    let runs = (0..RUNNERS).map(|runner| {
        let mut run = bed.run(&["run", "--release", "v1"]);
        if !shares_state {
            run.args(["--config", &with_own_state(bed, runner)]);
        }
        run
    });
    let runs: Vec<_> = runs.collect();
    let ran: Vec<Output> = std::thread::scope(|scope| {
        let running: Vec<_> = runs
            .into_iter()
            .map(|mut run| scope.spawn(move || run.output().unwrap()))
            .collect();
        running.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let told: String = ran.iter().map(text).collect();
    let codes = ran.iter().map(|ran| ran.status.code());
    let mut codes: Vec<_> = codes.collect();
    codes.sort_unstable();
    assert_eq!(codes[0], Some(0), "race {nth}: {told}");
    let is_known = |code: &Option<i32>| matches!(code, Some(0 | 5));
    assert!(codes.iter().all(is_known), "race {nth}: {told}");
    assert_eq!(told.matches("migrated to").count(), 1, "race {nth}: {told}");
    assert_eq!(times(bed, "begun"), nth, "race {nth}: {told}");
    assert_eq!(times(bed, "two_at_once"), 0, "race {nth}: {told}");
    let rows = bed.ask(&format!("SELECT count(*) FROM t{nth}"));
    assert_eq!(rows, "1", "race {nth}: {told}");
}

#[test]
fn of_three_at_once_exactly_one_applies_and_the_others_find_it_done_or_are_refused() {
    let races = given("RACES", 8);
    let since = Instant::now();
    for (tool, kind) in (0_u64..).zip(FOUR) {
        let bed = guarded(kind, json!({"deadline": "60s"}));
        let of_tool = (tool..races).step_by(FOUR.len());
        for (nth, _) in (1..).zip(of_tool) {
            slow_migration(&bed, kind, nth, 0.2);
            race(&bed, nth, nth % 2 == 1);
        }
    }
    eprintln!(
        "{races} races of {RUNNERS} runners in {:?}: one applied each time, never two at once",
        since.elapsed()
    );
}

#[test]
fn the_database_tells_two_that_change_the_schema_at_once() {
    let bed = guarded(Kind::Dbmate, json!({}));
    let change = |table: &str| {
        let mut psql = bed.postgres.psql("shop");
        psql.args(["-c", &format!("CREATE TABLE {table} ()")]);
        psql.args(["-c", "SELECT pg_sleep(1)"]);
        psql
    };
    let (mut one, mut other) = (change("one"), change("other"));
    let ended = std::thread::scope(|scope| {
        let one = scope.spawn(move || one.output().unwrap());
        let other = other.output().unwrap();
        [one.join().unwrap(), other]
    });
    let failed = ended.iter().filter(|ran| !ran.status.success());
    let told: Vec<String> = failed.map(text).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("two change the schema at once"));
    assert_eq!(times(&bed, "two_at_once"), 1);
}

/// What dies with the runner that holds the locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dying {
    Alone,
    WithTool,
    WithToolAndSession,
}

fn start(bed: &Bed, further: &[&str]) -> Child {
    Command::new(testkit::bin_path("migrate"))
        .current_dir(bed.path())
        .env("DATABASE_URL", bed.url())
        .args(["run", "--release", "v1"])
        .args(further)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The tool's session while it is in the midst of the migration.
fn at_work(bed: &Bed) -> String {
    let sql = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'deploy-guard migrate %' AND wait_event = 'PgSleep'";
    let mut process = String::new();
    let found = testkit::wait_until(Duration::from_secs(60), || {
        process = bed.ask(sql);
        !process.is_empty()
    });
    assert!(found, "the tool does not begin");
    process
}

/// How long it takes the second runner to finish what the first one began. The first one's lease lasts
/// half an hour.
fn taken_over(bed: &Bed, kind: Kind, nth: u32, dying: Dying, shares_state: bool) -> Duration {
    slow_migration(bed, kind, nth, 3.0);
    let mut holder = start(bed, &[]);
    let session = at_work(bed);
    let own = with_own_state(bed, 2);
    let further: &[&str] = if shares_state {
        &[]
    } else {
        &["--config", &own]
    };
    // It waits when the holder dies.
    let second = start(bed, further);
    std::thread::sleep(Duration::from_millis(500));
    let groups = groups_of_children(holder.id());
    holder.kill().unwrap();
    let since = Instant::now();
    if dying != Dying::Alone {
        for group in groups {
            signal("KILL", &format!("-{group}"));
        }
    }
    if dying == Dying::WithToolAndSession {
        bed.ask(&format!("SELECT pg_terminate_backend({session})"));
    }
    holder.wait().unwrap();
    let ended = second.wait_with_output().unwrap();
    let took = since.elapsed();
    let told = format!("{kind:?}, {dying:?}, {}", text(&ended));
    assert_eq!(ended.status.code(), Some(0), "{told}");
    assert_eq!(times(bed, "two_at_once"), 0, "{told}");
    let rows = bed.ask(&format!("SELECT count(*) FROM t{nth}"));
    assert_eq!(rows, "1", "{told}");
    assert!(took < Duration::from_secs(45), "{told}: {took:?}");
    if !shares_state {
        // What the dead one left is closed by the next run with its state.
        bed.run(&["resume"]).assert().code(0);
        bed.run(&["run", "--release", "v1"]).assert().code(0);
    }
    assert!(bed.state()["lock"].is_null(), "{told}");
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    let is_free = || bed.ask(locks) == "0";
    assert!(
        testkit::wait_until(Duration::from_secs(10), is_free),
        "{told}"
    );
    took
}

#[test]
fn a_holder_that_is_killed_is_taken_over_by_the_runner_that_waits() {
    let all = [Dying::Alone, Dying::WithTool, Dying::WithToolAndSession];
    // Each tool once, and with `RACES` in every way.
    let ways = if given("RACES", 0) == 0 { 1 } else { all.len() };
    for (tool, kind) in FOUR.into_iter().enumerate() {
        let further = json!({"deadline": "60s", "retry-pause": "100ms", "lock-wait": "60s"});
        let bed = guarded(kind, further);
        let dying = all.iter().cycle().skip(tool + 2).take(ways);
        for (nth, dying) in (1..).zip(dying) {
            let took = taken_over(&bed, kind, nth, *dying, true);
            eprintln!("{kind:?}, the holder killed {dying:?}: done after {took:?}");
        }
    }
}

#[test]
fn a_holder_that_is_killed_is_taken_over_by_a_runner_that_shares_no_state() {
    let further = json!({"deadline": "60s", "retry-pause": "100ms", "lock-wait": "60s"});
    let bed = guarded(Kind::Dbmate, further);
    for (nth, dying) in (1..).zip([Dying::Alone, Dying::WithTool]) {
        let took = taken_over(&bed, Kind::Dbmate, nth, dying, false);
        eprintln!("no common state, the holder killed {dying:?}: done after {took:?}");
    }
}
