//! A workflow makes the switch: it is dispatched once, its run is found again, and no other run is
//! followed. GitHub is a mock here, because the real one does not show runs on demand that fail, appear
//! late, or are another's; `crates/github` proves that the requests fit GitHub's description.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use testkit::Shop;
use wiremock::{MockServer, Request, Respond, ResponseTemplate};

use crate::targets::bed::{Bed, mock, points};

const TOKEN: &str = "t0ken-of-the-tests";
const ME: &str = "octo-deployer";
const FILE: &str = "name: rollback
run-name: rollback ${{ inputs.version }} ${{ inputs.rollback-id }}
on:
  workflow_dispatch:
    inputs: { version: { required: true }, environment: {}, rollback-id: {} }
";

/// The behaviour of the mocked GitHub, and its requests.
struct Hub {
    shop: Shop,
    /// Whether a dispatch is answered with the run's id.
    details: bool,
    state: &'static str,
    file: &'static str,
    /// How many looks a run takes until it ends, and how.
    looks: usize,
    conclusion: &'static str,
    /// How many looks at the list until a run is shown there.
    hidden: usize,
    /// A dispatch arrives, and its answer is lost.
    lost: bool,
    dispatches: Vec<Value>,
    runs: Vec<Value>,
    /// Runs of others that begin with each of ours: their actor.
    others: Vec<&'static str>,
    followed: Vec<u64>,
}

impl Hub {
    fn answer(&mut self, request: &Request) -> ResponseTemplate {
        let path = request.url.path().trim_start_matches("/repos/acme/shop");
        let bearer = format!("Bearer {TOKEN}");
        let told = request.headers.get("authorization");
        if told.is_none_or(|value| value.to_str().unwrap() != bearer) {
            return ResponseTemplate::new(401);
        }
        let good = |body: Value| ResponseTemplate::new(200).set_body_json(body);
        match path {
            "" => good(json!({"default_branch": "main"})),
            "/user" => good(json!({"login": ME})),
            "/actions/workflows/rollback.yml" => good(
                json!({"id": 7, "path": ".github/workflows/rollback.yml", "state": self.state}),
            ),
            "/contents/.github/workflows/rollback.yml" => {
                let packed = base64::engine::general_purpose::STANDARD.encode(self.file);
                good(json!({"content": packed, "encoding": "base64"}))
            }
            "/actions/workflows/rollback.yml/dispatches" => self.dispatch(request),
            "/actions/workflows/rollback.yml/runs" => {
                let late = self.hidden > 0 && !self.dispatches.is_empty();
                self.hidden -= usize::from(late);
                let runs = if late { &[] } else { &self.runs[..] };
                good(json!({"total_count": runs.len(), "workflow_runs": runs}))
            }
            path if path.ends_with("/attempts/1/jobs") => good(json!({"total_count": 2, "jobs": [
                {"id": 1, "name": "build", "status": "completed", "conclusion": "success"},
                {"id": 2, "name": "switch web-01", "status": "completed", "conclusion": "failure"},
            ]})),
            path => match path.strip_prefix("/actions/runs/") {
                Some(id) => good(self.look(id.parse().unwrap())),
                None => ResponseTemplate::new(404),
            },
        }
    }

    fn dispatch(&mut self, request: &Request) -> ResponseTemplate {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        if !self.details && body["return_run_details"] == true {
            let message = "Invalid request.\n\n\"return_run_details\" is not a permitted key.";
            return ResponseTemplate::new(422).set_body_json(json!({"message": message}));
        }
        let inputs = &body["inputs"];
        let text = |name: &str| inputs[name].as_str().unwrap_or_default().to_owned();
        let title = format!("rollback {} {}", text("version"), text("rollback-id"));
        for other in self.others.clone() {
            self.run(other, "rollback v0 somebody-else", "v0");
        }
        let id = self.run(ME, &title, &text("version"));
        self.dispatches.push(body);
        if self.lost {
            return ResponseTemplate::new(502);
        }
        if self.details {
            return ResponseTemplate::new(200).set_body_json(json!({"workflow_run_id": id}));
        }
        ResponseTemplate::new(204)
    }

    fn run(&mut self, actor: &str, title: &str, release: &str) -> u64 {
        let id = 1000 + self.runs.len() as u64;
        let run = json!({"id": id, "display_title": title, "event": "workflow_dispatch",
            "head_branch": "main", "status": "queued", "conclusion": null, "run_attempt": 1,
            "html_url": format!("https://github.test/acme/shop/actions/runs/{id}"),
            "actor": {"login": actor}, "release": release, "looks": self.looks});
        self.runs.insert(0, run);
        id
    }

    /// A run makes progress while it is polled.
    fn look(&mut self, id: u64) -> Value {
        if self.followed.last() != Some(&id) {
            self.followed.push(id);
        }
        let conclusion = self.conclusion;
        let run = self.runs.iter_mut().find(|run| run["id"] == id).unwrap();
        match run["looks"].as_u64().unwrap() {
            0 if run["status"] != "completed" => {
                run["status"] = "completed".into();
                run["conclusion"] = conclusion.into();
                if conclusion == "success" {
                    self.shop.set_release(run["release"].as_str().unwrap());
                }
            }
            0 => {}
            looks => {
                run["status"] = "in_progress".into();
                run["looks"] = (looks - 1).into();
            }
        }
        run.clone()
    }
}

struct Answers(Arc<Mutex<Hub>>);

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        self.0.lock().unwrap().answer(request)
    }
}

struct World {
    bed: Bed,
    hub: Arc<Mutex<Hub>>,
    _server: MockServer,
}

impl World {
    /// v1 is good, v2 runs.
    fn new(extra: &str) -> World {
        let world = World::empty(extra);
        world.bed.recorded("v1", "v2");
        world
    }

    fn empty(extra: &str) -> World {
        let shop = Shop::start("v2");
        let port = shop.port();
        let hub = Arc::new(Mutex::new(Hub {
            shop,
            details: true,
            state: "active",
            file: FILE,
            looks: 2,
            conclusion: "success",
            hidden: 0,
            lost: false,
            dispatches: Vec::new(),
            runs: Vec::new(),
            others: Vec::new(),
            followed: Vec::new(),
        }));
        // One from before.
        hub.lock().unwrap().run(ME, "rollback v0 yesterday", "v0");
        let server = mock(Answers(Arc::clone(&hub)));
        let bed = Bed::new()
            .env("GITHUB_API_URL", &server.uri())
            .env("GITHUB_REPOSITORY", "acme/shop")
            .env("GITHUB_TOKEN", TOKEN);
        let target = format!(
            "  workflow:\n    workflow: rollback.yml\n    inputs: {{ version: \"{{release}}\", environment: \"production, not {{previous}}\" }}\n    \
             interval: 60ms\n    timeout: 5s\n{extra}"
        );
        let url = format!("http://127.0.0.1:{port}");
        let gate = format!(
            "healthgate:\n  policy: {{ interval: 30ms, success-threshold: 2, deadline: 10s }}\n  http:\n    \
             - {{ name: ready, url: \"{url}/health/ready\", release: {{ url: \"{url}/api/v1/version\", jq: .version }} }}\n"
        );
        bed.configure("", &target, &gate);
        World {
            bed,
            hub,
            _server: server,
        }
    }

    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap()
    }

    /// v2 runs again, and no workflow has been dispatched.
    fn anew(&self) {
        let mut hub = self.hub();
        hub.shop.set_release("v2");
        hub.dispatches.clear();
        hub.followed.clear();
    }
}

const WORD: &str = "    correlation-input: rollback-id\n";

#[test]
fn the_workflow_gets_the_release_and_its_run_is_followed() {
    let world = World::new("");
    world
        .bed
        .rollback(&["plan"])
        .is(0, &["run the workflow rollback.yml of acme/shop for v1"]);
    assert_eq!(world.hub().dispatches, [json!(null); 0]);
    let end = world.bed.rollback(&["run"]).is(
        0,
        &[
            "rolled back from v2 to v1",
            "run 1001 ended with success: https://github.test/acme/shop/actions/runs/1001",
        ],
    );
    assert!(!end.text.contains(TOKEN), "{}", end.text);
    let hub = world.hub();
    assert_eq!(
        hub.dispatches,
        [json!({"ref": "main", "return_run_details": true,
            "inputs": {"version": "v1", "environment": "production, not v2"}})]
    );
    assert_eq!(hub.followed, [1001]);
}

#[test]
fn names_of_releases_arrive_as_they_are() {
    let mut tried = 0;
    for release in [
        "it's $(touch pwned) \"v1\"",
        "{previous}",
        "`x`\\",
        "v1\n",
        "-v",
    ] {
        let world = World::empty(WORD);
        if !world.bed.recorded_anew(release, "v2") {
            continue;
        }
        tried += 1;
        world.bed.rollback(&["run"]).is(0, &[]);
        let hub = world.hub();
        assert_eq!(hub.dispatches[0]["inputs"]["version"], release);
        assert!(!world.bed.path("pwned").exists());
    }
    assert!(tried >= 3, "only {tried} names were even tried");
}

#[test]
fn a_run_that_fails_says_where_and_is_made_again_by_resume() {
    let world = World::new(WORD);
    world.hub().conclusion = "failure";
    world.bed.rollback(&["run"]).is(
        1,
        &[
            "run 1001 ended with failure: https://github.test/acme/shop/actions/runs/1001",
            "job `switch web-01`: failure",
        ],
    );
    world.hub().conclusion = "success";
    world.bed.resume_converges("v1", "the workflow was fixed");
    let hub = world.hub();
    assert_eq!(
        (hub.dispatches.len(), &hub.followed[..]),
        (2, &[1001, 1002][..])
    );
    let tag = |nth: usize| {
        let tag = hub.dispatches[nth]["inputs"]["rollback-id"].as_str();
        tag.unwrap().rsplit_once('-').unwrap()
    };
    assert_eq!(tag(0).0, tag(1).0, "one rollback, one word");
    assert_eq!((tag(0).1, tag(1).1), ("1", "2"));
}

#[test]
fn a_run_that_does_not_end_is_followed_again_by_resume() {
    let world = World::new(WORD);
    world.hub().looks = 100_000;
    let config = world.bed.read("deploy-guard.yml");
    world.bed.write(
        "deploy-guard.yml",
        &config.replace("timeout: 5s", "timeout: 500ms"),
    );
    world.bed.rollback(&["run"]).is(
        1,
        &["run 1001 has not ended within 500ms, it is in_progress"],
    );
    world.hub().runs[0]["looks"] = 1.into();
    world.bed.write("deploy-guard.yml", &config);
    world.bed.resume_converges("v1", "it ended after all");
    assert_eq!(world.hub().dispatches.len(), 1);
}

#[test]
fn where_no_id_is_told_the_run_is_found_and_no_other_is_followed() {
    for (extra, others) in [
        // By the word in its name, even if another user starts the same workflow.
        (WORD, vec!["somebody", ME]),
        // By who started it, where that is one.
        ("", vec!["somebody", "github-actions[bot]"]),
    ] {
        let world = World::new(extra);
        {
            let mut hub = world.hub();
            (hub.details, hub.hidden) = (false, 4);
            hub.others = others;
        }
        world.bed.rollback(&["run"]).is(
            0,
            &["rolled back from v2 to v1", "run 1003 ended with success"],
        );
        assert_eq!(world.hub().followed, [1003]);
    }
    // Two that may be ours: neither.
    let world = World::new("");
    {
        let mut hub = world.hub();
        hub.details = false;
        hub.others = vec![ME];
    }
    world.bed.rollback(&["run"]).is(
        1,
        &[
            "runs 1002 and 1001 of rollback.yml began since",
            "none is followed",
            "correlation-input",
        ],
    );
    assert!(world.hub().followed.is_empty());
}

#[test]
fn an_answer_that_is_lost_is_no_second_dispatch() {
    for extra in [WORD, ""] {
        let world = World::new(extra);
        world.hub().lost = true;
        world
            .bed
            .rollback(&["run"])
            .is(0, &["rolled back from v2 to v1"]);
        assert_eq!(world.hub().dispatches.len(), 1);
    }
}

#[test]
fn what_cannot_be_started_is_refused_before_anything_changes() {
    type Change = fn(&mut Hub);
    let cases: [(Change, &str); 3] = [
        (
            |hub| hub.state = "disabled_manually",
            "the workflow rollback.yml is disabled_manually",
        ),
        (
            |hub| {
                hub.file =
                    "on: { workflow_dispatch: { inputs: { version: {}, environment: {} } } }";
            },
            "at main has no `rollback-id`, `run-name`",
        ),
        (|hub| hub.file = "on: push", "has no `workflow_dispatch`"),
    ];
    for (change, reason) in cases {
        let world = World::new(WORD);
        change(&mut world.hub());
        world
            .bed
            .rollback(&["run"])
            .is(5, &[reason, "nothing was changed"]);
        assert!(world.hub().dispatches.is_empty());
    }
    let world = World::new("    token-env: NOT_SET\n");
    world
        .bed
        .rollback(&["run"])
        .is(2, &["the variable `NOT_SET` is not set"]);
}

#[test]
fn abort_lets_the_workflow_make_live_what_was_left() {
    let world = World::new(WORD);
    world.hub().conclusion = "failure";
    world.bed.rollback(&["run"]).is(1, &[]);
    world.hub().conclusion = "success";
    world.bed.rollback(&["abort"]).is(0, &["v2 is back"]);
    let hub = world.hub();
    let last = hub.dispatches.last().unwrap();
    assert_eq!(last["inputs"]["version"], "v2");
}

#[test]
fn killed_at_every_line_of_the_journal_and_in_the_middle_of_a_step() {
    for extra in [WORD, ""] {
        let world = World::new(extra);
        let state = world.bed.keep();
        for (lines, then) in points(4, Duration::from_millis(150), 4) {
            world.bed.put_back(&state);
            world.anew();
            world.bed.killed(lines, then);
            let story = format!("{lines} lines and {then:?} {extra}");
            world.bed.resume_converges("v1", &story);
            assert_eq!(world.hub().dispatches.len(), 1, "{story}: once");
            assert_eq!(world.hub().followed.len(), 1, "{story}: ours");
        }
    }
}
