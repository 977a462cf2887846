//! Commands and disks as a user meets them.

use std::time::{Duration, Instant};

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use testkit::{Sshd, SshdSetup};

fn preflight(config: &str) -> (tempfile::TempDir, assert_cmd::Command) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let mut command = testkit::bin("preflight");
    command.current_dir(folder.path());
    (folder, command)
}

fn command(keys: &str) -> assert_cmd::assert::Assert {
    let (_folder, mut command) = preflight(&format!(
        "version: 1\npreflight:\n  secrets: [{{ name: TOKEN }}]\n  command:\n    - {{ name: check, {keys} }}\n"
    ));
    command.env("TOKEN", "c4nary-t0ken").assert()
}

#[test]
fn a_command_is_judged_by_its_status_and_its_output() {
    command("run: 'true'")
        .code(0)
        .stdout(contains("exit status 0"));
    command("run: 'echo oops >&2; exit 3'")
        .code(1)
        .stdout(contains("exit status 3: oops").and(contains("expected exit status 0")));
    command("run: 'exit 3', status: [0, 3]").code(0);
    command("run: 'no-such-program'")
        .code(4)
        .stdout(contains("a program in it was not found"));
    command("run: 'echo version 15.4', contains: 'version 15'").code(0);
    command("run: 'echo version 14.1', contains: 'version 15'")
        .code(1)
        .stdout(contains("it does not print `version 15`"));
    command("run: 'printf \"a\\nready\\n\"', matches: '(?m)^ready$'").code(0);
    command("run: 'echo not ready', matches: '(?m)^ready$'")
        .code(1)
        .stdout(contains("does not match `(?m)^ready$`"));
    command("run: 'kill -9 $$'")
        .code(1)
        .stdout(contains("killed by signal 9"));
}

#[test]
fn what_a_command_prints_is_bounded_and_without_secrets() {
    command("run: 'echo \"the token is $TOKEN\"; exit 1'")
        .code(1)
        .stdout(contains("the token is ***").and(contains("c4nary").not()));
    // The dropped output might have held it.
    command("run: 'head -c 300000 /dev/zero | tr \"\\\\0\" x; echo; echo needle; head -c 300000 /dev/zero', contains: needle")
        .code(3)
        .stdout(contains("was not kept"));
    command("run: 'printf \"\\\\033[31mred\\\\033[0m\"; exit 1'")
        .code(1)
        .stdout(contains("\u{1b}").not());
}

#[test]
fn a_command_that_does_not_end_is_ended() {
    let clock = Instant::now();
    command("run: 'sleep 60', timeout: 300ms")
        .code(1)
        .stdout(contains("not done in time (its time is 300ms)"));
    assert!(clock.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_command_runs_on_hosts_and_names_them() {
    let sshd = Sshd::start();
    let config = |run: &str| {
        let (port, user, key) = (sshd.port(), sshd.user(), sshd.key());
        let host = |n: u8| {
            format!(
                "  web-0{n}: {{ address: 127.0.0.{n}, port: {port}, user: {user}, key-file: {}, known-hosts: known_hosts }}\n",
                key.display()
            )
        };
        format!(
            "version: 1\nhosts:\n{}{}preflight:\n  timeout: 20s\n  command:\n    - {{ name: own, host: 'web-*', {run} }}\n",
            host(1),
            host(2)
        )
    };
    let run = |text: &str, known: &str| {
        let (folder, mut command) = preflight(&config(text));
        std::fs::write(folder.path().join("known_hosts"), known).unwrap();
        command.assert()
    };
    let known = format!("127.0.* {}\n", sshd.host_key());
    run("run: 'echo $SSH_CONNECTION', contains: ' 127.0.0.'", &known)
        .code(0)
        .stdout(contains("command/own@web-01").and(contains("command/own@web-02")));
    // Only one of the two answers so.
    run(
        "run: 'echo $SSH_CONNECTION', contains: ' 127.0.0.2 '",
        &known,
    )
    .code(1)
    .stdout(contains("✗ command/own@web-01").and(contains("✓ command/own@web-02")));
    run("run: 'kill -9 $$'", &known)
        .code(1)
        .stdout(contains("killed by signal KILL"));
    // Neither `exit` nor `exec` keeps the shell from its proof.
    run("run: 'echo a; exit 0; false', contains: a", &known).code(0);
    run("run: 'exec echo b # c', contains: b", &known).code(0);
    run("run: 'exit 3', status: [3]", &known).code(0);
    run("run: 'exec false'", &known)
        .code(1)
        .stdout(contains("exit status 1"));
    run("run: 'cat <<EOF'", &known).code(1);
    run("run: 'cat /dev/zero'", &known)
        .code(1)
        .stdout(contains("it prints without end"));
    run("run: 'sleep 60', timeout: 2s", &known)
        .code(1)
        .stdout(contains("not done in time"));
    run("run: 'true'", "")
        .code(4)
        .stdout(contains("it was not run").and(contains("is not in known_hosts")));
}

#[test]
fn a_release_reaches_a_command_by_environment_and_is_never_code() {
    let release = "v2\"; touch pwned; \"";
    let (folder, mut command) = preflight(
        "version: 1\npreflight:\n  command:\n    - { name: check, run: 'echo \"$RELEASE=${RELEASE}=\"', contains: 'v2\"; touch pwned; \"=v2\"; touch pwned; \"=' }\n",
    );
    command.args(["--release", release]).assert().code(0);
    assert!(!folder.path().join("pwned").exists());
}

#[test]
fn a_secret_that_a_command_prints_is_redacted_before_it_is_cut_or_folded() {
    let long: String = ('a'..='z').cycle().step_by(7).take(600).collect();
    let spaced = "correct  horse   battery";
    let json = r#"{"password": "hunter2hunter2"}"#;
    let (_folder, mut command) = preflight(
        "version: 1\npreflight:\n  secrets: [{ name: LONG }, { name: SPACED }, { name: JSON, kind: json }]\n  command:\n    - { name: long, run: 'echo \"$LONG\"; false' }\n    - { name: spaced, run: 'echo \"$SPACED\"; false' }\n    - { name: json, run: 'echo \"$JSON\" | cut -c 15-28; false' }\n",
    );
    let output = command
        .envs([("LONG", long.as_str()), ("SPACED", spaced), ("JSON", json)])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.matches("exit status 1: ***").count(), 3, "{text}");
    for part in [&long[580..], "horse", "hunter2"] {
        assert!(!text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_command_that_makes_no_sense_is_refused_with_its_place() {
    command("run: 'true', status: []")
        .code(2)
        .stderr(contains("no exit status would be good"));
    command("run: 'true', status: [256]")
        .code(2)
        .stderr(contains("deploy-guard.yml:5:"));
    command("run: 'true', matches: '('")
        .code(2)
        .stderr(contains("not a regular expression"));
    command("run: 'true', host: web-01")
        .code(2)
        .stderr(contains("no host `web-01`"));
    command("run: 'true', timeout: 0s")
        .code(2)
        .stderr(contains("must be more than zero"));
}

fn disk(keys: &str) -> assert_cmd::assert::Assert {
    let (_folder, mut command) = preflight(&format!(
        "version: 1\npreflight: {{ disk: [{{ {keys} }}] }}\n"
    ));
    command.assert()
}

#[test]
fn a_disk_of_this_machine_has_room_or_not() {
    disk("path: /, min-free: 1KiB, min-inodes: 1")
        .code(0)
        .stdout(contains("✓ disk/ ").and(contains("✓ inodes/ ")));
    disk("path: /, min-free: 100%, min-inodes: 0")
        .code(1)
        .stdout(contains("expected at least 100% free").and(contains("du -xh")));
    disk("path: /no/such/path")
        .code(1)
        .stdout(contains("No such file or directory"));
    disk("path: var")
        .code(2)
        .stderr(contains("not an absolute path"));
    // It does not count blocks: its free space is unknown.
    disk("path: /proc")
        .code(3)
        .stdout(contains("counts no space"));
}

#[test]
fn a_full_disk_of_this_machine_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    std::fs::write(
        folder.path().join("deploy-guard.yml"),
        format!("version: 1\npreflight: {{ disk: [{{ path: '{path}/full' }}] }}\n"),
    )
    .unwrap();
    let script = "mkdir full && mount -t tmpfs -o size=64k tmpfs full && { head -c 100000 /dev/zero >full/file 2>log || true; } && exec \"$0\"";
    let mut command = std::process::Command::new(testkit::tool("unshare"));
    command
        .args(["--mount", "--map-root-user", "sh", "-c", script])
        .arg(testkit::bin_path("preflight"))
        .current_dir(folder.path());
    let output = testkit::clear_environment(&mut command).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("0 bytes of 64.0 KiB free (0%)"), "{text}");
}

/// Such a server ends with 0, whatever the command.
#[test]
fn a_login_that_runs_something_else_proves_nothing() {
    for forced in ["true", "echo welcome", "sh -c 'exit 0' -- "] {
        let setup = SshdSetup {
            config: format!("ForceCommand {forced}\n"),
            ..SshdSetup::default()
        };
        let sshd = setup.start();
        let (folder, mut command) = preflight(&format!(
            "version: 1\nhosts:\n  web-01: {{ address: 127.0.0.1, port: {}, user: {}, key-file: {}, known-hosts: known_hosts }}\npreflight:\n  command: [{{ name: smoke, host: web-01, run: './smoke-test' }}]\n",
            sshd.port(),
            sshd.user(),
            sshd.key().display()
        ));
        std::fs::write(folder.path().join("known_hosts"), sshd.known_hosts()).unwrap();
        command.assert().code(4).stdout(
            contains("it was not run")
                .and(contains("ended without proof that it ran"))
                .and(contains("ForceCommand")),
        );
    }
}
