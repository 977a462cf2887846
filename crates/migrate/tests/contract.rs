//! Who may be left behind, and what `rollback` does afterwards.

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::{Value, json};

use crate::bed::Bed;

const DROP: &str = "ALTER TABLE orders DROP COLUMN note;";

/// v1 and then v2 are recorded good on a schema with `orders (id, note)`; v2 is live.
fn deployed(rollback: Value) -> Bed {
    let bed = Bed::new();
    let mut section = json!({
        "state": ".deploy-guard/state.json",
        "command": {"run": "echo \"$RELEASE\" > live", "current": "cat live"},
    });
    for (key, value) in rollback.as_object().unwrap() {
        section[key] = value.clone();
    }
    bed.configure_all(json!({}), json!({"rollback": section}));
    bed.migration(
        "0001_orders.sql",
        "CREATE TABLE orders (id int, note text, total bigint NOT NULL DEFAULT 0);",
        "DROP TABLE orders;",
    );
    for release in ["v1", "v2"] {
        bed.run(&["run", "--release", release]).assert().code(0);
        std::fs::write(bed.path().join("live"), release).unwrap();
        bed.program("rollback", &["record", "--release", release])
            .assert()
            .code(0);
    }
    bed
}

fn pending(bed: &Bed, up: &str) {
    bed.migration("0002_next.sql", up, "SELECT 1;");
}

/// Whether `rollback` would go to v1.
fn back(bed: &Bed) -> i32 {
    let plan = bed
        .program("rollback", &["plan", "--to", "v1"])
        .output()
        .unwrap();
    plan.status.code().unwrap()
}

#[test]
fn what_takes_nothing_away_runs_and_leaves_the_way_back_open() {
    for up in [
        "ALTER TABLE orders ADD COLUMN x int;",
        "ALTER TABLE orders ADD COLUMN y int NOT NULL DEFAULT 1;",
        "CREATE TABLE invoices (id int);",
        "ALTER TABLE orders ALTER COLUMN note TYPE varchar; CREATE INDEX ON orders (id);",
        // Its words do not tell what it does; the columns tell that it took nothing away.
        "DO $$ BEGIN EXECUTE 'ALTER TABLE orders ADD COLUMN z int'; END $$;",
    ] {
        let bed = deployed(json!({}));
        pending(&bed, up);
        bed.run(&["run", "--release", "v3"])
            .assert()
            .code(0)
            .stdout(contains("works with v2, v1"));
        assert_eq!(back(&bed), 0, "{up}");
    }
}

#[test]
fn what_takes_something_away_waits_for_the_releases_that_need_it() {
    for (up, why) in [
        (DROP, "is dropped"),
        (
            "ALTER TABLE orders RENAME COLUMN note TO remark;",
            "is renamed",
        ),
        ("ALTER TABLE orders RENAME TO purchases;", "is renamed"),
        ("DROP TABLE orders;", "is dropped"),
        (
            "ALTER TABLE orders ALTER COLUMN total TYPE text;",
            "gets another type",
        ),
        (
            "ALTER TABLE orders ADD COLUMN tenant int NOT NULL;",
            "must have a value",
        ),
    ] {
        let bed = deployed(json!({}));
        pending(&bed, up);
        bed.run(&["run", "--release", "v3"])
            .assert()
            .code(5)
            .stdout(
                contains("v2 is live")
                    .and(contains("v1 can be gone back to"))
                    .and(contains("--works-with v2"))
                    .and(contains(why)),
            );
        assert_eq!(
            bed.ask("SELECT count(*) FROM schema_migrations"),
            "1",
            "{up}"
        );
        assert_eq!(back(&bed), 0, "{up}");
    }
}

#[test]
fn the_first_migration_and_one_of_a_state_without_releases_wait_for_no_release() {
    let bed = Bed::new();
    bed.migration(
        "0001_orders.sql",
        "CREATE TABLE orders (id int, note text);",
        "DROP TABLE orders;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    pending(&bed, DROP);
    bed.run(&["run", "--release", "v1"]).assert().code(0);
}

#[test]
fn releases_that_are_said_to_work_without_it_are_believed_and_gone_back_to() {
    let bed = deployed(json!({}));
    pending(&bed, DROP);
    bed.run(&["run", "--release", "v3", "--works-with", "v2"])
        .assert()
        .code(5)
        .stdout(contains("v1 can be gone back to"));
    bed.run(&[
        "run",
        "--release",
        "v3",
        "--works-with",
        "v2",
        "--works-with",
        "v1",
    ])
    .assert()
    .code(0);
    assert_eq!(back(&bed), 0);
}

#[test]
fn a_release_that_is_recorded_with_the_revision_needs_nothing() {
    let bed = deployed(json!({}));
    pending(&bed, DROP);
    for release in ["v1", "v2"] {
        std::fs::write(bed.path().join("live"), release).unwrap();
        bed.program(
            "rollback",
            &["record", "--release", release, "--compatible-with", "0002"],
        )
        .assert()
        .code(0);
    }
    bed.run(&["run", "--release", "v3"]).assert().code(0);
    assert_eq!(back(&bed), 0);
}

#[test]
fn one_that_was_insisted_on_is_recorded_and_rollback_refuses_what_it_left_behind() {
    let bed = deployed(json!({}));
    pending(&bed, DROP);
    bed.run(&[
        "run",
        "--release",
        "v3",
        "--force",
        "contract",
        "--reason",
        "the column is empty",
    ])
    .assert()
    .code(0)
    .stdout(contains("the column public.orders.note is gone"));
    assert_eq!(back(&bed), 5);
    bed.program("rollback", &["plan", "--to", "v1"])
        .assert()
        .code(5)
        .stdout(contains("the database has schema 0002"));
    // The release that brought it fits once it was recorded.
    for release in ["v3", "v4"] {
        std::fs::write(bed.path().join("live"), release).unwrap();
        bed.program("rollback", &["record", "--release", release])
            .assert()
            .code(0);
    }
    bed.program("rollback", &["plan", "--to", "v3"])
        .assert()
        .code(0);
}

#[test]
fn the_window_says_from_when_on_a_release_that_was_left_needs_it_no_more() {
    let open = deployed(json!({"window": "10h"}));
    pending(&open, DROP);
    open.run(&["run", "--release", "v3", "--works-with", "v2"])
        .assert()
        .code(5)
        .stdout(contains("it may run from").and(contains("v1 can be gone back to")));
    let passed = deployed(json!({"window": "1s"}));
    pending(&passed, DROP);
    std::thread::sleep(std::time::Duration::from_millis(1200));
    passed
        .run(&["run", "--release", "v3", "--works-with", "v2"])
        .assert()
        .code(0);
}

#[test]
fn a_frozen_environment_is_refused_until_a_person_insists() {
    let bed = deployed(json!({}));
    pending(&bed, "ALTER TABLE orders ADD COLUMN x int;");
    let mut state = bed.state();
    state["frozen"] = json!({"reason": "an incident", "by": "ops", "at": "2026-01-01T00:00:00Z"});
    std::fs::write(
        bed.path().join(".deploy-guard/state.json"),
        state.to_string(),
    )
    .unwrap();
    bed.run(&["run", "--release", "v3"])
        .assert()
        .code(5)
        .stdout(contains("frozen").and(contains("--force frozen")));
    bed.run(&[
        "run",
        "--release",
        "v3",
        "--force",
        "frozen",
        "--force",
        "unrehearsed",
        "--reason",
        "it is the fix",
    ])
    .assert()
    .code(0)
    .stdout(contains("forced/frozen").and(contains("because: it is the fix")))
    .stdout(contains("forced/unrehearsed").and(contains("nothing was lifted")))
    .stdout(contains("--force frozen").not());
    // Also where there is nothing to do.
    bed.run(&["run", "--release=v3", "--force=contract", "--reason=test"])
        .assert()
        .code(0)
        .stdout(contains("forced/contract").and(contains("nothing was lifted")));
}

#[test]
fn a_release_that_is_known_bad_is_refused_until_a_person_lifts_the_rule() {
    let bed = deployed(json!({}));
    pending(&bed, "ALTER TABLE orders ADD COLUMN x int;");
    let mut state = bed.state();
    state["history"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .find(|entry| entry["release"] == "v1")
        .unwrap()["status"] = json!("bad");
    std::fs::write(
        bed.path().join(".deploy-guard/state.json"),
        state.to_string(),
    )
    .unwrap();
    bed.run(&["run", "--release", "v1"])
        .assert()
        .code(5)
        .stdout(contains("--force known-bad --reason TEXT"));
    let lift = ["run", "--release=v1", "--force=known-bad", "--reason=fixed"];
    bed.run(&lift)
        .assert()
        .code(0)
        .stdout(contains("forced/known-bad").and(contains("because: fixed")));
}

#[test]
fn rollback_goes_down_first_where_it_may_and_the_way_down_was_rehearsed() {
    let bed = deployed(json!({"migrate": "undo"}));
    bed.migration(
        "0002_remark.sql",
        "ALTER TABLE orders RENAME COLUMN note TO remark;",
        "ALTER TABLE orders RENAME COLUMN remark TO note;",
    );
    bed.postgres.sql("ALTER ROLE app CREATEDB");
    let insist = [
        "run",
        "--release",
        "v3",
        "--force",
        "contract",
        "--reason",
        "test",
    ];
    bed.run(&insist).assert().code(0);
    std::fs::write(bed.path().join("live"), "v3").unwrap();
    bed.program("rollback", &["record", "--release", "v3", "--pending"])
        .assert()
        .code(0);
    // The way down was never tried.
    bed.program("rollback", &["run"])
        .assert()
        .code(5)
        .stdout(contains("is not undone").and(contains("never tried")));
    bed.run(&["undo", "--force", "unrehearsed", "--reason", "test"])
        .assert()
        .code(0);
    bed.run(&["rehearse"])
        .assert()
        .code(1)
        .stdout(contains("undone without a trace"));
    bed.run(&insist).assert().code(0);
    bed.program("rollback", &["run"])
        .assert()
        .code(0)
        .stdout(contains("undone, as the tables show").and(contains("v2")));
    assert_eq!(
        std::fs::read_to_string(bed.path().join("live"))
            .unwrap()
            .trim(),
        "v2"
    );
    let column = "SELECT column_name FROM information_schema.columns WHERE table_name = 'orders' AND ordinal_position = 2";
    assert_eq!(bed.ask(column), "note");
}

#[test]
fn a_way_down_of_rollback_goes_on_after_the_databases_lock_was_lost() {
    let bed = deployed(json!({"migrate": "undo"}));
    bed.postgres.sql("ALTER ROLE app CREATEDB");
    bed.migration(
        "0002_remark.sql",
        "ALTER TABLE orders RENAME COLUMN note TO remark;",
        "SELECT pg_sleep(3); ALTER TABLE orders RENAME COLUMN remark TO note;",
    );
    bed.run(&["rehearse"]).assert().code(1);
    let insist = ["--force", "contract", "--reason", "test"];
    let mut run = bed.run(&["run", "--release", "v3"]);
    run.args(insist).assert().code(0);
    std::fs::write(bed.path().join("live"), "v3").unwrap();
    bed.program("rollback", &["record", "--release", "v3", "--pending"])
        .assert()
        .code(0);
    std::thread::scope(|scope| {
        scope.spawn(|| bed.lose_the_lock_during("pg_sleep(3)"));
        bed.program("rollback", &["run"])
            .assert()
            .code(0)
            .stdout(contains("v2"));
    });
    let column = "SELECT column_name FROM information_schema.columns WHERE table_name = 'orders' AND ordinal_position = 2";
    assert_eq!(bed.ask(column), "note");
    assert_eq!(bed.state()["database"]["revision"], "0001");
    bed.run(&["resume"])
        .assert()
        .code(0)
        .stdout(contains("nothing to resume"));
}
