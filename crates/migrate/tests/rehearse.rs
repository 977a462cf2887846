//! What is pending is tried on a copy, by the tool itself.

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::json;

use crate::bed::{Bed, PASSWORD};
use crate::projects::Kind;

/// What the release before does.
const SMOKE: &str = "psql \"$DATABASE_URL\" -v ON_ERROR_STOP=1 -qc \"INSERT INTO orders (id, note) VALUES (99, '$RELEASE')\"";

fn served() -> Bed {
    let bed = Bed::new();
    bed.postgres.sql("ALTER ROLE app CREATEDB");
    bed.configure(json!({ "rehearse": { "smoke": SMOKE, "required": true } }));
    bed.migration(
        "20240101_orders.sql",
        "CREATE TABLE orders (id int, note text);",
        "DROP TABLE orders;",
    );
    // There is nothing yet that a release before could use.
    bed.run(&["rehearse"])
        .assert()
        .code(3)
        .stdout(contains("fails on the schema of before too"));
    bed.run(&[
        "run",
        "--release",
        "v1",
        "--force",
        "unrehearsed",
        "--reason",
        "it is the first",
    ])
    .assert()
    .code(0);
    bed.ask("INSERT INTO orders SELECT i, 'note ' || i FROM generate_series(1, 500) i");
    bed
}

fn untouched(bed: &Bed) {
    assert_eq!(
        bed.ask("SELECT max(version) FROM schema_migrations"),
        "20240101"
    );
    assert_eq!(bed.ask("SELECT count(*) FROM orders"), "500");
    assert_eq!(
        bed.ask("SELECT count(*) FROM pg_database WHERE datname LIKE 'dg_%'"),
        "0"
    );
}

#[test]
fn a_migration_that_only_adds_is_rehearsed_and_may_run_as_long_as_no_file_changes() {
    let bed = served();
    let coupon = |up: &str| {
        bed.migration(
            "20240102_coupon.sql",
            up,
            "ALTER TABLE orders DROP COLUMN coupon;",
        );
    };
    coupon("ALTER TABLE orders ADD COLUMN coupon text;");
    bed.run(&["run", "--release", "v2"])
        .assert()
        .code(5)
        .stdout(contains("refused/unrehearsed").and(contains("were not tried on a copy")));
    bed.run(&["rehearse"])
        .assert()
        .code(0)
        .stdout(contains(
            "reversible, compatible with the release before, not destructive",
        ))
        .stdout(contains(PASSWORD).not());
    untouched(&bed);
    let noted = &bed.state()["rehearsals"][0];
    assert_eq!(noted["revision"], "20240101");
    assert_eq!(noted["migrations"][0]["id"], "20240102");
    assert_eq!(
        (&noted["passed"], &noted["compatible"]),
        (&json!(true), &json!(true))
    );
    coupon("ALTER TABLE orders ADD COLUMN coupon varchar(9);");
    bed.run(&["run", "--release", "v2"]).assert().code(5);
    coupon("ALTER TABLE orders ADD COLUMN coupon text;");
    bed.run(&["run", "--release", "v2"]).assert().code(0);
    // The way down was gone before.
    bed.run(&["undo"]).assert().code(0);
    untouched(&bed);
}

#[test]
fn a_wrong_way_down_and_an_old_release_that_breaks_fail_with_their_reasons() {
    let bed = served();
    bed.migration(
        "20240102_wrong.sql",
        "ALTER TABLE orders ADD COLUMN coupon text; CREATE INDEX orders_id ON orders (id);",
        "ALTER TABLE orders DROP COLUMN coupon;",
    );
    bed.run(&["rehearse"])
        .assert()
        .code(1)
        .stdout(contains("the way down is wrong").and(contains("orders_id")));
    bed.run(&["run", "--release", "v2"])
        .assert()
        .code(5)
        .stdout(contains("it did not pass"));
    std::fs::remove_file(bed.path().join("db/migrations/20240102_wrong.sql")).unwrap();
    bed.migration(
        "20240102_rename.sql",
        "ALTER TABLE orders RENAME COLUMN note TO remark;",
        "ALTER TABLE orders RENAME COLUMN remark TO note;",
    );
    bed.run(&["rehearse", "--template"])
        .assert()
        .code(1)
        .stdout(contains(
            "column \"note\" of relation \"orders\" does not exist",
        ))
        .stdout(contains(
            "reversible, not compatible with the release before, not destructive",
        ));
    untouched(&bed);
}

#[test]
fn what_loses_rows_or_has_no_way_down_is_told() {
    let bed = served();
    bed.migration(
        "20240102_drop.sql",
        "ALTER TABLE orders ADD COLUMN x int; DELETE FROM orders WHERE id > 400;",
        "ALTER TABLE orders DROP COLUMN x;",
    );
    bed.run(&["rehearse"])
        .assert()
        .code(0)
        .stdout(contains("lost: 100 of 501 rows of public.orders"))
        .stdout(contains(
            "not reversible, compatible with the release before, destructive",
        ));
    bed.migration(
        "20240102_drop.sql",
        "ALTER TABLE nowhere ADD COLUMN x int;",
        "SELECT 1;",
    );
    bed.run(&["rehearse"])
        .assert()
        .code(1)
        .stdout(contains("relation \"nowhere\" does not exist").and(contains("was not touched")));
    untouched(&bed);
}

#[test]
fn a_tool_that_does_not_heed_the_url_of_the_copy_changes_nothing() {
    let bed = served();
    bed.migration(
        "20240102_coupon.sql",
        "ALTER TABLE orders ADD COLUMN coupon text;",
        "SELECT 1;",
    );
    let dbmate = testkit::tool("dbmate");
    let wrapper = bed.path().join("own-url");
    let text = format!(
        "#!/bin/sh\nDATABASE_URL='{}' exec {} \"$@\"\n",
        bed.url(),
        dbmate.display()
    );
    std::fs::write(&wrapper, text).unwrap();
    bed.configure(json!({
        "dbmate": { "command": format!("sh {}", wrapper.display()) }, "deadline": "5s",
    }));
    bed.run(&["rehearse"]).assert().code(1).stdout(
        contains("was not touched")
            .and(contains("rehearse/apply"))
            .and(contains("does the tool use the URL that it is given?")),
    );
    untouched(&bed);
    assert_eq!(
        bed.ask("SELECT count(*) FROM information_schema.columns WHERE column_name = 'coupon'"),
        "0"
    );
}

#[test]
fn the_first_migrations_of_an_empty_database_are_reversible_whatever_the_tool() {
    for kind in [Kind::Alembic, Kind::Django, Kind::Sqitch] {
        let bed = Bed::new();
        bed.postgres.sql("ALTER ROLE app CREATEDB");
        kind.set_up(&bed, json!({}));
        kind.migration(
            &bed,
            1,
            "CREATE TABLE orders (id int);",
            "DROP TABLE orders;",
        );
        kind.migration(
            &bed,
            2,
            "ALTER TABLE orders ADD COLUMN note text;",
            "ALTER TABLE orders DROP COLUMN note;",
        );
        let name = kind.name();
        let rehearsed = bed.run(&["rehearse"]).output().unwrap();
        let told = String::from_utf8_lossy(&rehearsed.stdout);
        assert_eq!(rehearsed.status.code(), Some(0), "{name}: {told}");
        assert!(told.contains("reversible, "), "{name}: {told}");
        assert!(!told.contains("not reversible"), "{name}: {told}");
        let noted = &bed.state()["rehearsals"][0];
        assert_eq!(noted["reversible"], true, "{name}: {noted}");
        assert!(noted["revision"].is_null(), "{name}: {noted}");
        assert_eq!(
            bed.ask("SELECT count(*) FROM pg_class WHERE relname = 'orders'"),
            "0",
            "{name}"
        );
        // What was rehearsed may be undone, down to nothing.
        bed.run(&["run", "--release", "v1"]).assert().code(0);
        bed.run(&["undo", "--to", ""])
            .assert()
            .code(0)
            .stdout(contains("the schema is at nothing"));
        assert_eq!(
            bed.ask("SELECT count(*) FROM pg_class WHERE relname = 'orders'"),
            "0",
            "{name}"
        );
    }
}
