//! dbmate itself.

use std::time::Duration;

use migrations::{Error, Pending, Settings, Tracking, UndoError};
use serde_json::json;

use crate::bed::{Bed, kinds};

fn migration(name: &str) -> String {
    format!("-- migrate:up\ncreate table {name} (a int);\n\n-- migrate:down\ndrop table {name};\n")
}

fn with_files(bed: Bed) -> Bed {
    bed.write("db/migrations/1_a.sql", &migration("a"));
    bed.write("db/migrations/2_b.sql", &migration("b"));
    bed
}

fn section() -> serde_json::Value {
    json!({ "dbmate": {} })
}

fn bed() -> Bed {
    with_files(Bed::new(section()))
}

fn migrate(bed: &Bed) {
    bed.run("dbmate", &["--no-dump-schema", "migrate"]);
}

#[test]
fn an_empty_database_is_read_without_making_a_table() {
    let bed = bed();
    let reading = bed.read();
    assert_eq!(
        (reading.standing, reading.pending.join(" ")),
        (Tracking::Empty, "1 2".to_owned())
    );
    assert_eq!(
        bed.sql("select count(*) from pg_class where relname = 'schema_migrations'"),
        "0\n"
    );
    let Pending::Scripts(scripts) = bed.tool().pending_sql(&reading) else {
        panic!("the files are SQL");
    };
    assert_eq!(scripts[1].sql, "create table b (a int);");
}

#[test]
fn commands_apply_and_undo_and_settings_reach_dbmate() {
    let bed = bed();
    bed.write("db/migrations/3_c.sql", "-- migrate:up\ncreate table seen as select current_setting('lock_timeout');\n-- migrate:down\n-- nothing\n");
    let settings = Settings {
        lock_timeout: Some(Duration::from_millis(700)),
        ..Settings::default()
    };
    let ran = bed.make(&bed.tool().apply(&bed.read()), &settings);
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(bed.sql("select * from seen"), "700ms\n");
    let reading = bed.read();
    assert!(reading.is_at_head());
    assert_eq!(reading.revision().as_deref(), Some("3"));
    assert!(!bed.folder().join("db/schema.sql").exists());
    assert_eq!(
        bed.tool().undo(&reading, None),
        Err(UndoError::Irreversible("3".to_owned()))
    );
    bed.sql("delete from schema_migrations where version = '3'");
    let back = bed.tool().undo(&bed.read(), Some("")).unwrap();
    assert_eq!(back.len(), 2);
    for command in &back {
        bed.must(command);
    }
    assert_eq!(bed.read().applied.len(), 0);
}

#[test]
fn a_migration_that_failed_is_pending_although_dbmate_prints_that_it_was_applied() {
    let bed = bed();
    bed.write(
        "db/migrations/2_b.sql",
        "-- migrate:up\ncreate table b (a int);\nselect 1/0;\n-- migrate:down\n",
    );
    let ran = bed.try_run("dbmate", &["--no-dump-schema", "up"]);
    assert_eq!(ran.status.code(), Some(2));
    let reading = bed.read();
    assert_eq!(kinds(&reading), ["pending 2"]);
    assert_eq!(reading.revision().as_deref(), Some("1"));
}

#[test]
fn an_applied_version_whose_file_is_gone_is_told() {
    let bed = bed();
    migrate(&bed);
    bed.remove("db/migrations/1_a.sql");
    assert!(bed.run("dbmate", &["status"]).contains("Pending: 0"));
    assert_eq!(kinds(&bed.read()), ["unknown 1"]);
    bed.write("db/migrations/1_a.sql", &migration("a"));
    bed.remove("db/migrations/2_b.sql");
    assert_eq!(kinds(&bed.read()), ["ahead 2"]);
    insta::assert_snapshot!(bed.told());
}

#[test]
fn a_renamed_file_would_be_applied_twice() {
    let bed = bed();
    migrate(&bed);
    bed.rename("db/migrations/2_b.sql", "db/migrations/3_b.sql");
    assert!(bed.run("dbmate", &["status"]).contains("Pending: 1"));
    assert_eq!(kinds(&bed.read()), ["renamed 2", "pending 3"]);
    insta::assert_snapshot!(bed.told());
}

#[test]
fn two_histories_are_diverged() {
    let bed = bed();
    migrate(&bed);
    bed.sql("insert into schema_migrations values ('3'), ('4')");
    bed.write("db/migrations/5_e.sql", &migration("e"));
    assert_eq!(
        kinds(&bed.read()),
        ["diverged 3", "diverged 4", "pending 5"]
    );
    insta::assert_snapshot!(bed.told());
}

#[test]
fn a_file_before_an_applied_one_is_out_of_order() {
    let bed = bed();
    bed.remove("db/migrations/1_a.sql");
    migrate(&bed);
    bed.write("db/migrations/1_a.sql", &migration("a"));
    assert_eq!(kinds(&bed.read()), ["out-of-order 1"]);
    insta::assert_snapshot!(bed.told());
}

#[test]
fn a_folder_that_is_not_there_and_a_table_of_another_tool_are_errors() {
    let bed = Bed::new(section());
    let error = bed.try_read_as("app").unwrap_err();
    assert!(matches!(error, Error::NoFolder(_)), "{error}");
    let bed = with_files(bed);
    bed.sql("create table schema_migrations (id int, name text)");
    let error = bed.try_read_as("app").unwrap_err();
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap()));
}

#[test]
fn mariadb_is_read_in_the_same_way() {
    let bed = with_files(Bed::mariadb(section()));
    assert_eq!(bed.read().standing, Tracking::Empty);
    bed.write(
        "db/migrations/2_b.sql",
        "-- migrate:up\ncreate table b (a int);\n-- migrate:down\n",
    );
    let settings = Settings {
        lock_timeout: Some(Duration::from_secs(2)),
        ..Settings::default()
    };
    bed.write(
        "db/migrations/3_c.sql",
        "-- migrate:up\ncreate table seen as select @@lock_wait_timeout as a;\n-- migrate:down\n",
    );
    let ran = bed.make(&bed.tool().apply(&bed.read()), &settings);
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(bed.sql("select a from seen"), "2\n");
    assert!(bed.read().is_at_head());
    bed.remove("db/migrations/3_c.sql");
    assert_eq!(kinds(&bed.read()), ["ahead 3"]);
}
