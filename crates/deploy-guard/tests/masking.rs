//! Eight secrets, one of them JSON and two with several lines: no output holds any line of them, and
//! outputs survive the runner's masking, which drops an output with a line of a secret in it.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use serde_json::json;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

const SECRETS: [(&str, &str); 8] = [
    ("PLAIN", "correct-horse-battery-staple"),
    (
        "DATABASE_URL",
        "postgres://shop:p4ssw0rd-of-db@db.internal/shop",
    ),
    // Pretty JSON: its lines `[`, `{`, `}` and `]` become masks too.
    (
        "GOOGLE",
        "[\n  {\n    \"client_email\": \"robot@acme.iam\",\n    \"private_key\": \"k3y-material-1\"\n  }\n]",
    ),
    (
        "KEY",
        "-----BEGIN THING-----\nbGluZS1vbmUtb2YtdGhlLWtleQ\nbGluZS10d28tb2YtdGhlLWtleQ\n-----END THING-----\n",
    ),
    ("BOT_TOKEN", "ghp_aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"),
    ("REGISTRY_PASSWORD", "r3gistry+pa/ss=word"),
    ("HEADER", "Bearer header-s3cret-value"),
    ("QUOTED", "\"quoted \\ secret\" with 'signs' & <tags>"),
];

/// What the runner masks: each secret, and each of its lines.
fn masks() -> Vec<String> {
    let mut all = Vec::new();
    for (_, secret) in SECRETS {
        all.push(secret.trim_end().to_owned());
        all.extend(
            secret
                .lines()
                .flat_map(|line| [line.to_owned(), line.trim().to_owned()]),
        );
    }
    all.retain(|mask| !mask.is_empty());
    all
}

/// A GitHub, a service and a metrics server that echo everything they ever received.
async fn gossip() -> MockServer {
    let server = MockServer::start().await;
    let said: Vec<&str> = SECRETS.iter().map(|(_, secret)| *secret).collect();
    let checks: Vec<_> = said
        .iter()
        .map(|name| json!({"id": 1, "name": name, "status": "completed", "conclusion": "failure", "html_url": format!("https://x.example/{name}")}))
        .collect();
    let artifacts: Vec<_> = said
        .iter()
        .map(|name| json!({"id": 1, "name": name, "size_in_bytes": 1, "expired": true}))
        .collect();
    for (at, body) in [
        (
            "/repos/acme/shop/actions/runners",
            json!({"total_count": 1, "runners": [{"id": 1, "name": said[2], "os": "linux", "status": "online", "busy": false, "labels": [{"name": "gpu"}, {"name": "self-hosted"}]}]}),
        ),
        (
            "/repos/acme/shop/commits/abc/check-runs",
            json!({"total_count": 8, "check_runs": checks}),
        ),
        (
            "/repos/acme/shop/commits/abc/status",
            json!({"total_count": 0, "statuses": []}),
        ),
        (
            "/repos/acme/shop/actions/runs/77/artifacts",
            json!({"total_count": 8, "artifacts": artifacts}),
        ),
        ("/user", json!({"login": said[7]})),
        ("/health", json!({"version": said[3], "all": said})),
    ] {
        Mock::given(path(at))
            .respond_with(ResponseTemplate::new(200).set_body_json(body))
            .mount(&server)
            .await;
    }
    server
}

fn config(server: &MockServer) -> String {
    format!(
        "version: 1
preflight:
  secrets:
    - {{ name: PLAIN, max-age: 90d }}
    - {{ name: DATABASE_URL, kind: url }}
    - {{ name: GOOGLE, kind: json }}
    - {{ name: KEY, kind: ssh-private-key }}
    - {{ name: BOT_TOKEN, kind: token, token: {{ login: robot }} }}
    - {{ name: REGISTRY_PASSWORD, kind: pem-certificate }}
    - {{ name: QUOTED, kind: json }}
  checks: [{{ name: ci, commit: abc }}]
  artifacts: [{{ name: dist }}]
runner-check: {{ pools: [{{ name: gpu, labels: [self-hosted, gpu] }}] }}
healthgate:
  policy: {{ interval: 20ms, failure-limit: 1, deadline: 3s }}
  http:
    - {{ name: ready, url: '{0}/health', headers: {{ Authorization: '${{HEADER}}' }}, jq: .all == 1 }}
    - {{ name: version, url: '{0}/health', release: {{ jq: .version }} }}
",
        server.uri()
    )
}

/// Runs a binary as in Actions: all that it wrote, and its outputs.
async fn run(
    server: &MockServer,
    folder: &Path,
    binary: &str,
    args: &[&str],
) -> (String, BTreeMap<String, String>) {
    let mut command = testkit::bin(binary);
    command
        .current_dir(folder)
        .args(args)
        .args(["-vv", "--report", "report.json"])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_API_URL", server.uri())
        .env("GITHUB_REPOSITORY", "acme/shop")
        .env("GITHUB_RUN_ID", "77")
        .env("GITHUB_TOKEN", "t0ken-value")
        .env("GITHUB_STEP_SUMMARY", folder.join("summary.md"))
        .env("GITHUB_OUTPUT", folder.join("output"))
        .envs(SECRETS);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let mut all = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    for file in ["report.json", "summary.md", "output"] {
        all.push_str(&std::fs::read_to_string(folder.join(file)).unwrap());
    }
    let text = std::fs::read_to_string(folder.join("output")).unwrap();
    std::fs::remove_file(folder.join("output")).unwrap();
    let mut outputs = BTreeMap::new();
    let mut lines = text.lines();
    while let Some((name, delimiter)) = lines.next().and_then(|line| line.split_once("<<")) {
        let value: Vec<&str> = lines
            .by_ref()
            .take_while(|line| *line != delimiter)
            .collect();
        outputs.insert(name.to_owned(), value.join("\n"));
    }
    (all, outputs)
}

#[tokio::test]
async fn no_output_holds_a_line_of_a_secret_and_outputs_survive_the_masks() {
    let server = gossip().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("deploy-guard.yml"), config(&server)).unwrap();
    let masks = masks();
    let dropped = |value: &str| masks.iter().any(|mask| value.contains(mask.as_str()));
    let runs: [(&str, &[&str]); 6] = [
        ("preflight", &[]),
        ("preflight", &["--format", "json"]),
        ("preflight", &["list"]),
        ("runner-check", &[]),
        ("healthgate", &["--release", "v1"]),
        ("healthgate", &["--release", "v1", "--format", "json"]),
    ];
    let mut hidden = 0;
    for (binary, args) in runs {
        let (all, outputs) = run(&server, folder.path(), binary, args).await;
        // Up to three characters reveal nothing, and occur in every text.
        for mask in masks.iter().filter(|mask| mask.len() > 3) {
            assert!(
                !all.contains(mask.as_str()),
                "{binary} {args:?} tells {mask:?}:\n{all}"
            );
        }
        hidden += all.matches("***").count();
        assert!(outputs.contains_key("verdict"), "{outputs:?}");
        for (name, value) in &outputs {
            if !dropped(value) {
                continue;
            }
            let encoded = outputs.get(&format!("{name}-base64"));
            let encoded = encoded.unwrap_or_else(|| panic!("{name} is lost: {value}"));
            assert!(!dropped(encoded), "{name}-base64 is dropped too: {encoded}");
            let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
            assert_eq!(engine.decode(encoded).unwrap(), value.as_bytes());
        }
        if binary == "runner-check" {
            assert_eq!(outputs["runs-on"], r#"["self-hosted","gpu"]"#, "{all}");
            assert!(dropped(&outputs["runs-on"]), "the case of the issue");
            assert_eq!(outputs["runs-on-flat"], r#""self-hosted","gpu""#);
            assert!(!dropped(&outputs["runs-on-flat"]));
        }
    }
    // The secrets did come by, many times.
    assert!(hidden > 20, "{hidden}");
}
