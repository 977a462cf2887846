//! HAProxy: the weights of two servers over its runtime socket, read back, and what it does not say.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use router::{Health, Side};
use serde_json::{Value, json};
use testkit::{Haproxy, Shop, Sshd};

use crate::bed::{Bed, answered, green, settles};

pub(crate) struct World {
    pub(crate) blue: Shop,
    pub(crate) green: Shop,
    pub(crate) proxy: Haproxy,
}

impl World {
    /// Blue runs v1 and has the traffic; green runs v2 and is in maintenance.
    pub(crate) fn new(check: bool) -> World {
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let proxy = Haproxy::start(blue.port(), green.port(), check);
        World { blue, green, proxy }
    }

    pub(crate) fn section(&self) -> Value {
        json!({"haproxy": {
            "socket": self.proxy.socket(),
            "backend": "app",
            "blue": "blue",
            "green": "green",
            "release": {"url": format!("{}api/v1/version", self.url()), "jq": ".version"},
            "timeout": "5s",
        }})
    }

    pub(crate) fn bed(&self) -> Bed {
        Bed::new(&self.section())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.proxy.port())
    }
}

#[test]
fn shares_are_what_answers_and_what_it_counts() {
    for check in [false, true] {
        let world = World::new(check);
        let bed = world.bed();
        let used = bed.router();
        assert_eq!(used.loaded(), Some(green("0%")));
        let image = used.run(used.router.snapshot(&used.place)).unwrap();
        for (share, most_off) in [
            ("10%", 1),
            ("25%", 1),
            ("33%", 3),
            ("50%", 1),
            ("100%", 0),
            ("1%", 1),
            ("0%", 0),
        ] {
            let change = used
                .run(used.router.check(&used.place, green(share)))
                .unwrap();
            assert_eq!(change.split, green(share));
            used.set(share);
            assert_eq!(used.loaded(), Some(green(share)), "{share}");
            let before = used.run(used.router.counts(&used.place)).unwrap().unwrap();
            let seen = answered(&world.url(), 100);
            let expected = u32::from(green(share).of(Side::Green).steps()) / 100;
            assert!(
                seen.abs_diff(expected) <= most_off,
                "{share}: {seen} of 100"
            );
            let counted = used.run(used.router.counts(&used.place)).unwrap().unwrap();
            let counted = counted.since(before).unwrap();
            assert_eq!(
                (counted.green, counted.blue),
                (seen.into(), (100 - seen).into())
            );
        }
        used.run(used.router.restore(&used.place, &image)).unwrap();
        assert!(
            world
                .proxy
                .send_command("show servers state app")
                .contains(" green 127.0.0.1 0 ")
        );
    }
}

#[test]
fn a_side_gets_traffic_when_its_checks_have_passed_and_not_before() {
    let world = World::new(true);
    world.green.set_health("sick", 503);
    let mut section = world.section();
    section["haproxy"]["timeout"] = "1s".into();
    let bed = Bed::new(&section);
    let used = bed.router();
    let health = || {
        used.run(used.router.health(&used.place, Side::Green))
            .unwrap()
    };
    assert_eq!(health(), None, "in maintenance nothing is checked");
    let answers = answered(&world.url(), 10);
    let why = used.set_fails("50%");
    assert!(
        why.contains("HAProxy does not find green healthy within 1s: DOWN"),
        "{why}"
    );
    assert_eq!(used.loaded(), Some(green("0%")));
    assert_eq!(answers + answered(&world.url(), 40), 0);
    let Some(Health::Down(why)) = health() else {
        panic!("{:?}", health());
    };
    assert!(why.contains("L7STS"), "{why}");
    world.green.set_health("healthy", 200);
    let up = testkit::wait_until(Duration::from_secs(10), || health() == Some(Health::Up));
    assert!(up);
    used.set("50%");
    settles(&world.url(), |seen| (9..=11).contains(&seen));
}

/// Half of nothing is nothing, and HAProxy says that all is well.
#[test]
fn half_of_a_configured_weight_of_zero_is_set_as_a_number() {
    let world = World::new(false);
    world.proxy.changed(" disabled\n", " weight 0\n");
    let bed = world.bed();
    let used = bed.router();
    assert_eq!(
        world
            .proxy
            .send_command("set server app/green weight 50%")
            .trim(),
        ""
    );
    assert_eq!(used.loaded(), Some(green("0%")));
    assert_eq!(answered(&world.url(), 20), 0);
    used.set("50%");
    assert_eq!(used.loaded(), Some(green("50%")));
    assert_eq!(answered(&world.url(), 20), 10);
    used.set("0%");
    used.set("100%");
    assert_eq!(answered(&world.url(), 20), 20);
}

#[test]
fn a_balance_that_takes_no_weights_is_refused_with_the_one_that_does() {
    for balance in ["static-rr", "source", "leastconn"] {
        let world = World::new(false);
        let lines = format!("\nbackend app\n  balance {balance}\n");
        world.proxy.changed("\nbackend app\n", &lines);
        let bed = world.bed();
        let used = bed.router();
        let why = used.check_fails("10%");
        assert!(
            why.contains(&format!("`balance {balance}` of app does not divide"))
                && why.contains("set `balance roundrobin`"),
            "{why}"
        );
        if balance == "static-rr" {
            let why = used.set_fails("10%");
            assert!(
                why.contains("Backend is using a static LB algorithm"),
                "{why}"
            );
        }
        // All to one side needs no weight.
        used.run(used.router.check(&used.place, green("100%")))
            .unwrap();
        used.set("100%");
        assert_eq!(answered(&world.url(), 20), 20);
    }
}

#[test]
fn what_two_weights_cannot_say_is_refused() {
    let world = World::new(false);
    let bed = world.bed();
    let used = bed.router();
    let why = used.check_fails("0.2%");
    assert!(
        why.contains("0.2% is finer than two weights of at most 256 allow"),
        "{why}"
    );
    let change = used
        .run(used.router.check(&used.place, green("0.45%")))
        .unwrap();
    assert_eq!(change.split, green("0.45%"));
    let far = format!("  server far 127.0.0.1:{}\n", world.blue.port());
    world
        .proxy
        .changed("\nbackend app\n", &format!("\nbackend app\n{far}"));
    let why = used.check_fails("10%");
    assert!(why.contains("gives traffic to far too"), "{why}");
    assert!(used.run(used.router.loaded(&used.place)).is_err());
}

#[test]
fn a_cookie_keeps_its_users_and_new_ones_are_divided() {
    let world = World::new(false);
    let file = world.proxy.socket().with_file_name("haproxy.cfg");
    let text = std::fs::read_to_string(&file).unwrap();
    let (blue, green_at) = (world.blue.port(), world.green.port());
    let with = text
        .replace(
            "\nbackend app\n",
            "\nbackend app\n  cookie SRV insert indirect nocache\n",
        )
        .replace(
            &format!("server blue 127.0.0.1:{blue}"),
            &format!("server blue 127.0.0.1:{blue} cookie b"),
        )
        .replace(
            &format!("server green 127.0.0.1:{green_at}"),
            &format!("server green 127.0.0.1:{green_at} cookie g"),
        );
    world.proxy.changed(&text, &with);
    let bed = world.bed();
    let used = bed.router();
    used.set("0%");
    let stays = |cookie: &str| {
        let answer = testkit::request("GET", &world.url(), &[("Cookie", cookie)], b"").unwrap();
        answer.header("x-version").unwrap().to_owned()
    };
    assert!(
        (0..10).all(|_| stays("SRV=g") == "v2"),
        "a drained side keeps its users"
    );
    used.set("50%");
    assert!((0..10).all(|_| stays("SRV=b") == "v1"));
    assert_eq!(used.ask(20), 10, "who is new is divided");
    let told = used.explained().unwrap();
    assert!(
        told.contains("users whose cookie SRV names a server stay there"),
        "{told}"
    );
}

#[test]
fn all_sockets_are_set_and_one_that_disagrees_is_named() {
    let world = World::new(false);
    let second = Haproxy::start(world.blue.port(), world.green.port(), false);
    let mut section = world.section();
    section["haproxy"]["socket"] = json!([world.proxy.socket(), second.socket()]);
    let bed = Bed::new(&section);
    let used = bed.router();
    used.set("50%");
    assert_eq!(used.loaded(), Some(green("50%")));
    for proxy in [&world.proxy, &second] {
        let url = format!("http://127.0.0.1:{}/", proxy.port());
        assert_eq!(answered(&url, 20), 10);
    }
    let image = used.run(used.router.snapshot(&used.place)).unwrap();
    second.send_command("set server app/green weight 0");
    let why = used
        .run(used.router.loaded(&used.place))
        .unwrap_err()
        .to_string();
    let socket = second.socket().display().to_string();
    assert!(
        why.contains(&format!("{socket} has blue 100%, green 0%")),
        "{why}"
    );
    used.run(used.router.restore(&used.place, &image)).unwrap();
    assert_eq!(used.loaded(), Some(green("50%")));
    drop(second);
    let why = used.set_fails("10%");
    assert!(why.contains(&socket), "{why}");
}

#[test]
fn requests_that_are_open_are_counted() {
    let world = World::new(false);
    let bed = world.bed();
    let used = bed.router();
    used.set("100%");
    let open = |side| {
        used.run(used.router.open(&used.place, side))
            .unwrap()
            .unwrap()
    };
    world.green.set_delay(Duration::from_secs(3));
    let mut slow = TcpStream::connect(("127.0.0.1", world.proxy.port())).unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    assert!(testkit::wait_until(Duration::from_secs(2), || open(
        Side::Green
    ) == 1));
    used.set("0%");
    assert_eq!((open(Side::Blue), open(Side::Green)), (0, 1), "it goes on");
    assert!(testkit::wait_until(Duration::from_secs(10), || open(
        Side::Green
    ) == 0));
}

#[test]
fn on_a_host_it_is_asked_there() {
    let world = World::new(true);
    let sshd = Sshd::start();
    let mut section = world.section();
    section["haproxy"]["hosts"] = "web-01".into();
    section["haproxy"]["state-file"] = json!(world.proxy.state_file());
    let bed = Bed::at(&sshd, &section);
    let used = bed.router();
    used.set("25%");
    assert_eq!(used.loaded(), Some(green("25%")));
    assert_eq!(used.configured(), green("25%"));
    assert!((9..=11).contains(&answered(&world.url(), 40)));
    // What HAProxy says there is heard, although `socat` ends with 0.
    let world = World::new(false);
    world
        .proxy
        .changed("\nbackend app\n", "\nbackend app\n  balance static-rr\n");
    let mut section = world.section();
    section["haproxy"]["hosts"] = "web-01".into();
    let bed = Bed::at(&sshd, &section);
    let used = bed.router();
    used.set("100%");
    let why = used.set_fails("10%");
    assert!(
        why.contains("Backend is using a static LB algorithm"),
        "{why}"
    );
}
