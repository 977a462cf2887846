//! How a change of shares ends where not all goes as it should: delays in which something changes, a side
//! that is still in use, a judge that cannot decide, a lock that is lost.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use testkit::{End, Haproxy, Sshd};

use crate::bed::{Bed, signal};

/// Ends the old side by a file that tells when it ran.
const STOPS: &str =
    "  keep-old: false\n  drain-timeout: 1s\n  stop: echo \"$SIDE $RELEASE\" > stopped\n";

fn gate(bed: &Bed) -> String {
    let url = bed.nginx.url("/health/ready");
    format!(
        "healthgate:\n  policy: {{ interval: 50ms }}\n  http: [{{ name: ready, url: {url} }}]\n"
    )
}

#[test]
fn the_old_side_is_kept_for_its_time_and_then_stopped() {
    let bed = Bed::new(&format!("{STOPS}  keep-for: 2s\n"), "");
    let child = bed.spawn(&["switch"]);
    bed.wait_for("the end", |bed| bed.state()["current"] == "v2");
    bed.wait_for("the lock", |bed| bed.state()["lock"].is_null());
    assert!(!bed.path("stopped").exists(), "before its time");
    End::from(child.wait_with_output().unwrap()).is(0, &["v2 has 100%", "blue is stopped"]);
    let stopped = fs::read_to_string(bed.path("stopped")).unwrap();
    assert_eq!(stopped, "blue v1\n");
}

/// The process is killed while the old side is kept, and then while it is drained.
#[test]
fn a_kill_while_the_old_side_is_kept_or_drained_is_finished_by_resume() {
    let kept = "  keep-old: false\n  drain-timeout: 0s\n  stop: echo \"$SIDE $RELEASE\" >> stopped\n  keep-for: 5s\n";
    let drained =
        "  keep-old: false\n  drain-timeout: 4s\n  stop: echo \"$SIDE $RELEASE\" >> stopped\n";
    for more in [kept, drained] {
        let bed = Bed::new(more, "");
        let began = Instant::now();
        let mut child = bed.spawn(&["switch"]);
        bed.wait_for("the end", |bed| bed.state()["current"] == "v2");
        if more == kept {
            bed.wait_for("the lock", |bed| bed.state()["lock"].is_null());
            let waits = "v1 is kept until";
            bed.traffic(&["status"])
                .is(0, &["blue 0%, green 100%", waits]);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let told = "and the process that was to do it has ended";
        bed.traffic(&["status"]).is(1, &[told, "`traffic resume`"]);
        bed.traffic(&["resume", "--dry-run"])
            .is(3, &["then drain v1 and stop it"]);
        assert!(!bed.path("stopped").exists(), "before its time");
        bed.traffic(&["resume"]).is(0, &["blue is stopped"]);
        assert!(
            began.elapsed() > Duration::from_secs(4),
            "the rest is waited for"
        );
        bed.traffic(&["resume"]).is(0, &["nothing to resume"]);
        bed.traffic(&["status"]).is(0, &["blue 0%, green 100%"]);
        assert_eq!(
            fs::read_to_string(bed.path("stopped")).unwrap(),
            "blue v1\n"
        );
    }
}

/// The configuration stops no side any more: none waits to be stopped, and `resume` forgets it.
#[test]
fn an_old_side_is_kept_where_the_configuration_keeps_it_now() {
    for now in ["  keep-old: true\n", ""] {
        let bed = Bed::new(&format!("{STOPS}  keep-for: 60s\n"), "");
        let mut child = bed.spawn(&["switch"]);
        bed.wait_for("the end", |bed| bed.state()["current"] == "v2");
        bed.wait_for("the lock", |bed| bed.state()["lock"].is_null());
        child.kill().unwrap();
        child.wait().unwrap();
        bed.traffic(&["status"]).is(1, &["has ended"]);
        bed.configure(now, "");
        bed.traffic(&["status"]).is(0, &["it is kept"]);
        bed.traffic(&["resume"]).is(0, &["it is kept"]);
        assert!(bed.state()["old_side"].is_null(), "{}", bed.state());
        bed.traffic(&["resume"]).is(0, &["nothing to resume"]);
        assert!(!bed.path("stopped").exists());
    }
}

/// Until `resume` comes, another job has deployed to the side that was left, or a person has switched back.
#[test]
fn an_old_side_that_has_a_use_again_is_not_stopped_by_resume() {
    let more = format!("{STOPS}  keep-for: 60s\n");
    for deployed in [true, false] {
        let bed = Bed::new(&more, "");
        let mut child = bed.spawn(&["switch"]);
        bed.wait_for("the end", |bed| bed.state()["current"] == "v2");
        bed.wait_for("the lock", |bed| bed.state()["lock"].is_null());
        child.kill().unwrap();
        child.wait().unwrap();
        if deployed {
            bed.blue.set_release("v3");
            let text = fs::read_to_string(bed.path("state.json")).unwrap();
            let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
            state["old_side"]["until"] = state["history"][0]["deployed_at"].clone();
            fs::write(bed.path("state.json"), state.to_string()).unwrap();
            bed.traffic(&["resume"])
                .is(3, &["it is kept: blue runs v3 now"]);
        } else {
            let text = fs::read_to_string(bed.path("deploy-guard.yml")).unwrap();
            fs::write(bed.path("back.yml"), text.replace(&more, "")).unwrap();
            bed.traffic(&["--config", "back.yml", "switch", "--to", "v1"])
                .is(0, &["v1 has 100%"]);
        }
        bed.traffic(&["resume"]).is(0, &["nothing to resume"]);
        assert!(!bed.path("stopped").exists());
    }
}

/// What that side ran is not known, and the caller's own `RELEASE` is another one.
#[test]
fn the_stop_of_a_side_that_does_not_answer_gets_an_empty_release() {
    let bed = Bed::new(STOPS, "");
    bed.blue.set_release("");
    let mut switch = bed.command(&["switch"]);
    End::from(switch.env("RELEASE", "v2").output().unwrap()).is(
        0,
        &[
            "v2 has 100%, an unknown release has none",
            "blue is stopped",
        ],
    );
    let stopped = fs::read_to_string(bed.path("stopped")).unwrap();
    assert_eq!(stopped, "blue \n");
}

/// A switch away from a side that was down was killed, by a build that wrote words for its release.
#[test]
fn an_abort_gives_everything_back_to_a_side_that_answers_again() {
    let bed = Bed::new("  deadline: 9s\n", "");
    bed.traffic(&["set", "50%", "--release", "v2"]).is(0, &[]);
    let mut state = bed.state();
    state["rollout"]["stable"] = "an unknown release".into();
    fs::write(bed.path("state.json"), state.to_string()).unwrap();
    bed.traffic(&["status"])
        .is(0, &["v2 has 50% beside an unknown release"]);
    bed.blue.set_release("");
    bed.traffic(&["abort"])
        .is(6, &["an unknown release does not have 100% everywhere"]);
    assert!(bed.state()["rollout"].get("stable").is_none());
    assert_eq!(bed.configured(), 50);
    bed.traffic(&["promote"]).is(
        5,
        &["v2 is being taken back", "`traffic abort` finishes that"],
    );
    bed.blue.set_release("v1");
    bed.traffic(&["abort"])
        .is(0, &["v1 has 100% again, v2 has none"]);
    assert_eq!(bed.configured(), 0);
    assert!(bed.state()["rollout"].is_null());
}

/// Both sides accept requests and answer none while a share is proved: whatever is still asked, the change has ended by then.
#[test]
fn a_change_whose_answers_hang_ends_within_its_deadline() {
    for args in [&["switch"][..], &["set", "50%", "--release", "v2"]] {
        let bed = Bed::new("  deadline: 8s\n", "");
        bed.slow_answers(Duration::from_millis(30));
        let began = Instant::now();
        let child = bed.spawn(args);
        bed.proof();
        bed.slow_answers(Duration::from_secs(120));
        let end = End::from(child.wait_with_output().unwrap());
        let took = began.elapsed();
        let end = end.is(1, &["in time", "was put back", "as before"]);
        // With the start of the process, on a busy machine.
        assert!(took < Duration::from_secs(15), "{took:?}: {}", end.text);
        assert_eq!(bed.configured(), 0);
        assert!(bed.state()["rollout"].is_null());
    }
}

/// Who gives everything to a dead side takes the service down, which the release keeps up.
#[test]
fn a_way_back_to_a_dead_side_leaves_users_where_they_are_served() {
    let more = "  stage-duration: 60s\n  watch-interval: 200ms\n  deadline: 9s\n";
    let mut bed = Bed::new(more, "");
    let (port, file) = (bed.blue.port(), bed.nginx.upstream_file());
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    let before = fs::read_to_string(&file).unwrap();
    // nginx gives all requests to the other one, which is not the share that was set.
    bed.blue = testkit::Shop::start("elsewhere");
    End::from(child.wait_with_output().unwrap()).is(
        6,
        &[
            "over time",
            "blue cannot be queried",
            "so that v2 keeps what it has",
        ],
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    for _ in 0..20 {
        let answer = testkit::get(&bed.nginx.url("/")).unwrap();
        assert_eq!(answer.header("x-version"), Some("v2"));
    }
    bed.blue = testkit::Shop::start_on("v1", port);
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
    assert_eq!(bed.configured(), 0);
}

#[test]
fn a_way_back_while_the_old_side_is_kept_is_open_and_keeps_it() {
    let bed = Bed::new("", "");
    bed.configure(&format!("{STOPS}  keep-for: 3s\n"), "");
    let child = bed.spawn(&["switch"]);
    bed.wait_for("the end", |bed| bed.state()["current"] == "v2");
    bed.wait_for("the lock", |bed| bed.state()["lock"].is_null());
    // By a hand that stops nothing.
    let text = fs::read_to_string(bed.path("deploy-guard.yml")).unwrap();
    let back = text.replace(&format!("{STOPS}  keep-for: 3s\n"), "");
    fs::write(bed.path("back.yml"), back).unwrap();
    bed.traffic(&["--config", "back.yml", "switch", "--to", "v1"])
        .is(0, &["v1 has 100%"]);
    End::from(child.wait_with_output().unwrap()).is(0, &["it is kept: v1 is live now"]);
    assert!(!bed.path("stopped").exists());
    bed.traffic(&["status"]).is(0, &["blue 100%, green 0%"]);
}

#[test]
fn a_signal_while_the_old_side_is_kept_leaves_it_running() {
    let bed = Bed::new(&format!("{STOPS}  keep-for: 60s\n"), "");
    let child = bed.spawn(&["switch"]);
    bed.wait_for("the end", |bed| bed.state()["current"] == "v2");
    bed.wait_for("the lock", |bed| bed.state()["lock"].is_null());
    signal("TERM", child.id());
    End::from(child.wait_with_output().unwrap()).is(143, &["interrupted: it is kept"]);
    assert!(!bed.path("stopped").exists());
    assert_eq!(bed.configured(), 100);
}

/// HAProxy tells what is open: a download that began before the switch is whole, and the old side is
/// stopped when it has ended, long before `drain-timeout`.
#[test]
fn the_drain_waits_for_a_download_and_no_longer() {
    let bed = Bed::new("", "");
    let proxy = Haproxy::start(bed.blue.port(), bed.green.port(), false);
    let router = format!(
        "  keep-old: false\n  drain-timeout: 60s\n  stop: touch stopped\n  haproxy:\n    socket: {}\n    backend: app\n    \
         blue: blue\n    green: green\n    release: {{ url: 'http://127.0.0.1:{}/api/v1/version', jq: .version }}\n",
        proxy.socket().display(),
        proxy.port()
    );
    bed.write(&router, "");
    let mut download = BufReader::new(TcpStream::connect(("127.0.0.1", proxy.port())).unwrap());
    let request = "GET /download HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n";
    download.get_mut().write_all(request.as_bytes()).unwrap();
    let mut first = String::new();
    download.read_line(&mut first).unwrap();
    assert!(first.contains(" 200"), "{first}");
    let began = Instant::now();
    let child = bed.spawn(&["switch"]);
    bed.wait_for("the end", |bed| bed.state()["current"] == "v2");
    assert!(!bed.path("stopped").exists(), "a download is open");
    let rest = std::io::copy(&mut download, &mut std::io::sink()).unwrap();
    assert!(rest > 1000, "{rest}");
    End::from(child.wait_with_output().unwrap())
        .is(0, &["blue is stopped; nothing was open there"]);
    assert!(bed.path("stopped").exists());
    assert!(began.elapsed() < Duration::from_secs(40));
}

#[test]
fn a_side_that_becomes_sick_in_the_delay_gets_nothing() {
    let bed = Bed::new("", "");
    bed.configure("  switch-delay: 2s\n", &gate(&bed));
    let before = fs::read_to_string(bed.nginx.upstream_file()).unwrap();
    let child = bed.spawn(&["switch"]);
    bed.wait_for("the lock", |bed| !bed.state()["lock"].is_null());
    std::thread::sleep(Duration::from_millis(700));
    bed.green.set_health("unhealthy", 503);
    End::from(child.wait_with_output().unwrap()).is(5, &["v2 is not healthy", "status 503"]);
    let after = fs::read_to_string(bed.nginx.upstream_file()).unwrap();
    assert_eq!(after, before);
    assert!(bed.state()["lock"].is_null());
    bed.green.set_health("healthy", 200);
    let began = Instant::now();
    bed.traffic(&["switch"]).is(0, &["v2 has 100%"]);
    assert!(began.elapsed() >= Duration::from_secs(2));
}

#[test]
fn a_signal_in_the_delay_changes_nothing() {
    let bed = Bed::new("  switch-delay: 60s\n", "");
    let child = bed.spawn(&["switch"]);
    bed.wait_for("the lock", |bed| !bed.state()["lock"].is_null());
    std::thread::sleep(Duration::from_millis(500));
    signal("INT", child.id());
    End::from(child.wait_with_output().unwrap()).is(130, &["nothing was changed"]);
    assert_eq!(bed.configured(), 0);
    assert!(bed.state()["lock"].is_null() && bed.state()["rollout"].is_null());
}

/// Nobody knows the numbers: the judge cannot decide.
#[test]
fn a_stage_that_cannot_be_judged_holds_or_goes_on_as_it_is_told() {
    let bed = Bed::new("", "");
    let closed = testkit::free_port();
    let canary = format!(
        "healthgate:\n  canary: {{ server: 'http://127.0.0.1:{closed}', label: release, interval: 200ms, deadline: 1s }}\n"
    );
    let stages = "  stages: [10%, 100%]\n  stage-duration: 1s\n";
    bed.configure(&format!("{stages}  on-inconclusive: hold\n"), &canary);
    bed.traffic(&["ramp", "--release", "v2", "--no-wait"])
        .is(4, &["v2 has 10% and waits for a promotion"]);
    assert_eq!((bed.configured(), bed.recorded()), (10, Some(10)));
    bed.traffic(&["ramp", "--release", "v2"])
        .is(5, &["a rollout of v2 is in progress"]);
    // A person has looked.
    bed.traffic(&["promote"]).is(0, &["v2 has 100%"]);
    bed.forget();
    bed.all_to_blue();
    bed.configure(&format!("{stages}  on-inconclusive: continue\n"), &canary);
    bed.traffic(&["ramp", "--release", "v2"])
        .is(0, &["v2 has 100%"]);
    bed.forget();
    bed.all_to_blue();
    bed.configure(stages, &canary);
    bed.traffic(&["ramp", "--release", "v2"])
        .is(4, &["v1 has 100% again"]);
    assert_eq!(bed.configured(), 0);
}

/// A person deletes the lock, or another's clock is ahead: whoever has the share without it takes it back.
#[test]
fn a_ramp_that_loses_its_lock_takes_the_share_back_where_no_other_has_it() {
    let more = "  stage-duration: 60s\n  lock-ttl: 3s\n";
    let bed = Bed::new(more, "");
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    let mut state = bed.state();
    state["lock"] = serde_json::Value::Null;
    state["generation"] = (state["generation"].as_u64().unwrap() + 1).into();
    fs::write(bed.path("state.json"), state.to_string()).unwrap();
    End::from(child.wait_with_output().unwrap()).is(
        4,
        &[
            "v1 has 100% again",
            "was lost",
            "another operation took the lock over",
            "`traffic ramp --release v2` begins anew",
        ],
    );
    assert_eq!(bed.configured(), 0);
    assert!(bed.state()["rollout"].is_null());
}

/// The disk is full, the bucket cannot be reached: the next stage cannot be written down.
#[test]
fn a_ramp_whose_state_is_gone_for_a_while_takes_the_share_back_when_it_is_there_again() {
    let more = "  stages: [10%, 100%]\n  stage-duration: 2s\n";
    let bed = Bed::new(more, "");
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    assert_eq!(bed.configured(), 10);
    let (state, aside) = (bed.path("state.json"), bed.path("aside.json"));
    fs::rename(&state, &aside).unwrap();
    fs::create_dir(&state).unwrap();
    std::thread::sleep(Duration::from_secs(5));
    fs::remove_dir(&state).unwrap();
    fs::rename(&aside, &state).unwrap();
    End::from(child.wait_with_output().unwrap()).is(4, &["v1 has 100% again"]);
    assert_eq!(bed.configured(), 0);
    assert!(bed.state()["rollout"].is_null() && bed.state()["lock"].is_null());
}

/// A work folder that is cleaned takes the state with it: no other operation knows of the share.
#[test]
fn a_ramp_whose_state_is_deleted_takes_the_share_back() {
    let bed = Bed::new("  stage-duration: 60s\n  lock-ttl: 10s\n", "");
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    bed.forget();
    let end = End::from(child.wait_with_output().unwrap());
    end.is(4, &["v1 has 100% again"]);
    assert_eq!(bed.configured(), 0);
}

/// The state was on a machine that is gone: what is in use is told, and leads to one side.
#[test]
fn a_share_that_no_state_knows_is_refused_and_ended_by_hand() {
    for (by_hand, told) in [
        (&["switch", "--to", "blue"][..], "v1 has 100%"),
        (&["set", "0%", "--release", "v2"], "v2 has 0%"),
    ] {
        let bed = Bed::new("  stage-duration: 60s\n", "");
        let mut child = bed.spawn(&["ramp", "--release", "v2"]);
        bed.phase("judging");
        child.kill().unwrap();
        child.wait().unwrap();
        bed.forget();
        for command in ["abort", "resume"] {
            let both = "is recorded, and localhost has blue 90%, green 10%";
            bed.traffic(&[command])
                .is(5, &[both, "`traffic switch --to blue`"]);
            assert_eq!(bed.configured(), 10);
        }
        bed.traffic(by_hand).is(0, &[told]);
        assert_eq!(bed.configured(), 0);
        bed.traffic(&["abort"]).is(0, &["nothing to abort"]);
    }
}

/// The state is where both machines reach it, and the second one has nothing but the configuration.
#[test]
fn a_promotion_and_an_abort_come_from_another_machine() {
    let bed = Bed::new("", "");
    let shared = Sshd::start();
    fs::write(bed.path("known_hosts"), shared.known_hosts()).unwrap();
    fs::copy(shared.key(), bed.path("key")).unwrap();
    let hosts = format!(
        "hosts:\n  box: {{ address: 127.0.0.1, port: {}, user: {}, key-file: key, known-hosts: known_hosts }}\n",
        shared.port(),
        shared.user()
    );
    let state = format!("ssh://box{}/shop.json", shared.home().display());
    bed.configure("  stage-duration: 200ms\n  max-share: 10%\n", &hosts);
    let text = fs::read_to_string(bed.path("deploy-guard.yml")).unwrap();
    let text = text.replace("state: state.json", &format!("state: {state}"));
    fs::write(bed.path("deploy-guard.yml"), text).unwrap();
    let elsewhere = bed.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for name in ["deploy-guard.yml", "known_hosts", "key"] {
        fs::copy(bed.path(name), elsewhere.join(name)).unwrap();
    }
    let there = |args: &[&str]| {
        let mut command = bed.command(args);
        End::from(command.current_dir(&elsewhere).output().unwrap())
    };
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.wait_for("10%", |bed| bed.configured() == 10);
    let waits = Instant::now() + Duration::from_secs(30);
    while !there(&["status"]).text.contains("(waiting)") {
        assert!(Instant::now() < waits, "it does not wait");
    }
    there(&["promote"]).is(0, &["v2 may have up to 100%"]);
    End::from(child.wait_with_output().unwrap()).is(0, &["v2 has 100%"]);
    there(&["switch", "--to", "v1"]).is(0, &["v1 has 100%"]);
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.wait_for("10%", |bed| bed.configured() == 10);
    there(&["abort", "--reason", "seen from afar"]).is(0, &[]);
    End::from(child.wait_with_output().unwrap()).is(1, &["seen from afar", "v1 has 100% again"]);
    assert_eq!(bed.configured(), 0);
}
