//! What a ramp would do and how long it takes, before it begins.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use testkit::{End, Prometheus};

use crate::bed::Bed;

/// So many requests a minute over the last 40 minutes, of which one in a hundred failed.
fn counted(per_minute: u64) -> Prometheus {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (now, mut text) = (now.as_secs(), String::new());
    for (status, each) in [
        ("200", per_minute / 4 * 99 / 100),
        ("500", per_minute / 4 / 100),
    ] {
        for n in 0..=160 {
            let at = now - 2400 + n * 15;
            let count = n * each;
            let _ = writeln!(
                text,
                "http_requests_total{{status=\"{status}\"}} {count} {at}"
            );
        }
    }
    Prometheus::recorded(&format!("{text}# EOF\n"), &[])
}

/// The comparison of both releases by what a server has counted.
fn compared(server: &str) -> String {
    format!(
        "healthgate:\n  canary:\n    interval: 10s\n    server: '{server}'\n    label: release\n    metrics:\n    \
         - {{ name: errors, kind: ratio, total: 'http_requests_total{{ {{side}} }}', \
         failed: 'http_requests_total{{ {{side}},status=~\"5..\" }}', tolerance: 2 }}\n    \
         - {{ name: memory, kind: gauge, query: 'process_resident_memory_bytes{{ {{side}} }}', severity: advisory }}\n"
    )
}

/// What is asked of Prometheus has one series for each side: before a rollout, any side.
const ANY: &str = "instance=~";

#[test]
fn a_plan_says_the_minutes_of_each_share_by_the_judge_and_the_traffic_of_late() {
    let bed = Bed::new("", "");
    let prometheus = counted(60_000);
    bed.configure("  stages: [10%, 50%, 100%]\n", &compared(&prometheus.url()));
    let end = bed.traffic(&["plan", "--release", "v2"]).is(
        0,
        &[
            "would give 10%, 50%, 100% to v2 (0% has it now) in about ",
            ", at most 20m; nothing was changed",
            "weight=9",
            "proved by 280 requests, then judged: a good release passes in about ",
            "within 10m at most",
            "How long a share is judged",
            "minutes/10%/memory",
            "unknown: a gauge is not planned: how long it remembers where it was is not known",
        ],
    );
    // It is the judge's own plan, as `healthgate plan` has it.
    assert!(
        end.text
            .contains("60000 requests a minute, 1% of them fail"),
        "{}",
        end.text
    );
    assert!(!end.text.contains(ANY), "{}", end.text);
    assert_eq!(bed.configured(), 0);
    let ramp = bed.traffic(&["ramp", "--release", "v2", "--dry-run"]);
    assert_eq!(
        ramp.is(0, &["in about "]).text.lines().count(),
        end.text.lines().count()
    );
}

#[test]
fn traffic_that_is_too_little_for_a_share_is_told_with_what_is_missing() {
    let bed = Bed::new("", "");
    let prometheus = counted(4000);
    let stages = "  stages: [10%, 100%]\n  stage-duration: 30s\n";
    bed.configure(stages, &compared(&prometheus.url()));
    bed.traffic(&["plan", "--release", "v2"]).is(
        0,
        &[
            "would give 10%, 100% to v2 (0% has it now) within 30s at most",
            "how soon it passes is unknown (errors: the traffic cannot show it",
            "requests are missing",
            "set a longer `traffic.stage-duration`",
        ],
    );
}

#[test]
fn minutes_that_cannot_be_known_are_unknown_with_the_reason() {
    let bed = Bed::new("", "");
    let closed = format!("http://127.0.0.1:{}", testkit::free_port());
    bed.configure("", &compared(&closed));
    bed.traffic(&["plan", "--release", "v2"]).is(
        0,
        &[
            "how soon it passes is unknown (errors: failed to query ",
            &closed,
        ],
    );
    let log = "healthgate:\n  canary:\n    metrics: [{ name: errors, kind: ratio }]\n    \
               access-log: { file: /var/log/nginx/access.log, side: { field: 10, canary: a, stable: b } }\n";
    bed.configure("", log);
    bed.traffic(&["plan", "--release", "v2"])
        .is(0, &["an access log is read from its end on"]);
    let kayenta = compared(&closed).replace("interval: 10s", "judge: kayenta");
    bed.configure("", &kayenta);
    bed.traffic(&["plan", "--release", "v2"])
        .is(0, &["`judge: kayenta` has no plan"]);
}

#[test]
fn probes_alone_take_the_whole_time_of_each_share() {
    let gate = "healthgate:\n  policy: { interval: 1s, deadline: 30s }\n  http: [{ name: ready, url: URL }]\n";
    let bed = Bed::new("", "");
    let gate = gate.replace("URL", &bed.nginx.url("/health/ready"));
    bed.configure("  stages: [50%, 100%]\n  stage-duration: 5m\n", &gate);
    bed.traffic(&["plan", "--release", "v2"]).is(
        0,
        &[
            "in about 5m 2s, at most 5m 30s",
            "then judged for 5m",
            "then the gate decides, within 30s",
        ],
    );
    // Neither a switch nor a share that is set is judged after it.
    for args in [
        &["switch", "--dry-run"][..],
        &["set", "25%", "--release", "v2", "--dry-run"],
    ] {
        bed.traffic(args)
            .is(0, &["and stays so", "nothing was changed"]);
    }
}

/// The release URL is slow: the answers that prove a share take longer than anything else.
#[test]
fn the_time_of_the_proofs_is_planned_and_one_that_cannot_end_is_refused() {
    let bed = Bed::new("", "");
    bed.slow_answers(Duration::from_millis(400));
    let stages = "  stages: [50%, 100%]\n  stage-duration: 1m\n";
    bed.configure(&format!("{stages}  deadline: 2m\n"), "");
    // 28 and 45 answers, four at a time: 2.8 s and 4.8 s.
    bed.traffic(&["plan", "--release", "v2"]).is(
        0,
        &[
            "by 28 requests in about ",
            "by 45 requests in about ",
            "within 2m ",
        ],
    );
    bed.configure(&format!("{stages}  deadline: 9s\n"), "");
    let before = fs::read_to_string(bed.nginx.upstream_file()).unwrap();
    for args in [
        &["plan", "--release", "v2"][..],
        &["ramp", "--release", "v2", "--dry-run"],
        &["ramp", "--release", "v2"],
        &["switch", "--dry-run"],
        &["switch"],
    ] {
        bed.traffic(args).is(
            5,
            &[
                "its proof takes about ",
                "(45 answers), and `traffic.deadline` (9s) leaves 3s for it",
                "set `traffic.deadline` to ",
            ],
        );
    }
    let after = fs::read_to_string(bed.nginx.upstream_file()).unwrap();
    assert_eq!(after, before);
    assert!(bed.state()["rollout"].is_null(), "{}", bed.state());

    // The same of what goes on.
    bed.slow_answers(Duration::ZERO);
    bed.traffic(&["set", "50%", "--release", "v2"]).is(0, &[]);
    bed.slow_answers(Duration::from_millis(400));
    bed.traffic(&["promote"]).is(
        5,
        &[
            "`traffic.deadline` (9s) leaves 3s for it",
            "or `traffic abort` gives",
        ],
    );
    assert_eq!((bed.configured(), bed.recorded()), (50, Some(50)));
    let rollout = &bed.state()["rollout"];
    assert!(rollout["promoted"].is_null(), "{rollout}");
    assert_eq!(rollout["stages"], serde_json::json!(["50%"]));
    bed.traffic(&["promote", "--dry-run"])
        .is(5, &["`traffic.deadline` (9s) leaves 3s for it"]);
    bed.configure(&format!("{stages}  deadline: 18s\n"), "");
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
}

/// The release became slow, and the process that watched it was killed: a refusal would leave its share unwatched.
#[test]
fn a_killed_ramp_that_can_prove_no_further_share_is_taken_back() {
    let bed = Bed::new(
        "  stages: [10%, 100%]\n  stage-duration: 60s\n  deadline: 30s\n",
        "",
    );
    let mut child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    child.kill().unwrap();
    child.wait().unwrap();
    bed.green.set_delay(Duration::from_secs(1));
    bed.traffic(&["resume"]).is(
        1,
        &[
            "`traffic.deadline` (30s) leaves 10s for it",
            "v1 has 100% again",
        ],
    );
    assert_eq!(bed.configured(), 0);
    assert!(bed.state()["rollout"].is_null(), "{}", bed.state());
}

/// The process that has the ramp goes on with no promotion that it could not prove.
#[test]
fn a_promotion_of_a_ramp_that_waits_is_refused_before_it_is_written() {
    let bed = Bed::new(
        "  stages: [10%, 100%]\n  stage-duration: 200ms\n  auto-promote: false\n  deadline: 30s\n",
        "",
    );
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("waiting");
    bed.green.set_delay(Duration::from_secs(1));
    bed.traffic(&["promote"])
        .is(5, &["`traffic.deadline` (30s) leaves 10s for it"]);
    let rollout = &bed.state()["rollout"];
    assert!(rollout["promoted"].is_null(), "{rollout}");
    bed.green.set_delay(Duration::ZERO);
    bed.traffic(&["promote"]).is(0, &["v2 may have up to 100%"]);
    End::from(child.wait_with_output().unwrap()).is(0, &["v2 has 100%"]);
}

/// The same of a share that a person set, whether it was written or not; it is not known which was in effect before.
#[test]
fn a_killed_set_that_cannot_be_proved_is_taken_back() {
    let bed = Bed::new("  deadline: 12s\n", "");
    for args in [
        &["set", "50%", "--release", "v2"][..],
        &["switch", "--to", "v2"],
    ] {
        bed.slow_answers(Duration::from_millis(50));
        let mut child = bed.spawn(args);
        bed.proof();
        child.kill().unwrap();
        child.wait().unwrap();
        bed.green.set_delay(Duration::from_secs(1));
        bed.blue.set_delay(Duration::ZERO);
        bed.traffic(&["resume"]).is(
            1,
            &[
                "`traffic.deadline` (12s) leaves 4s for it",
                "v1 has 100% again",
            ],
        );
        assert_eq!(bed.configured(), 0);
        assert!(bed.state()["rollout"].is_null(), "{}", bed.state());
        bed.traffic(&["resume"]).is(0, &["nothing to resume"]);
    }
}

/// It is not forgotten either where nothing can be set: users have the release all the same.
#[test]
fn a_killed_switch_that_cannot_be_made_again_is_not_forgotten() {
    let bed = Bed::new("", "");
    bed.slow_answers(Duration::from_millis(50));
    let mut child = bed.spawn(&["switch"]);
    bed.proof();
    child.kill().unwrap();
    child.wait().unwrap();
    bed.slow_answers(Duration::ZERO);
    let router = bed.router();
    bed.write(&router.replace(&bed.nginx.test_command(), "false"), "");
    bed.traffic(&["resume"])
        .is(6, &["v1 does not have 100% everywhere again"]);
    assert_eq!(bed.state()["rollout"]["phase"], "aborting");
    bed.write(&router, "");
    bed.traffic(&["resume"]).is(0, &["v1 has 100% again"]);
    assert_eq!(bed.configured(), 0);
}

/// The service became slower since: answers that all agree have more time, and those that were too few say so.
#[test]
fn a_proof_whose_answers_agree_has_more_time_and_never_contradicts_them() {
    let bed = Bed::new("  deadline: 6s\n", "");
    // 12 times four answers take 2.4 s; a proof has 2 s, and one that agrees 3 s.
    for (delay, code, told) in [
        (
            Duration::from_millis(200),
            0,
            "45 answers in a row were of green",
        ),
        (
            Duration::from_millis(400),
            1,
            " of the 45 answers that prove blue 0%, green 100% came in time, all of green",
        ),
    ] {
        bed.slow_answers(Duration::from_millis(100));
        let child = bed.spawn(&["switch", "--to", "green"]);
        bed.wait_for("the file", |bed| bed.configured() == 100);
        bed.slow_answers(delay);
        End::from(child.wait_with_output().unwrap()).is(code, &[told]);
        bed.slow_answers(Duration::ZERO);
        bed.traffic(&["switch", "--to", "blue"]).is(0, &[]);
    }
}

/// A loaded machine: the reload takes half of the deadline, and the answers are slow. What ends by time says how far its
/// proof came, and the deadline of the whole change does not hide that.
#[test]
fn a_proof_ends_before_the_deadline_of_the_change_also_after_a_slow_reload() {
    let bed = Bed::new("", "");
    let reload = bed.nginx.reload_command();
    let router = bed.router().replace(
        &format!("reload: {reload}"),
        &format!("reload: {reload} && sleep 3"),
    );
    bed.write(&format!("  deadline: 6s\n{router}"), "");
    let child = bed.spawn(&["switch", "--to", "green"]);
    bed.wait_for("the file", |bed| bed.configured() == 100);
    // 12 times four answers take 3.6 s.
    bed.slow_answers(Duration::from_millis(300));
    let end = End::from(child.wait_with_output().unwrap()).is(
        1,
        &[
            " of the 45 answers that prove blue 0%, green 100% came in time, all of green",
            "v2 has 0% as before",
        ],
    );
    assert!(!end.text.contains("it may still go on"), "{}", end.text);
    bed.traffic(&["status"]).is(0, &["blue 100%, green 0%"]);
}

/// The deadline of the whole way back does not cut its proof off.
#[test]
fn a_way_back_with_slow_answers_says_how_many_came_in_time() {
    let bed = Bed::new("  deadline: 12s\n", "");
    bed.traffic(&["set", "50%", "--release", "v2"]).is(0, &[]);
    // 12 times four answers take 12 s.
    bed.slow_answers(Duration::from_secs(1));
    let end = bed.traffic(&["abort"]).is(
        6,
        &[" of the 45 answers that prove blue 100%, green 0% came in time, all of blue"],
    );
    assert!(!end.text.contains("it may still go on"), "{}", end.text);
    bed.slow_answers(Duration::ZERO);
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
}

/// What is asked to measure the answers is asked at the same time.
#[test]
fn a_plan_asks_the_sides_side_by_side() {
    let bed = Bed::new("  deadline: 10m\n", "");
    bed.slow_answers(Duration::from_secs(1));
    let began = Instant::now();
    bed.traffic(&["plan", "--release", "v2"]).is(0, &[]);
    // One answer for the releases of both sides, and one for their time.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_share_that_requests_cannot_prove_is_refused_by_the_plan_as_by_the_ramp() {
    let bed = Bed::new("", "");
    for args in [
        &["plan", "--release", "v2", "--stages", "0.01%,100%"][..],
        &["ramp", "--release", "v2", "--stages", "0.01%,100%"],
    ] {
        bed.traffic(args)
            .is(5, &["no number of requests that may be made distinguishes"]);
    }
    assert_eq!(bed.configured(), 0);
}
