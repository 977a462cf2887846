//! Hosts as a user meets them: real logins, real facts, and hosts that misbehave.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use tempfile::TempDir;
use testkit::{Shop, Sshd, SshdSetup};

/// A folder with a configuration and what it names, and the command that reads it.
struct Bed {
    folder: TempDir,
    config: String,
    known_hosts: String,
    key: Option<String>,
    env: Vec<(&'static str, String)>,
    args: Vec<&'static str>,
}

impl Bed {
    /// One host, `web-01`, with a check that asks for no more than a login.
    fn new(sshd: &Sshd) -> Bed {
        Bed::at(sshd.port(), sshd.user(), &sshd.known_hosts()).key(sshd.private_key())
    }

    fn at(port: u16, user: &str, known_hosts: &str) -> Bed {
        let config = format!(
            "version: 1\nhosts:\n  web-01: {{ address: 127.0.0.1, port: {port}, user: {user}, key-env: KEY, known-hosts: known_hosts }}\npreflight:\n  timeout: 20s\n  hosts:\n    - host: web-01\n"
        );
        Bed {
            folder: tempfile::tempdir().unwrap(),
            config,
            known_hosts: known_hosts.to_owned(),
            key: None,
            env: Vec::new(),
            args: Vec::new(),
        }
    }

    fn key(mut self, key: impl Into<String>) -> Bed {
        self.key = Some(key.into());
        self
    }

    fn known_hosts(mut self, text: impl Into<String>) -> Bed {
        self.known_hosts = text.into();
        self
    }

    fn replace(mut self, from: &str, to: &str) -> Bed {
        assert!(self.config.contains(from), "{from}");
        self.config = self.config.replace(from, to);
        self
    }

    /// What else the check wants of the host.
    fn wants(mut self, facts: &str) -> Bed {
        for line in facts.lines() {
            self.config.push_str(&format!("      {}\n", line.trim()));
        }
        self
    }

    fn env(mut self, name: &'static str, value: impl Into<String>) -> Bed {
        self.env.push((name, value.into()));
        self
    }

    fn args(mut self, args: &[&'static str]) -> Bed {
        self.args.extend(args);
        self
    }

    fn run(self) -> assert_cmd::assert::Assert {
        let write = |name: &str, text: &str| {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        };
        write("deploy-guard.yml", &self.config);
        write("known_hosts", &self.known_hosts);
        let mut command = testkit::bin("preflight");
        command.current_dir(self.folder.path()).args(&self.args);
        if let Some(key) = &self.key {
            command.env("KEY", key);
        }
        for (name, value) in &self.env {
            command.env(name, value);
        }
        command.assert()
    }
}

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
        text.contains("0 bytes of 1.0 MiB free (0.0%), expected at least 10% free"),
        "{text}"
    );
    assert!(text.contains("du -xh"), "{text}");
}

/// A server with a user `deploy` whom sudo knows, in files of its own.
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
    let folder = tempfile::tempdir().unwrap();
    let shim = folder.path().join("date");
    std::fs::write(&shim, "#!/bin/sh\nexec /bin/date -d '+1 hour' \"$@\"\n").unwrap();
    Command::new("chmod")
        .arg("755")
        .arg(&shim)
        .status()
        .unwrap();
    let setup = SshdSetup {
        config: format!("SetEnv PATH={}:/usr/bin:/bin\n", folder.path().display()),
        ..SshdSetup::default()
    };
    let sshd = setup.start();
    Bed::new(&sshd)
        .wants("max-clock-skew: 30s")
        .run()
        .code(1)
        .stdout(contains("s ahead of ours").and(contains("timedatectl")));
}

#[test]
fn keys_of_every_kind_log_in_and_hosts_are_known_by_every_kind() {
    for kind in ["ed25519", "rsa", "ecdsa"] {
        let setup = SshdSetup {
            host_key: kind,
            ..SshdSetup::default()
        };
        let sshd = setup.start();
        let key = sshd.add_key(kind, "");
        Bed::new(&sshd).key(key).run().code(0);
    }
}

#[test]
fn a_key_with_a_passphrase_wants_it() {
    let sshd = Sshd::start();
    let key = sshd.add_key("ed25519", "correct horse");
    Bed::new(&sshd)
        .key(&key)
        .run()
        .code(1)
        .stdout(contains("it is protected by a passphrase").and(contains("passphrase-env")));
    let with = |passphrase: &str| {
        Bed::new(&sshd)
            .key(&key)
            .replace("key-env: KEY", "key-env: KEY, passphrase-env: PASS")
            .env("PASS", passphrase)
            .run()
    };
    with("correct horse").code(0);
    with("wrong battery")
        .code(1)
        .stdout(contains("the passphrase does not open the key").and(contains("battery").not()));
    with("").code(1).stdout(contains("`PASS` is not set"));
}

#[test]
fn known_hosts_lines_are_read_as_openssh_reads_them() {
    let sshd = Sshd::start();
    let (port, key) = (sshd.port(), sshd.host_key());
    let check = |lines: String| Bed::new(&sshd).known_hosts(lines).run();
    check(format!("127.0.0.* {key}\n")).code(0);
    check(format!("[127.0.0.?]:{port},other {key}\n")).code(0);
    check(format!("@cert-authority * {key}\n"))
        .code(1)
        .stdout(contains("only names an authority"));
    check(format!("[127.0.0.1]:{port} {key}\n@revoked * {key}\n"))
        .code(1)
        .stdout(contains("is revoked in known_hosts").and(contains("do not deploy there")));
    check(format!("*,![127.0.0.1]:{port},!127.0.0.1 {key}\n"))
        .code(1)
        .stdout(contains("is not in known_hosts"));
    check("\u{0}garbage\n|1|a|b c d\n".to_owned())
        .code(1)
        .stdout(contains("is not in known_hosts").and(contains("SHA256:")));
}

#[test]
fn a_known_hosts_file_that_ssh_keygen_hashed_is_read() {
    let sshd = Sshd::start();
    let hash = |text: String| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        std::fs::write(&path, text).unwrap();
        let mut keygen = Command::new(testkit::tool("ssh-keygen"));
        let done = keygen.args(["-q", "-H", "-f"]).arg(&path).output().unwrap();
        assert!(done.status.success());
        std::fs::read_to_string(&path).unwrap()
    };
    let hashed = hash(sshd.known_hosts());
    assert!(hashed.starts_with("|1|"), "{hashed}");
    Bed::new(&sshd).known_hosts(hashed).run().code(0);
    Bed::new(&sshd)
        .known_hosts(hash(sshd.wrong_known_hosts()))
        .run()
        .code(1)
        .stdout(contains("is not the one in known_hosts"));
    Bed::new(&sshd)
        .known_hosts(hash(sshd.known_hosts_for("127.0.0.2")))
        .run()
        .code(1)
        .stdout(contains("is not in known_hosts"));
}

#[test]
fn a_host_has_an_ipv6_address_or_a_name_that_does_not_resolve() {
    let sshd = Sshd::start();
    Bed::new(&sshd)
        .replace("address: 127.0.0.1", "address: '::1'")
        .known_hosts(sshd.known_hosts_for("::1"))
        .run()
        .code(0);
    Bed::new(&sshd)
        .replace("address: 127.0.0.1", "address: no-such-host.invalid")
        .run()
        .code(1)
        .stdout(contains("`no-such-host.invalid` does not resolve").and(contains("getent hosts")));
}

#[test]
fn a_login_that_prints_100_megabytes_is_cut_off() {
    for stream in ["", " >&2"] {
        let setup = SshdSetup {
            config: format!(
                "ForceCommand sh -c 'head -c 100000000 /dev/zero{stream}; eval \"$SSH_ORIGINAL_COMMAND\"'\n"
            ),
            ..SshdSetup::default()
        };
        let sshd = setup.start();
        let clock = Instant::now();
        Bed::new(&sshd)
            .wants("commands: [sh]")
            .run()
            .code(1)
            .stdout(contains(
                "the login prints without end: cut off after 1.0 MiB",
            ));
        assert!(clock.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn a_login_that_greets_or_complains_still_answers() {
    let setup = SshdSetup {
        config: "ForceCommand sh -c 'printf \"Welcome!\\nno newline\"; yes warning | head -n 2000 >&2; eval \"$SSH_ORIGINAL_COMMAND\"'\n"
            .to_owned(),
        ..SshdSetup::default()
    };
    let sshd = setup.start();
    Bed::new(&sshd).run().code(0);
    Bed::new(&sshd).wants("commands: [sh]").run().code(0);
}

#[test]
fn a_login_that_runs_no_command_or_hangs_is_told() {
    for (command, said) in [
        ("/bin/false", "no command ran (exit status 1)"),
        ("echo this account is closed", "this account is closed"),
        ("sleep 60", "no command ran in time"),
    ] {
        let setup = SshdSetup {
            config: format!("ForceCommand {command}\n"),
            ..SshdSetup::default()
        };
        let sshd = setup.start();
        let clock = Instant::now();
        Bed::new(&sshd)
            .replace("timeout: 20s", "timeout: 2s")
            .run()
            .code(1)
            .stdout(contains(said).and(contains("hosts/web-01/login")));
        assert!(clock.elapsed() < Duration::from_secs(6), "{command}");
    }
}

#[test]
fn a_fact_that_hangs_leaves_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let shim = folder.path().join("curl");
    std::fs::write(&shim, "#!/bin/sh\nexec sleep 60\n").unwrap();
    Command::new("chmod")
        .arg("755")
        .arg(&shim)
        .status()
        .unwrap();
    let setup = SshdSetup {
        config: format!("SetEnv PATH={}:/usr/bin:/bin\n", folder.path().display()),
        ..SshdSetup::default()
    };
    let sshd = setup.start();
    Bed::new(&sshd)
        .replace("timeout: 20s", "timeout: 6s")
        .wants("commands: [sh]\ndisk: [{ path: / }]\negress: ['http://127.0.0.1:1/']")
        .run()
        .code(1)
        .stdout(
            contains("✓ hosts/web-01/commands")
                .and(contains("✓ hosts/web-01/disk "))
                .and(contains("✗ hosts/web-01/egress/http://127.0.0.1:1/"))
                .and(contains("no answer (not done in time)")),
        );
}

/// A peer that accepts and then does as it likes with the connection.
fn peer(act: fn(std::net::TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || act(stream.unwrap()));
        }
    });
    port
}

#[test]
fn a_peer_that_is_no_ssh_server_ends_within_its_time() {
    let silent = |stream: std::net::TcpStream| {
        std::thread::sleep(Duration::from_secs(30));
        drop(stream);
    };
    let dripping = |mut stream: std::net::TcpStream| {
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let web = |mut stream: std::net::TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 512]);
    };
    let endless = |mut stream: std::net::TcpStream| {
        while stream.write_all(&[b'A'; 4096]).is_ok() {}
    };
    let stuck = |mut stream: std::net::TcpStream| {
        let _ = stream.write_all(b"SSH-2.0-stuck\r\n");
        std::thread::sleep(Duration::from_secs(30));
    };
    let gone = |stream: std::net::TcpStream| drop(stream);
    let key = Sshd::start().private_key();
    for (name, act, said) in [
        (
            "silent",
            silent as fn(std::net::TcpStream),
            "nothing was said within 2000 ms",
        ),
        ("dripping", dripping, "port is open, but"),
        ("web", web, "no SSH server answers"),
        ("endless", endless, "not done within 2000 ms"),
        ("stuck", stuck, "within 2000 ms"),
        ("gone", gone, "no SSH server answers"),
    ] {
        let clock = Instant::now();
        let output = Bed::at(peer(act), "root", "")
            .key(&key)
            .replace("timeout: 20s", "timeout: 2s")
            .run();
        let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        assert_eq!(output.get_output().status.code(), Some(1), "{name}: {text}");
        assert!(text.contains(said), "{name}: {text}");
        assert!(text.contains("hint:"), "{name}: {text}");
        assert!(clock.elapsed() < Duration::from_secs(6), "{name}: {text}");
    }
}

#[test]
fn a_server_that_is_short_of_places_is_asked_again() {
    let setup = SshdSetup {
        // From the second login at once, every other one is turned away.
        config: "MaxStartups 2:60:4\n".to_owned(),
        ..SshdSetup::default()
    };
    let sshd = setup.start();
    let mut bed = Bed::new(&sshd).replace("host: web-01", "host: all");
    let host = bed.config.lines().nth(2).unwrap().to_owned();
    let line = |n| host.replace("web-01", &format!("web-{n:02}")) + "\n";
    let more: String = (2..=12).map(line).collect();
    bed.config = bed
        .config
        .replace("preflight:", &format!("{more}preflight:"));
    bed.run().code(0);
}

#[test]
fn all_hosts_a_pattern_or_one_are_asked_side_by_side() {
    let sshd = Sshd::start();
    let mut bed = Bed::new(&sshd);
    let host = bed.config.lines().nth(2).unwrap().to_owned();
    let line = |n| {
        let line = host.replace("web-01", &format!("web-{n:02}"));
        line.replace("127.0.0.1", &format!("127.0.1.{n}")) + "\n"
    };
    let more: String = (2..=40).map(line).collect();
    bed.config = bed.config.replace(
        "preflight:",
        &format!("{more}  db-01: {{ address: 127.0.0.1 }}\npreflight:"),
    );
    bed.known_hosts = format!("[127.0.*]:{} {}\n", sshd.port(), sshd.host_key());
    let config = bed.config.clone();
    let run = |selector: &str, args: &[&'static str]| {
        let mut bed = Bed::new(&sshd)
            .args(args)
            .known_hosts(bed.known_hosts.clone());
        bed.config = config.replace("host: web-01", selector);
        bed.run()
    };
    run("host: 'web-*'", &[])
        .code(0)
        .stdout(contains("10.0 of 10"));
    run("host: 'web-*'", &["--only", "hosts/web-07"])
        .code(0)
        .stdout(contains("hosts/web-07/login").and(contains("web-08").not()));
    run("host: all", &["list"])
        .code(0)
        .stdout(contains("would log in at db-01").and(contains("41 check(s) would be asked")));
    run("host: 'app-*'", &[])
        .code(2)
        .stderr(contains("`app-*` fits no host"));
    run("host: web-1", &[])
        .code(2)
        .stderr(contains("did you mean `web-"));
    run("host: 'web-*'\n    - host: web-03", &[])
        .code(2)
        .stderr(contains("`web-03` is already asked by `host: web-*`"));
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
        ("disk: [{ path: / }, { path: / }]", "stands here twice"),
        ("commands: ['-rf']", "not the name of a program"),
        ("egress: ['ftp://x/']", "not a scheme"),
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
    let output = Bed::new(&sshd)
        .key(sshd.stranger_key())
        .wants("commands: [sh]\nsudo: true")
        .run()
        .code(1);
    output.stdout(contains("not asked: see hosts/web-01/login").and(contains("may not log in")));
    assert!(Path::new("/run/sshd").exists() || sshd.user() != "root");
}
