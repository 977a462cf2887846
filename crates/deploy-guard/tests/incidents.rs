//! What `deploy-guard run` writes into the log of events, and whom it tells: blue-green behind a real nginx.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Call, Load, Prometheus, Receiver, Reply, wait_until};

use crate::runbooks::{HERE, Ran, World};

impl World {
    /// The world of the runbooks with this under `incident:`.
    fn with_log(incident: &Value) -> World {
        let world = World::new();
        let config = std::fs::read_to_string(world.path("deploy-guard.yml")).unwrap();
        world.write(
            "deploy-guard.yml",
            &format!("{config}incident: {incident}\n"),
        );
        world
    }

    /// Puts this into the configuration, in the place of what is there once.
    #[track_caller]
    fn change(&self, from: &str, to: &str) {
        let config = std::fs::read_to_string(self.path("deploy-guard.yml")).unwrap();
        assert!(config.contains(from), "{from}: {config}");
        self.write("deploy-guard.yml", &config.replacen(from, to, 1));
    }

    /// The log, the oldest event first.
    fn events(&self) -> Vec<Value> {
        let text = self.log();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The text of the log, in which the last line may be half-written.
    fn log(&self) -> String {
        let Ok(files) = std::fs::read_dir(self.path("state.json.events")) else {
            return String::new();
        };
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        let texts = files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap());
        texts.collect()
    }

    /// Its kinds without what is between a process and a sink.
    fn kinds(&self) -> Vec<String> {
        let kinds = self.events().into_iter();
        let kinds = kinds.map(|event| event["kind"].as_str().unwrap().to_owned());
        kinds
            .filter(|kind| {
                !["claimed", "released", "delivered", "undelivered"].contains(&kind.as_str())
            })
            .collect()
    }

    #[track_caller]
    fn newest(&self, kind: &str) -> Value {
        let events = self.events();
        let found = events.iter().rev().find(|event| event["kind"] == kind);
        found
            .unwrap_or_else(|| panic!("no {kind}: {events:#?}"))
            .clone()
    }

    fn incident(&self, args: &[&str]) -> String {
        let output = testkit::bin("incident")
            .current_dir(self.path("."))
            .args(args)
            .output()
            .unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// Makes the next way back fail: the proxy is not reloaded.
    fn break_reload(&self) {
        let config = std::fs::read_to_string(self.path("deploy-guard.yml")).unwrap();
        let reload = config.split("reload: \"").nth(1).unwrap();
        let reload = reload.split('"').next().unwrap().to_owned();
        self.write(
            "reload.sh",
            &format!("if [ -f broken ]; then exit 1; fi\n{reload}\n"),
        );
        self.change(&reload, "sh reload.sh");
    }

    /// The proxy is reloaded again, and what runs is left as it is.
    fn end_the_broken_rollback(&self) {
        std::fs::remove_file(self.path("broken")).unwrap();
        self.green.set_health("healthy", 200);
        let mut abort = testkit::bin("rollback");
        abort.current_dir(self.path(".")).arg("abort");
        abort.assert().code(0);
    }
}

fn hooked() -> Value {
    json!({"webhook": [{"name": "hook", "url-env": "HOOK"}]})
}

/// What a call had in it.
fn body(call: &Call) -> Value {
    serde_json::from_str(&call.body).unwrap()
}

fn told(world: &World, release: &str, hook: &Receiver) -> Ran {
    world.deploy(release, &[HERE[0], ("HOOK", &hook.url())])
}

#[test]
fn a_good_deployment_is_a_start_and_an_end_and_no_incident() {
    let hook = Receiver::start("hook", Reply::Accept);
    let world = World::with_log(&hooked());
    let ran = told(&world, "v2", &hook);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert_eq!(
        world.kinds(),
        [
            "deployment-started",
            "stage-ended",
            "stage-ended",
            "stage-ended",
            "deployment-ended"
        ]
    );
    assert_eq!(world.newest("deployment-started")["previous"], "v1");
    let end = world.newest("deployment-ended");
    assert_eq!(end["conclusion"], "succeeded");
    assert_eq!(end["serving"], "v2");
    assert!(end["failed_stage"].is_null(), "{end}");
    // Each is told once, in the order of the log.
    let kinds: Vec<Value> = hook
        .calls()
        .iter()
        .map(|call| body(call)["event"].clone())
        .collect();
    assert_eq!(json!(kinds), json!(world.kinds()));
}

/// The id of a deployment holds its release's name.
#[test]
fn a_secret_in_the_name_of_a_release_is_in_no_event_and_its_deployment_is_one() {
    let secret = "canary-3b9d0c6e1f27";
    let release = format!("v2-{secret}");
    for run in [
        &[][..],
        &[("GITHUB_RUN_ID", "77"), ("GITHUB_RUN_ATTEMPT", "1")],
    ] {
        let world = World::with_log(&json!({
            "pagerduty": [{"name": "page", "routing-key-env": "KEY", "events": ["note"]}],
        }));
        let ran = world.deploy(&release, &[&[HERE[0], ("KEY", secret)], run].concat());
        assert_eq!(ran.code, 0, "{}", ran.text);
        assert!(!world.log().contains(secret), "{}", world.log());
        let events = world.events();
        let ids = events.iter().map(|event| &event["deployment"]);
        let ids: BTreeSet<&str> = ids.map(|id| id.as_str().unwrap()).collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
    }
}

#[test]
fn a_bad_deployment_is_an_incident_that_its_rollback_resolves() {
    let world = World::with_log(&json!({}));
    world.green.set_health("unhealthy", 503);
    let ran = world.deploy("v2", HERE);
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert_eq!(
        world.kinds(),
        [
            "deployment-started",
            "stage-ended",
            "stage-ended",
            "incident-opened",
            "stage-ended",
            "deployment-ended",
            "incident-resolved"
        ]
    );
    let opened = world.newest("incident-opened");
    // One of its probes passes.
    assert_eq!(opened["severity"], "high", "{opened}");
    assert_eq!(opened["impact"], "degraded", "{opened}");
    assert_eq!(opened["failed_stage"], "healthgate");
    assert_eq!(opened["action"], "automatic rollback in progress");
    assert_eq!(opened["by"]["automatic"], true);
    let end = world.newest("deployment-ended");
    assert_eq!(end["conclusion"], "rolled-back");
    assert_eq!(end["failed_stage"], "healthgate");
    assert_eq!(end["serving"], "v1");
    assert_eq!(end["rollback"]["verdict"], "pass");
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(time(&end["started_at"]) < time(&end["failed_at"]), "{end}");
    assert!(time(&end["failed_at"]) < time(&opened["at"]), "{end}");
    let resolved = world.newest("incident-resolved");
    assert_eq!(resolved["serving"], "v1");
    assert_eq!(resolved["incident"], opened["incident"]);
    assert_eq!(world.live(), "v1");
}

/// Someone is called for a bad release whatever became of what the log had before.
#[test]
fn a_run_tells_people_also_where_a_line_of_the_log_is_damaged() {
    let hook = Receiver::start("hook", Reply::Accept);
    let world = World::with_log(&hooked());
    std::fs::create_dir_all(world.path("state.json.events")).unwrap();
    let damaged = "{\"schema\":\"deploy-guard/event/v1\",\"id\":\"01\n";
    world.write("state.json.events/00000001.jsonl", damaged);
    world.green.set_health("unhealthy", 503);
    let ran = told(&world, "v2", &hook);
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(ran.text.contains("line 1 of the log"), "{}", ran.text);
    let calls = hook.calls();
    let kinds: Vec<Value> = calls
        .iter()
        .map(|call| body(call)["event"].clone())
        .collect();
    for kind in ["incident-opened", "incident-resolved"] {
        assert!(kinds.contains(&json!(kind)), "{kinds:?}");
    }
    assert!(world.log().starts_with(damaged), "{}", world.log());
}

/// A Slack that takes a second for each answer.
#[test]
fn a_slow_slack_has_the_whole_thread_at_the_end_of_the_run() {
    let chat = Receiver::start("api", Reply::AcceptLate);
    let world = World::with_log(&json!({"slack": [{
        "name": "chat", "token-env": "TOKEN", "channel": "C1", "api-url": chat.url(),
    }]}));
    world.green.set_health("unhealthy", 503);
    let ran = world.deploy("v2", &[HERE[0], ("TOKEN", "xoxb-1")]);
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(!ran.text.contains("sink/chat"), "{}", ran.text);
    let calls: Vec<Value> = chat.calls().iter().map(body).collect();
    let in_thread = calls.iter().filter(|call| !call["thread_ts"].is_null());
    let told: usize = in_thread
        .map(|call| {
            let payload = &call["metadata"]["event_payload"];
            payload["ids"].as_array().map_or(1, Vec::len)
        })
        .sum();
    assert_eq!(told, world.kinds().len(), "{calls:#?}");
    let events = world.events();
    let left = events.iter().filter(|event| event["kind"] == "undelivered");
    assert_eq!(left.count(), 0, "{events:#?}");
}

#[test]
fn a_rollback_that_fails_leaves_the_incident_open_until_a_release_is_good() {
    let world = World::with_log(&json!({}));
    world.break_reload();
    world.write("broken", "");
    world.green.set_health("unhealthy", 503);
    let ran = world.deploy("v2", HERE);
    assert!(ran.code > 0, "{}", ran.text);
    let end = world.newest("deployment-ended");
    assert_eq!(end["conclusion"], "failed", "{end}");
    assert!(end["serving"].is_null(), "{end}");
    assert!(!world.kinds().contains(&"incident-resolved".to_owned()));
    assert!(world.incident(&["status"]).contains("inc-"));

    // What preflight stops is neither a new incident nor the end of this one.
    let ran = world.deploy("v3", &[]);
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert_eq!(world.newest("deployment-ended")["serving"], Value::Null);
    assert_eq!(world.newest("deployment-ended")["conclusion"], "refused");
    let opened = world
        .kinds()
        .into_iter()
        .filter(|kind| kind == "incident-opened");
    assert_eq!(opened.count(), 1);

    world.end_the_broken_rollback();
    let ran = world.deploy("v3", HERE);
    assert_eq!(ran.code, 0, "{}", ran.text);
    let resolved = world.newest("incident-resolved");
    assert_eq!(resolved["serving"], "v3");
    assert_eq!(
        resolved["incident"],
        world.newest("incident-opened")["incident"]
    );
}

#[test]
fn who_was_told_that_a_rollback_is_in_progress_hears_that_it_failed() {
    let hook = Receiver::start("hook", Reply::Accept);
    let heard = json!(["incident-opened", "incident-resolved"]);
    let world = World::with_log(&json!({
        "webhook": [{"name": "hook", "url-env": "HOOK", "events": heard}],
    }));
    world.break_reload();
    world.write("broken", "");
    world.green.set_health("unhealthy", 503);
    let ran = told(&world, "v2", &hook);
    assert!(ran.code > 0, "{}", ran.text);
    let opened = world.newest("incident-opened");
    assert_eq!(opened["action"], "automatic rollback in progress");
    let updated = world.newest("incident-updated");
    assert_eq!(updated["incident"], opened["incident"]);
    let text = updated["text"].as_str().unwrap();
    assert!(text.contains("v2 failed its gate; its rollback"), "{text}");
    let action = updated["action"].as_str().unwrap();
    assert!(action.contains("a person decides"), "{action}");
    let told = || -> Vec<Value> {
        let calls = hook.calls();
        calls
            .iter()
            .map(|call| body(call)["event"].clone())
            .collect()
    };
    assert_eq!(
        json!(told()),
        json!(["incident-opened", "incident-updated"])
    );
    let message = body(&hook.calls()[1]);
    let text = message["text"].as_str().unwrap();
    assert!(
        text.contains(action) && !text.contains("in progress"),
        "{text}"
    );

    // The same by hand, and then it works.
    let back = || {
        let mut back = testkit::bin("rollback");
        back.current_dir(world.path(".")).env("HOOK", hook.url());
        back.arg("run").output().unwrap().status.code()
    };
    assert_ne!(back(), Some(0));
    assert_eq!(told().last().unwrap(), "incident-updated");
    assert_eq!(told().len(), 3);
    std::fs::remove_file(world.path("broken")).unwrap();
    assert_eq!(back(), Some(0));
    assert_eq!(told().last().unwrap(), "incident-resolved");
}

#[test]
fn the_end_is_on_disk_while_a_sink_hangs() {
    let hook = Receiver::start("hook", Reply::Hang);
    let other = Receiver::start("other", Reply::Accept);
    // The sink is told of the start for longer than the run lasts.
    let world = World::with_log(&json!({
        "webhook": [{"name": "hook", "url-env": "HOOK"}, {"name": "other", "url-env": "OTHER"}],
        "delivery-budget": "60s",
    }));
    world.green.set_release("v2");
    world.green.set_health("unhealthy", 503);
    let mut command = Command::new(testkit::bin_path("deploy-guard"));
    testkit::clear_environment(&mut command);
    let mut run = command
        .current_dir(world.path("."))
        .args(["run", "--release", "v2"])
        .envs([HERE[0], ("HOOK", &hook.url()), ("OTHER", &other.url())])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let is_over = || world.log().contains("incident-resolved");
    assert!(
        wait_until(Duration::from_secs(60), is_over),
        "{}",
        world.log()
    );
    // And whoever answers has heard it.
    let has_heard = || {
        let calls = other.calls();
        calls
            .iter()
            .any(|call| body(call)["event"] == "incident-resolved")
    };
    assert!(
        wait_until(Duration::from_secs(5), has_heard),
        "{:?}",
        other.calls()
    );
    assert!(!world.log().contains("undelivered"), "{}", world.log());
    assert_eq!(run.try_wait().unwrap(), None, "it tells the sink");
    run.kill().unwrap();
    run.wait().unwrap();
    let end = world.newest("deployment-ended");
    assert_eq!(
        (&end["conclusion"], &end["serving"]),
        (&json!("rolled-back"), &json!("v1"))
    );
    assert!(world.incident(&["status"]).contains("no incident is open"));
}

#[test]
fn what_is_good_in_one_environment_ends_no_incident_that_was_opened_for_another_or_for_none() {
    let world = World::with_log(&json!({}));
    world.change(
        "incident:",
        "environments: {production: {}, staging: {}}\nincident:",
    );
    world.break_reload();
    world.write("broken", "");
    world.green.set_health("unhealthy", 503);
    let ran = world.deploy("v2", HERE);
    assert!(ran.code > 0, "{}", ran.text);
    assert!(world.newest("incident-opened")["environment"].is_null());
    world.end_the_broken_rollback();

    let ran = world.deploy_with("v3", HERE, &["--environment", "staging"]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(!world.kinds().contains(&"incident-resolved".to_owned()));
    let ran = world.deploy("v4", HERE);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert_eq!(world.newest("incident-resolved")["serving"], "v4");
}

/// Each stage is a step of its own: `incident open` runs `if: failure()`, before the rollback.
#[test]
fn what_a_step_opened_is_resolved_by_the_verified_rollback_of_its_workflow_run() {
    let world = World::with_log(&json!({}));
    let step = |stage: &str, run: &str, args: &[&str]| {
        let mut command = testkit::bin(stage);
        command
            .current_dir(world.path("."))
            .env("GITHUB_RUN_ID", run)
            .env("GITHUB_RUN_ATTEMPT", "1");
        command.args(args).assert().code(0);
    };
    for (release, rollback, is_resolved) in [("v2", "78", true), ("v3", "79", false)] {
        assert_eq!(world.deploy(release, HERE).code, 0);
        step(
            "incident",
            "78",
            &["open", "--release", release, "gate failed"],
        );
        let before = world.kinds().len();
        step("rollback", rollback, &["run", "--to", "v1"]);
        let after = world.kinds().split_off(before);
        let resolved = after.contains(&"incident-resolved".to_owned());
        assert_eq!(resolved, is_resolved, "{release}: {after:?}");
    }
}

#[test]
fn a_sink_that_does_not_take_it_changes_neither_verdict_nor_exit_code_and_costs_little() {
    let quiet = World::new();
    let clock = Instant::now();
    assert_eq!(quiet.deploy("v2", HERE).code, 0);
    let usual = clock.elapsed();
    for mode in [Reply::Down, Reply::Hang, Reply::Broken] {
        let hook = Receiver::start("hook", mode);
        let world = World::with_log(&hooked());
        let clock = Instant::now();
        let ran = told(&world, "v2", &hook);
        let took = clock.elapsed();
        assert_eq!(ran.code, 0, "{mode:?}: {}", ran.text);
        assert_eq!(ran.report["verdict"], "pass", "{mode:?}");
        assert!(
            took < usual + Duration::from_millis(6_500),
            "{mode:?}: {took:?}, and {usual:?} without it"
        );
        let outcomes = ran.report["outcomes"].as_array().unwrap();
        let sink = outcomes
            .iter()
            .find(|one| one["id"] == "sink/hook")
            .unwrap();
        assert_eq!(sink["severity"], "advisory", "{sink}");
        assert_eq!(world.kinds().last().unwrap(), "deployment-ended");
    }
}

#[test]
fn a_log_that_cannot_be_written_is_told_and_changes_nothing() {
    let world = World::with_log(&json!({}));
    world.write("state.json.events", "a file where a folder belongs");
    let ran = world.deploy("v2", HERE);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert_eq!(ran.report["verdict"], "pass");
    let outcomes = ran.report["outcomes"].as_array().unwrap();
    let log = outcomes
        .iter()
        .find(|one| one["id"] == "incident/log")
        .unwrap();
    assert_eq!(log["severity"], "advisory", "{log}");
    assert_eq!(world.live(), "v2");
}

#[test]
fn the_figures_count_what_the_runs_did() {
    let world = World::with_log(&json!({}));
    let script = "git init -q . && git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m one && git tag v2";
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(world.path("."))
        .env("GIT_COMMITTER_DATE", "2020-01-01T00:00:00Z")
        .status();
    assert!(made.unwrap().success());
    world.green.set_health("unhealthy", 503);
    assert_eq!(world.deploy("v4", HERE).code, 1);
    let bad = world.newest("deployment-ended");
    world.green.set_health("healthy", 200);
    assert_eq!(world.deploy("v3", &[]).code, 1);
    assert_eq!(world.deploy("v2", HERE).code, 0);
    let began = world.newest("deployment-started");
    assert_eq!(began["committed_at"], "2020-01-01T00:00:00Z");
    let good = world.newest("deployment-ended");
    assert!(good["rollback"].is_null(), "{good}");

    let figures = world.incident(&["metrics", "--format", "prometheus"]);
    let value = |start: &str| -> f64 {
        let line = figures.lines().find(|line| line.starts_with(start));
        let line = line.unwrap_or_else(|| panic!("{start}: {figures}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let of_shop = "{service=\"shop\",environment=\"\"";
    // The first release was recorded by hand.
    for (name, labels, number) in [
        ("deployment_started_total", "", 4),
        ("deployment_completed_total", ",status=\"success\"", 2),
        ("deployment_completed_total", ",status=\"failure\"", 1),
        ("deployment_completed_total", ",status=\"refused\"", 1),
        ("deployment_completed_total", ",status=\"cancelled\"", 0),
        ("rollback_triggered_total", "", 1),
        (
            "deploy_guard_figure_counted",
            ",figure=\"change_lead_time\"",
            1,
        ),
        (
            "deploy_guard_figure_counted",
            ",figure=\"failed_deployment_recovery_time\"",
            1,
        ),
    ] {
        let seen = value(&format!("{name}{of_shop}{labels}}}"));
        assert_eq!(
            seen.to_string(),
            number.to_string(),
            "{name}{labels}: {figures}"
        );
    }
    let apart = |from: &Value, to: &Value| {
        let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        time(to).duration_since(time(from)).as_secs_f64()
    };
    for (name, expected) in [
        (
            "change_lead_time",
            apart(&began["committed_at"], &good["at"]),
        ),
        (
            "failed_deployment_recovery",
            // To the proof of the rollback, and not to the end of the run.
            apart(&bad["failed_at"], &bad["rollback"]["started_at"])
                + bad["rollback"]["duration_ms"].as_f64().unwrap() / 1000.0,
        ),
    ] {
        let seen = value(&format!(
            "deploy_guard_{name}_seconds{of_shop},statistic=\"mean\"}}"
        ));
        assert!(
            (seen - expected).abs() < 0.002,
            "{name}: {seen}, {expected}: {figures}"
        );
    }
}

/// A run that is asked to stop once the file is there.
struct Cancelled {
    /// When the signal was sent.
    at: Instant,
    took: Duration,
    code: Option<i32>,
}

fn cancel(world: &World, signal: &str, env: &[(&str, &str)], file: &str) -> Cancelled {
    let mut command = Command::new(testkit::bin_path("deploy-guard"));
    testkit::clear_environment(&mut command);
    let mut run = command
        .current_dir(world.path("."))
        .args(["run", "--release", "v2"])
        .envs(env.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = wait_until(Duration::from_secs(60), || world.path(file).exists());
    let at = Instant::now();
    let id = run.id().to_string();
    let sent = Command::new("kill").args(["-s", signal, &id]).status();
    let code = run.wait().unwrap().code();
    assert!(begun && sent.unwrap().success(), "{file}");
    Cancelled {
        at,
        took: at.elapsed(),
        code,
    }
}

/// Where a run is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Preflight,
    Deploy,
    Gate,
    Rollback,
}

fn stopping(at: At, incident: &Value) -> World {
    let world = World::with_log(incident);
    match at {
        At::Preflight => world.change(
            "preflight:\n",
            "preflight:\n  command: [{ name: wait, run: 'touch here; sleep 60', timeout: 90s }]\n",
        ),
        At::Deploy => {
            let script = std::fs::read_to_string(world.path("deploy.sh")).unwrap();
            world.write("deploy.sh", &format!("{script}touch here\nsleep 6\n"));
        }
        At::Gate => world.change(
            "healthgate:\n",
            "healthgate:\n  command: [{ name: wait, run: 'touch here; sleep 8' }]\n",
        ),
        At::Rollback => {
            world.break_reload();
            let reload = std::fs::read_to_string(world.path("reload.sh")).unwrap();
            world.write("reload.sh", &format!("touch here\nsleep 20\n{reload}"));
            world.green.set_health("unhealthy", 503);
        }
    }
    world
}

#[test]
fn a_cancelled_run_tells_in_time_how_it_ended_and_what_serves() {
    for (at, signal, code) in [
        (At::Preflight, "INT", 130),
        (At::Preflight, "TERM", 143),
        (At::Deploy, "INT", 130),
        (At::Gate, "TERM", 143),
        (At::Rollback, "INT", 130),
    ] {
        let hook = Receiver::start("hook", Reply::Accept);
        let world = stopping(at, &hooked());
        let cancelled = cancel(&world, signal, &[HERE[0], ("HOOK", &hook.url())], "here");
        assert_eq!(cancelled.code, Some(code), "{at:?}");
        assert!(
            cancelled.took < Duration::from_millis(7_500),
            "{at:?} {:?}",
            cancelled.took
        );
        let end = world.newest("deployment-ended");
        assert_eq!(end["conclusion"], "cancelled", "{at:?}: {end}");
        let serving = if at == At::Preflight {
            json!("v1")
        } else {
            Value::Null
        };
        assert_eq!(end["serving"], serving, "{at:?}: {end}");
        let calls = hook.calls();
        let last: &Call = calls.last().unwrap();
        assert_eq!(
            body(last)["event"],
            "deployment-ended",
            "{at:?}: {}",
            body(last)
        );
        assert!(
            last.at - cancelled.at < Duration::from_millis(7_500),
            "{at:?}"
        );
        let is_open = world.kinds().contains(&"incident-opened".to_owned());
        assert_eq!(is_open, at == At::Rollback, "{at:?}: {:?}", world.kinds());
    }
}

#[test]
fn slack_shows_a_cancelled_deployment_as_one_message_with_its_true_end() {
    for at in [At::Preflight, At::Deploy, At::Gate] {
        let slack = Receiver::start("hook", Reply::Accept);
        let sink =
            json!({"name": "chat", "token-env": "TOKEN", "channel": "C1", "api-url": slack.url()});
        let world = stopping(at, &json!({"slack": [sink]}));
        let cancelled = cancel(&world, "INT", &[HERE[0], ("TOKEN", "xoxb-1")], "here");
        let calls = slack.calls();
        let messages = calls.iter().filter(|call| {
            call.path.ends_with("chat.postMessage") && body(call)["thread_ts"].is_null()
        });
        assert_eq!(messages.count(), 1, "{at:?}: {calls:#?}");
        let mut edits = calls
            .iter()
            .filter(|call| call.path.ends_with("chat.update"));
        let last = edits.next_back().unwrap();
        let text = body(last).to_string();
        assert!(text.contains("cancelled"), "{at:?}: {text}");
        assert_eq!(
            text.contains("v1 serves"),
            at == At::Preflight,
            "{at:?}: {text}"
        );
        assert!(
            last.at - cancelled.at < Duration::from_millis(7_500),
            "{at:?}"
        );
    }
}

/// "Exposure": what the load generator saw is what the log has.
/// What green itself has counted.
fn requests(world: &World) -> u64 {
    let counted = testkit::get(&world.green.url("/metrics")).unwrap().text();
    let pages = counted.lines();
    let pages = pages.filter(|line| line.starts_with("http_requests_total"));
    pages
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

#[test]
fn what_a_bad_release_served_is_counted_by_prometheus() {
    let world = World::new();
    let target = (world.green.address(), "release: v2".to_owned());
    let prometheus = Prometheus::watching(&[target]);
    let selector = |more: &str| format!("http_requests_total{{release=\"{{release}}\"{more}}}");
    let exposure = json!({
        "server": prometheus.url(),
        "total": selector(""),
        "failed": selector(",status=\"500\""),
    });
    let config = std::fs::read_to_string(world.path("deploy-guard.yml")).unwrap();
    let incident = json!({ "exposure": exposure });
    world.write(
        "deploy-guard.yml",
        &format!("{config}incident: {incident}\n"),
    );
    world.change("startup: 2s", "startup: 6s");
    world.green.set_health("unhealthy", 503);
    world.green.fail_one_in(Some(10));
    let load = Load::on(world.nginx.port(), 400);
    let ran = world.deploy("v2", HERE);
    drop(load);
    assert_eq!(ran.code, 1, "{}", ran.text);
    let end = world.newest("exposure-measured");
    assert_eq!(end["incident"], world.newest("incident-opened")["incident"]);
    let total = requests(&world);
    let failed = world.green.failures();
    // How many there are depends on how busy the machine is; what is claimed is that they are counted.
    assert!(total > 100 && failed > 10, "{total} {failed}");
    for (name, truth) in [("total", total), ("failed", failed)] {
        let seen = end["exposure"][name].as_u64();
        let seen = seen.unwrap_or_else(|| panic!("{end}: {}", ran.text));
        assert!(
            seen.abs_diff(truth) * 100 <= truth,
            "{name}: {seen} of {truth}"
        );
    }

    assert_eq!(end["exposure"]["bound"], "exact", "{end}");

    // The same by the stages as steps of their own: the one that takes it back asks.
    world.change("release=\\\"{release}\\\"}\"", "release=\\\"v2\\\"}\"");
    world.change(
        "release=\\\"{release}\\\",status",
        "release=\\\"v2\\\",status",
    );
    world.green.set_release("v3");
    let load = Load::on(world.nginx.port(), 400);
    let step = |program: &str, args: &[&str]| {
        let output = testkit::bin(program)
            .current_dir(world.path("."))
            .args(args)
            .env("RELEASE", "v3")
            .output();
        output.unwrap().status.code().unwrap()
    };
    let deployed = Command::new("sh")
        .current_dir(world.path("."))
        .arg("deploy.sh")
        .env("RELEASE", "v3")
        .status();
    assert!(deployed.unwrap().success());
    assert_eq!(step("healthgate", &["--release", "v3"]), 1);
    assert_eq!(step("rollback", &["run"]), 0);
    drop(load);
    let served = requests(&world) - total;
    let told = world.newest("exposure-measured");
    assert_eq!(told["release"], "v3", "{told}");
    let seen = told["exposure"]["total"].as_u64().unwrap();
    assert!(
        served > 50 && seen.abs_diff(served) * 100 <= served,
        "{seen} of {served}: {told}"
    );

    // A server that does not answer: it is not known, and that is all.
    drop(prometheus);
    let ran = world.deploy("v4", HERE);
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert_eq!(world.newest("exposure-measured")["release"], "v3");
    let outcomes = ran.report["outcomes"].as_array().unwrap();
    let unknown = outcomes
        .iter()
        .find(|one| one["id"] == "incident/exposure")
        .unwrap();
    assert_eq!(unknown["severity"], "advisory", "{unknown}");
}

/// What it served is a figure for later: people, and the next job, do not wait for it.
#[test]
fn the_end_is_told_before_it_is_asked_what_the_release_served() {
    let prometheus = Receiver::start("", Reply::Hang);
    let hook = Receiver::start("hook", Reply::Accept);
    let mut incident = hooked();
    incident["exposure"] = json!({"server": prometheus.url(), "total": "a", "failed": "b"});
    let world = World::with_log(&incident);
    world.green.set_health("unhealthy", 503);
    let ran = told(&world, "v2", &hook);
    let ended = Instant::now();
    assert_eq!(ran.code, 1, "{}", ran.text);
    let calls = hook.calls();
    let resolved = calls
        .iter()
        .find(|call| body(call)["event"] == "incident-resolved");
    let after = ended.duration_since(resolved.unwrap().at);
    assert!(after > Duration::from_secs(2), "{after:?}");
    assert!(after < Duration::from_secs(7), "{after:?}");
    let words = "no complete answer within ";
    assert!(
        ran.text.contains(words) && !ran.text.contains("µs"),
        "{}",
        ran.text
    );
}

/// Nothing runs all the time: whatever is called looks at the clock.
#[test]
fn each_stage_and_each_run_passes_an_incident_on_whose_time_has_come() {
    let section = json!({
        "stdout": [{"name": "log"}], "escalate": [{"after": "1s", "to": "log"}],
    });
    let stages: [&dyn Fn(&World); 3] = [
        &|world| {
            testkit::bin("healthgate")
                .current_dir(world.path("."))
                .args(["--release", "v1"])
                .output()
                .unwrap();
        },
        &|world| {
            testkit::bin("rollback")
                .current_dir(world.path("."))
                .arg("decide")
                .output()
                .unwrap();
        },
        &|world| assert_eq!(world.deploy("v2", HERE).code, 0),
    ];
    for stage in stages {
        let world = World::with_log(&section);
        world.incident(&["open", "slow"]);
        std::thread::sleep(Duration::from_millis(1_100));
        stage(&world);
        assert_eq!(world.newest("escalated")["sinks"], json!(["log"]));
        let escalated = world.kinds().into_iter().filter(|kind| kind == "escalated");
        assert_eq!(escalated.count(), 1);
    }
}

/// The log is shared: what a run of one environment does is no end of another's incident.
#[test]
fn a_run_resolves_no_incident_of_another_environment() {
    let world = World::with_log(&json!({}));
    world.green.set_health("unhealthy", 503);
    world.break_reload();
    world.write("broken", "");
    let ran = world.deploy("v2", HERE);
    assert!(ran.code > 0, "{}", ran.text);
    let incident = world.newest("incident-opened")["incident"].clone();
    // As staging wrote it into the same log.
    let file = world.path("state.json.events/00000001.jsonl");
    let log = std::fs::read_to_string(&file).unwrap();
    let staging = "\"service\":\"shop\",\"environment\":\"staging\"";
    let log = log.replace("\"service\":\"shop\"", staging);
    std::fs::write(&file, log).unwrap();
    world.end_the_broken_rollback();
    let environment = |name| [HERE[0], ("DEPLOY_GUARD_ENVIRONMENT", name)];
    let ran = world.deploy("v3", &environment("production"));
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(!world.kinds().contains(&"incident-resolved".to_owned()));
    let own = world.incident(&["--environment", "staging", "status"]);
    assert!(own.contains(incident.as_str().unwrap()), "{own}");
}

/// One event each for what acts or judges, and none for what only shows something.
#[test]
fn each_stage_writes_its_end_once_and_what_only_shows_writes_nothing() {
    let world = World::with_log(&json!({}));
    let config = std::fs::read_to_string(world.path("deploy-guard.yml")).unwrap();
    let (_, nginx) = config.split_once("  nginx:\n").unwrap();
    let (nginx, _) = nginx.split_once("incident:").unwrap();
    world.write(
        "deploy-guard.yml",
        &format!("{config}traffic:\n  nginx:\n{nginx}"),
    );
    let stage = |name: &str, words: &[&str]| {
        let before = world.events().len();
        let output = testkit::bin(name)
            .current_dir(world.path("."))
            .args(words)
            .env("DEPLOY_HOST", "web-01")
            // Nothing answers there: that runner-check could not ask is an end, too.
            .env("GITHUB_API_URL", "http://127.0.0.1:9")
            .env("GITHUB_REPOSITORY", "acme/shop")
            .env("GITHUB_TOKEN", "ghs_1")
            .output()
            .unwrap();
        let code = output.status.code().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_ne!(code, 2, "{name} {words:?}: {text}");
        let written = world.events().split_off(before);
        let told = written.iter().map(|event| {
            assert_eq!(event["kind"], "stage-ended", "{name} {words:?}: {event}");
            event["stage"].as_str().unwrap().to_owned()
        });
        told.collect::<Vec<String>>()
    };
    for (name, words) in [
        ("preflight", &["--release", "v1"][..]),
        ("runner-check", &["--labels", "self-hosted"]),
        ("healthgate", &["--release", "v1"]),
        ("rollback", &["decide"]),
        ("traffic", &["switch", "--to", "blue"]),
    ] {
        assert_eq!(stage(name, words), [name], "{words:?}");
    }
    // Recording a release is no rollback.
    let recorded = stage("rollback", &["record", "--release", "v1"]);
    assert_eq!(recorded, ["record"]);
    for (name, words) in [
        ("preflight", &["list"][..]),
        ("rollback", &["status"]),
        ("rollback", &["history"]),
        ("rollback", &["run", "--dry-run"]),
        ("traffic", &["status"]),
        ("traffic", &["history"]),
    ] {
        assert_eq!(stage(name, words), [""; 0], "{name} {words:?}");
    }
}

#[test]
fn without_a_rollback_no_step_of_one_is_named_and_the_deployment_is_the_cause() {
    let hook = Receiver::start("hook", Reply::Accept);
    let world = World::new();
    let policy = json!({"interval": "100ms", "success-threshold": 1, "deadline": "5s"});
    let config = json!({
        "version": 1, "service": "shop", "deploy": {"command": "exit 1"}, "incident": hooked(),
        "healthgate": {
            "release-identity": "optional", "policy": policy,
            "command": [{"name": "ok", "run": "exit 0"}],
        },
    });
    world.write("deploy-guard.yml", &config.to_string());
    let ran = told(&world, "v2", &hook);
    assert_eq!(ran.code, 1, "{}", ran.text);
    let calls = hook.calls();
    assert!(
        calls
            .iter()
            .any(|call| body(call)["event"] == "incident-opened")
    );
    for call in &calls {
        let text = body(call)["text"].as_str().unwrap().to_owned();
        for step in [
            "`rollback decide",
            "`rollback status",
            "`rollback run",
            "in progress",
        ] {
            assert!(!text.contains(step), "{step}: {text}");
        }
    }
    let report = world.incident(&["report"]);
    assert!(
        report.contains("## Cause\n\n- deploy: v2 failed to deploy: "),
        "{report}"
    );
}
