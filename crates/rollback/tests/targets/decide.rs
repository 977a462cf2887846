//! Which release users get: SAFE, CRITICAL or UNKNOWN.

use std::time::Duration;

use serde_json::json;
use testkit::{Haproxy, Nginx, Shop};

use crate::targets::bed::{Bed, mock};

struct World {
    bed: Bed,
    blue: Shop,
    green: Shop,
    nginx: Nginx,
}

impl World {
    /// v1 on blue is good and has the traffic; v2 was deployed on green. `more` of `rollback:`.
    fn new(more: impl Fn(&Shop, &Nginx) -> String) -> World {
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let nginx = Nginx::start(&blue.address());
        let bed = Bed::new();
        let target = json!({
            "upstream-file": nginx.upstream_file(),
            "blue": blue.address(),
            "green": green.address(),
            "release": {"url": nginx.url("/api/v1/version"), "jq": ".version"},
            "test": nginx.test_command(),
            "reload": nginx.reload_command(),
        });
        let target = format!("{}  nginx: {target}\n", more(&green, &nginx));
        bed.configure("", &target, "");
        bed.recorded("v1", "v2");
        World {
            bed,
            blue,
            green,
            nginx,
        }
    }

    fn give_traffic_to(&self, shop: &Shop, release: &str) {
        self.nginx.switch_to(&shop.address());
        let answer = testkit::get(&self.nginx.url("/api/v1/version")).unwrap();
        assert_eq!(answer.header("x-version"), Some(release));
    }
}

/// A direct way and one through the proxy, as the runbook asks them.
fn two_ways(green: &Shop, nginx: &Nginx) -> String {
    let ways = json!([
        {"name": "new-instance", "release": {"url": green.url("/api/v1/version"), "jq": ".version"}},
        {"name": "users", "traffic": true, "release": {"url": nginx.url("/api/v1/version"), "jq": ".version"}},
    ]);
    format!("  entrypoints: {ways}\n")
}

fn by_itself(_: &Shop, _: &Nginx) -> String {
    String::new()
}

#[test]
fn runbook_000_immediate_decision_safe_or_critical() {
    let world = World::new(two_ways);
    let before = world.bed.read("state.json");
    world.bed.rollback(&["decide"]).is(
        0,
        &[
            "SAFE",
            "decide/users",
            "v1 answers (recorded good)",
            "v2 answers (deployed and not recorded good)",
        ],
    );
    world.give_traffic_to(&world.green, "v2");
    world.bed.rollback(&["decide"]).is(
        1,
        &["CRITICAL", "users get the new release: v2", "rollback run"],
    );
    assert_eq!(
        world.bed.read("state.json"),
        before,
        "asking changes nothing"
    );
}

#[test]
fn the_colours_of_a_proxy_are_asked_by_themselves() {
    let world = World::new(by_itself);
    world
        .bed
        .rollback(&["decide"])
        .is(0, &["SAFE", "decide/nginx", "decide/blue", "decide/green"]);
    world.give_traffic_to(&world.green, "v2");
    world.bed.rollback(&["decide"]).is(1, &["CRITICAL"]);
    world.bed.rollback(&["run"]).is(0, &[]);
    world
        .bed
        .rollback(&["decide"])
        .is(0, &["SAFE", "recorded bad"]);
}

#[test]
fn a_way_without_traffic_that_does_not_answer_decides_nothing() {
    let world = World::new(two_ways);
    let World { bed, green, .. } = world;
    drop(green);
    bed.rollback(&["decide"])
        .is(0, &["SAFE", "decide/new-instance", "refused"]);
}

#[test]
fn what_nobody_knows_is_never_safe() {
    let world = World::new(two_ways);
    // Neither the proxy nor the service behind it names its release.
    world.blue.set_release("");
    world.bed.rollback(&["decide"]).is(3, &["UNKNOWN"]);
    world.blue.set_release("v1");
    world.bed.rollback(&["decide"]).is(0, &["SAFE"]);
    // A good release that `--release` names as the suspect.
    world
        .bed
        .rollback(&["decide", "--release", "v1"])
        .is(1, &["CRITICAL", "the release that was named"]);
    // A release that was never recorded.
    world.blue.set_release("v0.9");
    world
        .bed
        .rollback(&["decide"])
        .is(1, &["CRITICAL", "never recorded"]);
    world.blue.set_release("v1");
    world.bed.forget();
    world
        .bed
        .rollback(&["decide"])
        .is(3, &["UNKNOWN", "no good release was recorded"]);
    let World { bed, nginx, .. } = world;
    // While nginx's files are there: they end with it, and a record asks for them.
    bed.recorded("v1", "v2");
    drop(nginx);
    bed.rollback(&["decide"]).is(3, &["UNKNOWN", "refused"]);
}

#[test]
fn one_user_in_two_with_the_new_release_is_critical() {
    let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
    let proxy = Haproxy::start(blue.port(), green.port(), false);
    let bed = Bed::new();
    let target = format!(
        "  haproxy: {{ socket: {}, backend: app, blue: blue, green: green, \
         release: {{ url: \"http://127.0.0.1:{}/api/v1/version\", jq: .version }} }}",
        proxy.socket().display(),
        proxy.port()
    );
    bed.configure("", &target, "");
    bed.recorded("v1", "v2");
    let say = |command: &str| {
        use std::io::{Read as _, Write as _};
        let mut stream = std::os::unix::net::UnixStream::connect(proxy.socket()).unwrap();
        stream.write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
    };
    for colour in ["blue", "green"] {
        say(&format!("set server app/{colour} weight 100"));
        say(&format!("set server app/{colour} state ready"));
    }
    let both = testkit::wait_until(Duration::from_secs(20), || {
        let seen: std::collections::BTreeSet<String> = (0..20)
            .map(|_| {
                let answer = testkit::get(&format!("http://127.0.0.1:{}/", proxy.port())).unwrap();
                answer.header("x-version").unwrap_or_default().to_owned()
            })
            .collect();
        seen.len() == 2
    });
    assert!(both);
    bed.rollback(&["decide"])
        .is(1, &["CRITICAL", "v1 answers", "v2 answers"]);
}

#[test]
fn entrypoints_that_decide_nothing_are_a_usage_error() {
    let bed = Bed::new();
    let target = "  command: { run: \"true\" }\n  entrypoints:\n";
    for (way, words) in [
        (
            "{ name: a, release: { url: \"http://127.0.0.1:1/\" } }",
            "traffic: true",
        ),
        (
            "{ name: a, traffic: true, release: { jq: .version } }",
            "does not name a URL",
        ),
        (
            "{ name: a, traffic: true, via: web-01, release: { url: \"http://127.0.0.1:1/\" } }",
            "web-01",
        ),
    ] {
        bed.configure("", &format!("{target}    - {way}"), "");
        bed.rollback(&["decide"]).is(2, &[words]);
    }
    bed.configure("", "  command: { run: \"true\" }", "");
    bed.rollback(&["decide"]).is(2, &["rollback.entrypoints"]);
}

#[test]
fn an_answer_that_could_mean_two_releases_is_taken_for_the_worse() {
    let body = json!({"version": "43", "build": "42"});
    let server = mock(wiremock::ResponseTemplate::new(200).set_body_json(body));
    let bed = Bed::new();
    let way = format!(
        "  command: {{ run: \"true\" }}\n  entrypoints: [{{ name: users, traffic: true, release: {{ url: \"{}\" }} }}]",
        server.uri()
    );
    bed.configure("", &way, "");
    bed.recorded("42", "43");
    bed.rollback(&["decide"]).is(
        1,
        &[
            "42 answers (recorded good)",
            "users get the new release: 43",
        ],
    );
}
