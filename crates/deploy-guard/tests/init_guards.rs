//! From an empty repository with a Compose file to a guarded deployment: `init`, then the workflow
//! that it wrote, run by act, on a real engine.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::{Docker, free_port};

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    let status = testkit::clean(&mut git)
        .current_dir(folder)
        .args(arguments)
        .status();
    assert!(status.unwrap().success(), "git {arguments:?}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The Action as act is to find it under the name that the workflow uses.
fn action_in(folder: &Path) -> String {
    let root = testkit::workspace();
    fs::copy(root.join("action.yml"), folder.join("action.yml")).unwrap();
    copy(&root.join("action"), &folder.join("action"));
    format!(
        "org/deploy-guard@v{}={}",
        env!("CARGO_PKG_VERSION"),
        folder.display()
    )
}

/// A release whose health check passes, and one whose does not.
fn images(docker: &Docker) {
    for (release, ready) in [("v1", "www/ready"), ("v2", "www/not-ready")] {
        let files = [
            ("run.sh", "exec busybox httpd -f -p 127.0.0.1:$1 -h /www"),
            ("www/version", release),
            (ready, "ok"),
        ];
        docker.image(&format!("shop:{release}"), &files);
    }
}

#[test]
fn from_an_empty_repository_with_a_compose_file_to_a_guarded_deployment() {
    let docker = Docker::start();
    let port = free_port();
    images(&docker);
    let (repository, home, action) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let here = repository.path();
    let compose = format!(
        "services:\n  web:\n    image: shop:${{TAG:-v1}}\n    network_mode: host\n    restart: always\n    stop_signal: SIGKILL\n    \
         command: [/bin/sh, /run.sh, '{port}']\n    healthcheck:\n      test: [CMD, busybox, wget, -qO-, 'http://127.0.0.1:{port}/ready']\n      interval: 1s\n"
    );
    fs::write(here.join("compose.yml"), compose).unwrap();
    git(here, &["init", "-q", "-b", "main"]);
    git(
        here,
        &[
            "remote",
            "add",
            "origin",
            "https://github.com/acme/shop.git",
        ],
    );

    let program = testkit::bin_path("deploy-guard");
    let bin = program.parent().unwrap().display().to_string();
    testkit::bin("deploy-guard")
        .current_dir(here)
        .args(["init", "--bin-dir", &bin])
        .assert()
        .code(0);
    git(here, &["add", "-A"]);
    git(
        here,
        &[
            "-c",
            "user.name=test",
            "-c",
            "user.email=test@example.com",
            "commit",
            "-q",
            "-m",
            "test",
        ],
    );

    let uses = action_in(action.path());
    let deploy = |release: &str| {
        let mut act = Command::new(testkit::tool("act"));
        testkit::clean(&mut act).current_dir(here);
        act.args([
            "workflow_dispatch",
            "-W",
            ".github/workflows/deploy-guard.yml",
            "-P",
            "self-hosted=-self-hosted",
        ]);
        act.args([
            "--input",
            &format!("release={release}"),
            "--local-repository",
            &uses,
        ]);
        act.args([
            "--env",
            &format!("DOCKER_HOST={}", docker.address()),
            "--env",
            &format!("HOME={}", home.path().display()),
        ]);
        act.env("HOME", home.path())
            .env("XDG_CACHE_HOME", home.path().join("cache"))
            .env("XDG_CONFIG_HOME", home.path().join("config"));
        let output = act.output().unwrap();
        let text = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat();
        (output.status.success(), text)
    };
    let live = || {
        let answer = testkit::get(&format!("http://127.0.0.1:{port}/version"));
        answer.map_or_else(|error| error.to_string(), |answer| answer.text())
    };

    let (passed, log) = deploy("v1");
    assert!(passed, "{log}");
    assert_eq!(live(), "v1", "{log}");

    // It runs and answers, but its health check fails: taken back.
    let (passed, log) = deploy("v2");
    assert!(!passed, "{log}");
    assert_eq!(live(), "v1", "{log}");
    let state = fs::read(
        home.path()
            .join(".local/state/deploy-guard/shop/production.json"),
    )
    .unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    assert_eq!(state["last_known_good"], "v1", "{state}");

    // And it is known from then on: not deployed again.
    let (passed, log) = deploy("v2");
    assert!(!passed && log.contains("known bad"), "{log}");
    assert_eq!(live(), "v1", "{log}");
}
