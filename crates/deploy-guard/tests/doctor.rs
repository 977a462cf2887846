//! `deploy-guard doctor`: each thing that would stop a stage, made so and found.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub(crate) struct Patient {
    pub(crate) folder: TempDir,
    env: Vec<(String, String)>,
}

impl Patient {
    pub(crate) fn new(config: &str) -> Patient {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(".github/workflows")).unwrap();
        fs::create_dir(folder.path().join(".git")).unwrap();
        let remote = "[remote \"origin\"]\n\turl = https://github.com/acme/shop\n";
        fs::write(folder.path().join(".git/config"), remote).unwrap();
        if !config.is_empty() {
            fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
        }
        let home = ("HOME".to_owned(), folder.path().display().to_string());
        Patient {
            folder,
            env: vec![home],
        }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Patient {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn write(self, name: &str, text: &str) -> Patient {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// The exit code and the report.
    pub(crate) fn ask(&self, args: &[&str]) -> (i32, Value) {
        let mut command = testkit::bin("deploy-guard");
        command
            .current_dir(self.folder.path())
            .args(["doctor", "--format", "json"])
            .args(args);
        let output = command.envs(self.env.iter().cloned()).output().unwrap();
        let report = serde_json::from_slice(&output.stdout);
        let report = report.unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.status.code().unwrap(), report)
    }

    pub(crate) fn git(&self, args: &[&str]) {
        let mut git = std::process::Command::new("git");
        git.arg("-C").arg(self.folder.path()).args(args);
        let output = git.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn text(&self) -> String {
        let mut command = testkit::bin("deploy-guard");
        command
            .current_dir(self.folder.path())
            .arg("doctor")
            .env("COLUMNS", "200");
        let output = command.envs(self.env.iter().cloned()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

#[track_caller]
pub(crate) fn outcome<'r>(report: &'r Value, id: &str) -> &'r Value {
    let mut all = report["outcomes"].as_array().unwrap().iter();
    let found = all.find(|outcome| outcome["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {report:#}"))
}

/// It failed, and names the stages that it stops and the next step.
#[track_caller]
pub(crate) fn stops(report: &Value, id: &str, stages: &str) {
    let found = outcome(report, id);
    assert_eq!(found["verdict"], "fail", "{found}");
    let reason = found["reason"].as_str().unwrap();
    assert!(reason.ends_with(&format!("; stops {stages}")), "{reason}");
    assert!(!found["hint"].as_str().unwrap().is_empty());
    for part in ["expected", "actual"] {
        assert!(found[part].is_string(), "{found}");
    }
}

#[test]
fn without_a_configuration_and_with_a_broken_one() {
    let (code, report) = Patient::new("").ask(&[]);
    assert_eq!(code, 1);
    let found = outcome(&report, "configuration/file");
    assert!(
        found["hint"]
            .as_str()
            .unwrap()
            .contains("deploy-guard init"),
        "{found}"
    );
    let (code, report) =
        Patient::new("version: 1\nhealthgate: { policy: { faliure-limit: 2 } }\n").ask(&[]);
    assert_eq!(code, 1);
    stops(
        &report,
        "configuration/file",
        "preflight, runner-check, healthgate, traffic, migrate, incident, rollback, run",
    );
    assert!(
        outcome(&report, "configuration/file")["reason"]
            .as_str()
            .unwrap()
            .contains("faliure-limit")
    );
    // The other checks run all the same.
    outcome(&report, "repository/git");
}

const WELL: &str = "version: 1\nhealthgate: { http: [{ name: a, url: 'http://127.0.0.1:1/' }] }\n\
    rollback: { state: state/s.json, command: { run: sh ./switch.sh } }\ndeploy: { command: sh ./switch.sh }\n";

#[test]
fn where_all_is_well_nothing_is_found() {
    let patient = Patient::new(WELL).write("switch.sh", "").write(
        ".github/workflows/d.yml",
        "on: push\njobs:\n  d:\n    steps: [{ uses: org/deploy-guard@v1, with: { stage: run } }]\n",
    );
    let (code, report) = patient.ask(&[]);
    assert_eq!(code, 0, "{report:#}");
    assert!(
        !patient.folder.path().join("state").exists(),
        "nothing is made"
    );
    let text = patient.text();
    assert!(
        text.contains("What would stop each stage")
            && text.contains("nothing is configured for it"),
        "{text}"
    );
}

#[test]
fn every_variable_and_secret_that_is_missing_with_the_stages_it_stops() {
    let config = "version: 1\nhosts: { web: { address: 127.0.0.1, port: 1, key-env: SSH_KEY, known-hosts: hosts.txt } }\n\
        preflight: { secrets: [{ name: DB }] }\n\
        healthgate: { http: [{ name: a, url: '${A}' }, { name: b, url: '${B}', headers: { X: '${TOKEN}' } }] }\n\
        rollback: { state: s.json, command: { run: ./switch.sh, current: sh ./live.sh } }\n\
        deploy: { command: './deploy.sh \"$RELEASE\"' }\n";
    let (code, report) = Patient::new(config).ask(&[]);
    assert_eq!(code, 1);
    for name in ["A", "B", "TOKEN"] {
        stops(
            &report,
            &format!("variables/{name}"),
            "healthgate, rollback, run",
        );
    }
    stops(&report, "secrets/DB", "preflight, run");
    stops(
        &report,
        "secrets/SSH_KEY",
        "preflight, healthgate, rollback, run",
    );
    stops(
        &report,
        "files/hosts.txt",
        "preflight, healthgate, rollback, run",
    );
    stops(&report, "hosts/web", "preflight, healthgate, rollback, run");
    stops(&report, "files/switch.sh", "rollback, run");
    stops(&report, "files/live.sh", "rollback, run");
    stops(&report, "files/deploy.sh", "run");
    // No value of a set variable is shown.
    let patient = Patient::new(config)
        .env("DB", "canary-of-the-database")
        .env("TOKEN", "canary-of-the-token");
    let (_, report) = patient.ask(&["--only", "secrets", "variables"]);
    assert!(!report.to_string().contains("canary"), "{report}");
    assert_eq!(
        report["outcomes"].as_array().unwrap().len(),
        3,
        "{report:#}"
    );
}

#[test]
fn programs_that_do_not_run_here() {
    let config = "version: 1\nhealthgate: { compose: [{ name: a }], smoke: [{ name: s, hurl: x.hurl }] }\n\
        rollback: { state: s.json, compose: { services: { web: 'shop:{release}' } } }\n";
    let patient = Patient::new(config).env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let (code, report) = patient.ask(&["--only", "programs"]);
    assert_eq!(code, 1);
    stops(&report, "programs/docker", "healthgate, rollback");
    assert_eq!(outcome(&report, "programs/compose")["verdict"], "pass");
    stops(&report, "programs/hurl", "healthgate");
}

#[test]
fn a_state_that_is_frozen_locked_broken_or_nowhere() {
    let config = "version: 1\nrollback: { state: s.json, command: { run: 'true' } }\n";
    let (code, report) = Patient::new(config)
        .write("s.json", "{")
        .ask(&["--only", "state"]);
    assert_eq!(
        (code, outcome(&report, "state/read")["verdict"].as_str()),
        (4, Some("error")),
        "{report:#}"
    );
    let state = r#"{"schema": "deploy-guard/state/v1", "generation": 1, "history": [], "last_token": 1,
        "frozen": {"reason": "it burnt", "by": "ada", "at": "2026-11-21T00:00:00Z"}}"#;
    let (code, report) = Patient::new(config)
        .write("s.json", state)
        .ask(&["--only", "state"]);
    assert_eq!(code, 1, "{report:#}");
    stops(&report, "state/frozen", "preflight, rollback");
    assert!(
        outcome(&report, "state/frozen")["reason"]
            .as_str()
            .unwrap()
            .contains("it burnt")
    );
    let (code, report) = Patient::new(&config.replace("s.json", "/proc/nowhere/s.json"))
        .ask(&["--only", "state/write"]);
    assert_eq!(code, 1, "{report:#}");
    stops(&report, "state/write", "preflight, rollback");
}

#[test]
fn nginx_no_server_line_a_target_that_no_rollback_could_switch() {
    let config = "version: 1\nrollback:\n  state: s.json\n  nginx: { upstream-file: live.inc, blue: '127.0.0.1:18801', green: '127.0.0.1:18802', release: { url: 'http://127.0.0.1:1/', jq: .version } }\n";
    let (code, report) = Patient::new(config)
        .write("live.inc", "set $service_url http://127.0.0.1:18801;\n")
        .ask(&["--only", "target"]);
    assert_eq!(code, 1, "{report:#}");
    stops(&report, "target/switch", "rollback");
    let (code, report) = Patient::new(config)
        .write("live.inc", "upstream shop { server 127.0.0.1:18801; }\n")
        .ask(&["--only", "target"]);
    assert_eq!(code, 0, "{report:#}");
    // A unit and a project that are not there.
    for (target, what) in [
        (
            "systemd: { unit: no-such-unit.service, releases: /srv/none/releases }",
            "target/switch",
        ),
        (
            "compose: { folder: /srv/none, services: { web: 'shop:{release}' } }",
            "target/switch",
        ),
    ] {
        let config = format!("version: 1\nrollback: {{ state: s.json, {target} }}\n");
        let (_, report) = Patient::new(&config).ask(&["--only", "target"]);
        assert_ne!(outcome(&report, what)["verdict"], "pass", "{report:#}");
    }
}

#[test]
fn a_router_that_no_share_could_be_set_with_stops_a_ramp() {
    let config = "version: 1\ntraffic:\n  state: s.json\n  stages: [10%, 100%]\n  nginx: { upstream-file: live.inc, blue: '127.0.0.1:18801', green: '127.0.0.1:18802', release: { url: 'http://127.0.0.1:1/', jq: .version }, test: 'true', reload: 'true' }\n";
    let upstream = |policy: &str| {
        format!(
            "upstream shop {{\n    {policy}\n    server 127.0.0.1:18801;\n    server 127.0.0.1:18802 down;\n}}\n"
        )
    };
    let (code, report) = Patient::new(config)
        .write("live.inc", &upstream("least_conn;"))
        .ask(&["--only", "router"]);
    assert_eq!(code, 1, "{report:#}");
    stops(&report, "router/share", "traffic");
    let (code, report) = Patient::new(config)
        .write("live.inc", &upstream(""))
        .ask(&["--only", "router"]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(
        outcome(&report, "router/share")["actual"],
        "blue 100%, green 0%"
    );
}

/// GitHub as it answers a token that may not do all; the server has a thread of its own.
fn github(statuses: &[(&str, u16)]) -> MockServer {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = MockServer::start().await;
        for (at, status) in statuses {
            let body = serde_json::json!({"message": "Resource not accessible by integration"});
            let answer = ResponseTemplate::new(*status).set_body_json(body);
            let asked = Mock::given(method("GET")).and(path(*at));
            asked.respond_with(answer).mount(&server).await;
        }
        server
    })
}

#[test]
fn a_token_that_may_less_than_is_asked_for() {
    let config = "version: 1\npreflight: { checks: [{ name: ci }], deployments: [{ environment: production }] }\n";
    let workflow = "on: push\npermissions: {}\njobs:\n  d:\n    permissions: { checks: read }\n    steps: [{ uses: org/deploy-guard@v1 }]\n";
    let server = github(&[
        ("/repos/acme/shop/commits/HEAD/check-runs", 200),
        ("/repos/acme/shop/commits/HEAD/status", 403),
        ("/repos/acme/shop/deployments", 403),
    ]);
    let patient = Patient::new(config).write(".github/workflows/d.yml", workflow);
    let (code, report) = patient.ask(&["--only", "token"]);
    assert_eq!(code, 1);
    stops(&report, "token/github", "preflight");
    let patient = patient
        .env("GITHUB_TOKEN", "canary-token")
        .env("GITHUB_API_URL", &server.uri());
    let (code, report) = patient.ask(&[]);
    assert_eq!(code, 1, "{report:#}");
    assert_eq!(outcome(&report, "token/checks")["verdict"], "pass");
    stops(&report, "token/statuses", "preflight");
    stops(&report, "token/deployments", "preflight");
    assert_eq!(
        outcome(&report, "repository/permission-checks")["verdict"],
        "pass"
    );
    stops(&report, "repository/permission-deployments", "preflight");
    assert!(!report.to_string().contains("canary-token"), "{report}");
    let server = github(&[("/repos/acme/shop/commits/HEAD/check-runs", 401)]);
    let patient = Patient::new("version: 1\npreflight: { checks: [{ name: ci }] }\n")
        .env("GITHUB_TOKEN", "old")
        .env("GITHUB_API_URL", &server.uri());
    let (_, report) = patient.ask(&["--only", "token/checks"]);
    stops(&report, "token/checks", "preflight");
}

#[test]
fn a_pipe_or_a_folder_where_a_file_is_named_holds_nobody_up() {
    let config = "version: 1\nhosts: { web: { address: 127.0.0.1, port: 1, known-hosts: hosts } }\n\
        healthgate: { http: [{ name: a, url: 'https://127.0.0.1:1/', ca-file: '.' }] }\n";
    let patient = Patient::new(config);
    let made = std::process::Command::new("mkfifo")
        .arg(patient.folder.path().join("hosts"))
        .status();
    assert!(made.unwrap().success());
    let (code, report) = patient.ask(&["--only", "files"]);
    assert_eq!(code, 1);
    stops(&report, "files/hosts", "healthgate");
    stops(&report, "files/.", "healthgate");
    // A check that did not run is not reported as passed.
    let text = report["reason"].as_str().unwrap();
    assert!(!text.contains("nothing"), "{text}");
    let (_, report) = Patient::new(WELL).ask(&["--only", "variables"]);
    assert_eq!(report["verdict"], "inconclusive", "{report:#}");
}

#[test]
fn what_cannot_be_known_here_is_not_said_to_be_well() {
    let config = "version: 1\nrollback:\n  state: \"s3://${STATE_BUCKET}/shop.json\"\n  command: { run: sh ./switch.sh }\n";
    // A machine outside AWS has no metadata service.
    let patient = Patient::new(config)
        .write("switch.sh", "")
        .env("AWS_EC2_METADATA_DISABLED", "false")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1/");
    let (code, report) = patient.ask(&[]);
    assert_eq!(code, 1, "{report}");
    stops(&report, "variables/STATE_BUCKET", "preflight, rollback");
    assert_eq!(outcome(&report, "state/read")["verdict"], "skipped");
    let text = report.to_string();
    assert!(!text.contains("state/write"), "{text}");
    // Where the address is known it is seen that there is a bucket.
    let patient = patient.env("STATE_BUCKET", "shop-state");
    let (code, report) = patient.ask(&["--only", "token/aws"]);
    assert_eq!(code, 1, "{report}");
    stops(&report, "token/aws", "preflight, rollback");
}

/// GitHub as it lists under a key; the server has a thread of its own.
pub(crate) fn github_lists(lists: &[(&str, &str, &[&str])]) -> MockServer {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = MockServer::start().await;
        for (at, key, names) in lists {
            let items: Vec<Value> = (names.iter())
                .map(|name| serde_json::json!({"name": name, "updated_at": "2026-11-01T00:00:00Z"}))
                .collect();
            let body = serde_json::json!({"total_count": items.len(), *key: items});
            let asked = Mock::given(method("GET")).and(path(*at));
            let answer = ResponseTemplate::new(200).set_body_json(body);
            asked.respond_with(answer).mount(&server).await;
        }
        server
    })
}

const GUARDED: &str = "on: push\njobs:\n  ship:\n    runs-on: [self-hosted, linux, depot]\n    environment: Production\n    steps:\n\
    \x20     - uses: actions/checkout@v4\n      - run: docker compose up -d api\n      - uses: org/deploy-guard@v1\n\
    \x20       env: { DB: \"${{ secrets.DB_PASSWORD }}\" }\n";

/// A secret may be missing here, in the workflow, or at GitHub: three places, told apart.
#[test]
fn a_secret_that_is_missing_there_is_not_one_that_is_missing_here() {
    let config = "version: 1\npreflight: { secrets: [{ name: DB }, { name: MAIL }] }\n";
    let patient = Patient::new(config).write(".github/workflows/d.yml", GUARDED);
    let (_, report) = patient.ask(&["--only", "secrets", "repository"]);
    stops(&report, "secrets/DB", "preflight");
    assert_eq!(
        outcome(&report, "repository/secret-DB")["subject"],
        ".github/workflows/d.yml:10"
    );
    assert_eq!(outcome(&report, "repository/secret-DB")["verdict"], "pass");
    stops(&report, "repository/secret-MAIL", "preflight");
    let lists = |secrets: &'static [&'static str]| {
        github_lists(&[
            (
                "/repos/acme/shop/environments/Production/secrets",
                "secrets",
                &["OTHER"],
            ),
            ("/repos/acme/shop/actions/secrets", "secrets", secrets),
            (
                "/repos/acme/shop/environments",
                "environments",
                &["Production"],
            ),
        ])
    };
    for (secrets, verdict) in [(&["DB_PASSWORD"][..], "pass"), (&[], "fail")] {
        let server = lists(secrets);
        let patient = Patient::new(config)
            .write(".github/workflows/d.yml", GUARDED)
            .env("GITHUB_TOKEN", "canary-token")
            .env("DB", "canary-value")
            .env("GITHUB_API_URL", &server.uri());
        let (_, report) = patient.ask(&["--only", "repository/secret-DB"]);
        let found = outcome(&report, "repository/secret-DB");
        assert_eq!(found["verdict"], verdict, "{found}");
        assert!(!report.to_string().contains("canary"), "{report}");
        if verdict == "fail" {
            stops(&report, "repository/secret-DB", "preflight");
        }
    }
}

/// A variable that is no secret is missing here, in the workflow or at GitHub, as a secret is.
#[test]
fn a_variable_that_is_missing_there_is_not_one_that_is_missing_here() {
    let config =
        "version: 1\nhealthgate: { http: [{ name: a, url: 'http://${SITE}/${PAGE:-up}' }] }\n";
    let handed = GUARDED.replace(
        "env: { DB: \"${{ secrets.DB_PASSWORD }}\" }",
        "env: { SITE: \"${{ vars.SHOP_SITE }}\" }",
    );
    let patient = Patient::new(config).write(".github/workflows/d.yml", GUARDED);
    let (_, report) = patient.ask(&["--only", "variables", "repository"]);
    stops(&report, "variables/SITE", "healthgate");
    let found = outcome(&report, "repository/variable-SITE");
    assert!(
        found["hint"]
            .as_str()
            .unwrap()
            .contains("there: map it in the step: `env: { SITE: ${{ vars.SITE }} }`"),
        "{found}"
    );
    assert!(!report.to_string().contains("variable-PAGE"), "{report:#}");
    for (variables, verdict) in [(&["SHOP_SITE"][..], "pass"), (&[], "fail")] {
        let server = github_lists(&[
            (
                "/repos/acme/shop/environments/Production/variables",
                "variables",
                &["OTHER"],
            ),
            ("/repos/acme/shop/actions/variables", "variables", variables),
        ]);
        let patient = Patient::new(config)
            .write(".github/workflows/d.yml", &handed)
            .env("GITHUB_TOKEN", "canary-token")
            .env("SITE", "shop.example.com")
            .env("GITHUB_API_URL", &server.uri());
        let (_, report) = patient.ask(&["--only", "variables", "repository/variable-SITE"]);
        let found = outcome(&report, "repository/variable-SITE");
        assert_eq!(found["verdict"], verdict, "{found}");
        if verdict == "fail" {
            assert!(
                found["hint"].as_str().unwrap().ends_with(
                    "gh variable set SHOP_SITE; for the environment alone: gh variable set SHOP_SITE --env Production"
                ),
                "{found}"
            );
        }
        assert!(
            !report.to_string().contains("variables/SITE"),
            "it is set here: {report:#}"
        );
    }
}

fn step_with(inputs: &str) -> String {
    GUARDED.replace(
        "env: { DB: \"${{ secrets.DB_PASSWORD }}\" }",
        &format!("with: {inputs}"),
    )
}

/// The Action would refuse each of them, in the run that deploys.
#[test]
fn an_input_that_the_action_would_refuse_is_drawn_where_it_is() {
    for (with, id, sign, hint) in [
        (
            "{ stgae: run }",
            "stgae",
            "stgae: run",
            "did you mean `stage`?",
        ),
        (
            "{ stage: healthgaet }",
            "stage",
            "healthgaet",
            "did you mean `healthgate`?",
        ),
        (
            "{ stage: healthgate, force: rule }",
            "force",
            "force: rule",
            "it belongs to `preflight`, `runner-check`, `migrate`, `rollback`, `run`",
        ),
        (
            "{ deadline: 3m }",
            "stage",
            "uses: org/deploy-guard@v1",
            "write one under `with:`: `preflight`",
        ),
        (
            "{ stage: rollback, dry-run: maybe }",
            "dry-run",
            "maybe",
            "`true` or `false`",
        ),
        (
            "{ stage: rollback, force: known-bad }",
            "reason",
            "force: known-bad",
            "add `reason: …`",
        ),
        (
            "{ stage: preflight, fail-on: 'fail, eror' }",
            "fail-on",
            "fail, eror",
            "`inconclusive`",
        ),
        (
            "{ stage: healthgate, environment: prod }",
            "environment",
            "environment: prod",
            "the file has: `production`",
        ),
        (
            "{ stage: healthgate, colour: red }",
            "colour",
            "colour: ***",
            "go into `args`",
        ),
    ] {
        let config = format!("{WELL}environments: {{ production: {{}} }}\n");
        let patient = Patient::new(&config)
            .write("switch.sh", "")
            .write(".github/workflows/d.yml", &step_with(with));
        let (code, report) = patient.ask(&["--only", "repository/input-*"]);
        assert_eq!(code, 1, "{with}: {report:#}");
        let found = outcome(&report, &format!("repository/input-{id}"));
        assert_eq!(
            report["outcomes"].as_array().unwrap().len(),
            1,
            "{report:#}"
        );
        let drawn = found["actual"].as_str().unwrap();
        let (line, mark) = drawn
            .lines()
            .zip(drawn.lines().skip(1))
            .find(|(_, mark)| mark.contains('^'))
            .unwrap();
        assert!(
            line.contains(sign) && drawn.contains("--> .github/workflows/d.yml:"),
            "{drawn}"
        );
        let at = mark.find('^').unwrap();
        // The sign is below the key or below its value.
        let begins = ["", ": ", "'"]
            .map(|before| line.find(&format!("{before}{}", sign.rsplit(": ").next().unwrap())));
        let mut near = begins.into_iter().chain([line.find(sign)]).flatten();
        assert!(near.any(|begin| begin == at), "{drawn}");
        assert!(found["hint"].as_str().unwrap().contains(hint), "{found}");
    }
}

#[test]
fn an_input_that_the_action_takes_or_that_a_run_alone_knows_is_not_told() {
    for with in [
        "{ stage: \"${{ matrix.stage }}\", url: \"${{ vars.URL }}\" }",
        "{ stage: rollback, command: record, image: a, pending: true, fail-on: none }",
        "{ stage: healthgate, url: \"https://a\", header: 'A: b', environment: \"${{ inputs.where }}\", bin-dir: /opt }",
    ] {
        let patient = Patient::new(WELL)
            .write("switch.sh", "")
            .write(".github/workflows/d.yml", &step_with(with));
        let (_, report) = patient.ask(&["--only", "repository"]);
        assert!(
            !report.to_string().contains("repository/input"),
            "{report:#}"
        );
    }
}

#[test]
fn labels_and_environments_that_nothing_else_has() {
    let other =
        "on: push\njobs:\n  ci: { runs-on: [self-hosted, linux], steps: [{ run: make }] }\n";
    let server = github_lists(&[(
        "/repos/acme/shop/environments",
        "environments",
        &["staging"],
    )]);
    // A job that deploys besides has the runner that it has always had.
    let alone = GUARDED.replace("      - run: docker compose up -d api\n", "");
    let patient = Patient::new(WELL)
        .write("switch.sh", "")
        .write(".github/workflows/d.yml", GUARDED)
        .write(".github/workflows/ci.yml", other)
        .env("GITHUB_TOKEN", "canary-token")
        .env("GITHUB_API_URL", &server.uri());
    let (_, report) = patient.ask(&["--only", "repository"]);
    assert!(
        !report.to_string().contains("repository/label"),
        "{report:#}"
    );
    // A label of one's own says by itself that the runner is.
    let custom = alone.replace("[self-hosted, linux, depot]", "depo");
    let patient = patient.write(".github/workflows/d.yml", &custom);
    let (_, report) = patient.ask(&["--only", "repository"]);
    // It may be a larger runner or a scale set: a warning, which stops no stage.
    let unknown = outcome(&report, "repository/label-depo");
    let reason = unknown["reason"].as_str().unwrap();
    assert!(
        unknown["severity"] == "advisory"
            && reason.ends_with(
                "a larger runner or a scale set that is called so, or one that does not exist"
            ),
        "{unknown}"
    );
    let patient = patient.write(".github/workflows/d.yml", &alone);
    let (code, report) = patient.ask(&["--only", "repository"]);
    assert_eq!(code, 1, "{report:#}");
    stops(
        &report,
        "repository/label-depot",
        "preflight, healthgate, rollback, run",
    );
    stops(
        &report,
        "repository/environment-Production",
        "preflight, healthgate, rollback, run",
    );
    assert!(!report.to_string().contains("label-linux"), "{report:#}");
    let server = github_lists(&[(
        "/repos/acme/shop/environments",
        "environments",
        &["production"],
    )]);
    let known = other.replace("linux]", "linux, depot]");
    let patient = patient
        .write(".github/workflows/ci.yml", &known)
        .env("GITHUB_API_URL", &server.uri());
    let (_, report) = patient.ask(&["--only", "repository"]);
    assert_eq!(
        outcome(&report, "repository/environment-Production")["verdict"],
        "pass"
    );
    assert!(
        !report.to_string().contains("repository/label"),
        "{report:#}"
    );
}

#[test]
fn a_compose_file_that_no_workflow_uses_and_files_that_a_checkout_deletes() {
    let used = "services:\n  api:\n    image: depot-api:${TAG}\n    build: .\n    env_file: .env.production\n    volumes: [\"./store:/data\", \"./conf:/conf\"]\n";
    let config = "version: 1\nrollback: { state: s.json, compose: { files: [demo.compose.yml], services: { api: 'depot-api:{release}' } } }\n";
    let patient = Patient::new(config)
        .write(".github/workflows/d.yml", GUARDED)
        .write("compose.yaml", used)
        .write("demo.compose.yml", "services: { api: { image: x } }\n");
    fs::create_dir(patient.folder.path().join("conf")).unwrap();
    let patient = patient.write("conf/a", "");
    fs::remove_dir_all(patient.folder.path().join(".git")).unwrap();
    patient.git(&["init", "-q"]);
    patient.git(&["add", "compose.yaml", "conf"]);
    let (code, report) = patient.ask(&["--only", "repository"]);
    assert_eq!(code, 1, "{report:#}");
    stops(&report, "repository/compose-demo.compose.yml", "rollback");
    let all = "preflight, rollback";
    stops(&report, "repository/checkout-store", all);
    stops(&report, "repository/checkout-.env.production", all);
    let text = report.to_string();
    assert!(
        text.contains("compose.yaml:6") && !text.contains("checkout-conf"),
        "{text}"
    );
    // Paths are relative to the folder of the Compose file.
    let below = GUARDED.replace("compose up", "compose -f deploy/compose.yaml up");
    fs::create_dir_all(patient.folder.path().join("deploy/conf")).unwrap();
    let patient = patient
        .write("deploy/compose.yaml", used)
        .write("deploy/conf/a", "")
        .write(".github/workflows/d.yml", &below);
    patient.git(&["add", "deploy"]);
    let (_, report) = patient.ask(&["--only", "repository"]);
    stops(&report, "repository/checkout-deploy/store", all);
    assert!(
        !report.to_string().contains("checkout-deploy/conf"),
        "{report:#}"
    );
    let patient = patient.write(".github/workflows/d.yml", GUARDED);
    // Files of secrets lie there as files that are mounted do.
    let secret = format!(
        "{used}secrets: {{ pw: {{ file: ./private/pw.txt }}, out: {{ file: /etc/pw }} }}\n"
    );
    let patient = patient.write("compose.yaml", &secret);
    let (_, report) = patient.ask(&["--only", "repository"]);
    stops(&report, "repository/checkout-private/pw.txt", all);
    assert!(!report.to_string().contains("etc/pw"), "{report:#}");
    let patient = patient.write("compose.yaml", used);
    // A checkout that keeps what it does not know deletes nothing.
    let keeps = GUARDED.replace(
        "checkout@v4\n",
        "checkout@v4\n        with: { clean: false }\n",
    );
    let patient = patient.write(".github/workflows/d.yml", &keeps);
    let (_, report) = patient.ask(&["--only", "repository"]);
    assert!(
        !report.to_string().contains("repository/checkout"),
        "{report:#}"
    );
}

/// The terminal shows the same lines and the same mark as every stage.
#[test]
fn a_broken_configuration_is_drawn_as_every_command_draws_it() {
    let patient = Patient::new("version: 1\nhealthgate: { policy: { faliure-limit: 2 } }\n");
    let drawn = |words: &[&str]| {
        let mut command = testkit::bin("deploy-guard");
        command.current_dir(patient.folder.path()).args(words);
        let output = command.envs(patient.env.iter().cloned()).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let gate = drawn(&["healthgate"]);
    assert!(
        gate.contains("faliure-limit: 2") && gate.contains('^'),
        "{gate}"
    );
    let doctor = drawn(&["doctor"]);
    assert!(doctor.contains(gate.trim()), "{doctor}");
}

/// As root every folder can be read: another user looks.
#[test]
fn a_folder_that_cannot_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let config = "version: 1\nrollback: { state: s.json, compose: { folder: FOLDER, services: { web: 'shop:{release}' } } }\n";
    let secret = tempfile::tempdir().unwrap();
    let folder = secret.path().join("shop");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("compose.yaml"), "services: {}\n").unwrap();
    fs::set_permissions(secret.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let patient = Patient::new(&config.replace("FOLDER", &folder.display().to_string()));
    let readable = fs::Permissions::from_mode(0o777);
    fs::set_permissions(patient.folder.path(), readable).unwrap();
    let program = patient.folder.path().join("deploy-guard");
    fs::copy(testkit::bin_path("deploy-guard"), &program).unwrap();
    let output = std::process::Command::new("setpriv")
        .args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--",
        ])
        .arg(&program)
        .args(["doctor", "--format", "json", "--only", "target"])
        .current_dir(patient.folder.path())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    stops(&report, "target/switch", "rollback");
    let text = report.to_string();
    assert!(text.contains("cannot read the folder"), "{text}");
}

/// A port alone tells nothing of a host behind another one: the login is made as a stage makes it.
#[test]
fn a_host_behind_a_jump_host_is_logged_in_to_as_the_stages_do() {
    for client in ["ssh2", "openssh"] {
        let (edge, inner) = (testkit::Sshd::start(), testkit::Sshd::start());
        let host = |name: &str, sshd: &testkit::Sshd, more: &str| {
            format!(
                "  {name}: {{ address: 127.0.0.1, port: {}, user: {}, key-env: {}_KEY, known-hosts: known_hosts, ssh: {client}{more} }}\n",
                sshd.port(),
                sshd.user(),
                name.to_uppercase()
            )
        };
        let config = format!(
            "version: 1\nhosts:\n{}{}healthgate: {{ command: [{{ name: up, run: \"true\", host: web }}] }}\n",
            host("edge", &edge, ""),
            host("web", &inner, ", jump: edge")
        );
        let patient = || {
            Patient::new(&config)
                .write(
                    "known_hosts",
                    &format!("{}{}", edge.known_hosts(), inner.known_hosts()),
                )
                .env("EDGE_KEY", &edge.private_key())
        };
        let of_web = |report: &Value| {
            let outcomes = report["outcomes"].as_array().unwrap();
            let found = outcomes
                .iter()
                .find(|one| one["id"] == "hosts/web")
                .unwrap();
            found.clone()
        };
        let (_, report) = patient().ask(&["--only", "hosts"]);
        let web = of_web(&report);
        assert_eq!(web["verdict"], "skipped", "{report}");
        assert_eq!(web["reason"], "WEB_KEY is not set here");

        let (code, report) = patient()
            .env("WEB_KEY", &inner.private_key())
            .ask(&["--only", "hosts"]);
        assert_eq!(
            (code, &of_web(&report)["verdict"]),
            (0, &"pass".into()),
            "{report}"
        );

        let (code, report) = patient()
            .env("WEB_KEY", &inner.stranger_key())
            .ask(&["--only", "hosts"]);
        assert_eq!(
            (code, &of_web(&report)["verdict"]),
            (1, &"fail".into()),
            "{report}"
        );

        let mut patient = patient().env("WEB_KEY", &inner.private_key());
        let gone = config.replace(&edge.port().to_string(), &testkit::free_port().to_string());
        patient = patient.write("deploy-guard.yml", &gone);
        let (code, report) = patient.ask(&["--only", "hosts/web"]);
        let reason = of_web(&report)["reason"].to_string();
        assert!(code == 1 && reason.contains("jump host"), "{report}");
    }
}

#[test]
fn a_sink_whose_variable_is_empty_is_told_and_stops_no_stage() {
    let config = "version: 1
service: shop
incident:
  slack: [{ name: chat, url-env: SLACK_WEBHOOK }]
  webhook: [{ name: hook, url-env: HOOK_URL, template: body.json.j2 }]
  stdout: [{ name: log }]
  templates: { update: update.j2 }
";
    let patient = Patient::new(config)
        .env("SLACK_WEBHOOK", "")
        .env("HOOK_URL", "https://hooks.example.com/c4n4ry")
        .write("body.json.j2", "{\"text\": \"{{ title }}\"}")
        .write("update.j2", "{{ service }\n");
    let (_, report) = patient.ask(&["--only", "sink", "--only", "sink-templates"]);
    let told: Vec<String> = report["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let severity = &one["severity"];
            let reason = one["reason"].as_str().unwrap_or_default();
            format!("{} {severity} {}: {reason}", one["id"], one["verdict"])
        })
        .collect();
    assert!(!report.to_string().contains("c4n4ry"), "{report}");
    insta::assert_snapshot!(told.join("\n"), @r#"
    "sink/chat" "advisory" "fail": `SLACK_WEBHOOK` is set and empty
    "sink/hook" "required" "pass": 
    "sink/log" "required" "pass": 
    "sink-templates" "advisory" "fail": update.j2:1: syntax error: unexpected `}`, expected end of variable block
    "#);
}

/// On everybody's own machine the host's variables are not set, and the file is what stops the gate there.
#[test]
fn the_keys_of_a_host_are_missing_whether_or_not_it_is_known() {
    let config = "version: 1\nhosts: { web: { address: '${HOST}', port: 1, key-env: SSH_KEY, known-hosts: .github/known_hosts } }\n\
        healthgate: { http: [{ name: a, url: 'http://127.0.0.1:1/', via: web }] }\n";
    for set in [&[][..], &[("HOST", "127.0.0.1"), ("SSH_KEY", "x")]] {
        let mut patient = Patient::new(config);
        for (name, value) in set {
            patient = patient.env(name, value);
        }
        let (_, report) = patient.ask(&["--only", "files"]);
        let id = "files/.github/known_hosts";
        stops(&report, id, "healthgate");
        let hint = outcome(&report, id)["hint"].to_string();
        assert!(
            hint.contains("ssh-keyscan ADDRESS >.github/known_hosts"),
            "{hint}"
        );
        let patient = patient.write(".github/known_hosts", "");
        let (_, report) = patient.ask(&["--only", "files"]);
        assert_eq!(outcome(&report, id)["verdict"], "pass");
    }
}

/// Whether a step hands over what is not set here is told once, where the step is.
#[test]
fn a_variable_that_the_step_has_already_is_not_to_be_mapped() {
    let config = "version: 1\nhealthgate: { http: [{ name: a, url: 'http://${SITE}/' }] }\n";
    let handed = GUARDED.replace(
        "env: { DB: \"${{ secrets.DB_PASSWORD }}\" }",
        "env: { SITE: \"${{ secrets.SITE }}\" }",
    );
    let patient = Patient::new(config);
    let hint = |patient: &Patient| {
        let (_, report) = patient.ask(&["--only", "variables"]);
        outcome(&report, "variables/SITE")["hint"].to_string()
    };
    assert!(hint(&patient).contains("there: map it in the step"));
    let patient = patient.write(".github/workflows/d.yml", &handed);
    let hint = hint(&patient);
    assert!(
        hint.contains("repository/variable-SITE") && !hint.contains("map it"),
        "{hint}"
    );
}

/// A gate that asks by itself is one, though no file is here.
#[test]
fn a_gate_without_a_configuration_is_told_in_the_table() {
    let patient = Patient::new("").write(
        ".github/workflows/d.yml",
        "on: push\njobs:\n  d:\n    steps: [{ uses: org/deploy-guard@v1, with: { stage: healthgate, url: 'https://a.example/' } }]\n",
    );
    let text = patient.text();
    assert!(
        text.contains(".github/workflows/d.yml:4 probes an address by itself"),
        "{text}"
    );
}
