//! The output of each stage.

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
