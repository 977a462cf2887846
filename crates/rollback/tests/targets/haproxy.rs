//! HAProxy: two servers behind it, switched over the runtime socket; proved by its own answers.

use std::time::Duration;

use testkit::{Haproxy, Shop, Sshd};

use crate::targets::bed::{Bed, host_line, points};

struct World {
    bed: Bed,
    blue: Shop,
    green: Shop,
    proxy: Haproxy,
}

impl World {
    /// Blue runs v1; green runs v2 and has the traffic.
    fn new(check: bool, extra: &str) -> World {
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let proxy = Haproxy::start(blue.port(), green.port(), check);
        let bed = Bed::new();
        let target = format!(
            "  haproxy:\n    socket: {}\n    backend: app\n    blue: blue\n    green: green\n    state-file: {}\n    \
             release: {{ url: \"http://127.0.0.1:{}/api/v1/version\", jq: .version }}\n    timeout: 5s\n{extra}",
            proxy.socket().display(),
            proxy.state_file().display(),
            proxy.port()
        );
        bed.configure("", &target, "");
        if extra.is_empty() {
            bed.recorded("v1", "v2");
        }
        let world = World {
            bed,
            blue,
            green,
            proxy,
        };
        world.green_takes_all();
        world
    }

    fn green_takes_all(&self) {
        self.say("set server app/green state ready");
        let up = testkit::wait_until(Duration::from_secs(20), || {
            self.say("show servers state app")
                .lines()
                .any(|line| line.contains(" green 127.0.0.1 2 "))
        });
        assert!(up, "{}", self.say("show servers state app"));
        self.say("set server app/blue state drain");
        self.answers("v2");
    }

    fn say(&self, command: &str) -> String {
        self.proxy.send_command(command)
    }

    /// Which release a user gets, twenty times.
    #[track_caller]
    fn answers(&self, release: &str) {
        for _ in 0..20 {
            let url = format!("http://127.0.0.1:{}/", self.proxy.port());
            let answer = testkit::get(&url).unwrap();
            assert_eq!(answer.header("X-Version"), Some(release));
        }
    }
}

#[test]
fn from_good_to_bad_and_back_and_a_reload_keeps_it() {
    for check in [false, true] {
        let world = World::new(check, "");
        world
            .bed
            .rollback(&["plan"])
            .is(0, &["from v2", "ready and drain the other"]);
        world.answers("v2");
        world
            .bed
            .rollback(&["run"])
            .is(0, &["rolled back from v2 to v1", "blue has the traffic"]);
        world.answers("v1");
        let states = world.bed.evidence("localhost.servers.txt");
        assert!(states.contains(" green 127.0.0.1 2 "), "{states}");
        let kept = std::fs::read_to_string(world.proxy.state_file()).unwrap();
        assert!(kept.starts_with("1\n# be_id"), "{kept}");
        world.proxy.reloaded();
        world.answers("v1");
        world
            .bed
            .rollback(&["run"])
            .is(5, &["v1 is what runs already"]);
    }
}

/// One user in twenty is not seen through the front.
#[test]
fn rb_haproxy_canary_with_a_small_share_is_never_already_gone() {
    let world = World::new(false, "");
    world.say("set server app/blue state ready");
    world.say("set server app/blue weight 95");
    world.say("set server app/green weight 5");
    world.bed.rollback(&["plan"]).is(0, &["v1"]);
    world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1"]);
    world.answers("v1");
    let states = columns(&world.say("show servers state app"));
    let green = states
        .iter()
        .find(|row| row.get(3).is_some_and(|name| name == "green"));
    // Its administrative state: drained.
    assert_ne!(green.unwrap()[6], "0", "{states:?}");
}

#[test]
fn on_a_host_it_is_asked_there_and_its_state_is_kept_there() {
    let world = World::new(true, "    hosts: web-01\n");
    let sshd = Sshd::start();
    world.bed.write("known_hosts", &sshd.known_hosts());
    let known = world.bed.path("known_hosts");
    let line = host_line("web-01", sshd.port(), &sshd.key(), &known);
    let config = world.bed.read("deploy-guard.yml");
    let target = config.split_once("rollback:\n").unwrap().1;
    let target = target.trim_start_matches("  state: state.json\n");
    world.bed.configure(&format!("hosts:\n{line}"), target, "");
    world.bed.recorded("v1", "v2");
    let state = world.bed.keep();
    world
        .bed
        .rollback(&["plan"])
        .is(0, &["from v2", "haproxy/web-01"]);
    world.answers("v2");
    world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1", "blue has the traffic"]);
    world.answers("v1");
    let kept = std::fs::read_to_string(world.proxy.state_file()).unwrap();
    assert!(kept.starts_with("1\n# be_id"), "{kept}");
    for (lines, moment) in points(4, Duration::from_millis(400), 3) {
        world.bed.put_back(&state);
        world.green_takes_all();
        world.bed.killed(lines, moment);
        let story = format!("{lines} lines and {moment:?}");
        world.bed.resume_converges("v1", &story);
        world.answers("v1");
    }
}

#[test]
fn a_release_that_no_server_runs_is_refused_before_anything_changes() {
    let world = World::new(false, "");
    world.blue.set_release("v0");
    let before = world.say("show servers state app");
    world
        .bed
        .rollback(&["run"])
        .is(5, &["no server runs v1", "runs v0"]);
    assert_eq!(
        columns(&world.say("show servers state app")),
        columns(&before)
    );
    world.answers("v2");
}

#[test]
fn a_server_that_haproxy_finds_ill_gets_no_traffic_and_all_is_put_back() {
    let world = World::new(true, "");
    world.blue.set_health("degraded", 503);
    let ill = testkit::wait_until(Duration::from_secs(20), || {
        !world
            .say("show servers state app")
            .lines()
            .any(|line| line.contains(" blue 127.0.0.1 2 "))
    });
    assert!(ill);
    world.bed.rollback(&["run"]).is(
        1,
        &["does not find blue healthy", "the servers were put back"],
    );
    world.answers("v2");
}

#[test]
fn a_server_that_begins_slowly_takes_requests() {
    let world = World::new(true, "");
    let blue = format!("server blue {} check", world.blue.address());
    world.proxy.changed(&blue, &format!("{blue} slowstart 10m"));
    world.green_takes_all();
    world.say("set server app/blue state maint");
    world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1"]);
    world.answers("v1");
}

#[test]
fn a_socket_that_may_change_nothing_is_refused_before_anything_is_tried() {
    let world = World::new(false, "");
    let socket = world.proxy.socket();
    let other = socket.with_file_name("operator.sock");
    let line = format!("  stats socket {} level operator\n", other.display());
    world
        .proxy
        .changed("defaults\n", &format!("{line}defaults\n"));
    world.green_takes_all();
    let config = world.bed.read("deploy-guard.yml");
    let (socket, other) = (socket.display().to_string(), other.display().to_string());
    world
        .bed
        .write("deploy-guard.yml", &config.replace(&socket, &other));
    world
        .bed
        .rollback(&["run"])
        .is(5, &["its level is `operator`, not `admin`"]);
    world.answers("v2");
    world
        .bed
        .rollback(&["record", "--release", "v2"])
        .is(2, &["its level is `operator`, not `admin`", "level admin`"]);
}

#[test]
fn names_that_haproxy_does_not_know_are_refused_before_a_release_is_recorded() {
    let world = World::new(false, "");
    let config = world.bed.read("deploy-guard.yml");
    let state = world.bed.read("state.json");
    for (from, to, why, hint) in [
        (
            "backend: app",
            "backend: ap",
            "HAProxy has no backend ap",
            "`rollback.haproxy.backend`",
        ),
        (
            "green: green",
            "green: gren",
            "app has no server gren",
            "it has blue, green",
        ),
    ] {
        world
            .bed
            .write("deploy-guard.yml", &config.replace(from, to));
        world
            .bed
            .rollback(&["record", "--release", "v2"])
            .is(2, &["no rollback could ever switch", why, hint]);
        assert_eq!(world.bed.read("state.json"), state);
    }
}

#[test]
fn a_switch_that_does_not_show_is_put_back() {
    let world = World::new(false, "");
    // A cookie, a rule, another backend: another server answers through the front door.
    let config = world.bed.read("deploy-guard.yml");
    let front = format!("http://127.0.0.1:{}/api", world.proxy.port());
    let elsewhere = format!("http://{}/api", world.green.address());
    world
        .bed
        .write("deploy-guard.yml", &config.replace(&front, &elsewhere));
    world.bed.rollback(&["run"]).is(
        1,
        &[
            "HAProxy does not serve v1",
            "v2 answers",
            "the servers were put back",
        ],
    );
    world.answers("v2");
}

#[test]
fn killed_at_every_line_of_the_journal_and_in_the_middle_of_a_step() {
    let world = World::new(true, "");
    let state = world.bed.keep();
    for (lines, then) in points(4, Duration::from_millis(80), 12) {
        world.bed.put_back(&state);
        world.green_takes_all();
        world.bed.killed(lines, then);
        world
            .bed
            .resume_converges("v1", &format!("{lines} lines and {then:?}"));
        world.answers("v1");
    }
}

/// Two processes on one machine, with a socket each.
#[test]
fn every_socket_of_a_list_is_switched_and_put_back() {
    let world = World::new(false, "");
    let second = Haproxy::start(world.blue.port(), world.green.port(), false);
    second.send_command("set server app/green state ready; set server app/blue state drain");
    let config = world.bed.read("deploy-guard.yml");
    let socket = format!("socket: {}", world.proxy.socket().display());
    let both = format!(
        "socket: [{}, {}]",
        world.proxy.socket().display(),
        second.socket().display()
    );
    let config = config.replace(&socket, &both);
    let front = format!("http://127.0.0.1:{}/api", world.proxy.port());
    let elsewhere = format!("http://{}/api", world.green.address());
    let states = || columns(&second.send_command("show servers state app"));
    let before = states();
    let unproved = config.replace(&front, &elsewhere);
    world.bed.write("deploy-guard.yml", &unproved);
    world
        .bed
        .rollback(&["run"])
        .is(1, &["the servers were put back"]);
    assert_eq!(states(), before);
    world.bed.write("deploy-guard.yml", &config);
    world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1"]);
    world.answers("v1");
    let live = testkit::get(&format!("http://127.0.0.1:{}/", second.port())).unwrap();
    assert_eq!(live.header("X-Version"), Some("v1"));
}

/// Names and settings, without values that change by themselves.
fn columns(state: &str) -> Vec<Vec<String>> {
    let row = |line: &str| line.split_whitespace().take(9).map(str::to_owned).collect();
    state.lines().map(row).collect()
}
