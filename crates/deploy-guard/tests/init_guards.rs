//! From an empty repository with a Compose file to a guarded deployment: `init`, then the workflow
//! that it wrote, run by act, on a real engine.

use std::fs;

use crate::job::act::{Repository, Run};
use testkit::{Compose, Docker, free_port};

/// A release whose health check passes, and one whose does not.
pub(crate) fn images(docker: &Docker) {
    for (release, ready) in [("v1", "www/ready"), ("v2", "www/not-ready")] {
        let files = [
            ("run.sh", "exec busybox httpd -f -p 127.0.0.1:$1 -h /www"),
            ("www/version", release),
            (ready, "ok"),
        ];
        docker.image(&format!("shop:{release}"), &files);
    }
}

/// A job on the machine that is deployed to, in a way that is not known.
const RUNNER: &str =
    "on: push\njobs:\n  deploy: { runs-on: [self-hosted, linux], steps: [{ run: ./x }] }\n";

/// Writes the configuration and the workflow, which takes the binary of this build.
fn init(repository: &Repository) {
    repository.write(".github/workflows/deploy.yml", RUNNER);
    let program = testkit::bin_path("deploy-guard");
    let bin = program.parent().unwrap().display().to_string();
    testkit::bin("deploy-guard")
        .current_dir(repository.path(""))
        .args(["init", "--kind", "compose", "--bin-dir", &bin])
        .args(["--environment", "production"])
        .assert()
        .code(0);
}

/// Runs the workflow that was written.
fn deploy(repository: &Repository, docker: &Docker, compose: Compose, release: &str) -> Run {
    let release = format!("release={release}");
    let engine = format!("DOCKER_HOST={}", docker.address());
    let config = format!("DOCKER_CONFIG={}", compose.config().display());
    let words = ["workflow_dispatch", "--input", &release];
    repository.act(&[&words[..], &["--env", &engine, "--env", &config]].concat())
}

/// The release that answers, or why none does.
pub(crate) fn live(port: u16) -> String {
    let answer = testkit::get(&format!("http://127.0.0.1:{port}/version"));
    answer.map_or_else(|error| error.to_string(), |answer| answer.text())
}

fn from_an_empty_repository_with_a_compose_file_to_a_guarded_deployment(compose: Compose) {
    let docker = Docker::start();
    let port = free_port();
    images(&docker);
    let repository = Repository::new();
    let file = format!(
        "services:\n  web:\n    image: shop:${{TAG:-v1}}\n    network_mode: host\n    restart: always\n    stop_signal: SIGKILL\n    \
         command: [/bin/sh, /run.sh, '{port}']\n    healthcheck:\n      test: [CMD, busybox, wget, -qO-, 'http://127.0.0.1:{port}/ready']\n      interval: 1s\n"
    );
    repository.write("compose.yml", &file);

    init(&repository);
    let deploy = |release: &str| deploy(&repository, &docker, compose, release);
    let live = || live(port);

    let run = deploy("v1").passes();
    assert_eq!(live(), "v1", "{}", run.log);

    // It runs and answers, but its health check fails: taken back.
    let run = deploy("v2").fails();
    assert_eq!(live(), "v1", "{}", run.log);
    let state = fs::read(
        repository
            .home()
            .join(".local/state/deploy-guard/shop/production.json"),
    )
    .unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    assert_eq!(state["last_known_good"], "v1", "{state}");

    // And it is known from then on: not deployed again.
    let run = deploy("v2").fails().says("known bad");
    assert_eq!(live(), "v1", "{}", run.log);
}

/// Nothing is in a registry: each release is built of what is checked out, and the one before it is
/// still among the machine's images.
fn a_project_that_is_built_where_it_runs_is_guarded_too(compose: Compose) {
    let docker = Docker::start();
    let port = free_port();
    let serve = ("run.sh", "exec busybox httpd -f -p 127.0.0.1:$1 -h /www");
    docker.image("base:1", &[serve]);
    let repository = Repository::new();
    repository.write(
        "docker-compose.yaml",
        "x-all: &all { restart: always, stop_signal: SIGKILL }\nservices:\n  web:\n    <<: *all\n    build: ./app\n    network_mode: host\n",
    );
    let release = |version: &str, ready: &str| {
        let dockerfile = format!(
            "FROM base:1\nCOPY www /www\nCMD [\"/bin/sh\", \"/run.sh\", \"{port}\"]\n\
             HEALTHCHECK --interval=1s CMD busybox wget -qO- http://127.0.0.1:{port}/ready\n"
        );
        repository.write("app/Dockerfile", &dockerfile);
        repository.write("app/www/version", version);
        let _ = fs::remove_file(repository.path("app/www/ready"));
        repository.write(&format!("app/www/{ready}"), "ok");
    };
    release("v1", "ready");
    init(&repository);
    let deploy = |release: &str| deploy(&repository, &docker, compose, release);
    let live = || live(port);

    let run = deploy("v1").passes();
    assert_eq!(live(), "v1", "{}", run.log);
    release("v2", "not-ready");
    let run = deploy("v2").fails();
    assert_eq!(live(), "v1", "{}", run.log);
    release("v3", "ready");
    let run = deploy("v3").passes();
    assert_eq!(live(), "v3", "{}", run.log);
}

testkit::with_both! {
    from_an_empty_repository_with_a_compose_file_to_a_guarded_deployment
    a_project_that_is_built_where_it_runs_is_guarded_too
}
