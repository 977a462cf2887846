//! Many endpoints under one probe, against real servers.

use std::fs;

use serde_json::Value;
use testkit::Shop;

/// The gate over a configuration and files beside it; gives exit code and report.
fn gate(files: &[(&str, &str)], args: &[&str]) -> (i32, Value) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let output = testkit::bin("healthgate")
        .current_dir(folder.path())
        .args(["--format", "json", "--interval", "100ms", "--timeout", "3s"])
        .args(args)
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), report)
}

/// Twenty endpoints, of which so many are closed.
fn targets(shop: &Shop, closed: usize) -> String {
    let port = testkit::free_port();
    let mut lines = vec!["# the fleet".to_owned()];
    lines.extend((0..closed).map(|n| format!("127.0.2.{}:{port}", n + 1)));
    lines.extend((closed..20).map(|n| format!("{}/shop-{n} # fine", shop.address())));
    lines.join("\n")
}

const ARGS: [&str; 6] = [
    "--http",
    "http://{target}",
    "--targets-file",
    "fleet",
    "--failure-limit",
    "0",
];

#[test]
fn a_share_of_a_group_may_fail_and_is_named() {
    let shop = Shop::start("v1");
    let fleet = targets(&shop, 1);
    let (code, report) = gate(
        &[("fleet", &fleet)],
        &[&ARGS[..], &["--require", "95%"]].concat(),
    );
    assert_eq!(code, 0, "{report:#}");
    let outcome = &report["outcomes"][0];
    assert_eq!(outcome["subject"], "http://{target}");
    assert_eq!(outcome["expected"], "19 of 20 pass");
    let members = &outcome["members"];
    assert_eq!(
        (members["total"].as_u64(), members["passed"].as_u64()),
        (Some(20), Some(19))
    );
    assert_eq!(members["not_passed"][0]["verdict"], "fail");
    let reason = members["not_passed"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("connection refused"), "{reason}");

    let fleet = targets(&shop, 2);
    let (code, report) = gate(
        &[("fleet", &fleet)],
        &[&ARGS[..], &["--require", "95%"]].concat(),
    );
    assert_eq!(code, 1, "{report:#}");
    let reason = report["reason"].as_str().unwrap();
    assert!(
        reason.contains("failed (2) > allowed (1): 127.0.2."),
        "{reason}"
    );
    assert!(reason.contains("connection refused"), "{reason}");
}

#[test]
fn without_a_share_every_member_must_pass() {
    let shop = Shop::start("v1");
    let (code, report) = gate(&[("fleet", &targets(&shop, 1))], &ARGS);
    assert_eq!(code, 1);
    assert!(
        report["reason"]
            .as_str()
            .unwrap()
            .contains("failed (1) > allowed (0)")
    );
    let (code, _) = gate(&[("fleet", &targets(&shop, 0))], &ARGS);
    assert_eq!(code, 0);
    let (code, _) = gate(
        &[("fleet", &targets(&shop, 15))],
        &[&ARGS[..], &["--require", "5"]].concat(),
    );
    assert_eq!(code, 0);
}

#[test]
fn the_release_of_every_member_is_asked() {
    let shop = Shop::start("v1");
    let (code, report) = gate(
        &[("fleet", &targets(&shop, 0))],
        &[&ARGS[..], &["--release", "v2"]].concat(),
    );
    assert_eq!(code, 1);
    let reason = report["reason"].as_str().unwrap();
    assert!(
        reason.contains("release v1 answers, expected v2"),
        "{reason}"
    );
}

#[test]
fn a_list_that_names_nobody_or_is_no_list_is_no_pass() {
    for (text, reason) in [
        (Some(""), "names no endpoint"),
        (Some("# nobody\n\n"), "names no endpoint"),
        (Some("a b"), "line 1 is more than one word"),
        (Some("a\n\u{1b}[31m"), "line 2 is more than one word"),
        (Some("http://[/"), "http://[/"),
        (None, "cannot be read"),
    ] {
        let files: Vec<_> = text.map(|text| ("fleet", text)).into_iter().collect();
        let args = ["--http", "{target}", "--targets-file", "fleet"];
        let (code, report) = gate(&files, &args);
        assert_eq!(code, 4, "{text:?} {report:#}");
        let told = report["reason"].as_str().unwrap();
        assert!(told.contains(reason), "{text:?}: {told}");
    }
    let shop = Shop::start("v1");
    let args = [&ARGS[..], &["--require", "21"]].concat();
    let (code, report) = gate(&[("fleet", &targets(&shop, 0))], &args);
    assert_eq!(code, 4);
    assert!(
        report["reason"]
            .as_str()
            .unwrap()
            .contains("there are only 20")
    );
}

#[test]
fn hosts_of_the_configuration_are_members() {
    let shop = Shop::start("v1");
    let config = |hosts: &str| {
        format!(
            "version: 1
hosts:
  web-01: {{ address: 127.0.0.1 }}
  web-02: {{ address: 127.0.0.2 }}
  db: {{ address: localhost }}
healthgate:
  policy: {{ failure-limit: 0 }}
  http:
    - {{ name: all, url: \"http://{{address}}:{port}/{{host}}\", hosts: {hosts} }}
  tcp:
    - {{ name: ports, address: \"{{address}}:{port}\", hosts: {hosts} }}
",
            port = shop.port()
        )
    };
    let run = |hosts: &str| gate(&[("deploy-guard.yml", &config(hosts))], &[]);
    let (code, report) = run("[web-01, db]");
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["outcomes"][0]["members"]["passed"], 2);
    assert_eq!(report["outcomes"][1]["members"]["passed"], 2);
    // The shop listens on one address only.
    let (code, report) = run("all");
    assert_eq!(code, 1);
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.contains("web-02"), "{reason}");
    let (code, report) = run("\"*-01\"");
    assert_eq!(code, 0);
    assert_eq!(report["outcomes"][0]["members"]["total"], 1);
}

#[test]
fn mistakes_about_groups_are_usage_errors() {
    for (probe, told) in [
        (
            "url: http://a/, hosts: all",
            "every endpoint would get the same request",
        ),
        ("url: 'http://{host}/', hosts: nobody", "no host `nobody`"),
        (
            "url: 'http://{host}/'",
            "nothing is put in the place of `{target}`, `{host}` or `{address}`",
        ),
        (
            "url: 'http://{host}/', hosts: all, targets-file: x",
            "exclude each other",
        ),
        ("url: 'http://a/', require: 95%", "`require` is for"),
        (
            "url: 'http://{host}/', hosts: all, require: 0%",
            "at least one must pass",
        ),
        (
            "url: 'http://{host}/', hosts: all, require: most",
            "neither a count",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "version: 1\nhosts: {{ a: {{ address: b }} }}\nhealthgate: {{ http: [{{ name: x, {probe} }}] }}\n"
        );
        let path = folder.path().join("deploy-guard.yml");
        fs::write(&path, config).unwrap();
        testkit::bin("healthgate")
            .arg("--config")
            .arg(&path)
            .assert()
            .code(2)
            .stderr(predicates::str::contains(told));
    }
    testkit::bin("healthgate")
        .args(["--http", "http://{target}/"])
        .assert()
        .code(2)
        .stderr(predicates::str::contains("--targets-file FILE"));
}
