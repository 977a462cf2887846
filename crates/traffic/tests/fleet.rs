//! Twenty hosts with an nginx each, over real sshd: one is dead, one's nginx refuses the file, one's reload
//! hangs.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{End, Nginx, Sshd, SshdSetup, free_port};

use crate::bed::Bed;

const HOSTS: usize = 20;
const DEAD: usize = 3;
const REFUSES: usize = 7;
const HANGS: usize = 11;
const DEADLINE: Duration = Duration::from_secs(30);

/// One machine: its nginx, and the login there. Without the login it is dead.
struct Host {
    nginx: Nginx,
    sshd: Option<Sshd>,
}

struct Fleet {
    bed: Bed,
    hosts: Vec<Host>,
    lines: String,
    port: u16,
    folder: PathBuf,
}

const TWO_STAGES: &str = "  stages: [50%, 100%]\n  stage-duration: 60s\n";

impl Fleet {
    /// Blue runs v1 and has everything at each host, green runs v2.
    fn new(more: &str) -> Fleet {
        let bed = Bed::new("", "");
        let folder = bed.path("nginx");
        fs::create_dir(&folder).unwrap();
        let mut fleet = Fleet {
            bed,
            hosts: Vec::new(),
            lines: "hosts:\n".to_owned(),
            port: free_port(),
            folder,
        };
        for nth in 0..HOSTS {
            fleet.add(nth);
        }
        fleet.configure(more);
        fleet
    }

    /// Each host gives v2 half, no process watches it, and the next configuration lacks the last host. With the lines of
    /// all hosts.
    fn left_by_a_killed_ramp() -> (Fleet, String) {
        let mut fleet = Fleet::new(TWO_STAGES);
        let mut child = fleet.bed.spawn(&["ramp", "--release", "v2"]);
        fleet.bed.phase("judging");
        child.kill().unwrap();
        child.wait().unwrap();
        let all = fleet.lines.clone();
        let last = all.lines().next_back().unwrap();
        fleet.lines = all.replace(last, "");
        (fleet, all)
    }

    fn add(&mut self, nth: usize) {
        let address = Ipv4Addr::new(127, 0, 9, u8::try_from(nth + 1).unwrap());
        let nginx = Nginx::start_at(&self.bed.blue.address(), address, self.port);
        fs::write(nginx.folder().join("test.sh"), nginx.test_command()).unwrap();
        fs::write(nginx.folder().join("reload.sh"), nginx.reload_command()).unwrap();
        let sshd = login(&nginx, &self.folder, address);
        let known = self.bed.path(&format!("known_hosts-{nth}"));
        fs::write(&known, sshd.known_hosts()).unwrap();
        self.lines.push_str(&format!(
            "  {}: {{ address: 127.0.0.1, port: {}, user: root, key-file: {}, known-hosts: {} }}\n",
            name(nth),
            sshd.port(),
            sshd.key().display(),
            known.display()
        ));
        self.hosts.push(Host {
            nginx,
            sshd: Some(sshd),
        });
    }

    fn configure(&self, more: &str) {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let Bed { blue, green, .. } = &self.bed;
        let router = format!(
            "  deadline: {}s\n{more}  nginx:\n    hosts: all\n    upstream-file: {}\n    test: . {}\n    reload: . {}\n    timeout: 5s\n    \
             blue: {}\n    green: {}\n    release: {{ url: 'http://shop.test:{}/api/v1/version', jq: .version }}\n",
            DEADLINE.as_secs(),
            at("upstream.conf"),
            at("test.sh"),
            at("reload.sh"),
            blue.address(),
            green.address(),
            self.port,
        );
        self.bed.write(&router, &self.lines);
    }

    fn script(&self, nth: usize, name: &str, text: &str) {
        fs::write(self.hosts[nth].nginx.folder().join(name), text).unwrap();
    }

    /// `nginx -t` finds a fault in any file that gives green something.
    fn refuses(&self, nth: usize) {
        let green = self.bed.green.address();
        let test = format!(
            "grep -q '{green}' {}/upstream.conf && {{ echo 'emerg: host not found in upstream' >&2; exit 1; }}; {}",
            self.folder.display(),
            self.hosts[nth].nginx.test_command()
        );
        self.script(nth, "test.sh", &test);
    }

    fn hangs(&self, nth: usize) {
        self.script(nth, "reload.sh", "sleep 300");
    }

    fn dies(&mut self, nth: usize) {
        self.hosts[nth].sshd = None;
    }

    /// The releases that answer at a host, once no process of before does.
    fn serves(&self, nth: usize) -> &'static str {
        let url = self.hosts[nth].nginx.url("/api/v1/version");
        let asked = || {
            let answer = testkit::get(&url).unwrap();
            answer.header("x-version").unwrap_or_default().to_owned()
        };
        let seen: Vec<String> = (0..20).map(|_| asked()).collect();
        let all = |release: &str| seen.iter().all(|one| one == release);
        match (all("v1"), all("v2")) {
            (true, _) => "v1",
            (_, true) => "v2",
            _ => panic!("{} answers {seen:?}", name(nth)),
        }
    }

    /// A switch with a report, which ends inside its deadline.
    #[track_caller]
    fn switch(&self, to: &str) -> (End, Value) {
        let report = self.bed.path("report.json");
        let began = Instant::now();
        let end = self
            .bed
            .traffic(&["switch", "--to", to, "--report", "report.json"]);
        let took = began.elapsed();
        assert!(took < DEADLINE, "{took:?}: {}", end.text);
        let report = serde_json::from_str(&fs::read_to_string(report).unwrap()).unwrap();
        (end, report)
    }

    /// Every host has the share that the report tells of it.
    #[track_caller]
    fn is_as_told(&self, report: &Value, dead: &[usize]) {
        let outcomes = report["outcomes"].as_array().unwrap();
        for nth in 0..HOSTS {
            let of_host = |outcome: &&Value| {
                let id = outcome["id"].as_str().unwrap();
                id.starts_with("runs/") && id.ends_with(&name(nth))
            };
            let runs = outcomes.iter().find(of_host);
            let runs = runs.unwrap_or_else(|| panic!("{} is not in {report}", name(nth)));
            let told = runs["actual"].as_str().unwrap();
            let wanted = match self.serves(nth) {
                _ if dead.contains(&nth) => "unknown: ",
                "v2" => "v2 at 100% ",
                _ => "v2 at 0% ",
            };
            assert!(
                told.starts_with(wanted),
                "{}: {told}, not {wanted}",
                name(nth)
            );
        }
    }
}

fn name(nth: usize) -> String {
    format!("web-{nth:02}")
}

/// A login that sees the nginx's files where all hosts have them, and its address by the name that all
/// hosts know.
fn login(nginx: &Nginx, folder: &Path, address: Ipv4Addr) -> Sshd {
    let before = format!(
        "mount --bind {} {}\nprintf '127.0.0.1 localhost\\n{address} shop.test\\n' >@/hosts\nmount --bind @/hosts /etc/hosts",
        nginx.folder().display(),
        folder.display()
    );
    SshdSetup {
        before: Some(before),
        ..SshdSetup::default()
    }
    .start()
}

#[test]
fn no_host_may_fail_and_none_is_left_behind() {
    let mut fleet = Fleet::new("");
    fleet.refuses(REFUSES);
    let (end, report) = fleet.switch("v2");
    end.is(
        1,
        &["web-07", "emerg: host not found", "v2 has 0% as before"],
    );
    fleet.is_as_told(&report, &[]);
    assert!((0..HOSTS).all(|nth| fleet.serves(nth) == "v1"));
    assert!(fleet.bed.state()["rollout"].is_null());

    // Its nginx never reads the file, nor the one that is put back: answers prove that all is as before.
    fleet.hangs(HANGS);
    let (end, report) = fleet.switch("v2");
    end.is(1, &["web-07", "web-11", "v2 has 0% as before"]);
    fleet.is_as_told(&report, &[]);
    assert!((0..HOSTS).all(|nth| fleet.serves(nth) == "v1"));
    assert!(fleet.bed.state()["rollout"].is_null());

    fleet.dies(DEAD);
    let (end, _) = fleet.switch("v2");
    end.is(5, &["web-03"]);
    assert!((0..HOSTS).all(|nth| fleet.serves(nth) == "v1"));
    assert!(fleet.bed.state()["rollout"].is_null());
}

#[test]
fn three_may_fail_and_the_others_have_the_share() {
    let mut fleet = Fleet::new("  max-failed: 3\n");
    fleet.refuses(REFUSES);
    fleet.hangs(HANGS);
    fleet.dies(DEAD);
    let (end, report) = fleet.switch("v2");
    end.is(6, &["web-03", "web-07", "web-11", "3 of 20 places"]);
    fleet.is_as_told(&report, &[DEAD]);
    let bad = [DEAD, REFUSES, HANGS];
    for nth in 0..HOSTS {
        let wanted = if bad.contains(&nth) { "v1" } else { "v2" };
        assert_eq!(fleet.serves(nth), wanted, "{}", name(nth));
    }
    fleet.bed.traffic(&["history"]).is(0, &["partial"]);
}

/// What another changed is told of each machine, with both values, and what was known of it before is not told any more.
#[test]
fn a_foreign_change_on_several_hosts_names_each() {
    let fleet = Fleet::new("  stages: [50%, 100%]\n  stage-duration: 60s\n  watch-interval: 1s\n");
    let bed = &fleet.bed;
    let child = bed.spawn(&["ramp", "--release", "v2", "--report", "report.json"]);
    bed.phase("judging");
    let weigh = |nth: usize, weights: [u32; 2]| {
        let (blue, green) = (bed.blue.address(), bed.green.address());
        let text = format!(
            "upstream shop {{\n    server {blue} weight={};\n    server {green} weight={};\n}}\n",
            weights[0], weights[1]
        );
        let file = fleet.hosts[nth].nginx.folder().join("upstream.conf");
        let new = file.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, file).unwrap();
    };
    // Between two looks of the ramp both would be seen one after another.
    weigh(2, [9, 1]);
    weigh(5, [3, 1]);
    let end = End::from(child.wait_with_output().unwrap()).is(1, &["the ramp stops"]);
    let told = |place: &str, found: &str| {
        format!("{place} has {found}, and blue 50%, green 50% was set: another changed it")
    };
    let both = [
        told("web-02", "blue 90%, green 10%"),
        told("web-05", "blue 75%, green 25%"),
    ];
    for told in &both {
        assert!(end.text.contains(told.as_str()), "{told}: {}", end.text);
    }
    let report: Value =
        serde_json::from_str(&fs::read_to_string(bed.path("report.json")).unwrap()).unwrap();
    let found = |changes: &Value| -> Vec<(String, f64, f64)> {
        let changes = changes.as_array().unwrap().iter();
        let share = |change: &Value, key: &str| change[key].as_f64().unwrap();
        let of = |change: &Value| {
            let place = change["place"].as_str().unwrap().to_owned();
            (place, share(change, "set"), share(change, "found"))
        };
        changes.map(of).collect()
    };
    let wanted = [
        ("web-02".to_owned(), 0.5, 0.1),
        ("web-05".to_owned(), 0.5, 0.25),
    ];
    assert_eq!(found(&report["foreign_changes"]), wanted);
    let outcomes = report["outcomes"].to_string();
    assert!(!outcomes.contains("runs/50%/web-02"), "{outcomes}");
    assert!(outcomes.contains("runs/50%/web-03"), "{outcomes}");

    let json = |args: &[&str]| -> Value {
        let output = bed.command(args).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let status = json(&["status", "--format", "json"]);
    assert_eq!(found(&status["foreign_changes"]), wanted);
    let history = json(&["history", "--format", "json"]);
    let newest = &history["share_changes"][0];
    assert_eq!(
        (&newest["before"], &newest["foreign"]),
        (
            &serde_json::json!(0.5),
            &serde_json::json!({"web-02": 0.1, "web-05": 0.25})
        ),
        "{newest:#}"
    );
    bed.traffic(&["history"])
        .is(0, &[both.join("; ").as_str(), "v2 at 10%, v2 at 25%"]);
    bed.traffic(&["status"])
        .is(1, &["share/web-02", "share/web-05"]);
}

/// One machine after another: the proofs of all fit into the deadline, or the share is refused.
#[test]
fn proofs_one_after_another_share_the_deadline() {
    let fleet = Fleet::new("  batch: 1\n");
    fleet.bed.slow_answers(Duration::from_millis(150));
    fleet.bed.traffic(&["plan", "--release", "v2"]).is(
        5,
        &["(45 answers), and `traffic.deadline` (30s) leaves 1s for it"],
    );
}

/// A machine that is taken out of the configuration keeps its share, and nothing passes before it is back.
#[test]
fn a_host_that_is_not_configured_any_more_keeps_the_rollout() {
    let (mut fleet, all) = Fleet::left_by_a_killed_ramp();
    fleet.configure(TWO_STAGES);
    let told = "web-19 is not in the configuration any more";
    fleet
        .bed
        .traffic(&["status"])
        .is(1, &["share/web-19", told]);
    for args in [&["resume"][..], &["resume", "--dry-run"], &["promote"]] {
        fleet
            .bed
            .traffic(args)
            .is(5, &["refused/share/web-19", told]);
    }
    fleet.bed.traffic(&["abort", "--dry-run"]).is(
        6,
        &["would give everything back to v1, and not at web-19", told],
    );
    for _ in 0..2 {
        fleet
            .bed
            .traffic(&["abort"])
            .is(6, &["share/0%/web-19", told, "configure web-19 again"]);
        assert_eq!(fleet.serves(0), "v1");
        assert_eq!(fleet.bed.state()["rollout"]["sides"]["web-19"], "green");
    }
    fleet.bed.traffic(&["history"]).is(0, &["partial"]);
    fleet.bed.traffic(&["resume"]).is(6, &[told]);
    fleet
        .bed
        .traffic(&["status"])
        .is(1, &["not every place has 0%"]);
    fleet.lines = all;
    fleet.configure(TWO_STAGES);
    fleet.bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
    assert_eq!(fleet.serves(19), "v1");
    assert!(fleet.bed.state()["rollout"].is_null());
}

/// A machine that is gone for good ends no rollout by itself: a person lets it go, and it is told.
#[test]
fn a_host_that_is_gone_for_good_is_let_go_by_name() {
    let (fleet, _) = Fleet::left_by_a_killed_ramp();
    let forget = ["abort", "--forget", "web-19", "--reason", "its disk died"];
    fleet
        .bed
        .traffic(&forget)
        .is(2, &["all places of the rollout are configured"]);
    fleet.configure(TWO_STAGES);
    fleet.bed.traffic(&["abort", "--forget", "web-3"]).is(
        2,
        &[
            "`web-3` is not an unconfigured place",
            "the places that can be forgotten: web-19",
        ],
    );
    fleet
        .bed
        .traffic(&["abort"])
        .is(6, &["`traffic abort --forget web-19`"]);
    fleet.bed.traffic(&forget).is(
        0,
        &["v1 has 100% again", "its disk died; forgotten: web-19"],
    );
    assert_eq!(fleet.serves(0), "v1");
    assert!(fleet.bed.state()["rollout"].is_null());
    fleet
        .bed
        .traffic(&["history"])
        .is(0, &["forgotten: web-19"]);
}
