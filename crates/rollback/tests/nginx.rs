//! Blue-green behind a real nginx.

use std::process::{Command, Stdio};

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use tempfile::TempDir;
use testkit::{Nginx, Shop};

struct Site {
    blue: Shop,
    green: Shop,
    nginx: Nginx,
    folder: TempDir,
}

impl Site {
    /// v1 on blue is recorded good; v2 on green has the traffic.
    fn new() -> Site {
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let nginx = Nginx::start(&blue.address());
        let folder = tempfile::tempdir().unwrap();
        let site = Site {
            blue,
            green,
            nginx,
            folder,
        };
        site.configure(&site.nginx.test_command(), &site.nginx.reload_command());
        site.run(&["record", "--release", "v1"]).assert().code(0);
        site.deploy_v2();
        site
    }

    fn configure(&self, test: &str, reload: &str) {
        let config = serde_json::json!({
            "version": 1,
            "rollback": {
                "state": "state.json",
                "nginx": {
                    "upstream-file": self.nginx.upstream_file(),
                    "blue": self.blue.address(),
                    "green": self.green.address(),
                    "release": {"url": self.nginx.url("/api/v1/version"), "jq": ".version"},
                    "test": test,
                    "reload": reload,
                    "timeout": "2s",
                },
            },
        });
        std::fs::write(
            self.folder.path().join("deploy-guard.yml"),
            config.to_string(),
        )
        .unwrap();
    }

    fn run(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = testkit::bin("rollback");
        command.current_dir(self.folder.path()).args(args);
        command
    }

    fn live(&self) -> String {
        let answer = testkit::get(&self.nginx.url("/api/v1/version")).unwrap();
        answer.header("x-version").unwrap_or_default().to_owned()
    }

    fn deploy_v2(&self) {
        self.nginx.switch_to(&self.green.address());
        assert_eq!(self.live(), "v2");
    }

    fn settles_on(&self, release: &str) -> bool {
        testkit::wait_until(std::time::Duration::from_secs(5), || {
            (0..20).all(|_| self.live() == release)
        })
    }

    fn upstream(&self) -> String {
        std::fs::read_to_string(self.nginx.upstream_file()).unwrap()
    }
}

#[test]
fn the_colour_of_last_known_good_gets_the_traffic() {
    let site = Site::new();
    site.run(&["run"])
        .assert()
        .code(0)
        .stdout(contains("rolled back from v2 to v1").and(contains("requests in a row")));
    assert_eq!(site.live(), "v1");
    site.run(&["run"])
        .assert()
        .code(5)
        .stdout(contains("v1 is what runs already"));
}

#[test]
fn no_request_is_lost_while_the_traffic_moves() {
    let site = Site::new();
    let load = Command::new("wrk")
        // Fresh connections: one that is kept may be closed by nginx just as a request is sent.
        .args(["-t1", "-c8", "-d10m", "-H", "Connection: close"])
        .arg(site.nginx.url("/"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("wrk is installed by `cargo xtask setup`");
    std::thread::sleep(std::time::Duration::from_millis(500));
    // Fifty switches: there and back.
    for _ in 0..25 {
        site.run(&["run"]).assert().code(0);
        site.deploy_v2();
    }
    // wrk prints its counts when it is interrupted.
    let id = load.id().to_string();
    let told = Command::new("kill").args(["-INT", &id]).status();
    assert!(told.is_ok_and(|status| status.success()), "wrk has ended");
    let output = load.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("requests in"), "{text}");
    assert!(
        !text.contains("Non-2xx") && !text.contains("Socket errors"),
        "{text}"
    );
}

#[test]
fn a_configuration_that_nginx_refuses_is_put_back() {
    let site = Site::new();
    let before = site.upstream();
    site.configure("echo emerg: no >&2; false", &site.nginx.reload_command());
    site.run(&["run"])
        .assert()
        .code(1)
        .stdout(contains("emerg: no").and(contains("was put back")));
    assert_eq!(site.upstream(), before);
    assert_eq!(site.live(), "v2");
    site.run(&["resume"])
        .assert()
        .code(0)
        .stdout(contains("nothing to resume"));
}

#[test]
fn runbook_003_troubleshooting_2_a_reload_that_changes_nothing_is_put_back() {
    let site = Site::new();
    let before = site.upstream();
    site.configure(&site.nginx.test_command(), "true");
    site.run(&["run"])
        .assert()
        .code(1)
        .stdout(contains("does not serve v1: v2 answers").and(contains("was put back")));
    assert_eq!(site.upstream(), before);
}

#[test]
fn a_destination_that_does_not_run_is_refused_before_anything_changes() {
    let site = Site::new();
    let before = site.upstream();
    site.blue.set_release("v0");
    site.run(&["run"])
        .assert()
        .code(5)
        .stdout(contains("no colour runs v1"));
    assert_eq!(site.upstream(), before);
    assert_eq!(site.live(), "v2");
}

#[test]
fn killed_while_it_switches_resume_converges() {
    let site = Site::new();
    for round in 0..12_u64 {
        let mut command = Command::new(testkit::bin_path("rollback"));
        let mut child = testkit::clear_environment(&mut command)
            .current_dir(site.folder.path())
            .arg("run")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(6 + round * 9));
        child.kill().unwrap();
        child.wait().unwrap();
        site.run(&["resume"]).assert().code(0);
        if site.upstream().contains(&site.green.address()) {
            // Killed before it had the lock: there was nothing to resume.
            site.run(&["run"]).assert().code(0);
        }
        assert!(site.settles_on("v1"), "round {round}");
        site.run(&["resume"])
            .assert()
            .code(0)
            .stdout(contains("nothing to resume"));
        site.deploy_v2();
    }
}

#[test]
fn a_colour_that_runs_the_release_and_is_not_healthy_gets_no_traffic() {
    let site = Site::new();
    let gate = serde_json::json!({
        "policy": {"interval": "50ms", "timeout": "2s", "success-threshold": 2, "deadline": "10s"},
        "http": [{
            "name": "ready",
            "url": site.nginx.url("/health/ready"),
            "release": {"url": site.nginx.url("/api/v1/version"), "jq": ".version"},
        }],
    });
    let path = site.folder.path().join("deploy-guard.yml");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["healthgate"] = gate;
    std::fs::write(&path, config.to_string()).unwrap();
    let before = site.upstream();
    site.blue.set_health("unhealthy", 503);
    for verb in ["plan", "run"] {
        site.run(&[verb]).assert().code(5).stdout(
            contains("refused/unhealthy")
                .and(contains(site.blue.address()))
                .and(contains("503"))
                .and(contains("--force unhealthy --reason")),
        );
    }
    assert_eq!(site.upstream(), before);
    assert_eq!(site.live(), "v2");
    // With `--force` it gets the traffic; the gate then judges it.
    site.run(&["run", "--force", "unhealthy", "--reason", "v2 loses orders"])
        .assert()
        .code(1)
        .stdout(contains("v2 loses orders"));
    assert_eq!(site.live(), "v1");
    site.blue.set_health("healthy", 200);
    site.run(&["unfreeze"]).assert().code(0);
    site.deploy_v2();
    site.run(&["run"]).assert().code(0);
}
