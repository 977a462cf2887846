//! Switches and ramps behind a real HAProxy, and what it does on its own.

use std::time::{Duration, Instant};

use testkit::{End, Haproxy};

use crate::bed::Bed;

/// A backend whose reload keeps what is set, by its state file.
const KEPT: bool = true;

struct World {
    bed: Bed,
    proxy: Haproxy,
}

impl World {
    /// Blue runs v1 and has everything, green runs v2 and waits in maintenance.
    fn new(more: &str, is_kept: bool) -> World {
        let bed = Bed::new("", "");
        let proxy = Haproxy::start(bed.blue.port(), bed.green.port(), false);
        let world = World { bed, proxy };
        world.configure(more, is_kept);
        world
    }

    fn configure(&self, more: &str, is_kept: bool) {
        let state = if is_kept {
            format!("    state-file: {}\n", self.proxy.state_file().display())
        } else {
            String::new()
        };
        let router = format!(
            "{more}  haproxy:\n    socket: {}\n    backend: app\n    blue: blue\n    green: green\n{state}    \
             release: {{ url: 'http://127.0.0.1:{}/api/v1/version', jq: .version }}\n    timeout: 5s\n",
            self.proxy.socket().display(),
            self.proxy.port()
        );
        self.bed.write(&router, "");
    }

    /// The servers with their states and weights, without what changes by itself.
    fn servers(&self) -> Vec<String> {
        let states = self.proxy.send_command("show servers state app");
        let row = |line: &str| line.split(' ').take(9).collect::<Vec<_>>().join(" ");
        states.lines().map(row).collect()
    }

    /// How many of a hundred new users get v2.
    fn of_hundred(&self) -> usize {
        let url = format!("http://127.0.0.1:{}/", self.proxy.port());
        let release = || testkit::get(&url).unwrap();
        (0..100)
            .filter(|_| release().header("x-version") == Some("v2"))
            .count()
    }
}

#[test]
fn haproxy_switches_and_keeps_it_over_a_reload() {
    let world = World::new("", KEPT);
    let bed = &world.bed;
    bed.traffic(&["status"]).is(0, &["blue 100%, green 0%"]);
    bed.traffic(&["switch", "--dry-run"])
        .is(0, &["set server app/green"]);
    assert_eq!(world.of_hundred(), 0);
    bed.traffic(&["switch"])
        .is(0, &["v2 has 100%, v1 has none"]);
    assert_eq!(world.of_hundred(), 100);
    bed.traffic(&["status"]).is(0, &["blue 0%, green 100%"]);
    world.proxy.reloaded();
    assert_eq!(world.of_hundred(), 100);
    bed.traffic(&["status"]).is(0, &["blue 0%, green 100%"]);
    bed.traffic(&["switch", "--to", "v1"])
        .is(0, &["v1 has 100%"]);
    assert_eq!(world.of_hundred(), 0);
}

/// The same with its configuration written, and no state file that it would read.
#[test]
fn haproxy_keeps_a_share_over_a_reload_by_its_configuration() {
    let world = World::new("", !KEPT);
    let (bed, proxy) = (&world.bed, &world.proxy);
    proxy.changed("  load-server-state-from-file global\n", "");
    let file = proxy.socket().with_file_name("haproxy.cfg");
    let test = format!(
        "{} -c -f {}",
        testkit::tool("haproxy").display(),
        file.display()
    );
    let router = format!(
        "  haproxy:\n    socket: {}\n    backend: app\n    blue: blue\n    green: green\n    config-file: {}\n    test: {test}\n    \
         release: {{ url: 'http://127.0.0.1:{}/api/v1/version', jq: .version }}\n",
        proxy.socket().display(),
        file.display(),
        proxy.port()
    );
    bed.write(&router, "");
    for (args, of_hundred, told) in [
        (
            &["set", "25%", "--release", "v2"][..],
            25,
            "blue 75%, green 25%",
        ),
        (
            &["set", "100%", "--release", "v2"],
            100,
            "blue 0%, green 100%",
        ),
        (&["switch", "--to", "v1"], 0, "blue 100%, green 0%"),
    ] {
        bed.traffic(args).is(0, &[]);
        proxy.reloaded();
        assert_eq!(world.of_hundred(), of_hundred, "{args:?}");
        bed.traffic(&["status"]).is(0, &[told]);
    }
}

#[test]
fn haproxy_ramps_and_takes_back() {
    let world = World::new("  stage-duration: 300ms\n", KEPT);
    let bed = &world.bed;
    bed.traffic(&["set", "25%", "--release", "v2"])
        .is(0, &["v2 has 25%"]);
    // It takes turns: of a hundred in a row a quarter.
    assert_eq!(world.of_hundred(), 25);
    bed.traffic(&["status"])
        .is(0, &["blue 75%, green 25%", "v2 has 25% beside v1 (held)"]);
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
    assert_eq!(world.of_hundred(), 0);
    bed.traffic(&["ramp", "--release", "v2"])
        .is(0, &["v2 has 100%, v1 has none"]);
    assert_eq!(world.of_hundred(), 100);
}

/// A reload forgets what was set at the socket: what is recorded is not what users get.
#[test]
fn haproxy_reload_without_a_state_file_is_noticed() {
    let world = World::new("  stage-duration: 60s\n  watch-interval: 200ms\n", !KEPT);
    let bed = &world.bed;
    // Before it happens.
    bed.traffic(&["set", "25%", "--release", "v2"])
        .is(0, &["v2 has 25%"]);
    let end = bed.traffic(&["status"]);
    let end = end.is(1, &["a restart would change it"]);
    assert!(!end.text.contains("another changed it"), "{}", end.text);
    world.proxy.reloaded();
    assert_eq!(world.of_hundred(), 0);
    bed.traffic(&["status"]).is(
        1,
        &["recorded 25%, and haproxy uses 0%: another changed it"],
    );
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);

    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    std::thread::sleep(Duration::from_secs(1));
    assert!(
        bed.state()["rollout"]["phase"] == "judging",
        "nothing has changed yet: {}",
        bed.state()
    );
    world.proxy.reloaded();
    let end = End::from(child.wait_with_output().unwrap());
    end.is(
        1,
        &[
            "blue 100%, green 0%",
            "blue 90%, green 10%",
            "another changed it",
        ],
    );
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
}

/// Without a state file, what is in use counts, and not what a restart would use: a second switch is the way back.
#[test]
fn haproxy_without_a_state_file_goes_by_what_is_in_use() {
    let world = World::new("  stage-duration: 300ms\n", !KEPT);
    let bed = &world.bed;
    bed.traffic(&["switch"]).is(
        0,
        &[
            "v2 has 100%",
            "a restart of haproxy brings back blue 100%, green 0%",
        ],
    );
    assert_eq!(world.of_hundred(), 100);
    bed.traffic(&["switch"])
        .is(0, &["v1 has 100%, v2 has none"]);
    assert_eq!(world.of_hundred(), 0);
    bed.traffic(&["switch"]).is(0, &["v2 has 100%"]);
    bed.blue.set_release("v3");
    bed.traffic(&["ramp", "--release", "v3"])
        .is(0, &["v3 has 100%, v2 has none"]);
    assert_eq!(world.of_hundred(), 0, "v3 is on blue");
}

/// `set weight 50%` is half of the first weight, and half of nothing is nothing.
#[test]
fn haproxy_half_of_a_weight_of_nothing_is_half_of_the_requests() {
    let world = World::new("", KEPT);
    let green = format!("server green {}", world.bed.green.address());
    world.proxy.changed(&green, &format!("{green} weight 0"));
    world
        .bed
        .traffic(&["set", "50%", "--release", "v2"])
        .is(0, &["v2 has 50%"]);
    assert_eq!(world.of_hundred(), 50);
    world
        .bed
        .traffic(&["status"])
        .is(0, &["blue 50%, green 50%"]);
    // What anybody would send for the same.
    world.proxy.send_command("set weight app/green 50%");
    assert_eq!(world.of_hundred(), 0);
    world
        .bed
        .traffic(&["status"])
        .is(1, &["haproxy uses blue 100%, green 0%"]);
}

#[test]
fn haproxy_static_balance_takes_no_share() {
    let world = World::new("", KEPT);
    world
        .proxy
        .changed("backend app\n", "backend app\n  balance static-rr\n");
    let before = world.servers();
    world
        .bed
        .traffic(&["set", "25%", "--release", "v2"])
        .is(5, &["`balance static-rr`", "nothing was changed"]);
    assert_eq!(world.servers(), before);
    assert!(world.bed.state()["rollout"].is_null());
    world
        .bed
        .traffic(&["switch"])
        .is(0, &["v2 has 100%, v1 has none"]);
    assert_eq!(world.of_hundred(), 100);
}

/// Users whose cookie names a server stay there while it drains.
#[test]
fn haproxy_cookie_keeps_users_where_they_are() {
    let world = World::new("", KEPT);
    let (blue, green) = (world.bed.blue.address(), world.bed.green.address());
    world.proxy.changed(
        "backend app\n",
        "backend app\n  cookie SIDE insert indirect nocache\n",
    );
    for (name, address) in [("blue", blue), ("green", green)] {
        let line = format!("server {name} {address}");
        world.proxy.changed(&line, &format!("{line} cookie {name}"));
    }
    let known = || {
        let url = format!("http://127.0.0.1:{}/", world.proxy.port());
        let cookie = [("Cookie", "SIDE=blue")];
        let answer = testkit::request("GET", &url, &cookie, b"").unwrap();
        answer.header("x-version").unwrap_or_default().to_owned()
    };
    let bed = &world.bed;
    bed.traffic(&["set", "25%", "--release", "v2", "--dry-run"])
        .is(0, &["users whose cookie SIDE names a server stay there"]);
    bed.traffic(&["set", "25%", "--release", "v2"])
        .is(0, &["v2 has 25%"]);
    assert_eq!(world.of_hundred(), 25);
    assert_eq!(known(), "v1");
    // Drained, blue keeps them.
    bed.traffic(&["abort"]).is(0, &[]);
    bed.traffic(&["switch", "--dry-run"])
        .is(0, &["users whose cookie SIDE names a server stay there"]);
    bed.traffic(&["switch"]).is(0, &["v2 has 100%"]);
    assert_eq!(world.of_hundred(), 100);
    assert_eq!(known(), "v1");
}

/// Users of the third server are of neither side, and where both are in maintenance nobody is served.
#[test]
fn haproxy_servers_beside_the_two_and_none_at_all_are_told() {
    let world = World::new("  stage-duration: 60s\n  watch-interval: 200ms\n", KEPT);
    let bed = &world.bed;
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.phase("judging");
    world.proxy.send_command("set server app/blue state maint");
    world.proxy.send_command("set server app/green state maint");
    let end = End::from(child.wait_with_output().unwrap());
    let told = ["neither blue nor green gets traffic", "another changed it"];
    end.is(1, &told);
    bed.traffic(&["status"])
        .is(1, &["neither blue nor green gets traffic"]);
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);

    // One that is dead: each request that HAProxy gives to it takes its whole time.
    let green = format!("server green {}", bed.green.address());
    let third = format!("server third 127.0.0.1:{}\n  {green}", testkit::free_port());
    world.proxy.changed(&green, &third);
    let began = Instant::now();
    bed.traffic(&["status"]).is(
        1,
        &[
            "gives traffic to third too",
            "let blue and green alone share the requests",
        ],
    );
    assert!(began.elapsed() < Duration::from_secs(40));
}

#[test]
fn haproxy_that_cannot_be_asked_is_an_error() {
    let world = World::new("", !KEPT);
    let socket = world.proxy.socket();
    std::fs::rename(&socket, socket.with_extension("away")).unwrap();
    world
        .bed
        .traffic(&["status"])
        .is(4, &["there is no such socket"]);
}

/// A change that is refused is no rollout.
#[test]
fn haproxy_a_share_that_is_refused_leaves_no_rollout() {
    let world = World::new("", !KEPT);
    let green = format!("server green {}", world.bed.green.address());
    world
        .proxy
        .changed(&format!("{green} disabled"), &format!("{green} backup"));
    let bed = &world.bed;
    bed.traffic(&["set", "10%", "--release", "v2"])
        .is(5, &["`backup`", "nothing was changed"]);
    assert!(bed.state()["rollout"].is_null(), "{}", bed.state());
    // Whole, a backup can be switched to.
    bed.traffic(&["status"]).is(0, &["blue 100%, green 0%"]);
    bed.traffic(&["switch"])
        .is(0, &["v2 has 100%, v1 has none"]);
    assert_eq!(world.of_hundred(), 100);
}
