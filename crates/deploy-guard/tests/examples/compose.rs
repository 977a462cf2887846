//! A Compose project on the machine of the runner.

use std::fs;

use testkit::{Compose, free_port};

use crate::examples::world::{Containers, Example, answers, state, version};

fn compose_from_a_good_release_through_a_bad_one_and_back(compose: Compose) {
    // v2 runs, answers with 200, passes the container's health check, and reports that it is not healthy.
    let world = Containers::new(&[("v1", "healthy"), ("v2", "degraded"), ("v3", "broken")]);
    let port = free_port();
    fs::create_dir(world.path("shop")).unwrap();
    let example = Example::copy("compose-on-one-host")
        .fill("ghcr.io/acme/shop", &world.image())
        .fill("/srv/shop", &world.path("shop"))
        .fill("/var/lib/shop", &world.path(""))
        .fill("127.0.0.1:8080/", &format!("127.0.0.1:{port}/"))
        // This engine has no network of its own, and its images no wget but busybox's.
        .fill(
            "ports: [\"127.0.0.1:8080:8080\"]",
            &format!("network_mode: host\n    environment: {{ PORT: '{port}' }}\n    stop_signal: SIGKILL"),
        )
        .fill("CMD, wget", "CMD, busybox, wget")
        .fill("-p shop", &format!("-p shop{port}"))
        .fill("project: shop", &format!("project: shop{port}"))
        .fill("interval: 2s, timeout: 1s", "interval: 100ms, timeout: 5s")
        .fill("startup: 30s", "startup: 3s")
        .fill("    # Which images run", "    settle: 500ms\n    # Which images run")
        .env("DOCKER_HOST", &world.docker.address())
        .env("DOCKER_CONFIG", &compose.config().display().to_string());
    let url = format!("http://127.0.0.1:{port}/api/v1/version");

    example.deploy("v1").passes().skipped("Roll back");
    answers(&url, &version("v1"));
    state(&world.state(), "v1", &[("v1", "good")]);

    let run = example.deploy("v2").fails().succeeded("Deploy");
    run.failed("Gate")
        .says("http/ready")
        .skipped("Record as good")
        .succeeded("Roll back");
    answers(&url, &version("v1"));
    state(&world.state(), "v1", &[("v1", "good"), ("v2", "bad")]);

    // It is not deployed again, and a release without an image of that tag is refused.
    let run = example.deploy("v2").fails().failed("Preflight");
    run.says("known bad").skipped("Begin").skipped("Roll back");
    let run = example.deploy("v4").fails().failed("Preflight");
    run.says("images/web").skipped("Begin");
    answers(&url, &version("v1"));

    // It does not start, when the old container is gone already.
    let run = example.deploy("v3").fails().failed("Deploy");
    run.skipped("Gate").succeeded("Roll back");
    answers(&url, &version("v1"));
    state(&world.state(), "v1", &[("v2", "bad"), ("v3", "bad")]);
    let kept = fs::read_dir(world.path("evidence")).unwrap();
    assert_eq!(kept.count(), 2);
}

testkit::with_both! {
    compose_from_a_good_release_through_a_bad_one_and_back
}
