//! node-pg-migrate itself.

use std::time::Duration;

use migrations::{Pending, Settings, Tracking};
use serde_json::json;

use crate::bed::{Bed, kinds};

fn migration(table: &str) -> String {
    format!(
        "-- Up Migration\ncreate table {table} (a int);\n\n-- Down Migration\ndrop table {table};\n"
    )
}

fn bed() -> Bed {
    let bed = Bed::new(json!({ "node-pg-migrate": {} })).with_node_modules();
    bed.write("migrations/1700000000000_a.sql", &migration("a"));
    // The same form of a later moment, which comes before as a text.
    bed.write("migrations/20231115000000000_b.sql", &migration("b"));
    bed
}

fn up(bed: &Bed) {
    bed.run("node-pg-migrate", &["up"]);
}

#[test]
fn commands_apply_and_undo_and_settings_reach_node_pg_migrate() {
    let bed = bed();
    assert_eq!(bed.read().standing, Tracking::Empty);
    bed.write(
        "migrations/1800000000000_c.js",
        "exports.up = (pgm) => pgm.sql(\"create table seen as select current_setting('lock_timeout')\");\nexports.down = (pgm) => pgm.sql('drop table seen');\n",
    );
    let tool = bed.tool();
    let Pending::Commands(commands) = tool.pending_sql(&bed.read()) else {
        panic!("one of the files is a script");
    };
    let printed = bed.must(&commands[0].1);
    // Its titles and what it tells of itself are no SQL.
    let scripts = tool.printed(&bed.read(), &printed).unwrap();
    let of = |nth: usize| (scripts[nth].revision.as_str(), scripts[nth].sql.trim());
    assert_eq!(scripts.len(), 3, "{printed}");
    assert_eq!(scripts[2].path, "migrations/1800000000000_c.js");
    let (revision, sql) = of(2);
    assert_eq!(revision, "1800000000000_c");
    assert!(sql.starts_with("create table seen as select"), "{sql}");
    assert!(sql.ends_with("NOW());"), "{sql}");
    assert_eq!(of(1).0, "20231115000000000_b");
    assert!(!of(0).1.contains("###"), "{printed}");
    let settings = Settings {
        lock_timeout: Some(Duration::from_millis(700)),
        ..Settings::default()
    };
    let ran = bed.make(&tool.apply(&bed.read()), &settings);
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(bed.sql("select * from seen"), "700ms\n");
    let done = bed.read();
    assert!(done.is_at_head(), "{}", bed.told());
    assert_eq!(done.revision().as_deref(), Some("1800000000000_c"));
    for command in tool.undo(&done, Some("1700000000000_a")).unwrap() {
        bed.must(&command);
    }
    assert_eq!(
        bed.read().pending,
        ["20231115000000000_b", "1800000000000_c"]
    );
}

#[test]
fn a_dry_run_that_prints_sql_makes_no_table_of_its_own_when_we_only_read() {
    let bed = bed();
    bed.read();
    assert_eq!(
        bed.sql("select count(*) from pg_class where relname = 'pgmigrations'"),
        "0\n"
    );
}

#[test]
fn a_file_before_an_applied_one_is_out_of_order_and_refused() {
    let bed = bed();
    up(&bed);
    bed.write("migrations/1600000000000_early.sql", &migration("early"));
    let ran = bed.try_run("node-pg-migrate", &["up"]);
    assert!(!ran.status.success());
    assert_eq!(kinds(&bed.read()), ["out-of-order 1600000000000_early"]);
    insta::assert_snapshot!(bed.told());
}

#[test]
fn a_failed_migration_takes_all_of_its_run_back() {
    let bed = bed();
    bed.write(
        "migrations/1800000000000_c.sql",
        "-- Up Migration\nselect 1/0;\n",
    );
    assert!(!bed.try_run("node-pg-migrate", &["up"]).status.success());
    assert_eq!(bed.read().applied.len(), 0);
    assert_eq!(bed.sql("select to_regclass('a') is null"), "t\n");
}

#[test]
fn an_applied_name_without_a_file_is_told() {
    let bed = bed();
    up(&bed);
    bed.rename(
        "migrations/20231115000000000_b.sql",
        "migrations/20231115000000000_bb.sql",
    );
    assert_eq!(
        kinds(&bed.read()),
        [
            "renamed 20231115000000000_b",
            "pending 20231115000000000_bb"
        ]
    );
    bed.remove("migrations/20231115000000000_bb.sql");
    assert_eq!(kinds(&bed.read()), ["ahead 20231115000000000_b"]);
}
