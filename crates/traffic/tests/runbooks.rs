//! What the runbooks do by hand with two colours and with a canary, by name.

use std::fs;
use std::time::Duration;

use testkit::{End, Load, Prometheus};

use crate::bed::Bed;

/// The probe of `/health/ready`, asked at a side itself before and while it has a share.
fn gate(bed: &Bed) -> String {
    format!(
        "healthgate:\n  policy: {{ interval: 100ms }}\n  http: [{{ name: ready, url: {} }}]\n",
        bed.nginx.url("/health/ready")
    )
}

/// The release that a user gets, as `curl …/api/v1/version` prints it.
fn live(bed: &Bed) -> String {
    let answer = testkit::get(&bed.nginx.url("/api/v1/version")).unwrap();
    let version: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    version["version"].as_str().unwrap().to_owned()
}

/// A ramp to 50 % and 100 %, compared by the runbook's rule with what Prometheus has of both colours.
fn compared(bed: &Bed, prometheus: &Prometheus, duration: &str) -> End {
    let canary = format!(
        "healthgate:\n  canary: {{ judge: threshold, thresholds: {{ window: 3s }}, preset: runbook-003, \
         interval: 1s, deadline: {duration}, server: '{}', label: release }}\n",
        prometheus.url()
    );
    let stages = format!("  stages: [50%, 100%]\n  stage-duration: {duration}\n");
    bed.configure(&stages, &canary);
    bed.traffic(&["ramp", "--release", "v2"])
}

/// Prometheus as it scrapes both colours, with a label each.
fn scraping(bed: &Bed, canary: &str, label: &str) -> Prometheus {
    Prometheus::watching(&[
        (canary.to_owned(), label.to_owned()),
        (bed.blue.address(), "release: v1".to_owned()),
    ])
}

#[test]
fn runbook_003_blue_green_detect_check_switch_verify_keep_old_after_a_dry_run() {
    let bed = Bed::new("", "");
    bed.configure("", &gate(&bed));
    bed.traffic(&["status"]).is(0, &["blue 100%, green 0%"]);
    bed.traffic(&["switch", "--dry-run"])
        .is(0, &["would give 100% to v2", "nothing was changed"]);
    assert_eq!(live(&bed), "v1");
    bed.green.set_health("unhealthy", 503);
    bed.traffic(&["switch"])
        .is(5, &["v2 is not healthy", "status 503"]);
    assert_eq!(live(&bed), "v1");
    bed.green.set_health("healthy", 200);
    bed.traffic(&["switch"])
        .is(0, &["v2 has 100%, v1 has none", "kept"]);
    assert_eq!(live(&bed), "v2");
    // The colour that was kept takes the traffic back at once.
    bed.traffic(&["switch"])
        .is(0, &["v1 has 100%, v2 has none"]);
    assert_eq!(live(&bed), "v1");
}

#[test]
fn runbook_003_blue_green_the_old_colour_is_drained_and_stopped() {
    let bed = Bed::new(
        "  keep-old: false\n  drain-timeout: 1s\n  stop: echo \"$SIDE $RELEASE\" > stopped\n",
        "",
    );
    bed.traffic(&["switch"]).is(0, &["blue is stopped"]);
    let stopped = fs::read_to_string(bed.path("stopped")).unwrap();
    assert_eq!(stopped, "blue v1\n");
}

#[test]
fn runbook_003_canary_ramp_and_promote() {
    let bed = Bed::new("  stage-duration: 200ms\n", "");
    bed.configure("  stage-duration: 200ms\n", &gate(&bed));
    let stages = ["--release", "v2", "--stages", "10,25,50,100"];
    bed.traffic(&[&["ramp"], &stages[..]].concat())
        .is(2, &["write `10%`"]);
    bed.traffic(&["ramp", "--release", "v2", "--stages", "10%,25%,50%,100%"])
        .is(0, &["v2 has 100%, v1 has none"]);
    bed.traffic(&["history"])
        .is(0, &["v2 at 10%", "v2 at 25%", "v2 at 50%", "v2 at 100%"]);
    assert_eq!(live(&bed), "v2");
    // `--promote`: at once, after a person has looked at the first share.
    bed.forget();
    bed.all_to_blue();
    bed.configure(
        "  stage-duration: 200ms\n  auto-promote: false\n",
        &gate(&bed),
    );
    bed.traffic(&["ramp", "--release", "v2", "--no-wait"])
        .is(3, &["v2 has 10% and waits for a promotion"]);
    assert_eq!(bed.configured(), 10);
    bed.traffic(&["promote", "--to", "100%"])
        .is(0, &["v2 has 100%, v1 has none"]);
}

#[test]
fn runbook_003_canary_abort() {
    let bed = Bed::new("  auto-promote: false\n  stage-duration: 200ms\n", "");
    bed.traffic(&["ramp", "--release", "v2", "--no-wait"])
        .is(3, &["waits for a promotion"]);
    bed.traffic(&["abort", "--reason", "checkout fails"])
        .is(0, &["v1 has 100% again, v2 has none"]);
    assert_eq!((bed.configured(), live(&bed)), (0, "v1".to_owned()));
}

#[test]
fn runbook_003_canary_metrics_comparison() {
    let bed = Bed::new("", "");
    let prometheus = scraping(&bed, &bed.green.address(), "release: v2");
    let _load = Load::on(bed.nginx.port(), 200);
    bed.green.fail_one_in(Some(3));
    compared(&bed, &prometheus, "30s").is(1, &["50%/canary/error-rate", "v1 has 100% again"]);
    assert_eq!(bed.configured(), 0);
}

#[test]
fn runbook_003_alert_traffic_imbalance_in_a_canary() {
    let bed = Bed::new("", "");
    bed.traffic(&["set", "25%", "--release", "v2"])
        .is(0, &["v2 has 25%"]);
    bed.traffic(&["status"]).is(0, &["blue 75%, green 25%"]);
    // The file has 25 %, and nginx was told to read another one.
    let file = fs::read_to_string(bed.nginx.upstream_file()).unwrap();
    bed.all_to_blue();
    // Worker processes of before answer for a moment.
    std::thread::sleep(Duration::from_millis(300));
    fs::write(bed.nginx.upstream_file(), file).unwrap();
    bed.traffic(&["status"]).is(
        1,
        &[
            "blue 75%, green 25% should be in effect, and 0 of ",
            "answers were of green",
        ],
    );
}

#[test]
fn runbook_003_troubleshooting_2_traffic_switch_fails() {
    let bed = Bed::new("  deadline: 6s\n", "");
    let before = fs::read_to_string(bed.nginx.upstream_file()).unwrap();
    let unchanged = |bed: &Bed| {
        let file = fs::read_to_string(bed.nginx.upstream_file()).unwrap();
        assert_eq!((file, live(bed)), (before.clone(), "v1".to_owned()));
    };
    // A syntax error in nginx's configuration: what `nginx -t` prints is told, before anything changes.
    let config = bed.nginx.folder().join("nginx.conf");
    let sound = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{sound}\nworker_conections 10;\n")).unwrap();
    bed.traffic(&["switch"]).is(
        5,
        &[
            "the configuration is broken before any change",
            "unknown directive \"worker_conections\"",
        ],
    );
    bed.traffic(&["status"]).is(0, &["blue 100%, green 0%"]);
    unchanged(&bed);
    fs::write(&config, sound).unwrap();
    // The upstream does not respond: a 502 for every user, had it been switched.
    let closed = format!("127.0.0.1:{}", testkit::free_port());
    let router = bed.router().replace(&bed.green.address(), &closed);
    let file = before.replace(&bed.green.address(), &closed);
    fs::write(bed.nginx.upstream_file(), &file).unwrap();
    bed.write(&router, "");
    bed.traffic(&["switch"])
        .is(5, &["the green side is not healthy", &closed]);
    fs::write(bed.nginx.upstream_file(), &before).unwrap();
    unchanged(&bed);
}

#[test]
fn runbook_003_troubleshooting_4_a_canary_without_metrics_gets_no_further() {
    let bed = Bed::new("", "");
    let _load = Load::on(bed.nginx.port(), 100);
    let gone = format!("127.0.0.1:{}", testkit::free_port());
    for (canary, label, why) in [
        (gone, "release: v2", "not scraped"),
        (bed.green.address(), "colour: green", "no series fits"),
    ] {
        let prometheus = scraping(&bed, &canary, label);
        compared(&bed, &prometheus, "4s").is(3, &[why, "v1 has 100% again"]);
        assert_eq!(bed.configured(), 0);
    }
}

#[test]
fn runbook_002_prevention_3_gradual_rollout_with_a_circuit_breaker() {
    let bed = Bed::new("", "");
    bed.configure(
        "  stages: [25%, 50%, 100%]\n  stage-duration: 3s\n",
        &gate(&bed),
    );
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.wait_for("50%", |bed| bed.recorded() == Some(50));
    bed.phase("judging");
    bed.green.set_health("unhealthy", 503);
    End::from(child.wait_with_output().unwrap()).is(
        1,
        &["status 503", "v2 taken back from 50%", "v1 has 100% again"],
    );
    assert_eq!((bed.configured(), live(&bed)), (0, "v1".to_owned()));
}

#[test]
fn runbook_002_prevention_4_blue_green() {
    let bed = Bed::new("", "");
    bed.configure("", &gate(&bed));
    // 1 and 2: green has the new version, and is tested.
    bed.green.set_release("v3");
    bed.traffic(&["switch", "--to", "v2"])
        .is(5, &["no side runs v2", "green", "runs v3"]);
    // 3: the traffic.
    bed.traffic(&["switch", "--to", "v3"])
        .is(0, &["v3 has 100%, v1 has none"]);
    assert_eq!(live(&bed), "v3");
    // 4: blue is there for a rollback.
    bed.traffic(&["switch", "--to", "blue"])
        .is(0, &["v1 has 100%, v3 has none"]);
    assert_eq!(live(&bed), "v1");
}

#[test]
fn runbook_000_option_1_a_ramp_goes_back_by_itself() {
    let bed = Bed::new("", "");
    bed.configure("  stage-duration: 20s\n", &gate(&bed));
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    bed.green.set_health("unhealthy", 503);
    End::from(child.wait_with_output().unwrap()).is(1, &["v2 taken back from 10%"]);
    // `watch curl …/version`: the previous version, and it alone.
    for _ in 0..20 {
        assert_eq!(live(&bed), "v1");
    }
    bed.traffic(&["status"]).is(0, &["blue 100%, green 0%"]);
    bed.traffic(&["resume"]).is(0, &["nothing to resume"]);
}
