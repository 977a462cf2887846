//! Secrets have no way out: a canary in each place where text comes from, looked for in each place
//! where text goes.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use tempfile::TempDir;

/// Every kind of character that some encoding changes, and two lines.
const CANARY: &str = "c4nary/s3cret+\"v<a>l&ue\"\nsecond-l1ne-of-it";

/// What must not be found: the canary, its lines, and the ways to write it.
fn forms() -> Vec<String> {
    let mut forms = vec![CANARY.to_owned()];
    forms.extend(CANARY.lines().map(str::to_owned));
    forms.extend([
        "c4nary%2Fs3cret%2B%22v%3Ca%3El%26ue%22".to_owned(),
        "c4nary/s3cret+\\\"v<a>l&ue\\\"".to_owned(),
        "c4nary/s3cret+\"v&lt;a&gt;l&amp;ue\"".to_owned(),
        "YzRuYXJ5L3MzY3JldCsidjxhPmwmdWUi".to_owned(),
        "c2Vjb25kLWwxbmUtb2YtaX".to_owned(),
    ]);
    forms
}

/// A server that sends back all it was sent, as status text, header and body.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut request = [0; 8192];
                let length = stream.read(&mut request).unwrap_or(0);
                let text = String::from_utf8_lossy(&request[..length]).into_owned();
                let body = format!("{{\"version\": {CANARY:?}, \"plain\": {text:?}}}");
                let _ = stream.write_all(
                    format!(
                        "HTTP/1.1 200 OK\r\nX-Echo: second-l1ne-of-it\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    )
                    .as_bytes(),
                );
            });
        }
    });
    address
}

fn site(address: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        r#"version: 1
service: shop
preflight:
  timeout: 2s
  secrets:
    - {{ name: API_TOKEN, kind: ssh-private-key }}
    - {{ name: CANARY }}
  images:
    - {{ name: a, image: "{address}/acme/shop:v1", username-env: USER_NAME, password-env: API_TOKEN }}
healthgate:
  policy: {{ interval: 20ms, timeout: 1s, failure-limit: 1, deadline: 3s }}
  http:
    - name: echo
      url: http://{address}/?q=1
      headers: {{ X-Token: "${{HEADER}}" }}
      jq: .plain == "no"
    - name: header
      url: http://{address}/
      expect-headers: {{ X-Echo: "^nothing$" }}
    - name: user
      url: http://${{URL_PASSWORD}}@127.0.0.1:1/
rollback:
  state: state.json
  command:
    run: 'printf "%s\n" "$CANARY"; printf "%s\n" "$CANARY" >&2; exit 1'
    check: 'true'
deploy:
  command: 'printf "%s" "$CANARY" | base64 -w0; echo; printf "%s\n" "$CANARY"; echo "::error::$CANARY"'
"#
    );
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    folder
}

/// Runs a binary as in Actions; everything that it wrote anywhere.
fn everything(folder: &TempDir, binary: &str, args: &[&str]) -> String {
    let mut command = testkit::bin(binary);
    let output = command
        .current_dir(folder.path())
        .args(args)
        .args(["-vv", "--report", "report.json"])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", folder.path().join("summary.md"))
        .env("GITHUB_OUTPUT", folder.path().join("output"))
        .env("API_TOKEN", CANARY)
        .env("CANARY", CANARY)
        .env("HEADER", "second-l1ne-of-it")
        .env("URL_PASSWORD", "second-l1ne-of-it")
        .env("USER_NAME", "robot")
        .env("GITHUB_TOKEN", "second-l1ne-of-it")
        .output()
        .unwrap();
    let mut all = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let mut folders = vec![folder.path().to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .file_name()
                .is_some_and(|name| name != "deploy-guard.yml")
            {
                all.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
            }
        }
    }
    assert!(!all.is_empty());
    all
}

#[test]
fn no_output_of_any_stage_holds_a_secret() {
    let address = echo();
    let folder = site(&address);
    let runs: &[(&str, &[&str])] = &[
        ("preflight", &["--release", "v1"]),
        ("healthgate", &["--release", "v1"]),
        ("healthgate", &["--release", "v1", "--format", "json"]),
        ("rollback", &["record", "--release", "v1"]),
        ("rollback", &["run", "--release", "v2", "--format", "json"]),
        ("rollback", &["status"]),
        ("rollback", &["resume"]),
        (
            "runner-check",
            &["--labels", "second-l1ne-of-it", "--repo", "acme/shop"],
        ),
        (
            "deploy-guard",
            &[
                "run",
                "--release",
                "v2",
                "--only",
                "secrets/CANARY",
                "http",
                "release",
            ],
        ),
        // A secret where it does not belong: in an error about the configuration.
        (
            "healthgate",
            &["--environment", "second-l1ne-of-it", "--interval", "1s"],
        ),
    ];
    let mut hidden = 0;
    for (binary, args) in runs {
        let all = everything(&folder, binary, args);
        for form in forms() {
            assert!(
                !all.contains(&form),
                "{binary} {args:?} tells {form:?}:\n{all}"
            );
        }
        hidden += all.matches("***").count();
    }
    // The canary did come through, everywhere where text may come from.
    assert!(hidden > 20, "{hidden}");
}

#[test]
fn an_error_about_the_configuration_holds_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("deploy-guard.yml"),
        "version: 1\npreflight: { secrets: [{ name: API_TOKEN }] }\nhealthgate: { policy: { interval: '${API_TOKEN}' } }\n",
    )
    .unwrap();
    let output = testkit::bin("healthgate")
        .current_dir(folder.path())
        .env("API_TOKEN", "c4nary-of-the-configuration")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("***") && !text.contains("c4nary"), "{text}");
}
