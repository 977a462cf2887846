//! What the rules find in migrations, as a workflow sees it.

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::{Value, json};

use crate::bed::Bed;

fn report(bed: &Bed, args: &[&str], code: i32) -> Value {
    let mut all = vec!["--format", "json"];
    all.extend(args);
    let ran = bed.run(&all).assert().code(code);
    serde_json::from_slice(&ran.get_output().stdout).unwrap()
}

fn outcome<'r>(report: &'r Value, id: &str) -> &'r Value {
    let outcomes = report["outcomes"].as_array().unwrap();
    let found = outcomes.iter().find(|outcome| outcome["id"] == id);
    found.unwrap_or_else(|| panic!("{id} is in {outcomes:#?}"))
}

#[test]
fn a_file_needs_no_database_and_fails_with_rule_file_and_line() {
    let bed = Bed::new();
    bed.migration(
        "1_orders.sql",
        "ALTER TABLE orders ADD COLUMN note text;\nCREATE INDEX orders_note ON orders (note);",
        "DROP TABLE orders;",
    );
    let file = "db/migrations/1_orders.sql";
    bed.run(&["lint", file])
        .env_remove("DATABASE_URL")
        .assert()
        .code(1)
        .stdout(contains("require-concurrent-index-creation").and(contains("1_orders.sql:3")))
        .stdout(contains("migrate:up transaction:false").and(contains("ban-drop-table").not()));
    let report = report(&bed, &["lint", file], 1);
    let found = outcome(
        &report,
        "lint/require-concurrent-index-creation/1_orders.sql:3",
    );
    assert_eq!(
        found["found_at"],
        json!({ "file": file, "line": 3, "column": 1 })
    );
    assert_eq!(found["severity"], "required");
    bed.migration(
        "2_harmless.sql",
        "ALTER TABLE orders ADD COLUMN b text;",
        "SELECT 1;",
    );
    bed.run(&["lint", "db/migrations/2_harmless.sql"])
        .assert()
        .code(0);
}

#[test]
fn what_is_found_is_an_annotation_at_its_line_from_the_repositorys_root() {
    let bed = Bed::new();
    bed.migration("1_t.sql", "DROP TABLE t;", "SELECT 1;");
    let root = bed.path().parent().unwrap();
    let folder = bed.path().file_name().unwrap().to_str().unwrap();
    bed.run(&["lint", "db/migrations/1_t.sql"])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", root)
        .assert()
        .code(1)
        .stderr(contains(format!(
            "::error file={folder}/db/migrations/1_t.sql,line=2,col=1,title=migrate lint/ban-drop-table"
        )));
}

#[test]
fn what_is_ignored_is_told_with_its_reason_and_an_ignore_for_nothing_too() {
    let bed = Bed::new();
    bed.migration("1_t.sql", "DROP TABLE t;", "SELECT 1;");
    let file = "db/migrations/1_t.sql";
    let given = [
        "lint",
        file,
        "--ignore",
        "ban-drop-table",
        "--reason",
        "never used",
    ];
    bed.run(&given)
        .assert()
        .code(0)
        .stdout(contains("never used"));
    bed.run(&["lint", file, "--ignore", "ban-drop-table"])
        .assert()
        .code(2);
    bed.run(&["lint", file, "--ignore", "no-such-rule", "--reason", "x"])
        .assert()
        .code(2)
        .stderr(contains("there is no rule `no-such-rule`"));
    let ignore = json!({ "rule": "ban-drop-table", "file": "db/*", "reason": "never used" });
    let other = json!({ "rule": "renaming-table", "reason": "nothing is renamed" });
    bed.configure(json!({ "lint": { "ignore": [ignore, other] } }));
    let report = report(&bed, &["lint", file], 0);
    let dropped = outcome(&report, "lint/ban-drop-table/1_t.sql:2");
    assert_eq!(
        (&dropped["verdict"], &dropped["reason"]),
        (&json!("skipped"), &json!("ignored: never used"))
    );
    assert_eq!(
        outcome(&report, "lint/unused-ignore/renaming-table")["severity"],
        "advisory"
    );
}

#[test]
fn sarif_is_written_and_a_file_that_cannot_be_read_is_a_usage_error() {
    let bed = Bed::new();
    bed.migration("1_t.sql", "DROP TABLE t;", "SELECT 1;");
    bed.run(&["lint", "db/migrations/1_t.sql", "--sarif", "lint.sarif"])
        .assert()
        .code(1);
    let sarif = std::fs::read_to_string(bed.path().join("lint.sarif")).unwrap();
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "db/migrations/1_t.sql");
    assert_eq!(place["region"]["startLine"], 2);
    bed.run(&["lint", "nothing.sql"])
        .assert()
        .code(2)
        .stderr(contains("nothing.sql cannot be read"));
}

#[test]
fn what_is_pending_is_looked_at_with_what_the_database_has() {
    let bed = Bed::new();
    bed.migration(
        "1_t.sql",
        "CREATE TABLE t (id bigint, name varchar(20));",
        "DROP TABLE t;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    bed.run(&["lint"])
        .assert()
        .code(0)
        .stdout(contains("nothing is pending"));
    // A wider text is no change to the server, which a rule alone cannot know.
    bed.migration(
        "2_wide.sql",
        "ALTER TABLE t ALTER COLUMN name TYPE varchar(40);",
        "SELECT 1;",
    );
    bed.run(&["lint"]).assert().code(0);
    bed.run(&["lint", "db/migrations/2_wide.sql"])
        .assert()
        .code(1);
    bed.migration(
        "3_narrow.sql",
        "\n\nALTER TABLE t ALTER COLUMN name TYPE int USING 1;",
        "SELECT 1;",
    );
    let report = report(&bed, &["lint"], 1);
    let found = outcome(&report, "lint/changing-column-type/3_narrow.sql:4");
    assert_eq!(found["found_at"]["file"], "db/migrations/3_narrow.sql");
    assert_eq!(bed.ask("SELECT count(*) FROM schema_migrations"), "1");
}

#[test]
fn what_is_no_postgresql_or_no_sql_is_said_not_to_be_looked_at() {
    let bed = Bed::new();
    bed.migration("1_t.sql", "DROP TABLE t;", "SELECT 1;");
    bed.run(&["lint", "db/migrations/1_t.sql"])
        .env("DATABASE_URL", "mysql://app@127.0.0.1/shop")
        .assert()
        .code(3)
        .stdout(contains("the rules are for PostgreSQL"));
    bed.file("2_program.py", "x = 1");
    bed.run(&["lint", "db/migrations/2_program.py"])
        .assert()
        .code(3)
        .stdout(contains("it is a program"));
}

#[test]
fn the_plan_says_for_each_statement_what_it_locks_and_how_many_rows_that_is() {
    let bed = Bed::new();
    let rows = "CREATE TABLE t (id bigint); INSERT INTO t SELECT generate_series(1, 1000);";
    bed.migration("1_t.sql", rows, "DROP TABLE t;");
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    bed.ask("ANALYZE t");
    bed.migration(
        "2_u.sql",
        "CREATE TABLE u (id bigint);\nALTER TABLE t ALTER COLUMN id TYPE text;\nDO $$ BEGIN END $$;",
        "SELECT 1;",
    );
    bed.run(&["plan"])
        .assert()
        .code(0)
        .stdout(contains("t: ACCESS EXCLUSIVE, writes every row again"))
        .stdout(contains("t: about 1000"))
        .stdout(contains("column t.id gets another type"))
        .stdout(contains("a DO block may do anything"));
    assert_eq!(bed.ask("SELECT count(*) FROM schema_migrations"), "1");
}

#[test]
fn a_migration_that_breaks_the_live_release_is_refused_by_its_sql() {
    let bed = Bed::new();
    bed.migration(
        "1_t.sql",
        "CREATE TABLE t (id bigint, note text);",
        "DROP TABLE t;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    let mut state = bed.state();
    state["current"] = json!("v1");
    let record =
        json!({ "release": "v1", "status": "good", "deployed_at": "2026-01-01T00:00:00Z" });
    state["history"] = json!([record]);
    std::fs::write(
        bed.path().join(".deploy-guard/state.json"),
        state.to_string(),
    )
    .unwrap();
    bed.migration("2_drop.sql", "ALTER TABLE t DROP COLUMN note;", "SELECT 1;");
    bed.run(&["run", "--release", "v2"])
        .assert()
        .code(5)
        .stdout(contains("column t.note is dropped").and(contains("v1 is live")));
    bed.run(&["run", "--release", "v2", "--works-with", "v1"])
        .assert()
        .code(0);
    assert_eq!(bed.ask("SELECT count(*) FROM schema_migrations"), "2");
}

#[test]
fn what_node_pg_migrate_prints_is_looked_at_file_by_file_without_its_own_words() {
    let bed = Bed::new();
    let modules = testkit::testbed().join("node_modules");
    std::os::unix::fs::symlink(modules, bed.path().join("node_modules")).unwrap();
    let call = testkit::tool("node-pg-migrate").display().to_string();
    bed.configure(json!({ "dbmate": null, "node-pg-migrate": { "command": call } }));
    let script = |up: &str| {
        format!("exports.up = (pgm) => {{ {up} }};\nexports.down = (pgm) => pgm.sql('SELECT 1');\n")
    };
    bed.write(
        "migrations/1700000000001_t.js",
        &script("pgm.createTable('t', { id: 'bigint', note: 'text' });"),
    );
    bed.run(&["lint"]).assert().code(0);
    bed.run(&["plan"]).assert().code(0).stdout(
        contains("compatible with the release before").and(contains("not known from").not()),
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    bed.write(
        "migrations/1700000000002_more.js",
        &script("pgm.addColumn('t', { more: 'text' });"),
    );
    bed.run(&["lint"]).assert().code(0);
    bed.write(
        "migrations/1700000000003_less.js",
        &script("pgm.dropColumn('t', 'note');"),
    );
    let report = report(&bed, &["lint"], 1);
    let rules = report["outcomes"].as_array().unwrap().iter();
    let rules = rules.filter(|outcome| outcome["verdict"] == "fail");
    let files: Vec<&Value> = rules.map(|outcome| &outcome["found_at"]["file"]).collect();
    assert_eq!(files, ["migrations/1700000000003_less.js"]);
    // One that fails ends with the database's own message.
    bed.write(
        "migrations/1700000000003_less.js",
        &script("pgm.dropColumn('t', 'none');"),
    );
    bed.run(&["run", "--release", "v2"])
        .assert()
        .code(1)
        .stdout(contains("column \"none\" of relation \"t\" does not exist"));
}
