//! Variables and calendar windows, as a user meets them.

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use tempfile::TempDir;

fn preflight(section: &str) -> (TempDir, assert_cmd::Command) {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("version: 1\npreflight:\n{section}");
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let mut command = testkit::bin("preflight");
    command.current_dir(folder.path());
    (folder, command)
}

const FORMS: &str = "  variables:
    - { name: DEPLOY_HOST, matches: '[a-z.]+' }
    - { name: LOG_LEVEL, one-of: [info, warn] }
";

#[test]
fn variables_are_set_and_of_their_form() {
    let (_folder, mut command) = preflight(FORMS);
    command
        .env("DEPLOY_HOST", "web.example")
        .env("LOG_LEVEL", "warn")
        .assert()
        .code(0);
    for (host, level, why) in [
        ("", "info", "DEPLOY_HOST is not set in the environment"),
        ("web.example\n", "info", "does not match"),
        (
            "web01",
            "info",
            "DEPLOY_HOST is `web01`, which does not match",
        ),
        (
            "web",
            "debug",
            "LOG_LEVEL is `debug`, which is not one of info, warn",
        ),
    ] {
        let (_folder, mut command) = preflight(FORMS);
        command
            .env("DEPLOY_HOST", host)
            .env("LOG_LEVEL", level)
            .assert()
            .code(1)
            .stdout(contains(why).and(contains("gh variable list")));
    }
}

/// Runbook 000, "Configuration error: update .env.example with required variables".
#[test]
fn runbook_000_every_key_of_the_example_file_is_required() {
    let (folder, mut command) = preflight(
        "  variables: [{ example-file: .env.example, env-file: .env, optional: [SENTRY_DSN] }]\n",
    );
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        ".env.example",
        "# the shop\nexport DB_URL=postgres://db/shop\nPORT=8000\nSENTRY_DSN=\n",
    );
    write(".env", "DB_URL='postgres://db.internal/shop'\nPORT=\n");
    command
        .assert()
        .code(1)
        .stdout(contains("1 not set in .env: PORT").and(contains("SENTRY_DSN").not()));
    write(".env", "DB_URL=x\nPORT=1\n");
    command.assert().code(0).stdout(contains("all are set"));
    write(".env", "DB_URL=x\nhunter2 hunter2\n");
    command
        .assert()
        .code(4)
        .stdout(contains("a line is not KEY=VALUE").and(contains("hunter2").not()));
    // Docker accepts these, and a shell does not.
    write(
        ".env.example",
        "APP_NAME=My Shop\nfeature-x=1\nexport TZ=\n",
    );
    write(".env", "APP_NAME=Our own Shop\nfeature-x=on\n");
    command
        .assert()
        .code(1)
        .stdout(contains("1 not set in .env: TZ"));
    write(".env.example", "APP_NAME: x\n");
    command
        .assert()
        .code(4)
        .stdout(contains("a line is not KEY=VALUE"));
    write(".env.example", "# nothing\n");
    write(".env", "");
    command.assert().code(3).stdout(contains("names no key"));
    std::fs::remove_file(folder.path().join(".env.example")).unwrap();
    command.assert().code(4).stdout(contains("cannot be read"));
}

#[test]
fn dotenv_fallback_one_line_does_not_change_how_another_is_read() {
    let (folder, mut command) =
        preflight("  variables: [{ example-file: .env.example, env-file: .env }]\n");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(".env.example", "TITLE=\nDB_URL=\n");
    for odd in [
        "TITLE=The Shop",
        "TITLE='The Shop'",
        "TITLE=x",
        "a-b=1\nTITLE=it's",
    ] {
        for (db, code) in [
            ("DB_URL= # filled in on the host", 1),
            ("DB_URL=\t# filled in on the host", 1),
            ("DB_URL=\"\"", 1),
            ("DB_URL", 1),
            ("export DB_URL=x # here", 0),
            ("DB_URL='one\ntwo'", 0),
        ] {
            for mark in ["", "\u{feff}"] {
                write(".env", &format!("{mark}{db}\n{odd}\n"));
                command.assert().code(code);
                write(".env", &format!("{mark}{odd}\r\n{db}\r\n"));
                command.assert().code(code);
            }
        }
    }
    write(".env", "TITLE=x\nDB_URL='hunter2\n");
    command
        .assert()
        .code(4)
        .stdout(contains("a quote is not closed: line 2").and(contains("hunter2").not()));
}

/// Compose would hand on an empty value; the value of a variable is not shown.
#[test]
fn dotenv_values_are_made_of_variables_as_compose_makes_them() {
    let (folder, mut command) = preflight(
        "  variables: [{ name: DB_URL, env-file: .env, matches: 'postgres://.+@db/shop' }]\n",
    );
    let write = |text: &str| std::fs::write(folder.path().join(".env"), text).unwrap();
    command.env("PASSWORD", "hunter2");
    write("USER_NAME=app\nDB_URL=\"postgres://${USER_NAME}:$PASSWORD@db/shop\"\n");
    command.assert().code(0);
    write("DB_URL='postgres://${USER_NAME}@other/shop'\n");
    command.assert().code(1).stdout(contains("does not match"));
    write("DB_URL=postgres://$PASSWORD@other/shop\n");
    command
        .assert()
        .code(1)
        .stdout(contains("$PASSWORD").and(contains("hunter2").not()));
    write("DB_URL=${NOT_SET_ANYWHERE}\n");
    command.assert().code(1).stdout(contains(
        "its value is made of NOT_SET_ANYWHERE, which is not set",
    ));
    write("DB_URL=${hunter2\n");
    command
        .assert()
        .code(4)
        .stdout(contains("does not begin a variable: line 1").and(contains("hunter2").not()));
}

/// In a workflow the mistake is shown at its line, and in the step's summary.
#[test]
fn pf_action_config_error_has_an_annotation_and_a_summary() {
    for (section, args, line) in [
        (
            "  variables:\n    - { name: A, matches: '(' }\n",
            &[][..],
            4,
        ),
        ("  hosts: [{ name: web, timeout: 5 parsecs }]\n", &[], 3),
        ("  variables: [\n", &[], 4),
        ("  variables: [{ name: A }]\n", &["--no-such-flag"], 0),
    ] {
        let (folder, mut command) = preflight(section);
        let summary = folder.path().join("summary.md");
        let output = command
            .args(args)
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_WORKSPACE", folder.path())
            .env("GITHUB_STEP_SUMMARY", &summary)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        let annotation = text.lines().find(|line| line.starts_with("::error "));
        let annotation = annotation.unwrap_or_else(|| panic!("no annotation: {text}"));
        let place = format!("file=deploy-guard.yml,line={line},");
        assert_eq!(annotation.contains(&place), line > 0, "{annotation}");
        let summary = std::fs::read_to_string(summary).unwrap();
        assert!(summary.contains("preflight: "), "{summary}");
        let place = format!("deploy-guard.yml:{line}:");
        assert_eq!(summary.contains(&place), line > 0, "{summary}");
    }
}

#[test]
fn a_variable_check_says_one_thing() {
    for (item, why) in [
        ("{ matches: x }", "neither `name` nor `example-file`"),
        ("{ name: A, example-file: b }", "exclude each other"),
        (
            "{ example-file: b, one-of: [c] }",
            "are for a variable by `name`",
        ),
        ("{ name: A, matches: '(' }", "not a regular expression"),
    ] {
        let (_folder, mut command) = preflight(&format!("  variables:\n    - {item}\n"));
        command
            .assert()
            .code(2)
            .stderr(contains(why).and(contains("deploy-guard.yml:4:")));
    }
}

#[test]
fn nothing_is_deployed_inside_a_window() {
    // From yesterday to tomorrow, so that it holds whenever this runs.
    let day = |from_now: i64| {
        let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
        now.date().saturating_add(jiff::Span::new().days(from_now))
    };
    let now = format!(
        "name: stocktaking, first-date: {}, last-date: {}, time-zone: Asia/Tokyo, reason: we count",
        day(-1),
        day(1)
    );
    let (_folder, mut command) = preflight(&format!("  freeze: [{{ {now} }}]\n"));
    command.assert().code(1).stdout(
        contains("freeze/stocktaking")
            .and(contains("in Asia/Tokyo: we count"))
            .and(contains("--skip freeze/stocktaking")),
    );
    // The next window follows at once: that one's end is when we may deploy, unless it is left out.
    let next = format!(
        "name: next, first-date: {}, last-date: {}, time-zone: Asia/Tokyo",
        day(2),
        day(9)
    );
    let section = format!("  freeze: [{{ {now} }}, {{ {next} }}]\n");
    for (skip, end) in [(&[][..], day(10)), (&["--skip", "freeze/next"][..], day(2))] {
        let (_folder, mut command) = preflight(&section);
        command
            .args(skip)
            .assert()
            .code(1)
            .stdout(contains(format!("{end} 00:00 in Asia/Tokyo: we count")));
    }
    let (_folder, mut command) = preflight(
        "  freeze: [{ name: past, first-date: 2020-01-01, last-date: 2020-01-02, from: 8:00, to: 20:00 }]\n",
    );
    command.assert().code(0);
    for (wrong, why) in [
        ("time-zone: Mars/Olympus", "not a time zone such as"),
        ("from: noon", "not a time such as"),
        ("days: [fryday]", "did you mean `friday`"),
        ("last-date: 2026-02-30", "not a date such as"),
        (
            "first-date: 2026-12-20, last-date: 2026-12-01",
            "`last-date` is before `first-date`",
        ),
        (
            "reason: for ever",
            "`w` never ends: nothing could ever be deployed",
        ),
        (
            "from: 20:00, to: 8:00 }, { name: day, from: 8:00, to: 20:00",
            "together these windows never end",
        ),
    ] {
        let (_folder, mut command) =
            preflight(&format!("  freeze:\n    [{{ name: w, {wrong} }}]\n"));
        command
            .assert()
            .code(2)
            .stderr(contains(why).and(contains("deploy-guard.yml:4:")));
    }
}
