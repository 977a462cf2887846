//! systemd: releases in folders, a link, a unit; on real systemd over real sshd.

use std::time::Duration;

use testkit::{SystemdHost, free_port};

use crate::targets::bed::{Bed, gate, host_line, points};

/// Answers with the release that its folder names; one named `crash` ends at once.
const SERVE: &str = "import http.server, os, sys
release = open('VERSION').read()
if 'crash' in release: sys.exit(3)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = release.encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Answer).serve_forever()
";

pub(crate) const UNIT: &str = "shop-tgt.service";

pub(crate) struct World {
    pub(crate) bed: Bed,
    pub(crate) hosts: Vec<(SystemdHost, u16)>,
}

impl World {
    /// Machines `web-00` and on, with these releases, of which the first is live.
    pub(crate) fn new(count: usize, releases: &[&str], extra: &str) -> World {
        let bed = Bed::new();
        // A few at a time: a machine's start is mostly waiting.
        let mut hosts = Vec::new();
        while hosts.len() < count {
            let some = 0..(count - hosts.len()).min(5);
            let started: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = some.map(|_| scope.spawn(|| machine(releases))).collect();
                threads.into_iter().map(|one| one.join().unwrap()).collect()
            });
            hosts.extend(started);
        }
        let mut lines = "hosts:\n".to_owned();
        for (nth, (host, _)) in hosts.iter().enumerate() {
            let known = format!("known_hosts-{nth}");
            bed.write(&known, &host.known_hosts_for("127.0.0.1"));
            lines.push_str(&host_line(
                &format!("web-{nth:02}"),
                host.port(),
                &host.key(),
                &bed.path(&known),
            ));
        }
        let target = format!(
            "  systemd: {{ unit: {UNIT}, releases: /srv/shop/releases, hosts: all, settle: 400ms, timeout: 20s }}\n{extra}"
        );
        bed.configure(&lines, &target, &gate(hosts[0].1));
        World { bed, hosts }
    }

    pub(crate) fn deploy(&self, release: &str) {
        for (host, _) in &self.hosts {
            live(host, release);
        }
    }

    #[track_caller]
    pub(crate) fn runs(&self, release: &str) {
        for (host, port) in &self.hosts {
            let link = host.must(&["readlink", "/srv/shop/current"]);
            assert_eq!(link, format!("/srv/shop/releases/{release}"));
            answers(*port, release);
        }
    }
}

/// A machine with its service, and where that answers.
fn machine(releases: &[&str]) -> (SystemdHost, u16) {
    let port = free_port();
    // A machine that shall hang does so in the middle of a restart.
    let unit = format!(
        "[Unit]\nStartLimitIntervalSec=0\nConditionPathExists=/srv/shop/current\n[Service]\nWorkingDirectory=/srv/shop/current\n\
         ExecStartPre=/bin/sh -c 'while [ -e /srv/hang ]; do sleep 0.2; done'\nTimeoutStartSec=infinity\n\
         ExecStart=/usr/bin/python3 /srv/shop/serve.py {port}\nRestart=always\nRestartSec=100ms\n\
         [Install]\nWantedBy=testkit.target\n"
    );
    let host = SystemdHost::start(&[(UNIT, &unit)]);
    host.must(&["mkdir", "-p", "/srv/shop/releases"]);
    let serve = "printf %s \"$1\" >/srv/shop/serve.py";
    host.must(&["sh", "-c", serve, "sh", SERVE]);
    for release in releases {
        put(&host, release);
    }
    live(&host, releases[0]);
    (host, port)
}

fn put(host: &SystemdHost, release: &str) {
    let script =
        "mkdir -p \"/srv/shop/releases/$1\" && printf %s \"$1\" >\"/srv/shop/releases/$1/VERSION\"";
    host.must(&["sh", "-c", script, "sh", release]);
}

fn live(host: &SystemdHost, release: &str) {
    let script = "ln -sfn \"/srv/shop/releases/$1\" /srv/shop/current && systemctl restart \"$2\"";
    host.must(&["sh", "-c", script, "sh", release, UNIT]);
}

#[track_caller]
pub(crate) fn answers(port: u16, release: &str) {
    let mut body = String::new();
    let same = testkit::wait_until(Duration::from_secs(20), || {
        let answer = testkit::get(&format!("http://127.0.0.1:{port}/version"));
        body = answer.map_or_else(|error| error.to_string(), |answer| answer.text());
        body == release
    });
    assert!(same, "{body} instead of {release}");
}

#[test]
fn from_good_to_bad_and_back_on_every_host() {
    let world = World::new(2, &["v1", "v2"], "");
    world.bed.recorded("v1", "v2");
    world.deploy("v2");
    answers(world.hosts[0].1, "v2");
    world
        .bed
        .rollback(&["plan"])
        .is(0, &["from v2", "/srv/shop/releases/v1", "web-00", "web-01"]);
    world.runs("v2");
    world.bed.rollback(&["run"]).is(
        0,
        &[
            "rolled back from v2 to v1",
            "active (running), not restarted",
        ],
    );
    world.runs("v1");
    assert_eq!(world.bed.state()["current"], "v1");
    for host in ["web-00", "web-01"] {
        let status = world.bed.evidence(&format!("{host}.systemctl-status.txt"));
        assert!(status.contains("active (running)"), "{status}");
        let journal = world.bed.evidence(&format!("{host}.journal.txt"));
        assert!(!journal.is_empty(), "{host}");
    }
    world
        .bed
        .rollback(&["run"])
        .is(5, &["v1 is what runs already"]);
}

#[test]
fn a_release_that_is_gone_on_one_host_is_refused_before_anything_changes() {
    let world = World::new(2, &["v1", "v2"], "");
    world.bed.recorded("v1", "v2");
    world.deploy("v2");
    answers(world.hosts[0].1, "v2");
    world.hosts[1]
        .0
        .must(&["rm", "-r", "/srv/shop/releases/v1"]);
    let before = world.bed.keep();
    let calls = world.hosts[0]
        .0
        .must(&["systemctl", "show", "-p", "InvocationID", UNIT]);
    world
        .bed
        .rollback(&["run"])
        .is(5, &["web-01", "there is no folder /srv/shop/releases/v1"]);
    assert_eq!(
        world.hosts[0]
            .0
            .must(&["systemctl", "show", "-p", "InvocationID", UNIT]),
        calls
    );
    world.runs("v2");
    assert_eq!(
        world.bed.state()["history"],
        serde_json::from_str::<serde_json::Value>(&before).unwrap()["history"]
    );
    // An empty folder is not a release either.
    world.hosts[1].0.must(&["mkdir", "/srv/shop/releases/v1"]);
    world
        .bed
        .rollback(&["run"])
        .is(5, &["the folder /srv/shop/releases/v1 is empty"]);
}

/// Found in the emergency it would be a rollback of some hosts alone.
#[test]
fn rb_systemd_sudo_that_is_missing_on_one_host_of_three_is_found_by_plan() {
    let world = World::new(3, &["v1", "v2"], "");
    let config = world.bed.read("deploy-guard.yml");
    let sudo = config.replace("settle: 400ms", "sudo: true, settle: 400ms");
    world.bed.write("deploy-guard.yml", &sudo);
    world.deploy("v2");
    world.bed.recorded("v1", "v2");
    world.bed.rollback(&["plan"]).is(0, &[]);
    let without = "sed -i '/^root/d' /etc/sudoers";
    world.hosts[1].0.must(&["sh", "-c", without]);
    for verb in ["plan", "run"] {
        let end = world.bed.rollback(&[verb]);
        end.is(5, &["web-01", "sudo"]);
    }
    world.runs("v2");
}

#[test]
fn a_release_that_crashes_is_no_success() {
    let world = World::new(1, &["v1-crash", "v2"], "");
    world.bed.recorded("v1-crash", "v2");
    world.deploy("v2");
    answers(world.hosts[0].1, "v2");
    let end = world.bed.rollback(&["run"]);
    assert_ne!(end.code, 0, "{}", end.text);
    end.is(1, &["v1-crash", "journalctl -u shop-tgt.service"]);
}

#[test]
fn names_of_releases_are_never_code() {
    let odd = [
        "$(touch pwned)",
        "`touch pwned`",
        "it's \"v1\"",
        "-v 1;touch pwned",
        "v1\nv2",
        "v1\n",
    ];
    let world = World::new(1, &["v2"], "");
    let (host, _) = &world.hosts[0];
    // The gate reads one line of text and waits in vain for some of these; the target itself reports what runs.
    let config = world.bed.read("deploy-guard.yml");
    let hasty = config.replace("deadline: 30s", "deadline: 3s");
    assert_ne!(config, hasty);
    world.bed.write("deploy-guard.yml", &hasty);
    let mut refused = 0;
    for release in odd {
        put(host, release);
        if !world.bed.recorded_anew(release, "v2") {
            refused += 1;
            continue;
        }
        live(host, "v2");
        answers(world.hosts[0].1, "v2");
        let end = world.bed.rollback(&["run"]);
        let link = host.must(&["sh", "-c", "readlink -n /srv/shop/current; echo ."]);
        assert_eq!(
            link,
            format!("/srv/shop/releases/{release}."),
            "{}",
            end.text
        );
    }
    assert!(refused < 4, "{refused} names were not even tried");
    for elsewhere in ["../../etc", "..", "v1/../v2"] {
        assert!(world.bed.recorded_anew(elsewhere, "v2"));
        live(host, "v2");
        world
            .bed
            .rollback(&["run"])
            .is(5, &["cannot be the name of a folder"]);
    }
    let found = host.must(&["sh", "-c", "find / -xdev -name pwned 2>/dev/null | head"]);
    assert_eq!(found, "");
    assert!(!world.bed.path("pwned").exists());
}

#[test]
fn killed_at_every_line_of_the_journal_and_in_the_middle_of_a_step() {
    let world = World::new(2, &["v1", "v2"], "");
    world.bed.recorded("v1", "v2");
    let state = world.bed.keep();
    for (lines, then) in points(6, Duration::from_millis(700), 5) {
        world.bed.put_back(&state);
        world.deploy("v2");
        answers(world.hosts[0].1, "v2");
        world.bed.killed(lines, then);
        world
            .bed
            .resume_converges("v1", &format!("{lines} lines and {then:?}"));
        world.runs("v1");
    }
}

#[test]
fn a_rehearsal_changes_nothing_on_any_host() {
    let world = World::new(2, &["v1", "v2"], "");
    world.bed.recorded("v1", "v2");
    world.deploy("v2");
    for (_, port) in &world.hosts {
        answers(*port, "v2");
    }
    // Every file with its times, and which start of the unit runs.
    let look = || -> Vec<String> {
        let script = "find /srv -printf '%p %l %s %T@ %C@\\n' | sort; systemctl show -p InvocationID,NRestarts \"$1\"";
        let hosts = world.hosts.iter();
        hosts
            .map(|(host, _)| host.must(&["sh", "-c", script, "sh", UNIT]))
            .collect()
    };
    let before = look();
    world.bed.rollback(&["rehearse"]).is(
        0,
        &[
            "rehearse/systemd/web-00",
            "rehearse/systemd/web-01",
            "nothing was changed",
        ],
    );
    assert_eq!(look(), before);
    assert!(!world.bed.state()["last_drill"].is_null());
    // A rehearsal that fails on a host is not a drill.
    world.hosts[1]
        .0
        .must(&["rm", "-r", "/srv/shop/releases/v1"]);
    let drill = world.bed.state()["last_drill"].clone();
    world
        .bed
        .rollback(&["rehearse"])
        .is(5, &["web-01", "there is no folder"]);
    assert_eq!(world.bed.state()["last_drill"], drill);
}
