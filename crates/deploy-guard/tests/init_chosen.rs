//! A job that deploys into one of several environments, one on Windows, and an address that is a variable: what
//! `deploy-guard init` proposes for one must not be done to another, and must run where it is put.

use std::fs;

struct Ran {
    code: i32,
    printed: String,
    workflow: String,
    configuration: Option<String>,
}

fn patched(flow: &str, files: &[(&str, &str)], flags: &[&str]) -> Ran {
    let path = ".github/workflows/ship.yml";
    let folder = testkit::repository(&[files, &[(path, flow)]].concat());
    let output = testkit::bin("deploy-guard")
        .current_dir(folder.path())
        .args(["init", "--yes"])
        .args(flags)
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        printed: String::from_utf8([output.stdout, output.stderr].concat()).unwrap(),
        workflow: fs::read_to_string(folder.path().join(path)).unwrap(),
        configuration: fs::read_to_string(folder.path().join(".github/deploy-guard.yml")).ok(),
    }
}

/// The conditions of the steps that were added.
fn conditions(workflow: &str) -> Vec<&str> {
    let lines = workflow.lines().map(str::trim);
    lines.filter_map(|line| line.strip_prefix("if: ")).collect()
}

const KAMAL: &str = r#"on:
  push: { branches: [main] }
  workflow_dispatch:
    inputs:
      destination: { type: choice, options: [staging, production], default: staging }
jobs:
  deploy:
    runs-on: ubuntu-latest
    environment: ${{ inputs.destination || 'staging' }}
    steps:
      - uses: actions/checkout@v4
      - uses: webfactory/ssh-agent@v0.9.0
        with: { ssh-private-key: "${{ secrets.SSH_KEY }}" }
      - run: bin/kamal deploy -d ${{ inputs.destination || 'staging' }}
"#;

#[test]
fn a_failed_deployment_to_staging_leaves_production_alone() {
    let files = [
        (
            "config/deploy.yml",
            "service: tickets\nimage: acme/tickets\n",
        ),
        (
            "config/deploy.staging.yml",
            "servers: { web: [203.0.113.7] }\nproxy: { host: staging.tickets.example.com }\n",
        ),
        (
            "config/deploy.production.yml",
            "servers: { web: [203.0.113.8] }\nproxy: { host: tickets.example.com, healthcheck: { path: /up } }\n",
        ),
    ];
    let ran = patched(KAMAL, &files, &["--patch"]);
    assert_eq!(ran.code, 0, "{}", ran.printed);
    let only = "(inputs.destination || 'staging') == 'production'";
    assert_eq!(
        conditions(&ran.workflow),
        [
            only,
            only,
            only,
            "(failure() || cancelled()) && steps.preflight.outcome == 'success'"
        ]
    );
    let told: Vec<&str> = (ran.printed.lines().map(str::trim))
        .filter(|line| line.starts_with("chosen by") || line.starts_with("only where"))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    chosen by      `inputs.destination || 'staging'` (.github/workflows/ship.yml:9): read here as `production`
    only where     (inputs.destination || 'staging') == 'production': what else the job deploys is not guarded
    ");
}

const BRANCHES: &str = r#"on: { push: { branches: [main, develop] } }
jobs:
  deploy:
    runs-on: ubuntu-latest
    environment: ${{ github.ref == 'refs/heads/main' && 'production' || 'development' }}
    env: { TAG: "${{ github.sha }}" }
    steps:
      - uses: actions/checkout@v4
      - run: docker push acme/mill:$TAG
      - uses: appleboy/ssh-action@v1
        with:
          host: ${{ secrets.HOST }}
          username: deploy
          key: ${{ secrets.KEY }}
          envs: TAG
          script: |
            cd /srv/mill
            docker compose up -d web
      - run: curl -fsS ${{ vars.URL }}/healthz
"#;

#[test]
fn an_address_of_a_variable_is_asked_where_the_branch_is_the_environments() {
    let files = [(
        "compose.yaml",
        "services: { web: { image: \"acme/mill:${TAG}\" } }\n",
    )];
    let ran = patched(BRANCHES, &files, &["--patch"]);
    assert_eq!(ran.code, 0, "{}", ran.printed);
    let configuration = ran.configuration.unwrap();
    assert!(
        configuration.contains("url: \"${URL}/healthz\""),
        "{configuration}"
    );
    let only = "(github.ref == 'refs/heads/main' && 'production' || 'development') == 'production'";
    assert_eq!(conditions(&ran.workflow)[..3], [only; 3]);
}

const HOSTS: &str = r#"on: { push: { tags: ["v*"] } }
jobs:
  deploy:
    runs-on: ubuntu-latest
    strategy: { max-parallel: 1, matrix: { host: [web1.example.com, web2.example.com] } }
    steps:
      - uses: actions/checkout@v4
      - uses: appleboy/ssh-action@v1
        with: { host: "${{ matrix.host }}", username: deploy, key: "${{ secrets.KEY }}", script: "sudo systemctl restart app" }
      - run: curl -fsS http://${{ matrix.host }}/healthz
"#;

#[test]
fn a_machine_of_each_row_is_not_asked_in_the_name_of_another() {
    let ran = patched(HOSTS, &[], &["--patch"]);
    assert_eq!(ran.code, 0, "{}", ran.printed);
    assert_eq!(ran.configuration, None);
    let own = "url: \"http://${{ matrix.host }}/healthz\"\n";
    assert!(ran.workflow.contains(own), "{}", ran.workflow);
    assert!(
        ran.printed
            .contains("web2.example.com, in other runs of its job")
    );
}

const WINDOWS: &str = r#"on: { push: { branches: [main] } }
jobs:
  deploy:
    runs-on: windows-latest
    environment: { name: production, url: "https://shop.example.com" }
    steps:
      - uses: actions/checkout@v4
      - uses: azure/webapps-deploy@v3
        with: { app-name: shop, publish-profile: "${{ secrets.PROFILE }}", package: out }
"#;

#[test]
fn a_job_on_windows_gets_no_step_that_cannot_run_there() {
    for flags in [&["--patch"][..], &["--kind", "gate", "--patch"]] {
        let ran = patched(WINDOWS, &[], flags);
        assert_eq!((ran.code, ran.workflow.as_str()), (5, WINDOWS));
        assert!(!ran.printed.contains("org/deploy-guard"), "{}", ran.printed);
    }
    let ran = patched(WINDOWS, &[], &[]);
    assert_eq!(ran.code, 0);
    let told: Vec<&str> = (ran.printed.lines())
        .skip_while(|line| !line.contains("is not changed"))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    .github/workflows/ship.yml is not changed: its job `deploy` runs on Windows, where deploy-guard has no binary; a job on Linux that `needs: deploy` can probe the address

    Nothing was written. Next:
      - a job on Linux, after that one, with a step of the gate that probes the address
    ");
}

/// Two jobs of one workflow, neither of which names an environment.
#[test]
fn a_job_is_chosen_by_its_id() {
    let copy = |id: &str, more: &str| {
        format!(
            "  {id}:\n    runs-on: ubuntu-latest\n{more}    steps:\n      - run: rsync -az dist/ app@192.0.2.1:/var/www/{id}\n      - run: curl -f https://{id}.example.com/health\n"
        )
    };
    let flow = format!(
        "on: push\njobs:\n{}{}",
        copy("staging", ""),
        copy("live", "    needs: staging\n")
    );
    let told = |flags: &[&str]| patched(&flow, &[], flags);
    for id in ["staging", "live"] {
        let ran = told(&["--job", id, "--patch"]);
        assert_eq!(ran.code, 0, "{}", ran.printed);
        let gate = format!("          url: \"https://{id}.example.com/health\"\n");
        assert!(ran.workflow.contains(&gate), "{}", ran.workflow);
        assert_eq!(ran.workflow.matches("stage: healthgate").count(), 1);
    }
    assert!(told(&[]).printed.contains("`--job` chooses it"));
    let ran = told(&["--environment", "staging"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.printed, @r"
    error: no workflow deploys to the environment `staging`

    hint: the jobs that deploy name no environment; `--job` chooses one of live, staging
    ");
    let ran = told(&["--job", "lives"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.printed, @r"
    error: no job `lives` deploys

    hint: the jobs that deploy: live, staging
    ");
}
