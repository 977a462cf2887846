//! What reports success and is not in effect.

use std::fs;
use std::net::TcpListener;

use testkit::End;

use crate::bed::{Bed, signal};

/// `nginx -t` and `-s reload` end with 0, and the old file stays live: a port of the new
/// configuration is in use.
#[test]
fn nginx_keeps_the_old_file_after_success() {
    let bed = Bed::new("  deadline: 6s\n", "");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = bed.nginx.folder().join("nginx.conf");
    let text = fs::read_to_string(&config).unwrap();
    let blocked = text.replacen(
        "server {",
        &format!("server {{ listen 127.0.0.1:{port}; }}\nserver {{"),
        1,
    );
    // `-t` would see it: the check is one that a person wrote, and it is too small.
    fs::write(&config, blocked).unwrap();
    bed.write(
        &format!("  deadline: 6s\n{}", bed.router()).replace(&bed.nginx.test_command(), "true"),
        "",
    );
    let before = fs::read_to_string(bed.nginx.upstream_file()).unwrap();
    bed.traffic(&["switch"])
        .is(1, &["0 of ", "answers were of green"]);
    assert_eq!(
        fs::read_to_string(bed.nginx.upstream_file()).unwrap(),
        before
    );
    bed.traffic(&["set", "25%", "--release", "v2"])
        .is(1, &["should be in effect"]);
    assert_eq!(
        fs::read_to_string(bed.nginx.upstream_file()).unwrap(),
        before
    );
    assert!(bed.state()["rollout"].is_null());
}

/// By `split_clients` each answer is chance: of many tries one would seem to show the share that was set.
#[test]
fn a_share_that_is_not_in_effect_is_not_proved_by_asking_again() {
    let bed = Bed::new("", "");
    let (blue, green) = (bed.blue.address(), bed.green.address());
    let config = bed.nginx.folder().join("nginx.conf");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("http://shop", "http://$up")).unwrap();
    bed.nginx.read(&format!(
        "split_clients $cookie_id $up {{ 10% {green}; * {blue}; }}\n"
    ));
    let router = format!("  deadline: 12s\n{}    sticky: $cookie_id\n", bed.router());
    bed.write(&router, "");
    bed.traffic(&["set", "10%", "--release", "v2"])
        .is(0, &["v2 has 10%"]);
    // It keeps the old file from now on, and reports success.
    let deaf = router.replace(&bed.nginx.reload_command(), "true");
    bed.write(&deaf, "");
    bed.traffic(&["set", "25%", "--release", "v2"])
        .is(1, &["blue 75%, green 25% should be in effect"]);
    for _ in 0..2 {
        bed.traffic(&["abort"]).is(6, &["blue should get all"]);
        assert!(!bed.state()["rollout"].is_null());
    }
    bed.write(&router, "");
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
}

/// The file gives everything to green, and nginx was not reloaded: blue is no idle side.
#[test]
fn a_side_that_answers_is_no_idle_side_whatever_the_file_has() {
    let bed = Bed::new("", "");
    let (blue, green) = (bed.blue.address(), bed.green.address());
    let file = bed.nginx.upstream_file();
    fs::write(
        &file,
        format!("upstream shop {{\n    server {blue} down;\n    server {green};\n}}\n"),
    )
    .unwrap();
    let unlike = "blue 0%, green 100% should be in effect, and 0 of 45 answers were of green";
    bed.traffic(&["switch"]).is(5, &[unlike, "`--to blue`"]);
    bed.traffic(&["ramp", "--release", "v2"])
        .is(1, &["green should get all"]);
    assert!(bed.state()["rollout"].is_null());
    bed.traffic(&["set", "100%", "--release", "v2"])
        .is(0, &["v2 has 100%"]);
    bed.traffic(&["ramp", "--release", "v2"])
        .is(0, &["it has all requests already"]);
}

/// The file that is named is not one that nginx reads.
#[test]
fn the_wrong_block_is_edited() {
    let bed = Bed::new("  deadline: 6s\n", "");
    let unread = bed.path("unread.conf");
    fs::copy(bed.nginx.upstream_file(), &unread).unwrap();
    let router = bed.router().replace(
        &bed.nginx.upstream_file().display().to_string(),
        &unread.display().to_string(),
    );
    bed.write(&format!("  deadline: 6s\n{router}"), "");
    let before = fs::read_to_string(&unread).unwrap();
    let end = bed.traffic(&["switch"]);
    assert!([1, 5].contains(&end.code), "{}", end.text);
    assert_eq!(fs::read_to_string(&unread).unwrap(), before);
    assert_eq!(bed.configured(), 0);
}

/// A reload that another makes every moment begins the round anew each time: the canary starves.
#[test]
fn a_canary_starves_under_reloads() {
    let bed = Bed::new("  stage-duration: 60s\n  watch-interval: 200ms\n", "");
    let child = bed.spawn(&["ramp", "--release", "v2", "--stages", "5%,100%"]);
    bed.phase("judging");
    let reload = bed.nginx.reload_command();
    let mut other = std::process::Command::new("sh")
        .args(["-c", &format!("while :; do {reload}; sleep 0.01; done")])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let end = End::from(child.wait_with_output().unwrap());
    other.kill().unwrap();
    other.wait().unwrap();
    end.is(1, &["5%", "answers were of green", "v1 has 100% again"]);
    assert_eq!(bed.configured(), 0);
}

/// The stage is over long before so many answers are missing that they cannot be chance, and the proofs ask faster than the
/// reloads come.
#[test]
fn a_canary_that_starves_passes_no_short_stage() {
    let bed = Bed::new("  stage-duration: 2s\n", "");
    let child = bed.spawn(&["ramp", "--release", "v2", "--stages", "25%,100%"]);
    bed.phase("judging");
    let reload = bed.nginx.reload_command();
    let mut other = std::process::Command::new("sh")
        .args(["-c", &format!("while :; do {reload}; sleep 0.1; done")])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let end = End::from(child.wait_with_output().unwrap());
    other.kill().unwrap();
    other.wait().unwrap();
    end.is(1, &["and over time 0 of ", "v1 has 100% again"]);
    assert_eq!(bed.configured(), 0);
}

/// Honest switches raise no alarm. `SWITCHES=500` makes so many.
#[test]
fn honest_switches_raise_no_alarm() {
    let count = std::env::var("SWITCHES").map_or(8, |text| text.parse().unwrap());
    let bed = Bed::new("", "");
    for nth in 0..count {
        let share = ["10%", "25%", "50%", "5%"][nth % 4];
        bed.traffic(&["set", share, "--release", "v2"]).is(0, &[]);
        bed.traffic(&["abort"]).is(0, &[]);
    }
}

/// Another writes a third server into the block, or takes the file away: no share is left to be right.
#[test]
fn an_edit_that_leaves_no_split_stops_the_ramp() {
    let third: fn(&Bed) = |bed| {
        let (blue, green) = (bed.blue.address(), bed.green.address());
        bed.nginx.read(&format!(
            "upstream shop {{ server {blue} weight=9; server {green}; server 127.0.0.1:9; }}\n"
        ));
    };
    let gone: fn(&Bed) = |bed| fs::remove_file(bed.nginx.upstream_file()).unwrap();
    for (edit, why) in [
        (third, "gives traffic to 127.0.0.1:9 too"),
        (gone, "there is no file"),
    ] {
        let bed = Bed::new("  stage-duration: 60s\n  watch-interval: 200ms\n", "");
        let child = bed.spawn(&["ramp", "--release", "v2"]);
        bed.phase("judging");
        edit(&bed);
        let end = End::from(child.wait_with_output().unwrap());
        let told = ["had blue 90%, green 10%", why, "another changed it"];
        end.is(1, &told);
        assert_eq!(bed.state()["rollout"]["phase"], "held");
        // What another wrote is there until someone has looked.
        bed.all_to_blue();
        bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
    }
}

/// nginx ends in the middle of a ramp, and no probe is configured that would see it.
#[test]
fn a_router_that_is_gone_passes_no_stage() {
    let bed = Bed::new("  stage-duration: 60s\n  watch-interval: 200ms\n", "");
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    signal("TERM", bed.nginx.process().pid());
    let end = End::from(child.wait_with_output().unwrap());
    end.is(6, &["connection refused", "`traffic abort` tries again"]);
    assert_eq!(bed.recorded(), Some(10), "for `traffic abort` when it runs");
}

/// Both sides have a share, and the router refuses the first change.
#[test]
fn a_ramp_whose_first_share_is_refused_changes_nothing() {
    let bed = Bed::new("", "");
    bed.weigh(9, 1);
    let router = bed.router();
    bed.write(&router.replace(&bed.nginx.test_command(), "false"), "");
    bed.traffic(&["ramp", "--release", "v2"])
        .is(5, &["broken before any change", "nothing was changed"]);
    assert!(bed.state()["rollout"].is_null(), "{}", bed.state());
    assert_eq!(bed.configured(), 10);
}

/// What names a release is a name, and nothing that a log or a terminal would take for more.
#[test]
fn a_release_whose_name_is_no_name_gets_nothing() {
    let bed = Bed::new("", "");
    bed.green.set_release("v2\towned");
    bed.traffic(&["switch"])
        .is(5, &["has a line break or another control character"]);
    assert_eq!(bed.configured(), 0);
    for to in ["", "v2\n::error::owned"] {
        bed.traffic(&["switch", "--to", to])
            .is(2, &["`--to` cannot be used"]);
    }
}

/// A side at a socket could never be asked.
#[test]
fn a_side_at_a_socket_is_refused_by_the_configuration() {
    let bed = Bed::new("", "");
    let router = bed.router();
    let green = format!("green: {}", bed.green.address());
    bed.write(&router.replace(&green, "green: 'unix:/run/green.sock'"), "");
    bed.traffic(&["status"])
        .is(2, &["is a socket", "write `host:port`"]);
}

/// What one release loses, the other one gets: it must be fit for it.
#[test]
fn a_share_that_is_taken_from_one_release_goes_to_a_healthy_one_only() {
    let gate = "healthgate:\n  http: [{ name: ready, url: URL }]\n";
    let bed = Bed::new("", "");
    bed.configure("", &gate.replace("URL", &bed.nginx.url("/health/ready")));
    bed.green.set_health("unhealthy", 503);
    bed.traffic(&["set", "20%", "--release", "v1"])
        .is(5, &["v2 is not healthy", "status 503"]);
    assert_eq!(bed.configured(), 0);
    bed.green.set_health("healthy", 200);
    bed.traffic(&["set", "80%", "--release", "v1"])
        .is(0, &["v1 has 80%"]);
    assert_eq!(bed.configured(), 20);
}
