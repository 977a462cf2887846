//! Which release answered: every success that counts must name it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

const V1: &str = r#"{"status":"ok","version":"v1"}"#;
const V2: &str = r#"{"status":"ok","version":"v2"}"#;
const SILENT: &str = r#"{"status":"ok"}"#;

/// A server that gives these answers one after the other, the last one for ever; its port.
fn answering(host: &str, port: u16, kind: &'static str, answers: &[&str]) -> u16 {
    let listener = TcpListener::bind((host, port)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
    thread::spawn(move || {
        let asked = AtomicUsize::new(0);
        for stream in listener.incoming().flatten() {
            let nth = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            // A client that goes away ends its own connection and nothing else.
            drop(answer(&stream, kind, &answers[nth]));
        }
    });
    port
}

fn answer(mut stream: &TcpStream, kind: &str, body: &str) -> std::io::Result<()> {
    let mut head = BufReader::new(stream).lines();
    while head
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn server(answers: &[&str]) -> u16 {
    answering("127.0.0.1", 0, "application/json", answers)
}

/// The gate's exit code and its report, for these probes under these rules.
fn gate(release: &str, policy: &str, more: &str) -> (i32, Value) {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "version: 1\nhealthgate:\n  policy: {{ interval: 10ms, timeout: 2s, deadline: 5s, {policy} }}\n{more}"
    );
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let output = testkit::bin("healthgate")
        .current_dir(folder.path())
        .args(["--release", release, "--format", "json"])
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), report)
}

fn http(name: &str, port: u16, more: &str) -> String {
    format!("  http: [{{ name: {name}, url: 'http://127.0.0.1:{port}/'{more} }}]\n")
}

#[track_caller]
fn ends(got: (i32, Value), code: i32, why: &str) {
    let (ended, report) = got;
    let outcomes = report["outcomes"].to_string();
    assert_eq!(ended, code, "{outcomes}");
    assert!(outcomes.contains(why), "{why:?} is missing: {outcomes}");
}

#[test]
fn hg_release_once_named_must_be_named_by_every_success_in_a_row() {
    let turns: Vec<&str> = [V2, SILENT].repeat(20);
    let late = [SILENT, SILENT, V2, SILENT];
    for (answers, policy) in [
        (&[V2, SILENT][..], "success-threshold: 10"),
        (&turns, "success-threshold: 10"),
        (&late, "success-threshold: 3"),
        (&[V2, V2, V2, SILENT], "success-threshold: 3, soak: 300ms"),
        (&[V2, SILENT], "success-threshold: 1, min-samples: 4"),
    ] {
        let got = gate("v2", policy, &http("it", server(answers), ""));
        ends(
            got,
            3,
            "expected release v2, but the answer names no release",
        );
    }
    // Those before the first name do not count, and it may still pass.
    let waking = [SILENT, SILENT, V2];
    let port = server(&waking);
    let got = gate("v2", "success-threshold: 3", &http("it", port, ""));
    ends(got, 0, "status 200, release v2");
    let optional = format!(
        "  release-identity: optional\n{}",
        http("it", server(&[V2, SILENT]), "")
    );
    let (code, report) = gate("v2", "success-threshold: 3", &optional);
    assert_eq!(code, 0, "silence is accepted: {report}");
}

#[test]
fn hg_release_other_named_within_the_failure_limit_is_not_forgotten() {
    let port = server(&[V1, SILENT]);
    let got = gate("v2", "failure-limit: 3", &http("it", port, ""));
    ends(got, 1, "release v1");
    // The old release may answer at first.
    let port = server(&[V1, V1, V2]);
    let got = gate("v2", "failure-limit: 3", &http("it", port, ""));
    ends(got, 0, "release v2");
}

#[test]
fn hg_release_other_still_answering_voids_what_passed_without_a_name() {
    let page = |page: &[&str], more: &str| {
        let port = answering("127.0.0.1", 0, "text/plain", page);
        format!(
            "    - {{ name: page, url: 'http://127.0.0.1:{port}/', body-regex: works, {more} }}\n"
        )
    };
    let version = |answers: &[&str], more: &str| {
        let port = server(answers);
        format!("  http:\n    - {{ name: it, url: 'http://127.0.0.1:{port}/'{more} }}\n")
    };
    let once = "policy: { success-threshold: 1 }";
    let policy = "success-threshold: 3, failure-limit: 3";
    // The page of the old release works, the one of the new release does not.
    let probes = version(&[V2, V1, V1, V2], "") + &page(&["works", "broken"], once);
    ends(gate("v2", policy, &probes), 1, "does not match");
    // It works in both: it is probed again, and passes.
    let probes = version(&[V2, V1, V1, V2], "") + &page(&["works"], once);
    let (code, report) = gate("v2", policy, &probes);
    let asked = &report["outcomes"][1]["measurements"];
    assert_eq!(code, 0, "{report}");
    assert!(asked.as_array().unwrap().len() > 1, "{asked}");
    // An advisory probe may look at the other release on purpose.
    let mut probes = version(&[V2], "") + &page(&["works", "broken"], once);
    let other = server(&[V1]);
    probes +=
        &format!("    - {{ name: other, url: 'http://127.0.0.1:{other}/', severity: advisory }}\n");
    ends(gate("v2", policy, &probes), 0, "release v2");
    // The rest of the deadline may be too short, and the reason explains why it counts again.
    let short = "policy: { success-threshold: 1, deadline: 100ms }";
    let later = ", policy: { initial-delay: 300ms }";
    let probes = version(&[V1, V2], later) + &page(&["works"], short);
    let got = gate("v2", policy, &probes);
    ends(got, 3, "is not counted: release v1 still answered");
}

#[test]
fn hg_release_addresses_must_all_name_the_release_that_one_of_them_names() {
    let kind = "application/json";
    let port = answering("127.0.0.1", 0, kind, &[V2]);
    answering("127.0.0.2", port, kind, &[SILENT]);
    answering("127.0.0.3", port, kind, &[V2]);
    for (addresses, code, why) in [
        (
            "127.0.0.1, 127.0.0.2",
            3,
            "127.0.0.2: the answer names no release",
        ),
        (
            "127.0.0.2, 127.0.0.1",
            3,
            "1 of 2 addresses name their release",
        ),
        ("127.0.0.3, 127.0.0.1", 0, "release v2"),
    ] {
        let more = format!(", resolve: [{addresses}]");
        let got = gate("v2", "success-threshold: 2", &http("all", port, &more));
        ends(got, code, why);
    }
    // Beside a probe that proves it, too.
    let both = format!(
        "  http:\n    - {{ name: one, url: 'http://127.0.0.1:{port}/' }}\n    - {{ name: all, url: 'http://127.0.0.1:{port}/', resolve: [127.0.0.1, 127.0.0.2] }}\n"
    );
    ends(gate("v2", "success-threshold: 2", &both), 3, "http/all");
    let one = ", resolve: [127.0.0.2, 127.0.0.1], addresses: one";
    let got = gate("v2", "success-threshold: 2", &http("one", port, one));
    ends(got, 0, "release v2");
}

#[test]
fn every_member_of_a_group_must_name_the_release_that_one_of_them_names() {
    let named = server(&[V2]);
    let (silent, other) = (server(&[SILENT]), server(&[SILENT]));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets");
    let members = format!("127.0.0.1:{silent}\n127.0.0.1:{named}\n127.0.0.1:{other}\n");
    std::fs::write(&file, members).unwrap();
    for (require, code) in [("100%", 3), ("2", 3), ("1", 0)] {
        let group = format!(
            "  http: [{{ name: shop, url: 'http://{{target}}/', targets-file: '{}', require: {require} }}]\n",
            file.display()
        );
        // Long enough that each is probed before one of them has passed.
        let (ended, report) = gate("v2", "success-threshold: 30", &group);
        assert_eq!(ended, code, "{require}: {report}");
    }
}

#[test]
fn hg_release_advisory_probes_prove_no_release() {
    let (named, silent) = (server(&[V2]), server(&[SILENT]));
    let two = |release: &str, severity: &str| {
        let probes = format!(
            "  http:\n    - {{ name: a, url: 'http://127.0.0.1:{named}/', severity: {severity} }}\n    - {{ name: b, url: 'http://127.0.0.1:{silent}/' }}\n"
        );
        gate(release, "success-threshold: 2, failure-limit: 0", &probes)
    };
    ends(
        two("v2", "advisory"),
        3,
        "only an advisory probe names its release",
    );
    ends(
        two("v3", "advisory"),
        3,
        "only an advisory probe names a release, and it is v2",
    );
    // A probe without a release is accepted beside a required one that names it.
    ends(two("v2", "required"), 0, "release v2");
    ends(two("v3", "required"), 1, "release v2 answers, expected v3");
}

#[test]
fn a_release_with_a_long_name_is_compared_whole() {
    let long = format!("2026.11.28-{}end", "feature-".repeat(20));
    let other = format!("{long}x");
    for (told, code) in [(&long, 0), (&other, 1)] {
        let body = format!(r#"{{"version":"{told}"}}"#);
        let port = server(&[&body]);
        let policy = "failure-limit: 0";
        let got = gate(&long, policy, &http("it", port, ""));
        ends(got, code, told);
        let source = ", release: { jq: .version, match: prefix }";
        ends(gate(&long, policy, &http("it", port, source)), code, told);
    }
}

#[test]
fn health_json_names_its_release_by_release_id_and_not_by_the_version_of_its_api() {
    let body = r#"{"status":"pass","version":"1","releaseId":"v2"}"#;
    let api = r#"{"status":"pass","version":"v2"}"#;
    let kind = "application/health+json";
    for (body, release, code) in [(body, "v2", 0), (body, "1", 1), (api, "v2", 3)] {
        let port = answering("127.0.0.1", 0, kind, &[body]);
        let (ended, report) = gate(release, "failure-limit: 0", &http("it", port, ""));
        assert_eq!(ended, code, "{body} {release}: {report}");
    }
}

#[test]
fn match_prefix_2_0_1_is_2_0_10_a_prefix_ends_at_a_boundary_and_a_commit_id_may_be_cut() {
    let full = "0fb16b11f9936e0374948c64e8c3b18db25b6fbf";
    for (release, told, code) in [
        ("2.0.1", "2.0.1+0fb16b1", 0),
        ("2.0.1", "2.0.10+0fb16b1", 1),
        ("2.0.1", "2.0", 1),
        (full, "0FB16B1", 0),
        ("0fb16b1", full, 0),
        (full, "0fb16b", 1),
    ] {
        let body = format!(r#"{{"version":"{told}"}}"#);
        let source = ", release: { jq: .version, match: prefix }";
        let got = gate(
            release,
            "failure-limit: 0",
            &http("it", server(&[&body]), source),
        );
        ends(got, code, told);
    }
}

#[test]
fn a_release_that_is_no_pattern_is_refused_where_it_must_be_one() {
    for (rule, code) in [("regex", 2), ("exact", 1)] {
        testkit::bin("healthgate")
            .args(["--http", "http://127.0.0.1:9/", "--interval", "10ms"])
            .args(["--deadline", "1s", "--failure-limit", "0"])
            .args(["--release", "v(", "--release-match", rule])
            .assert()
            .code(code);
    }
}

#[test]
fn flags_that_make_a_policy_that_nothing_can_pass_are_refused_with_what_fits() {
    let folder = tempfile::tempdir().unwrap();
    let probe = "version: 1\nhealthgate:\n  http: [{ name: a, url: 'http://127.0.0.1:9/', policy: { interval: 50s } }]\n";
    std::fs::write(folder.path().join("deploy-guard.yml"), probe).unwrap();
    for (flags, code, why) in [
        (
            &["--http", "http://127.0.0.1:9/", "--deadline", "1s"][..],
            2,
            "`deadline: 6s`",
        ),
        (&["--success-threshold", "9"], 2, "http/a: nothing can pass"),
        (&["--initial-delay", "3m"], 2, "`initial-delay` (3m)"),
        (&["--dry-run", "--success-threshold", "1"], 3, ""),
    ] {
        testkit::bin("healthgate")
            .current_dir(folder.path())
            .args(flags)
            .assert()
            .code(code)
            .stderr(predicates::str::contains(why));
    }
}
