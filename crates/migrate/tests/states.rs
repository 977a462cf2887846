//! States of databases, and what `migrate status` tells of each: the exit code, the verdict and each revision by name.
//! A state is made of SQL and files in a database of its own, as the tool or a person leaves it. Nothing is changed by
//! the question.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use testkit::Postgres;

const PASSWORD: &str = "hunter2-canary";
const HBA: &str = "host all all 127.0.0.1/32 scram-sha-256";
/// Databases that are asked at the same time.
const WORKERS: usize = 3;

/// A database, the files of a release, and what is to be told of them.
struct State {
    what: &'static str,
    tool: Value,
    files: Vec<(String, String)>,
    sql: String,
    /// What becomes of the URL of the database.
    url: fn(&str) -> String,
    code: i64,
    outcomes: &'static [&'static str],
}

/// What a tool's own files and table look like.
struct Project {
    tool: Value,
    files: Vec<(String, String)>,
    table: &'static str,
}

impl Project {
    fn with(mut self, path: &str, text: &str) -> Project {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    fn without(mut self, path: &str) -> Project {
        self.files.retain(|(one, _)| one != path);
        self
    }

    /// The table of the tool is there, and then this happened.
    fn after(self, what: &'static str, sql: &str) -> State {
        let sql = format!("{} {sql}", self.table);
        self.never_ran(what, &sql)
    }

    /// The table of the tool is not there.
    fn never_ran(self, what: &'static str, sql: &str) -> State {
        State {
            what,
            tool: self.tool,
            files: self.files,
            sql: sql.to_owned(),
            url: str::to_owned,
            code: 0,
            outcomes: &[],
        }
    }
}

impl State {
    fn by(mut self, url: fn(&str) -> String) -> State {
        self.url = url;
        self
    }

    fn is(mut self, code: i64, outcomes: &'static [&'static str]) -> State {
        (self.code, self.outcomes) = (code, outcomes);
        self
    }

    fn verdict(&self) -> &'static str {
        match self.code {
            0 => "pass",
            1 => "fail",
            _ => "error",
        }
    }
}

fn files<const N: usize>(files: [(&str, &str); N]) -> Vec<(String, String)> {
    let own = |(path, text): (&str, &str)| (path.to_owned(), text.to_owned());
    files.into_iter().map(own).collect()
}

fn revision(id: &str, down: &str) -> String {
    format!(
        "revision = '{id}'\ndown_revision = {down}\n\ndef upgrade():\n    pass\n\ndef downgrade():\n    pass\n"
    )
}

fn alembic() -> Project {
    Project {
        tool: json!({ "alembic": {} }),
        files: files([
            (
                "alembic.ini",
                "[alembic]\nscript_location = %(here)s/alembic\n",
            ),
            ("alembic/env.py", ""),
            ("alembic/versions/a1.py", &revision("a1", "None")),
            ("alembic/versions/b2.py", &revision("b2", "'a1'")),
        ]),
        table: "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);",
    }
}

/// Two heads behind `b2`.
fn branched() -> Project {
    alembic()
        .with("alembic/versions/c3.py", &revision("c3", "'b2'"))
        .with("alembic/versions/d4.py", &revision("d4", "'b2'"))
}

fn of_alembic() -> Vec<State> {
    let at = |ids: &[&str]| {
        let insert = |id: &&str| format!("INSERT INTO alembic_version VALUES ('{id}');");
        ids.iter().map(insert).collect::<String>()
    };
    vec![
        alembic()
            .never_ran("alembic: an empty database", "")
            .is(1, &["not-migrated", "pending/a1", "pending/b2"]),
        alembic()
            .never_ran(
                "alembic: tables that no migration made",
                "CREATE TABLE t (a int);",
            )
            .is(1, &["not-migrated", "pending/a1", "pending/b2"]),
        alembic()
            .after("alembic: a table without a row", "")
            .is(1, &["not-migrated", "pending/a1", "pending/b2"]),
        alembic()
            .after("alembic: pending", &at(&["a1"]))
            .is(1, &["pending/b2"]),
        alembic()
            .after("alembic: at head", &at(&["b2"]))
            .is(0, &["migrate/head"]),
        alembic()
            .after("alembic: a revision that no file has", &at(&["f9"]))
            .is(1, &["unknown/f9", "migrate/unseen/0"]),
        branched()
            .after("alembic: two heads in the files", &at(&["b2"]))
            .is(1, &["several-heads", "pending/c3", "pending/d4"]),
        branched()
            .after(
                "alembic: two heads in the files and in the table",
                &at(&["c3", "d4"]),
            )
            .is(1, &["several-heads"]),
        branched()
            .with("alembic/versions/e5.py", &revision("e5", "('c3', 'd4')"))
            .after(
                "alembic: two heads in the table, merged by a file",
                &at(&["c3", "d4"]),
            )
            .is(1, &["pending/e5"]),
        alembic()
            .after(
                "alembic: two rows of one line, as a careless restore leaves them",
                &at(&["a1", "b2"]),
            )
            .is(1, &["overlapping/a1"]),
        alembic()
            .with("alembic/versions/c3.py", &revision("c3", "'gone'"))
            .after("alembic: a file behind one that is gone", &at(&["b2"]))
            .is(1, &["broken/c3", "several-heads", "pending/c3"]),
        alembic()
            .after(
                "alembic: the table is in another schema",
                "CREATE SCHEMA audit; ALTER TABLE alembic_version SET SCHEMA audit;",
            )
            .is(4, &["migrate/database"]),
        alembic()
            .without("alembic.ini")
            .after("alembic: no configuration of the tool", &at(&["b2"]))
            .is(4, &["migrate/database"]),
    ]
}

fn django() -> Project {
    let migration = |needs: &str| {
        format!(
            "from django.db import migrations\n\nclass Migration(migrations.Migration):\n    \
             dependencies = [{needs}]\n    operations = []\n"
        )
    };
    Project {
        tool: json!({ "django": {} }),
        files: files([
            ("manage.py", ""),
            ("shop/__init__.py", ""),
            ("shop/migrations/__init__.py", ""),
            ("shop/migrations/0001_initial.py", &migration("")),
            (
                "shop/migrations/0002_price.py",
                &migration("('shop', '0001_initial')"),
            ),
        ]),
        table: "CREATE TABLE django_migrations (id serial PRIMARY KEY, app text, name text, applied timestamptz DEFAULT '2024-01-01');",
    }
}

fn of_django() -> Vec<State> {
    let applied = |names: &[&str]| {
        let insert = |name: &&str| {
            format!("INSERT INTO django_migrations (app, name) VALUES ('shop', '{name}');")
        };
        names.iter().map(insert).collect::<String>()
    };
    let (first, second) = ("0001_initial", "0002_price");
    let leaf = "from django.db import migrations\n\nclass Migration(migrations.Migration):\n    \
         dependencies = [('shop', '0002_price')]\n    operations = []\n";
    vec![
        django().never_ran("django: an empty database", "").is(
            1,
            &[
                "not-migrated",
                "pending/shop.0001_initial",
                "pending/shop.0002_price",
            ],
        ),
        django()
            .after("django: pending", &applied(&[first]))
            .is(1, &["pending/shop.0002_price"]),
        django()
            .after("django: at head", &applied(&[first, second]))
            .is(0, &["migrate/head"]),
        django()
            .after("django: applied before what it needs", &applied(&[second]))
            .is(
                1,
                &["pending/shop.0001_initial", "inconsistent/shop.0002_price"],
            ),
        django()
            .with("shop/migrations/0003_a.py", leaf)
            .with("shop/migrations/0003_b.py", leaf)
            .after("django: two leaves of an app", &applied(&[first, second]))
            .is(
                1,
                &[
                    "several-heads",
                    "pending/shop.0003_a",
                    "pending/shop.0003_b",
                ],
            ),
        django()
            .after(
                "django: the schema is ahead of the release",
                &applied(&[first, second, "0003_newer"]),
            )
            .is(1, &["ahead/shop.0003_newer"]),
        django()
            .with("shop/migrations/0003_ours.py", leaf)
            .after(
                "django: two histories",
                &applied(&[first, second, "0003_theirs"]),
            )
            .is(1, &["diverged/shop.0003_theirs", "pending/shop.0003_ours"]),
    ]
}

fn knex() -> Project {
    Project {
        tool: json!({ "knex": {} }),
        files: files([
            ("migrations/01_a.js", "exports.up = () => {};\n"),
            ("migrations/02_b.js", "exports.up = () => {};\n"),
        ]),
        table: "CREATE TABLE knex_migrations (id serial PRIMARY KEY, name text, batch int, migration_time timestamptz DEFAULT '2024-01-01');
            CREATE TABLE knex_migrations_lock (index serial PRIMARY KEY, is_locked int);
            INSERT INTO knex_migrations_lock (is_locked) VALUES (0);",
    }
}

fn of_knex() -> Vec<State> {
    let both = "INSERT INTO knex_migrations (name, batch) VALUES ('01_a.js', 1), ('02_b.js', 1);";
    let locked = "UPDATE knex_migrations_lock SET is_locked = 1;";
    vec![
        knex().after("knex: at head", both).is(0, &["migrate/head"]),
        knex()
            .after(
                "knex: a killed run left its lock, and nothing is pending",
                &format!("{both} {locked}"),
            )
            .is(1, &["locked"]),
        knex()
            .after("knex: a killed first run left its lock", locked)
            .is(
                1,
                &[
                    "not-migrated",
                    "pending/01_a.js",
                    "pending/02_b.js",
                    "locked",
                ],
            ),
        knex()
            .without("migrations/02_b.js")
            .with("migrations/02_b.cjs", "exports.up = () => {};\n")
            .after("knex: a file with another extension", both)
            .is(1, &["renamed/02_b.js", "pending/02_b.cjs"]),
    ]
}

fn node_pg_migrate() -> Project {
    Project {
        tool: json!({ "node-pg-migrate": {} }),
        files: files([
            (
                "migrations/1700000000000_a.sql",
                "-- Up Migration\nSELECT 1;\n",
            ),
            (
                "migrations/1800000000000_b.sql",
                "-- Up Migration\nSELECT 1;\n",
            ),
        ]),
        table: "CREATE TABLE pgmigrations (id serial PRIMARY KEY, name text, run_on timestamp DEFAULT '2024-01-01');",
    }
}

fn of_node_pg_migrate() -> Vec<State> {
    let applied = |name: &str| format!("INSERT INTO pgmigrations (name) VALUES ('{name}');");
    let (first, second) = ("1700000000000_a", "1800000000000_b");
    vec![
        node_pg_migrate()
            .after("node-pg-migrate: pending", &applied(first))
            .is(1, &["pending/1800000000000_b"]),
        node_pg_migrate()
            .after(
                "node-pg-migrate: at head",
                &(applied(first) + &applied(second)),
            )
            .is(0, &["migrate/head"]),
        node_pg_migrate()
            .after("node-pg-migrate: out of order", &applied(second))
            .is(1, &["out-of-order/1700000000000_a"]),
    ]
}

fn dbmate() -> Project {
    let sql = |table: &str| {
        format!(
            "-- migrate:up\nCREATE TABLE {table} (x int);\n-- migrate:down\nDROP TABLE {table};\n"
        )
    };
    Project {
        tool: json!({ "dbmate": {} }),
        files: files([
            ("db/migrations/1_a.sql", &sql("a")),
            ("db/migrations/2_b.sql", &sql("b")),
        ]),
        table: "CREATE TABLE schema_migrations (version varchar PRIMARY KEY);",
    }
}

fn versions(versions: &[&str]) -> String {
    let insert = |version: &&str| format!("INSERT INTO schema_migrations VALUES ('{version}');");
    versions.iter().map(insert).collect()
}

fn of_dbmate() -> Vec<State> {
    let folder = ["db/migrations/1_a.sql", "db/migrations/2_b.sql"];
    let empty = || dbmate().without(folder[0]).without(folder[1]);
    let kept = || empty().with("db/migrations/.keep", "");
    vec![
        dbmate()
            .never_ran("dbmate: an empty database", "")
            .is(1, &["not-migrated", "pending/1", "pending/2"]),
        dbmate()
            .after("dbmate: at head", &versions(&["1", "2"]))
            .is(0, &["migrate/head"]),
        dbmate()
            .without(folder[0])
            .after("dbmate: a file is gone", &versions(&["1", "2"]))
            .is(1, &["unknown/1"]),
        dbmate()
            .after(
                "dbmate: the schema is ahead of the release",
                &versions(&["1", "2", "3"]),
            )
            .is(1, &["ahead/3"]),
        dbmate()
            .without(folder[1])
            .with("db/migrations/3_b.sql", "-- migrate:up\nSELECT 1;\n")
            .after("dbmate: a renamed file", &versions(&["1", "2"]))
            .is(1, &["renamed/2", "pending/3"]),
        dbmate()
            .with("db/migrations/5_e.sql", "-- migrate:up\nSELECT 1;\n")
            .after("dbmate: two histories", &versions(&["1", "2", "3", "4"]))
            .is(1, &["diverged/3", "diverged/4", "pending/5"]),
        dbmate()
            .after("dbmate: out of order", &versions(&["2"]))
            .is(1, &["out-of-order/1"]),
        dbmate()
            .with("db/migrations/2_other.sql", "-- migrate:up\nSELECT 1;\n")
            .after("dbmate: two files of one version", &versions(&["1", "2"]))
            .is(1, &["broken/2"]),
        dbmate()
            .never_ran(
                "dbmate: a table of that name that another tool made",
                "CREATE TABLE schema_migrations (id int);",
            )
            .is(4, &["migrate/database"]),
        empty()
            .after("dbmate: the folder is missing", &versions(&["1", "2"]))
            .is(4, &["migrate/database"]),
        kept()
            .after("dbmate: the folder is empty", &versions(&["1"]))
            .is(1, &["ahead/1"]),
        kept()
            .never_ran("dbmate: the folder and the database are empty", "")
            .is(0, &["migrate/head", "migrate/unseen/0"]),
    ]
}

/// Its ids are the SHA-1 of the lines of the plan; they are those that `sqitch plan --format format:%H` prints.
fn sqitch() -> Project {
    let script = |sql: &str| format!("BEGIN;\n{sql}\nCOMMIT;\n");
    Project {
        tool: json!({ "sqitch": {} }),
        files: files([
            ("sqitch.conf", "[core]\n\tengine = pg\n"),
            (
                "sqitch.plan",
                "%syntax-version=1.0.0\n%project=shop\n\n\
                 items 2024-01-01T00:00:00Z Ann <ann@example.com> # items\n\
                 prices 2024-01-02T00:00:00Z Ann <ann@example.com> # prices\n",
            ),
            ("deploy/items.sql", &script("SELECT 1;")),
            ("deploy/prices.sql", &script("SELECT 2;")),
        ]),
        table: "CREATE SCHEMA sqitch;
            CREATE TABLE sqitch.changes (change_id text PRIMARY KEY, script_hash text, change text, project text, note text, committed_at timestamptz);
            CREATE TABLE sqitch.events (event text, change_id text, change text, project text, committed_at timestamptz);",
    }
}

const ITEMS: &str = "7ea5195c431b93d19bcdd29a3cc19107f2f445d9";
const PRICES: &str = "cf486db4d6db4a2d28f9d8dff59c8145ca6721ea";

fn of_sqitch() -> Vec<State> {
    let deployed = |id: &str, name: &str, script: &str, day: u8| {
        format!(
            "INSERT INTO sqitch.changes VALUES ('{id}', '{script}', '{name}', 'shop', '', '2024-02-0{day}');
             INSERT INTO sqitch.events VALUES ('deploy', '{id}', '{name}', 'shop', '2024-02-0{day}');"
        )
    };
    let items = deployed(
        ITEMS,
        "items",
        "139a734ed0014b67acd083d46d602c88d5e98ed5",
        1,
    );
    let prices = deployed(
        PRICES,
        "prices",
        "87a106336bd9d077a4be67d606b89d79027e60aa",
        2,
    );
    let changed = deployed(
        PRICES,
        "prices",
        "0123456789abcdef0123456789abcdef01234567",
        2,
    );
    let fail = format!(
        "INSERT INTO sqitch.events VALUES ('fail', '{PRICES}', 'prices', 'shop', '2024-02-03');"
    );
    vec![
        sqitch()
            .after("sqitch: at head", &format!("{items} {prices}"))
            .is(0, &["migrate/head"]),
        sqitch()
            .after("sqitch: pending", &items)
            .is(1, &["pending/cf486db4d6db4a2d28f9d8dff59c8145ca6721ea"]),
        sqitch()
            .after("sqitch: a changed script", &format!("{items} {changed}"))
            .is(1, &["changed/cf486db4d6db4a2d28f9d8dff59c8145ca6721ea"]),
        sqitch()
            .after(
                "sqitch: the last deployment failed",
                &format!("{items} {fail}"),
            )
            .is(
                1,
                &[
                    "pending/cf486db4d6db4a2d28f9d8dff59c8145ca6721ea",
                    "failed/cf486db4d6db4a2d28f9d8dff59c8145ca6721ea",
                ],
            ),
    ]
}

fn flyway() -> Project {
    // Of this content the check value of CRC-32 is known.
    let sql = "12345\n6789\n";
    Project {
        tool: json!({ "flyway": { "folder": "m" } }),
        files: files([("m/V1__first.sql", sql), ("m/V2__second.sql", sql)]),
        table: "CREATE TABLE flyway_schema_history (installed_rank int PRIMARY KEY, version varchar(50), description varchar(200),
            type varchar(20), script varchar(1000), checksum int, installed_by varchar(100), installed_on timestamp DEFAULT '2024-01-01',
            execution_time int, success boolean);",
    }
}

fn of_flyway() -> Vec<State> {
    let row = |rank: u8, name: &str, sum: i32, success: bool| {
        format!(
            "INSERT INTO flyway_schema_history VALUES ({rank}, '{rank}', '{name}', 'SQL', 'x', {sum}, 'app', '2024-01-01', 1, {success});"
        )
    };
    let sum = -873_187_034;
    let first = row(1, "first", sum, true);
    let second = row(2, "second", sum, true);
    vec![
        flyway()
            .never_ran("flyway: an empty database", "")
            .is(1, &["not-migrated", "pending/1", "pending/2"]),
        flyway()
            .after("flyway: at head", &format!("{first} {second}"))
            .is(0, &["migrate/head"]),
        flyway()
            .after(
                "flyway: a changed checksum",
                &(first.clone() + &row(2, "second", 7, true)),
            )
            .is(1, &["changed/2"]),
        flyway()
            .after(
                "flyway: a row that failed",
                &(first.clone() + &row(2, "second", sum, false)),
            )
            .is(1, &["failed/2"]),
        flyway()
            .with("m/V1.5__late.sql", "SELECT 1;")
            .after("flyway: out of order", &format!("{first} {second}"))
            .is(1, &["out-of-order/1.5"]),
        flyway()
            .without("m/V2__second.sql")
            .with("m/V2__other.sql", "12345\n6789\n")
            .after("flyway: another description", &format!("{first} {second}"))
            .is(1, &["renamed/2"]),
    ]
}

fn prisma() -> Project {
    Project {
        tool: json!({ "prisma": {} }),
        files: files([
            ("prisma/schema.prisma", ""),
            ("prisma/migrations/20240101_a/migration.sql", "SELECT 1;\n"),
            ("prisma/migrations/20240102_b/migration.sql", "SELECT 1;\n"),
        ]),
        table: "CREATE TABLE _prisma_migrations (id varchar(36) PRIMARY KEY, checksum varchar(64), finished_at timestamptz,
            migration_name varchar(255), logs text, rolled_back_at timestamptz, started_at timestamptz, applied_steps_count int);",
    }
}

fn of_prisma() -> Vec<State> {
    let row = |nth: u8, name: &str, finished: &str, rolled_back: &str| {
        format!(
            "INSERT INTO _prisma_migrations VALUES ('{nth}', encode(sha256('SELECT 1;\n'), 'hex'), {finished}, '{name}',
             'ERROR: no such column', {rolled_back}, '2024-01-0{nth}', 1);"
        )
    };
    let (then, never) = ("'2024-01-05'", "NULL");
    let first = row(1, "20240101_a", then, never);
    let failed = row(2, "20240102_b", never, never);
    vec![
        prisma().never_ran("prisma: an empty database", "").is(
            1,
            &["not-migrated", "pending/20240101_a", "pending/20240102_b"],
        ),
        prisma()
            .after(
                "prisma: at head",
                &(first.clone() + &row(2, "20240102_b", then, never)),
            )
            .is(0, &["migrate/head"]),
        prisma()
            .after("prisma: failed", &format!("{first} {failed}"))
            .is(1, &["failed/20240102_b"]),
        prisma()
            .after(
                "prisma: failed, and recorded as rolled back",
                &(first.clone() + &row(2, "20240102_b", never, then)),
            )
            .is(1, &["pending/20240102_b"]),
        prisma()
            .after(
                "prisma: failed, and a later row of it finished: prisma refuses it",
                &(first.clone() + &failed + &row(3, "20240102_b", then, never)),
            )
            .is(1, &["failed/20240102_b"]),
        prisma()
            .without("prisma/migrations/20240102_b/migration.sql")
            .with("prisma/migrations/20240102_b/migration.sql", "SELECT 2;\n")
            .after(
                "prisma: a changed checksum",
                &(first.clone() + &row(2, "20240102_b", then, never)),
            )
            .is(1, &["changed/20240102_b"]),
        prisma()
            .after(
                "prisma: two histories",
                &(first + &row(2, "20240103_x", then, never) + &row(3, "20240104_y", then, never)),
            )
            .is(
                1,
                &[
                    "diverged/20240103_x",
                    "diverged/20240104_y",
                    "pending/20240102_b",
                ],
            ),
    ]
}

fn rails() -> Project {
    let text = "class A < ActiveRecord::Migration[7.1]\n  def change\n  end\nend\n";
    Project {
        tool: json!({ "rails": {} }),
        files: files([
            ("db/migrate/20240101000000_a.rb", text),
            ("db/migrate/20240102000000_b.rb", text),
        ]),
        table: "CREATE TABLE schema_migrations (version varchar PRIMARY KEY);
            CREATE TABLE ar_internal_metadata (key varchar, value varchar);",
    }
}

fn of_rails() -> Vec<State> {
    let (first, second) = ("20240101000000", "20240102000000");
    vec![
        rails()
            .after("rails: pending", &versions(&[first]))
            .is(1, &["pending/20240102000000"]),
        rails()
            .after("rails: at head", &versions(&[first, second]))
            .is(0, &["migrate/head"]),
        rails()
            .after(
                "rails: the schema is ahead of the release",
                &versions(&[first, second, "20240103000000"]),
            )
            .is(1, &["ahead/20240103000000"]),
    ]
}

fn golang_migrate() -> Project {
    Project {
        tool: json!({ "golang-migrate": { "folder": "m" } }),
        files: files([
            ("m/000001_a.up.sql", "SELECT 1;"),
            ("m/000002_b.up.sql", "SELECT 1;"),
        ]),
        table: "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean);",
    }
}

fn of_golang_migrate() -> Vec<State> {
    let at = |version: i8, dirty: bool| {
        format!("INSERT INTO schema_migrations VALUES ({version}, {dirty});")
    };
    vec![
        golang_migrate()
            .after("golang-migrate: a table without a row", "")
            .is(1, &["not-migrated", "pending/1", "pending/2"]),
        golang_migrate()
            .after("golang-migrate: pending", &at(1, false))
            .is(1, &["pending/2"]),
        golang_migrate()
            .after("golang-migrate: at head", &at(2, false))
            .is(0, &["migrate/head"]),
        golang_migrate()
            .after("golang-migrate: dirty", &at(2, true))
            .is(1, &["failed/2"]),
        golang_migrate()
            .after("golang-migrate: the first migration is dirty", &at(1, true))
            .is(1, &["pending/2", "failed/1"]),
        golang_migrate()
            .after(
                "golang-migrate: the schema is ahead of the release",
                &at(3, false),
            )
            .is(1, &["ahead/3"]),
    ]
}

fn command() -> Project {
    Project {
        tool: json!({ "command": {
            "apply": "false",
            "current": "SELECT version FROM versions ORDER BY version",
            "folder": "m",
        } }),
        files: files([("m/1_a.sql", ""), ("m/2_b.sql", "")]),
        table: "CREATE TABLE versions (version int);",
    }
}

fn of_command() -> Vec<State> {
    vec![
        command()
            .after("command: pending", "INSERT INTO versions VALUES (1);")
            .is(1, &["pending/2"]),
        command()
            .after("command: at head", "INSERT INTO versions VALUES (1), (2);")
            .is(0, &["migrate/head"]),
        command()
            .never_ran("command: the query fails", "")
            .is(4, &["migrate/database"]),
    ]
}

fn of_any_tool() -> Vec<State> {
    let head = |what| dbmate().after(what, &versions(&["1", "2"]));
    let error: &[&str] = &["migrate/database"];
    vec![
        dbmate()
            .after(
                "an index that a failed concurrent build left",
                &format!(
                    "{} CREATE TABLE t (id int); CREATE INDEX t_id ON t (id);
                     RESET ROLE; UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_id'::regclass;",
                    versions(&["1", "2"])
                ),
            )
            .is(1, &["invalid-index/public.t_id"]),
        head("the server is not reached")
            // No server listens there.
            .by(|url| {
                let (before, after) = url.split_once("127.0.0.1:").unwrap();
                let database = after.split_once('/').unwrap().1;
                format!("{before}127.0.0.1:1/{database}")
            })
            .is(4, error),
        head("the password is wrong")
            .by(|url| url.replace(PASSWORD, "hunter3-canary"))
            .is(4, error),
        head("the user does not exist")
            .by(|url| url.replace("app:", "nobody:"))
            .is(4, error),
        head("the database is missing")
            .by(|url| url.replace("/state_", "/nowhere_"))
            .is(4, error),
        head("the table may not be read")
            .by(|url| url.replace("app:", "reader:"))
            .is(4, error),
        dbmate()
            .after(
                "the schema may not be used",
                &format!("{} REVOKE ALL ON SCHEMA public FROM PUBLIC;", versions(&["1", "2"])),
            )
            .by(|url| url.replace("app:", "reader:"))
            .is(4, error),
    ]
}

fn all() -> Vec<State> {
    [
        of_alembic(),
        of_django(),
        of_knex(),
        of_node_pg_migrate(),
        of_dbmate(),
        of_sqitch(),
        of_flyway(),
        of_prisma(),
        of_rails(),
        of_golang_migrate(),
        of_command(),
        of_any_tool(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn write(folder: &Path, files: &[(String, String)]) {
    for (path, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Everything in a database, without the key of the session that `pg_dump` prints.
fn contents(server: &Postgres, database: &str) -> String {
    let dump = server.dump_with(&["--format=plain", &format!("--dbname={database}")]);
    let text = String::from_utf8(dump).unwrap();
    let same = |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
    text.lines().filter(same).collect::<Vec<_>>().join("\n")
}

/// What came of a state, and what was to come of it.
struct Told {
    nth: usize,
    line: String,
    wanted: String,
    /// For people to read.
    text: String,
}

/// Makes the state and asks.
fn ask(server: &Postgres, nth: usize, state: &State) -> Told {
    let database = format!("state_{nth}");
    server.sql(&format!("CREATE DATABASE {database} OWNER app"));
    server.sql_in(
        &database,
        &format!(
            "GRANT ALL ON SCHEMA public TO app; SET ROLE app; {}",
            state.sql
        ),
    );
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &state.files);
    let config = json!({ "version": 1, "migrate": state.tool });
    std::fs::write(folder.path().join("deploy-guard.yml"), config.to_string()).unwrap();
    let before = contents(server, &database);
    let url = server.url(&format!("app:{PASSWORD}"), &database);
    let ran = testkit::bin("migrate")
        .args(["status", "--format", "json"])
        .current_dir(folder.path())
        .env("DATABASE_URL", (state.url)(&url))
        .output()
        .unwrap();
    let what = state.what;
    assert_eq!(
        before,
        contents(server, &database),
        "{what}: it was changed"
    );
    let log = String::from_utf8_lossy(&ran.stderr);
    assert!(!log.contains(PASSWORD), "{what}: {log}");
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let outcomes = report["outcomes"].as_array().unwrap();
    let ids: Vec<&str> = outcomes.iter().map(|one| word(one, "id")).collect();
    let (code, verdict) = (ran.status.code().unwrap(), word(&report, "verdict"));
    let mut text = format!("{what}: {verdict}\n");
    for outcome in outcomes {
        let actual = word(outcome, "actual");
        let reason = match word(outcome, "reason") {
            "" => actual,
            reason => reason,
        };
        // The reason alone tells which revision it is.
        if let Some((_, revision)) = word(outcome, "id").split_once('/')
            && word(outcome, "verdict") == "fail"
        {
            assert!(reason.contains(revision), "{what}: {reason}");
        }
        writeln!(text, "  {reason}").unwrap();
        let hint = word(outcome, "hint");
        if !hint.is_empty() {
            writeln!(text, "    {hint}").unwrap();
        }
    }
    let port = server.port().to_string();
    Told {
        nth,
        line: format!("{what}: {code} {verdict} {}", ids.join(" ")),
        wanted: format!(
            "{what}: {} {} {}",
            state.code,
            state.verdict(),
            state.outcomes.join(" ")
        ),
        text: text.replace(&port, "PORT").replace(&database, "DATABASE"),
    }
}

fn word<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

#[test]
fn each_state_has_its_verdict_its_code_and_its_revision_by_name_and_is_not_changed() {
    let server = Postgres::listening(HBA, None);
    for role in ["app", "reader"] {
        server.sql(&format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"));
    }
    let states = all();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut told = Vec::new();
        while let nth = next.fetch_add(1, Ordering::Relaxed)
            && let Some(state) = states.get(nth)
        {
            told.push(ask(&server, nth, state));
        }
        told
    };
    let mut told: Vec<Told> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        let workers = workers.into_iter();
        workers.flat_map(|worker| worker.join().unwrap()).collect()
    });
    told.sort_by_key(|one| one.nth);
    let wrong = told.iter().filter(|one| one.line != one.wanted);
    let wrong: Vec<String> = wrong
        .map(|one| format!("wanted {}\n  told {}", one.wanted, one.line))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(told.len() >= 30);
    let told: Vec<String> = told.into_iter().map(|one| one.text).collect();
    insta::assert_snapshot!(told.join("\n"));
}
