//! `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`: every stage's requests go through a real proxy, whose
//! own log shows them, and its password is shown nowhere.

use std::path::Path;

use serde_json::json;
use testkit::{Registry, Shop, Tinyproxy};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

const PASSWORD: &str = "p4ss.word-of-the-proxy";
/// As it is written in a URL.
const ENCODED: &str = "p4ss%2Eword-of-the-proxy";

/// Everything that a binary wrote, and its exit code.
struct Ran(i32, String);

/// Runs a binary behind a proxy at `proxy`, as in Actions.
async fn run(
    folder: &Path,
    binary: &str,
    args: &[&str],
    api: &str,
    proxy: &str,
    no_proxy: &str,
) -> Ran {
    let mut command = testkit::bin(binary);
    command
        .current_dir(folder)
        .args(args)
        .args(["-vv", "--report", "report.json", "--summary", "summary.md"])
        .env("HTTP_PROXY", proxy)
        .env("HTTPS_PROXY", proxy)
        .env("NO_PROXY", no_proxy)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_API_URL", api)
        .env("GITHUB_REPOSITORY", "acme/shop")
        .env("GITHUB_RUN_ID", "77")
        .env("GITHUB_TOKEN", "t0ken-value");
    // On a thread of its own: the mock server answers on this one.
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let mut text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    for file in ["report.json", "summary.md"] {
        text.push_str(&std::fs::read_to_string(folder.join(file)).unwrap_or_default());
    }
    let basic = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("robot:{PASSWORD}"))
    };
    for secret in [PASSWORD, ENCODED, basic.as_str(), "robot:"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    Ran(output.status.code().unwrap(), text)
}

/// The servers that the stages query: a service, a metrics server, GitHub, a registry.
struct World {
    shop: Shop,
    registry: Registry,
    api: MockServer,
    folder: tempfile::TempDir,
}

async fn world() -> World {
    let api = MockServer::start().await;
    for (at, answer) in [
        (
            "/repos/acme/shop/actions/runners",
            json!({"total_count": 1, "runners": [{"id": 1, "name": "a", "os": "linux", "status": "online", "busy": false, "labels": [{"name": "gpu"}]}]}),
        ),
        (
            "/repos/acme/shop/actions/runs/77/artifacts",
            json!({"total_count": 1, "artifacts": [{"id": 1, "name": "dist", "size_in_bytes": 9, "expired": false}]}),
        ),
        (
            "/api/v1/query",
            json!({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "0.01"]}]}}),
        ),
    ] {
        Mock::given(path(at))
            .respond_with(ResponseTemplate::new(200).set_body_json(answer))
            .mount(&api)
            .await;
    }
    let (shop, registry) = (Shop::start("v1"), Registry::start());
    registry.push("acme/shop", "v1", "linux/amd64");
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "version: 1
preflight:
  artifacts: [{{ name: dist }}]
  images: [{{ name: shop, image: '{registry}/acme/shop:v1', plain-http: true }}]
runner-check: {{ pools: [{{ name: gpu, labels: [gpu] }}] }}
healthgate:
  policy: {{ interval: 20ms, success-threshold: 2, deadline: 10s }}
  http:
    - {{ name: ready, url: '{ready}', release: {{ url: '{version}', jq: .version }} }}
  prometheus:
    - {{ name: errors, server: '{api}', query: errors, max: 0.5 }}
rollback:
  state: state.json
  command: {{ run: 'true' }}
",
        registry = registry.address(),
        ready = shop.url("/health/ready"),
        version = shop.url("/api/v1/version"),
        api = api.uri(),
    );
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    World {
        shop,
        registry,
        api,
        folder,
    }
}

#[tokio::test]
async fn every_stage_asks_through_the_proxy() {
    let World {
        shop,
        registry,
        api,
        folder,
    } = world().await;
    let shop_address = shop.address();
    let cases: [(&str, &[&str], Vec<String>); 4] = [
        (
            "preflight",
            &[],
            vec![
                format!(
                    "GET {}/repos/acme/shop/actions/runs/77/artifacts",
                    api.uri()
                ),
                format!(
                    "HEAD http://{}/v2/acme/shop/manifests/v1",
                    registry.address()
                ),
            ],
        ),
        (
            "runner-check",
            &[],
            vec![format!("GET {}/repos/acme/shop/actions/runners", api.uri())],
        ),
        (
            "healthgate",
            &["--release", "v1"],
            vec![
                format!("GET http://{shop_address}/health/ready"),
                format!("GET http://{shop_address}/api/v1/version"),
                format!("GET {}/api/v1/query", api.uri()),
            ],
        ),
        (
            // It asks the service what runs, and that is where it would go back to.
            "rollback",
            &["run"],
            vec![format!("GET http://{shop_address}/api/v1/version")],
        ),
    ];
    for (binary, args, requests) in cases {
        if binary == "rollback" {
            for release in ["v2", "v1"] {
                let args = [
                    "record",
                    "--force=not-running",
                    "--reason=test",
                    "--release",
                    release,
                ];
                let Ran(code, text) = run(folder.path(), binary, &args, &api.uri(), "", "").await;
                assert_eq!(code, 0, "{text}");
            }
        }
        let proxy = Tinyproxy::start_private("robot", PASSWORD);
        let address = format!("http://robot:{ENCODED}@{}", proxy.address());
        let Ran(code, text) = run(folder.path(), binary, args, &api.uri(), &address, "").await;
        let expected = if binary == "rollback" { 5 } else { 0 };
        assert_eq!(code, expected, "{binary}: {text}\n{}", proxy.log());
        for request in requests {
            assert!(
                proxy.has_logged(&request),
                "{binary}: {request}\n{}",
                proxy.log()
            );
        }
    }
}

#[tokio::test]
async fn no_proxy_goes_directly() {
    let World {
        shop: _shop,
        registry: _registry,
        api,
        folder,
    } = world().await;
    let proxy = Tinyproxy::start();
    for (binary, args) in [
        ("preflight", &[][..]),
        ("runner-check", &[]),
        ("healthgate", &["--release", "v1"]),
    ] {
        let no_proxy = "example.org,127.0.0.1";
        let Ran(code, text) = run(
            folder.path(),
            binary,
            args,
            &api.uri(),
            &proxy.url(),
            no_proxy,
        )
        .await;
        assert_eq!(code, 0, "{binary}: {text}");
    }
    assert!(!proxy.log().contains("127.0.0.1:"), "{}", proxy.log());
}

#[tokio::test]
async fn a_proxy_that_lets_nobody_in_is_an_error_and_no_failure() {
    let World {
        shop: _shop,
        registry: _registry,
        api,
        folder,
    } = world().await;
    let proxy = Tinyproxy::start_private("robot", "another-password");
    let closed = proxy.url();
    let nobody = format!("http://robot:{ENCODED}@127.0.0.1:{}", testkit::free_port());
    // tinyproxy answers 401 to a wrong password, as if the server asked for one.
    let wrong = format!("http://robot:{ENCODED}@{}", proxy.address());
    for address in [closed, nobody, wrong] {
        for (binary, args) in [
            ("preflight", &[][..]),
            ("runner-check", &[]),
            ("healthgate", &["--release", "v1", "--only", "http"]),
        ] {
            let Ran(code, text) = run(folder.path(), binary, args, &api.uri(), &address, "").await;
            assert_eq!(code, 4, "{binary}: {text}");
            let own = !text.contains("GitHub does not know the token");
            assert!(own && text.contains("prox"), "{binary}: {text}");
        }
    }
}

/// An HTTPS request is a tunnel, and the proxy sees no more than where it leads.
#[tokio::test]
async fn https_is_tunnelled() {
    let proxy = Tinyproxy::start_private("robot", PASSWORD);
    let address = format!("http://robot:{ENCODED}@{}", proxy.address());
    // Only the proxy could resolve this name: the client must not look it up.
    let api = "https://api.ghes.invalid/api/v3";
    let folder = tempfile::tempdir().unwrap();
    let config = "version: 1
preflight:
  timeout: 4s
  artifacts: [{ name: dist }]
  images: [{ name: shop, image: 'registry.invalid/acme/shop:v1' }]
healthgate:
  policy: { interval: 20ms, timeout: 1s, deadline: 1s, error-limit: 1 }
  http: [{ name: ready, url: 'https://shop.invalid/health' }]
  prometheus: [{ name: errors, server: 'https://prometheus.invalid', query: errors, max: 1 }]
";
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    for (binary, args, names) in [
        (
            "preflight",
            &[][..],
            &["api.ghes.invalid", "registry.invalid"][..],
        ),
        ("runner-check", &["--labels", "gpu"], &["api.ghes.invalid"]),
        ("healthgate", &[], &["shop.invalid", "prometheus.invalid"]),
    ] {
        let Ran(code, text) = run(folder.path(), binary, args, api, &address, "").await;
        assert_eq!(code, 4, "{binary}: {text}");
        for name in names {
            let request = format!("CONNECT {name}:443");
            assert!(
                proxy.has_logged(&request),
                "{binary}: {request}\n{}",
                proxy.log()
            );
        }
    }
}
