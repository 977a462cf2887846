//! What `doctor` finds in workflows as people have them, and what it leaves alone.

use crate::doctor::{Patient, github_lists, outcome, stops};

const GATE: &str =
    "version: 1\nhealthgate: { http: [{ name: a, url: 'http://a/', headers: { X: '${DB}' } }] }\n";

/// A job on a runner of GitHub with these steps.
fn job(steps: &str) -> String {
    format!("on: push\njobs:\n  ship:\n    runs-on: ubuntu-latest\n    steps:\n{steps}")
}

fn ours(rest: &str) -> String {
    format!("      - {{ uses: org/deploy-guard@v1, {rest} }}\n")
}

/// The report about a configuration and a workflow, as text.
fn told(config: &str, workflow: &str) -> String {
    let patient = Patient::new(config).write(".github/workflows/d.yml", workflow);
    patient.ask(&["--only", "repository"]).1.to_string()
}

#[test]
fn a_drawn_step_shows_no_header_no_argument_and_no_address() {
    let secret = "hunter2hunter2";
    for rest in [
        format!("with: {{ stage: rollback, header: 'X-Key: {secret}' }}"),
        format!("with: {{ stage: rollback, hedaer: 'X-Key: {secret}' }}"),
        format!("with: {{ stage: rollback, force: a, args: '--header=X: {secret}' }}"),
        format!("with: {{ stage: rollback, url: 'https://hooks.slack.com/services/{secret}' }}"),
        format!("with: {{ stage: rollback, colour: {secret} }}"),
        format!("with: {{ stgae: run }}, env: {{ HOOK: 'https://hooks.slack.com/{secret}' }}"),
    ] {
        let text = told(GATE, &job(&ours(&rest)));
        assert!(text.contains("repository/input-"), "{text}");
        assert!(!text.contains(secret), "{rest}: {text}");
    }
}

#[test]
fn a_value_that_the_action_refuses_is_told() {
    for (with, id, hint) in [
        ("command: help", "command", "such as `status` of `rollback`"),
        ("command: Run", "command", "its arguments go into `args`"),
        (
            "fail-on: 'none, fail'",
            "fail-on",
            "name `none` alone, or the verdicts",
        ),
        ("install: compile", "install", "write `download` or `build`"),
    ] {
        let step = ours(&format!("with: {{ stage: rollback, {with} }}"));
        let patient = Patient::new(GATE).write(".github/workflows/d.yml", &job(&step));
        let (_, report) = patient.ask(&["--only", "repository/input-*"]);
        let found = outcome(&report, &format!("repository/input-{id}"));
        assert!(found["hint"].as_str().unwrap().contains(hint), "{found}");
    }
}

#[test]
fn a_mistyped_input_is_told_where_it_is_the_only_one_beside_the_stage() {
    let step = ours("with: { stage: healthgate, deadlin: 5m }");
    let step = step.replace("org/deploy-guard", "acme/guard");
    let patient = Patient::new(GATE).write(".github/workflows/d.yml", &job(&step));
    let (_, report) = patient.ask(&["--only", "repository/input-*"]);
    let found = outcome(&report, "repository/input-deadlin");
    assert_eq!(found["hint"], "did you mean `deadline`?", "{found}");
}

#[test]
fn a_step_of_another_version_is_not_judged_by_the_inputs_of_this_one() {
    let step = |name: &str| {
        ours("with: { stage: healthgate, colour: red }").replace("org/deploy-guard@v1", name)
    };
    for name in [
        "org/deploy-guard@v2",
        "org/deploy-guard@0123456789012345678901234567890123456789",
    ] {
        let text = told(GATE, &job(&step(name)));
        assert!(!text.contains("repository/input"), "{name}: {text}");
    }
    // Not ours, and one of the repository, which has inputs of its own.
    for name in [
        "./.github/actions/deploy-guard",
        "acme/deploy-guard-notify@v1",
    ] {
        let other = step(name).replace("stage: healthgate, ", "");
        let text = told(GATE, &job(&(ours("with: { stage: healthgate }") + &other)));
        assert!(!text.contains("repository/input"), "{name}: {text}");
    }
    // GitHub heeds no case in the name of an action.
    for name in [
        "org/deploy-guard@v0.1.0",
        "Org/Deploy-Guard@v1",
        "org/deploy-guard@main",
    ] {
        let text = told(GATE, &job(&step(name)));
        assert!(text.contains("repository/input-colour"), "{name}: {text}");
    }
}

const ACTION: &str = ".github/actions/gate/action.yml";

/// An action of the repository that is one step of ours.
fn action(with: &str) -> String {
    format!(
        "name: gate\ninputs: {{ stage: {{ default: healthgate }}, db: {{}} }}\nruns:\n  using: composite\n  steps:\n    - uses: org/deploy-guard@v1\n      with: {{ {with} }}\n      env: {{ DB: '${{{{ inputs.db }}}}' }}\n"
    )
}

/// What a stage is, the step that calls the action tells.
#[test]
fn the_inputs_of_a_step_in_an_action_of_the_repository_are_judged() {
    let stage = "stage: '${{ inputs.stage }}'";
    let gate = |with: &str| format!("      - {{ uses: ./.github/actions/gate{with} }}\n");
    let preflight = ", with: { Stage: preflight }";
    for (with, call, expected) in [
        (
            format!("{stage}, colour: red"),
            "",
            "repository/input-colour",
        ),
        (
            format!("{stage}, url: 'https://a'"),
            preflight,
            "repository/input-url",
        ),
        (
            stage.to_owned(),
            ", with: { stage: healthgat }",
            "did you mean `healthgate`?",
        ),
        (format!("{stage}, url: 'https://a'"), "", ""),
        (stage.to_owned(), preflight, ""),
    ] {
        let patient = Patient::new(GATE)
            .write(".github/workflows/d.yml", &job(&gate(call)))
            .write(ACTION, &action(&with));
        let (_, report) = patient.ask(&["--only", "repository/input-*"]);
        let text = report["outcomes"].to_string();
        assert_eq!(
            text.contains("repository/input-"),
            !expected.is_empty(),
            "{text}"
        );
        assert!(text.contains(expected), "{text}");
        assert_eq!(
            text.contains(&format!("{ACTION}:7: ")),
            !expected.is_empty(),
            "{text}"
        );
    }
    let told = |with: &str| {
        let patient = Patient::new(GATE)
            .write(".github/workflows/d.yml", &job(&gate(with)))
            .write(ACTION, &action(stage));
        patient.ask(&["--only", "repository/secret-DB"]).1
    };
    let report = told(", with: { db: '${{ secrets.DB }}' }");
    let found = outcome(&report, "repository/secret-DB");
    assert_eq!(found["subject"], ".github/workflows/d.yml:6", "{found}");
    assert_eq!(found["verdict"], "pass", "{found}");
}

#[test]
fn a_secret_that_a_step_before_fetches_is_not_missing() {
    let steps = ours("with: { stage: healthgate }");
    assert!(told(GATE, &job(&steps)).contains("no step that uses deploy-guard hands it over"));
    for before in [
        "uses: hashicorp/vault-action@v3, with: { secrets: 'secret/data/shop db | DB' }",
        "uses: aws-actions/aws-secretsmanager-get-secrets@v2, with: { secret-ids: prod/shop, parse-json-secrets: true }",
        "uses: 1password/load-secrets-action@v2, env: { DB: 'op://shop/db/password' }",
        "run: 'cat .env.ci >>\"$GITHUB_ENV\"'",
    ] {
        let text = told(GATE, &job(&format!("      - {{ {before} }}\n{steps}")));
        assert!(
            !text.contains("hands it over from") && text.contains("may set it"),
            "{before}: {text}"
        );
    }
}

#[test]
fn only_the_chosen_environment_is_asked_for_what_it_needs() {
    let config = "version: 1\nenvironments:\n  staging: { preflight: { secrets: [{ name: STAGING_KEY }] } }\n  production: { preflight: { secrets: [{ name: DB }] } }\n";
    let patient = Patient::new(config).write(
        ".github/workflows/d.yml",
        &job(&ours("with: { stage: preflight }")),
    );
    let asked = |args: &[&str]| patient.ask(args).1["outcomes"].to_string();
    assert!(asked(&[]).contains("STAGING_KEY"));
    let text = asked(&["--environment", "production"]);
    assert!(
        !text.contains("STAGING_KEY") && text.contains("secret-DB"),
        "{text}"
    );
}

/// The first job has what it needs; the second names what GitHub does not have.
#[test]
fn every_job_that_hands_a_secret_over_is_looked_at() {
    let step = |name: &str| {
        ours(&format!(
            "with: {{ stage: healthgate }}, env: {{ DB: '${{{{ secrets.{name} }}}}' }}"
        ))
    };
    let second = job(&step("OTHER_DB")).replace("ship:", "again:");
    let second = second.split_once("jobs:\n").unwrap().1;
    let workflow = format!("{}{second}", job(&step("DB")));
    let server = github_lists(&[("/repos/acme/shop/actions/secrets", "secrets", &["DB"])]);
    let patient = Patient::new(GATE)
        .write(".github/workflows/d.yml", &workflow)
        .env("GITHUB_TOKEN", "canary-token")
        .env("GITHUB_API_URL", &server.uri());
    let (_, report) = patient.ask(&["--only", "repository/secret-DB"]);
    let found = outcome(&report, "repository/secret-DB");
    assert!(
        found["reason"].as_str().unwrap().contains("OTHER_DB"),
        "{found}"
    );
    // What a workflow takes from one that calls it, GitHub need not have under that name; what starts it by itself needs it.
    let secrets = "workflow_call: { secrets: { OTHER_DB: { required: true } } }";
    for (on, verdict) in [
        (format!("on: {{ {secrets} }}"), "pass"),
        (format!("on: {{ push: , {secrets} }}"), "fail"),
    ] {
        let called = workflow.replace("on: push", &on);
        let patient = Patient::new(GATE)
            .write(".github/workflows/d.yml", &called)
            .env("GITHUB_TOKEN", "canary-token")
            .env("GITHUB_API_URL", &server.uri());
        let (_, report) = patient.ask(&["--only", "repository/secret-DB"]);
        let found = outcome(&report, "repository/secret-DB");
        assert_eq!(found["verdict"], verdict, "{on}: {report:#}");
    }
}

#[test]
fn a_job_that_two_workflows_call_is_named_once() {
    let flow = job(&ours("with: { stage: healthgate }")).replace("on: push", "on: workflow_call");
    let calling = "on: push\njobs:\n  live: { uses: ./.github/workflows/d.yml }\n";
    let patient = Patient::new(GATE)
        .write(".github/workflows/d.yml", &flow)
        .write(".github/workflows/one.yml", calling)
        .write(".github/workflows/two.yml", calling);
    let (_, report) = patient.ask(&["--only", "repository/secret-DB"]);
    let found = outcome(&report, "repository/secret-DB");
    assert_eq!(found["verdict"], "fail", "{found}");
    assert_eq!(
        found["subject"].as_str().unwrap().matches("d.yml").count(),
        1,
        "{found}"
    );
}

/// By itself it is for staging; another workflow calls it for production.
#[test]
fn a_workflow_that_starts_by_itself_and_is_called_is_judged_for_both() {
    let step = ours("with: { stage: healthgate }, env: { DB: '${{ secrets.DB }}' }");
    let own = job(&step)
        .replace(
            "on: push",
            "on: { push: , workflow_call: { inputs: { stage: { type: string } } } }",
        )
        .replace(
            "    steps:",
            "    environment: ${{ inputs.stage || 'staging' }}\n    steps:",
        );
    let call = |secrets: &str| {
        format!(
            "on: workflow_dispatch\njobs:\n  live:\n    uses: ./.github/workflows/d.yml\n    with: {{ stage: production }}\n{secrets}"
        )
    };
    let inherit = "    secrets: inherit\n";
    let mapped = "    secrets: { DB: '${{ secrets.LIVE_DB }}' }\n";
    for (staging, production, shared, secrets, reason) in [
        (&["DB"][..], &["DB"][..], &[][..], inherit, None),
        (
            &["DB"],
            &[],
            &[],
            inherit,
            Some("its environment production has one"),
        ),
        (
            &[],
            &["DB"],
            &[],
            inherit,
            Some("its environment staging has one"),
        ),
        (&["DB"], &[], &["DB"], inherit, None),
        (
            &["DB"],
            &[],
            &["DB"],
            mapped,
            Some("from the secret LIVE_DB (.github/workflows/live.yml:6)"),
        ),
        (&["DB"], &[], &["LIVE_DB"], mapped, None),
        (&["DB"], &[], &["DB"], "", Some("does not hand it over")),
        (&["DB"], &["DB"], &["DB"], "", None),
    ] {
        let server = github_lists(&[
            (
                "/repos/acme/shop/environments/staging/secrets",
                "secrets",
                staging,
            ),
            (
                "/repos/acme/shop/environments/production/secrets",
                "secrets",
                production,
            ),
            ("/repos/acme/shop/actions/secrets", "secrets", shared),
        ]);
        let patient = Patient::new(GATE)
            .write(".github/workflows/d.yml", &own)
            .write(".github/workflows/live.yml", &call(secrets))
            .env("GITHUB_TOKEN", "canary-token")
            .env("GITHUB_API_URL", &server.uri());
        let (_, report) = patient.ask(&["--only", "repository/secret-DB"]);
        let found = outcome(&report, "repository/secret-DB");
        let told = found["reason"].as_str();
        match reason {
            Some(reason) => assert!(told.is_some_and(|told| told.contains(reason)), "{found}"),
            None => assert_eq!(
                found["verdict"], "pass",
                "{staging:?} {production:?} {secrets}: {report:#}"
            ),
        }
    }
}

#[test]
fn labels_are_judged_by_whose_runners_they_are() {
    let ci = "on: push\njobs:\n  ci: { runs-on: ubuntu-latest, steps: [{ run: make }] }\n";
    for (runs_on, told) in [
        ("[self-hosted, linux]", None),
        ("[self-hosted, linux, gpu]", None),
        ("ubuntu-24.04-arm", None),
        ("windows-2025", None),
        ("macos-15-xlarge", None),
        ("ubuntu-22.04-16core", None),
        ("{ group: big, labels: [gpu] }", None),
        ("blacksmith-4vcpu-ubuntu-2204", None),
        ("depot-ubuntu-24.04-4", None),
        ("buildjet-4vcpu-ubuntu-2204", None),
        ("namespace-profile-default", None),
        ("warp-ubuntu-latest-x64-4x", None),
        ("arc-production", Some("advisory")),
    ] {
        let workflow = job(&ours("with: { stage: healthgate }")).replace("ubuntu-latest", runs_on);
        let patient = Patient::new(GATE)
            .write(".github/workflows/d.yml", &workflow)
            .write(".github/workflows/ci.yml", ci);
        let (_, report) = patient.ask(&["--only", "repository/label-*"]);
        let all = report["outcomes"].as_array().unwrap();
        let severity = all.first().map(|one| one["severity"].as_str().unwrap());
        assert_eq!(severity, told, "{runs_on}: {report:#}");
    }
    // Beside labels of one's own, another is told apart.
    let own = ci.replace("ubuntu-latest", "[self-hosted, cpu]");
    let workflow =
        job(&ours("with: { stage: healthgate }")).replace("ubuntu-latest", "[self-hosted, gpu]");
    let patient = Patient::new(GATE)
        .write(".github/workflows/d.yml", &workflow)
        .write(".github/workflows/ci.yml", &own);
    let (_, report) = patient.ask(&["--only", "repository/label-*"]);
    stops(&report, "repository/label-gpu", "healthgate");
    // An action of the repository that deploys, too, has the runner that it has always had.
    let deploys = action("stage: healthgate").replace(
        "  steps:\n",
        "  steps:\n    - { run: docker compose up -d, shell: bash }\n",
    );
    let gate = workflow.replace(
        &ours("with: { stage: healthgate }"),
        "      - uses: ./.github/actions/gate\n",
    );
    let patient = patient
        .write(".github/workflows/d.yml", &gate)
        .write(ACTION, &deploys);
    let (_, report) = patient.ask(&["--only", "repository/label-*"]);
    assert!(!report.to_string().contains("label-gpu"), "{report:#}");
}

/// A file that a step writes is there again after the checkout.
#[test]
fn a_file_that_a_step_writes_is_not_one_that_the_checkout_deletes() {
    let compose = "services:\n  api: { image: a, secrets: [pw] }\nsecrets: { pw: { file: ./private/pw.txt } }\n";
    let steps = |write: &str| {
        let deploy = "      - run: docker compose up -d api\n";
        let all = format!(
            "      - uses: actions/checkout@v4\n{write}{deploy}{}",
            ours("with: { stage: healthgate }")
        );
        job(&all).replace("ubuntu-latest", "[self-hosted]")
    };
    let patient = Patient::new(GATE).write("compose.yaml", compose);
    std::fs::remove_dir_all(patient.folder.path().join(".git")).unwrap();
    patient.git(&["init", "-q"]);
    patient.git(&["add", "compose.yaml"]);
    let patient = patient.write(".github/workflows/d.yml", &steps(""));
    let found = |patient: &Patient| patient.ask(&["--only", "repository"]).1.to_string();
    assert!(found(&patient).contains("checkout-private/pw.txt"));
    // Compose reads `.env` beside the file by itself.
    let patient = patient.write(".env", "TAG=1\n").write(
        "compose.yaml",
        &compose.replace("image: a", "image: 'a:${TAG}'"),
    );
    assert!(found(&patient).contains("checkout-.env\""));
    // Where the call names another one, that is read instead.
    let call = "docker compose --env-file live.env up -d api";
    let patient = patient
        .write(
            ".github/workflows/d.yml",
            &steps("").replace("docker compose up -d api", call),
        )
        .write("live.env", "TAG=1\n");
    let text = found(&patient);
    assert!(
        text.contains("checkout-live.env\"") && !text.contains("checkout-.env\""),
        "{text}"
    );
    for write in [
        "      - run: echo \"$PW\" >private/pw.txt\n",
        "      - run: install -m 600 /srv/pw.txt private/pw.txt\n",
    ] {
        let patient = Patient::new(GATE).write("compose.yaml", compose);
        std::fs::remove_dir_all(patient.folder.path().join(".git")).unwrap();
        patient.git(&["init", "-q"]);
        patient.git(&["add", "compose.yaml"]);
        let patient = patient.write(".github/workflows/d.yml", &steps(write));
        let text = found(&patient);
        assert!(!text.contains("checkout-private"), "{write}: {text}");
    }
}
