//! What reports success and is not in effect.

use std::fs;
use std::net::TcpListener;

use testkit::End;

use crate::bed::Bed;

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
