//! The page of a report in a real browser: on a phone and on a desk, light and dark, and by axe.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::path::Path;

use serde_json::{Value, json};
use testkit::{Nginx, Shop, browser};

fn gate(folder: &Path, http: &Value) -> assert_cmd::assert::Assert {
    let policy = json!({"interval": "30ms", "failure-limit": 3, "success-threshold": 9});
    let config =
        json!({"version": 1, "service": "shop", "healthgate": {"policy": policy, "http": http}});
    std::fs::write(folder.join("deploy-guard.yml"), config.to_string()).unwrap();
    testkit::bin("healthgate")
        .current_dir(folder)
        .args(["--html", "page.html"])
        .assert()
}

#[test]
fn a_phone_and_a_screen_reader_can_read_it_and_the_table_sorts() {
    let (shop, ill) = (
        Shop::start("v1"),
        Nginx::serving(
            "server { listen 127.0.0.1:PORT; return 503 '</pre><img src=x onerror=alert(1)><script>alert(2)</script>'; }",
        ),
    );
    let folder = tempfile::tempdir().unwrap();
    let http = json!([
        {"name": "zebra", "url": shop.url("/"), "max-latency": "800ms"},
        {"name": "<img src=x>", "url": ill.url("/a/long/path/that/no/phone/can/show/in/one/line/of/text?and=more"), "max-latency": "400ms"},
        {"name": "apple", "url": shop.url("/")},
    ]);
    gate(folder.path(), &http).code(1);
    let seen = browser::page(&folder.path().join("page.html"));
    assert_eq!(seen["views"], 4);
    for nothing in ["violations", "wide", "problems"] {
        assert_eq!(seen[nothing], json!([]), "{seen:#}");
    }
    assert_eq!(seen["requests"], 0);
    // Our own script, and axe.
    assert_eq!(seen["elements"], json!({"img": 0, "a": 0, "scripts": 2}));
    let ids = |key: &str| -> Vec<String> {
        let cells = seen[key].as_array().unwrap().iter();
        cells
            .map(|cell| cell.as_str().unwrap()[..8].to_owned())
            .collect()
    };
    assert_eq!(ids("sorted"), ["http/<im", "http/app", "http/zeb"]);
    assert_eq!(ids("backwards"), ["http/zeb", "http/app", "http/<im"]);
    let drawings = seen["drawings"].as_array().unwrap();
    assert!(drawings.len() >= 2 && seen["painted"] == true, "{seen:#}");
    assert!(
        drawings[1].as_str().unwrap().starts_with("Latency over "),
        "{seen:#}"
    );
}

#[test]
fn a_page_that_cannot_be_written_is_said_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    testkit::bin("healthgate")
        .current_dir(folder.path())
        .args([
            "--http",
            "http://127.0.0.1:1/",
            "--html",
            "no/such/page.html",
        ])
        .assert()
        .code(2)
        .stderr(predicates::str::contains(
            "cannot write the report to no/such/page.html",
        ));
}
