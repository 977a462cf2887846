//! The output of each stage.

use serde_json::json;
use testkit::Postgres;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::snapshots::Folder;

const CONFIGURATION: &str = "version: 1
service: shop
preflight:
  secrets: [{ name: DEPLOY_TOKEN }]
  variables: [{ name: REGION, one-of: [eu, us] }]
healthgate:
  policy: { interval: 20ms, success-threshold: 2, failure-limit: 1, deadline: 10s }
  command: [{ name: live, run: cat live, equals: '${RELEASE}' }]
  release-identity: optional
rollback:
  state: state.json
  command: { run: 'printf %s \"$RELEASE\" >live', current: cat live }
deploy:
  command: 'printf %s \"$RELEASE\" >live'
";

fn shop() -> Folder {
    Folder::new(&[("deploy-guard.yml", CONFIGURATION), ("live", "v1")])
}

#[test]
fn preflight_tells_what_is_missing_and_how_to_set_it() {
    let shop = shop();
    shop.shows("preflight_list", "preflight list");
    shop.shows("preflight_fails", "preflight");
    shop.shows("preflight_dry", "preflight --dry-run");
}

#[test]
fn healthgate_tells_why_it_ended_as_it_did() {
    let shop = shop();
    shop.shows(
        "healthgate_passes",
        "healthgate --release v1 --report gate.json",
    );
    shop.shows(
        "healthgate_fails",
        "healthgate --release v2 --report gate.json",
    );
    shop.shows("healthgate_explain", "healthgate explain gate.json");
    shop.shows("healthgate_dry", "healthgate --release v1 --dry-run");
}

#[test]
fn a_rollback_tells_what_it_does_and_did() {
    let shop = shop();
    shop.shows("rollback_without_a_state", "rollback status");
    shop.shows("rollback_record", "rollback record --release v1");
    shop.shows("rollback_pending", "rollback record --pending --release v2");
    shop.write("live", "v2");
    shop.shows("rollback_decide", "rollback decide --release v2");
    shop.shows("rollback_plan", "rollback plan");
    shop.shows("rollback_run", "rollback run");
    shop.shows("rollback_again", "rollback run");
    shop.shows("rollback_status", "rollback status");
    shop.shows("rollback_known_bad", "rollback record --release v2");
    shop.shows("rollback_resume", "rollback resume");
}

#[test]
fn a_guarded_deployment_tells_its_end_in_one_sentence() {
    let shop = Folder::new(&[
        (
            "deploy-guard.yml",
            &CONFIGURATION.replace("  secrets: [{ name: DEPLOY_TOKEN }]\n  variables: [{ name: REGION, one-of: [eu, us] }]\n", "  secrets: []\n"),
        ),
        ("live", "v1"),
    ]);
    shop.shown("rollback record --release v1");
    shop.shows("run_passes", "deploy-guard run --release v2");
    shop.write(
        "deploy-guard.yml",
        &CONFIGURATION
            .replace("  secrets: [{ name: DEPLOY_TOKEN }]\n  variables: [{ name: REGION, one-of: [eu, us] }]\n", "  secrets: []\n")
            .replace("deploy:\n  command: 'printf %s \"$RELEASE\"", "deploy:\n  command: 'printf broken"),
    );
    shop.shows("run_goes_back", "deploy-guard run --release v3");
}

#[test]
fn a_configuration_is_begun_and_looked_at() {
    let folder = Folder::new(&[]);
    folder.shows("doctor_without_a_configuration", "deploy-guard doctor");
    folder.shows("init_finds_nothing", "deploy-guard init --yes");
}

#[test]
fn a_rollout_tells_each_share_and_its_proof() {
    let (blue, green) = (testkit::Shop::start("v1"), testkit::Shop::start("v2"));
    let nginx = testkit::Nginx::start(&blue.address());
    let (one, other) = (blue.address(), green.address());
    nginx.read(&format!(
        "upstream shop {{\n    server {one};\n    server {other} down;\n}}\n"
    ));
    let configuration = format!(
        "version: 1
service: shop
traffic:
  state: state.json
  stages: [50%, 100%]
  stage-duration: 100ms
  watch-interval: 20ms
  nginx:
    upstream-file: {}
    test: {}
    reload: {}
    blue: {one}
    green: {other}
    release: {{ url: {}, jq: .version }}
",
        nginx.upstream_file().display(),
        nginx.test_command(),
        nginx.reload_command(),
        nginx.url("/api/v1/version"),
    );
    let shop = Folder::new(&[("deploy-guard.yml", &configuration)]);
    shop.shows("traffic_status", "traffic status");
    shop.shows("traffic_plan", "traffic plan --release v2");
    shop.shows("traffic_set", "traffic set 50% --release v2");
    shop.shows("traffic_set_status", "traffic status");
    shop.shows("traffic_abort", "traffic abort --reason tested");
    shop.shows("traffic_ramp", "traffic ramp --release v2");
    shop.shows("traffic_resume", "traffic resume");
    shop.shows("traffic_promote", "traffic promote");
    shop.shows("traffic_switch", "traffic switch");
    shop.shows("traffic_refused", "traffic switch --to v3");
    shop.shows("traffic_history", "traffic history");
}

#[test]
fn an_incident_tells_what_it_is_and_what_was_written() {
    let configuration = "version: 1
service: shop
incident: { state: state.json, stdout: [{ name: here }] }
";
    let shop = Folder::new(&[("deploy-guard.yml", configuration)]);
    shop.shows("incident_nothing", "incident status");
    shop.shows("incident_note_nothing", "incident note alone");
    shop.shows(
        "incident_open",
        "incident open --release v2 --impact degraded slow",
    );
    shop.shows("incident_note", "incident note restarted");
    shop.shows(
        "incident_update",
        "incident update --severity critical --reason sales calmer",
    );
    shop.shows("incident_status", "incident status");
    shop.shows("incident_resolve", "incident resolve healed");
    shop.shows("incident_list", "incident list");
    shop.shows("incident_report", "incident report");
    shop.shows("incident_deliver", "incident deliver");
    shop.shows("incident_watch", "incident watch");
}

#[test]
fn a_person_keeps_the_state_in_order() {
    let shop = shop();
    shop.shown("rollback record --release v1");
    shop.write("live", "v2");
    shop.shown("rollback record --release v2");
    shop.shows("rollback_history", "rollback history");
    shop.shows("rollback_rehearse", "rollback rehearse");
    shop.shows("rollback_record_drill", "rollback record-drill");
    shop.shows("rollback_abort", "rollback abort");
    shop.shows("rollback_unlock", "rollback unlock");
    shop.shows("rollback_unfreeze", "rollback unfreeze");
    shop.shows("rollback_state_validate", "rollback state validate");
    shop.shows("rollback_state_migrate", "rollback state migrate");
    shop.shows("rollback_state_repair", "rollback state repair");
    shop.write("state.json", "{");
    shop.shows("rollback_state_damaged", "rollback state validate");
    shop.shows("rollback_state_repaired", "rollback state repair --yes");
}

#[test]
fn reports_are_put_together_and_repeated() {
    let shop = shop();
    shop.shown("healthgate --release v1 --report gate.json");
    shop.shows(
        "reproduce_check",
        "deploy-guard reproduce gate.json --check",
    );
    shop.shows("reproduce", "deploy-guard reproduce gate.json");
    let web = testkit::Shop::start("v1");
    let configuration = "version: 1
service: shop
healthgate:
  policy: { interval: 20ms, success-threshold: 2, deadline: 10s }
  release-identity: optional
  http: [{ name: web, url: 'http://{target}/health/ready', targets-file: endpoints }]
  canary:
    interval: 1m
    deadline: 60m
    server: http://127.0.0.1:9
    label: release
    metrics: [{ name: errors, kind: ratio, tolerance: 2 }]
";
    let gate = configuration.split("  canary:").next().unwrap();
    shop.write("deploy-guard.yml", gate);
    let address = web.address();
    shop.write("endpoints", &format!("{address}\n"));
    shop.shown("healthgate --shard 1/2 --report one.json");
    shop.shown("healthgate --shard 2/2 --report two.json");
    shop.shows("healthgate_merge", "healthgate merge one.json two.json");
    shop.write("deploy-guard.yml", configuration);
    shop.shows(
        "healthgate_plan",
        "healthgate plan --requests-per-minute 600 --error-rate 1%",
    );
}

#[test]
fn a_migration_tells_what_it_does_and_did() {
    let postgres = Postgres::listening("host all postgres 127.0.0.1/32 trust", None);
    postgres.sql("CREATE DATABASE shop");
    let configuration = "version: 1
service: shop
migrate:
  state: state.json
  dbmate: {}
";
    let mut shop = Folder::new(&[("deploy-guard.yml", configuration)]);
    let tools = testkit::tool("dbmate");
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", tools.parent().unwrap().display());
    let url = format!("{}?sslmode=disable", postgres.url("postgres", "shop"));
    shop.variables = vec![("PATH", path), ("DATABASE_URL", url)];
    shop.write(
        "db/migrations/1_orders.sql",
        "-- migrate:up\nCREATE TABLE orders (id bigint);\n-- migrate:down\nDROP TABLE orders;\n",
    );
    shop.shows("migrate_status", "migrate status");
    shop.shows("migrate_plan", "migrate plan");
    shop.shows("migrate_lint", "migrate lint");
    shop.shows("migrate_backup", "migrate backup");
    shop.shows("migrate_rehearse", "migrate rehearse");
    shop.shows("migrate_dry", "migrate run --release v1 --dry-run");
    shop.shows("migrate_run", "migrate run --release v1");
    shop.shows("migrate_again", "migrate run --release v1");
    shop.shows("migrate_decide", "migrate decide");
    shop.shows("migrate_resume", "migrate resume");
    shop.shows("migrate_undo", "migrate undo --release v1");
    shop.shows(
        "migrate_restore_dry",
        "migrate restore --backup latest --dry-run",
    );
    shop.write("db/migrations/2_bad.sql", "-- migrate:up\nCREATE TABLE\n");
    shop.shows("migrate_lint_finds", "migrate lint");
    shop.shows("migrate_repair", "migrate repair");
}

#[tokio::test]
async fn runners_are_shown_with_what_they_do() {
    let server = MockServer::start().await;
    let runner = |id, name, status, busy| {
        json!({
            "id": id, "name": name, "os": "linux", "status": status, "busy": busy,
            "labels": [{ "name": "self-hosted" }, { "name": "production" }]
        })
    };
    let runners = json!({
        "total_count": 2,
        "runners": [runner(1, "web-01", "online", false), runner(2, "web-02", "offline", false)]
    });
    Mock::given(path("/repos/acme/shop/actions/runners"))
        .respond_with(ResponseTemplate::new(200).set_body_json(runners))
        .mount(&server)
        .await;
    Mock::given(path("/repos/acme/shop/actions/runs"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({ "total_count": 0, "workflow_runs": [] })),
        )
        .mount(&server)
        .await;
    let configuration = "version: 1
service: shop
runner-check:
  pools:
    - { name: primary, labels: [self-hosted, production] }
    - { name: large, labels: [self-hosted, large] }
";
    let mut shop = Folder::new(&[("deploy-guard.yml", configuration)]);
    shop.variables = vec![
        ("GITHUB_API_URL", server.uri()),
        ("GITHUB_TOKEN", "t0ken-value".to_owned()),
        ("GITHUB_REPOSITORY", "acme/shop".to_owned()),
    ];
    // On a thread of its own: the mock server answers on this one.
    let shown = move || {
        shop.shows("runner_check", "runner-check");
        shop.shows(
            "runner_check_fails",
            "runner-check --labels self-hosted,gpu",
        );
        shop.shows("runner_check_dry", "runner-check --dry-run");
        shop.shows("runner_check_list", "runner-check list");
        shop.shows("runner_check_restart", "runner-check restart web-02 --yes");
        shop.shows("runner_check_prune", "runner-check prune web-02 --yes");
        shop.shows(
            "runner_check_start_emergency",
            "runner-check start-emergency --yes",
        );
    };
    tokio::task::spawn_blocking(shown).await.unwrap();
}
