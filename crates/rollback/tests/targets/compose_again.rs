//! Compose: a rollback is the same deployment again with other images, or it is refused before
//! anything changes; and what each container does counts, not one door for all of them.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use testkit::{Compose, Docker, Registry};

use crate::targets::bed::Bed;

/// A folder with a project, and its own Docker engine.
struct Project {
    compose: Compose,
    bed: Bed,
    docker: Docker,
}

/// Runs until it is told to end.
const STAYS: &str = "trap 'exit 0' TERM; while :; do busybox sleep 0.1; done";

impl Project {
    /// `target`: lines below `rollback.compose`.
    fn new(compose: Compose, target: &str) -> Project {
        let docker = Docker::start();
        for release in ["v1", "v2"] {
            for name in ["web", "worker"] {
                docker.image(&format!("{name}:{release}"), &[("run.sh", STAYS)]);
            }
            docker.image(&format!("once:{release}"), &[("run.sh", "exit 0")]);
        }
        docker.image("worker:v2-crash", &[("run.sh", "exit 3")]);
        let bed = Bed::new()
            .env("DOCKER_HOST", &docker.address())
            .env("DOCKER_CONFIG", &compose.config().display().to_string());
        let project = Project {
            compose,
            bed,
            docker,
        };
        project.target(target);
        project
    }

    fn target(&self, target: &str) {
        let target =
            format!("  compose:\n    project: shop\n    settle: 400ms\n    timeout: 60s\n{target}");
        self.bed.configure("", &target, "");
    }

    /// Services as lines of YAML, `image: NAME:${TAG}` among them.
    fn file(&self, services: &str) {
        let text = format!("version: '3.8'\nservices:\n{services}");
        self.bed.write("docker-compose.yml", &text);
    }

    /// As a deployment calls Compose, with variables.
    #[track_caller]
    fn deployed(&self, words: &[&str], env: &[(&str, &str)]) {
        let _ = std::fs::remove_file(self.bed.path("docker-compose.deploy-guard.yml"));
        let output = (self.compose.command())
            .args(["-p", "shop"])
            .args(words)
            .current_dir(self.bed.path(""))
            .env("DOCKER_HOST", self.docker.address())
            .envs(env.iter().copied())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {error}");
    }

    /// `v1`, recorded; then `v2`.
    fn both(&self, words: &[&str], env: &[(&str, &str)]) {
        for release in ["v1", "v2"] {
            self.deployed(words, &[env, &[("TAG", release)]].concat());
            if release == "v1" {
                self.bed
                    .rollback(&["record", "--release", "v1"])
                    .is(0, &["the target reports it"]);
            }
        }
    }

    /// Facts about every container of a service, by Docker's own templates.
    fn told(&self, service: &str, format: &str) -> Vec<String> {
        let label = format!("label=com.docker.compose.service={service}");
        let ids = self.docker.must(&["ps", "-aq", "--filter", &label]);
        if ids.is_empty() {
            return Vec::new();
        }
        let mut words = vec!["inspect", "--format", format];
        words.extend(ids.lines());
        let told = self.docker.must(&words);
        let mut told: Vec<String> = told.lines().map(str::to_owned).collect();
        told.sort();
        told
    }

    fn images(&self, service: &str) -> Vec<String> {
        self.told(service, "{{.Config.Image}} {{.State.Status}}")
    }

    /// Every container there is, by its id.
    fn all(&self) -> String {
        self.docker.must(&["ps", "-aq", "--no-trunc"])
    }
}

/// A service that keeps running, with more lines of its own.
fn service(name: &str, more: &str) -> String {
    format!(
        "  {name}:\n    image: {name}:${{TAG}}\n    network_mode: none\n    command: [/bin/sh, /run.sh]\n{more}"
    )
}

const WEB: &str = "    services: { web: \"web:{release}\" }\n";
const BOTH: &str = "    services: { web: \"web:{release}\", worker: \"worker:{release}\" }\n";

fn rb_compose_half_deployed_is_gone_back_from_and_never_recorded(compose: Compose) {
    let project = Project::new(compose, BOTH);
    project.file(&(service("web", "") + &service("worker", "")));
    project.deployed(&["up", "-d"], &[("TAG", "v1")]);
    project.bed.recorded("v1", "v2");
    // The step that had begun ended before the other service.
    for worker in ["v2", "v2-crash"] {
        project.deployed(&["up", "-d", "worker"], &[("TAG", worker)]);
        for release in ["v1", "v2", "v2-crash"] {
            let end = project.bed.rollback(&["record", "--release", release]);
            let end = end.is(5, &["refused/"]);
            // Which service runs what.
            if !end.text.contains("refused/known-bad") {
                end.is(5, &["`web` runs v1", &format!("`worker` runs {worker}")]);
            }
        }
        project.bed.rollback(&["plan"]).is(0, &["to v1"]);
        project
            .bed
            .rollback(&["run"])
            .is(0, &["rolled back from v2"]);
        assert_eq!(project.images("worker"), ["worker:v1 running"]);
        assert_eq!(project.images("web"), ["web:v1 running"]);
        project.bed.rollback(&["run"]).is(5, &["already"]);
    }
    // One that crashed runs no release, whatever its image is called.
    let worker = project.told("worker", "{{.Id}}");
    project.docker.must(&["kill", &worker[0]]);
    let end = project.bed.rollback(&["record", "--release", "v1"]);
    end.is(
        5,
        &[
            "refused/not-running",
            "v1 does not run: `worker` is exited (exit code 137) in shop",
            "worker",
        ],
    );
    let insist = [
        "record",
        "--release",
        "v1",
        "--force=not-running",
        "--reason=test",
    ];
    project
        .bed
        .rollback(&insist)
        .is(0, &["because: test: v1 does not run"]);
    project.bed.rollback(&["run", "--release", "v2"]).is(0, &[]);
    assert_eq!(project.images("worker"), ["worker:v1 running"]);
}

fn compose_env_file_that_the_deployment_named_is_used_again(compose: Compose) {
    let project = Project::new(compose, WEB);
    let environment = "    environment: { DATABASE: \"${DATABASE:?}\" }\n";
    project.file(&service("web", environment));
    project.bed.write("live.env", "DATABASE=live\n");
    project.both(&["--env-file", "live.env", "up", "-d"], &[]);
    // Renamed since, and named.
    std::fs::rename(project.bed.path("live.env"), project.bed.path("now.env")).unwrap();
    let before = project.all();
    project.bed.rollback(&["run"]).is(5, &[]);
    assert_eq!(project.all(), before);
    project.target(&format!("    env-files: [now.env]\n{WEB}"));
    project.bed.write("now.env", "DATABASE=other\n");
    let end = project.bed.rollback(&["run"]);
    end.is(5, &["other values of DATABASE", "env-files"]);
    assert_eq!(project.all(), before);
    project.bed.write("now.env", "DATABASE=live\n");
    project.bed.rollback(&["run"]).is(0, &["from v2 to v1"]);
    let env = project.told("web", "{{.Config.Image}} {{.Config.Env}}");
    assert!(
        env[0].starts_with("web:v1") && env[0].contains("DATABASE=live"),
        "{env:?}"
    );
    // Back where it was, the label alone is enough.
    std::fs::rename(project.bed.path("now.env"), project.bed.path("live.env")).unwrap();
    project.target(WEB);
    project.deployed(&["--env-file", "live.env", "up", "-d"], &[("TAG", "v2")]);
    project
        .bed
        .rollback(&["run", "--release", "v2"])
        .is(0, &["to v1"]);
    let env = project.told("web", "{{.Config.Image}} {{.Config.Env}}");
    assert!(
        env[0].starts_with("web:v1") && env[0].contains("DATABASE=live"),
        "{env:?}"
    );
}

fn rb_compose_unset_variable_is_refused_and_shown(compose: Compose) {
    let project = Project::new(compose, WEB);
    let more = "    user: \"${RUN_AS}\"\n    environment: { PASSWORD: \"${PASSWORD}\", RELEASE: \"${TAG}\" }\n";
    project.file(&service("web", more));
    project.both(&["up", "-d"], &[("PASSWORD", "s3cr3t"), ("RUN_AS", "7")]);
    let before = project.all();
    let end = project.bed.rollback(&["run"]);
    end.is(5, &["`TAG` in `environment.RELEASE`", "TAG: \"{release}\""]);
    let tag = "    env: { TAG: \"{release}\" }\n";
    project.target(&format!("{tag}{WEB}"));
    let end = project.bed.rollback(&["run"]).is(
        5,
        &[
            "other values of PASSWORD",
            "PASSWORD",
            "variable is not set",
        ],
    );
    assert!(!end.text.contains("s3cr3t"), "{}", end.text);
    // A variable that is not in a container's environment counts as well.
    project.target(&format!(
        "    env: {{ TAG: \"{{release}}\", PASSWORD: s3cr3t }}\n{WEB}"
    ));
    let end = project.bed.rollback(&["run"]);
    end.is(5, &["the hash of its configuration is another", "RUN_AS"]);
    assert_eq!(project.all(), before, "nothing was changed");
    project.target(&format!(
        "    env: {{ TAG: \"{{release}}\", PASSWORD: s3cr3t, RUN_AS: \"7\" }}\n{WEB}"
    ));
    project.bed.rollback(&["run"]).is(0, &["from v2 to v1"]);
    let env = project.told("web", "{{.Config.Image}} {{.Config.User}} {{.Config.Env}}");
    assert!(env[0].starts_with("web:v1 7"), "{env:?}");
    assert!(
        env[0].contains("PASSWORD=s3cr3t") && env[0].contains("RELEASE=v1"),
        "{env:?}"
    );
}

fn rb_compose_dotenv_tag_that_stands_in_more_than_the_image_is_refused(compose: Compose) {
    let project = Project::new(compose, WEB);
    let more = "    labels: { release: \"shop-${TAG}\" }\n    env_file: .env\n";
    project.file(&service("web", more));
    for release in ["v1", "v2"] {
        project
            .bed
            .write(".env", &format!("TAG={release}\nOTHER=1\n"));
        project.deployed(&["up", "-d"], &[]);
        if release == "v1" {
            let v1 = ["record", "--release", "v1"];
            project.bed.rollback(&v1).is(0, &[]);
        }
    }
    let before = project.all();
    project
        .bed
        .rollback(&["plan"])
        .is(5, &["`TAG` in `labels.release`"]);
    // The file that the service reads names the release too, and no variable of ours does.
    project.target(&format!("    env: {{ TAG: \"{{release}}\" }}\n{WEB}"));
    project.bed.rollback(&["run"]).is(5, &["environment.TAG"]);
    assert_eq!(project.all(), before, "nothing was changed");
    project.file(&service(
        "web",
        "    labels: { release: \"shop-${TAG}\" }\n",
    ));
    project.deployed(&["up", "-d"], &[]);
    project.bed.rollback(&["run"]).is(0, &["from v2 to v1"]);
    let label = "{{.Config.Image}} {{.Config.Labels.release}}";
    assert_eq!(project.told("web", label), ["web:v1 shop-v1"]);
}

fn rb_compose_scale_crashed_as_many_come_back_as_there_were(compose: Compose) {
    let project = Project::new(compose, BOTH);
    project.file(&(service("web", "") + &service("worker", "")));
    project.both(&["up", "-d", "--scale", "web=3"], &[]);
    let ids = project.told("web", "{{.Id}}");
    project.docker.must(&["kill", &ids[0], &ids[1]]);
    let worker = project.told("worker", "{{.Id}}");
    project.docker.must(&["kill", &worker[0]]);
    project.bed.rollback(&["run"]).is(0, &["from v2 to v1"]);
    assert_eq!(project.images("web"), ["web:v1 running"; 3]);
    assert_eq!(project.images("worker"), ["worker:v1 running"]);
}

fn rb_compose_one_shot_and_compose_scale_zero_are_as_compose_wants_them(compose: Compose) {
    let services = "    services: { web: \"web:{release}\", once: \"once:{release}\", none: \"web:{release}\" }\n";
    let project = Project::new(compose, services);
    let once = "  once:\n    image: once:${TAG}\n    network_mode: none\n    command: [/bin/sh, /run.sh]\n";
    let waits = "    depends_on: { once: { condition: service_completed_successfully } }\n";
    let none =
        "  none:\n    image: web:${TAG}\n    network_mode: none\n    deploy: { replicas: 0 }\n";
    project.file(&(service("web", waits) + once + none));
    project.both(&["up", "-d"], &[]);
    project.bed.rollback(&["run"]).is(0, &["from v2 to v1"]);
    assert_eq!(project.images("web"), ["web:v1 running"]);
    assert_eq!(project.images("once"), ["once:v1 exited"]);
    assert!(project.images("none").is_empty());
    // No service waits for it: the hint names the key, and the key declares it.
    project.file(&(service("web", "") + once + none));
    project.deployed(&["up", "-d"], &[("TAG", "v2")]);
    let run = ["run", "--release", "v2"];
    project.bed.rollback(&run).is(1, &["`completed: [once]`"]);
    project.bed.rollback(&["abort"]).is(0, &[]);
    project.target(&format!("{services}    completed: [once]\n"));
    project.bed.rollback(&run).is(0, &["to v1"]);
    assert_eq!(project.images("once"), ["once:v1 exited"]);
}

fn rb_compose_shared_namespace_what_lives_in_a_replaced_container_is_made_again_with_it(
    compose: Compose,
) {
    let project = Project::new(compose, WEB);
    let side = "  side:\n    image: worker:v1\n    command: [/bin/sh, /run.sh]\n    network_mode: \"service:web\"\n    depends_on: [web]\n";
    project.file(&(service("web", "") + side));
    project.both(&["up", "-d"], &[]);
    project.bed.rollback(&["run"]).is(0, &["from v2 to v1"]);
    let lives = |project: &Project| {
        let web = project.told("web", "container:{{.Id}}");
        (web, project.told("side", "{{.HostConfig.NetworkMode}}"))
    };
    let (web, side) = lives(&project);
    assert_eq!(web, side);
    assert_eq!(project.images("side"), ["worker:v1 running"]);
    // One that was left behind before is seen.
    let alone = ["up", "-d", "--no-deps", "--force-recreate", "web"];
    project.deployed(&alone, &[("TAG", "v1")]);
    let (web, side) = lives(&project);
    if web != side {
        let end = project.bed.rollback(&["record", "--release", "v1"]);
        end.is(4, &["`side` lives in a container that was replaced"]);
    }
}

fn a_name_that_would_start_a_second_project_is_refused(compose: Compose) {
    let project = Project::new(compose, WEB);
    project.file(&service("web", ""));
    project.both(&["up", "-d"], &[]);
    let config = project.bed.read("deploy-guard.yml");
    let other = config.replace("project: shop", "project: shop-live");
    project.bed.write("deploy-guard.yml", &other);
    let before = project.all();
    for verb in ["plan", "run"] {
        let end = project.bed.rollback(&[verb, "--release", "v2"]);
        end.is(5, &["a second project would be started", "project: shop"]);
    }
    assert_eq!(project.all(), before);
}

fn rb_compose_tag_moved_is_not_what_was_recorded(compose: Compose) {
    let project = Project::new(compose, WEB);
    let registry = Registry::start();
    let name = format!("localhost:{}/web", registry.port());
    let push = |release: &str, tag: &str| {
        let image = format!("{name}:{tag}");
        project
            .docker
            .must(&["tag", &format!("web:{release}"), &image]);
        project.docker.must(&["push", "-q", &image]);
        let format = "{{range .RepoDigests}}{{.}} {{end}}";
        let all = project
            .docker
            .must(&["inspect", "--format", format, &image]);
        let own = all.split(' ').find(|one| one.starts_with(&name)).unwrap();
        own.split_once('@').unwrap().1.to_owned()
    };
    let digest = push("v1", "v1");
    // Whatever was pushed has another content.
    project
        .docker
        .image("web:v2", &[("run.sh", STAYS), ("more", "v2")]);
    push("v2", "v2");
    project.target(&WEB.replace("\"web:", &format!("\"{name}:")));
    project.file(&service("web", "").replace("web:$", &format!("{name}:$")));
    project.deployed(&["up", "-d"], &[("TAG", "v1")]);
    let v1 = ["record", "--release", "v1", "--digest", &digest];
    project.bed.rollback(&v1).is(0, &[]);
    project.deployed(&["up", "-d"], &[("TAG", "v2")]);
    // Here and in the registry the tag names the bad image.
    push("v2", "v1");
    project.bed.rollback(&["run"]).is(0, &["from v2 to v1"]);
    let image = project.images("web");
    assert_eq!(image, [format!("{name}:v1@{digest} running")]);
    project.bed.rollback(&["run"]).is(5, &["already"]);
    // By the name alone it is called v1, and is not.
    project.deployed(&["up", "-d"], &[("TAG", "v1")]);
    let end = project.bed.rollback(&["record", "--release", "v1"]);
    end.is(4, &["the tag was moved", &digest]);
}

fn rb_compose_v2_kill_what_a_deployment_left_half_way_becomes_whole(compose: Compose) {
    let project = Project::new(compose, BOTH);
    project.file(&(service("web", "") + &service("worker", "    container_name: its-own\n")));
    project.deployed(&["up", "-d"], &[("TAG", "v1")]);
    project.bed.recorded("v1", "v2");
    let separator = compose.separator();
    let name = format!("shop{separator}web{separator}1");
    for removed in [false, true] {
        let format = "{{range $k, $v := .Config.Labels}}--label={{$k}}={{$v}}\n{{end}}";
        project.deployed(&["up", "-d"], &[("TAG", "v2")]);
        let its = project.told("web", "{{.Id}}").remove(0);
        let labels = project.docker.must(&["inspect", "--format", format, &its]);
        project.deployed(&["up", "-d"], &[("TAG", "v1")]);
        let old = project.told("web", "{{.Id}}").remove(0);
        let half = format!("{}_{name}", &old[..12]);
        let replaces = format!("--label=com.docker.compose.replace={old}");
        let mut new = vec!["create", "--network=none"];
        new.extend(
            labels
                .lines()
                .filter(|line| !line.contains("compose.replace=")),
        );
        match compose {
            // The new one has the old one's id before its name.
            Compose::V2 => {
                new.extend([&replaces, "--name", &half]);
                if removed {
                    project.docker.must(&["rm", "-f", &old]);
                }
            }
            // The old one has its own.
            Compose::V1 => {
                project.docker.must(&["rename", &old, &half]);
                new.extend(["--name", &name]);
            }
        }
        new.extend(["web:v2", "/bin/sh", "/run.sh"]);
        project.docker.must(&new);
        project
            .bed
            .rollback(&["run", "--release", "v2"])
            .is(0, &["to v1"]);
        assert_eq!(project.told("web", "{{.Name}}"), [format!("/{name}")]);
        assert_eq!(project.images("web"), ["web:v1 running"], "{removed}");
    }
}

fn few_programs_are_started_for_three_services(compose: Compose) {
    let services = "    services: { web: \"web:{release}\", worker: \"worker:{release}\", more: \"web:{release}\" }\n";
    let project = Project::new(compose, services);
    let more = service("more", "").replace("image: more", "image: web");
    project.file(&(service("web", "") + &service("worker", "") + &more));
    project.both(&["up", "-d"], &[]);
    // Each call of Docker is counted on the way.
    let folder = project.bed.path("counted");
    std::fs::create_dir(&folder).unwrap();
    let real = testkit::tool("docker");
    let count = folder.join("count");
    let text = format!(
        "#!/bin/sh\necho \"$*\" >>'{}'\nexec '{}' \"$@\"\n",
        count.display(),
        real.display()
    );
    std::fs::write(folder.join("docker"), text).unwrap();
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.join("docker"), executable).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let output = project.bed.command(&["run"]).env("PATH", path).output();
    assert!(output.unwrap().status.success());
    let started = std::fs::read_to_string(count).unwrap();
    let versions = started.matches("compose version").count();
    let all = started.lines().count();
    assert!(all < 30 && versions <= 1, "{all}, {versions}:\n{started}");
}

/// Only the second Compose reads it: it would query an unreachable registry during the switch.
#[test]
fn what_is_here_is_run_whatever_the_files_want_pulled() {
    let project = Project::new(Compose::V2, BOTH);
    let web = service("web", "").replace("web:$", "127.0.0.1:9/web:$");
    let always = "    pull_policy: always\n";
    for release in ["v1", "v2"] {
        let name = format!("127.0.0.1:9/web:{release}");
        project
            .docker
            .must(&["tag", &format!("web:{release}"), &name]);
    }
    project.target(&BOTH.replace("\"web:", "\"127.0.0.1:9/web:"));
    project.file(&(web.clone() + always + &service("worker", "")));
    project.both(&["up", "-d", "--pull", "never"], &[]);
    project.bed.rollback(&["run"]).is(0, &["from v2 to v1"]);
    assert_eq!(project.images("web"), ["127.0.0.1:9/web:v1 running"]);
    let waits = testkit::wait_until(Duration::from_secs(5), || {
        project.images("worker") == ["worker:v1 running"]
    });
    assert!(waits, "{:?}", project.images("worker"));
}

testkit::with_both! {
    rb_compose_half_deployed_is_gone_back_from_and_never_recorded
    compose_env_file_that_the_deployment_named_is_used_again
    rb_compose_unset_variable_is_refused_and_shown
    rb_compose_dotenv_tag_that_stands_in_more_than_the_image_is_refused
    rb_compose_scale_crashed_as_many_come_back_as_there_were
    rb_compose_one_shot_and_compose_scale_zero_are_as_compose_wants_them
    rb_compose_shared_namespace_what_lives_in_a_replaced_container_is_made_again_with_it
    a_name_that_would_start_a_second_project_is_refused
    rb_compose_tag_moved_is_not_what_was_recorded
    rb_compose_v2_kill_what_a_deployment_left_half_way_becomes_whole
    few_programs_are_started_for_three_services
}
