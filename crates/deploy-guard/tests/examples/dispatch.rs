//! A workflow that deploys. What GitHub answers is played: it takes a dispatch and says how the run
//! goes. The run itself is one: act runs the workflow.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::Nginx;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::examples::world::{Example, answers, state, version};
use crate::job::act::Run;

const TOKEN: &str = "t0ken-of-the-job";

/// GitHub, as far as a dispatch goes, and another runner with a checkout of its own.
struct Hub {
    runner: Weak<Example>,
    runs: Arc<Mutex<Vec<Dispatched>>>,
}

struct Dispatched {
    body: Value,
    /// None while it goes on.
    run: Option<Run>,
}

impl Hub {
    fn dispatch(&self, request: &Request) -> ResponseTemplate {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let input = |name: &str| body["inputs"][name].as_str().unwrap().to_owned();
        let inputs = [input("release"), input("rollback-id")];
        let mut runs = self.runs.lock().unwrap();
        let nth = runs.len();
        runs.push(Dispatched { body, run: None });
        let (runner, runs) = (self.runner.upgrade().unwrap(), Arc::clone(&self.runs));
        std::thread::spawn(move || {
            let inputs = [("release", &*inputs[0]), ("rollback-id", &*inputs[1])];
            let run = runner.dispatch("deploy.yml", &inputs);
            runs.lock().unwrap_or_else(PoisonError::into_inner)[nth].run = Some(run);
        });
        ResponseTemplate::new(200).set_body_json(json!({"workflow_run_id": 1000 + nth}))
    }

    fn run(&self, id: usize) -> Option<Value> {
        let runs = self.runs.lock().unwrap();
        let Dispatched { body, run } = runs.get(id.checked_sub(1000)?)?;
        let conclusion = run
            .as_ref()
            .map(|run| if run.passed { "success" } else { "failure" });
        let title = format!(
            "deploy {} {}",
            body["inputs"]["release"].as_str()?,
            body["inputs"]["rollback-id"].as_str()?
        );
        Some(
            json!({"id": id, "display_title": title, "event": "workflow_dispatch",
            "head_branch": "main", "run_attempt": 1, "actor": {"login": "github-actions[bot]"},
            "status": run.as_ref().map_or("in_progress", |_| "completed"), "conclusion": conclusion,
            "html_url": format!("https://github.test/acme/shop/actions/runs/{id}")}),
        )
    }
}

impl Respond for Hub {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let told = request.headers.get("authorization");
        if told.is_none_or(|value| value.as_bytes() != format!("Bearer {TOKEN}").as_bytes()) {
            return ResponseTemplate::new(401);
        }
        let good = |body: Value| ResponseTemplate::new(200).set_body_json(body);
        let file = ".github/workflows/deploy.yml";
        let path = request.url.path().strip_prefix("/repos/acme/shop");
        match path.unwrap_or_default() {
            "/actions/workflows/deploy.yml" => {
                good(json!({"id": 7, "path": file, "state": "active"}))
            }
            "/contents/.github/workflows/deploy.yml" => {
                let text = fs::read(self.runner.upgrade().unwrap().repository.path(file)).unwrap();
                let packed = base64::engine::general_purpose::STANDARD.encode(text);
                good(json!({"content": packed, "encoding": "base64"}))
            }
            "/actions/workflows/deploy.yml/dispatches" => self.dispatch(request),
            "/actions/workflows/deploy.yml/runs" => {
                let count = self.runs.lock().unwrap().len();
                let runs = (0..count).rev().map(|nth| self.run(1000 + nth));
                let runs: Vec<_> = runs.collect();
                good(json!({"total_count": runs.len(), "workflow_runs": runs}))
            }
            path => {
                let id = path.strip_prefix("/actions/runs/");
                let run = id.and_then(|id| self.run(id.parse().ok()?));
                run.map_or(ResponseTemplate::new(404), good)
            }
        }
    }
}

struct World {
    nginx: Nginx,
    example: Example,
    runs: Arc<Mutex<Vec<Dispatched>>>,
    folder: TempDir,
    _runner: Arc<Example>,
    _github: MockServer,
}

impl World {
    /// Each release with the health that it reports; the first one is live.
    fn new(releases: &[(&str, &str)]) -> World {
        let folder = tempfile::tempdir().unwrap();
        // nginx's workers run as the user `nobody`.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for (release, health) in releases {
            let release = |name: &str| folder.path().join("releases").join(release).join(name);
            fs::create_dir_all(release("health")).unwrap();
            fs::create_dir_all(release("api/v1")).unwrap();
            let health = format!("{{\"status\": \"{health}\"}}");
            fs::write(release("health/ready"), health).unwrap();
        }
        for (release, _) in releases {
            let file = format!("releases/{release}/api/v1/version");
            fs::write(folder.path().join(file), version(release)).unwrap();
        }
        let (first, _) = releases[0];
        symlink(format!("releases/{first}"), folder.path().join("current")).unwrap();
        let here = folder.path().display().to_string();
        let nginx = Nginx::serving(&format!(
            "server {{ listen ADDRESS:PORT; root {here}/current; }}"
        ));
        let example = || {
            Example::copy("workflow-dispatch")
                .fill("/srv/shop", &here)
                .fill("/var/lib/shop", &here)
                .fill("https://shop.example.com", &nginx.url(""))
                .fill("interval: 2s, timeout", "interval: 100ms, timeout")
                .fill("interval: 5s", "interval: 200ms")
                .secret("GITHUB_TOKEN", TOKEN)
        };
        let (runs, runner) = (Arc::default(), Arc::new(example()));
        let hub = Hub {
            runner: Arc::downgrade(&runner),
            runs: Arc::clone(&runs),
        };
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let github = runtime.block_on(async {
            let server = MockServer::start().await;
            Mock::given(any()).respond_with(hub).mount(&server).await;
            server
        });
        let ours = format!("service: shop\ngithub: {{ api-url: \"{}\" }}", github.uri());
        let example = example().fill("service: shop", &ours);
        World {
            nginx,
            example,
            runs,
            folder,
            _runner: runner,
            _github: github,
        }
    }

    fn deploy(&self, release: &str) -> Run {
        let inputs = [("release", release)];
        self.example.dispatch("guarded-deploy.yml", &inputs)
    }

    #[track_caller]
    fn live(&self, release: &str) {
        answers(&self.nginx.url("/api/v1/version"), &version(release));
    }

    fn dispatched(&self) -> usize {
        self.runs.lock().unwrap().len()
    }
}

#[test]
fn dispatch_from_a_good_release_through_a_bad_one_and_back() {
    // v2 answers with 200 and reports that it is not healthy.
    let world = World::new(&[("v0", ""), ("v1", "healthy"), ("v2", "degraded")]);
    world.deploy("v1").passes().skipped("Roll back");
    world.live("v1");
    assert_eq!(world.dispatched(), 0);

    let run = world.deploy("v2").fails().succeeded("Deploy");
    run.failed("Gate")
        .says("http/ready")
        .skipped("Record as good")
        .succeeded("Roll back")
        .says("run 1000 ended with success");
    world.live("v1");
    let text = fs::read(world.folder.path().join("production-state.json")).unwrap();
    state(&text, "v1", &[("v1", "good"), ("v2", "bad")]);
    {
        let mut runs = world.runs.lock().unwrap();
        let [Dispatched { body, run }] = &mut runs[..] else {
            panic!("{} dispatches", runs.len());
        };
        assert_eq!(
            (&body["ref"], &body["inputs"]["release"]),
            (&json!("main"), &json!("v1"))
        );
        run.take().unwrap().passes().succeeded("Deploy");
    }

    // It is not deployed again.
    let run = world.deploy("v2").fails().failed("Preflight");
    run.says("known bad")
        .skipped("Begin")
        .skipped("Deploy")
        .skipped("Roll back");
    world.live("v1");
    assert_eq!(world.dispatched(), 1);
}

/// actionlint looks for the one that is called in the repository that it is in.
#[test]
fn the_workflow_that_is_called_takes_what_it_is_given() {
    let lint = |example: &Example| {
        let mut actionlint = Command::new(testkit::tool("actionlint"));
        let actionlint = actionlint.current_dir(example.repository.path(""));
        let output = actionlint.arg("-color=false").output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let example = Example::copy("workflow-dispatch");
    assert_eq!(lint(&example), "");
    // It does look.
    let example = example.fill("with:\n      release:", "with:\n      version:");
    let said = lint(&example);
    assert!(said.contains("input \"version\" is not defined"), "{said}");
}
