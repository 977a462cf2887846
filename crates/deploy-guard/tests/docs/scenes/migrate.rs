//! docs/guide/migrate.md: a database that dbmate migrates.

use testkit::Postgres;

use crate::docs::walk::{Walk, World, lines, replaced, yaml};

const PAGE: &str = "docs/guide/migrate.md";

pub(crate) fn page() {
    let mut walk = Walk::of(PAGE);
    let mut world = World::new();
    let postgres = Postgres::listening("host all postgres 127.0.0.1/32 trust", None);
    postgres.sql("CREATE DATABASE shop");
    let url = format!("{}?sslmode=disable", postgres.url("postgres", "shop"));
    let dbmate = format!(
        "dbmate: {{ command: {} }}",
        testkit::tool("dbmate").display()
    );
    let config = replaced(
        &yaml(PAGE, "version: 1\n"),
        PAGE,
        &[("alembic: {}", &dbmate), ("10m", "20s")],
    );
    world.set("DATABASE_URL", &url);
    world.write("deploy-guard.yml", &config);
    let migration = |name: &str, up: &str, down: &str| {
        let text = format!("-- migrate:up\n{up}\n-- migrate:down\n{down}\n");
        world.write(&format!("db/migrations/{name}.sql"), &text);
    };
    migration(
        "1_orders",
        "CREATE TABLE orders (id bigint);",
        "DROP TABLE orders;",
    );

    let status = walk.next("migrate status");
    world
        .run(&status, &[])
        .code(1)
        .says("1 (orders) is pending");
    let looked = lines(&walk.next("migrate plan"));
    let [plan, lint, files] = looked.as_slice() else {
        panic!("{looked:?}");
    };
    world.sh(plan).code(0).says("CREATE TABLE orders");
    world.sh(lint).code(0).says("migrations looked at: 1");
    world.sh(files).code(0).says("migrations looked at: 1");
    let backup = walk.next("migrate backup");
    world.run(&backup, &[]).code(0).says("read to its end");
    let rehearse = walk.next("migrate rehearse");
    world
        .run(&rehearse, &[])
        .code(0)
        .says("reversible, compatible with the release before, not destructive");
    let run = lines(&walk.next("migrate run --release v1.2.4"));
    let [run, dry] = run.as_slice() else {
        panic!("{run:?}");
    };
    world.sh(dry).code(3).says("would apply it by");
    world.sh(run).code(0).says("migrated to 1 in");
    migration(
        "2_note",
        "ALTER TABLE orders ADD COLUMN note text;",
        "ALTER TABLE orders DROP COLUMN note;",
    );
    let works = walk.next("migrate run --release v1.2.4 --works-with v1.2.3");
    world.run(&works, &[]).code(0).says("migrated to 2");
    let decide = walk.next("migrate decide");
    world.run(&decide, &[]).code(0).says("NOTHING TO DO");
    let restore = walk.next("migrate restore --backup latest --confirm v1.2.4");
    world
        .run(&restore, &[])
        .code(0)
        .says("kept as `shop_before_");
    walk.end();
}
