//! `migrate:` as its author sees it: the tools.

use crate::told;

/// "accepted", or the message with the hint.
fn read(section: &str) -> String {
    match crate::read(&format!("version: 1\nmigrate: {section}\n")) {
        Ok(_) => "accepted".to_owned(),
        Err(refused) => told(&refused),
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
