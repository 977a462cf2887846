//! `deploy-guard run` with a section `traffic`, on the machine itself.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{End, Nginx, Shop};

/// The answers are too slow to prove anything in the time that a signal leaves: only `resume` is of use then.
#[test]
fn a_run_that_is_cancelled_in_a_slow_proof_leaves_nothing_but_a_proof_to_resume() {
    let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
    let nginx = Nginx::start(&blue.address());
    nginx.read(&format!(
        "upstream shop {{ server {}; server {} down; }}\n",
        blue.address(),
        green.address()
    ));
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let router = json!({
        "upstream-file": nginx.upstream_file(),
        "test": nginx.test_command(),
        "reload": nginx.reload_command(),
        "blue": blue.address(),
        "green": green.address(),
        "release": {"url": nginx.url("/api/v1/version"), "jq": ".version"},
    });
    let config = json!({
        "version": 1,
        "service": "shop",
        "deploy": {"command": "true"},
        "traffic": {"stages": ["10%", "100%"], "deadline": "10m", "nginx": router},
        "rollback": {"state": state, "nginx": router},
        "healthgate": {"http": [{"name": "ready", "url": nginx.url("/health/ready")}]},
    });
    fs::write(folder.path().join("deploy-guard.yml"), config.to_string()).unwrap();
    let mut run = Command::new(testkit::bin_path("deploy-guard"));
    let child = testkit::clear_environment(&mut run)
        .current_dir(folder.path())
        .args(["run", "--release", "v2"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let rollout = || -> Value {
        let text = fs::read_to_string(&state).unwrap_or_default();
        let document: Value = serde_json::from_str(&text).unwrap_or_default();
        document["rollout"].clone()
    };
    let end = Instant::now() + Duration::from_secs(60);
    while rollout()["phase"] != "setting" {
        assert!(Instant::now() < end, "{}", rollout());
        std::thread::sleep(Duration::from_millis(5));
    }
    for side in [&blue, &green] {
        side.set_delay(Duration::from_secs(1));
    }
    std::thread::sleep(Duration::from_millis(500));
    let asked = Instant::now();
    let mut kill = Command::new("kill");
    let sent = testkit::clear_environment(&mut kill).args(["-TERM", &child.id().to_string()]);
    assert!(sent.status().unwrap().success());
    let end = End::from(child.wait_with_output().unwrap());
    assert!(
        asked.elapsed() < Duration::from_millis(7500),
        "{:?}",
        asked.elapsed()
    );
    let end = end.is(
        143,
        &[
            "v2 had 10%, and v1 gets all again",
            "0% is set, not yet proved: `traffic resume` proves it",
        ],
    );
    assert!(!end.text.contains("traffic promote"), "{}", end.text);
    assert_eq!(rollout()["phase"], "aborting");
}
