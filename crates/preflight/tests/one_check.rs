//! `preflight` with a configuration of one check.

use tempfile::TempDir;

/// A folder with this configuration, and `preflight` there with a report as JSON.
pub(crate) fn configured(config: &str) -> (TempDir, assert_cmd::Command) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let mut command = testkit::bin("preflight");
    command
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .args(["--format", "json"]);
    (folder, command)
}

/// The exit code and the one outcome; every outcome has expected and actual, and says what to do
/// where it is not good.
pub(crate) fn outcome(command: &mut assert_cmd::Command) -> (i32, serde_json::Value) {
    let output = command.output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let outcome = report["outcomes"][0].clone();
    for key in ["expected", "actual"] {
        assert!(outcome[key].is_string(), "{key}: {outcome}");
    }
    if outcome["verdict"] != "pass" {
        for key in ["reason", "hint"] {
            assert!(outcome[key].is_string(), "{key}: {outcome}");
        }
    }
    (output.status.code().unwrap(), outcome)
}
