//! Units of systemd on a host.

use std::time::Duration;

use testkit::{SystemdHost, wait_until};

use crate::bed::{Bed, QUICK};

/// Long enough that a crash falls into it.
const LONG: &str =
    "{ interval: 100ms, timeout: 20s, success-threshold: 100, failure-limit: 0, deadline: 60s }";

const STABLE: &str = "[Service]\nExecStart=/bin/sleep infinity\n";
const CRASHES: &str = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=100ms\n\
    ExecStart=/bin/sh -c 'sleep 1; exit 3'\n";
const DIES: &str = "[Service]\nExecStart=/bin/sh -c 'exit 7'\n";
const ONCE: &str = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n";

fn host() -> SystemdHost {
    let host = SystemdHost::start(&[
        ("stable.service", STABLE),
        ("other.service", STABLE),
        ("crashes.service", CRASHES),
        ("dies.service", DIES),
        ("once.service", ONCE),
    ]);
    for unit in ["stable", "other", "once", "crashes"] {
        host.must(&["systemctl", "start", unit]);
    }
    host.exec(&["systemctl", "start", "dies"]);
    host
}

fn unit(names: &[&str]) -> String {
    let items: Vec<String> = names
        .iter()
        .map(|name| format!("{{ name: {name}, unit: {name}, host: web-01 }}"))
        .collect();
    format!("  systemd: [{}]", items.join(", "))
}

#[test]
fn a_unit_is_active_and_a_crash_loop_never_passes() {
    let host = host();
    let bed = Bed::new().systemd("web-01", &host);
    bed.gate(QUICK, &unit(&["stable", "once", "other.service"]))
        .is(0, &[]);
    bed.gate(QUICK, &unit(&["dies"])).is(
        1,
        &[
            "failed (failed): exit-code, exit status 7",
            "journalctl -u dies",
        ],
    );
    bed.gate(QUICK, &unit(&["nothing"]))
        .is(1, &["there is no unit `nothing`"]);

    // Active whenever somebody looks; its counter gives it away.
    let end = bed.gate(LONG, &unit(&["crashes"]));
    assert_eq!(end.code, 1, "{}", end.text);
    // Failures may be allowed; a service that was restarted stays one.
    let patient = "{ interval: 100ms, timeout: 20s, success-threshold: 30, deadline: 8s, initial-delay: 1500ms }";
    let end = bed
        .gate(patient, &unit(&["crashes"]))
        .is(1, &["restarted ("]);
    let last = end.report["outcomes"][0]["measurements"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    assert_eq!(last["verdict"], "fail", "{last}");

    // As many as are allowed.
    let allowed = "  systemd: [{ name: it, unit: crashes, host: web-01, max-restarts: 1000 }]";
    let patient = "{ interval: 100ms, timeout: 20s, success-threshold: 3, deadline: 30s }";
    bed.gate(patient, allowed).is(0, &[]);
}

#[test]
fn a_restart_by_hand_is_one_too_though_it_sets_the_counter_back() {
    let host = host();
    let bed = Bed::new().systemd("web-01", &host);
    let show = ["systemctl", "show", "-p", "NRestarts", "--value", "crashes"];
    let count = || host.must(&show).parse::<u32>().unwrap();
    assert!(wait_until(Duration::from_secs(60), || count() >= 10));
    let end = std::thread::scope(|scope| {
        let gate = scope.spawn(|| bed.gate(LONG, &unit(&["stable"])));
        std::thread::sleep(Duration::from_secs(2));
        host.must(&["systemctl", "restart", "stable"]);
        gate.join().unwrap()
    });
    end.is(1, &["restarted (1) > max-restarts (0) while we watched"]);
    host.must(&["systemctl", "restart", "crashes"]);
    assert!(count() < 10);
}

#[test]
fn a_host_without_systemd_is_an_error() {
    let sshd = testkit::SshdSetup {
        config: "SetEnv PATH=/nowhere\n".to_owned(),
        ..testkit::SshdSetup::default()
    };
    let sshd = sshd.start();
    let bed = Bed::new().ssh("web-01", &sshd);
    let policy = "{ interval: 100ms, timeout: 20s, error-limit: 0, deadline: 60s }";
    let end = bed.gate(policy, &unit(&["stable"]));
    assert_eq!(end.code, 4, "{}", end.text);
}
