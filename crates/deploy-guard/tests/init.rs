//! `deploy-guard init` where a person insists on a kind, in repositories as there are and in hostile ones: what it
//! writes is read by every stage, by actionlint and by zizmor, and nothing is ever written over.

use std::fs;
use std::path::Path;
use std::process::Command;

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use tempfile::TempDir;

const CONFIG: &str = ".github/deploy-guard.yml";
const WORKFLOW: &str = ".github/workflows/deploy-guard.yml";

struct Repository(TempDir);

impl Repository {
    /// A repository `acme/shop` with these files.
    fn new(files: &[(&str, &str)]) -> Repository {
        let repository = Repository::no_git(files);
        repository.write(
            ".git/config",
            "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = git@github.com:acme/shop.git\n",
        );
        repository
    }

    fn no_git(files: &[(&str, &str)]) -> Repository {
        let repository = Repository(tempfile::tempdir().unwrap());
        for (path, text) in files {
            repository.write(path, text);
        }
        repository
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn init(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        self.init_in("", args)
    }

    fn init_in(&self, folder: &str, args: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = testkit::bin("deploy-guard");
        command.current_dir(self.path(folder)).arg("init");
        command.args(args).assert()
    }

    /// The written files are valid: for our own reader, for actionlint, for zizmor.
    #[track_caller]
    fn holds(&self) -> (String, String) {
        testkit::bin("deploy-guard")
            .current_dir(self.0.path())
            .args(["preflight", "list", "--release", "v1"])
            .env("HOME", "/home/deploy")
            .env("STATE_BUCKET", "shop-state")
            .env("ECS_CLUSTER", "production")
            .env("ECS_SERVICE", "shop")
            .env("DEPLOY_SSH_KEY", "x")
            .assert()
            .code(0);
        lint(&self.path(WORKFLOW));
        (self.read(CONFIG), self.read(WORKFLOW))
    }
}

impl Repository {
    fn preflight(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        testkit::bin("deploy-guard")
            .current_dir(self.0.path())
            .args(["preflight", "--release", "v1"])
            .args(args)
            .env("HOME", self.0.path())
            .env("DEPLOY_SSH_KEY", "x")
            .assert()
    }

    /// Each gap is a line of an outcome of preflight.
    #[track_caller]
    fn gaps_are_told(&self) {
        let gaps = self.read(CONFIG).matches("TODO").count();
        assert!(gaps > 0);
        self.preflight(&["--only", "command"])
            .code(1)
            .stdout(contains("command/filled-in").and(contains("TODO")));
    }
}

#[track_caller]
pub(crate) fn lint(workflow: &Path) {
    let actionlint = Command::new(testkit::tool("actionlint"))
        .arg("-color=false")
        .arg(workflow)
        .output()
        .unwrap();
    assert!(
        actionlint.status.success(),
        "{}",
        String::from_utf8_lossy(&actionlint.stdout)
    );
    let zizmor = Command::new(testkit::tool("zizmor"))
        .args(["--offline", "--no-progress", "--color=never", "--"])
        .arg(workflow)
        .output()
        .unwrap();
    assert!(
        zizmor.status.success(),
        "{}",
        String::from_utf8_lossy(&zizmor.stdout)
    );
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

const COMPOSE: &str = r#"
x-base: &base { restart: unless-stopped }
services:
  web:
    <<: *base
    image: ghcr.io/acme/shop:${TAG:-1.0}
    ports: ["8080:80"]
    healthcheck: { test: [CMD, wget, -qO-, "http://localhost/health"] }
  worker: { build: ./worker }
  migrate: { image: "ghcr.io/acme/shop:1.0", restart: "no" }
  db: { image: "postgres:16", ports: ["5432:5432"] }
  tools: { image: "ghcr.io/acme/tools:1", profiles: [tools] }
"#;

/// A job that deploys on a machine of one's own, in a way that is not known.
const RUNNER: (&str, &str) = (
    ".github/workflows/deploy.yml",
    "on: push\njobs:\n  deploy: { runs-on: [self-hosted, linux], steps: [{ run: ./x }] }\n",
);

#[test]
fn a_compose_project_is_guarded_by_its_own_health_checks() {
    let only_images = COMPOSE.replace("  worker: { build: ./worker }\n", "");
    let repository = Repository::new(&[("compose.yml", &only_images), RUNNER]);
    repository
        .init(&["--kind", "compose"])
        .code(0)
        .stdout(contains("compose.yml (services db, migrate, web)"));
    let (config, workflow) = repository.holds();
    has(
        &config,
        &[
            "service: shop\n",
            "image: \"ghcr.io/acme/shop:${RELEASE}\"",
            "web: { image: \"ghcr.io/acme/shop:$RELEASE\" }",
            "url: \"http://127.0.0.1:8080/health\"",
            "completed: [migrate]",
            "web: \"ghcr.io/acme/shop:{release}\"",
        ],
    );
    // A release does not change the database.
    assert!(
        !config.contains("postgres") && !config.contains("db:"),
        "{config}"
    );
    has(
        &workflow,
        &[
            "runs-on: [self-hosted, linux]",
            "packages: read",
            "if: cancelled()",
            "permissions: {}",
        ],
    );
}

#[test]
fn rb_init_build_hides_others_what_is_built_here_is_what_is_deployed() {
    let repository = Repository::new(&[
        ("docker-compose.yaml", COMPOSE),
        ("worker/Dockerfile", "FROM scratch\n"),
        RUNNER,
    ]);
    repository.init(&["--kind", "compose"]).code(0);
    let (config, _) = repository.holds();
    has(
        &config,
        &[
            "shop-worker:{release}",
            "up -d --build",
            // An image that a variable names belongs to a release too, and is pulled.
            "web: \"ghcr.io/acme/shop:{release}\"",
            "image: \"ghcr.io/acme/shop:${RELEASE}\"",
        ],
    );
    assert!(
        !config.contains("shop-worker:${RELEASE}"),
        "an image that is built is in no registry:\n{config}"
    );
}

#[test]
fn what_is_left_out_of_a_compose_file_is_said() {
    let compose = "services:\n  web:\n    image: ghcr.io/acme/shop:v$TAG\n    ports:\n      - target: 80\n        \
        published: 8080\n        host_ip: 10.0.0.5\n      - { target: 81, published: 8081 }\n  \
        tools: { image: tools, profiles: [tools] }\n  \"1\": { image: \"one:1\" }\n";
    let repository = Repository::new(&[
        ("compose.yaml", compose),
        ("compose.override.yaml", "services: { web: {} }\n"),
        RUNNER,
    ]);
    std::os::unix::fs::symlink("compose.yaml", repository.path("docker-compose.yml")).unwrap();
    repository.init(&["--kind", "compose"]).code(0).stdout(
        contains("compose.yaml: \"tools\": started only by its profile")
            .and(contains("\"1\": its image is not of a release"))
            .and(contains("compose.override.yaml: it is for development"))
            .and(contains("docker-compose.yml: a link")),
    );
    let (config, _) = repository.holds();
    // The first one does not listen on 127.0.0.1.
    has(
        &config,
        &[
            "address: \"127.0.0.1:8081\"",
            "web: { image: \"ghcr.io/acme/shop:$RELEASE\" }",
        ],
    );
    assert!(
        !config.contains("8080\"") && !config.contains("one:"),
        "{config}"
    );
}

/// actionlint knows only GitHub's labels.
#[test]
fn labels_of_ones_own_are_said_to_be_so() {
    let existing =
        "on: push\njobs:\n  deploy: { runs-on: [self-hosted, gpu], steps: [{ run: ./x }] }\n";
    let files = [
        ("compose.yml", COMPOSE),
        (".github/workflows/deploy.yml", existing),
    ];
    let repository = Repository::new(&files);
    repository
        .init(&["--kind", "compose"])
        .code(0)
        .stdout(contains(".github/actionlint.yaml").and(contains("labels: [gpu]")));
    let known = "self-hosted-runner: { labels: [gpu] }\n";
    repository.write(".github/actionlint.yaml", known);
    let (_, workflow) = repository.holds();
    has(&workflow, &["runs-on: [self-hosted, gpu]"]);
    fs::remove_file(repository.path(CONFIG)).unwrap();
    fs::remove_file(repository.path(WORKFLOW)).unwrap();
    repository
        .init(&["--kind", "compose"])
        .code(0)
        .stdout(contains("actionlint").not());
}

/// A pool of servers is not two sides.
#[test]
fn two_servers_of_nginx_are_not_two_colours() {
    let upstream = "upstream shop {\n    server 127.0.0.1:8001;\n    server 127.0.0.1:8002;\n}\n";
    let repository = Repository::new(&[
        ("nginx/shop-upstream.conf", upstream),
        ("deploy.sh", "#!/bin/sh\n"),
    ]);
    repository.init(&["--kind", "nginx"]).code(0);
    let (config, workflow) = repository.holds();
    has(
        &config,
        &[
            "upstream-file: /TODO\n",
            "blue: \"TODO:1\"",
            "green: \"TODO:2\"",
            "safe to run twice; deploy.sh is there.\n  command: TODO",
            "url: \"https://TODO/\"",
            "address: TODO, user: TODO",
        ],
    );
    has(&workflow, &["runs-on: ubuntu-24.04"]);
    assert!(!config.contains("release-identity: optional"), "{config}");
}

#[test]
fn a_unit_of_systemd_on_two_machines() {
    let unit = "[Unit]\nDescription=Shop\n[Service]\nExecStart=/srv/acme/current/bin/shop\n[Install]\nWantedBy=multi-user.target\n";
    let repository = Repository::new(&[
        ("deploy/shop.service", unit),
        ("scripts/deploy.sh", "#!/bin/sh\n"),
    ]);
    repository
        .init(&[
            "--host",
            "deploy@10.0.0.11",
            "--host",
            "deploy@10.0.0.12",
            "--url",
            "https://shop.example.org/health",
        ])
        .code(0);
    let (config, workflow) = repository.holds();
    has(
        &config,
        &[
            "host-02: { address: \"10.0.0.12\", user: deploy, key-env: DEPLOY_SSH_KEY, known-hosts: .github/known_hosts }",
            "unit: shop.service",
            "releases: /srv/acme/releases",
            "hosts: all",
            "state: \"ssh://host-01/~/.deploy-guard/shop-shop.json\"",
            "scripts/deploy.sh is there",
        ],
    );
    has(
        &workflow,
        &[
            "runs-on: ubuntu-24.04",
            "actions: read",
            "DEPLOY_SSH_KEY: ${{ secrets.DEPLOY_SSH_KEY }}",
        ],
    );
}

const TASK: &str = r#"{"family": "shop", "containerDefinitions": [
  {"name": "log", "image": "fluent/fluent-bit:3", "essential": false},
  {"name": "web", "image": "1.dkr.ecr.eu-west-1.amazonaws.com/shop:1.2", "essential": true}]}"#;

#[test]
fn a_task_definition_of_ecs_that_no_workflow_deploys() {
    let repository = Repository::new(&[(".aws/task-definition.json", TASK)]);
    repository
        .init(&["--kind", "ecs"])
        .code(0)
        .stdout(contains("family shop").and(contains("gh variable set AWS_DEPLOY_ROLE")));
    let (config, workflow) = repository.holds();
    has(
        &config,
        &[
            "cluster: \"${ECS_CLUSTER}\"",
            "--arg name web",
            "del(.taskDefinitionArn",
            "s3://${STATE_BUCKET}/shop/shop.json",
        ],
    );
    has(
        &workflow,
        &[
            "id-token: write",
            "uses: aws-actions/configure-aws-credentials@",
            "role-to-assume: ${{ vars.AWS_DEPLOY_ROLE }}",
            "STATE_BUCKET: ${{ vars.STATE_BUCKET }}",
        ],
    );
}

#[test]
fn where_nothing_deploys_it_says_so_and_a_person_may_insist() {
    let files = [
        ("compose.yml", COMPOSE),
        ("ecs/task-definition.json", TASK),
        ("db/migrate/1.sql", ""),
    ];
    let repository = Repository::new(&files);
    repository.init(&[]).code(3).stderr(
        contains("nothing here is deployed")
            .and(contains("no workflow deploys compose.yml"))
            .and(contains("--kind compose")),
    );
    assert!(!repository.path(".github").exists());
    repository
        .init(&["--kind", "compose"])
        .code(0)
        .stdout(contains("No workflow deploys shop by Compose"));
    has(&repository.holds().0, &["# db/migrate holds migrations"]);
}

/// A person who names an address says that the step is a deployment, and gets a gate below it and nothing else.
#[test]
fn what_is_called_a_deployment_is_gated_where_a_person_names_an_address() {
    let flow = "on: { push: { branches: [main] } }\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - name: Deploy to IIS\n        shell: pwsh\n        run: robocopy build C:\\site /MIR\n      - name: Deployment summary\n        run: echo done\n";
    let path = ".github/workflows/ship.yml";
    let repository = Repository::new(&[(path, flow), ("compose.yml", COMPOSE)]);
    repository.init(&[]).code(3);
    let url = "https://shop.example.com/up";
    let printed = repository.init(&["--kind", "gate", "--url", url, "--patch"]);
    printed.code(0).stdout(
        contains("by what is called `Deploy to IIS`: .github/workflows/ship.yml:7")
            .and(contains("only the gate was requested")),
    );
    assert!(!repository.path(CONFIG).exists());
    assert!(!repository.path(WORKFLOW).exists());
    let patched = repository.read(path);
    let gate = patched.find("stage: healthgate").unwrap();
    assert!(
        gate < patched.find("Deployment summary").unwrap(),
        "{patched}"
    );
}

/// A release that one workflow publishes says nothing of another one that says it deploys.
#[test]
fn what_says_that_it_deploys_is_named_beside_what_publishes() {
    let job = "on: push\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n";
    let publishes = format!(
        "{job}      - uses: softprops/action-gh-release@v2\n        with: {{ files: shop.zip }}\n"
    );
    let moves = format!("name: Update the deployment\n{job}      - run: git push origin live\n");
    let repository = Repository::new(&[
        (".github/workflows/publish.yml", &publishes),
        (".github/workflows/gitops.yml", &moves),
    ]);
    let named = contains("`Update the deployment` (.github/workflows/gitops.yml:1) looks like");
    repository.init(&[]).code(3).stderr(named);
    let own = format!("name: Deploy to the registry\n{publishes}");
    let repository = Repository::new(&[(".github/workflows/publish.yml", &own)]);
    let denied = contains("nothing here is deployed");
    repository.init(&[]).code(3).stderr(denied);
}

/// What answers says nothing of how it is deployed: no workflow of its own is invented around an address.
#[test]
fn an_address_alone_makes_no_workflow() {
    let flow =
        "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps: [{ run: make test }]\n";
    let repository =
        Repository::new(&[(".github/workflows/ci.yml", flow), ("compose.yml", COMPOSE)]);
    repository
        .init(&["--url", "https://shop.example.com/up"])
        .code(3)
        .stderr(contains("nothing here is deployed").and(contains("stage: healthgate")));
    assert!(!repository.path(CONFIG).exists() && !repository.path(WORKFLOW).exists());
}

/// A file chooses among the deployments that there are. One that none uses is not guessed around.
#[test]
fn a_compose_file_that_no_workflow_uses_is_refused_with_those_that_are_there() {
    let flow = "on: push\njobs:\n  live:\n    runs-on: [self-hosted]\n    steps:\n      - uses: actions/checkout@v4\n      - run: docker compose -f prod.compose.yml up -d\n";
    let repository = Repository::new(&[
        (".github/workflows/ship.yml", flow),
        ("prod.compose.yml", COMPOSE),
        ("dev.compose.yml", COMPOSE),
        ("a/compose.yml", COMPOSE),
        ("b/compose.yml", COMPOSE),
    ]);
    for (file, what, next) in [
        (
            "gone.yml",
            "there is no file gone.yml",
            "the Compose files here: dev.compose.yml, prod.compose.yml, a/compose.yml, b/compose.yml",
        ),
        (
            "compose.yml",
            "2 files are called compose.yml",
            "name one of them with its folder: a/compose.yml, b/compose.yml",
        ),
        (
            "dev.compose.yml",
            "no workflow deploys with dev.compose.yml",
            "they deploy with prod.compose.yml (.github/workflows/ship.yml:7); `--kind compose --file dev.compose.yml` writes",
        ),
    ] {
        repository
            .init(&["--file", file])
            .code(2)
            .stderr(contains(what).and(contains(next)));
        assert!(!repository.path(CONFIG).exists() && !repository.path(WORKFLOW).exists());
    }
    repository
        .init(&["--kind", "compose", "--file", "gone.yml"])
        .code(2)
        .stderr(contains("there is no file gone.yml"));
    let url = ["--url", "https://shop.example.com/up"];
    repository
        .init(&[&["--file", "./prod.compose.yml"], &url[..]].concat())
        .code(0)
        .stdout(contains("+++ b/.github/workflows/ship.yml"));
    assert!(!repository.path(WORKFLOW).exists());
}

/// A gate is no way to deploy: nothing is invented around it.
#[test]
fn a_gate_for_a_workflow_that_cannot_be_read_writes_nothing() {
    let path = ".github/workflows/ship.yml";
    for flow in [
        "on: push\njobs:\n  live:\n\tsteps: []\n",
        "on: push\njobs: {}\n---\na: b\n",
        "on: push\njobs:\n  live:\n    uses: ./.github/workflows/gone.yml\n",
    ] {
        let repository = Repository::new(&[(path, flow), ("compose.yml", COMPOSE)]);
        repository
            .init(&[
                "--kind",
                "gate",
                "--url",
                "https://shop.example.com/up",
                "--patch",
            ])
            .code(3)
            .stderr(
                contains("what a workflow does is not known").and(contains("stage: healthgate")),
            );
        assert_eq!(repository.read(path), flow);
        assert!(!repository.path(CONFIG).exists());
    }
}

#[test]
fn nothing_that_says_how_leaves_clear_gaps() {
    let repository = Repository::new(&[("README.md", "# shop\n")]);
    repository.init(&[]).code(3);
    repository
        .init(&["--kind", "command"])
        .code(0)
        .stdout(contains("nothing that shows how it is deployed").and(contains("each TODO")));
    repository.holds();
    repository.gaps_are_told();
}

/// What no workflow uses says nothing of the deployment: no machine, folder, environment or secret is invented, and a
/// database is not of the release.
#[test]
fn a_kind_that_no_workflow_uses_is_a_form_with_gaps() {
    let migrates = "on: push\njobs:\n  migrate:\n    name: deploy\n    runs-on: ubuntu-22.04\n    steps:\n      - uses: actions/checkout@v4\n      - run: npx prisma migrate deploy\n        env: { DATABASE_URL: '${{ secrets.DATABASE_URL }}' }\n";
    let database = "services:\n  postgres: { image: 'postgres:15-alpine' }\n  cache: { image: 'redis:${REDIS:-7}' }\n  mail: { image: 'acme/mail:2' }\n";
    let files = [
        (".github/workflows/deploy.yml", migrates),
        ("docker/docker-compose.yml", database),
    ];
    for kind in ["compose", "systemd", "nginx", "command"] {
        let repository = Repository::new(&files);
        let printed = repository.init(&["--kind", kind]).code(0);
        printed.stdout(
            contains("what is written is a form")
                .and(contains("gh secret set DATABASE_URL").not())
                .and(contains(
                    "the secrets of the workflows are there: DATABASE_URL",
                )),
        );
        let (config, workflow) = repository.holds();
        let written = format!("{config}{workflow}");
        for invented in [
            "postgres",
            "redis",
            "acme/mail",
            "/srv/",
            "/var/",
            "self-hosted",
            "deploy.sh",
            "DATABASE_URL",
            "HEALTH_URL",
            "environment:",
        ] {
            assert!(!written.contains(invented), "{kind}: {invented}: {written}");
        }
        has(&workflow, &["runs-on: ubuntu-22.04"]);
        repository.gaps_are_told();
        repository.write(CONFIG, &config.replace("TODO", "filled"));
        repository
            .preflight(&["--only", "command"])
            .code(0)
            .stdout(contains("filled-in"));
    }
    // Of several Compose files the one that is named is meant.
    let repository = Repository::new(&[
        ("a/compose.yml", COMPOSE),
        ("b/compose.yml", COMPOSE),
        RUNNER,
    ]);
    let named = ["--kind", "compose", "--file", "b/compose.yml"];
    repository.init(&named).code(0);
    has(&repository.holds().0, &["folder: \"b\"\n"]);
}

#[test]
fn nothing_is_ever_written_over() {
    for (there, words) in [
        (CONFIG, "mine"),
        (WORKFLOW, "mine"),
        ("deploy-guard.yml", "mine"),
        (".github/deploy-guard.yaml", "mine"),
    ] {
        let repository = Repository::new(&[("compose.yml", COMPOSE), (there, words)]);
        let refused = repository.init(&["--kind", "compose"]).code(5);
        refused.stderr(contains(format!("{there} is there already")).and(contains("hint:")));
        assert_eq!(repository.read(there), "mine");
        let other = if there == WORKFLOW { CONFIG } else { WORKFLOW };
        assert!(!repository.path(other).exists(), "both or none");
    }
    let repository = Repository::new(&[("compose.yml", COMPOSE), RUNNER]);
    repository.init(&["--kind", "compose"]).code(0);
    let first = repository.holds();
    repository.init(&["--kind", "compose"]).code(5);
    assert_eq!(repository.holds(), first);
    repository
        .init(&["--kind", "compose", "--dry-run"])
        .code(0)
        .stdout(contains("up -d --build"));
    assert_eq!(repository.holds(), first);
}

#[test]
fn links_lead_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    let repository = Repository::new(&[("compose.yml", COMPOSE)]);
    std::os::unix::fs::symlink(outside.path(), repository.path(".github")).unwrap();
    repository
        .init(&["--kind", "compose"])
        .code(5)
        .stderr(contains("not a folder of this repository"));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    fs::remove_file(repository.path(".github")).unwrap();
    fs::create_dir(repository.path(".github")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("new"), repository.path(CONFIG)).unwrap();
    repository
        .init(&["--kind", "compose"])
        .code(5)
        .stderr(contains("is there already"));
    assert!(!outside.path().join("new").exists());
}

#[test]
fn a_folder_that_is_no_repository() {
    let repository = Repository::no_git(&[("compose.yml", COMPOSE)]);
    repository
        .init(&["--kind", "compose", "--service", "shop"])
        .code(0)
        .stdout(contains("no Git repository"));
    repository.holds();
}

#[test]
fn a_monorepo_is_looked_at_from_the_folder_below() {
    let unit = "[Service]\nExecStart=/srv/mail/current/mail\n";
    let repository = Repository::new(&[
        ("services/cart/compose.yml", COMPOSE),
        ("services/mail/mail.service", unit),
        RUNNER,
    ]);
    repository
        .init_in("services/mail", &["--kind", "systemd"])
        .code(0)
        .stdout(contains("systemd unit     services/mail/mail.service"));
    // Workflows are in the root, and so are the files that they read.
    has(
        &repository.holds().0,
        &["service: mail\n", "unit: mail.service"],
    );
    let names = [
        "--kind",
        "compose",
        "--config",
        "services/cart/deploy-guard.yml",
        "--workflow",
        ".github/workflows/cart.yml",
    ];
    repository.init_in("services/cart", &names).code(0);
    let config = repository.read("services/cart/deploy-guard.yml");
    has(
        &config,
        &[
            "service: cart\n",
            "folder: services/cart",
            "cd -- services/cart",
        ],
    );
    has(
        &repository.read(".github/workflows/cart.yml"),
        &["config: services/cart/deploy-guard.yml"],
    );
    lint(&repository.path(".github/workflows/cart.yml"));
}

#[test]
fn hostile_names_are_left_out_or_quoted() {
    let compose = r#"
name: "x: ${{ github.token }}"
services:
  "web\": evil": { image: "shop:1" }
  "$(touch pwned)": { image: "shop:1" }
  bad-image: { image: "shop\"; touch pwned; \":1" }
  no-default: { image: "${REGISTRY}/shop:1" }
  good: { image: "registry.example.org/shop:${TAG:-1}", ports: ["80; touch pwned:80", "8080:80"], healthcheck: { test: "curl http://localhost:80/a\"b" } }
"#;
    let workflow = "name: deploy ${{ x\non: push\njobs:\n  a:\n    runs-on: [self-hosted, \"x]: ${{ secrets.B-C }}\"]\n    environment: \"a: b\"\n    env: { A: \"${{ secrets.GOOD }}\", B: \"secrets.A'B\" }\n    steps: []\n";
    let repository = Repository::new(&[
        ("it's $(touch pwned)/docker-compose.yml", compose),
        (".github/workflows/deploy \"x\" ${{ y }}.yml", workflow),
        (
            "bad.service",
            "[Service]\nExecStart=/srv/$(touch pwned)/current/x\n",
        ),
        ("compose.yml", "services: [\n"),
        ("task.json", "{"),
        ("big.service", &"#".repeat(2 << 20)),
        RUNNER,
    ]);
    repository.write(
        ".git/config",
        "[remote \"origin\"]\n\turl = https://x/$(touch pwned): ${{ a }}\n",
    );
    std::os::unix::fs::symlink("/dev/zero", repository.path("docker-compose.yml")).unwrap();
    let assert = repository.init(&["--kind", "compose"]).code(0);
    let told = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    for part in [
        "compose.yml: line 2: not YAML",
        "task.json: no JSON",
        "big.service: it is larger than 1 MiB",
        "its name cannot be used",
        "its image is not known",
    ] {
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
    }
    let (config, written) = repository.holds();
    has(
        &config,
        &[
            "good: \"registry.example.org/shop:{release}\"",
            "http://127.0.0.1:8080/a\"",
        ],
    );
    has(&told, &["GOOD; hand over what the deployment needs"]);
    assert!(
        !written.contains("touch") && !written.contains("${{ x") && !written.contains("B-C"),
        "{written}"
    );
    // The folder's name is one word of the shell, whatever it holds.
    let tree = yaml::read(&config).unwrap();
    let script = tree["deploy"]["command"].as_str().unwrap();
    let stop = script.replace("cat >", "pwd; exit 0\ncat >");
    let output = Command::new("sh")
        .arg("-c")
        .arg(stop)
        .env("RELEASE", "v1")
        .current_dir(repository.0.path())
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("it's $(touch pwned)"),
        "{output:?}"
    );
    assert!(!repository.path("pwned").exists());
}

#[test]
fn wishes_that_could_be_mistaken_are_refused() {
    let repository = Repository::new(&[("compose.yml", COMPOSE)]);
    for wish in [
        ["--service", "a b"],
        ["--service", "${{ x }}"],
        ["--environment", "a\nb"],
        ["--url", "file:///etc/passwd"],
        ["--url", "http://u:secret@shop/"],
        ["--host", "-oProxyCommand=x@y"],
        ["--config", "../outside.yml"],
        ["--config", "/etc/outside.yml"],
        ["--workflow", "a b.yml"],
        ["--action", "no-ref"],
        ["--bin-dir", "${{ x }}"],
        ["--kind", "magic"],
    ] {
        let wish = format!("{}={}", wish[0], wish[1]);
        let kind: &[&str] = if wish.starts_with("--kind") {
            &[]
        } else {
            &["--kind", "compose"]
        };
        let same: &[&str] = if wish.starts_with("--service") {
            &[]
        } else {
            &["--service", "shop"]
        };
        repository
            .init(&[&[wish.as_str()], kind, same].concat())
            .code(2);
        assert!(!repository.path(".github").exists(), "{wish}");
    }
}

#[test]
fn an_action_by_its_commit_needs_no_exception() {
    let repository = Repository::new(&[("compose.yml", COMPOSE)]);
    repository
        .init(&[
            "--kind",
            "compose",
            "--action",
            "acme/guard@0123456789abcdef0123456789abcdef01234567",
        ])
        .code(0);
    let (_, workflow) = repository.holds();
    has(
        &workflow,
        &["uses: acme/guard@0123456789abcdef0123456789abcdef01234567\n"],
    );
    assert!(!workflow.contains("zizmor"), "{workflow}");
}

#[test]
fn a_person_at_a_terminal_is_asked() {
    let repository = Repository::new(&[
        ("compose.yml", COMPOSE),
        ("shop.service", "[Service]\nExecStart=/srv/shop/current/x\n"),
    ]);
    let program = testkit::bin_path("deploy-guard");
    // `script` hands its own input to the terminal.
    let answers = |text: &str| {
        let line = format!(
            "printf '{text}' | script -qec '{} init --kind systemd' /dev/null",
            program.display()
        );
        testkit::screens(
            &format!("bash -c {}", quoted(&line)),
            repository.0.path(),
            (60, 120),
            &[],
        )
        .pop()
        .unwrap()
    };
    let screen = answers("bad name\\ncart\\nstaging\\n\\n\\nn\\n");
    has(
        &screen,
        &[
            "a service's name has letters",
            "not written: the answer was not yes",
        ],
    );
    assert!(!repository.path(CONFIG).exists());
    let screen = answers("cart\\nstaging\\n\\nhttp://127.0.0.1:9000/up\\n\\n");
    has(&screen, &["Written. Next:"]);
    let (config, workflow) = repository.holds();
    has(
        &config,
        &[
            "service: cart\n",
            "unit: shop.service",
            "http://127.0.0.1:9000/up",
            "staging.json",
        ],
    );
    has(&workflow, &["environment: staging"]);
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[test]
fn a_workflow_that_cannot_be_read_is_not_taken_for_none() {
    let broken = "on: push\njobs:\n  a:\n   - x: [\n";
    let repository = Repository::new(&[(".github/workflows/a.yml", broken)]);
    repository
        .init(&[])
        .code(3)
        .stdout(contains("passed over: .github/workflows/a.yml"))
        .stderr(
            contains("what a workflow does is not known: .github/workflows/a.yml")
                .and(contains("there is no workflow").not()),
        );
    assert_eq!(repository.read(".github/deploy-guard.yml"), "");
}
