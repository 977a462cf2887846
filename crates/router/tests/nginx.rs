//! nginx: weights in an upstream file, and what a reload that ended with 0 did not do.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Nginx, Shop, Sshd};

use crate::bed::{Bed, answered, green, read, settles};

struct World {
    blue: Shop,
    green: Shop,
    nginx: Nginx,
}

impl World {
    /// Blue runs v1 and has the traffic; green runs v2.
    fn new() -> World {
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let nginx = Nginx::start(&blue.address());
        World { blue, green, nginx }
    }

    fn section(&self) -> Value {
        json!({"nginx": {
            "upstream-file": self.nginx.upstream_file(),
            "blue": self.blue.address(),
            "green": self.green.address(),
            "release": {"url": self.nginx.url("/api/v1/version"), "jq": ".version"},
            "test": self.nginx.test_command(),
            "reload": self.nginx.reload_command(),
        }})
    }

    fn bed(&self) -> Bed {
        Bed::new(&self.section())
    }

    fn url(&self) -> String {
        self.nginx.url("/")
    }

    /// Reads its configuration with a text in the place of another one.
    fn configure(&self, from: &str, to: &str) {
        let file = self.nginx.folder().join("nginx.conf");
        let text = read(&file);
        assert!(text.contains(from), "{text}");
        std::fs::write(file, text.replace(from, to)).unwrap();
    }
}

#[test]
fn shares_are_what_answers() {
    let world = World::new();
    let bed = world.bed();
    let used = bed.router();
    assert_eq!(used.configured(), green("0%"));
    let before = read(&world.nginx.upstream_file());
    let image = used.run(used.router.snapshot(&used.place)).unwrap();
    for (share, least, most) in [
        ("10%", 19, 21),
        ("25%", 49, 51),
        ("50%", 99, 101),
        ("100%", 200, 200),
        ("0.5%", 1, 1),
        ("0%", 0, 0),
    ] {
        let change = used
            .run(used.router.check(&used.place, green(share)))
            .unwrap();
        assert_eq!(change.split, green(share));
        assert!(!change.writes.is_empty(), "{share}");
        assert!(
            !change.does.contains("nginx does not read"),
            "{}",
            change.does
        );
        used.set(share);
        assert_eq!(used.configured(), green(share));
        assert_eq!(used.loaded(), None, "nginx does not tell");
        std::thread::sleep(
            used.router.capabilities().propagation_time + Duration::from_millis(300),
        );
        let seen = answered(&world.url(), 200);
        assert!((least..=most).contains(&seen), "{share}: {seen} of 200");
        let again = used
            .run(used.router.check(&used.place, green(share)))
            .unwrap();
        assert!(again.writes.is_empty(), "{:?}", again.writes);
    }
    used.run(used.router.restore(&used.place, &image)).unwrap();
    assert_eq!(read(&world.nginx.upstream_file()), before);
}

#[test]
fn after_the_overlap_nothing_of_before_answers() {
    let world = World::new();
    let bed = world.bed();
    let used = bed.router();
    for (share, all) in [("100%", 20), ("0%", 0)].into_iter().cycle().take(12) {
        used.set(share);
        let changed = Instant::now();
        let first = testkit::wait_until(Duration::from_secs(10), || {
            answered(&world.url(), 1) == all / 20
        });
        assert!(first, "{share}");
        // A busy machine starts new processes later than others do: from the first answer on.
        std::thread::sleep(used.router.capabilities().propagation_time);
        assert_eq!(
            answered(&world.url(), 20),
            all,
            "{share}, {:?}",
            changed.elapsed()
        );
    }
}

#[test]
fn the_old_file_stays_live_after_success_where_a_port_is_taken_and_its_log_says_so() {
    let world = World::new();
    let bed = world.bed();
    let used = bed.router();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    world.configure(
        "    server {\n        listen",
        &format!("    server {{ listen 127.0.0.1:{port}; }}\n    server {{\n        listen"),
    );
    used.set("50%");
    assert_eq!(used.configured(), green("50%"));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(answered(&world.url(), 40), 0, "the old file is live");
    let mut told = String::new();
    let said = testkit::wait_until(Duration::from_secs(20), || {
        told = used.explained().unwrap_or_default();
        told.contains("still could not bind()")
    });
    assert!(said, "{told}");
    for part in [
        &format!("bind() to 127.0.0.1:{port} failed (98: Address already in use)"),
        "worker processes from before the reload still accept (process ",
    ] {
        assert!(told.contains(part), "{told}");
    }
    drop(taken);
    used.set("50%");
    settles(&world.url(), |seen| (9..=11).contains(&seen));
    let told = testkit::wait_until(Duration::from_secs(10), || {
        let told = used.explained().unwrap_or_default();
        !told.contains("still accept")
    });
    assert!(told, "{:?}", used.explained());
}

/// A file that was edited on Windows: what `nginx -T` prints is compared line by line.
#[test]
fn carriage_returns_raise_no_doubt_and_stay() {
    let world = World::new();
    let text = read(&world.nginx.upstream_file()).replace('\n', "\r\n");
    world.nginx.read(&text);
    let bed = world.bed();
    let used = bed.router();
    let change = used
        .run(used.router.check(&used.place, green("50%")))
        .unwrap();
    assert!(change.does.ends_with("test, reload"), "{}", change.does);
    used.set("50%");
    settles(&world.url(), |seen| (9..=11).contains(&seen));
    let changed = read(&world.nginx.upstream_file());
    let ends = changed.matches('\n').count();
    assert!(ends > 3, "{changed:?}");
    assert_eq!(changed.matches("\r\n").count(), ends, "{changed:?}");
}

#[test]
fn what_nginx_refuses_leaves_the_file_as_it_was() {
    let world = World::new();
    let bed = world.bed();
    let used = bed.router();
    world.configure("access_log off;", "access_log off; no_such_directive;");
    let before = read(&world.nginx.upstream_file());
    let why = used.set_fails("10%");
    assert!(why.contains("unknown directive"), "{why}");
    assert_eq!(read(&world.nginx.upstream_file()), before);
    assert_eq!(answered(&world.url(), 20), 0);
}

#[test]
fn the_wrong_block_is_told_by_nginx_itself_and_by_the_answers() {
    let world = World::new();
    let text = format!(
        "{}upstream preview {{ server {}; }}\n",
        read(&world.nginx.upstream_file()),
        world.blue.address()
    );
    world.nginx.read(&text);
    let mut section = world.section();
    section["nginx"]["upstream"] = "preview".into();
    let bed = Bed::new(&section);
    let used = bed.router();
    let why = "no site of nginx passes requests to `upstream preview`";
    let change = used
        .run(used.router.check(&used.place, green("50%")))
        .unwrap();
    assert!(change.does.contains(why), "{}", change.does);
    used.set("50%");
    assert_eq!(used.configured(), green("50%"));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(answered(&world.url(), 40), 0);
    assert_eq!(used.explained().as_deref(), Some(why));
    // A file that nginx does not include.
    let other = world.nginx.folder().join("other.conf");
    std::fs::write(
        &other,
        format!("upstream shop {{ server {}; }}\n", world.blue.address()),
    )
    .unwrap();
    let mut section = world.section();
    section["nginx"]["upstream-file"] = other.to_str().unwrap().into();
    let bed = Bed::new(&section);
    let used = bed.router();
    let change = used
        .run(used.router.check(&used.place, green("10%")))
        .unwrap();
    assert!(
        change.does.contains("nginx does not read"),
        "{}",
        change.does
    );
    used.set("10%");
    assert!(used.explained().unwrap().contains("nginx does not read"));
}

#[test]
fn what_weights_cannot_say_is_refused_and_changes_nothing() {
    let world = World::new();
    let bed = world.bed();
    let used = bed.router();
    let (blue, green_at) = (world.blue.address(), world.green.address());
    for (inside, why) in [
        (
            format!("ip_hash; server {blue};"),
            "`ip_hash` in `upstream shop`",
        ),
        (format!("least_conn; server {blue};"), "`least_conn` in"),
        (
            format!("server {blue}; server {green_at} down; server 127.0.0.1:9;"),
            "gives traffic to 127.0.0.1:9 too",
        ),
        ("server 127.0.0.1:9;".to_owned(), "not one with"),
    ] {
        let text = format!("upstream shop {{ {inside} }}\n");
        std::fs::write(world.nginx.upstream_file(), &text).unwrap();
        let told = used.check_fails("10%");
        assert!(told.contains(why), "{told}");
        assert!(used.set_fails("10%").contains(why));
        assert_eq!(read(&world.nginx.upstream_file()), text);
    }
    // All to one side needs no weight.
    let text = format!("upstream shop {{ ip_hash; server {blue}; server {green_at} down; }}\n");
    std::fs::write(world.nginx.upstream_file(), &text).unwrap();
    used.set("100%");
    settles(&world.url(), |seen| seen == 20);
}

#[test]
fn weights_that_another_puts_back_are_seen() {
    let world = World::new();
    let bed = world.bed();
    let used = bed.router();
    used.set("50%");
    world.nginx.switch_to(&world.blue.address());
    assert_eq!(used.configured(), green("0%"));
}

#[test]
fn on_a_host_all_is_done_there() {
    let world = World::new();
    let sshd = Sshd::start();
    let mut section = world.section();
    section["nginx"]["hosts"] = "web-01".into();
    let bed = Bed::at(&sshd, &section);
    let used = bed.router();
    assert_eq!(used.place.to_string(), "web-01");
    used.set("50%");
    assert_eq!(used.configured(), green("50%"));
    settles(&world.url(), |seen| (9..=11).contains(&seen));
    // A worker of before the reload may still answer some.
    let asked = || (5..=15).contains(&used.ask(20));
    assert!(testkit::wait_until(
        std::time::Duration::from_secs(10),
        asked
    ));
    world.configure("access_log off;", "access_log off; no_such_directive;");
    assert!(used.set_fails("10%").contains("unknown directive"));
    assert_eq!(used.configured(), green("50%"));
}
