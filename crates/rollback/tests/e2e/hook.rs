//! A command of the user's as the target.

use std::process::Command;

use crate::e2e::world::{World, finish};

#[test]
fn a_rollback_restores_and_proves_and_records() {
    let world = World::with_v2_deployed();
    let outputs = world.path("outputs");
    world.write("outputs", "");
    world
        .env
        .lock()
        .unwrap()
        .push(("GITHUB_OUTPUT".into(), outputs.display().to_string()));
    let ran = world.rollback(&["run", "--format", "json"]).exits(0);
    let report = ran.json();
    assert_eq!(report["schema"], "deploy-guard/report/v1");
    assert_eq!(report["verdict"], "pass");
    assert!(
        report["reason"]
            .as_str()
            .unwrap()
            .starts_with("rolled back from v2 to v1 in "),
        "{report}"
    );
    let ids: Vec<_> = report["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|outcome| outcome["id"].as_str().unwrap())
        .collect();
    assert!(ids.contains(&"step/command/localhost"), "{ids:?}");
    assert!(ids.contains(&"verify/http/ready"), "{ids:?}");
    assert_eq!(world.read("calls"), "localhost: v2 > v1\n");
    let state = world.state();
    assert_eq!(state.current.as_deref(), Some("v1"));
    assert_eq!(state.status("v2"), Some(state::Status::Bad));
    assert_eq!(state.lock, None);
    let outputs = world.read("outputs");
    assert!(outputs.contains("restored-release"), "{outputs}");
    let (_, journal) = world.journal().unwrap();
    let events: Vec<_> = journal
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["event"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(events, ["begin", "intent", "done", "end"]);
}

#[test]
fn a_plan_changes_nothing() {
    let world = World::with_v2_deployed();
    let state = world.read("state.json");
    for args in [&["plan"] as &[&str], &["run", "--dry-run"]] {
        world
            .rollback(args)
            .exits(0)
            .says("would roll back to v1; nothing was changed")
            .says("from v2")
            .says("RELEASE=v1");
        assert_eq!(world.read("state.json"), state);
        assert_eq!(world.read("calls"), "");
        assert_eq!(world.journal(), None);
    }
}

#[test]
fn the_pipeline_of_the_guide_works_without_a_pending_record() {
    let world = World::new(&["localhost"], true);
    let folder = testkit::bin_path("rollback").parent().unwrap().to_owned();
    testkit::bin_path("healthgate");
    // v2 never names itself: the gate fails, and the state does not hold v2.
    world.write(
        "deploy.sh",
        "printf %s \"$1\" | sed s/v2/v2-broken/ >live.new && mv live.new live\n",
    );
    let deploy = |release: &str| {
        let mut command = Command::new("sh");
        testkit::clear_environment(&mut command);
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        command
            .current_dir(world.path(""))
            .env("PATH", path)
            .env("R", release)
            .args(["-c", "sh deploy.sh $R && healthgate --release $R && rollback record --release $R || rollback run"])
            .status()
            .unwrap()
            .code()
    };
    assert_eq!(deploy("v1"), Some(0));
    assert_eq!(world.state().last_known_good.as_deref(), Some("v1"));
    assert_eq!(deploy("v2"), Some(0));
    assert_eq!(world.live(), "v1");
    let state = world.state();
    assert_eq!(state.current.as_deref(), Some("v1"));
    assert_eq!(state.status("v2-broken"), Some(state::Status::Bad));
}

#[test]
fn releases_reach_the_hook_by_environment_and_are_never_code() {
    let world = World::new(&["localhost"], true);
    let evil = "v1 $(touch pwned) `touch pwned`; touch pwned '\"&& \\";
    world.set_live(evil);
    world.rollback(&["record", "--release", evil]).exits(0);
    world.set_live("v2");
    world.rollback(&["run"]).exits(0);
    assert_eq!(world.live(), evil);
    assert!(!world.path("pwned").exists());
}

#[test]
fn some_hosts_of_several_make_it_partial_and_resume_tries_the_rest() {
    let hosts = ["web-01", "web-02", "web-03"];
    let world = World::new(&hosts, true);
    world.configure(&hosts, true, "  batch: 1\n");
    world.deploy_v2();
    world.write(
        "before-run",
        "if [ $HOST = web-02.test ]; then echo no route >&2; exit 7; fi",
    );
    let ran = world.rollback(&["run", "--format", "json"]).exits(6);
    let report = ran.json();
    assert_eq!(report["verdict"], "partial");
    assert!(
        report["reason"].as_str().unwrap().contains("2 of 3 hosts"),
        "{report}"
    );
    let verdict = |id: &str| {
        report["outcomes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|outcome| outcome["id"] == id)
            .map(|outcome| outcome["verdict"].clone())
    };
    assert_eq!(verdict("step/command/web-01").unwrap(), "pass");
    assert_eq!(verdict("step/command/web-02").unwrap(), "fail");
    assert_eq!(verdict("step/command/web-03").unwrap(), "pass");
    assert_eq!(world.state().lock, None);
    world.rollback(&["status"]).exits(1).says("rollback resume");
    // Still no way: the hosts that are done are left alone.
    world.rollback(&["resume"]).exits(6);
    std::fs::remove_file(world.path("before-run")).unwrap();
    world.resume_converges("after a partial rollback");
    assert_eq!(
        world.read("calls"),
        "web-01.test: v2 > v1\nweb-02.test: v2 > v1\nweb-03.test: v2 > v1\n\
         web-02.test: v2 > v1\nweb-02.test: v2 > v1\n"
    );
}

#[test]
fn a_hook_that_fails_says_why_and_can_be_resumed() {
    let world = World::with_v2_deployed();
    world.write("before-run", "echo disk is full >&2; exit 28");
    world
        .rollback(&["run"])
        .exits(1)
        .says("disk is full")
        .says("exit status 28")
        .says("rollback resume");
    assert_eq!(world.live(), "v2");
    assert_eq!(world.state().status("v2"), Some(state::Status::Pending));
    std::fs::remove_file(world.path("before-run")).unwrap();
    world.resume_converges("after a hook that failed");
}

#[test]
fn a_hook_that_never_ends_is_stopped_in_time() {
    let world = World::with_v2_deployed();
    let config = world.read("deploy-guard.yml").replace("10s", "300ms");
    world.write("deploy-guard.yml", &config);
    world.write("before-run", "sleep 60");
    let started = std::time::Instant::now();
    world.rollback(&["run"]).exits(1).says("not done in time");
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn a_hook_that_lies_is_found_out() {
    let world = World::with_v2_deployed();
    world.write("before-run", "exit 0");
    let ran = world.rollback(&["run"]).exits(1);
    ran.says("the environment is frozen").says("v2");
    assert!(world.state().frozen.is_some());
}

#[test]
fn secrets_of_a_hook_stay_out_of_every_output_and_file() {
    let world = World::with_v2_deployed();
    let config = world.read("deploy-guard.yml") + "preflight:\n  secrets: [{ name: TOKEN }]\n";
    world.write("deploy-guard.yml", &config);
    let canary = "c4nary/s3cret+value";
    let summary = world.path("summary").display().to_string();
    world.write("summary", "");
    world.env.lock().unwrap().extend([
        ("TOKEN".into(), canary.into()),
        ("GITHUB_STEP_SUMMARY".into(), summary),
    ]);
    world.write(
        "before-run",
        "echo tried $TOKEN; echo failed $TOKEN >&2; exit 1",
    );
    let args = ["run", "-v", "--format", "json", "--report", "report.json"];
    let ran = world.rollback(&args).exits(1);
    let (_, journal) = world.journal().unwrap();
    let places = [
        ran.stdout,
        ran.stderr,
        journal,
        world.read("state.json"),
        world.read("report.json"),
        world.read("summary"),
    ];
    for place in &places {
        assert!(!place.contains(canary), "{place}");
    }
    assert!(places[0].contains("failed ***"), "{}", places[0]);
    assert!(places[2].contains("failed ***"), "{}", places[2]);
}

#[test]
fn history_is_newest_first_and_says_what_became_of_each() {
    let world = World::with_v2_deployed();
    world.env.lock().unwrap().extend([
        ("GITHUB_RUN_ID".into(), "42".into()),
        ("GITHUB_RUN_ATTEMPT".into(), "3".into()),
    ]);
    world.set_live("v3");
    world
        .rollback(&["record", "--release", "v3", "--digest", "sha256:abc"])
        .exits(0);
    let report = world
        .rollback(&["history", "--format", "json"])
        .exits(0)
        .json();
    let lines: Vec<_> = report["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| {
            format!(
                "{} {}",
                o["subject"].as_str().unwrap(),
                o["actual"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("v3 good"), "{lines:?}");
    assert!(lines[0].contains("digest sha256:abc"), "{lines:?}");
    assert!(lines[1].starts_with("v2 pending"), "{lines:?}");
    assert!(lines[2].starts_with("v1 good"), "{lines:?}");
    world.rollback(&["status"]).exits(0).says("v3 good");
}

#[test]
fn a_symbolic_link_to_the_state_stays_one() {
    let world = World::with_v2_deployed();
    std::fs::create_dir(world.path("shared")).unwrap();
    std::fs::rename(world.path("state.json"), world.path("shared/state.json")).unwrap();
    std::os::unix::fs::symlink("shared/state.json", world.path("state.json")).unwrap();
    finish(world.spawn(&["run"])).exits(0);
    assert!(world.path("state.json").is_symlink());
    assert_eq!(world.live(), "v1");
}
