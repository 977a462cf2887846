//! `migrate:` as its author sees it: the tools.

use config::{Request, Variables, load};
use model::Env;

/// "accepted", or the message with the hint.
fn read(section: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("version: 1\nmigrate: {section}\n");
    std::fs::write(folder.path().join("deploy-guard.yml"), text).unwrap();
    let loaded = load(Request {
        fetch: None,
        path: None,
        folder: folder.path(),
        environment: None,
        variables: Variables {
            env: &Env::default(),
            release: None,
        },
    });
    match loaded {
        Ok(_) => "accepted".to_owned(),
        Err(refused) => match refused.error.hint() {
            Some(hint) => format!("{}\nhint: {hint}", refused.error),
            None => refused.error.to_string(),
        },
    }
}

#[test]
fn the_name_of_a_tool_is_enough() {
    let tools = [
        "alembic",
        "django",
        "knex",
        "node-pg-migrate",
        "dbmate",
        "sqitch",
        "flyway",
        "prisma",
        "rails",
        "golang-migrate",
    ];
    for tool in tools {
        assert_eq!(read(&format!("{{ {tool}: {{}} }}")), "accepted", "{tool}");
        let called = format!("{{ {tool}: {{ command: 'docker run x' }} }}");
        assert_eq!(read(&called), "accepted", "{tool}");
    }
    let own = "{ command: { apply: ./up, current: select 1, folder: m } }";
    assert_eq!(read(own), "accepted");
}

#[test]
fn what_no_tool_could_use_is_refused() {
    let all = [
        "{}",
        "{ alembic: {}, dbmate: {} }",
        "{ alembic: { folder: m } }",
        "{ alembic: { table: audit.versions } }",
        "{ alembic: { versions: [a, '--b'] } }",
        "{ knex: { command: ' ' } }",
        "{ dbmate: { folder: '-rf' } }",
        "{ flyway: { schema: '' } }",
        "{ command: { current: select 1, folder: m } }",
        "{ command: { apply: ./up, current: delete from versions, folder: m } }",
        "{ command: { apply: ./up, current: select 1 } }",
        "{ command: { apply: ./up, current: select 1, folder: m, pending: ./list } }",
    ];
    let told: Vec<String> = all
        .iter()
        .map(|section| format!("{section}\n{}\n", read(section)))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}
