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
