//! How `deploy-guard run` ends: one sentence, one section of the summary, and the notified hooks.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::e2e::world::{Ran, World, finish, kill, wait_for};

const SECRET: &str = "s3cr3t-t0ken-of-ours";
const NOTICE: &str = "printf '%s|' \"$VERDICT\" \"$RELEASE\" \"$PREVIOUS_RELEASE\" \"$SERVICE\" \"$ENVIRONMENT\" >>notices; printf %s \"${REASON}\" >reason; cp \"$REPORT\" sent.json";

/// v1 is good, v2 runs; `hooks` are more lines of `deploy:`.
fn world(deploy: &str, hooks: &str) -> World {
    let world = World::with_v2_deployed();
    let text = world.read("deploy-guard.yml") + "deploy:\n  command: . ./deploy.sh\n" + hooks;
    world.write("deploy-guard.yml", &text);
    world.write("deploy.sh", deploy);
    world.write("summary.md", "");
    world
}

fn told() -> String {
    let run = serde_json::json!(NOTICE);
    format!("  after: [{{ name: chat, run: {run} }}]\n")
}

const GOOD: &str = "printf %s \"$RELEASE\" >live.new && mv live.new live";
const BAD: &str = "printf wrong >live.new && mv live.new live";
const SLOW: &str = "touch begun; sleep 30";

fn spawn(world: &World, args: &[&str]) -> Child {
    let mut command = Command::new(testkit::bin_path("deploy-guard"));
    testkit::clear_environment(&mut command)
        .current_dir(world.path("."))
        .args(["run", "--format", "json"])
        .args(args)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", world.path("summary.md"))
        .env("GITHUB_OUTPUT", world.path("outputs"))
        // That of the caller is not ours.
        .env("PREVIOUS_RELEASE", "v0")
        .envs(world.env.lock().unwrap().iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn run(world: &World) -> Ran {
    finish(spawn(world, &["--release", "v3"]))
}

fn outcome(report: &Value, id: &str) -> Value {
    let mut all = report["outcomes"].as_array().unwrap().iter();
    all.find(|outcome| outcome["id"] == id)
        .unwrap_or_else(|| panic!("{id}: {report}"))
        .clone()
}

/// The sentence that the only section of the summary opens with.
#[track_caller]
fn sentence(world: &World) -> String {
    let summary = world.read("summary.md");
    let mut heads = summary.lines().filter(|line| line.starts_with("## "));
    let head = heads.next().unwrap_or_default().to_owned();
    assert_eq!(heads.next(), None, "{summary}");
    assert!(summary.starts_with("## "), "{summary}");
    head
}

#[test]
fn whoever_is_told_hears_of_a_deployment_that_passed() {
    let world = world(GOOD, &told());
    let ran = run(&world).exits(0);
    let report = ran.json();
    assert_eq!(outcome(&report, "after/chat")["verdict"], "pass");
    assert_eq!(outcome(&report, "after/chat")["severity"], "advisory");
    assert_eq!(world.read("notices"), "pass|v3|v1|shop||");
    let reason = world.read("reason");
    assert_eq!(report["reason"], reason.as_str());
    let sent: Value = serde_json::from_str(&world.read("sent.json")).unwrap();
    for key in ["schema", "stage", "verdict", "reason", "release", "service"] {
        assert_eq!(sent[key], report[key], "{key}");
    }
    assert_eq!(
        sentence(&world),
        "## ✅ v3 is live, healthy, and last-known-good · shop"
    );
    // The hook is not a phase of the run.
    let summary = world.read("summary.md");
    assert!(
        summary.contains("\n| preflight | deploy | healthgate | record |\n"),
        "{summary}"
    );
    assert!(summary.contains("after/chat"), "{summary}");
    let outputs = world.read("outputs");
    assert!(outputs.contains("reason<<"), "{outputs}");
    assert!(outputs.contains(&format!("\n{reason}\n")), "{outputs}");
}

#[test]
fn whoever_is_told_hears_of_a_gate_that_failed_and_of_the_way_back() {
    let world = world(BAD, &told());
    run(&world).exits(1);
    assert_eq!(world.live(), "v1");
    assert_eq!(world.read("notices"), "fail|v3|v1|shop||");
    assert!(world.read("reason").contains("healthgate: "));
    let head = sentence(&world);
    assert!(
        head.starts_with("## ❌ v3 failed its gate; v1 is back and verified after "),
        "{head}"
    );
}

#[test]
fn whoever_is_told_hears_of_a_rollback_that_was_refused() {
    let world = world(BAD, &told());
    world.write("before-check", "exit 1");
    run(&world).exits(5);
    assert_eq!(world.read("notices"), "refused|v3|v1|shop||");
    let head = sentence(&world);
    assert!(
        head.contains("v3 failed its gate; its rollback was refused · shop"),
        "{head}"
    );
}

#[test]
fn whoever_is_told_hears_of_a_stage_that_ended_in_an_error() {
    let broken = format!("{GOOD}\nrm state.json && ln -s state.json state.json");
    let world = world(&broken, &told());
    let ran = run(&world).exits(4);
    assert_eq!(world.read("notices"), "error|v3|v1|shop||");
    assert_eq!(ran.json()["reason"], world.read("reason").as_str());
    assert_eq!(outcome(&ran.json(), "after/chat")["verdict"], "pass");
    // One section and one annotation, with the next step in it.
    let head = sentence(&world);
    assert!(head.contains("run: error"), "{head}");
    let summary = world.read("summary.md");
    assert!(summary.contains("**Next step:** "), "{summary}");
    assert!(summary.contains("<b>healthgate</b>"), "{summary}");
    assert_eq!(ran.stderr.matches("::error ").count(), 1, "{}", ran.stderr);
}

/// The gate could not probe, so the release may be healthy: it is not rolled back or marked bad.
#[test]
fn hg_via_silent_a_jump_host_that_does_not_answer_takes_no_release_back() {
    let world = world(GOOD, "");
    // The kernel takes the connections; no answer ever comes.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let key = world.path("key");
    let keygen = ["-q", "-t", "ed25519", "-N", "", "-f"];
    let made = Command::new("ssh-keygen").args(keygen).arg(&key).status();
    assert!(made.unwrap().success());
    world.write(
        "known_hosts",
        &format!("[127.0.0.1]:{port} {}", world.read("key.pub")),
    );
    let host = format!(
        "hosts:\n  jump: {{ address: 127.0.0.1, port: {port}, user: root, key-file: key, known-hosts: known_hosts }}\n"
    );
    let text = world.read("deploy-guard.yml");
    let text = text.replacen(
        "    - name: ready\n",
        "    - name: ready\n      via: jump\n",
        1,
    );
    let text = text.replace("timeout: 2s,", "timeout: 1s, error-limit: 1,");
    world.write("deploy-guard.yml", &(text + &host));
    let ran = run(&world).exits(4);
    let reason = ran.json()["reason"].to_string();
    assert!(reason.contains("host `jump`"), "{reason}");
    assert_eq!(world.read("live"), "v3");
    let state = world.state();
    assert_eq!(state.frozen, None);
    assert_ne!(state.status("v3"), Some(state::Status::Bad));
    assert_eq!(state.last_known_good.as_deref(), Some("v1"));
}

#[test]
fn whoever_is_told_hears_of_a_run_that_was_cancelled_and_has_a_little_time() {
    let slow = "    - { name: stuck, run: \"trap '' TERM; sleep 60\" }\n";
    let hooks = format!(
        "  after:\n    - {{ name: chat, run: {} }}\n{slow}",
        serde_json::json!(NOTICE)
    );
    let world = world(SLOW, &hooks);
    let child = spawn(&world, &["--release", "v3"]);
    wait_for("the deployment", || world.path("begun").exists());
    let begun = Instant::now();
    kill("TERM", child.id());
    let ran = finish(child).exits(143);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(world.read("notices"), "inconclusive|v3|v1|shop||");
    let stuck = outcome(&ran.json(), "after/stuck");
    assert_eq!(
        (&stuck["verdict"], &stuck["reason"]),
        (&"fail".into(), &"interrupted".into())
    );
    assert_eq!(
        sentence(&world),
        "## ❔ interrupted while deploying; v3 may be live · shop"
    );
}

#[test]
fn a_run_that_was_cancelled_while_it_went_back_says_so_and_is_resumed() {
    let world = world(BAD, &told());
    world.write("before-run", "touch going-back; sleep 30");
    let child = spawn(&world, &["--release", "v3"]);
    wait_for("the way back", || world.path("going-back").exists());
    kill("INT", child.id());
    finish(child).exits(130);
    let head = sentence(&world);
    let said = "v3 failed its gate; its rollback was interrupted: see &#96;rollback status&#96;";
    assert!(head.contains(said), "{head}");
    assert!(world.read("notices").contains("|v3|v1|shop||"));
    std::fs::remove_file(world.path("before-run")).unwrap();
    world.write("summary.md", "");
    let summary = world.path("summary.md");
    let summary = summary.to_str().unwrap();
    world.rollback(&["resume", "--summary", summary]).exits(0);
    assert_eq!(world.live(), "v1");
    let head = sentence(&world);
    assert!(
        head.contains("rolled back") && head.contains("v1"),
        "{head}"
    );
}

#[test]
fn hooks_that_fail_or_hang_change_neither_verdict_nor_exit_code_and_keep_secrets() {
    let hooks = "  after:\n    - { name: loud, run: \"echo token ${TOKEN} >&2; exit 7\" }\n    \
                 - { name: late, run: \"sleep 60\", timeout: 300ms }\n    \
                 - { name: gone, run: no-such-program }\npreflight:\n  secrets: [{ name: TOKEN }]\n";
    let world = world(GOOD, hooks);
    world
        .env
        .lock()
        .unwrap()
        .push(("TOKEN".into(), SECRET.into()));
    let begun = Instant::now();
    let ran = run(&world).exits(0);
    assert!(begun.elapsed() < Duration::from_secs(40));
    let report = ran.json();
    assert_eq!(report["verdict"], "pass");
    for (id, words) in [
        ("after/loud", "exit status 7: token ***"),
        ("after/late", "not done in time"),
        ("after/gone", "exit status 127"),
    ] {
        let outcome = outcome(&report, id);
        assert_eq!(outcome["verdict"], "fail", "{outcome}");
        assert_eq!(outcome["severity"], "advisory", "{outcome}");
        assert!(
            outcome["reason"].as_str().unwrap().contains(words),
            "{outcome}"
        );
    }
    let summary = world.read("summary.md");
    assert_eq!(summary.matches("| ⚠️ | after/").count(), 3, "{summary}");
    assert_eq!(ran.stderr.matches("::warning title=run after/").count(), 3);
    for text in [&ran.stdout, &ran.stderr, &summary, &world.read("outputs")] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn a_dry_run_and_a_usage_error_tell_nobody() {
    let world = world(GOOD, &told());
    finish(spawn(&world, &["--release", "v3", "--dry-run"])).exits(3);
    finish(spawn(&world, &["--no-such-flag"])).exits(2);
    assert_eq!(world.read("notices"), "");
}

#[test]
fn a_run_that_is_refused_shows_what_to_do() {
    let world = world(GOOD, &told());
    world.rollback(&["run"]).exits(0);
    // v2 is known bad now.
    for section in ["", "preflight:\n  disk: [{ path: /, min-free: 1% }]\n"] {
        let text = world.read("deploy-guard.yml") + section;
        world.write("deploy-guard.yml", &text);
        world.write("summary.md", "");
        world.write("notices", "");
        let ran = finish(spawn(&world, &["--release", "v2"])).exits(5);
        assert_eq!(world.read("notices").split('|').next(), Some("refused"));
        let head = sentence(&world);
        assert!(head.starts_with("## ⛔ v2 was not deployed: "), "{head}");
        let summary = world.read("summary.md");
        assert!(summary.contains("→ "), "{summary}");
        assert!(ran.stderr.contains("%0Ahint: "), "{}", ran.stderr);
    }
}

#[test]
fn a_stage_that_ends_in_an_error_has_one_section_and_one_annotation() {
    let world = World::with_v2_deployed();
    std::fs::remove_file(world.path("state.json")).unwrap();
    // A link to itself cannot be read.
    std::os::unix::fs::symlink("state.json", world.path("state.json")).unwrap();
    for (name, value) in [
        ("GITHUB_ACTIONS", "true".to_owned()),
        (
            "GITHUB_STEP_SUMMARY",
            world.path("summary.md").display().to_string(),
        ),
    ] {
        world.env.lock().unwrap().push((name.into(), value));
    }
    let ran = world.rollback(&["run"]).exits(4);
    assert_eq!(ran.stderr.matches("::error ").count(), 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("::error title=rollback%3A error::"),
        "{}",
        ran.stderr
    );
    let summary = world.read("summary.md");
    assert_eq!(summary.matches("## ").count(), 1, "{summary}");
    assert!(summary.contains("**Next step:** "), "{summary}");
    // A usage error has its own one, too.
    world.write("summary.md", "");
    let ran = world.rollback(&["run", "--lock-wait"]).exits(2);
    assert_eq!(ran.stderr.matches("::error ").count(), 1, "{}", ran.stderr);
    assert_eq!(world.read("summary.md").matches("## ").count(), 1);
    // A pipe that is not read holds up nothing.
    std::fs::remove_file(world.path("summary.md")).unwrap();
    let made = Command::new("mkfifo")
        .arg(world.path("summary.md"))
        .status();
    assert!(made.unwrap().success());
    let begun = Instant::now();
    world.rollback(&["run", "--no-such-flag"]).exits(2);
    assert!(begun.elapsed() < Duration::from_secs(10));
}
