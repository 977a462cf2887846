//! A lock that outlived its workflow run, or did not: GitHub is queried for the run by its id.

use std::time::{Duration, Instant};

use serde_json::json;
use state::{Claim, Holder};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::e2e::world::{World, finish, kill, wait, wait_for};

const RUN: &str = "/repos/acme/shop/actions/runs/4711/attempts/2";

/// A lock of run 4711, held on a machine of which nothing is known here.
fn held(world: &World) {
    let claim = Claim {
        holder: Holder {
            host: "runner-7".into(),
            repository: Some("acme/shop".into()),
            runner: Some("runner-7".into()),
            ..Holder::this_process(Some("4711".into()), Some(2))
        },
        operation: "rollback",
        ttl: Duration::from_secs(600),
        gone: None,
    };
    wait(world.store().acquire(&claim, |_, _| ())).unwrap();
}

fn ask(world: &World, api: &MockServer) {
    let mut env = world.env.lock().unwrap();
    env.push(("GITHUB_API_URL".into(), api.uri()));
    env.push(("GITHUB_TOKEN".into(), "ghs_testkit".into()));
}

async fn answers(api: &MockServer, status: &str, conclusion: Option<&str>) {
    answers_with(api, status, conclusion, "in_progress").await;
}

async fn answers_with(api: &MockServer, status: &str, conclusion: Option<&str>, job: &str) {
    api.reset().await;
    let body = json!({"id": 4711, "status": status, "conclusion": conclusion});
    Mock::given(method("GET"))
        .and(path(RUN))
        .respond_with(ResponseTemplate::new(200).set_body_json(body))
        .mount(api)
        .await;
    jobs(api, job).await;
}

async fn jobs(api: &MockServer, status: &str) {
    let body = json!({"total_count": 2, "jobs": [
        {"id": 1, "name": "build", "status": "completed", "runner_name": "runner-6"},
        {"id": 2, "name": "deploy", "status": status, "runner_name": "runner-7"}
    ]});
    Mock::given(method("GET"))
        .and(path(format!("{RUN}/jobs")))
        .respond_with(ResponseTemplate::new(200).set_body_json(body))
        .mount(api)
        .await;
}

#[test]
fn a_run_that_has_ended_gives_its_lock_to_the_next() {
    let api = wait(MockServer::start());
    for (conclusion, verb) in [
        ("cancelled", "run"),
        ("failure", "unlock"),
        ("success", "plan"),
    ] {
        wait(answers(&api, "completed", Some(conclusion)));
        {
            let world = World::with_v2_deployed();
            ask(&world, &api);
            held(&world);
            let token = world.state().last_token;
            let ended = format!("whose run has ended ({conclusion})");
            world.rollback(&["status"]).exits(0).says(&ended);
            world.rollback(&[verb]).exits(0);
            if verb == "run" {
                assert_eq!(world.live(), "v1");
                assert!(world.state().last_token > token, "with a higher token");
            }
        }
    }
}

#[test]
fn a_run_that_goes_on_is_not_robbed_and_is_waited_for() {
    let api = wait(MockServer::start());
    let world = World::with_v2_deployed();
    ask(&world, &api);
    for status in ["in_progress", "queued", "waiting"] {
        wait(answers(&api, status, None));
        {
            held_once(&world);
            let before = world.read("state.json");
            let said = format!("whose run is {status}");
            for verb in ["run", "plan", "unlock"] {
                world.rollback(&[verb]).exits(5).says(&said).says("4711");
            }
            let since = Instant::now();
            world
                .rollback(&["run", "--lock-wait", "1500ms"])
                .exits(5)
                .says(&said)
                .says("waited 1");
            assert!(since.elapsed() >= Duration::from_millis(1500));
            assert_eq!(world.read("state.json"), before);
            assert_eq!(world.live(), "v2");
        }
    }
    // It ends while it is waited for.
    let waiting = world.spawn(&["run", "--lock-wait", "60s"]);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(world.live(), "v2");
    wait(answers(&api, "completed", Some("success")));
    finish(waiting).exits(0);
    assert_eq!(world.live(), "v1");
}

fn held_once(world: &World) {
    if world.state().lock.is_none() {
        held(world);
    }
}

#[test]
fn a_job_that_has_ended_gives_its_lock_to_the_next_job_of_its_run() {
    let api = wait(MockServer::start());
    wait(answers(&api, "in_progress", None));
    {
        let world = World::with_v2_deployed();
        ask(&world, &api);
        held(&world);
        world.rollback(&["run"]).exits(5);
    }
    wait(answers_with(&api, "in_progress", None, "completed"));
    {
        let world = World::with_v2_deployed();
        ask(&world, &api);
        held(&world);
        world.rollback(&["run"]).exits(0);
        assert_eq!(world.live(), "v1");
    }
}

#[test]
fn a_look_up_that_fails_breaks_no_lock_and_says_so() {
    let api = wait(MockServer::start());
    for (status, words) in [
        (404, "look up a workflow run"),
        (403, "actions: read"),
        (401, "401"),
        (500, "500"),
    ] {
        wait(async {
            api.reset().await;
            let all = Mock::given(method("GET"));
            let all = all.respond_with(ResponseTemplate::new(status));
            all.mount(&api).await;
        });
        {
            let world = World::with_v2_deployed();
            ask(&world, &api);
            held(&world);
            for verb in ["run", "unlock", "plan"] {
                let ran = world.rollback(&[verb]).exits(5);
                ran.says("and whether it has ended is not known")
                    .says(words);
            }
            assert_eq!(world.live(), "v2");
            world
                .rollback(&["unlock", "--force=locked", "--reason=test"])
                .exits(0);
        }
    }
    // GitHub refuses the connection, so the run behind the lock stays unknown.
    let world = World::with_v2_deployed();
    {
        let refused = ("GITHUB_API_URL".to_owned(), "http://127.0.0.1:9".to_owned());
        world.env.lock().unwrap().push(refused);
        held(&world);
        let ran = world.rollback(&["run"]).exits(5);
        ran.says("could not be reached")
            .says("rollback unlock --force locked --reason TEXT");
    }
}

#[test]
fn a_holder_that_ends_while_it_is_waited_for_is_followed() {
    let world = World::with_v2_deployed();
    world.write(
        "before-run",
        "rm before-run; while [ ! -f go ]; do sleep 0.02; done",
    );
    let first = world.spawn(&["run"]);
    wait_for("the first one's step", || !world.read("calls").is_empty());
    let second = world.spawn(&["record", "--release", "v1", "--lock-wait", "30s"]);
    std::thread::sleep(Duration::from_millis(300));
    world.write("go", "");
    finish(first).exits(0);
    finish(second).exits(0);
    assert_eq!(world.state().lock, None);
    // A signal ends the waiting.
    held(&world);
    let waiting = world.spawn(&["record", "--release", "v1", "--lock-wait", "10m"]);
    std::thread::sleep(Duration::from_millis(400));
    kill("TERM", waiting.id());
    let since = Instant::now();
    finish(waiting).exits(143);
    assert!(since.elapsed() < Duration::from_secs(5));
}

/// The runner kills 10 s after a cancellation; until then there is time to give the lock back.
#[test]
fn a_cancelled_job_leaves_no_lock() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let world = World::with_v2_deployed();
        world.write("before-run", "touch begun; sleep 0.3");
        let child = world.spawn(&["run"]);
        wait_for("the step", || world.path("begun").exists());
        kill(signal, child.id());
        finish(child).exits(code);
        assert_eq!(world.state().lock, None);
        world.resume_converges(signal);
    }
}
