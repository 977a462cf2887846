//! Switches and ramps behind a real nginx.

use std::fs;
use std::time::{Duration, Instant};

use testkit::End;

use crate::bed::{Bed, signal};

#[test]
fn a_switch_goes_to_the_idle_side_and_back() {
    let bed = Bed::new("", "");
    bed.traffic(&["status"]).is(0, &["blue 100%, green 0%"]);
    bed.traffic(&["switch", "--dry-run"])
        .is(0, &["nothing was changed"]);
    assert_eq!(bed.configured(), 0);
    bed.traffic(&["switch"])
        .is(0, &["v2 has 100%, v1 has none"]);
    bed.traffic(&["status"]).is(0, &["blue 0%, green 100%"]);
    assert_eq!(bed.state()["current"], "v2");
    assert!(bed.state()["rollout"].is_null());
    bed.traffic(&["switch", "--to", "v1"])
        .is(0, &["v1 has 100%"]);
    bed.traffic(&["switch", "--to", "v7"])
        .is(5, &["no side runs v7"]);
    bed.traffic(&["resume"]).is(0, &["nothing to resume"]);
    bed.traffic(&["abort"]).is(0, &["nothing to abort"]);
}

#[test]
fn a_side_that_is_sick_gets_nothing() {
    let gate = "healthgate:\n  http: [{ name: ready, url: URL }]\n";
    let bed = Bed::new("", "");
    bed.configure("", &gate.replace("URL", &bed.nginx.url("/health/ready")));
    bed.green.set_health("unhealthy", 503);
    bed.traffic(&["switch"])
        .is(5, &["v2 is not healthy", "status 503"]);
    assert_eq!(bed.configured(), 0);
    bed.green.set_health("healthy", 200);
    bed.traffic(&["switch"]).is(0, &["v2 has 100%"]);
}

#[test]
fn a_ramp_gives_share_after_share_and_ends_with_everything() {
    let bed = Bed::new("  stage-duration: 300ms\n", "");
    bed.traffic(&["plan", "--release", "v2"])
        .is(0, &["would give 10%, 25%, 50%, 100% to v2", "weight=9"]);
    bed.traffic(&["ramp", "--release", "v2"])
        .is(0, &["v2 has 100%, v1 has none"]);
    bed.traffic(&["history"])
        .is(0, &["v2 at 10%", "v2 at 100%"]);
    bed.traffic(&["ramp", "--release", "v2"])
        .is(0, &["it has all requests already"]);
}

#[test]
fn a_release_that_fails_at_its_share_has_nothing_again() {
    let gate = "healthgate:\n  policy: { interval: 100ms }\n  http: [{ name: ready, url: URL }]\n";
    let bed = Bed::new("", "");
    let gate = gate.replace("URL", &bed.nginx.url("/health/ready"));
    bed.configure("  stage-duration: 20s\n", &gate);
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    assert_eq!(bed.recorded(), Some(10));
    bed.green.set_health("unhealthy", 503);
    let end = End::from(child.wait_with_output().unwrap());
    end.is(1, &["v1 has 100% again", "status 503"]);
    assert_eq!(bed.configured(), 0);
    assert!(bed.state()["rollout"].is_null());
    bed.traffic(&["status"]).is(0, &["blue 100%, green 0%"]);
    // It is known bad now.
    bed.traffic(&["ramp", "--release", "v2"]).is(
        5,
        &[
            "known bad",
            "`rollback record --release v2 --force known-bad --reason TEXT`",
        ],
    );
}

#[test]
fn a_signal_takes_the_share_back_at_once() {
    let bed = Bed::new("  stage-duration: 30s\n", "");
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    let began = Instant::now();
    signal("TERM", child.id());
    let end = End::from(child.wait_with_output().unwrap());
    assert!(began.elapsed() < Duration::from_secs(7), "{}", end.text);
    end.is(143, &["v1 has 100% again"]);
    assert_eq!(bed.configured(), 0);
    assert!(bed.state()["rollout"].is_null() && bed.state()["lock"].is_null());
}

/// The sides answer with a build number, and the rule says so: no other release answers.
#[test]
fn releases_with_another_name_by_the_rule_are_ramped_and_shown() {
    let gate = "healthgate:\n  policy: { interval: 100ms }\n  http: [{ name: ready, url: URL, release: { jq: .version, match: prefix } }]\n";
    let bed = Bed::new("", "");
    bed.blue.set_release("1.0.4+build1");
    bed.green.set_release("2.0.1+build5");
    let rest = gate.replace("URL", &bed.nginx.url("/health/ready"));
    let router = bed
        .router()
        .replace("jq: .version", "jq: .version, match: prefix");
    let ramp = "  stages: [10%, 50%, 100%]\n  max-share: 10%\n  stage-duration: 300ms\n";
    bed.write(&format!("{ramp}{router}"), &rest);
    bed.traffic(&["ramp", "--release", "2.0.1", "--no-wait"])
        .is(3, &["2.0.1 has 10%"]);
    bed.traffic(&["status"])
        .is(0, &["blue 90%, green 10%", "runs 1.0.4+build1"]);
    bed.traffic(&["promote"]).is(0, &["2.0.1 has 100%"]);
}

/// By the address of a user, all requests of ours are of one: what cannot be proved is not begun.
#[test]
fn users_divided_by_their_address_are_switched_and_not_ramped() {
    let bed = Bed::new("", "");
    let (blue, green) = (bed.blue.address(), bed.green.address());
    let config = bed.nginx.folder().join("nginx.conf");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("http://shop", "http://$up")).unwrap();
    let divided = |part: &str| format!("split_clients $remote_addr $up {{ {part}* {blue}; }}\n");
    bed.nginx.read(&divided(""));
    let router = bed.router() + "    sticky: $remote_addr\n";
    bed.write(&router, "");
    let before = fs::read_to_string(bed.nginx.upstream_file()).unwrap();
    let why = "all requests of ours are of one user";
    for command in [
        ["set", "25%", "--release", "v2"].as_slice(),
        &["ramp", "--release", "v2"],
        &["plan", "--release", "v2"],
    ] {
        bed.traffic(command).is(5, &[why]);
    }
    let after = fs::read_to_string(bed.nginx.upstream_file()).unwrap();
    assert_eq!(after, before);
    assert!(bed.state()["rollout"].is_null());
    // A person did it: nothing that is seen contradicts it.
    bed.nginx.read(&divided(&format!("25% {green}; ")));
    bed.traffic(&["status"]).is(0, &["blue 75%, green 25%"]);
    bed.traffic(&["switch"]).is(0, &["v2 has 100%"]);
}

/// As behind HAProxy: what was read and is no split fails, whoever answers.
#[test]
fn a_file_that_leaves_no_split_fails_the_status() {
    let bed = Bed::new("", "");
    let (blue, green) = (bed.blue.address(), bed.green.address());
    bed.nginx.read(&format!(
        "upstream shop {{ server {blue}; server {green} down; server 127.0.0.1:9; }}\n"
    ));
    bed.traffic(&["status"]).is(
        1,
        &[
            "gives traffic to 127.0.0.1:9 too",
            "let blue and green alone share the requests",
        ],
    );
    fs::remove_file(bed.nginx.upstream_file()).unwrap();
    bed.traffic(&["status"]).is(1, &["there is no file"]);
    fs::create_dir(bed.nginx.upstream_file()).unwrap();
    bed.traffic(&["status"])
        .is(4, &["see whether the router runs and its file can be read"]);
}

#[test]
fn a_share_is_set_and_stays() {
    let bed = Bed::new("", "");
    bed.traffic(&["set", "25%", "--release", "v2"])
        .is(0, &["v2 has 25%"]);
    assert_eq!(bed.configured(), 25);
    bed.traffic(&["status"])
        .is(0, &["blue 75%, green 25%", "v2 has 25% beside v1 (held)"]);
    bed.traffic(&["resume"]).is(0, &["nothing to resume"]);
    bed.traffic(&["ramp", "--release", "v2"])
        .is(5, &["a rollout of v2 is in progress"]);
    bed.traffic(&["set", "50%", "--release", "v2"])
        .is(0, &["v2 has 50%"]);
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
    assert_eq!(bed.configured(), 0);
    bed.traffic(&["set", "10", "--release", "v2"])
        .is(2, &["write `10%`"]);
    bed.traffic(&["set", "101%", "--release", "v2"])
        .is(2, &["is not a share"]);
}

/// A file whose author wrote the canary first: nginx gives it every request without the cookie, whatever its share.
#[test]
fn a_canary_that_is_the_first_line_of_split_clients_is_told_to_get_what_has_no_key() {
    let bed = Bed::new("", "");
    let (blue, green) = (bed.blue.address(), bed.green.address());
    let config = bed.nginx.folder().join("nginx.conf");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("http://shop", "http://$up")).unwrap();
    bed.nginx.read(&format!(
        "split_clients $cookie_id $up {{ 10% {green}; * {blue}; }}\n"
    ));
    bed.write(&format!("{}    sticky: $cookie_id\n", bed.router()), "");
    let release = || {
        let answer = testkit::get(&bed.nginx.url("/")).unwrap();
        answer.header("x-version").map(str::to_owned)
    };
    let canary = "a request without `$cookie_id` goes to green, whose line is the first";
    assert_eq!(release().as_deref(), Some("v2"));
    bed.traffic(&["status"])
        .is(0, &["blue 90%, green 10%", canary]);
    let set = ["set", "25%", "--release", "v2"];
    bed.traffic(&[&set[..], &["--dry-run"]].concat())
        .is(0, &[canary]);
    bed.traffic(&set).is(0, &["v2 has 25%", canary]);
    assert_eq!(release().as_deref(), Some("v2"));
    // The line that is written for a first share comes last.
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
    bed.traffic(&set)
        .is(0, &["a request without `$cookie_id` goes to blue"]);
    assert_eq!(release().as_deref(), Some("v1"));
}
