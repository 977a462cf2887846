//! Every request of preflight's is valid by GitHub's own description, of github.com and of a GHES.

const CONFIG: &str = "version: 1
github: { app: { id: 12345, key-env: APP_KEY } }
preflight:
  deadline: 60s
  timeout: 30s
  artifacts:
    - { name: dist, min-size: 1 }
    - { name: other, artifact: Rails, workflow: build.yml, branch: main, same-commit: true }
  checks:
    - { name: ci, required: ['*'], code-scanning: { severity: low, ref: refs/heads/main, tool: CodeQL } }
    - { name: token, token-env: GITHUB_TOKEN, ignored: [none], wait: 1s }
  staging: [{ environment: staging, max-age: 1h }]
  deployments: [{ environment: production }]
  secrets:
    - { name: A, max-age: 90d }
    - { name: B, max-age: 90d, stored: { environment: production } }
    - { name: C, max-age: 90d, stored: { organization: octo-org } }
    - name: GITHUB_TOKEN
      kind: token
      token:
        permissions: [actions, administration, checks, contents, deployments, issues, pull-requests, secrets, statuses, variables, organization-self-hosted-runners, organization-secrets]
";

fn key() -> String {
    let output = std::process::Command::new("openssl")
        .args(["genrsa", "2048"])
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_request_fits_githubs_description() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("deploy-guard.yml"), CONFIG).unwrap();
    for prism in [testkit::Prism::github(), testkit::Prism::ghes()] {
        let output = testkit::bin("preflight")
            .current_dir(folder.path())
            .args(["--report", "report.json"])
            .env("GITHUB_API_URL", prism.url())
            .env("GITHUB_REPOSITORY", "octocat/hello-world")
            .env("GITHUB_RUN_ID", "1")
            .env("GITHUB_SHA", "6dcb09b5b57875f334f61aebed695e2e4193db5e")
            .env("GITHUB_TOKEN", "t0ken-value")
            .env("APP_KEY", key())
            .envs([("A", "a-value"), ("B", "b-value"), ("C", "c-value")])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let report = std::fs::read(folder.path().join("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        let outcomes = report["outcomes"].as_array().unwrap();
        assert_eq!(outcomes.len(), 15, "{text}");
        // A request that does not fit gets 4xx, which is an error; the examples are old and small,
        // so their verdicts say nothing else.
        for outcome in outcomes {
            assert_ne!(
                outcome["verdict"],
                "error",
                "{outcome}\n{}",
                prism.process().log()
            );
        }
        let log = prism.process().log();
        for word in ["422", "Violation", "violation"] {
            assert!(!log.contains(word), "{log}");
        }
    }
}
