//! Every check as a user meets it, against real servers.

use std::io::Read as _;

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use tempfile::TempDir;
use testkit::{Registry, Sshd};

fn preflight(config: &str) -> (TempDir, assert_cmd::Command) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let mut command = testkit::bin("preflight");
    command.current_dir(folder.path());
    (folder, command)
}

const SECRETS: &str = "version: 1\npreflight:\n  secrets:\n    - { name: A }\n    - { name: KEY, kind: ssh-private-key }\n";

fn key() -> String {
    Sshd::start().private_key()
}

#[test]
fn secrets_that_arrived_pass() {
    let (_folder, mut command) = preflight(SECRETS);
    command
        .env("A", "x")
        .env("KEY", key())
        .assert()
        .code(0)
        .stdout(contains("10.0 of 10"));
}

#[test]
fn an_empty_secret_is_a_missing_one() {
    for value in [None, Some(""), Some("  \n")] {
        let (_folder, mut command) = preflight(SECRETS);
        command.env_remove("A").env("KEY", key());
        if let Some(value) = value {
            command.env("A", value);
        }
        command
            .assert()
            .code(1)
            .stdout(contains("secrets/A").and(contains("gh secret list")));
    }
}

#[test]
fn a_key_that_cannot_be_used_is_told_without_its_content() {
    let key = key();
    for (value, why) in [
        (key.replace('\n', "\r\n"), "CRLF"),
        ("hunter2-hunter2".to_owned(), "no `-----BEGIN"),
        (key[..key.len() / 2].to_owned(), "cut off"),
    ] {
        let (_folder, mut command) = preflight(SECRETS);
        let output = command.env("A", "x").env("KEY", &value).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text.contains(why), "{text}");
        for line in value
            .lines()
            .filter(|line| line.len() > 20 && !line.starts_with('-'))
        {
            assert!(!text.contains(line));
        }
    }
}

#[test]
fn a_fork_and_dependabot_get_no_secrets_by_design() {
    let (folder, mut command) = preflight(SECRETS);
    let event = folder.path().join("event.json");
    std::fs::write(
        &event,
        r#"{"pull_request":{"head":{"repo":{"full_name":"eve/shop"}}}}"#,
    )
    .unwrap();
    command
        .env("GITHUB_EVENT_NAME", "pull_request")
        .env("GITHUB_REPOSITORY", "acme/shop")
        .env("GITHUB_EVENT_PATH", &event)
        .assert()
        .code(4)
        .stdout(contains(
            "unavailable by design: a pull request from a fork",
        ));
    let (_folder, mut command) = preflight(SECRETS);
    command
        .env("GITHUB_ACTOR", "dependabot[bot]")
        .env("GITHUB_EVENT_NAME", "push")
        .assert()
        .code(4)
        .stdout(contains(
            "unavailable by design: a run that Dependabot triggered",
        ));
}

fn image(registry: &Registry, image: &str, more: &str) -> (TempDir, assert_cmd::Command) {
    preflight(&format!(
        "version: 1\npreflight:\n  images:\n    - {{ name: backend, image: '{}/{image}'{more} }}\n",
        registry.address()
    ))
}

#[test]
fn images_are_found_missing_or_without_a_platform() {
    let registry = Registry::start();
    let digest = registry.push("acme/shop", "v1", "linux/amd64");
    registry.push_index("acme/shop", "multi", &["linux/amd64", "linux/arm64"]);
    let code = |name: &str, more: &str, code: i32, text: &str| {
        let (_folder, mut command) = image(&registry, name, more);
        command.assert().code(code).stdout(contains(text));
    };
    code("acme/shop:v1", "", 0, &digest);
    code(&format!("acme/shop@{digest}"), "", 0, &digest);
    code("acme/shop:v2", "", 1, "`v2` is not in");
    code("acme/nothing:v1", "", 1, "404");
    code("acme/shop:multi", ", platforms: [linux/arm64]", 0, "found");
    code(
        "acme/shop:multi",
        ", platforms: [linux/s390x]",
        1,
        "the image has no linux/s390x",
    );
    code("acme/shop:v1", ", platforms: [linux/amd64]", 0, "found");
    code(
        "acme/shop:v1",
        ", platforms: [linux/arm64]",
        1,
        "found for linux/amd64",
    );
}

#[test]
fn a_private_registry_wants_credentials_and_without_them_nobody_knows() {
    let registry = Registry::start_private("robot", "s3cret-pass");
    registry.push("acme/shop", "v1", "linux/amd64");
    let (_folder, mut command) = image(&registry, "acme/shop:v1", "");
    command
        .assert()
        .code(4)
        .stdout(contains("not allowed to know").or(contains("does not let us look")));
    let with = ", username-env: REGISTRY_USER, password-env: REGISTRY_PASS";
    for (tag, password, code) in [
        ("v1", "s3cret-pass", 0),
        ("v9", "s3cret-pass", 1),
        ("v1", "wr0ng-pass", 4),
    ] {
        let (_folder, mut command) = image(&registry, &format!("acme/shop:{tag}"), with);
        let output = command
            .env("REGISTRY_USER", "robot")
            .env("REGISTRY_PASS", password)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{tag} {password}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains(password));
    }
}

#[test]
fn a_registry_that_does_not_answer_is_an_error_and_no_verdict() {
    let port = testkit::free_port();
    let (_folder, mut command) = preflight(&format!(
        "version: 1\npreflight: {{ images: [{{ name: a, image: '127.0.0.1:{port}/a:1' }}] }}\n"
    ));
    command
        .assert()
        .code(4)
        .stdout(contains("the registry could not be queried"));
}

/// A configuration with one host, whose key is in KEY.
fn host(port: u16, user: &str, known_hosts: &str) -> (TempDir, assert_cmd::Command) {
    let (folder, command) = preflight(&format!(
        "version: 1\nhosts:\n  web-01: {{ address: 127.0.0.1, port: {port}, user: {user}, key-env: KEY, known-hosts: known_hosts }}\npreflight:\n  timeout: 3s\n  hosts: [{{ host: web-01 }}]\n"
    ));
    std::fs::write(folder.path().join("known_hosts"), known_hosts).unwrap();
    (folder, command)
}

#[test]
fn a_host_takes_our_login() {
    let sshd = Sshd::start();
    let (_folder, mut command) = host(sshd.port(), sshd.user(), &sshd.known_hosts());
    command
        .env("KEY", sshd.private_key())
        .assert()
        .code(0)
        .stdout(contains("logged in, a command ran"));
}

#[test]
fn each_step_of_a_login_that_fails_is_named() {
    let sshd = Sshd::start();
    let check = |port: u16, known: &str, key: &str, why: &str, hint: &str| {
        let (_folder, mut command) = host(port, sshd.user(), known);
        command
            .env("KEY", key)
            .assert()
            .code(1)
            .stdout(contains(why).and(contains(hint)));
    };
    let (known, key) = (sshd.known_hosts(), sshd.private_key());
    check(
        sshd.port(),
        "",
        &key,
        "is not in known_hosts",
        "ssh-keyscan",
    );
    check(
        sshd.port(),
        &sshd.wrong_known_hosts(),
        &key,
        "differs from the one in known_hosts",
        "ssh-keygen -R",
    );
    check(
        sshd.port(),
        &known,
        &sshd.stranger_key(),
        "may not log in with this key",
        "authorized_keys",
    );
    check(
        testkit::free_port(),
        &known,
        &key,
        "connection refused",
        "sshd runs there",
    );
    check(
        sshd.port(),
        &known,
        "not a key",
        "the key cannot be used",
        "gh secret set",
    );
    let (_folder, mut command) = host(sshd.port(), sshd.user(), &known);
    command
        .assert()
        .code(1)
        .stdout(contains("`KEY` is not set"));
}

#[test]
fn a_host_that_says_nothing_ends_within_its_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in silent.incoming() {
            let _ = stream.map(|mut stream| stream.read(&mut [0; 1024]));
            std::thread::sleep(std::time::Duration::from_secs(20));
        }
    });
    let started = std::time::Instant::now();
    let (_folder, mut command) = host(port, "root", "");
    command
        .env("KEY", key())
        .assert()
        .code(1)
        .stdout(contains("the server sent nothing within 3s"));
    assert!(
        started.elapsed() < std::time::Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_secret_key_logs_in_at_its_hosts() {
    let sshd = Sshd::start();
    let (folder, mut command) = host(sshd.port(), sshd.user(), &sshd.known_hosts());
    let path = folder.path().join("deploy-guard.yml");
    let config = std::fs::read_to_string(&path).unwrap();
    let config = config.replace(
        "  hosts: [{ host: web-01 }]",
        "  secrets: [{ name: KEY, kind: ssh-private-key, hosts: [web-01] }]",
    );
    std::fs::write(&path, config).unwrap();
    command
        .env("KEY", sshd.private_key())
        .assert()
        .code(0)
        .stdout(contains("secrets/KEY@web-01"));
}

#[test]
fn nothing_to_ask_is_no_pass() {
    let (_folder, mut command) = preflight("version: 1\n");
    command
        .assert()
        .code(3)
        .stdout(contains("nothing was checked"));
    let (_folder, mut command) = preflight(SECRETS);
    command.args(["--only", "nothing/here"]).assert().code(3);
    let (_folder, mut command) = preflight(SECRETS);
    command
        .arg("--dry-run")
        .assert()
        .code(3)
        .stdout(contains("would "));
}

#[test]
fn only_chooses_by_id_and_pattern() {
    for only in ["secrets/A", "secret*A"] {
        let (_folder, mut command) = preflight(SECRETS);
        command
            .env("A", "x")
            .args(["--only", only])
            .assert()
            .code(0)
            .stdout(contains("secrets/KEY").not());
    }
    // A name that was mistyped is not passed over.
    let (_folder, mut command) = preflight(SECRETS);
    command
        .env("A", "x")
        .args(["--only", "secrets/A", "imagse"])
        .assert()
        .code(3)
        .stdout(contains("✓ secrets/A").and(contains("`--only imagse` fits no check")));
}

#[test]
fn a_named_check_is_let_through_for_a_while_and_every_output_says_so() {
    let run = |waiver: &str| {
        let (folder, mut command) = preflight(&format!(
            "version: 1\npreflight:\n  command: [{{ name: smoke, run: 'exit 7' }}, {{ name: other, run: 'true' }}]\n  waivers: [{{ {waiver} }}]\n"
        ));
        let summary = folder.path().join("summary.md");
        let assert = command.arg("--summary").arg(&summary).assert();
        (std::fs::read_to_string(summary).unwrap_or_default(), assert)
    };
    let said = "until 2999-12-31 by grace: known flake";
    let (summary, assert) =
        run("check: 'command/sm*', reason: known flake, approver: grace, expires: 2999-12-31");
    assert
        .code(0)
        .stdout(contains(said).and(contains("exit status 7")));
    assert!(summary.contains(said), "{summary}");
    let (_, assert) =
        run("check: command/smoke, reason: known flake, approver: grace, expires: 2020-12-31");
    assert.code(1).stdout(contains(
        "the waiver of command/smoke by grace expired on 2020-12-31",
    ));
    let (_, assert) =
        run("check: command/none, reason: known flake, approver: grace, expires: 2999-12-31");
    assert.code(1).stdout(contains("known flake").not());
    let (_, assert) = run("check: command/smoke, reason: '', approver: grace, expires: 2999-12-31");
    assert
        .code(2)
        .stderr(contains("a waiver's `reason` is empty"));
}

#[test]
fn weights_stay_numbers() {
    for weight in ["-1", ".nan", ".inf", "1e308", "1000001"] {
        let config =
            format!("version: 1\npreflight: {{ disk: [{{ path: /, weight: {weight} }}] }}\n");
        let (_folder, mut command) = preflight(&config);
        command
            .assert()
            .code(2)
            .stderr(contains("deploy-guard.yml:2:"));
    }
}

#[test]
fn flags_work_without_a_file() {
    testkit::bin("preflight")
        .args(["--secret", "A"])
        .env("A", "x")
        .assert()
        .code(0);
    testkit::bin("preflight")
        .args(["--secret", "A"])
        .env_remove("A")
        .assert()
        .code(1);
}

#[test]
fn a_list_says_what_would_be_asked_and_asks_nothing() {
    let config = "version: 1\npreflight:\n  secrets: [{ name: A }]\n  images: [{ name: web, image: \"127.0.0.1:1/web:v1\" }]\n  runners: [{ name: build, labels: [gpu] }]\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let list = |args: &[&str]| {
        let mut command = testkit::bin("preflight");
        command.current_dir(folder.path()).arg("list").args(args);
        command.assert().code(0)
    };
    list(&["--skip", "images", "run*"])
        .stdout(contains("1 check(s) would run").and(contains("would look at the variable A")));
    list(&[]).stdout(
        contains("would get the manifest of 127.0.0.1:1/web:v1")
            .and(contains("needs a repository to check")),
    );
}

#[test]
fn the_deadline_of_the_stage_ends_every_check() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let config = format!(
        "version: 1\npreflight:\n  deadline: 300ms\n  images: [{{ name: web, image: \"{address}/web:v1\" }}]\n"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let clock = std::time::Instant::now();
    testkit::bin("preflight")
        .current_dir(folder.path())
        .assert()
        .code(4)
        .stdout(contains("the stage's deadline of 300ms").and(contains("hint:")));
    assert!(clock.elapsed() < std::time::Duration::from_secs(3));
}
