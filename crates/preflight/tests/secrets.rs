//! What a secret's value must be, kind by kind.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use testkit::Authority;

/// What `preflight` says of one value: its code and both streams.
fn judged(kind: &str, value: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("version: 1\npreflight: {{ secrets: [{{ name: VALUE, {kind} }}] }}\n");
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let output = testkit::bin("preflight")
        .current_dir(folder.path())
        .env("VALUE", value)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    for line in value.lines().filter(|line| line.len() > 3) {
        assert!(!text.contains(line), "{line} in {text}");
    }
    (output.status.code().unwrap(), text)
}

#[track_caller]
fn passes(kind: &str, value: &str) {
    let (code, text) = judged(kind, value);
    assert_eq!(code, 0, "{text}");
}

#[track_caller]
fn fails(kind: &str, value: &str, why: &str) {
    let (code, text) = judged(kind, value);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains(why) && text.contains("hint:"), "{text}");
}

#[test]
fn json_is_parsed_and_not_shown() {
    passes("kind: json", r#"{"type": "service_account"}"#);
    passes("kind: json", "{\n  \"a\": [1, 2]\n}\n");
    fails(
        "kind: json",
        "{\"password\": \"hunter2\"",
        "not JSON, at line 1",
    );
    fails("kind: json", &"[".repeat(100_000), "not JSON");
}

#[test]
fn a_url_has_a_host() {
    passes(
        "kind: url",
        "postgres://shop:pass-word@db.internal:5432/shop",
    );
    fails("kind: url", "db.internal:5432/shop", "a URL without a host");
    fails(
        "kind: url",
        "postgres://shop:pa/ss@db:54x/shop",
        "not a URL",
    );
    fails("kind: url", "https://db.internal/\n", "a line break");
}

#[test]
fn a_certificate_chain_holds_long_enough() {
    let authority = Authority::new();
    let root = std::fs::read_to_string(authority.file()).unwrap();
    let certificate = authority.certificate("shop.test", 10);
    let leaf = certificate.text();
    let kind = "kind: pem-certificate, min-days: 9";
    passes(kind, &leaf);
    passes(kind, &format!("{leaf}{root}"));
    passes(kind, &format!("{leaf}{root}").replace('\n', "\r\n"));
    fails("kind: pem-certificate", &leaf, "days left, fewer than 14");
    fails(kind, &format!("{root}{leaf}"), "out of order or incomplete");
    fails(kind, &leaf[..leaf.len() / 2], "damaged or cut off");
    fails(kind, "hunter2-hunter2", "no `-----BEGIN CERTIFICATE-----`");
    let junk = "-----BEGIN CERTIFICATE-----\naGVsbG8gd29ybGQ=\n-----END CERTIFICATE-----\n";
    fails(kind, junk, "certificate 1 is damaged");
    let key = std::fs::read_to_string(&certificate.key).unwrap();
    passes(kind, &format!("{key}{leaf}{root}"));
    fails(kind, &key, "no `-----BEGIN CERTIFICATE-----`");
    let old = authority.certificate("shop.test", 0).text();
    std::thread::sleep(std::time::Duration::from_secs(1));
    fails(kind, &old, "expired at");
}

#[test]
fn days_are_for_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let config = "version: 1\npreflight:\n  secrets:\n    - { name: A, min-days: 3 }\n";
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    testkit::bin("preflight")
        .current_dir(folder.path())
        .assert()
        .code(2)
        .stderr(contains("4:").and(contains("`kind: pem-certificate`")));
}
