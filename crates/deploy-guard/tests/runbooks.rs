//! The runbooks' deployments that end badly, from preflight to the way back, with `deploy-guard run`:
//! blue-green behind a real nginx.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use testkit::{Nginx, Shop, browser};

/// v1 is good and runs on blue; the new release runs on green.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) nginx: Nginx,
    blue: Shop,
    pub(crate) green: Shop,
}

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) text: String,
    pub(crate) report: Value,
}

impl World {
    pub(crate) fn new() -> World {
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let nginx = Nginx::start(&blue.address());
        let world = World {
            folder: tempfile::tempdir().unwrap(),
            nginx,
            blue,
            green,
        };
        world.configure();
        world.rollback(&["record", "--release", "v1"]);
        world
    }

    fn configure(&self) {
        let (blue, green) = (self.blue.address(), self.green.address());
        let upstream = self.nginx.upstream_file();
        let upstream = upstream.display();
        let version = self.nginx.url("/api/v1/version");
        let release = format!("{{ url: '{version}', jq: .version }}");
        self.write(
            "deploy.sh",
            &format!(
                "set -e\necho called >>deployed\nsed -i 's/{blue}/{green}/' '{upstream}'\n{}\n\
                 # nginx's old workers answer for a moment, and a smoke test would test what they lead to.\n\
                 for i in 1 2 3 4 5 6 7 8 9 10; do\n\
                 case $(curl -fsS '{version}') in *\"$RELEASE\"*) break ;; esac; sleep 0.1; done\n\
                 if [ -f full ]; then echo 'no space left on device' >&2; exit 28; fi\n\
                 if [ -f slow ]; then sleep 120; fi\n",
                self.nginx.reload_command()
            ),
        );
        let (ready, order) = (self.nginx.url("/health/ready"), self.nginx.url("/orders/7"));
        self.write(
            "deploy-guard.yml",
            &format!(
                "version: 1
service: shop
preflight:
  variables: [{{ name: DEPLOY_HOST }}]
deploy: {{ command: sh deploy.sh, timeout: 8s }}
healthgate:
  policy: {{ interval: 50ms, timeout: 10s, success-threshold: 3, startup: 2s, failure-limit: 3, deadline: 60s }}
  http:
    - {{ name: ready, url: '{ready}', jq: '.status == \"healthy\"', release: {release} }}
  smoke:
    - {{ name: order, requests: [{{ name: look, url: '{order}' }}] }}
rollback:
  state: state.json
  nginx:
    upstream-file: '{upstream}'
    blue: '{blue}'
    green: '{green}'
    test: \"{}\"
    reload: \"{}\"
    release: {release}
",
                self.nginx.test_command(),
                self.nginx.reload_command()
            ),
        );
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        Path::join(self.folder.path(), name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn rollback(&self, args: &[&str]) {
        testkit::bin("rollback")
            .current_dir(self.folder.path())
            .args(args)
            .assert()
            .code(0);
    }

    /// Deploys as a person does on a laptop: nothing of GitHub is in the environment.
    pub(crate) fn deploy(&self, release: &str, env: &[(&str, &str)]) -> Ran {
        self.deploy_with(release, env, &[])
    }

    /// The same with more flags.
    pub(crate) fn deploy_with(&self, release: &str, env: &[(&str, &str)], flags: &[&str]) -> Ran {
        self.green.set_release(release);
        let output = testkit::bin("deploy-guard")
            .current_dir(self.folder.path())
            .args(["run", "--release", release, "--report", "report.json"])
            .args(flags)
            .envs(env.iter().copied())
            .output()
            .unwrap();
        let report = std::fs::read(self.path("report.json")).unwrap();
        Ran {
            code: output.status.code().unwrap(),
            text: String::from_utf8([output.stdout, output.stderr].concat()).unwrap(),
            report: serde_json::from_slice(&report).unwrap(),
        }
    }

    pub(crate) fn live(&self) -> String {
        let answer = testkit::get(&self.nginx.url("/api/v1/version")).unwrap();
        let version: Value = serde_json::from_str(&answer.text()).unwrap();
        version["version"].as_str().unwrap().to_owned()
    }

    fn state(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path("state.json")).unwrap()).unwrap()
    }
}

impl Ran {
    /// How each stage ended, in their order; the first that did not pass is where it failed.
    #[track_caller]
    fn stages(&self, all: &[(&str, &str)]) -> &Ran {
        let outcomes = self.report["outcomes"].as_array().unwrap();
        let ended: Vec<(&str, &str)> = outcomes
            .iter()
            .map(|one| {
                (
                    one["id"].as_str().unwrap(),
                    one["verdict"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(ended, all, "{}", self.text);
        self
    }

    #[track_caller]
    fn because(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}", self.text);
        let reason = self.report["reason"].as_str().unwrap();
        for part in words {
            assert!(reason.contains(part), "{part}: {reason}");
        }
    }
}

pub(crate) const HERE: &[(&str, &str)] = &[("DEPLOY_HOST", "web-01")];

/// "Identify failure stage": a setting that is missing, the deployment, a health check, a smoke test.
#[test]
fn runbook_000_identify_failure_stage() {
    let world = World::new();
    let ran = world.deploy("v2", &[]);
    ran.stages(&[("run/preflight", "fail")])
        .because(1, &["preflight: ", "DEPLOY_HOST", "nothing was deployed"]);
    assert!(!world.path("deployed").exists());

    let back = [("run/healthgate", "fail"), ("run/rollback", "pass")];
    let stages = [
        &[("run/preflight", "pass"), ("run/deploy", "pass")],
        &back[..],
    ]
    .concat();
    world.green.set_health("unhealthy", 503);
    let ran = world.deploy("v3", HERE);
    ran.stages(&stages)
        .because(1, &["healthgate: http/ready", "rolled back from v3 to v1"]);
    assert_eq!(world.live(), "v1");

    world.green.set_health("healthy", 200);
    world.green.fail_one_in(Some(1));
    let ran = world.deploy("v4", HERE);
    ran.stages(&stages)
        .because(1, &["healthgate: smoke/order", "rolled back from v4 to v1"]);
    assert!(ran.text.contains("look"), "{}", ran.text);
    assert_eq!(world.live(), "v1");
}

/// "Deployment marked as failed": the script ends badly after it has sent the traffic over.
#[test]
fn runbook_001_automatic_rollback_when_the_deployment_itself_failed() {
    let world = World::new();
    world.write("full", "");
    let ran = world.deploy("v2", HERE);
    ran.stages(&[
        ("run/preflight", "pass"),
        ("run/deploy", "fail"),
        ("run/rollback", "pass"),
    ])
    .because(1, &["deploy: ", "28", "rolled back from v2 to v1"]);
    assert!(ran.text.contains("no space left on device"), "{}", ran.text);
    assert_eq!(world.live(), "v1");
    // The same is not tried again by mistake.
    std::fs::remove_file(world.path("full")).unwrap();
    world.deploy("v2", HERE).because(5, &["v2"]);
    assert_eq!(world.live(), "v1");
}

/// "Deployment duration > 10min": it is ended, here after eight seconds, and what it did is taken back.
#[test]
fn runbook_003_alert_a_deployment_that_takes_too_long() {
    let world = World::new();
    world.write("slow", "");
    let ran = world.deploy("v2", HERE);
    ran.stages(&[
        ("run/preflight", "pass"),
        ("run/deploy", "fail"),
        ("run/rollback", "pass"),
    ])
    .because(
        1,
        &["deploy: ", "not done in time", "rolled back from v2 to v1"],
    );
    assert_eq!(world.live(), "v1");
}

/// "Health checks configured": without a probe the release could not be judged, so nothing is deployed.
#[test]
fn runbook_002_checklist_health_checks_configured() {
    let world = World::new();
    let text = std::fs::read_to_string(world.path("deploy-guard.yml")).unwrap();
    let (before, rest) = text.split_once("healthgate:\n").unwrap();
    let (_, after) = rest.split_once("rollback:\n").unwrap();
    world.write("deploy-guard.yml", &format!("{before}rollback:\n{after}"));
    testkit::bin("deploy-guard")
        .current_dir(world.folder.path())
        .args(["run", "--release", "v2"])
        .envs(HERE.iter().copied())
        .assert()
        .code(2)
        .stderr(predicates::str::contains("no probe is configured"));
    assert!(!world.path("deployed").exists());
}

/// "Manual deployment (if CI/CD failed)": the same deployment, from a laptop.
#[test]
fn runbook_002_manual_deployment_if_ci_failed() {
    let world = World::new();
    let ran = world.deploy("v2", HERE);
    ran.stages(&[
        ("run/preflight", "pass"),
        ("run/deploy", "pass"),
        ("run/healthgate", "pass"),
        ("run/record", "pass"),
    ])
    .because(0, &["v2 is live, healthy, and last-known-good"]);
    assert_eq!(world.live(), "v2");
    assert_eq!(world.state()["last_known_good"], "v2");
}

/// The first lines about a failed deployment: in the run's summary and on its page.
#[test]
fn the_summary_and_the_page_of_a_run_open_with_what_happened() {
    let world = World::new();
    world.green.set_health("unhealthy", 503);
    // The deployment itself writes to the same summary.
    let summary = world.path("summary.md").display().to_string();
    world.write("summary.md", "# before\n");
    let script = std::fs::read_to_string(world.path("deploy.sh")).unwrap();
    world.write(
        "deploy.sh",
        &format!("{script}echo '# from the deployment' >>summary.md\n"),
    );
    let page = world.path("run.html").display().to_string();
    let env = [
        HERE[0],
        ("GITHUB_STEP_SUMMARY", &summary),
        ("DEPLOY_GUARD_HTML", &page),
    ];
    let ran = world.deploy("v2", &env);
    ran.because(1, &["rolled back from v2 to v1"]);
    let text = std::fs::read_to_string(&summary).unwrap();
    let rest =
        text.strip_prefix("# before\n## ❌ v2 failed its gate; v1 is back and verified after ");
    assert!(
        rest.is_some_and(|rest| rest.ends_with("# from the deployment\n")),
        "{text}"
    );
    assert!(!text.contains("under way"), "{text}");
    let seen = browser::summary(Path::new(&summary));
    let row = seen["tables"][0].clone();
    assert_eq!(
        row[0],
        serde_json::json!(["preflight", "deploy", "healthgate", "rollback"])
    );
    let cells: Vec<&str> = row[1]
        .as_array()
        .unwrap()
        .iter()
        .map(|cell| cell.as_str().unwrap())
        .collect();
    for (cell, begins) in cells
        .iter()
        .zip(["✅ pass · ", "✅ pass · ", "❌ fail · ", "✅ pass · "])
    {
        assert!(cell.starts_with(begins), "{cells:?}");
    }
    let all = |key: &str| seen[key].as_array().unwrap().clone();
    let among = |folds: &[Value], words: &str| {
        folds
            .iter()
            .any(|fold| fold.as_str().unwrap().contains(words))
    };
    assert!(among(&all("open"), "healthgate: fail · "), "{seen:#}");
    for folded in [
        "preflight: pass · ",
        "deploy: pass · ",
        "rollback: rolled back v2 → v1 · ",
    ] {
        assert!(among(&all("folded"), folded), "{folded}: {seen:#}");
    }
    // The status decided, and not how long it took: marks, and what was answered.
    assert!(among(&all("open"), "✗✗✗"), "{seen:#}");
    assert!(
        all("answers")
            .iter()
            .any(|answer| answer.as_str().unwrap().contains("503"))
    );
    assert_eq!(seen["charts"], serde_json::json!(["gantt"]));

    let seen = browser::page(Path::new(&page));
    for nothing in ["violations", "wide", "problems"] {
        assert_eq!(seen[nothing], serde_json::json!([]), "{seen:#}");
    }
    let title = seen["title"].as_str().unwrap();
    assert!(
        title.contains("v2 failed its gate; v1 is back and verified"),
        "{title}"
    );
    let drawing = seen["drawings"][0].as_str().unwrap();
    assert!(
        drawing.starts_with("Timeline of 4 places over "),
        "{drawing}"
    );
    let links = [
        "./run.preflight.html",
        "./run.healthgate.html",
        "./run.rollback.html",
    ];
    assert_eq!(seen["links"], serde_json::json!(links));
    for link in links {
        assert!(world.path(link).is_file(), "{link}");
    }
}
