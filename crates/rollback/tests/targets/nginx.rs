//! nginx on hosts, over real sshd, each with a real nginx of its own; and weights, here and there.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use testkit::{Nginx, Shop, Sshd, SshdSetup, free_port};

use crate::targets::bed::{Bed, host_line, points};

/// No good word of a shell; every host has its nginx's files there.
const FOLDER: &str = "the shop's \"nginx\" $(touch pwned)";

struct World {
    bed: Bed,
    blue: Shop,
    green: Shop,
    hosts: Vec<(Nginx, Sshd)>,
}

impl World {
    /// Blue runs v1; green runs v2 and has the traffic on each of so many hosts.
    fn new(count: u8, extra: &str) -> World {
        let bed = Bed::new();
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let folder = bed.path(FOLDER);
        std::fs::create_dir(&folder).unwrap();
        let port = free_port();
        let mut hosts = Vec::new();
        let mut lines = "hosts:\n".to_owned();
        for nth in 1..=count {
            let address = Ipv4Addr::new(127, 0, 7, nth);
            let nginx = Nginx::start_at(&green.address(), address, port);
            std::fs::write(nginx.folder().join("test.sh"), nginx.test_command()).unwrap();
            std::fs::write(nginx.folder().join("reload.sh"), nginx.reload_command()).unwrap();
            let sshd = host(&nginx, &folder, address);
            let known = format!("known_hosts-{nth}");
            bed.write(&known, &sshd.known_hosts());
            lines.push_str(&host_line(
                &format!("web-0{nth}"),
                sshd.port(),
                &sshd.key(),
                &bed.path(&known),
            ));
            hosts.push((nginx, sshd));
        }
        let script = |name: &str| format!(". {}", remote_word(&folder.join(name)));
        let target = json!({
            "upstream-file": folder.join("upstream.conf"),
            "blue": blue.address(),
            "green": green.address(),
            // The name means another machine on each.
            "release": {"url": format!("http://shop.test:{port}/api/v1/version"), "jq": ".version"},
            "hosts": "all",
            "test": script("test.sh"),
            "reload": script("reload.sh"),
            "timeout": "8s",
        });
        bed.configure(&lines, &format!("{extra}  nginx: {target}\n"), "");
        bed.recorded("v1", "v2");
        World {
            bed,
            blue,
            green,
            hosts,
        }
    }

    fn deploy_v2(&self) {
        for (nginx, _) in &self.hosts {
            nginx.switch_to(&self.green.address());
        }
        self.serve("v2");
    }

    #[track_caller]
    fn serve(&self, release: &str) {
        for nth in 0..self.hosts.len() {
            self.serves(nth, release);
        }
    }

    #[track_caller]
    fn serves(&self, nth: usize, release: &str) {
        assert!(settles_on(&self.hosts[nth].0, release), "host {nth}");
    }

    fn upstream(&self, nth: usize) -> String {
        std::fs::read_to_string(self.hosts[nth].0.upstream_file()).unwrap()
    }

    fn script(&self, nth: usize, name: &str, text: &str) {
        std::fs::write(self.hosts[nth].0.folder().join(name), text).unwrap();
    }
}

/// A login that sees the nginx's files where all hosts have them, and its address by the name that
/// all hosts know.
fn host(nginx: &Nginx, folder: &Path, address: Ipv4Addr) -> Sshd {
    let before = format!(
        "mount --bind {} {}\nprintf '127.0.0.1 localhost\\n{address} shop.test\\n' >@/hosts\nmount --bind @/hosts /etc/hosts",
        nginx.folder().display(),
        remote_word(folder)
    );
    SshdSetup {
        before: Some(before),
        ..SshdSetup::default()
    }
    .start()
}

fn remote_word(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Workers of before a reload may answer for a moment.
fn settles_on(nginx: &Nginx, release: &str) -> bool {
    testkit::wait_until(Duration::from_secs(20), || {
        (0..20).all(|_| live(nginx) == release)
    })
}

fn live(nginx: &Nginx) -> String {
    let answer = testkit::get(&nginx.url("/api/v1/version")).unwrap();
    answer.header("x-version").unwrap_or_default().to_owned()
}

#[test]
fn from_good_to_bad_and_back_on_every_host() {
    let world = World::new(2, "");
    world.bed.rollback(&["plan"]).is(
        0,
        &["from v2", "nginx/web-01", "nginx/web-02", "all traffic"],
    );
    world.serve("v2");
    world.bed.rollback(&["run"]).is(
        0,
        &["rolled back from v2 to v1", "20 requests in a row through"],
    );
    world.serve("v1");
    for nth in 0..2 {
        assert!(world.upstream(nth).contains(&world.blue.address()));
    }
    world
        .bed
        .rollback(&["run"])
        .is(5, &["v1 is what runs already"]);
    assert!(!world.bed.path("pwned").exists());
}

#[test]
fn a_host_whose_colour_does_not_change_gets_its_file_back() {
    let world = World::new(2, "");
    let before = world.upstream(1);
    // It ends with 0 and does nothing, as `nginx -s reload` may.
    world.script(1, "reload.sh", "true");
    world.bed.rollback(&["run"]).is(
        6,
        &[
            "nginx does not serve v1: v2 answers",
            "upstream.conf was put back",
            "1 of 2 hosts run v1",
        ],
    );
    assert_eq!(world.upstream(1), before);
    world.serves(0, "v1");
    world.serves(1, "v2");
    world.script(1, "reload.sh", &world.hosts[1].0.reload_command());
    world.bed.resume_converges("v1", "the reload was fixed");
    world.serve("v1");
}

#[test]
fn nginx_says_no_on_one_host_and_all_are_put_back() {
    let world = World::new(2, "  on-breach: restore\n");
    let before = [world.upstream(0), world.upstream(1)];
    world.script(1, "test.sh", "echo emerg: unknown directive >&2; exit 1");
    world
        .bed
        .rollback(&["run"])
        .is(1, &["emerg: unknown directive", "v2 is back everywhere"]);
    assert_eq!([world.upstream(0), world.upstream(1)], before);
    world.serve("v2");
    world
        .bed
        .rollback(&["resume"])
        .is(0, &["nothing to resume"]);
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_anything_changes() {
    let world = World::new(2, "");
    // Root could write any file, but this one does not exist.
    std::fs::remove_file(world.hosts[1].0.upstream_file()).unwrap();
    let end = world.bed.rollback(&["run"]);
    end.is(5, &["web-02", "there is no file", "nothing was changed"]);
    world.serves(0, "v2");
}

#[test]
fn killed_at_every_line_of_the_journal_and_in_the_middle_of_a_step() {
    let world = World::new(2, "");
    let state = world.bed.keep();
    for (lines, then) in points(6, Duration::from_millis(120), 5) {
        world.bed.put_back(&state);
        world.deploy_v2();
        world.bed.killed(lines, then);
        world
            .bed
            .resume_converges("v1", &format!("{lines} lines and {then:?}"));
        world.serve("v1");
    }
}

/// A canary on this machine: green has one request in twenty.
struct Canary {
    bed: Bed,
    blue: Shop,
    green: Shop,
    nginx: Nginx,
}

impl Canary {
    fn new() -> Canary {
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let nginx = Nginx::start(&blue.address());
        let canary = Canary {
            bed: Bed::new(),
            blue,
            green,
            nginx,
        };
        // Four hundred requests prove it, on a busy machine too.
        canary.configure(&canary.nginx.reload_command(), "40s");
        canary.bed.recorded("v1", "v2");
        canary.nginx.read(&canary.text(""));
        canary.shares();
        canary
    }

    fn configure(&self, reload: &str, timeout: &str) {
        let url = self.nginx.url("/api/v1/version");
        let target = json!({
            "upstream-file": self.nginx.upstream_file(),
            "blue": self.blue.address(),
            "green": self.green.address(),
            "release": {"url": url, "jq": ".version"},
            "test": self.nginx.test_command(),
            "reload": reload,
            "timeout": timeout,
        });
        let gate = format!(
            "healthgate: {}\n",
            json!({"policy": {"interval": "20ms", "success-threshold": 2, "deadline": "20s"},
                "http": [{"name": "ready", "url": url, "release": {"jq": ".version"}}]})
        );
        self.bed
            .configure("", &format!("  nginx: {target}\n"), &gate);
    }

    fn text(&self, green: &str) -> String {
        format!(
            "upstream shop {{\n    server {} weight=95; # blue\n    server {} weight=5{green}; # the canary\n}}\n",
            self.blue.address(),
            self.green.address()
        )
    }

    /// Both answer.
    #[track_caller]
    fn shares(&self) {
        let both = testkit::wait_until(Duration::from_secs(20), || {
            let seen: Vec<String> = (0..60).map(|_| live(&self.nginx)).collect();
            ["v1", "v2"]
                .iter()
                .all(|one| seen.iter().any(|release| release == one))
        });
        assert!(both, "the canary gets nothing");
    }

    fn upstream(&self) -> String {
        std::fs::read_to_string(self.nginx.upstream_file()).unwrap()
    }

    #[track_caller]
    fn only_v1(&self) {
        let file: PathBuf = self.nginx.upstream_file();
        assert_eq!(std::fs::read_to_string(file).unwrap(), self.text(" down"));
        assert!((0..100).all(|_| live(&self.nginx) == "v1"));
    }
}

#[test]
fn all_traffic_of_a_canary_goes_back_to_the_good_colour() {
    let canary = Canary::new();
    canary
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1", "400 requests in a row"]);
    canary.only_v1();
    canary
        .bed
        .rollback(&["run"])
        .is(5, &["v1 is what runs already"]);
}

#[test]
fn a_canary_that_is_dead_is_no_reason_to_leave_it_in_the_traffic() {
    // The good colour answers nineteen times of twenty: that is not what runs.
    let canary = Canary::new();
    let file = std::fs::read_to_string(canary.nginx.folder().join("nginx.conf")).unwrap();
    let next = file.replace("proxy_next_upstream off;", "");
    std::fs::write(canary.nginx.folder().join("nginx.conf"), next).unwrap();
    canary.nginx.read(&canary.text(""));
    let mut canary = canary;
    let port = canary.green.port();
    canary.green = Shop::start("v3");
    let gone = testkit::wait_until(Duration::from_secs(5), || {
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err()
    });
    assert!(gone);
    let end = canary.bed.rollback(&["run"]);
    end.is(0, &["rolled back from v2 to v1"]);
    assert!(canary.upstream().contains(" weight=5 down;"));
    assert!((0..100).all(|_| live(&canary.nginx) == "v1"));
    assert_eq!(canary.bed.state()["current"], "v1");
}

#[test]
fn a_canary_that_stays_is_noticed_although_most_answers_are_right() {
    let canary = Canary::new();
    canary.configure("true", "6s");
    canary
        .bed
        .rollback(&["run"])
        .is(1, &["nginx does not serve v1: v2 answers", "was put back"]);
    assert_eq!(canary.upstream(), canary.text(""));
    canary.shares();
}

#[test]
fn one_user_in_twenty_with_the_new_release_is_not_safe() {
    let canary = Canary::new();
    let decide = || canary.bed.rollback(&["decide"]);
    for _ in 0..3 {
        decide().is(
            1,
            &["CRITICAL", "decide/green", "users get the new release: v2"],
        );
    }
    canary.nginx.read(&canary.text(" down"));
    let settled = testkit::wait_until(Duration::from_secs(20), || {
        (0..60).all(|_| live(&canary.nginx) == "v1")
    });
    assert!(settled);
    decide().is(0, &["SAFE"]);
    // Good answers alone do not show which other servers get traffic.
    std::fs::remove_file(canary.nginx.upstream_file()).unwrap();
    decide().is(3, &["UNKNOWN", "whether others answer too is not known"]);
}

#[test]
fn an_upstream_for_the_colour_that_has_no_traffic_stays_as_it_is() {
    let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
    let nginx = Nginx::start(&green.address());
    let text = |live: &str| {
        format!(
            "# live\nupstream shop {{\n  server {live};\n}}\n# to look at what comes next\nupstream preview {{ server {}; }}\n",
            blue.address()
        )
    };
    nginx.read(&text(&green.address()));
    let bed = Bed::new();
    let configure = |more: &str| {
        let target = format!(
            "  nginx:\n    upstream-file: {}\n    blue: {}\n    green: {}\n    test: {}\n    reload: {}\n    \
             release: {{ url: \"{}\", jq: .version }}\n{more}",
            nginx.upstream_file().display(),
            blue.address(),
            green.address(),
            nginx.test_command(),
            nginx.reload_command(),
            nginx.url("/api/v1/version"),
        );
        bed.configure("", &target, "");
    };
    let apart = [
        "`upstream shop` and `upstream preview` give the traffic to different colours",
        "rollback.nginx.upstream",
    ];
    configure("");
    bed.rollback(&["record", "--pending", "--release", "v2"])
        .is(2, &apart);
    configure("    upstream: shop\n");
    bed.recorded("v1", "v2");
    configure("");
    bed.rollback(&["run"]).is(5, &apart);
    let read = || std::fs::read_to_string(nginx.upstream_file()).unwrap();
    assert_eq!(read(), text(&green.address()));
    configure("    upstream: shop\n");
    bed.rollback(&["run"]).is(0, &["rolled back from v2 to v1"]);
    assert_eq!(read(), text(&blue.address()));
    assert!((0..20).all(|_| live(&nginx) == "v1"));
}

/// Blue-green by a variable, by the port in `proxy_pass`, or by a variable that names one of two pools.
#[test]
fn nginx_no_server_line_a_form_that_no_rollback_could_switch_is_refused_before_it_is_recorded() {
    let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
    let bed = Bed::new();
    let (one, other) = (blue.address(), green.address());
    let target = format!(
        "  nginx: {{ upstream-file: live.inc, blue: \"{one}\", green: \"{other}\", release: {{ url: \"http://{one}/api/v1/version\", jq: .version }} }}\n"
    );
    bed.configure("", &target, "");
    let never = "no rollback could ever switch live.inc: ";
    let how = "hold `upstream shop { server ";
    for (text, how) in [
        (format!("set $service_url http://{one};\n"), how),
        (format!("location / {{ proxy_pass http://{one}; }}\n"), how),
        (
            format!(
                "upstream a {{ server {one}; server {other} backup; }}\nupstream b {{ server {other}; server {one} backup; }}\n"
            ),
            "`rollback.nginx.upstream: a`",
        ),
    ] {
        bed.write("live.inc", &text);
        for args in [
            &["record", "--release", "v1"][..],
            &["record", "--release", "v1", "--pending"],
            &["record", "--release", "v1", "--dry-run"],
        ] {
            let end = bed
                .rollback(args)
                .is(2, &[never, how, "nothing was recorded"]);
            assert!(!end.text.contains("--force"), "{}", end.text);
            assert!(!bed.path("state.json").exists());
        }
    }
    // A deployment may yet point it at a colour: before it that is not in the way, after it it is.
    bed.write("live.inc", "upstream shop { server 127.0.0.1:9; }\n");
    bed.rollback(&["record", "--release", "v1", "--pending"])
        .is(0, &[]);
    bed.rollback(&["record", "--release", "v1"])
        .is(2, &[never, "has `server` lines, and not one with", how]);
    // What a deployment is yet to make may be missing before it, and not after it.
    std::fs::remove_file(bed.path("live.inc")).unwrap();
    bed.rollback(&["record", "--release", "v1", "--pending"])
        .is(0, &[]);
    bed.rollback(&["record", "--release", "v1"])
        .is(2, &[never, "there is no file live.inc", how]);
    bed.rollback(&[
        "record",
        "--release",
        "v1",
        "--force=no-way-back",
        "--force=not-running",
        "--reason=test",
    ])
    .is(0, &[never, "because: test: no rollback could"]);
    bed.write("live.inc", &format!("upstream shop {{ server {one}; }}\n"));
    bed.rollback(&["record", "--release", "v1"])
        .is(0, &["v1 is recorded as good"]);
}

/// A binary upgrade that stopped half-way: one of the two never reads the new file.
#[test]
fn rb_nginx_two_masters_on_one_port_are_found_while_half_of_the_users_get_the_bad_release() {
    let bed = Bed::new();
    let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
    let port = free_port();
    let nginx = Nginx::sharing(&green.address(), port);
    let other = Nginx::sharing(&green.address(), port);
    let target = json!({
        "upstream-file": nginx.upstream_file(),
        "blue": blue.address(),
        "green": green.address(),
        "release": {"url": nginx.url("/api/v1/version"), "jq": ".version"},
        "test": nginx.test_command(),
        "reload": nginx.reload_command(),
        "timeout": "3s",
    });
    bed.configure("", &format!("  nginx: {target}\n"), "");
    bed.recorded("v1", "v2");
    bed.rollback(&["run"])
        .is(1, &["answers were wrong", "was put back"]);
    drop(other);
    bed.rollback(&["run"]).is(0, &["rolled back from v2 to v1"]);
}

/// Users who stay on a side by a cookie: we ask as another one each time.
#[test]
fn with_split_clients_all_users_go_back_and_one_address_proves_nothing() {
    let bed = Bed::new();
    let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
    let nginx = Nginx::serving("server { listen ADDRESS:PORT; location / { return 204; } }");
    let conf = nginx.folder().join("nginx.conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    std::fs::write(conf, text.replace("return 204", "proxy_pass http://$up")).unwrap();
    let divided = |part: &str| {
        let (green, blue) = (green.address(), blue.address());
        format!("split_clients $cookie_id $up {{\n  {part}{green};\n  * {blue};\n}}\n")
    };
    nginx.read(&divided("10% "));
    let configure = |key: &str| {
        let target = json!({
            "upstream-file": nginx.upstream_file(),
            "sticky": key,
            // Runs the words after it, as `docker exec nginx` does.
            "exec": "nice -n 1",
            "blue": blue.address(),
            "green": green.address(),
            "release": {"url": nginx.url("/api/v1/version"), "jq": ".version"},
            "test": nginx.test_command(),
            "reload": nginx.reload_command(),
        });
        bed.configure("", &format!("  nginx: {target}\n"), "");
    };
    configure("$cookie_id");
    bed.recorded("v1", "v2");
    configure("$remote_addr");
    bed.rollback(&["run"]).is(
        2,
        &["of which all our requests are one", "rollback.command"],
    );
    configure("$cookie_id");
    bed.rollback(&["run"])
        .is(0, &["rolled back from v2 to v1", "200 requests in a row"]);
    let blue = blue.address();
    assert_eq!(
        std::fs::read_to_string(nginx.upstream_file()).unwrap(),
        format!("split_clients $cookie_id $up {{\n  * {blue};\n}}\n")
    );
}
