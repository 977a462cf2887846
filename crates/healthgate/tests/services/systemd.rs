//! Units of systemd on a host.

use std::time::Duration;

use testkit::{SystemdHost, wait_until};

use crate::services::bed::{Bed, QUICK};

/// Long enough that a crash falls into it.
const LONG: &str =
    "{ interval: 100ms, timeout: 20s, success-threshold: 100, failure-limit: 0, deadline: 60s }";

const STABLE: &str = "[Service]\nExecStart=/bin/sleep infinity\n";
const CRASHES: &str = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=100ms\n\
    ExecStart=/bin/sh -c 'sleep 1; exit 3'\n";
const DIES: &str = "[Service]\nExecStart=/bin/sh -c 'exit 7'\n";
/// Its second life is a long one.
const STUMBLES: &str = "[Service]\nRestart=always\nRestartSec=100ms\n\
    ExecStart=/bin/sh -c 'test -e /run/stumbled && exec sleep infinity; touch /run/stumbled; exit 1'\n";
const ONCE: &str = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n";

fn host() -> SystemdHost {
    let host = SystemdHost::start(&[
        ("stable.service", STABLE),
        ("other.service", STABLE),
        ("crashes.service", CRASHES),
        ("dies.service", DIES),
        ("once.service", ONCE),
        ("stumbles.service", STUMBLES),
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

    // Active at every measurement; only its restart counter shows the crashes.
    let end = bed.gate(LONG, &unit(&["crashes"]));
    assert_eq!(end.code, 1, "{}", end.text);
    // Failures may be allowed; a service that was restarted stays one.
    let patient = "{ interval: 100ms, timeout: 8s, success-threshold: 30, deadline: 8s, initial-delay: 1500ms }";
    bed.gate(patient, &unit(&["crashes"]))
        .is(1, &["restarted ("]);
    let report = bed.report();
    let last = report["outcomes"][0]["measurements"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    assert_eq!(last["verdict"], "fail", "{last}");

    // As many as are allowed.
    let allowed = "  systemd: [{ name: it, unit: crashes, host: web-01, max-restarts: 1000, min-uptime: 0s }]";
    let patient = "{ interval: 100ms, timeout: 20s, success-threshold: 3, deadline: 30s }";
    bed.gate(patient, allowed).is(0, &[]);
}

#[test]
fn what_was_started_again_just_now_has_to_stay_up_first() {
    let host = host();
    let bed = Bed::new().systemd("web-01", &host);
    host.must(&["systemctl", "start", "--no-block", "stumbles"]);
    let show = ["systemctl", "show", "-p", "NRestarts,SubState", "stumbles"];
    let up = || host.must(&show) == "NRestarts=1\nSubState=running";
    assert!(wait_until(Duration::from_mins(1), up));
    // Active, with the counter as it was: as a crash loop is between two crashes.
    bed.gate(QUICK, &unit(&["stumbles"]))
        .is(1, &["< min-uptime (10s), restarted once"]);
    let patient = "{ interval: 200ms, timeout: 20s, success-threshold: 3, deadline: 2m }";
    bed.gate(patient, &unit(&["stumbles"])).is(0, &[]);
    let at_once = "  systemd: [{ name: it, unit: stable, host: web-01, min-uptime: 1h }]";
    bed.gate(QUICK, at_once).is(1, &["< min-uptime (1h)"]);
}

#[test]
fn a_restart_that_was_one_too_many_ends_the_gate_at_once() {
    let host = host();
    let bed = Bed::new().systemd("web-01", &host);
    let patient = "{ interval: 100ms, timeout: 20s, success-threshold: 3000, deadline: 10m }";
    let allowed = "  systemd: [{ name: it, unit: crashes, host: web-01, min-uptime: 0s }]";
    bed.gate(patient, allowed).is(
        1,
        &["failed, and can no longer pass: restarted (1) > max-restarts (0)"],
    );
    assert!(bed.report()["duration_ms"].as_u64().unwrap() < 300_000);
}

#[test]
fn a_pattern_is_no_unit() {
    // A healthy one would hide another.
    Bed::new()
        .gate(QUICK, "  systemd: [{ name: it, unit: 'shop-*' }]")
        .is(2, &["`shop-*` is a pattern"]);
}

#[test]
fn machines_are_asked_as_one_group() {
    let host = host();
    let bed = Bed::new()
        .systemd("web-01", &host)
        .systemd("web-02", &host)
        .closed("web-03");
    let policy =
        "{ interval: 100ms, timeout: 20s, error-limit: 0, failure-limit: 0, deadline: 60s }";
    let ask = |rest: &str| {
        bed.gate(
            policy,
            &format!("  systemd: [{{ name: it, unit: {rest} }}]"),
        )
    };
    ask("stable, hosts: [web-01, web-02]").is(0, &[]);
    assert_eq!(bed.report()["outcomes"][0]["members"]["passed"], 2);
    ask("stable, hosts: all").is(4, &["web-03"]);
    ask("stable, hosts: 'web-*', require: 60%").is(0, &[]);
    ask("dies, hosts: all, require: 60%").is(1, &["failed (2) > allowed (1): web-01"]);
    ask("stable, hosts: all, host: web-01").is(2, &["`host` and `hosts` exclude each other"]);
    // Each by its own way.
    let port = testkit::free_port();
    let ports = |require: &str| {
        format!(
            "  tcp: [{{ name: it, address: '127.0.0.1:{port}', via: '{{host}}', hosts: all{require} }}]"
        )
    };
    let _listens = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    bed.gate(policy, &ports("")).is(4, &["web-03"]);
    bed.gate(policy, &ports(", require: 2")).is(0, &[]);
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
    // Not where it comes in the pause before systemd's own restart: then systemd goes on counting.
    let set_back = wait_until(Duration::from_secs(60), || {
        let before = count();
        host.must(&["systemctl", "restart", "crashes"]);
        count() < before
    });
    assert!(set_back);
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
