//! A service with its database: the schema is changed by the real tool, under a real PostgreSQL, before
//! the release is deployed to a machine.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;
use testkit::{Postgres, testbed};

use crate::examples::systemd::Fleet;
use crate::examples::world::{Example, answers};
use crate::job::act::copy;

/// Whom the database lets in.
const HBA: &str = "host all shop,health 127.0.0.1/32 scram-sha-256";
const PASSWORD: &str = "hunter2-canary";

/// The machine of the service, and its database.
struct Shop {
    fleet: Fleet,
    postgres: Postgres,
    /// The program that the build puts into a release.
    program: &'static str,
    /// The folder of its packages.
    packages: &'static str,
}

/// PostgreSQL with the roles that the pages ask for.
fn database() -> Postgres {
    let postgres = Postgres::listening(HBA, None);
    for statement in [
        &format!("CREATE ROLE shop LOGIN PASSWORD '{PASSWORD}'"),
        "CREATE DATABASE shop OWNER shop",
        &format!("CREATE ROLE health LOGIN PASSWORD '{PASSWORD}'"),
        "GRANT pg_read_all_data TO health",
    ] {
        postgres.sql(statement);
    }
    postgres
}

impl Shop {
    /// `packages` is the folder that the program's packages are in, and puts them there: the machine has it in
    /// `/srv`, and a release links to it.
    fn new(
        example: Example,
        postgres: Postgres,
        program: &'static str,
        packages: (&'static str, &dyn Fn(&Path)),
    ) -> Shop {
        let url = postgres.url(&format!("shop:{PASSWORD}"), "shop");
        let url = format!("{url}?sslmode=disable");
        let example = example
            .secret("DATABASE_URL", &url)
            .secret("HEALTH_DB_PASSWORD", PASSWORD);
        let backups = example.repository.home().join("backups");
        let example = example.fill("/var/backups/shop", &backups.display().to_string());
        let fleet = Fleet::of(example, 1, &|example, there, here, port| {
            example
                .fill(
                    &format!("address: {there}"),
                    &format!("address: {here}, port: {port}"),
                )
                .fill(&format!("@{there}"), &format!("@{here}:{port}"))
        });
        let machine = &fleet.machines[0];
        let script = "umask 077; printf 'DATABASE_URL=%s\\n' \"$1\" >/etc/shop.env";
        machine.must(&["sh", "-c", script, "sh", &url]);
        packages.1(&machine.disk().join(packages.0));
        Shop {
            fleet,
            postgres,
            program,
            packages: packages.0,
        }
    }

    fn migration(&self, name: &str, text: &str) {
        self.fleet.example.repository.write(name, text);
    }

    /// What a build leaves in `dist/`: the repository's files, and a link to the packages. `change` makes another program of it.
    fn build(&self, release: &str, change: (&str, &str)) {
        let repository = &self.fleet.example.repository;
        let dist = repository.path("dist");
        if dist.exists() {
            fs::remove_dir_all(&dist).unwrap();
        }
        fs::create_dir_all(&dist).unwrap();
        if repository.path("knexfile.js").exists() {
            copy(&repository.path("migrations"), &dist.join("migrations"));
            fs::copy(repository.path("knexfile.js"), dist.join("knexfile.js")).unwrap();
        }
        let text = fs::read_to_string(repository.path(self.program)).unwrap();
        assert!(text.contains(change.0), "{text}");
        repository.write(
            &format!("dist/{}", self.program),
            &text.replace(change.0, change.1),
        );
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(dist.join(self.program), executable).unwrap();
        repository.write("dist/VERSION", release);
        let there = Path::new("/srv").join(self.packages);
        std::os::unix::fs::symlink(there, dist.join(self.packages)).unwrap();
    }

    /// This release answers, and this schema is there, also by the state.
    #[track_caller]
    fn live(&self, release: &str, answer: &str, columns: &str, revision: &str) {
        let url = format!("http://127.0.1.1:{}/api/v1/version", self.fleet.port);
        answers(&url, answer);
        assert_eq!(self.columns(), columns);
        let state = self.state();
        assert_eq!(state["last_known_good"], release, "{state}");
        assert_eq!(state["current"], release, "{state}");
        assert_eq!(state["database"]["revision"], revision, "{state}");
        assert!(state["lock"].is_null(), "{state}");
    }

    fn columns(&self) -> String {
        let sql = "SELECT string_agg(column_name, ' ' ORDER BY ordinal_position) \
                   FROM information_schema.columns WHERE table_name = 'orders'";
        self.postgres.sql_in("shop", sql).trim().to_owned()
    }

    fn state(&self) -> Value {
        let state = ["cat", "/var/lib/shop/production-state.json"];
        serde_json::from_str(&self.fleet.machines[0].must(&state)).unwrap()
    }

    /// The status of a release in the state.
    fn status(&self, release: &str) -> Option<String> {
        let state = self.state();
        let history = state["history"].as_array().unwrap();
        let entry = history.iter().rfind(|entry| entry["release"] == release)?;
        Some(entry["status"].as_str().unwrap().to_owned())
    }
}

/// A revision of Alembic whose ways are SQL.
fn revision(id: &str, before: &str, up: &str, down: &str) -> String {
    format!(
        "\"\"\"{id}\"\"\"\nfrom alembic import op\n\nrevision = \"{id}\"\ndown_revision = \"{before}\"\n\n\n\
         def upgrade() -> None:\n    op.execute(\"{up}\")\n\n\ndef downgrade() -> None:\n    op.execute(\"{down}\")\n"
    )
}

#[test]
fn alembic_migrates_first_and_is_stopped_where_the_live_release_would_break() {
    let packages = |to: &Path| {
        let from = testbed().join("venv/lib/python3.11/site-packages");
        for name in ["psycopg2", "psycopg2_binary.libs"] {
            copy(&from.join(name), &to.join(name));
        }
    };
    let postgres = database();
    let example = Example::copy("migrate-alembic")
        .fill("10.0.0.21:5432", &format!("127.0.0.1:{}", postgres.port()))
        .fill("tls: verify-full", "tls: disable");
    let shop = Shop::new(example, postgres, "app.py", ("packages", &packages));
    let example = &shop.fleet.example;
    let alembic = testkit::tool("alembic").display().to_string();
    example.repository.write(
        ".venv/bin/alembic",
        &format!("#!/bin/sh\nexec '{alembic}' \"$@\"\n"),
    );
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(example.repository.path(".venv/bin/alembic"), executable).unwrap();
    let same = ("RELEASE", "RELEASE");
    let version = crate::examples::world::version;

    shop.build("v1", same);
    example.deploy("v1").passes().skipped("Roll back");
    shop.live("v1", &version("v1"), "id item", "0001");
    shop.postgres
        .sql_in("shop", "INSERT INTO orders (item) VALUES ('tea')");

    // It only adds, so it goes live.
    let up = "ALTER TABLE orders ADD COLUMN note text";
    let down = "ALTER TABLE orders DROP COLUMN note";
    shop.migration(
        "migrations/versions/0002_note.py",
        &revision("0002", "0001", up, down),
    );
    shop.build("v2", same);
    example.deploy("v2").passes().succeeded("Migrate");
    shop.live("v2", &version("v2"), "id item note", "0002");
    let backups = fs::read_dir(example.repository.home().join("backups"));
    assert!(backups.unwrap().count() > 0, "no backup was taken");

    // Its rows are not as it takes them to be: nothing is deployed.
    let file = "migrations/versions/0003_price.py";
    let up = "ALTER TABLE orders ADD COLUMN price int; UPDATE orders SET price = item::int";
    let down = "ALTER TABLE orders DROP COLUMN price";
    shop.migration(file, &revision("0003", "0002", up, down));
    shop.build("v3", same);
    let run = example.deploy("v3").fails().failed("Migrate");
    run.says("invalid input syntax for type integer: \"tea\"")
        .skipped("Begin")
        .skipped("Deploy")
        .skipped("Roll back");
    shop.live("v2", &version("v2"), "id item note", "0002");
    assert_eq!(shop.status("v3"), None);

    // It is put right, but the release asks for a column that is not there: the release goes back, and
    // the schema stays.
    let up = "ALTER TABLE orders ADD COLUMN price int";
    shop.migration(file, &revision("0003", "0002", up, down));
    shop.build("v4", ("SELECT id, item", "SELECT id, itme"));
    let run = example.deploy("v4").fails().succeeded("Migrate");
    run.succeeded("Deploy")
        .failed("Gate")
        .says("http/ready")
        .succeeded("Roll back");
    shop.live("v2", &version("v2"), "id item note price", "0003");
    assert_eq!(shop.status("v4").as_deref(), Some("bad"));

    // It takes away what the live release reads.
    let up = "ALTER TABLE orders DROP COLUMN item";
    let down = "ALTER TABLE orders ADD COLUMN item text";
    shop.migration(
        "migrations/versions/0004_no_item.py",
        &revision("0004", "0003", up, down),
    );
    shop.build("v5", ("SELECT id, item", "SELECT id, note"));
    let run = example.deploy("v5").fails().failed("Migrate");
    run.says("v2 is live")
        .says("exit-code=5")
        .skipped("Begin")
        .skipped("Deploy");
    shop.live("v2", &version("v2"), "id item note price", "0003");
    assert_eq!(shop.status("v5"), None);
}

/// Copies packages of the test bed with all that they need.
fn packages(names: &[&str], to: &Path) {
    let from = testbed().join("node_modules");
    let mut wanted: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut copied = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        let Ok(text) = fs::read_to_string(from.join(&name).join("package.json")) else {
            continue;
        };
        if !copied.insert(name.clone()) {
            continue;
        }
        copy(&from.join(&name), &to.join(&name));
        let package: Value = serde_json::from_str(&text).unwrap();
        let needs = package["dependencies"].as_object().into_iter().flatten();
        wanted.extend(needs.map(|(name, _)| name.clone()));
    }
    let bin = to.join(".bin");
    fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink("../knex/bin/cli.js", bin.join("knex")).unwrap();
}

/// A migration of knex whose ways are SQL.
fn script(up: &str, down: &str) -> String {
    format!(
        "exports.up = (knex) => knex.raw('{up}');\nexports.down = (knex) => knex.raw('{down}');\n"
    )
}

#[test]
fn knex_migrates_on_the_machine_that_reaches_the_database() {
    let example = Example::copy("migrate-knex");
    let shop = Shop::new(
        example,
        database(),
        "app.js",
        ("node_modules", &|to| {
            packages(&["knex", "pg"], to);
        }),
    );
    let example = &shop.fleet.example;
    let same = ("release", "release");
    let version = |release: &str| format!("{{\"version\":\"{release}\"}}");

    shop.build("v1", same);
    example.deploy("v1").passes().skipped("Roll back");
    shop.live("v1", &version("v1"), "id item", "20260101000000_orders.js");
    shop.postgres
        .sql_in("shop", "INSERT INTO orders (item) VALUES ('tea')");

    let up = "ALTER TABLE orders ADD COLUMN note text";
    let down = "ALTER TABLE orders DROP COLUMN note";
    shop.migration("migrations/20260102000000_note.js", &script(up, down));
    shop.build("v2", same);
    example.deploy("v2").passes().succeeded("Migrate");
    shop.live(
        "v2",
        &version("v2"),
        "id item note",
        "20260102000000_note.js",
    );

    let up = "ALTER TABLE orders ADD COLUMN price int; UPDATE orders SET price = item::int";
    let down = "ALTER TABLE orders DROP COLUMN price";
    shop.migration("migrations/20260103000000_price.js", &script(up, down));
    shop.build("v3", same);
    let run = example.deploy("v3").fails().failed("Migrate");
    run.says("invalid input syntax for type integer: \"tea\"")
        .skipped("Begin")
        .skipped("Deploy")
        .skipped("Roll back");
    shop.live(
        "v2",
        &version("v2"),
        "id item note",
        "20260102000000_note.js",
    );
    assert_eq!(shop.status("v3"), None);
}
