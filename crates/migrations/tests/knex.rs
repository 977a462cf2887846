//! knex itself.

use std::time::Duration;

use migrations::{Settings, Tracking, UndoError};
use serde_json::json;

use crate::bed::{Bed, kinds};

fn knexfile(client: &str) -> String {
    format!(
        "module.exports = {{ client: '{client}', connection: process.env.DATABASE_URL, migrations: {{ directory: './migrations' }} }};\n"
    )
}

fn migration(table: &str) -> String {
    format!(
        "exports.up = (knex) => knex.schema.createTable('{table}', (t) => t.integer('x'));\n\
         exports.down = (knex) => knex.schema.dropTable('{table}');\n"
    )
}

fn with_files(bed: Bed, client: &str) -> Bed {
    bed.write("knexfile.js", &knexfile(client));
    bed.write("migrations/20240101_a.js", &migration("a"));
    bed.write("migrations/20240102_b.js", &migration("b"));
    bed
}

fn section() -> serde_json::Value {
    json!({ "knex": {} })
}

fn bed() -> Bed {
    with_files(Bed::new(section()).with_node_modules(), "pg")
}

#[test]
fn commands_apply_and_undo_and_settings_reach_knex() {
    let bed = bed();
    assert_eq!(bed.read().standing, Tracking::Empty);
    bed.write(
        "migrations/20240103_c.js",
        "exports.up = (knex) => knex.raw(\"create table seen as select current_setting('lock_timeout')\");\nexports.down = () => {};\n",
    );
    let settings = Settings {
        lock_timeout: Some(Duration::from_millis(700)),
        ..Settings::default()
    };
    let tool = bed.tool();
    let ran = bed.make(&tool.apply(&bed.read()), &settings);
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(bed.sql("select * from seen"), "700ms\n");
    let done = bed.read();
    assert!(done.is_at_head());
    assert_eq!(done.revision().as_deref(), Some("20240103_c.js"));
    assert_eq!(
        tool.undo(&done, None),
        Err(UndoError::Irreversible("20240103_c.js".to_owned()))
    );
    bed.write(
        "migrations/20240103_c.js",
        "exports.up = () => {};\nexports.down = (knex) => knex.raw('drop table seen');\n",
    );
    for command in tool.undo(&bed.read(), Some("20240101_a.js")).unwrap() {
        bed.must(&command);
    }
    // One batch of three, of which two are undone.
    assert_eq!(bed.read().pending, ["20240102_b.js", "20240103_c.js"]);
}

#[test]
fn the_lock_of_a_killed_run_is_told_while_knex_lists_as_if_nothing_were_wrong() {
    let bed = bed();
    bed.write(
        "migrations/20240102_b.js",
        "exports.up = async () => { process.kill(process.pid, 'SIGKILL'); await new Promise(() => {}); };\nexports.down = () => {};\n\
         exports.config = { transaction: false };\n",
    );
    assert!(!bed.try_run("knex", &["migrate:latest"]).status.success());
    assert!(!bed.run("knex", &["migrate:list"]).contains("lock"));
    let reading = bed.read();
    assert_eq!(kinds(&reading).last().unwrap(), "locked");
    assert!(reading.pending.contains(&"20240102_b.js".to_owned()));
    insta::assert_snapshot!(bed.told());
    bed.write("migrations/20240102_b.js", &migration("b"));
    assert!(!bed.try_run("knex", &["migrate:latest"]).status.success());
    bed.run("knex", &["migrate:unlock"]);
    bed.run("knex", &["migrate:latest"]);
    assert!(bed.read().is_at_head());
}

#[test]
fn a_file_that_is_gone_or_has_another_extension_stops_knex() {
    let bed = bed();
    bed.run("knex", &["migrate:latest"]);
    bed.rename("migrations/20240102_b.js", "migrations/20240102_b.cjs");
    assert!(!bed.try_run("knex", &["migrate:latest"]).status.success());
    assert_eq!(
        kinds(&bed.read()),
        ["renamed 20240102_b.js", "pending 20240102_b.cjs"]
    );
    insta::assert_snapshot!("renamed", bed.told());
    bed.remove("migrations/20240102_b.cjs");
    assert_eq!(kinds(&bed.read()), ["ahead 20240102_b.js"]);
    insta::assert_snapshot!("gone", bed.told());
}

#[test]
fn mariadb_is_read_in_the_same_way() {
    let bed = with_files(Bed::mariadb(section()).with_node_modules(), "mysql2");
    bed.write(
        "migrations/20240103_c.js",
        "exports.up = () => { throw new Error('no'); };\nexports.down = () => {};\n",
    );
    assert!(!bed.try_run("knex", &["migrate:latest"]).status.success());
    // A batch is no transaction here: what was before the failed one stays.
    let reading = bed.read();
    assert_eq!(reading.revision().as_deref(), Some("20240102_b.js"));
    assert_eq!(kinds(&reading), ["pending 20240103_c.js"]);
    bed.sql("update knex_migrations_lock set is_locked = 1");
    assert_eq!(kinds(&bed.read()), ["pending 20240103_c.js", "locked"]);
}
