//! Sqitch itself.

use std::time::Duration;

use migrations::{Settings, Tracking};
use serde_json::json;

use crate::bed::{Bed, kinds};

fn prepare(bed: &Bed, engine: &str) {
    let conf = format!(
        "[core]\n\tengine = {engine}\n[user]\n\tname = Ann Example\n\temail = ann@example.com\n"
    );
    bed.write("sqitch.conf", &conf);
    bed.write(
        "sqitch.plan",
        "%syntax-version=1.0.0\n%project=shop\n%uri=https://example.com/shop/\n\n",
    );
    add(bed, "items", &["-n", "The items: \"all\" of them."]);
    add(
        bed,
        "prices",
        &["--requires", "items", "-n", "Prices\nof two lines"],
    );
}

fn add(bed: &Bed, name: &str, more: &[&str]) {
    let mut words = vec!["add", name];
    words.extend(more);
    bed.run("sqitch", &words);
    script(bed, "deploy", name, &format!("create table {name} (a int)"));
    script(bed, "revert", name, &format!("drop table {name}"));
    bed.write(&format!("verify/{name}.sql"), "select 1;\n");
}

fn script(bed: &Bed, kind: &str, name: &str, sql: &str) {
    bed.write(
        &format!("{kind}/{name}.sql"),
        &format!("BEGIN;\n{sql};\nCOMMIT;\n"),
    );
}

fn bed() -> Bed {
    let bed = Bed::new(json!({ "sqitch": {} }));
    prepare(&bed, "pg");
    bed
}

fn deploy(bed: &Bed) {
    bed.must(&bed.tool().apply(&bed.read()));
}

/// By the names of the changes: an id has the time of the test in it.
fn named(bed: &Bed) -> Vec<String> {
    let reading = bed.read();
    let title = |finding: &migrations::Finding| {
        format!(
            "{} {}",
            finding.kind.as_str(),
            finding.name.clone().unwrap_or_default()
        )
    };
    reading.findings.iter().map(title).collect()
}

#[test]
fn ids_are_those_that_sqitch_makes_and_commands_deploy_and_revert() {
    let bed = bed();
    assert_eq!(bed.read().standing, Tracking::Empty);
    assert_eq!(
        named(&bed),
        ["not-migrated ", "pending items", "pending prices"]
    );
    let told = bed.run("sqitch", &["plan", "--format", "format:%H"]);
    for file in &bed.read().files {
        assert!(told.contains(&file.id), "{file:?}: {told}");
    }
    add(&bed, "seen", &["-n", "Seen"]);
    script(
        &bed,
        "deploy",
        "seen",
        "create table seen as select current_setting('lock_timeout')",
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
    assert!(done.is_at_head(), "{}", bed.told());
    let first = done.files[0].id.clone();
    bed.must(&tool.undo(&done, None).unwrap()[0]);
    assert_eq!(named(&bed), ["pending seen"]);
    bed.must(&tool.undo(&bed.read(), Some(&first)).unwrap()[0]);
    assert_eq!(bed.read().revision(), Some(first));
    bed.must(&tool.undo(&bed.read(), Some("")).unwrap()[0]);
    assert_eq!(bed.read().standing, Tracking::Empty);
}

#[test]
fn a_script_that_was_changed_after_it_was_deployed_is_told() {
    let bed = bed();
    deploy(&bed);
    script(&bed, "deploy", "items", "create table items (a bigint)");
    assert!(
        bed.run(
            "sqitch",
            &[
                "status",
                &format!("db:pg:{}", bed.url().trim_start_matches("postgres:"))
            ]
        )
        .contains("Nothing to deploy")
    );
    assert_eq!(named(&bed), ["changed items"]);
}

#[test]
fn a_plan_that_was_rewritten_is_another_history() {
    let bed = bed();
    deploy(&bed);
    let plan = std::fs::read_to_string(bed.folder().join("sqitch.plan")).unwrap();
    bed.write("sqitch.plan", &plan.replace("The items", "Our items"));
    assert_eq!(
        named(&bed),
        [
            "diverged items",
            "diverged prices",
            "pending items",
            "pending prices"
        ]
    );
}

#[test]
fn what_is_deployed_and_not_in_the_plan_is_ahead() {
    let bed = bed();
    deploy(&bed);
    let plan = std::fs::read_to_string(bed.folder().join("sqitch.plan")).unwrap();
    let lines: Vec<&str> = plan
        .lines()
        .filter(|line| !line.starts_with("prices"))
        .collect();
    bed.write("sqitch.plan", &(lines.join("\n") + "\n"));
    assert_eq!(named(&bed), ["ahead prices"]);
}

#[test]
fn a_failed_deployment_is_the_last_event() {
    let bed = bed();
    script(
        &bed,
        "deploy",
        "prices",
        "create table prices (a int);\nselect 1/0",
    );
    let mut command = bed.tool().apply(&bed.read());
    // Without it, Sqitch takes everything back that the run did.
    command
        .words
        .extend(["--mode".to_owned(), "change".to_owned()]);
    assert!(!bed.make(&command, &Settings::default()).status.success());
    assert_eq!(named(&bed), ["pending prices", "failed prices"]);
    script(&bed, "deploy", "prices", "create table prices (a int)");
    deploy(&bed);
    assert!(bed.read().is_at_head(), "{}", bed.told());
}

#[test]
fn a_change_that_is_planned_before_a_deployed_one_is_never_deployed() {
    let bed = bed();
    deploy(&bed);
    let id = bed.read().files[0].id.clone();
    bed.sql(&format!(
        "delete from sqitch.dependencies; delete from sqitch.changes where change_id = '{id}'"
    ));
    assert_eq!(named(&bed), ["out-of-order items"]);
}

#[test]
fn mariadb_is_read_in_the_same_way() {
    let bed = Bed::mariadb(json!({ "sqitch": {} }));
    prepare(&bed, "mysql");
    bed.sql("grant all on sqitch.* to app@127.0.0.1; grant select on *.* to app@127.0.0.1; set global log_bin_trust_function_creators = 1");
    assert_eq!(bed.read().standing, Tracking::Empty);
    deploy(&bed);
    assert!(bed.read().is_at_head(), "{}", bed.told());
    script(&bed, "deploy", "items", "create table items (a bigint)");
    assert_eq!(named(&bed), ["changed items"]);
    assert_eq!(kinds(&bed.read()).len(), 1);
}
