//! Hosts that the `ssh` program reaches, as a user meets them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use testkit::{Sshd, any_process_with, wait_until};

use crate::hosts::bed::Bed;

fn by_program(sshd: &Sshd) -> Bed {
    Bed::new(sshd).replace(
        "key-env: KEY",
        "key-env: KEY, ssh: openssh, ssh-config: /dev/null",
    )
}

#[test]
fn facts_and_hostile_hosts_are_the_same_by_the_ssh_program() {
    let sshd = Sshd::start();
    by_program(&sshd)
        .wants("commands: [sh]\ndisk: [{ path: /, min-free: 1MiB }]\nmax-clock-skew: 1m")
        .run()
        .code(0)
        .stdout(contains("✓ hosts/web-01/login").and(contains("✓ hosts/web-01/disk")));
    by_program(&sshd)
        .known_hosts("")
        .run()
        .code(1)
        .stdout(contains("the host's key SHA256:").and(contains("is not in known_hosts")));
    by_program(&sshd)
        .env("PATH", "/none")
        .run()
        .code(4)
        .stdout(contains("the `ssh` program is not installed").and(contains("openssh-client")));
}

/// Also while a command still runs on the host, which the program alone would wait for.
#[test]
fn nothing_is_left_after_a_kill() {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().unwrap());
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("known_hosts", &sshd.known_hosts());
    let config = format!(
        "version: 1\nhosts:\n  web-01: {{ address: 127.0.0.1, port: {}, user: {}, ssh: openssh, ssh-config: /dev/null, key-file: '{}', known-hosts: known_hosts }}\n\
         preflight:\n  timeout: 5m\n  command: [{{ name: slow, host: web-01, run: sleep 120 }}]\n",
        sshd.port(),
        sshd.user(),
        sshd.key().display()
    );
    write("deploy-guard.yml", &config);
    let places = folder.path().join("tmp");
    std::fs::create_dir(&places).unwrap();
    let mut command = Command::new(testkit::bin_path("preflight"));
    let mut child = testkit::clear_environment(&mut command)
        .current_dir(folder.path())
        .env("TMPDIR", &places)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mark = places.display().to_string();
    let long = Duration::from_secs(20);
    let is_empty = |path: &Path| std::fs::read_dir(path).unwrap().next().is_none();
    assert!(wait_until(long, || any_process_with(&mark)));
    std::thread::sleep(Duration::from_secs(2));
    child.kill().unwrap();
    child.wait().unwrap();
    let gone = wait_until(long, || !any_process_with(&mark) && is_empty(&places));
    assert!(gone);
}
