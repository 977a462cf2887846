//! Facts about a host: figures, bad values, hanging commands.

use std::path::Path;
use std::process::Command;

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use tempfile::TempDir;
use testkit::Shop;
use testkit::Sshd;
use testkit::SshdSetup;

use crate::hosts::bed::Bed;

#[test]
fn a_host_that_has_all_that_is_wanted_passes_with_the_figures() {
    let sshd = Sshd::start();
    let web = Shop::start("v1");
    Bed::new(&sshd)
        .wants(&format!(
            "commands: [sh, ls]
            disk: [{{ path: /, min-free: 1MiB, min-inodes: 10 }}]
            min-memory: 1MiB
            max-load: 1000
            max-clock-skew: 2s
            egress: ['{}']",
            web.url("/")
        ))
        .run()
        .code(0)
        .stdout(
            contains("hosts/web-01/login")
                .and(contains("all found"))
                .and(contains("hosts/web-01/disk "))
                .and(contains("hosts/web-01/inodes "))
                .and(contains("available ("))
                .and(contains("for each core ("))
                .and(contains("at most 0."))
                .and(contains("status 200"))
                .and(contains("10.0 of 10")),
        );
}

#[test]
fn each_fact_that_is_bad_has_a_name_of_its_own() {
    let sshd = Sshd::start();
    let web = Shop::start("v1");
    web.set_health("degraded", 503);
    let nobody = testkit::free_port();
    Bed::new(&sshd)
        .wants(&format!(
            "commands: [sh, no-such-program]
            disk: [{{ path: /, min-free: 100% }}, {{ path: /no/such/path }}]
            min-memory: 100%
            max-load: 0.0000001
            egress: ['{}', 'http://127.0.0.1:{nobody}/']",
            web.url("/health/ready")
        ))
        .args(&["--format", "json"])
        .run()
        .code(1)
        .stdout(
            contains("not found: no-such-program")
                .and(contains("expected at least 100% free"))
                .and(contains("\"hosts/web-01/disk/no/such/path\""))
                .and(contains("No such file or directory"))
                .and(contains("expected at least 100% of the memory available"))
                .and(contains("status 503"))
                .and(contains("curl ends with 7"))
                .and(contains(format!("-p {} ", sshd.port()))),
        );
}

#[test]
fn a_server_that_asks_who_we_are_was_reached() {
    let sshd = Sshd::start();
    let web = Shop::start("v1");
    web.set_health("login wanted", 401);
    Bed::new(&sshd)
        .wants(&format!("egress: ['{}']", web.url("/health/ready")))
        .run()
        .code(0)
        .stdout(contains("status 401"));
}

#[test]
fn without_curl_the_host_asks_with_wget_or_bash() {
    let web = Shop::start("v1");
    for (tools, said) in [
        ("wget", "it answered (wget)"),
        ("bash", "the port is open"),
        ("true", "neither curl, wget nor bash"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let programs = ["sh", "date", "tr", "cut", "tail", tools];
        for program in programs {
            let path = testkit::tool(program);
            std::os::unix::fs::symlink(path, folder.path().join(program)).unwrap();
        }
        let path = folder.path().display();
        let setup = SshdSetup {
            config: format!("SetEnv PATH={path}\n"),
            ..SshdSetup::default()
        };
        let sshd = setup.start();
        let code = if tools == "true" { 3 } else { 0 };
        Bed::new(&sshd)
            .wants(&format!("egress: ['{}']", web.url("/")))
            .run()
            .code(code)
            .stdout(contains(said));
        let closed = testkit::free_port();
        if tools != "true" {
            Bed::new(&sshd)
                .wants(&format!("egress: ['http://127.0.0.1:{closed}/']"))
                .run()
                .code(1)
                .stdout(contains(format!("{tools} ends with")));
        }
    }
}

#[test]
fn a_full_disk_and_used_up_inodes_are_told_apart() {
    let full = SshdSetup {
        before: Some(
            "mkdir @/space @/inodes
            mount -t tmpfs -o size=1m,nr_inodes=1000 tmpfs @/space
            head -c 2000000 /dev/zero >@/space/file 2>@/space.log || true
            mount -t tmpfs -o size=1m,nr_inodes=5 tmpfs @/inodes
            touch @/inodes/1 @/inodes/2 @/inodes/3 @/inodes/4 @/inodes/5 2>@/inodes.log || true"
                .to_owned(),
        ),
        ..SshdSetup::default()
    };
    let sshd = full.start();
    let here = sshd.folder().display();
    let output = Bed::new(&sshd)
        .wants(&format!(
            "disk: [{{ path: '{here}/space' }}, {{ path: '{here}/inodes' }}]"
        ))
        .run()
        .code(1);
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let bad = |what: &str| text.contains(&format!("✗ hosts/web-01/{what}"));
    assert!(bad(&format!("disk{here}/space")), "{text}");
    assert!(bad(&format!("inodes{here}/inodes")), "{text}");
    assert!(!bad(&format!("inodes{here}/space")), "{text}");
    assert!(!bad(&format!("disk{here}/inodes")), "{text}");
    assert!(
        text.contains("0 bytes of 1.0 MiB free (0%), expected at least 10% free"),
        "{text}"
    );
    assert!(text.contains("du -xh"), "{text}");
}

/// A host where this program is a script of this line.
fn with_program(name: &str, line: &str) -> (TempDir, Sshd) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join(name);
    std::fs::write(&program, format!("#!/bin/sh\n{line}\n")).unwrap();
    Command::new("chmod")
        .arg("755")
        .arg(&program)
        .status()
        .unwrap();
    let setup = SshdSetup {
        config: format!("SetEnv PATH={}:/usr/bin:/bin\n", folder.path().display()),
        ..SshdSetup::default()
    };
    (folder, setup.start())
}

/// A server with its own sudo files, which know the user `deploy`.
fn with_sudo(rule: &str) -> Sshd {
    let setup = SshdSetup {
        before: Some(format!(
            "mkdir @/etc @/home
            cat /etc/passwd >@/etc/passwd; echo 'deploy:x:4242:4242::@/home:/bin/sh' >>@/etc/passwd
            cat /etc/group >@/etc/group; echo 'deploy:x:4242:' >>@/etc/group
            cat /etc/shadow >@/etc/shadow; echo 'deploy:*:19000:0:99999:7:::' >>@/etc/shadow
            printf '%s\\n' 'root ALL=(ALL) ALL' '{rule}' >@/etc/sudoers
            chmod 440 @/etc/sudoers
            for file in passwd group shadow sudoers; do mount --bind @/etc/$file /etc/$file; done"
        )),
        user: Some("deploy"),
        ..SshdSetup::default()
    };
    setup.start()
}

#[test]
fn sudo_without_a_password_works_or_is_refused() {
    let sshd = with_sudo("deploy ALL=(ALL) NOPASSWD: ALL");
    let output = Bed::new(&sshd).wants("sudo: true").run().code(0);
    output.stdout(contains("hosts/web-01/sudo"));
    let sshd = with_sudo("deploy ALL=(ALL) ALL");
    Bed::new(&sshd)
        .wants("sudo: true")
        .run()
        .code(1)
        .stdout(contains("refused: sudo: a password is required").and(contains("visudo")));
}

#[test]
fn a_clock_that_is_wrong_is_seen_however_long_the_script_takes() {
    // `date` an hour ahead: the machine's own clock is not ours to set.
    let (_folder, sshd) = with_program("date", "exec /bin/date -d '+1 hour' \"$@\"");
    Bed::new(&sshd)
        .wants("max-clock-skew: 30s")
        .run()
        .code(1)
        .stdout(contains("s ahead of ours").and(contains("timedatectl")));
}

#[test]
fn a_fact_that_hangs_leaves_the_others() {
    let (_folder, sshd) = with_program("curl", "exec sleep 60");
    Bed::new(&sshd)
        .replace("timeout: 20s", "timeout: 6s")
        .wants("commands: [sh]\ndisk: [{ path: /, min-free: 1KiB, min-inodes: 1 }]\negress: ['http://127.0.0.1:1/']")
        .run()
        .code(1)
        .stdout(
            contains("✓ hosts/web-01/commands")
                .and(contains("✓ hosts/web-01/disk "))
                .and(contains("✗ hosts/web-01/egress/http://127.0.0.1:1/"))
                .and(contains("no answer (not done in time)")),
        );
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let sshd = Sshd::start();
    for (facts, said) in [
        ("disk: [{ path: var }]", "not an absolute path"),
        (
            "disk: [{ path: /, min-free: lots }]",
            "neither a share such as `10%`",
        ),
        ("disk: [{ path: / }, { path: / }]", "duplicate path `/`"),
        ("commands: ['-rf']", "not the name of a program"),
        ("egress: ['ftp://x/']", "`ftp` is not supported here"),
        (
            "egress: ['https://me:pw@example.com/']",
            "a user or password would be seen",
        ),
        ("max-load: 0", "must be a number above zero"),
        ("timeout: 0s", "must be more than zero"),
    ] {
        Bed::new(&sshd)
            .wants(facts)
            .run()
            .code(2)
            .stderr(contains(said).and(contains("deploy-guard.yml:8:")));
    }
}

#[test]
fn the_facts_of_an_unreachable_host_are_not_asked() {
    let sshd = Sshd::start();
    let run = |args: &[&'static str]| {
        Bed::new(&sshd)
            .key(sshd.stranger_key())
            .wants("commands: [sh]\nsudo: true")
            .args(args)
            .run()
            .code(1)
    };
    run(&[])
        .stdout(contains("not checked: see hosts/web-01/login").and(contains("may not log in")));
    // Where the login has no outcome of its own, the fact gives the reason why it is unknown.
    run(&["--only", "hosts/web-01/sudo"])
        .stdout(contains("✗ hosts/web-01/sudo").and(contains("may not log in")));
    assert!(Path::new("/run/sshd").exists() || sshd.user() != "root");
}
