//! `healthgate judge` and `healthgate plan` as a user runs them.

use std::fmt::Write as _;
use std::path::Path;

use assert_cmd::assert::Assert;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

/// As the design has it: with a server and sides that nothing is asked about here.
const CONFIG: &str = r#"version: 1
healthgate:
  canary:
    interval: 30s
    deadline: 30m
    alpha: 1%
    beta: 5%
    server: http://127.0.0.1:1
    sides: { canary: 'release="${RELEASE}"', stable: 'release="${LAST_KNOWN_GOOD}"' }
    metrics:
      - { name: errors, kind: ratio, failed: 'requests{ {side},status=~"5.."}', total: 'requests{ {side} }', tolerance: 1.5 }
"#;

fn folder(config: &str, files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn healthgate(folder: &Path, args: &[&str]) -> Assert {
    testkit::bin("healthgate")
        .current_dir(folder)
        .args(args)
        .assert()
}

/// `failed` of 100 against 9 of 900 in each interval.
fn trace(intervals: usize, failed: u32) -> String {
    let mut text = String::new();
    for nth in 0..intervals {
        let (minute, second) = (nth / 2, nth % 2 * 30);
        let _ = writeln!(
            text,
            r#"{{"at": "2026-11-21T02:{minute:02}:{second:02}Z", "metrics": {{"errors": {{"canary": {{"failed": {failed}, "total": 100}}, "stable": {{"failed": 9, "total": 900}}}}}}}}"#
        );
    }
    text
}

fn report(folder: &Path, args: &[&str]) -> Value {
    let mut all = vec!["--format", "json"];
    all.extend(args);
    let output = healthgate(folder, &all).get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

/// `id verdict after N`, a line each.
fn outcomes(report: &Value) -> String {
    let all = report["outcomes"].as_array().unwrap().iter();
    let all = all.map(|one| {
        let measured = one["measurements"].as_array().map_or(0, Vec::len);
        let text = |key: &str| one[key].as_str().unwrap_or_default();
        format!("{} {} after {measured}", text("id"), text("verdict"))
    });
    all.collect::<Vec<_>>().join("\n")
}

#[test]
fn each_run_has_an_outcome_for_each_metric_and_the_worst_is_the_verdict() {
    let runs = format!(
        "{{\"run\": \"bad\"}}\n{}{{\"run\": \"good\"}}\n{}{{\"run\": \"short\"}}\n{}",
        trace(60, 8),
        trace(60, 1),
        trace(2, 1)
    );
    let folder = folder(
        CONFIG,
        &[("runs.jsonl", &runs), ("good.jsonl", &trace(60, 1))],
    );
    let told = report(folder.path(), &["judge", "runs.jsonl"]);
    assert_eq!(
        outcomes(&told),
        "canary/bad/errors fail after 2\ncanary/good/errors pass after 51\ncanary/short/errors inconclusive after 2"
    );
    assert_eq!(told["verdict"], "fail");
    healthgate(folder.path(), &["judge", "runs.jsonl"]).code(1);
    // Without runs, and from a pipe.
    let told = report(folder.path(), &["judge", "good.jsonl"]);
    assert_eq!(outcomes(&told), "canary/errors pass after 51");
    testkit::bin("healthgate")
        .current_dir(folder.path())
        .args(["judge", "-"])
        .write_stdin(trace(60, 1))
        .assert()
        .code(0)
        .stdout(contains("canary/errors"));
    // Several files have their names in it.
    let told = report(folder.path(), &["judge", "good.jsonl", "runs.jsonl"]);
    assert!(
        outcomes(&told)
            .starts_with("canary/good/errors pass after 51\ncanary/runs/bad/errors fail"),
        "{}",
        outcomes(&told)
    );
}

#[test]
fn text_and_summary_tell_the_arithmetic_and_draw_it() {
    let folder = folder(CONFIG, &[("bad.jsonl", &trace(60, 8))]);
    let args = [
        "judge",
        "bad.jsonl",
        "--summary",
        "summary.md",
        "--html",
        "page.html",
        "--report",
        "report.json",
    ];
    let ran = healthgate(folder.path(), &args).code(1);
    let text = String::from_utf8(ran.get_output().stdout.clone()).unwrap();
    let timeless: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("took "))
        .collect();
    let text = timeless.join("\n") + "\n";
    insta::assert_snapshot!("text", text);
    let summary = std::fs::read_to_string(folder.path().join("summary.md")).unwrap();
    let (_, drawn) = summary.split_once("```mermaid").unwrap();
    let drawn = drawn.rsplit_once("```").unwrap().0;
    insta::assert_snapshot!("drawn", drawn);
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    for line in [
        "polyline class=\"edge\"",
        "polyline class=\"value\"",
        "polyline class=\"bad\"",
    ] {
        assert!(page.contains(line), "{line}");
    }
    assert!(page.contains("canary/errors: evidence"));
    healthgate(folder.path(), &["explain", "report.json"])
        .code(0)
        .stdout(contains("canary/errors: fail").and(contains("> tolerance 1.5: ln evidence")));
}

#[test]
fn the_other_judges_judge_the_same_data() {
    let config =
        "version: 1\nhealthgate:\n  canary:\n    metrics: [{ name: errors, kind: ratio }]\n";
    let folder = folder(
        config,
        &[("bad.jsonl", &trace(60, 8)), ("good.jsonl", &trace(60, 1))],
    );
    for (judge, bad, good) in [
        ("sequential", "fail after 2", "pass after 51"),
        ("kayenta", "fail after 60", "pass after 60"),
        ("threshold", "fail after 1", "pass after 60"),
    ] {
        let told = |file| outcomes(&report(folder.path(), &["judge", file, "--judge", judge]));
        assert_eq!(told("bad.jsonl"), format!("canary/errors {bad}"), "{judge}");
        assert_eq!(
            told("good.jsonl"),
            format!("canary/errors {good}"),
            "{judge}"
        );
    }
    healthgate(folder.path(), &["judge", "good.jsonl", "--judge", "bayes"])
        .code(2)
        .stderr(contains("it is `sequential`, `kayenta` or `threshold`"));
}

/// Runbook 003, troubleshooting 4: canary metrics not available.
#[test]
fn broken_data_never_passes_and_the_reason_names_it() {
    let line = |canary: &str| {
        format!(
            r#"{{"metrics": {{"errors": {{"canary": {canary}, "stable": {{"failed": 9, "total": 900}}}}}}}}"#
        )
    };
    let mixed = |odd: &str| {
        let good: Vec<_> = trace(60, 1).lines().map(str::to_owned).collect();
        let (before, after) = good.split_at(10);
        format!("{}\n{odd}\n{}\n", before.join("\n"), after.join("\n"))
    };
    let whole = trace(60, 1);
    let with_gap: Vec<&str> = whole
        .lines()
        .enumerate()
        .filter(|(nth, _)| !(10..20).contains(nth))
        .map(|(_, line)| line)
        .collect();
    let gap = with_gap.join("\n") + "\n";
    for (what, text, reason) in [
        (
            "fraction",
            mixed(&line(r#"{"failed": 1.5, "total": 100}"#)),
            "whole number",
        ),
        (
            "negative",
            mixed(&line(r#"{"failed": -1, "total": 100}"#)),
            "negative",
        ),
        ("missing", mixed(&line("null")), "gap"),
        (
            "never",
            format!("{}\n", line("null")).repeat(60),
            "no interval has data",
        ),
        ("gap", gap, "gap"),
        ("empty", String::new(), "no interval has data"),
        (
            "other metric",
            "{\"metrics\": {\"x\": {}}}\n".repeat(60),
            "no interval has data",
        ),
        (
            "nothing served",
            format!("{}\n", line(r#"{"failed": 0, "total": 0}"#)).repeat(60),
            "",
        ),
    ] {
        let folder = folder(CONFIG, &[("trace.jsonl", &text)]);
        for judge in ["sequential", "kayenta", "threshold"] {
            let told = report(folder.path(), &["judge", "trace.jsonl", "--judge", judge]);
            let outcome = &told["outcomes"][0];
            assert_eq!(
                outcome["verdict"], "inconclusive",
                "{what}, {judge}: {outcome}"
            );
            if judge == "sequential" {
                let told = outcome["reason"].as_str().unwrap();
                assert!(told.contains(reason), "{what}: {told}");
            }
        }
    }
    // Halves of stable that differ, and instances with other traffic.
    let instances = |canary: &str, stable: &str| {
        format!("{{\"metrics\": {{\"errors\": {{\"canary\": {canary}, \"stable\": {stable}}}}}}}\n")
            .repeat(60)
    };
    let one = r#"[{"failed": 1, "total": 100}]"#;
    for (canary, stable, reason) in [
        (
            one,
            r#"[{"failed": 40, "total": 100}, {"failed": 0, "total": 100}]"#,
            "halves of stable",
        ),
        (
            one,
            r#"[{"failed": 9, "total": 900}, {"failed": 9, "total": 900}]"#,
            "requests per instance",
        ),
    ] {
        let folder = folder(CONFIG, &[("trace.jsonl", &instances(canary, stable))]);
        let told = report(folder.path(), &["judge", "trace.jsonl"]);
        let outcome = &told["outcomes"][0];
        assert_eq!(outcome["verdict"], "inconclusive", "{outcome}");
        let told = outcome["reason"].as_str().unwrap();
        assert!(told.contains(reason), "{told}");
    }
}

/// A recording whose data break after a pass: what was before them is not trusted with one.
#[test]
fn data_that_break_after_a_pass_take_it_back() {
    let config = CONFIG.replace("tolerance: 1.5", "tolerance: 3");
    let good = trace(60, 1);
    let with = |nth: usize, from: &str, to: &str| -> String {
        let lines = good.lines().enumerate();
        let lines = lines.map(|(at, line)| {
            if at == nth {
                line.replacen(from, to, 1) + "\n"
            } else {
                format!("{line}\n")
            }
        });
        lines.collect()
    };
    let without: Vec<&str> = good
        .lines()
        .enumerate()
        .filter(|(nth, _)| !(40..50).contains(nth))
        .map(|(_, line)| line)
        .collect();
    let without = without.join("\n");
    let twice = with(40, "02:20:00Z", "02:19:30Z");
    let doubt = with(40, "\"canary\"", "\"doubts\": [\"duplicate\"], \"canary\"");
    for (text, reason) in [
        (with(40, "\"failed\": 9", "\"failed\": -50"), "reset"),
        (with(40, "\"failed\": 9", "\"failed\": 0.5"), "whole number"),
        (
            with(40, "{\"failed\": 1, \"total\": 100}", "null"),
            "not scraped",
        ),
        (without, "gap"),
        (twice, "two intervals with one time"),
        (doubt, "two series where one is expected"),
    ] {
        let folder = folder(&config, &[("trace.jsonl", &text), ("good.jsonl", &good)]);
        let told = report(folder.path(), &["judge", "good.jsonl"]);
        assert_eq!(told["verdict"], "pass");
        let told = report(folder.path(), &["judge", "trace.jsonl"]);
        let outcome = &told["outcomes"][0];
        assert_eq!(outcome["verdict"], "inconclusive", "{outcome}");
        let told = outcome["reason"].as_str().unwrap();
        assert!(told.contains(reason), "{reason}: {told}");
    }
    // What fails has failed.
    let bad =
        with(40, "\"failed\": 9", "\"failed\": -50").replace("\"failed\": 1,", "\"failed\": 20,");
    let folder = folder(&config, &[("trace.jsonl", &bad)]);
    healthgate(folder.path(), &["judge", "trace.jsonl"]).code(1);
}

/// A gap, bad order and an interval that comes twice keep a recording from passing, and nothing else: what
/// is bad after them is found.
#[test]
fn bad_times_hide_no_harm_that_comes_after_them() {
    let lines: Vec<String> = trace(60, 1).lines().map(str::to_owned).collect();
    let without: Vec<_> = [&lines[..1], &lines[4..]].concat();
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    let mut twice = lines.clone();
    twice.insert(1, lines[0].clone());
    for (what, lines, reason) in [
        ("gap", without, "there is a gap in the data"),
        ("order", swapped, "not in order"),
        ("twice", twice, "not in order"),
    ] {
        let quiet = lines.join("\n");
        let (before, after) = lines.split_at(30);
        let after = after
            .join("\n")
            .replace("\"failed\": 1,", "\"failed\": 30,");
        let bad = format!("{}\n{after}", before.join("\n"));
        let folder = folder(CONFIG, &[("quiet.jsonl", &quiet), ("bad.jsonl", &bad)]);
        for judge in ["sequential", "threshold"] {
            let told = report(folder.path(), &["judge", "bad.jsonl", "--judge", judge]);
            assert_eq!(told["verdict"], "fail", "{what}, {judge}: {told}");
            let told = report(folder.path(), &["judge", "quiet.jsonl", "--judge", judge]);
            let outcome = &told["outcomes"][0];
            assert_eq!(outcome["verdict"], "inconclusive", "{what}, {judge}");
            let told = outcome["reason"].as_str().unwrap();
            assert!(told.contains(reason), "{what}, {judge}: {told}");
            // The second of two with one time is not counted.
            let has_none = told.contains("have no data");
            assert!(!has_none || what == "twice", "{what}, {judge}: {told}");
        }
    }
}

/// Two intervals that are hours apart show no usual step: the configured one says that there is a gap.
#[test]
fn a_gap_that_is_the_only_step_does_not_pass() {
    let config = CONFIG.replace("tolerance: 1.5", "tolerance: 3");
    let times = |times: &[&str]| {
        let line = |at| {
            format!(
                r#"{{"at": "2026-11-21T{at}Z", "metrics": {{"errors": {{"canary": {{"failed": 10, "total": 1000}}, "stable": {{"failed": 90, "total": 9000}}}}}}}}"#
            )
        };
        times.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    for (recorded, verdict) in [
        (times(&["02:00:00", "12:00:00"]), "inconclusive"),
        (times(&["02:00:00", "12:00:00", "12:00:30"]), "inconclusive"),
        (times(&["02:00:00", "02:00:30"]), "pass"),
        // A recording that is coarser throughout has no gap.
        (times(&["02:00:00", "12:00:00", "22:00:00"]), "pass"),
    ] {
        let folder = folder(&config, &[("trace.jsonl", &recorded)]);
        let told = report(folder.path(), &["judge", "trace.jsonl"]);
        let outcome = &told["outcomes"][0];
        assert_eq!(outcome["verdict"], verdict, "{recorded}\n{outcome}");
        if verdict != "pass" {
            let told = outcome["reason"].as_str().unwrap();
            assert!(told.contains("gap"), "{told}");
        }
    }
}

/// With as many more requests as the report has, the same recording passes.
#[test]
fn a_report_has_the_requests_that_are_missing_as_a_number() {
    let short = trace(20, 1);
    let folder = folder(CONFIG, &[("trace.jsonl", &short)]);
    let missing = |told: &Value| told["outcomes"][0]["missing_requests"].as_u64();
    let told = report(folder.path(), &["judge", "trace.jsonl"]);
    assert_eq!(told["verdict"], "inconclusive");
    let requests = usize::try_from(missing(&told).unwrap()).unwrap();
    let longer = trace(20 + requests.div_ceil(1000), 1);
    std::fs::write(folder.path().join("trace.jsonl"), longer).unwrap();
    let told = report(folder.path(), &["judge", "trace.jsonl"]);
    assert_eq!(told["verdict"], "pass");
    assert_eq!(missing(&told), None);
}

/// The times of a recording are its own, and not those of the command that judged it.
#[test]
fn explain_tells_the_times_of_a_recording() {
    let folder = folder(CONFIG, &[("trace.jsonl", &trace(4, 30))]);
    let judged = ["judge", "trace.jsonl", "--report", "report.json"];
    healthgate(folder.path(), &judged).code(1);
    healthgate(folder.path(), &["explain", "report.json"])
        .code(0)
        .stdout(contains(
            "It judged a recording that begins 2026-11-21T02:00:00.000Z.",
        ))
        .stdout(contains("+0ms  02:00:00.000  fail\n"))
        .stdout(contains("took 0ms").not());
    let mut longer = trace(4, 1);
    longer.push_str(&trace(6, 30).lines().skip(4).collect::<Vec<_>>().join("\n"));
    std::fs::write(folder.path().join("trace.jsonl"), longer).unwrap();
    healthgate(folder.path(), &judged).code(1);
    healthgate(folder.path(), &["explain", "report.json"])
        .stdout(contains("+2m  02:02:00.000  fail\n"));
}

#[test]
fn a_metric_that_the_recording_does_not_have_is_named_with_those_that_it_has() {
    let config = CONFIG.replace("name: errors", "name: nosuch");
    let folder = folder(&config, &[("trace.jsonl", &trace(60, 1))]);
    let told = report(folder.path(), &["judge", "trace.jsonl"]);
    let outcome = &told["outcomes"][0];
    assert_eq!(outcome["verdict"], "inconclusive", "{outcome}");
    let reason = outcome["reason"].as_str().unwrap();
    let wanted = "no line has `nosuch`; there is `errors`; ";
    assert!(reason.starts_with(wanted), "{reason}");
    assert_eq!(
        outcome["hint"],
        "name the metric as the recording does: `errors`"
    );
}

#[test]
fn numbers_that_are_none_spoil_their_run_alone() {
    let good = trace(60, 1);
    let odd = |from: &str, to: &str| good.replacen(from, to, 1);
    let long = "r".repeat(300);
    let runs = format!(
        "{{\"run\": \"nan\"}}\n{}{{\"run\": \"huge\"}}\n{}{{\"run\": \"five\"}}\n{}{{\"run\": \"{long}\"}}\n{good}",
        odd("\"failed\": 9", "\"failed\": NaN"),
        odd("\"total\": 900", "\"total\": 1e400"),
        odd(
            "{\"canary\": {\"failed\": 1, \"total\": 100}, \"stable\": {\"failed\": 9, \"total\": 900}}",
            "5"
        ),
    );
    let folder = folder(CONFIG, &[("runs.jsonl", &runs)]);
    let told = report(folder.path(), &["judge", "runs.jsonl"]);
    let outcomes = told["outcomes"].as_array().unwrap();
    for (outcome, reason) in outcomes.iter().zip([
        "line 2: `NaN` is not a number",
        "line 63: `1e400` is not a number",
        "line 124: `5` is not an object",
    ]) {
        assert_eq!(outcome["verdict"], "inconclusive");
        let told = outcome["reason"].as_str().unwrap();
        assert!(told.starts_with(reason), "{told}");
    }
    assert_eq!(outcomes[3]["verdict"], "pass");
    let id = outcomes[3]["id"].as_str().unwrap();
    assert!(
        id.starts_with("canary/rrr") && id.ends_with("…/errors"),
        "{id}"
    );
}

/// spinnaker/spinnaker#6278, spinnaker/kayenta#426 and #799, in lines of one value and in one line.
#[test]
fn kayentas_vectors_hold_however_the_points_are_written() {
    let seven = [
        100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 1.0, 1.0, 1.0,
    ];
    let eight = [
        100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 1.0, 1.0,
    ];
    let sparse = [0.0, 1.0, 2.0, 1.0, 0.0, 0.0];
    let five = [1.0, 4.0, 2.0, 3.0, 1.0];
    for (canary, stable, verdict) in [
        (&seven[..], 1.0, "pass"),
        (&eight, 1.0, "fail"),
        (&sparse, 0.0, "pass"),
        (&five, 0.0, "fail"),
    ] {
        for kind in ["gauge", "count"] {
            for at_once in [1, canary.len()] {
                let config = format!(
                    "version: 1\nhealthgate:\n  canary:\n    judge: kayenta\n    metrics: [{{ name: m, kind: {kind} }}]\n"
                );
                let lines = canary.chunks(at_once).map(|canary| {
                    let stable = vec![stable; canary.len()];
                    format!(
                        "{{\"metrics\": {{\"m\": {{\"canary\": {canary:?}, \"stable\": {stable:?}}}}}}}\n"
                    )
                });
                let text: String = lines.collect();
                let folder = folder(&config, &[("trace.jsonl", &text)]);
                let told = report(folder.path(), &["judge", "trace.jsonl"]);
                assert_eq!(told["verdict"], verdict, "{kind}, {at_once}: {text}{told}");
            }
        }
    }
}

#[test]
fn only_and_skip_choose_among_the_runs_and_metrics() {
    let config = "version: 1\nhealthgate:\n  canary:\n    metrics:\n      - { name: errors, kind: ratio }\n      - { name: other, kind: ratio }\n";
    let good = trace(60, 1);
    let bad = trace(60, 8);
    let both = |text: &str| {
        text.replace("\"errors\": ", "\"other\": {\"canary\": {\"failed\": 1, \"total\": 100}, \"stable\": {\"failed\": 9, \"total\": 900}}, \"errors\": ")
    };
    let runs = format!(
        "{{\"run\": \"good\"}}\n{}{{\"run\": \"bad\"}}\n{}",
        both(&good),
        both(&bad)
    );
    let folder = folder(config, &[("runs.jsonl", &runs)]);
    let told = |args: &[&str]| {
        let mut all = vec!["judge", "runs.jsonl", "--html", "page.html"];
        all.extend(args);
        let told = report(folder.path(), &all);
        format!("{}: {}", told["verdict"].as_str().unwrap(), outcomes(&told))
    };
    assert_eq!(
        told(&["--only", "canary/good"]),
        "pass: canary/good/errors pass after 51\ncanary/good/other pass after 51"
    );
    assert_eq!(
        told(&["--only", "*/errors", "--skip", "canary/good"]),
        "fail: canary/bad/errors fail after 2"
    );
    assert_eq!(
        told(&["--skip", "*/errors"]),
        "inconclusive: canary/good/other pass after 51\ncanary/bad/other inconclusive after 2"
    );
    assert!(told(&["--only", "canary/none"]).starts_with("inconclusive: only/canary/none"));
    healthgate(
        folder.path(),
        &["judge", "runs.jsonl", "--only", "canary/none"],
    )
    .code(3)
    .stdout(contains("there is `canary/"));
}

#[test]
fn a_broken_line_a_missing_file_and_a_missing_section_are_usage_errors() {
    let broken = format!("{}nonsense\n", trace(2, 1));
    let one = folder(CONFIG, &[("trace.jsonl", &broken)]);
    healthgate(one.path(), &["judge", "trace.jsonl"])
        .code(2)
        .stderr(contains(
            "failed to read trace.jsonl:3: not a line of recorded data",
        ));
    healthgate(one.path(), &["judge", "none.jsonl"])
        .code(2)
        .stderr(contains("failed to read `none.jsonl`"));
    let none = folder("version: 1\n", &[("trace.jsonl", &trace(2, 1))]);
    healthgate(none.path(), &["judge", "trace.jsonl"])
        .code(2)
        .stderr(contains("no `healthgate.canary` is configured"));
    let advisory = CONFIG.replace("tolerance: 1.5", "tolerance: 1.5, severity: advisory");
    let advisory = folder(&advisory, &[("trace.jsonl", &trace(2, 1))]);
    healthgate(advisory.path(), &["judge", "trace.jsonl"])
        .code(2)
        .stderr(contains("every metric is advisory"));
}

#[test]
fn an_advisory_metric_fails_no_stage() {
    let config = "version: 1\nhealthgate:\n  canary:\n    metrics:\n      - { name: errors, kind: ratio }\n      - { name: slow, kind: ratio, severity: advisory }\n";
    let both: String = trace(60, 1)
        .lines()
        .map(|line| {
            let slow = r#""slow": {"canary": {"failed": 50, "total": 100}, "stable": {"failed": 9, "total": 900}}, "errors""#;
            line.replacen("\"errors\"", slow, 1) + "\n"
        })
        .collect();
    let folder = folder(config, &[("trace.jsonl", &both)]);
    for judge in ["sequential", "kayenta", "threshold"] {
        let told = report(folder.path(), &["judge", "trace.jsonl", "--judge", judge]);
        assert_eq!(told["verdict"], "pass", "{judge}: {}", told["reason"]);
        assert_eq!(told["outcomes"][1]["verdict"], "fail", "{judge}");
    }
}

#[test]
fn a_plan_says_how_long_it_takes_and_what_the_traffic_cannot_show() {
    let folder = folder(CONFIG, &[]);
    let args = |rate: &'static str| {
        [
            "plan",
            "--requests-per-minute",
            "6000",
            "--error-rate",
            rate,
        ]
    };
    let ran = healthgate(folder.path(), &args("1%")).code(0);
    let text = String::from_utf8(ran.get_output().stdout.clone()).unwrap();
    assert!(
        text.contains("plan/errors/10%") && text.contains("plan/errors/50%"),
        "{text}"
    );
    assert!(text.contains("a good release passes"), "{text}");
    healthgate(
        folder.path(),
        &[
            "plan",
            "--requests-per-minute",
            "10",
            "--error-rate",
            "0.1%",
            "--share",
            "10%",
        ],
    )
    .code(3)
    .stdout(contains("the traffic cannot show it"));
    healthgate(folder.path(), &["plan", "--requests-per-minute", "10"])
        .code(2)
        .stderr(contains("--error-rate"));
    healthgate(
        folder.path(),
        &[
            "plan",
            "--requests-per-minute",
            "10",
            "--error-rate",
            "1%",
            "--share",
            "0%",
        ],
    )
    .code(2)
    .stderr(contains("a share is more than 0%"));
}

/// A program reads the figures of a plan as numbers.
#[test]
fn a_plan_has_its_figures_as_data() {
    let folder = folder(CONFIG, &[]);
    let plan = |args: &[&str]| {
        let mut all = vec!["plan"];
        all.extend(args);
        report(folder.path(), &all)["outcomes"].clone()
    };
    let ordinary = plan(&[
        "--requests-per-minute",
        "6000",
        "--error-rate",
        "1%",
        "--share",
        "10%,0.1,10%",
    ]);
    // A share that is named twice is planned once.
    assert_eq!(ordinary.as_array().unwrap().len(), 1, "{ordinary}");
    let planned = &ordinary[0]["planned"];
    assert_eq!(planned["requests_per_minute"], 6000.0);
    assert_eq!(planned["share"], 0.1);
    let [typical, ninety] = ["typical_ms", "ninety_percent_ms"].map(|key| {
        let time = planned["pass"][key].as_u64().unwrap();
        assert!(time % 30_000 == 0 && time > 0, "{planned}");
        time
    });
    assert!(typical <= ninety, "{planned}");
    // When a bad release is found is spread by chance, and told as a range.
    let [earliest, median, latest] = ["earliest_ms", "median_ms", "latest_ms"]
        .map(|key| planned["twice"][key].as_u64().unwrap());
    assert!(earliest < median && median < latest, "{planned}");
    let actual = ordinary[0]["actual"].as_str().unwrap();
    let found = actual
        .split_once("a release twice as bad is found: ")
        .unwrap()
        .1;
    assert!(
        found.split(';').next().unwrap().contains(" to "),
        "{actual}"
    );
    let fivefold = planned["five_times"]["median_ms"].as_u64().unwrap();
    assert!(fivefold <= planned["twice"]["median_ms"].as_u64().unwrap());
    // Little traffic: what is missing is a number, too.
    let little = plan(&["--requests-per-minute", "10", "--error-rate", "1%"]);
    let pass = &little[0]["planned"]["pass"];
    assert!(pass["typical_ms"].is_null() && pass["missing_requests"].as_u64().unwrap() > 1000);
    // Next to no traffic and next to no errors are neither 0 nor a line of digits.
    let tiny = plan(&["--requests-per-minute", "0.02", "--error-rate", "0.00001%"]);
    let subject = tiny[0]["subject"].as_str().unwrap();
    assert_eq!(subject, "0.02 requests a minute, 0.00001% of them fail");
    let actual = tiny[0]["actual"].as_str().unwrap();
    assert!(actual.len() < 200, "{actual}");
}

#[test]
fn amounts_that_say_nothing_are_refused_without_a_source_too() {
    for (from, to, told) in [
        ("interval: 30s", "interval: 0s", "interval"),
        ("deadline: 30m", "deadline: 0s", "deadline"),
        ("interval: 30s", "interval: 31m", "longer than `deadline`"),
        ("alpha: 1%", "alpha: 0%", "alpha"),
    ] {
        let folder = folder(&CONFIG.replace(from, to), &[("trace.jsonl", &trace(2, 1))]);
        let plan = ["plan", "--requests-per-minute", "10", "--error-rate", "1%"];
        for args in [&plan[..], &["judge", "trace.jsonl"]] {
            healthgate(folder.path(), args)
                .code(2)
                .stderr(contains(told));
        }
    }
    let none = "version: 1\nhealthgate:\n  canary:\n    metrics: []\n";
    let none = folder(none, &[("trace.jsonl", &trace(2, 1))]);
    healthgate(none.path(), &["judge", "trace.jsonl"])
        .code(2)
        .stderr(contains("`metrics` lists none"));
}
