//! Keys, known_hosts, names and patterns.

use std::process::Command;

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use testkit::Sshd;
use testkit::SshdSetup;

use crate::hosts::bed::Bed;

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
fn a_secret_key_with_a_passphrase_is_proven_by_a_login() {
    let sshd = Sshd::start();
    let key = sshd.add_key("ed25519", "correct horse");
    let run = |secret: &str, host: &str, passphrase: &str| {
        let mut bed = Bed::new(&sshd).key(&key).env("PASS", passphrase);
        let from = bed.config.find("  hosts:\n    - host:").unwrap();
        bed.config.truncate(from);
        bed.config.push_str(&format!(
            "  secrets: [{{ name: KEY, kind: ssh-private-key, {secret} }}]\n"
        ));
        bed.replace("key-env: KEY", &format!("key-env: KEY{host}"))
            .run()
    };
    run("hosts: [web-01], passphrase-env: PASS", "", "correct horse").code(0);
    run("hosts: [web-01]", ", passphrase-env: PASS", "correct horse")
        .code(0)
        .stdout(contains("the login at web-01 tries it"));
    run("hosts: [web-01], passphrase-env: PASS", "", "wrong battery")
        .code(1)
        .stdout(contains("✗ secrets/KEY@web-01").and(contains("does not open the key")));
    run("hosts: [web-01], passphrase-env: PASS", "", "")
        .code(1)
        .stdout(contains("✗ secrets/KEY ").and(contains("`PASS` is not set")));
    // The key was not tried, which is not a pass.
    run("passphrase-env: PASS", "", "correct horse")
        .code(3)
        .stdout(contains("was not tried").and(contains("name the `hosts`")));
    run("hosts: [web-01]", "", "")
        .code(1)
        .stdout(contains("`passphrase-env` of the secret or of the host"));
}

#[test]
fn keys_of_every_form_that_openssh_reads_log_in() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let key = sshd.add_key(kind, "");
        Bed::new(&sshd).key(key.trim_end()).run().code(0);
        if kind == "ed25519" {
            continue;
        }
        let path = folder.path().join(kind);
        for form in ["PEM", "PKCS8"] {
            write_key(&path, &key);
            let mut keygen = Command::new(testkit::tool("ssh-keygen"));
            let done = keygen
                .args(["-q", "-p", "-N", "", "-m", form, "-f"])
                .arg(&path)
                .output();
            assert!(done.unwrap().status.success());
            let key = std::fs::read_to_string(&path).unwrap();
            assert!(!key.contains("OPENSSH"), "{key:.40}");
            Bed::new(&sshd).key(key.replace('\n', "\r\n")).run().code(0);
            Bed::new(&sshd)
                .key(format!("# {form}\n{key}"))
                .run()
                .code(0);
        }
    }
    Bed::new(&sshd)
        .key(sshd.private_key().replace('\n', " "))
        .run()
        .code(1)
        .stdout(contains("its line breaks are missing").and(contains("authorized_keys").not()));
}

fn write_key(path: &std::path::Path, key: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, key).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_host_with_which_we_have_no_method_in_common_is_told_by_what_it_offers() {
    let setup = SshdSetup {
        config: "KexAlgorithms diffie-hellman-group1-sha1\n".to_owned(),
        ..SshdSetup::default()
    };
    let sshd = setup.start();
    Bed::new(&sshd).run().code(1).stdout(
        contains("no common key exchange: the host offers diffie-hellman-group1-sha1")
            .and(contains("and we curve25519-sha256"))
            .and(contains("`KexAlgorithms`")),
    );
}

#[test]
fn a_host_that_wants_a_second_factor_is_told_so() {
    let setup = SshdSetup {
        config: "PasswordAuthentication yes\nAuthenticationMethods publickey,password\n".to_owned(),
        ..SshdSetup::default()
    };
    let sshd = setup.start();
    Bed::new(&sshd).run().code(1).stdout(
        contains("requires a second factor: password")
            .and(contains("AuthenticationMethods publickey"))
            .and(contains("authorized_keys").not()),
    );
    // A key that it does not know is another thing.
    let other = Sshd::start();
    Bed::new(&sshd)
        .key(other.private_key())
        .run()
        .code(1)
        .stdout(contains("may not log in with this key").and(contains("authorized_keys")));
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
        .stdout(contains("differs from the one in known_hosts"));
    Bed::new(&sshd)
        .known_hosts(hash(sshd.known_hosts_for("127.0.0.2")))
        .run()
        .code(1)
        .stdout(contains("is not in known_hosts"));
}

#[test]
fn a_host_has_an_ipv6_address_or_a_name_that_does_not_resolve() {
    let sshd = Sshd::start();
    for address in ["'::1'", "'[::1]'"] {
        Bed::new(&sshd)
            .replace("address: 127.0.0.1", &format!("address: {address}"))
            .known_hosts(sshd.known_hosts_for("::1"))
            .run()
            .code(0);
    }
    Bed::new(&sshd)
        .replace("address: 127.0.0.1", "address: no-such-host.invalid")
        .run()
        .code(1)
        .stdout(contains("`no-such-host.invalid` does not resolve").and(contains("getent hosts")));
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
        .stdout(contains("would log in at db-01").and(contains("41 check(s) would run")));
    run("host: 'app-*'", &[])
        .code(2)
        .stderr(contains("`app-*` fits no host"));
    run("host: web-1", &[])
        .code(2)
        .stderr(contains("did you mean `web-"));
    run("host: 'web-*'\n    - host: web-03", &[])
        .code(2)
        .stderr(contains("`web-03` is already checked by `host: web-*`"));
}
