//! Alembic itself.

use std::time::Duration;

use migrations::{Error, Pending, Settings, Tracking, Undo, UndoError};
use serde_json::json;

use crate::bed::{Bed, kinds};

/// Reads the URL from the environment, as most projects do.
const ENV: &str = r#"
import os
from alembic import context
from sqlalchemy import create_engine, pool

VERSIONS = "alembic_version"

def url():
    url = os.environ["DATABASE_URL"]
    if url.startswith("mysql"):
        return url.replace("mysql://", "mysql+pymysql://")
    return url.replace("postgres://", "postgresql+psycopg2://")

if context.is_offline_mode():
    context.configure(url=url(), literal_binds=True, version_table=VERSIONS)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(url(), poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, version_table=VERSIONS)
        with context.begin_transaction():
            context.run_migrations()
"#;

fn revision(id: &str, down: &str, up: &str, back: &str) -> String {
    format!(
        "\"\"\"about {id}\"\"\"\nfrom alembic import op\n\nrevision: str = '{id}'\ndown_revision = {down}\n\n\
         def upgrade() -> None:\n    {up}\n\ndef downgrade() -> None:\n    {back}\n"
    )
}

fn table(id: &str, down: &str) -> String {
    let up = format!("op.execute('create table t_{id} (a int)')");
    revision(id, down, &up, &format!("op.execute('drop table t_{id}')"))
}

fn with_files(bed: Bed) -> Bed {
    bed.write(
        "alembic.ini",
        "[alembic]\nscript_location = %(here)s/alembic\nprepend_sys_path = .\n",
    );
    bed.write("alembic/env.py", ENV);
    bed.write("alembic/versions/a1_first.py", &table("a1", "None"));
    bed.write("alembic/versions/b2_second.py", &table("b2", "'a1'"));
    bed
}

fn bed() -> Bed {
    with_files(Bed::new(json!({ "alembic": {} })))
}

fn upgrade(bed: &Bed, to: &str) {
    bed.run("alembic", &["upgrade", to]);
}

#[test]
fn an_empty_database_is_not_migrated_although_alembic_prints_nothing_and_ends_with_0() {
    let bed = bed();
    assert!(bed.try_run("alembic", &["current"]).status.success());
    // That alone makes the table, which we never do.
    bed.sql("drop table if exists alembic_version");
    let reading = bed.read();
    assert_eq!(reading.standing, Tracking::Empty);
    assert_eq!(reading.pending, ["a1", "b2"]);
    assert_eq!(
        bed.sql("select count(*) from pg_class where relname = 'alembic_version'"),
        "0\n"
    );
    insta::assert_snapshot!(bed.told());
}

#[test]
fn tables_that_no_migration_made_are_told_from_an_empty_database() {
    let bed = bed();
    bed.sql("create table made_by_create_all (a int)");
    assert_eq!(bed.read().standing, Tracking::Untracked);
    insta::assert_snapshot!(bed.told());
}

#[test]
fn pending_revisions_are_applied_printed_from_the_right_start_and_undone() {
    let bed = bed();
    upgrade(&bed, "a1");
    let reading = bed.read();
    assert_eq!(
        (reading.current.join(","), reading.pending.join(",")),
        ("a1".into(), "b2".into())
    );
    assert_eq!(kinds(&reading), ["pending b2"]);
    let tool = bed.tool();
    let Pending::Commands(commands) = tool.pending_sql(&reading) else {
        panic!("alembic prints SQL");
    };
    let sql = bed.must(&commands[0].1);
    assert!(
        sql.contains("create table t_b2") && !sql.contains("create table t_a1"),
        "{sql}"
    );
    bed.must(&tool.apply(&reading));
    let done = bed.read();
    assert!(done.is_at_head());
    assert_eq!(done.revision().as_deref(), Some("b2"));
    for command in tool.undo(&done, Some("a1")).unwrap() {
        bed.must(&command);
    }
    assert_eq!(bed.read().revision().as_deref(), Some("a1"));
    let last = tool.undo(&bed.read(), None).unwrap();
    bed.must(&last[0]);
    assert_eq!(bed.read().standing, Tracking::Empty);
    assert_eq!(tool.undo(&bed.read(), None), Err(UndoError::NothingApplied));
}

#[test]
fn settings_reach_alembics_session() {
    let bed = bed();
    let up = "op.execute(\"create table seen as select current_setting('lock_timeout')\")";
    bed.write(
        "alembic/versions/c3.py",
        &revision("c3", "'b2'", up, "pass"),
    );
    let settings = Settings {
        lock_timeout: Some(Duration::from_millis(700)),
        ..Settings::default()
    };
    let ran = bed.make(&bed.tool().apply(&bed.read()), &settings);
    assert!(ran.status.success());
    assert_eq!(bed.sql("select * from seen"), "700ms\n");
}

#[test]
fn a_revision_that_no_file_has_hides_what_is_pending() {
    let bed = bed();
    upgrade(&bed, "head");
    bed.sql("update alembic_version set version_num = 'f9'");
    let reading = bed.read();
    assert_eq!(kinds(&reading), ["unknown f9"]);
    assert_eq!(reading.pending.len(), 0);
    assert_eq!(
        bed.tool().undo(&reading, None),
        Err(UndoError::NoFile("f9".to_owned()))
    );
    insta::assert_snapshot!(bed.told());
}

#[test]
fn two_heads_are_refused_and_merged() {
    let bed = bed();
    upgrade(&bed, "head");
    bed.write("alembic/versions/c3.py", &table("c3", "'b2'"));
    bed.write("alembic/versions/d4.py", &table("d4", "'b2'"));
    assert!(
        !bed.try_run("alembic", &["upgrade", "head"])
            .status
            .success()
    );
    assert_eq!(
        kinds(&bed.read()),
        ["several-heads", "pending c3", "pending d4"]
    );
    insta::assert_snapshot!(bed.told());
    bed.write(
        "alembic/versions/e5.py",
        &revision("e5", "(\n    'c3',\n    \"d4\",\n)", "pass", "pass"),
    );
    let merged = bed.read();
    assert_eq!(kinds(&merged), ["pending c3", "pending d4", "pending e5"]);
    assert_eq!(merged.file("e5").unwrap().undo, Undo::Present);
    upgrade(&bed, "head");
    assert!(bed.read().is_at_head());
}

#[test]
fn two_rows_of_one_line_are_what_a_careless_restore_leaves() {
    let bed = bed();
    upgrade(&bed, "head");
    bed.sql("insert into alembic_version values ('a1')");
    assert!(
        !bed.try_run("alembic", &["upgrade", "head"])
            .status
            .success()
            || !bed.read().is_at_head()
    );
    assert_eq!(kinds(&bed.read()), ["overlapping a1"]);
    insta::assert_snapshot!(bed.told());
}

#[test]
fn two_rows_on_two_branches_are_no_fault() {
    let bed = bed();
    upgrade(&bed, "head");
    bed.write("alembic/versions/c3.py", &table("c3", "'b2'"));
    bed.write("alembic/versions/d4.py", &table("d4", "'b2'"));
    upgrade(&bed, "heads");
    bed.write(
        "alembic/versions/e5.py",
        &revision("e5", "('c3', 'd4')", "pass", "pass"),
    );
    let reading = bed.read();
    assert_eq!(reading.current, ["c3", "d4"]);
    assert_eq!(kinds(&reading), ["pending e5"]);
}

#[test]
fn separate_labelled_histories_have_a_head_each_and_are_applied_together() {
    let bed = bed();
    for (id, label) in [("s1", "shop"), ("u1", "users")] {
        let text = table(id, "None") + &format!("\nbranch_labels = ('{label}',)\n");
        bed.write(&format!("alembic/versions/{id}.py"), &text);
    }
    bed.remove("alembic/versions/a1_first.py");
    bed.remove("alembic/versions/b2_second.py");
    let needs = table("u2", "'u1'") + "\ndepends_on = 'shop'\n";
    bed.write("alembic/versions/u2.py", &needs);
    assert_eq!(
        kinds(&bed.read()),
        ["not-migrated", "pending s1", "pending u1", "pending u2"]
    );
    bed.must(&bed.tool().apply(&bed.read()));
    let reading = bed.read();
    assert!(reading.is_at_head(), "{}", bed.told());
    assert_eq!(reading.applied.len(), 3);
}

#[test]
fn a_table_of_another_name_in_another_schema_is_found() {
    let bed = bed();
    let env = ENV.replace("\"alembic_version\"", "\"shop_version\"");
    let env = env.replace(
        "version_table=VERSIONS",
        "version_table=VERSIONS, version_table_schema='audit'",
    );
    bed.write("alembic/env.py", &env);
    bed.sql("create schema audit authorization app");
    assert_eq!(bed.read().standing, Tracking::Empty);
    upgrade(&bed, "a1");
    assert_eq!(kinds(&bed.read()), ["pending b2"]);
    // What cannot be read from `env.py` is told, not taken for a database without migrations.
    bed.write("alembic/env.py", &env.replace("'audit'", "os.environ['X']"));
    let error = bed.try_read_as("app").unwrap_err();
    assert!(matches!(&error, Error::Elsewhere { schemas, .. } if schemas == &["audit"]));
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap()));
}

#[test]
fn a_table_that_may_not_be_read_is_an_error_and_not_an_empty_database() {
    let bed = bed();
    upgrade(&bed, "head");
    let error = bed.try_read_as("reader").unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap()));
    // Without the right to the schema, PostgreSQL says that there is no such table.
    bed.sql("revoke usage on schema public from public");
    let error = bed.try_read_as("reader").unwrap_err();
    assert!(matches!(error, Error::NoUsage { .. }), "{error}");
}

#[test]
fn several_folders_and_a_pyproject_are_read() {
    let bed = bed();
    bed.remove("alembic.ini");
    bed.write("pyproject.toml", "[project]\nname = \"shop\"\n[tool.alembic]\nscript_location = \"%(here)s/alembic\"\nversion_locations = [\n  \"%(here)s/alembic/versions\",\n  \"%(here)s/more\",\n]\n\n[tool.other]\nx = 1\n");
    bed.write("more/c3.py", &table("c3", "'b2'"));
    assert_eq!(bed.read().pending, ["a1", "b2", "c3"]);
    upgrade(&bed, "head");
    assert!(bed.read().is_at_head());
    bed.remove("pyproject.toml");
    bed.write("alembic.ini", "[alembic]\nscript_location = alembic\npath_separator = os\nversion_locations = alembic/versions:more\n");
    assert!(bed.read().is_at_head());
    bed.remove("alembic.ini");
    let error = bed.try_read_as("app").unwrap_err();
    assert!(matches!(error, Error::NoConfig(_)), "{error}");
}

#[test]
fn files_that_contradict_themselves_are_told() {
    let bed = bed();
    bed.write("alembic/versions/c3.py", &table("c3", "'gone'"));
    bed.write("alembic/versions/d4.py", &table("b2", "'a1'"));
    bed.write(
        "alembic/versions/e5.py",
        "revision = make()\ndown_revision = 'b2'\n",
    );
    bed.write("alembic/versions/x1.py", &table("x1", "'x2'"));
    bed.write("alembic/versions/x2.py", &table("x2", "'x1'"));
    insta::assert_snapshot!(bed.told());
}

#[test]
fn mariadb_is_read_in_the_same_way() {
    let bed = with_files(Bed::mariadb(json!({ "alembic": {} })));
    assert_eq!(bed.read().standing, Tracking::Empty);
    upgrade(&bed, "a1");
    assert_eq!(kinds(&bed.read()), ["pending b2"]);
    bed.sql("insert into alembic_version values ('f9')");
    assert_eq!(kinds(&bed.read()), ["unknown f9"]);
}
