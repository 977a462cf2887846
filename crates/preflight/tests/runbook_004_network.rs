//! Runbook 004, failure mode 3: the network between the runner, the hosts and the world.

use std::process::Command;
use std::time::{Duration, Instant};

use testkit::{Sshd, SshdSetup};

/// The output of `preflight` for one host, with its exit code.
fn preflight(sshd: &Sshd, address: &str, facts: &str, prefix: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let (port, user, key) = (sshd.port(), sshd.user(), sshd.key());
    write(
        "deploy-guard.yml",
        &format!(
            "version: 1\nhosts:\n  production-web-01: {{ address: {address}, port: {port}, user: {user}, key-file: {}, known-hosts: known_hosts }}\npreflight:\n  timeout: 3s\n  hosts: [{{ host: production-web-01{facts} }}]\n",
            key.display()
        ),
    );
    write("known_hosts", &format!("* {}\n", sshd.host_key()));
    let program = testkit::bin_path("preflight");
    let mut command = match prefix.split_first() {
        None => Command::new(program),
        Some((first, rest)) => {
            let mut command = Command::new(testkit::tool(first));
            command.args(rest).arg(program);
            command
        }
    };
    let output = testkit::clear_environment(&mut command)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), text)
}

#[test]
fn runbook_004_mode_3_network_unreachable() {
    let sshd = Sshd::start();
    let asks_with = |address: &str, prefix: &[&str], expected: i32, mark: char| {
        let clock = Instant::now();
        let (code, text) = preflight(&sshd, address, "", prefix);
        assert!(clock.elapsed() < Duration::from_secs(8), "{text}");
        assert_eq!(code, expected, "{text}");
        let line = format!("{mark} hosts/production-web-01/login");
        assert!(text.contains(&line), "{text}");
        assert!(text.contains("hint:"), "{text}");
        text
    };
    let asks = |address: &str, prefix: &[&str]| asks_with(address, prefix, 1, '✗');
    // Step 1 of the runbook: is it reachable at all?
    let (code, text) = preflight(&sshd, "127.0.0.1", "", &[]);
    assert_eq!(code, 0, "{text}");
    // Step 2: the name does not resolve.
    let text = asks("production-web-01.paws360.invalid", &[]);
    assert!(
        text.contains("does not resolve") && text.contains("getent hosts"),
        "{text}"
    );
    // Step 3: no route. A separate network namespace has only a route to itself.
    let alone = [
        "unshare",
        "--net",
        "--map-root-user",
        "sh",
        "-c",
        "ip link set lo up; exec \"$0\"",
    ];
    // That is this machine's fault, and says nothing about the host.
    let text = asks_with("192.0.2.1", &alone, 4, '!');
    assert!(text.contains("has no route there"), "{text}");
    // Step 4: a firewall that drops packets, as `DROP` does.
    let swallowed = [
        "unshare",
        "--net",
        "--map-root-user",
        "sh",
        "-c",
        "ip link set lo up; set -e; ip link add dg0 type veth peer name dg1; ip addr add 192.0.2.9/24 dev dg0; ip link set dg0 up; ip link set dg1 up; ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev dg0; exec \"$0\"",
    ];
    let text = asks("192.0.2.1", &swallowed);
    assert!(
        text.contains("no answer within") && text.contains("firewall"),
        "{text}"
    );
}

#[test]
fn runbook_004_mode_3_the_host_reaches_nothing() {
    // `ssh production-web-01 'curl -sf https://api.github.com/zen'` of the runbook's table: the
    // login works, and the host's own way out does not. Its curl runs in a network of its own.
    let folder = tempfile::tempdir().unwrap();
    let shim = folder.path().join("curl");
    let curl = testkit::tool("curl");
    let alone = format!(
        "#!/bin/sh\nexec unshare --net --map-root-user {} \"$@\"\n",
        curl.display()
    );
    std::fs::write(&shim, alone).unwrap();
    Command::new("chmod")
        .arg("755")
        .arg(&shim)
        .status()
        .unwrap();
    let setup = SshdSetup {
        config: format!(
            "SetEnv PATH={}:/usr/sbin:/usr/bin:/sbin:/bin\n",
            folder.path().display()
        ),
        ..SshdSetup::default()
    };
    let sshd = setup.start();
    let egress = ", egress: ['http://192.0.2.1/zen']";
    let (code, text) = preflight(&sshd, "127.0.0.1", egress, &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("✓ hosts/production-web-01/login"), "{text}");
    assert!(
        text.contains("✗ hosts/production-web-01/egress/http://192.0.2.1/zen"),
        "{text}"
    );
    assert!(text.contains("curl ends with 7"), "{text}");
    assert!(text.contains("ip route"), "{text}");
}
