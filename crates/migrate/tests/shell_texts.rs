//! The user's own commands get a release's name by their environment: it is never a part of their text.

use serde_json::json;

use crate::bed::Bed;

#[test]
fn names_of_releases_are_never_code_in_the_commands_of_a_migration() {
    let bed = Bed::new();
    let dbmate = testkit::tool("dbmate");
    let said = |what: &str| format!("printf '%s\\n' \"{what} ${{RELEASE}}\" >>said");
    let dump = format!(
        "{}; pg_dump -Fc -d \"$DATABASE_URL\" -f own.dump && echo own.dump",
        said("backup")
    );
    bed.configure(json!({
        "dbmate": { "command": format!("{}; {}", said("dbmate"), dbmate.display()) },
        "backup": { "command": dump },
    }));
    bed.migration(
        "20240101_orders.sql",
        "CREATE TABLE orders (id int);",
        "DROP TABLE orders;",
    );
    let release = "v2\"; touch injected; \"$(touch injected)";
    bed.run(&["run", "--release", release]).assert().code(0);
    bed.run(&["backup", "--release", release]).assert().code(0);
    let said = std::fs::read_to_string(bed.path().join("said")).unwrap();
    for what in ["dbmate", "backup"] {
        assert!(said.contains(&format!("{what} {release}\n")), "{said}");
    }
    assert!(!bed.path().join("injected").exists(), "{said}");
}

/// What `rehearse.smoke` is about is the release before, however it writes the variable.
#[test]
fn the_smoke_test_of_a_rehearsal_is_about_the_release_before() {
    let bed = Bed::new();
    bed.postgres.sql("ALTER ROLE app CREATEDB");
    let smoke = "echo \"$RELEASE ${RELEASE} ${RELEASE#v}\" >>said";
    bed.configure(json!({ "rehearse": { "smoke": smoke } }));
    bed.migration(
        "20240101_orders.sql",
        "CREATE TABLE orders (id int);",
        "DROP TABLE orders;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    let mut state = bed.state();
    state["last_known_good"] = json!("v1");
    let path = bed.path().join(".deploy-guard/state.json");
    std::fs::write(path, state.to_string()).unwrap();
    bed.migration(
        "20240102_note.sql",
        "ALTER TABLE orders ADD note text;",
        "ALTER TABLE orders DROP note;",
    );
    bed.run(&["rehearse", "--release", "v2"]).assert().code(0);
    let said = std::fs::read_to_string(bed.path().join("said")).unwrap();
    let mut lines: Vec<&str> = said.lines().collect();
    lines.dedup();
    assert_eq!(lines, ["v1 v1 1"]);
}
