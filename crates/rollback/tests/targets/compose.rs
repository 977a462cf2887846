//! Compose: images in an override file of ours; on a real engine.

use std::time::Duration;

use testkit::{Compose, Docker, Registry, free_port};

use crate::targets::bed::{Bed, gate, points};

struct World {
    compose: Compose,
    bed: Bed,
    docker: Docker,
    port: u16,
}

/// The user's own file, which only the user may change.
const THEIRS: &str = "docker-compose.yml";
const OURS: &str = "docker-compose.deploy-guard.yml";

impl World {
    /// A project in a folder whose name needs quotes in a shell.
    fn new(compose: Compose, releases: &[&str], extra: &str) -> World {
        let docker = Docker::start();
        for release in releases {
            image(&docker, &format!("shop:{release}"), release);
        }
        image(&docker, "other:v1", "other");
        let port = free_port();
        let bed = Bed::new()
            .env("DOCKER_HOST", &docker.address())
            .env("DOCKER_CONFIG", &compose.config().display().to_string());
        std::fs::create_dir(bed.path("the shop's $(touch pwned)")).unwrap();
        let world = World {
            compose,
            bed,
            docker,
            port,
        };
        let (good, bad) = (releases[0], releases[1]);
        world.theirs(bad);
        let target = format!(
            "  compose:\n    folder: \"{}\"\n    project: {}\n    settle: 600ms\n    timeout: 60s\n    services: {{ backend: \"shop:{{release}}\" }}\n{extra}",
            world.bed.path("the shop's $(touch pwned)").display(),
            world.project(),
        );
        world.bed.configure("", &target, &gate(port));
        world.deployed();
        world.bed.recorded(good, bad);
        world
    }

    fn project(&self) -> String {
        format!("shop{}", self.port)
    }

    fn folder(&self, name: &str) -> std::path::PathBuf {
        self.bed.path("the shop's $(touch pwned)").join(name)
    }

    fn theirs(&self, release: &str) {
        let text = format!(
            "version: '3.8'\nservices:\n  backend:\n    image: shop:{release}\n    network_mode: host\n    restart: always\n    stop_signal: SIGKILL\n    \
             command: [/bin/sh, /run.sh, '{}']\n  other:\n    image: other:v1\n    network_mode: host\n    \
             command: [/bin/sh, /run.sh, '{}']\n",
            self.port,
            free_port()
        );
        std::fs::write(self.folder(THEIRS), text).unwrap();
    }

    /// As a person deploys: by their own file alone.
    fn deployed(&self) {
        let _ = std::fs::remove_file(self.folder(OURS));
        self.compose(&["up", "-d"]);
    }

    /// Compose as a person calls it.
    fn compose(&self, words: &[&str]) {
        let output = self.called(words);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn called(&self, words: &[&str]) -> std::process::Output {
        self.compose
            .command()
            .args(["-p", &self.project()])
            .args(words)
            .current_dir(self.folder(""))
            .env("DOCKER_HOST", self.docker.address())
            .output()
            .unwrap()
    }

    /// Facts about each container of a service, by Docker's own templates.
    fn inspect(&self, service: &str, format: &str) -> Vec<String> {
        let label = format!("label=com.docker.compose.service={service}");
        let ids = self.docker.must(&["ps", "-aq", "--filter", &label]);
        let mut all = vec!["inspect", "--format", format];
        all.extend(ids.lines());
        let told = self.docker.must(&all);
        told.lines().map(str::to_owned).collect()
    }

    /// The id of the service's container and its image.
    fn container(&self, service: &str) -> (String, String) {
        let label = format!("label=com.docker.compose.service={service}");
        let text = self.docker.must(&[
            "ps",
            "-a",
            "--no-trunc",
            "--filter",
            &label,
            "--format",
            "{{.ID}} {{.Image}}",
        ]);
        let (id, image) = text
            .split_once(' ')
            .unwrap_or_else(|| panic!("{service}: {text}"));
        (id.to_owned(), image.to_owned())
    }

    #[track_caller]
    fn answers(&self, release: &str) {
        let mut body = String::new();
        let same = testkit::wait_until(Duration::from_secs(20), || {
            let answer = testkit::get(&format!("http://127.0.0.1:{}/version", self.port));
            body = answer.map_or_else(|error| error.to_string(), |answer| answer.text());
            body == release
        });
        assert!(same, "{body} instead of {release}");
    }
}

fn image(docker: &Docker, name: &str, release: &str) {
    let run = if release.contains("crash") {
        "exit 3"
    } else {
        // docker-compose 1 names the service in its logs where it prints nothing, the second does not.
        "echo backend; exec busybox httpd -f -p 127.0.0.1:$1 -h /www"
    };
    docker.image(
        name,
        &[
            ("run.sh", run),
            ("www/version", release),
            ("www/ready", "ok"),
        ],
    );
}

fn from_good_to_bad_and_back_and_nothing_else_is_touched(compose: Compose) {
    let world = World::new(compose, &["v1", "v2"], "");
    world.answers("v2");
    let theirs = std::fs::read_to_string(world.folder(THEIRS)).unwrap();
    let other = world.container("other");
    world.bed.rollback(&["plan"]).is(0, &["from v2", "shop:v1"]);
    assert_eq!(world.container("backend").1, "shop:v2");
    let end = world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1"]);
    world.answers("v1");
    assert_eq!(world.container("backend").1, "shop:v1");
    for name in ["containers", "logs"] {
        let kept = world.bed.evidence(&format!("localhost.{name}.txt"));
        // A busy machine may not start `docker-compose` in time; then the error reports that.
        let late = end.text.contains(&format!("capture/localhost/{name}"));
        assert!(kept.contains("backend") || late, "{name}: {}", end.text);
    }
    assert_eq!(
        world.container("other"),
        other,
        "only the named service is recreated"
    );
    assert_eq!(
        std::fs::read_to_string(world.folder(THEIRS)).unwrap(),
        theirs
    );
    let ours = std::fs::read_to_string(world.folder(OURS)).unwrap();
    assert!(ours.contains("\"image\": \"shop:v1\""), "{ours}");
    world
        .bed
        .rollback(&["run"])
        .is(5, &["v1 is what runs already"]);
    assert!(!world.bed.path("pwned").exists() && !world.folder("pwned").exists());
}

fn an_image_that_is_gone_is_refused_before_anything_changes(compose: Compose) {
    let world = World::new(compose, &["v1", "v2"], "");
    world.answers("v2");
    let before = world.container("backend");
    world.docker.must(&["rmi", "shop:v1"]);
    world.bed.rollback(&["run"]).is(
        5,
        &["the image shop:v1 is not here, and its registry could not be queried for it: "],
    );
    assert_eq!(world.container("backend"), before);
    assert!(!world.folder(OURS).exists());
}

fn a_registry_that_is_down_is_not_one_without_the_image(compose: Compose) {
    let registry = Registry::start();
    let world = World::new(compose, &["v1", "v2"], "");
    let name = format!("{}/shop", registry.address());
    world
        .docker
        .must(&["tag", "shop:v2", &format!("{name}:v2")]);
    world.docker.must(&["push", "-q", &format!("{name}:v2")]);
    let config = world.bed.read("deploy-guard.yml");
    let image = format!("\"{name}:{{release}}\"");
    let config = config.replace("\"shop:{release}\"", &image);
    world.bed.write("deploy-guard.yml", &config);
    let theirs = std::fs::read_to_string(world.folder(THEIRS)).unwrap();
    let theirs = theirs.replace("image: shop:v2", &format!("image: {name}:v2"));
    std::fs::write(world.folder(THEIRS), theirs).unwrap();
    world.deployed();
    world.answers("v2");
    let gone = format!("the image {name}:v1 is neither here nor in its registry");
    world.bed.rollback(&["run"]).is(5, &[&gone]);
    drop(registry);
    let asked = format!("the image {name}:v1 is not here, and its registry could not be queried");
    world
        .bed
        .rollback(&["run"])
        .is(5, &[&asked, "connection refused"]);
    world.answers("v2");
}

/// sudo as it answers a user who may do all but a few things.
const SUDO: &str = "#!/bin/sh
printf '%s\\n' \"$*\" >>sudo.log
[ \"$1\" != -n ] || shift
case $1 in --preserve-env=*) shift;; esac
[ \"$1\" = -l ] || exec \"$@\"
shift; [ \"$1\" != -- ] || shift
case \"$*\" in *' up '*) echo 'sudo: a password is required' >&2; exit 1;; esac
";

fn what_sudo_does_not_let_us_do_is_found_by_the_plan(compose: Compose) {
    let world = World::new(compose, &["v1", "v2"], "");
    world.answers("v2");
    let programs = world.bed.path("programs");
    std::fs::create_dir(&programs).unwrap();
    let sudo = programs.join("sudo");
    let config = world.bed.read("deploy-guard.yml");
    let config = config.replace("  compose:\n", "  compose:\n    sudo: true\n");
    world.bed.write("deploy-guard.yml", &config);
    let before = world.container("backend");
    let plan = || {
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let output = world
            .bed
            .command(&["plan"])
            .env("PATH", path)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text)
    };
    for (text, code, told) in [
        (SUDO.to_owned(), 5, "sudo may not run `docker"),
        (SUDO.replace("*' up '*", "none"), 0, "shop:v1"),
    ] {
        std::fs::write(&sudo, text).unwrap();
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&sudo, all).unwrap();
        let (ended, text) = plan();
        assert_eq!(ended, Some(code), "{text}");
        assert!(text.contains(told), "{text}");
    }
    assert_eq!(world.container("backend"), before);
}

fn an_image_that_only_the_registry_has_is_pulled(compose: Compose) {
    let registry = Registry::start();
    let world = World::new(compose, &["v1", "v2"], "");
    let name = format!("{}/shop", registry.address());
    for release in ["v1", "v2"] {
        let name = format!("{name}:{release}");
        world
            .docker
            .must(&["tag", &format!("shop:{release}"), &name]);
        world.docker.must(&["push", "-q", &name]);
    }
    for image in ["shop:v1", &format!("{name}:v1")] {
        world.docker.must(&["rmi", image]);
    }
    let config = world.bed.read("deploy-guard.yml");
    world.bed.write(
        "deploy-guard.yml",
        &config.replace("\"shop:{release}\"", &format!("\"{name}:{{release}}\"")),
    );
    let theirs = std::fs::read_to_string(world.folder(THEIRS)).unwrap();
    std::fs::write(
        world.folder(THEIRS),
        theirs.replace("image: shop:v2", &format!("image: {name}:v2")),
    )
    .unwrap();
    world.deployed();
    world.answers("v2");
    // Not before every rule was asked.
    let config = world.bed.read("deploy-guard.yml");
    let window = config.replace(
        "  state: state.json\n",
        "  state: state.json\n  window: 1h\n",
    );
    world.bed.write("deploy-guard.yml", &window);
    let state = world.bed.read("state.json");
    let mut aged = world.bed.state();
    for entry in aged["history"].as_array_mut().unwrap() {
        entry["deployed_at"] = "2026-01-01T00:00:00Z".into();
        entry["retained"] = serde_json::json!(["/nowhere/kept"]);
    }
    world.bed.write("state.json", &aged.to_string());
    world
        .bed
        .rollback(&["run"])
        .is(5, &["refused/window", "/nowhere/kept is gone"]);
    let here = world.docker.must(&["images", "-q", &format!("{name}:v1")]);
    assert_eq!(here.trim(), "", "nothing was pulled");
    world.bed.write("deploy-guard.yml", &config);
    world.bed.write("state.json", &state);
    world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1"]);
    world.answers("v1");
    assert_eq!(world.container("backend").1, format!("{name}:v1"));
}

fn a_digest_that_was_recorded_is_what_comes_back_whatever_its_tag_names_now(compose: Compose) {
    let world = World::new(compose, &["v1", "v2"], "");
    let registry = Registry::start();
    let name = format!("localhost:{}/shop", registry.port());
    let push = |release: &str, tag: &str| {
        let image = format!("{name}:{tag}");
        world
            .docker
            .must(&["tag", &format!("shop:{release}"), &image]);
        world.docker.must(&["push", "-q", &image]);
        let format = "{{range .RepoDigests}}{{.}} {{end}}";
        let all = world.docker.must(&["inspect", "--format", format, &image]);
        let own = all.split(' ').find(|one| one.starts_with(&name)).unwrap();
        own.split_once('@').unwrap().1.to_owned()
    };
    let (good, bad) = (push("v1", "v1"), push("v2", "v2"));
    // The tag is pushed again with the bad image, and the local image is removed.
    push("v2", "v1");
    world.docker.must(&["rmi", "-f", "shop:v1"]);
    let config = world.bed.read("deploy-guard.yml");
    let config = config.replace("\"shop:{release}\"", &format!("\"{name}@{{digest}}\""));
    world.bed.write("deploy-guard.yml", &config);
    let theirs = std::fs::read_to_string(world.folder(THEIRS)).unwrap();
    let theirs = theirs.replace("image: shop:v2", &format!("image: \"{name}@{bad}\""));
    std::fs::write(world.folder(THEIRS), theirs).unwrap();
    world.deployed();
    world.answers("v2");
    world
        .bed
        .rollback(&["run"])
        .is(5, &["the state has no digest for v1", "--digest sha256:"]);
    let v1 = [
        "record",
        "--force=not-running",
        "--reason=test",
        "--release",
        "v1",
        "--digest",
        &good,
    ];
    world.bed.rollback(&v1).is(0, &[]);
    let v2 = ["record", "--pending", "--release", "v2", "--digest", &bad];
    world.bed.rollback(&v2).is(0, &[]);
    world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1"]);
    world.answers("v1");
    assert_eq!(world.container("backend").1, format!("{name}@{good}"));
    world
        .bed
        .rollback(&["run"])
        .is(5, &["v1 is what runs already (the target reports it)"]);
}

fn a_release_that_crashes_is_no_success(compose: Compose) {
    let world = World::new(compose, &["v1-crash", "v2"], "");
    world.answers("v2");
    world.bed.rollback(&["run"]).is(1, &["exit code 3"]);
}

/// The container does not start; option 3, the version before, without editing `docker-compose.yml`.
fn runbook_001_service_deployment_failed(compose: Compose) {
    let world = World::new(compose, &["v1", "v2-crash"], "");
    world
        .bed
        .rollback(&["history"])
        .is(0, &["history/v1", "history/v2-crash"]);
    world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2-crash to v1"]);
    world.answers("v1");
    assert_eq!(world.container("backend").1, "shop:v1");
    assert_eq!(world.bed.state()["last_known_good"], "v1");
}

fn a_release_that_is_no_tag_is_refused(compose: Compose) {
    let world = World::new(compose, &["v1", "v2"], "");
    world.answers("v2");
    let before = world.container("backend");
    let mut tried = 0;
    for odd in [
        "$(touch pwned)",
        "`touch pwned`",
        "-v1",
        "v 1",
        "v1\nx",
        "'",
        "${HOME}",
        "a/../b:",
    ] {
        if !world.bed.recorded_anew(odd, "v2") {
            continue;
        }
        tried += 1;
        let why = if odd.ends_with(':') {
            "is not a tag"
        } else {
            "is not an image name"
        };
        world.bed.rollback(&["run"]).is(5, &[why]);
    }
    assert!(tried > 4, "only {tried} names were tried");
    assert_eq!(world.container("backend"), before);
    assert!(!world.bed.path("pwned").exists() && !world.folder("pwned").exists());
}

fn killed_at_every_line_of_the_journal_and_in_the_middle_of_a_step(compose: Compose) {
    let world = World::new(compose, &["v1", "v2"], "");
    let state = world.bed.keep();
    for (lines, then) in points(4, Duration::from_millis(2500), 2) {
        world.bed.put_back(&state);
        world.deployed();
        world.answers("v2");
        world.bed.killed(lines, then);
        world
            .bed
            .resume_converges("v1", &format!("{lines} lines and {then:?}"));
        world.answers("v1");
        assert_eq!(world.container("backend").1, "shop:v1");
    }
}

/// A worker that answers no requests, with more lines of its own.
fn worker(release: &str, more: &str) -> String {
    format!(
        "  worker:\n    image: shop:{release}\n    network_mode: host\n    stop_signal: SIGKILL\n    \
         command: [/bin/busybox, sleep, '1000']\n{more}"
    )
}

impl World {
    /// The worker is switched too; it is deployed as these words say.
    fn with_worker(&self, more: &str, words: &[&str]) {
        let config = self.bed.read("deploy-guard.yml").replace(
            "services: { backend: \"shop:{release}\" }",
            "services: { backend: \"shop:{release}\", worker: \"shop:{release}\" }",
        );
        self.bed.write("deploy-guard.yml", &config);
        let theirs = std::fs::read_to_string(self.folder(THEIRS)).unwrap();
        std::fs::write(self.folder(THEIRS), theirs + &worker("v2", more)).unwrap();
        self.compose(words);
        self.answers("v2");
    }
}

fn a_service_that_runs_more_than_once_does_so_afterwards(compose: Compose) {
    let world = World::new(compose, &["v1", "v2"], "");
    world.with_worker("", &["up", "-d", "--scale", "worker=3"]);
    world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1"]);
    let images = world.inspect("worker", "{{.Config.Image}} {{.State.Status}}");
    assert_eq!(images, ["shop:v1 running"; 3]);
}

/// docker-compose 1 then leaves two of the service: the one before, and one that was never started;
/// the second Compose leaves the latter.
fn a_deployment_that_did_not_start_leaves_no_container_too_many(compose: Compose) {
    let world = World::new(compose, &["v1", "v2"], "");
    let file = world.folder(THEIRS);
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replacen("/bin/sh", "/no/such/program", 1)).unwrap();
    assert!(!world.called(&["up", "-d"]).status.success());
    std::fs::write(&file, good).unwrap();
    let left = match compose {
        Compose::V1 => 2,
        Compose::V2 => 1,
    };
    assert_eq!(world.inspect("backend", "{{.Name}}").len(), left);
    world.bed.rollback(&["run"]).is(0, &["from v2 to v1"]);
    world.answers("v1");
    assert_eq!(
        world.inspect("backend", "{{.Name}}"),
        [format!(
            "/{}{separator}backend{separator}1",
            world.project(),
            separator = compose.separator()
        )]
    );
}

fn a_service_of_a_profile_is_one_of_the_project(compose: Compose) {
    let world = World::new(compose, &["v1", "v2"], "");
    world.with_worker("    profiles: [live]\n", &["--profile", "live", "up", "-d"]);
    world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1"]);
    assert_eq!(world.inspect("worker", "{{.Config.Image}}"), ["shop:v1"]);
}

fn what_is_built_at_a_deployment_is_not_built_at_a_rollback(compose: Compose) {
    let world = World::new(compose, &["v1", "v2"], "");
    std::fs::create_dir(world.folder("built")).unwrap();
    std::fs::write(world.folder("built/Dockerfile"), "FROM nobody/has:this\n").unwrap();
    world.with_worker("    build: ./built\n", &["up", "-d", "--no-build"]);
    world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1"]);
    assert_eq!(world.inspect("worker", "{{.Config.Image}}"), ["shop:v1"]);
}

fn files_that_compose_reads_by_itself_are_read_by_a_rollback_too(compose: Compose) {
    let world = World::new(compose, &["v1", "v2"], "");
    let over = "version: '3.8'\nservices:\n  backend:\n    environment: { KEPT: 'yes' }\n";
    std::fs::write(world.folder("docker-compose.override.yml"), over).unwrap();
    world.deployed();
    world.answers("v2");
    world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1"]);
    let env = world.inspect("backend", "{{.Config.Env}}");
    assert!(env[0].contains("KEPT=yes"), "{env:?}");
}

fn a_project_of_other_files_than_are_named_is_refused(compose: Compose) {
    let world = World::new(compose, &["v1", "v2"], "");
    let over = "version: '3.8'\nservices:\n  backend:\n    environment: { KEPT: 'yes' }\n";
    std::fs::write(world.folder("live.yml"), over).unwrap();
    world.compose(&["-f", THEIRS, "-f", "live.yml", "up", "-d"]);
    world.answers("v2");
    let before = world.container("backend");
    world
        .bed
        .rollback(&["run"])
        .is(5, &["made from live.yml too", "`rollback.compose.files`"]);
    assert_eq!(world.container("backend"), before);
    let config = world.bed.read("deploy-guard.yml");
    let named = config.replace(
        "    settle:",
        "    files: [docker-compose.yml, live.yml]\n    settle:",
    );
    world.bed.write("deploy-guard.yml", &named);
    world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1"]);
    let env = world.inspect("backend", "{{.Config.Env}}");
    assert!(env[0].contains("KEPT=yes"), "{env:?}");
}

fn a_file_that_says_more_than_images_is_not_ours_to_write(compose: Compose) {
    let world = World::new(compose, &["v1", "v2"], "");
    world.answers("v2");
    let theirs = "services:\n  backend:\n    environment: { MINE: 'yes' }\n";
    std::fs::write(world.folder(OURS), theirs).unwrap();
    for verb in ["plan", "run"] {
        world
            .bed
            .rollback(&[verb])
            .is(5, &[OURS, "has more than images"]);
    }
    assert_eq!(std::fs::read_to_string(world.folder(OURS)).unwrap(), theirs);
    // A deployment may keep its images there.
    let images = "version: '3.8'\nservices:\n  backend:\n    image: shop:v2 # the newest\n";
    std::fs::write(world.folder(OURS), images).unwrap();
    world
        .bed
        .rollback(&["run"])
        .is(0, &["rolled back from v2 to v1"]);
}

fn what_a_killed_rollback_left_behind_does_not_overtake_its_abort(compose: Compose) {
    let world = World::new(compose, &["v1", "v2"], "");
    let state = world.bed.keep();
    for millis in [100, 500, 900, 1300] {
        world.bed.put_back(&state);
        world.deployed();
        world.answers("v2");
        // `docker-compose` continues after the rollback that called it has ended.
        world.bed.killed(2, Duration::from_millis(millis));
        world.bed.rollback(&["abort"]).is(0, &[]);
        assert_eq!(world.container("backend").1, "shop:v2", "{millis} ms");
        let project = world.project();
        let ended = || !testkit::any_process_with(&project);
        assert!(
            testkit::wait_until(Duration::from_secs(20), ended),
            "{millis} ms"
        );
        assert_eq!(world.container("backend").1, "shop:v2", "{millis} ms");
        world.answers("v2");
    }
}

testkit::with_both! {
    from_good_to_bad_and_back_and_nothing_else_is_touched
    an_image_that_is_gone_is_refused_before_anything_changes
    a_registry_that_is_down_is_not_one_without_the_image
    what_sudo_does_not_let_us_do_is_found_by_the_plan
    an_image_that_only_the_registry_has_is_pulled
    a_digest_that_was_recorded_is_what_comes_back_whatever_its_tag_names_now
    a_release_that_crashes_is_no_success
    runbook_001_service_deployment_failed
    a_release_that_is_no_tag_is_refused
    killed_at_every_line_of_the_journal_and_in_the_middle_of_a_step
    a_service_that_runs_more_than_once_does_so_afterwards
    a_deployment_that_did_not_start_leaves_no_container_too_many
    a_service_of_a_profile_is_one_of_the_project
    what_is_built_at_a_deployment_is_not_built_at_a_rollback
    files_that_compose_reads_by_itself_are_read_by_a_rollback_too
    a_project_of_other_files_than_are_named_is_refused
    a_file_that_says_more_than_images_is_not_ours_to_write
    what_a_killed_rollback_left_behind_does_not_overtake_its_abort
}
