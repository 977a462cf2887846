//! One gate on several machines, and one verdict over their reports.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::Value;
use testkit::Shop;

const SHARDS: u32 = 3;

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Runs every shard over a list and keeps the reports; also a TCP probe without a group.
fn shards(folder: &Path, shop: &Shop, targets: &[String], require: &str) {
    fs::write(folder.join("fleet"), targets.join("\n")).unwrap();
    let config = format!(
        "version: 1
healthgate:
  policy: {{ interval: 60ms, failure-limit: 0 }}
  http:
    - {{ name: fleet, url: \"http://{{target}}\", targets-file: fleet, require: {require} }}
  tcp:
    - {{ name: port, address: \"{}\" }}
",
        shop.address()
    );
    fs::write(folder.join("deploy-guard.yml"), config).unwrap();
    for n in 1..=SHARDS {
        let output = testkit::bin("healthgate")
            .current_dir(folder)
            .args(["--release", "v1", "--shard", &format!("{n}/{SHARDS}")])
            .args(["--report", &format!("{n}.json")])
            .output()
            .unwrap();
        assert!(output.status.code().is_some());
    }
}

fn merge(folder: &Path, files: &[&str]) -> assert_cmd::assert::Assert {
    testkit::bin("healthgate")
        .current_dir(folder)
        .arg("merge")
        .args(files)
        .args(["--report", "whole.json"])
        .assert()
}

const ALL: [&str; 3] = ["1.json", "2.json", "3.json"];

#[test]
fn every_endpoint_is_asked_by_one_shard_and_the_counts_add_up() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut targets: Vec<_> = (0..30).map(|n| format!("{}/{n}", shop.address())).collect();
    targets.push(format!("127.0.0.1:{}", testkit::free_port()));
    shards(folder, &shop, &targets, "95%");
    let mut asked = 0;
    let mut ports = BTreeSet::new();
    for file in ALL {
        let report = read(&folder.join(file));
        let outcomes = report["outcomes"].as_array().unwrap();
        asked += outcomes[0]["members"]["total"].as_u64().unwrap();
        if outcomes
            .iter()
            .any(|one| one["id"] == "tcp/port" && one["verdict"] == "pass")
        {
            ports.insert(file);
        }
    }
    assert_eq!((asked, ports.len()), (31, 1));
    merge(folder, &ALL).code(0).stdout(contains("v1"));
    let whole = read(&folder.join("whole.json"));
    let longest = ALL.map(|file| read(&folder.join(file))["duration_ms"].as_u64());
    assert!(whole["duration_ms"].as_u64() >= longest.into_iter().max().unwrap());
    let members = &whole["outcomes"][0]["members"];
    assert_eq!(members["passed"], 30);
    assert_eq!(members["failed"], 1);
    assert_eq!(members["not_passed"][0]["member"], *targets.last().unwrap());
    assert_eq!(whole["outcomes"].as_array().unwrap().len(), 2);

    // In another order it is the same.
    merge(folder, &["3.json", "1.json", "2.json"]).code(0);
    let again = read(&folder.join("whole.json"));
    assert_eq!(again["outcomes"], whole["outcomes"]);

    // So is a folder of them.
    fs::create_dir(folder.join("reports")).unwrap();
    for file in ALL {
        fs::copy(folder.join(file), folder.join("reports").join(file)).unwrap();
    }
    merge(folder, &["reports"]).code(0);

    merge(folder, &["1.json", "3.json"])
        .code(3)
        .stdout(contains("shard 2/3: no report of it"));
    merge(folder, &["1.json", "2.json", "3.json", "2.json"])
        .code(3)
        .stdout(contains("reported more than once: 2.json, 2.json"));
}

#[test]
fn one_shard_may_name_the_short_commit_and_another_the_full_one_where_the_gate_may() {
    const FULL: &str = "0fb16b11f9936e0374948c64e8c3b18db25b6fbf";
    let shop = Shop::start(FULL);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let targets: Vec<_> = (0..6).map(|n| format!("{}/{n}", shop.address())).collect();
    fs::write(folder.join("fleet"), targets.join("\n")).unwrap();
    let gate = |rule: &str| {
        let config = format!(
            "version: 1
healthgate:
  policy: {{ interval: 60ms, failure-limit: 0 }}
  http:
    - name: fleet
      url: \"http://{{target}}\"
      targets-file: fleet
      release: {{ header: x-version{rule} }}
"
        );
        fs::write(folder.join("deploy-guard.yml"), config).unwrap();
        for (n, release) in [(1, &FULL[..7]), (2, FULL), (3, "0FB16B11F9")] {
            testkit::bin("healthgate")
                .current_dir(folder)
                .args(["--release", release, "--shard", &format!("{n}/{SHARDS}")])
                .args(["--report", &format!("{n}.json")])
                .output()
                .unwrap();
        }
    };
    gate(", match: prefix");
    assert_eq!(read(&folder.join("1.json"))["release_match"], "prefix");
    merge(folder, &ALL).code(0);
    for (release, code) in [(FULL, 0), (&FULL[..9], 0), ("0fb16b2", 4)] {
        testkit::bin("healthgate")
            .current_dir(folder)
            .args(["merge", "--release", release])
            .args(ALL)
            .assert()
            .code(code);
    }
    // Without the rule they are three releases.
    gate("");
    assert_eq!(read(&folder.join("1.json")).get("release_match"), None);
    merge(folder, &ALL).code(4).stdout(contains("another gate"));
}

#[test]
fn failures_of_all_shards_together_decide() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let closed = testkit::free_port();
    let mut targets: Vec<_> = (0..18).map(|n| format!("{}/{n}", shop.address())).collect();
    targets.extend((0..3).map(|n| format!("127.0.0.1:{closed}/{n}")));
    shards(folder, &shop, &targets, "90%");
    merge(folder, &ALL)
        .code(1)
        .stdout(contains("failed (3) > allowed (2)").and(contains("connection refused")));
    // The releases differ: they are not of one gate.
    shards(folder, &shop, &targets[..18], "90%");
    let mut other = read(&folder.join("2.json"));
    other["release"] = "v0".into();
    fs::write(folder.join("2.json"), other.to_string()).unwrap();
    merge(folder, &ALL).code(4).stdout(
        contains("it is of another gate: release v0").and(contains("shard 2/3: no report")),
    );
}

#[test]
fn a_shard_with_more_than_its_share_of_failures_still_watches_the_rest() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let targets: Vec<_> = (0..40).map(|n| format!("{}/{n}", shop.address())).collect();
    fs::write(folder.join("long"), targets.join("\n")).unwrap();
    let few: Vec<_> = std::iter::once(format!("127.0.0.1:{}", testkit::free_port()))
        .chain(targets[..9].iter().cloned())
        .collect();
    fs::write(folder.join("few"), few.join("\n")).unwrap();
    // One of ten may fail, and it is more than the share of the shard that asks it.
    let config = "version: 1
healthgate:
  policy: { interval: 50ms, failure-limit: 0 }
  http:
    - { name: few, url: \"http://{target}\", targets-file: few, require: 90% }
    - { name: long, url: \"http://{target}\", targets-file: long, policy: { min-samples: 12 } }
";
    fs::write(folder.join("deploy-guard.yml"), config).unwrap();
    let mut failed = 0;
    for n in 1..=SHARDS {
        let output = testkit::bin("healthgate")
            .current_dir(folder)
            .args(["--shard", &format!("{n}/{SHARDS}")])
            .args(["--report", &format!("{n}.json")])
            .output()
            .unwrap();
        failed += u32::from(output.status.code() == Some(1));
    }
    assert_eq!(failed, 1);
    merge(folder, &ALL).code(0);
}

#[test]
fn the_release_that_is_asked_for_is_the_one_that_was_watched() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    shards(folder, &shop, &[shop.address()], "100%");
    merge(folder, &[&ALL[..], &["--release", "v1"]].concat()).code(0);
    merge(folder, &[&ALL[..], &["--release", "v2"]].concat())
        .code(4)
        .stdout(contains("it is of release v1, not v2"));
}

#[test]
fn hostile_reports_are_told_and_never_pass() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    shards(folder, &shop, &[shop.address()], "100%");
    merge(folder, &ALL).code(0);
    let good = fs::read_to_string(folder.join("1.json")).unwrap();
    let cut = &good[..good.len() / 2];
    let deep = "[".repeat(100_000);
    let foreign = good.replacen("deploy-guard/report/v1", "deploy-guard/report/v9", 1);
    let stranger = good.replacen("deploy-guard/report/v1", "evil \\u001b[31m", 1);
    let stage = good.replacen("\"healthgate\"", "\"preflight\"", 1);
    let shard = good.replacen("\"1/3\"", "\"1/4000000000\"", 1);
    let huge = " ".repeat(65 << 20);
    for (text, told) in [
        ("", "is empty"),
        (cut, "ends in the middle"),
        ("[]", "is not a report"),
        ("{}", "names no schema"),
        (deep.as_str(), "is not JSON"),
        (foreign.as_str(), "deploy-guard/report/v9"),
        (stranger.as_str(), "is not a report"),
        (stage.as_str(), "it is a report of `preflight`"),
        (shard.as_str(), "is not a shard"),
        (huge.as_str(), "larger than 64 MiB"),
    ] {
        fs::write(folder.join("bad.json"), text).unwrap();
        let output = merge(folder, &["1.json", "2.json", "3.json", "bad.json"])
            .code(4)
            .get_output()
            .stdout
            .clone();
        let output = String::from_utf8(output).unwrap();
        assert!(output.contains(told), "{told}: {output}");
        assert!(!output.contains('\u{1b}'), "{output}");
    }
    merge(folder, &["no-such.json"])
        .code(4)
        .stdout(contains("failed to read"));
    merge(folder, &[]).code(2);
}

#[test]
fn a_shard_without_endpoints_says_so_and_the_others_decide() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let targets = [format!("{}/", shop.address())];
    shards(folder, &shop, &targets, "100%");
    let passed = ALL
        .iter()
        .filter(|file| read(&folder.join(file))["verdict"] == "pass")
        .count();
    assert!((1..=2).contains(&passed));
    merge(folder, &ALL).code(0);
}

#[test]
fn merging_needs_no_variables_of_the_configuration() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    shards(folder, &shop, &[shop.address()], "100%");
    let config = "version: 1\nhealthgate: { http: [{ name: x, url: \"http://x/\", headers: { A: \"${UNSET}\" } }] }\n";
    fs::write(folder.join("deploy-guard.yml"), config).unwrap();
    merge(folder, &ALL).code(0);
}

#[test]
fn a_shard_is_written_as_one_of_several() {
    for wrong in ["0/3", "4/3", "3", "1/0", "x"] {
        testkit::bin("healthgate")
            .args(["--http", "http://127.0.0.1:9/", "--shard", wrong])
            .assert()
            .code(2)
            .stderr(contains("is not a shard such as `3/10`"));
    }
}
