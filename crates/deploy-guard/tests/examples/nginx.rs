//! Two colours in containers, and nginx before them.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{Nginx, free_port, wait_until};

use crate::examples::world::{Containers, Example, answers, state, version};
use crate::job::act::Run;

struct World {
    containers: Containers,
    nginx: Nginx,
    example: Example,
}

impl World {
    fn new(releases: &[(&str, &str)]) -> World {
        let containers = Containers::new(releases);
        let example = Example::copy("nginx-blue-green");
        let server = fs::read_to_string(example.repository.path("nginx.conf")).unwrap();
        let (_, server) = server.split_once("upstream.conf;\n").unwrap();
        // Its log shows which client sent each request.
        let server = server.replace("127.0.0.1:8080;", "ADDRESS:PORT; access_log access.log;");
        let nginx = Nginx::serving(&server);
        let upstream = nginx.upstream_file().display().to_string();
        let example = example
            .fill("ghcr.io/acme/shop", &containers.image())
            .fill("/etc/nginx/shop/upstream.conf", &upstream)
            .fill("/var/lib/shop", &containers.path(""))
            .fill("127.0.0.1:8080", &format!("127.0.0.1:{}", nginx.port()))
            .fill("127.0.0.1:8001", &format!("127.0.0.1:{}", free_port()))
            .fill("127.0.0.1:8002", &format!("127.0.0.1:{}", free_port()))
            .fill("sudo -n nginx -t", &nginx.test_command())
            .fill("sudo -n nginx -s reload", &nginx.reload_command())
            .fill("interval: 2s, timeout: 1s", "interval: 100ms, timeout: 5s")
            .env("DOCKER_HOST", &containers.docker.address());
        World {
            containers,
            nginx,
            example,
        }
    }

    #[track_caller]
    fn live(&self, release: &str) {
        answers(&self.nginx.url("/api/v1/version"), &version(release));
    }

    #[track_caller]
    fn state(&self, good: &str, releases: &[(&str, &str)]) {
        state(&self.containers.state(), good, releases);
    }
}

#[test]
fn nginx_from_a_good_release_through_a_bad_one_and_back() {
    // v2 answers with 200 and reports that it is not healthy.
    let world = World::new(&[
        ("v1", "healthy"),
        ("v2", "degraded"),
        ("v3", "broken"),
        ("v4", "healthy"),
    ]);
    let run = world.example.deploy("v1").passes();
    run.skipped("Roll back");
    world.live("v1");

    let run = world.example.deploy("v2").fails().succeeded("Deploy");
    run.failed("Gate")
        .says("http/ready")
        .skipped("Record as good")
        .succeeded("Roll back");
    world.live("v1");
    world.state("v1", &[("v1", "good"), ("v2", "bad")]);

    // A known bad release is refused again, before any change.
    let run = world.example.deploy("v2").fails().failed("Preflight");
    run.says("known bad").skipped("Begin").skipped("Roll back");
    world.live("v1");

    // v3 does not start and got no traffic, so there is nothing to switch back.
    let run = world.example.deploy("v3").fails().failed("Deploy");
    run.failed("Roll back").says("v1 is what runs already");
    world.live("v1");

    // The same in one step, as a person may do it on the machine.
    testkit::bin("deploy-guard")
        .current_dir(world.example.repository.path(""))
        .env("DOCKER_HOST", world.containers.docker.address())
        .args(["run", "--release", "v4", "--environment", "production"])
        .assert()
        .code(0);
    world.live("v4");
    world.state("v4", &[("v2", "bad"), ("v4", "good")]);
}

/// act ends the gate without a word, as a runner does that has lost its patience; what comes then is
/// for the step with `cancelled()`.
#[test]
fn a_deployment_that_is_cancelled_in_the_middle_of_its_gate_is_taken_back() {
    let world = World::new(&[("v1", "healthy"), ("v2", "starting")]);
    world.example.deploy("v1").passes();
    // A gate that is never done: it has all the time there is, and may fail as often as it likes.
    let patient = "failure-limit: 1000000, deadline: 1h";
    let example = world
        .example
        .fill("failure-limit: 2, deadline: 2m", patient);
    let world = World { example, ..world };
    // In a cancelled job a runner runs the steps within an action, act does not: so the stage is
    // called there by itself, under the condition that the example has.
    let workflow = ".github/workflows/deploy.yml";
    let text = fs::read_to_string(world.example.repository.path(workflow)).unwrap();
    let (text, _) = text.rsplit_once("        uses: ").unwrap();
    let program = testkit::bin_path("deploy-guard");
    let stage = "rollback run --environment production";
    let text = format!("{text}        run: {} {stage}\n", program.display());
    world.example.repository.write(workflow, &text);

    let asked = || {
        world
            .nginx
            .access_log()
            .matches("GET /health/ready")
            .count()
    };
    let before = asked();
    let mut command = world.example.command("deploy.yml", &[("release", "v2")]);
    let act = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let act = act.spawn().unwrap();
    let gated = wait_until(Duration::from_mins(1), || asked() > before + 3);
    interrupt(act.id());
    let output = act.wait_with_output().unwrap();
    assert!(gated, "the gate did not ask");
    Run::from(output)
        .fails()
        .succeeded("Deploy")
        .failed("Gate")
        .succeeded("Roll back");
    world.live("v1");
    world.state("v1", &[("v1", "good"), ("v2", "bad")]);
}

fn interrupt(id: u32) {
    let id = id.to_string();
    let status = Command::new("kill").args(["-s", "INT", "--", &id]).status();
    assert!(status.unwrap().success());
}
