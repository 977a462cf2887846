//! Findings as a reader gets them.

use std::fmt::Write as _;

use ddl::lint::Ignored;
use ddl::{
    Catalog, Finding, Ignore, Level, LintError, Linter, Migration, NoSqlError, Options, ReadError,
    Rule, Tool,
};

fn lint(tool: Tool, sql: &str) -> Vec<Finding> {
    lint_with(tool, sql, Options::default())
}

fn lint_with(tool: Tool, sql: &str, options: Options) -> Vec<Finding> {
    let migration = Migration::printed(tool, "m/1_first.sql", sql);
    let linter = Linter::new(options);
    linter
        .lint(&migration, &mut Catalog::default())
        .expect("it is read")
}

/// What fails or is advice, and in which words.
fn told(findings: &[Finding]) -> String {
    let mut told = String::new();
    for finding in findings {
        let level = match (finding.level, &finding.ignored) {
            (_, Some(Ignored::InFile(reason))) => format!("ignored in the file ({reason:?})"),
            (_, Some(Ignored::Configured(reason))) => format!("ignored ({reason})"),
            (Level::Failure, None) => "failure".into(),
            (Level::Advice | Level::Off, None) => "advice".into(),
        };
        let rollback = if finding.matters_for_rollback() {
            ", matters for a rollback"
        } else {
            ""
        };
        let _ = writeln!(
            told,
            "{}:{}:{} {} ({level}{rollback})\n    {}\n    {}",
            finding.file,
            finding.place.line,
            finding.place.column,
            finding.rule,
            finding.message,
            finding.way.as_deref().unwrap_or("-"),
        );
    }
    told
}

/// The rules that are found, without what is only advice on style.
fn failures(findings: &[Finding]) -> Vec<String> {
    let failing = findings
        .iter()
        .filter(|one| one.level == Level::Failure && one.ignored.is_none());
    failing.map(|finding| finding.rule.to_string()).collect()
}

#[test]
fn a_migration_is_told_statement_by_statement() {
    let sql = "\
-- the orders
CREATE INDEX orders_state ON orders (state);
ALTER TABLE orders
    ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid(),
    DROP COLUMN note;
ALTER TABLE orders RENAME COLUMN state TO status;
ALTER TABLE orders ADD FOREIGN KEY (customer) REFERENCES customers (id);
ALTER TABLE orders ALTER COLUMN total SET NOT NULL;
TRUNCATE lines;
LOCK TABLE orders;
DO $$ BEGIN EXECUTE 'DROP TABLE t'; END $$;
DELETE FROM carts;
ALTER TABLE lines SET UNLOGGED;
CREATE TABEL x (id int);
";
    insta::assert_snapshot!("statement_by_statement", told(&lint(Tool::Dbmate, sql)));
}

#[test]
fn the_safe_way_is_in_the_words_of_the_tool() {
    let sql = "CREATE INDEX i ON t (a);\nALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);\nALTER TABLE t DROP COLUMN b;";
    let mut told = String::new();
    for &tool in Tool::ALL {
        let _ = writeln!(told, "{tool:?}");
        for finding in lint(tool, sql)
            .iter()
            .filter(|one| one.level == Level::Failure)
        {
            let _ = writeln!(
                told,
                "    {}: {}",
                finding.rule,
                finding.way.as_deref().expect("a way")
            );
        }
    }
    insta::assert_snapshot!("ways", told);
}

#[test]
fn by_default_what_locks_rewrites_breaks_or_loses_data_fails() {
    for (sql, rules) in [
        (
            "CREATE INDEX i ON t (a)",
            &["require-concurrent-index-creation"][..],
        ),
        ("DROP INDEX i", &["require-concurrent-index-deletion"]),
        (
            "ALTER TABLE t ADD COLUMN a text NOT NULL",
            &["adding-required-field"],
        ),
        ("ALTER TABLE t ADD COLUMN a text", &[]),
        (
            "ALTER TABLE t ADD COLUMN a timestamptz NOT NULL DEFAULT now()",
            &[],
        ),
        (
            "ALTER TABLE t ADD COLUMN a float DEFAULT random()",
            &["adding-field-with-default"],
        ),
        (
            "ALTER TABLE t ALTER COLUMN a TYPE text",
            &["changing-column-type"],
        ),
        ("ALTER TABLE t DROP COLUMN a", &["ban-drop-column"]),
        ("DROP TABLE t", &["ban-drop-table"]),
        ("ALTER TABLE t RENAME TO u", &["renaming-table"]),
        (
            "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a)",
            &["disallowed-unique-constraint"],
        ),
        ("VACUUM FULL t", &["rewrites-table"]),
        ("REFRESH MATERIALIZED VIEW v", &["rewrites-table"]),
        ("TRUNCATE t", &["destroys-data"]),
        ("DELETE FROM t", &["destroys-data"]),
        (
            "ALTER TYPE mood RENAME VALUE 'a' TO 'b'",
            &["renaming-object"],
        ),
        (
            "ALTER TABLE t ADD PRIMARY KEY (id)",
            &["adding-serial-primary-key-field"],
        ),
        (
            "ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING gist (a WITH =)",
            &["scans-under-lock"],
        ),
        ("INSERT INTO t VALUES (1)", &[]),
        ("UPDATE t SET a = 1", &[]),
        (
            "CREATE TABLE t (id int, name varchar(10), at timestamp)",
            &[],
        ),
        ("SELECT 1", &[]),
        ("SELEC 1", &["unreadable-sql"]),
    ] {
        let findings = lint(Tool::Sqitch, &format!("{sql};"));
        assert_eq!(failures(&findings), rules, "{sql}");
    }
}

#[test]
fn a_table_that_the_migration_has_made_may_be_locked() {
    let sql = "CREATE TABLE t (id bigint);\nCREATE INDEX i ON t (id);\nALTER TABLE t ADD CONSTRAINT c CHECK (id > 0);\nDROP TABLE t;";
    for &tool in Tool::ALL {
        assert_eq!(failures(&lint(tool, sql)), [""; 0], "{tool:?}");
    }
    let referencing = "CREATE TABLE t (id bigint, other bigint);\nALTER TABLE t ADD FOREIGN KEY (other) REFERENCES orders;";
    assert!(!failures(&lint(Tool::Sqitch, referencing)).is_empty());
}

#[test]
fn the_transaction_of_the_tool_decides() {
    let concurrently = "CREATE INDEX CONCURRENTLY i ON t (a);";
    let refused = ["ban-concurrent-index-creation-in-transaction"];
    assert_eq!(
        failures(&lint(Tool::Dbmate, concurrently)),
        ["refused-in-transaction"]
    );
    assert_eq!(failures(&lint(Tool::GolangMigrate, concurrently)), [""; 0]);
    let two = format!("{concurrently} SELECT 1;");
    assert_eq!(failures(&lint(Tool::GolangMigrate, &two)), refused);
    let alone = format!("-- migrate:up transaction:false\n{concurrently}");
    assert_eq!(failures(&lint(Tool::Dbmate, &alone)), [""; 0]);
    let alembic = format!(
        "BEGIN;\nSELECT 1;\nCOMMIT;\n{concurrently}\nBEGIN;\nUPDATE alembic_version SET version_num='a';\nCOMMIT;"
    );
    assert_eq!(failures(&lint(Tool::Alembic, &alembic)), [""; 0]);
    let vacuum = lint(Tool::Dbmate, "VACUUM t;");
    assert_eq!(failures(&vacuum), ["refused-in-transaction"]);
}

#[test]
fn what_the_tool_does_with_its_own_tables_is_not_looked_at() {
    let sql = "BEGIN;\nCREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);\nDELETE FROM alembic_version;\nCOMMIT;\n";
    assert_eq!(told(&lint(Tool::Alembic, sql)), "");
}

#[test]
fn the_part_that_undoes_is_not_looked_at() {
    let sql = "-- migrate:up\nSELECT 1;\n\n-- migrate:down\nDROP TABLE t;\n";
    assert_eq!(lint(Tool::Dbmate, sql), []);
}

#[test]
fn comments_of_squawk_are_heeded_and_those_for_nothing_are_told() {
    let sql = "\
-- squawk-ignore ban-drop-column, prefer-robust-stmts -- nobody has used it since March
ALTER TABLE t DROP COLUMN a;
-- squawk-ignore ban-drop-table
ALTER TABLE t ADD COLUMN b text;
-- squawk-ignore no-such-rule
-- squawk-ignore
ALTER TABLE t DROP COLUMN c; -- squawk-ignore destroys-data
";
    let findings = lint(Tool::Sqitch, sql);
    let findings: Vec<Finding> = findings
        .into_iter()
        .filter(|one| one.rule.to_string() != "prefer-robust-stmts")
        .collect();
    insta::assert_snapshot!("comments", told(&findings));
    let whole = format!("-- squawk-ignore-file\n{sql}");
    assert_eq!(failures(&lint(Tool::Sqitch, &whole)), [""; 0]);
}

#[test]
fn an_ignore_has_its_reason_and_one_that_fits_nothing_is_told() {
    let ignore = |rule: &str, files: Option<&str>, reason: &str| Ignore {
        rule: rule.parse::<Rule>().expect("a rule"),
        files: files.map(ToOwned::to_owned),
        reason: reason.to_owned(),
    };
    let options = Options {
        ignores: vec![
            ignore("ban-drop-table", Some("m/1_*"), "the table was never used"),
            ignore("ban-drop-column", Some("m/2_*"), "another file"),
            ignore("renaming-table", None, "nothing is renamed"),
        ],
        ..Options::default()
    };
    let linter = Linter::new(options);
    let migration = Migration::printed(
        Tool::Sqitch,
        "m/1_first.sql",
        "DROP TABLE t;\nALTER TABLE t DROP COLUMN c;",
    );
    let findings = linter
        .lint(&migration, &mut Catalog::default())
        .expect("it is read");
    assert_eq!(failures(&findings), ["ban-drop-column"]);
    let dropped = findings
        .iter()
        .find(|one| one.rule.to_string() == "ban-drop-table")
        .expect("it is told");
    assert_eq!(
        dropped.ignored,
        Some(Ignored::Configured("the table was never used".into()))
    );
    let unused: Vec<&str> = linter
        .unused()
        .iter()
        .map(|ignore| ignore.reason.as_str())
        .collect();
    assert_eq!(unused, ["another file", "nothing is renamed"]);
}

#[test]
fn what_cannot_be_looked_at_is_told() {
    assert_eq!(
        Migration::read(Tool::Alembic, "versions/1.py", "x"),
        Err(NoSqlError::Program)
    );
    let linter = Linter::new(Options::default());
    let deep = format!("SELECT {}1;", "(".repeat(50_000));
    let migration = Migration::printed(Tool::Sqitch, "a.sql", &deep);
    let refused = linter.lint(&migration, &mut Catalog::default());
    assert_eq!(refused, Err(LintError::Unread(ReadError::TooDeep)));
    let other = LintError::OtherDatabase("MariaDB".into());
    assert_eq!(
        other.to_string(),
        "the rules are for PostgreSQL, and the migration is for MariaDB"
    );
    let django = "--\n-- Raw Python operation\n--\n-- THIS OPERATION CANNOT BE WRITTEN AS SQL\n";
    assert_eq!(
        lint(Tool::Django, django)[0].rule.to_string(),
        "unknown-effect"
    );
}

#[test]
fn every_rule_has_a_name_that_is_read_again_and_a_level() {
    let mut told = String::new();
    let mut rules: Vec<Rule> = Rule::all().collect();
    rules.sort_by_key(|rule| {
        (
            std::cmp::Reverse(rule.level()),
            rule.concern(),
            rule.to_string(),
        )
    });
    for rule in rules {
        let same: Rule = rule.to_string().parse().expect("its own name");
        assert_eq!(same, rule);
        let _ = writeln!(told, "{:?} {} {rule}", rule.level(), rule.concern().name());
    }
    insta::assert_snapshot!("rules", told);
}

#[test]
fn a_rule_that_is_off_fails_where_it_is_asked_for() {
    let rule: Rule = "require-lock-timeout".parse().expect("a rule");
    let options = Options {
        also: vec![rule],
        ..Options::default()
    };
    let findings = lint_with(Tool::Sqitch, "ALTER TABLE t ADD COLUMN a text;", options);
    assert_eq!(failures(&findings), ["require-lock-timeout"]);
}

#[test]
fn what_one_migration_makes_the_next_one_may_lock() {
    let linter = Linter::new(Options::default());
    let mut catalog = Catalog::default();
    for (sql, wanted) in [
        ("CREATE TABLE t (id bigint);", &[][..]),
        ("CREATE INDEX i ON t (id);", &[]),
        (
            "CREATE INDEX j ON u (id);",
            &["require-concurrent-index-creation"],
        ),
    ] {
        let migration = Migration::printed(Tool::Sqitch, "a.sql", sql);
        let findings = linter.lint(&migration, &mut catalog).expect("it is read");
        assert_eq!(failures(&findings), wanted, "{sql}");
    }
}
