//! What a Compose project wants of its services: none of some, an end of others, and the values of
//! the files that it was deployed with.

use std::fs;
use std::process::Output;
use std::time::Duration;

use testkit::{Compose, Docker, End, wait_until};

use crate::services::bed::{Bed, QUICK};

/// A project on its own engine, in the folder of the gate.
struct Project {
    compose: Compose,
    docker: Docker,
    bed: Bed,
}

impl Project {
    fn new(compose: Compose) -> Project {
        let docker = Docker::start();
        docker.image("app:v1", &[]);
        let config = compose.config().display().to_string();
        let bed = Bed::new()
            .env("DOCKER_HOST", &docker.address())
            .env("DOCKER_CONFIG", &config);
        Project {
            compose,
            docker,
            bed,
        }
    }

    /// Services as lines of YAML, of a version of the file that this Compose reads them in.
    fn file(&self, version: &str, services: &[&str]) {
        let text = format!("version: '{version}'\nservices:\n{}", services.concat());
        fs::write(self.bed.path("compose.yaml"), text).unwrap();
    }

    #[track_caller]
    fn up(&self, words: &[&str]) {
        let output = self.call(words);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {error}");
    }

    fn call(&self, words: &[&str]) -> Output {
        let mut command = self.compose.command();
        command
            .args(["-p", "shop", "-f", "compose.yaml"])
            .args(words);
        command.current_dir(self.bed.path(""));
        command.env("DOCKER_HOST", self.docker.address());
        command.output().unwrap()
    }

    fn gate(&self, rest: &str) -> End {
        let probe =
            format!("  compose: [{{ name: it, files: [compose.yaml], project: shop{rest} }}]");
        self.bed.gate(QUICK, &probe)
    }

    fn named(&self, service: &str, number: u32) -> String {
        let separator = self.compose.separator();
        format!("shop{separator}{service}{separator}{number}")
    }

    fn until(&self, service: &str, status: &str) {
        let words = [
            "inspect",
            "-f",
            "{{.State.Status}}",
            &self.named(service, 1),
        ];
        let same = wait_until(Duration::from_mins(1), || {
            self.docker.must(&words) == status
        });
        assert!(same, "{service} is not {status}");
    }
}

/// A service with a command and more lines.
fn service(name: &str, command: &str, more: &str) -> String {
    format!(
        "  {name}:\n    image: app:v1\n    network_mode: none\n    stop_signal: SIGKILL\n    \
         command: [/bin/busybox, sh, -c, '{command}']\n{more}"
    )
}

const STAYS: &str = "busybox sleep 1000";

fn compose_scale_zero_and_replicas_zero_want_no_container(compose: Compose) {
    let project = Project::new(compose);
    let web = service("web", STAYS, "");
    let idle = service("idle", STAYS, "    scale: 0\n");
    project.file("2.4", &[&web, &idle]);
    project.up(&["up", "-d"]);
    project.gate("").is(0, &["idle: none wanted"]);
    project
        .gate(", services: [web, idle]")
        .is(0, &["idle: none wanted"]);
    // Once Compose was called with a scale of 1, it must run.
    project.up(&["up", "-d", "--scale", "idle=1"]);
    let one = format!("{}: running", project.named("idle", 1));
    project.gate("").is(0, &[&one]);
    project.docker.must(&["kill", &project.named("idle", 1)]);
    project.gate("").is(1, &["it is exited (exit code 137)"]);
    // docker-compose 1 heeds `deploy` in a swarm alone.
    if compose == Compose::V2 {
        project.up(&["rm", "-f", "idle"]);
        let idle = service("idle", STAYS, "    deploy: { replicas: 0 }\n");
        let two = service("two", STAYS, "    deploy: { replicas: 2 }\n");
        project.file("3.8", &[&web, &idle, &two]);
        project.up(&["up", "-d"]);
        project.gate("").is(0, &["idle: none wanted"]);
        project.docker.must(&["rm", "-f", &project.named("two", 2)]);
        project
            .gate("")
            .is(1, &["service `two` has 1 of 2 containers"]);
    }
}

fn compose_one_shot_services_are_wanted_ended(compose: Compose) {
    let project = Project::new(compose);
    let web = service("web", STAYS, "");
    let migrate = service("migrate", "exit 0", "");
    project.file("2.4", &[&web, &migrate]);
    project.up(&["up", "-d"]);
    project.until("migrate", "exited");
    project.gate("").is(
        1,
        &[
            "it is exited (exit code 0)",
            "if migrate only has to end with exit code 0: `completed: [migrate]`",
        ],
    );
    let ended = format!("{}: exited", project.named("migrate", 1));
    project.gate(", completed: [migrate]").is(0, &[&ended]);
    // What another waits for is one by itself; docker-compose 1 does not know how to wait.
    if compose == Compose::V2 {
        let waits = "    depends_on: { migrate: { condition: service_completed_successfully } }\n";
        project.file("2.4", &[&service("web", STAYS, waits), &migrate]);
        project.up(&["up", "-d"]);
        project.gate("").is(0, &[&ended]);
    }
    // One that failed, and one that is still at work: no key of the configuration helps.
    let failed = service("migrate", "exit 3", "");
    project.file("2.4", &[&web, &failed]);
    project.up(&["up", "-d"]);
    project.until("migrate", "exited");
    let end = project.gate("").is(1, &["it is exited (exit code 3)"]);
    assert!(!end.text.contains("completed: ["), "{}", end.text);
    project
        .gate(", completed: [migrate]")
        .is(1, &["it has ended with exit code 3"]);
    project.file("2.4", &[&web, &service("migrate", STAYS, "")]);
    project.up(&["up", "-d"]);
    project
        .gate(", completed: [migrate]")
        .is(1, &["it has not ended, it is running"]);
}

fn compose_env_file_of_the_deployment_says_what_is_wanted(compose: Compose) {
    let project = Project::new(compose);
    let more = "    scale: ${IDLE:?}\n";
    let web = service("web", STAYS, "");
    project.file("2.4", &[&web, &service("idle", STAYS, more)]);
    fs::write(project.bed.path("live.env"), "IDLE=0\n").unwrap();
    project.up(&["--env-file", "live.env", "up", "-d"]);
    // The containers carry its name.
    project.gate("").is(0, &["idle: none wanted"]);
    project
        .gate(", env-files: [live.env]")
        .is(0, &["idle: none wanted"]);
    // Not `.env`, which is Compose's default.
    fs::write(project.bed.path(".env"), "IDLE=1\n").unwrap();
    project.gate("").is(0, &["idle: none wanted"]);
    project
        .gate(", env-files: [live.env]")
        .is(0, &["idle: none wanted"]);
    // The error names a missing file: without it the expected services are unknown.
    fs::remove_file(project.bed.path("live.env")).unwrap();
    project.gate(", env-files: [live.env]").is(4, &["live.env"]);
}

fn compose_scale_crashed_containers_are_counted(compose: Compose) {
    let project = Project::new(compose);
    let web = service("web", STAYS, "    scale: 3\n");
    project.file("2.4", &[&web]);
    project.up(&["up", "-d"]);
    project.gate("").is(0, &[]);
    // `ps -q` of the second Compose does not tell of it.
    let second = project.named("web", 2);
    project.docker.must(&["kill", &second]);
    let killed = format!("`{second}`: it is exited (exit code 137)");
    project.gate("").is(1, &[&killed]);
    project.docker.must(&["rm", &second]);
    project
        .gate("")
        .is(1, &["service `web` has 2 of 3 containers"]);
    // The only one of its service.
    project.file(
        "2.4",
        &[&service("web", STAYS, ""), &service("worker", "exit 3", "")],
    );
    project.up(&["up", "-d", "--scale", "web=1"]);
    project.until("worker", "exited");
    let crashed = format!(
        "`{}`: it is exited (exit code 3)",
        project.named("worker", 1)
    );
    project.gate("").is(1, &[&crashed]);
    // A service that restarts again and again is never healthy.
    let again = service("worker", "busybox sleep 1; exit 5", "    restart: always\n");
    project.file("2.4", &[&service("web", STAYS, ""), &again]);
    project.up(&["up", "-d"]);
    let policy =
        "{ interval: 200ms, timeout: 30s, success-threshold: 50, failure-limit: 0, deadline: 2m }";
    let probe = "  compose: [{ name: it, files: [compose.yaml], project: shop }]";
    project.bed.gate(policy, probe).is(1, &["compose/it"]);
}

testkit::with_both! {
    compose_scale_zero_and_replicas_zero_want_no_container
    compose_one_shot_services_are_wanted_ended
    compose_env_file_of_the_deployment_says_what_is_wanted
    compose_scale_crashed_containers_are_counted
}
