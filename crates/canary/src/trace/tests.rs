//! Recordings, good and hostile.

use config::file::CanaryKind;
use judge::{Reading, SideData};
use proptest::prelude::*;

use super::*;

fn metrics() -> Vec<CanaryMetric> {
    vec![
        CanaryMetric::new("errors", CanaryKind::Ratio),
        CanaryMetric::new("latency", CanaryKind::Histogram),
        CanaryMetric::new("memory", CanaryKind::Gauge),
        CanaryMetric::new("restarts", CanaryKind::Count),
    ]
}

fn read(text: &str) -> Result<Vec<Item>, Error> {
    let metrics = metrics();
    let mut trace = Trace::new(text.as_bytes(), &metrics, Duration::from_secs(30));
    let mut items = Vec::new();
    while let Some(item) = trace.read()? {
        items.push(item);
    }
    Ok(items)
}

fn interval(text: &str) -> Recorded {
    match read(text).unwrap().pop() {
        Some(Item::Interval(recorded)) => recorded,
        other => panic!("{other:?}"),
    }
}

/// What is known of a metric, as `reading | doubts | problem`.
fn metric(name: &str, sides: &str) -> String {
    let recorded = interval(&format!(r#"{{"metrics": {{"{name}": {sides}}}}}"#));
    let nth = metrics().iter().position(|one| one.name == name).unwrap();
    let sample = &recorded.interval.metrics[nth];
    let reading = match &sample.reading {
        None => "nothing".to_owned(),
        Some(Reading::Ratio(sides)) => {
            let side = |side: &SideData<judge::Counts>| {
                let parts = side.parts().iter();
                let parts: Vec<_> = parts
                    .map(|one| format!("{}/{}", one.failed(), one.total()))
                    .collect();
                format!("{}{:?}", parts.join(" "), side.instances())
            };
            format!("{} {}", side(&sides.canary), side(&sides.stable))
        }
        Some(Reading::Count(sides)) => {
            let side = |side: &SideData<judge::Events>| {
                let parts = side.parts().iter();
                let parts: Vec<_> = parts
                    .map(|one| format!("{}/{:?}", one.events(), one.total()))
                    .collect();
                parts.join(" ")
            };
            format!("{} {}", side(&sides.canary), side(&sides.stable))
        }
        Some(Reading::Histogram(sides)) => {
            let side = |side: &SideData<judge::Buckets>| {
                let parts = side.parts().iter();
                let parts: Vec<_> = parts
                    .map(|one| format!("{}>{:?}", one.total(), one.above(0.5)))
                    .collect();
                parts.join(" ")
            };
            format!("{} {}", side(&sides.canary), side(&sides.stable))
        }
        Some(Reading::Gauge { canary, stable }) => format!("{canary:?} {stable:?}"),
    };
    let doubts: Vec<_> = sample.doubts.iter().map(|doubt| doubt.name()).collect();
    let problem = recorded.problems[nth].clone().unwrap_or_default();
    format!("{reading}|{}|{problem}", doubts.join(","))
}

#[test]
fn every_form_of_a_side_is_read() {
    for (name, sides, expected) in [
        (
            "errors",
            r#"{"canary": {"failed": 3, "total": 100}, "stable": [{"failed": 1, "total": 50}, {"failed": 0, "total": 40.0}]}"#,
            "3/100None 1/50 0/40Some(2)||",
        ),
        (
            "latency",
            r#"{"canary": {"buckets": {"0.1": 40, "0.5": 90, "+Inf": 100}}, "stable": {"buckets": {"0.5": 9, "inf": 9}}}"#,
            "100>Some(10) 9>Some(0)||",
        ),
        (
            "memory",
            r#"{"canary": [512.0], "stable": [510.1, 511.9]}"#,
            "[512.0] [510.1, 511.9]||",
        ),
        (
            "memory",
            r#"{"canary": 1, "stable": [2, null]}"#,
            "[1.0] [2.0]||",
        ),
        (
            "restarts",
            r#"{"canary": 1, "stable": [0, 2]}"#,
            "1/None 0/None 2/None||",
        ),
        (
            "restarts",
            r#"{"canary": {"failed": 1, "total": 4}, "stable": {"failed": 2, "total": 9}}"#,
            "1/Some(4) 2/Some(9)||",
        ),
        (
            "restarts",
            r#"{"canary": {"failed": 1}, "stable": {"failed": 2, "total": 9}}"#,
            " |unreadable|some events have a `total`, and others have none",
        ),
    ] {
        assert_eq!(metric(name, sides), expected, "{sides}");
    }
}

#[test]
fn what_is_not_there_is_no_data_and_what_is_wrong_spoils_its_metric_alone() {
    let good = r#"{"failed": 1, "total": 10}"#;
    for (name, sides, expected) in [
        (
            "errors",
            format!(r#"{{"canary": null, "stable": {good}}}"#),
            "nothing|stale|",
        ),
        (
            "errors",
            format!(r#"{{"canary": [], "stable": {good}}}"#),
            "nothing|stale|",
        ),
        (
            "errors",
            format!(r#"{{"stable": {good}}}"#),
            "nothing|stale|",
        ),
        ("errors", "null".to_owned(), "nothing|stale|"),
        (
            "errors",
            format!(r#"{{"canary": {{"failed": 1.5, "total": 10}}, "stable": {good}}}"#),
            "Some(0) Some(0)|not-whole|1.5 is not a whole number of events",
        ),
        (
            "errors",
            format!(r#"{{"canary": {{"failed": -1, "total": 10}}, "stable": {good}}}"#),
            "Some(0) Some(0)|reset|a count of -1 is negative: a counter was reset",
        ),
        (
            "errors",
            format!(r#"{{"canary": {{"failed": 11, "total": 10}}, "stable": {good}}}"#),
            "Some(0) Some(0)|unreadable|11 of 10 failed: more failures than requests",
        ),
        (
            "errors",
            format!(r#"{{"canary": {{"failed": "NaN", "total": 10}}, "stable": {good}}}"#),
            "Some(0) Some(0)|unreadable|`NaN` is not a number",
        ),
        (
            "errors",
            format!(r#"{{"canary": {{"total": 10}}, "stable": {good}}}"#),
            "Some(0) Some(0)|unreadable|a ratio needs `failed` and `total`",
        ),
        (
            "errors",
            format!(r#"{{"canary": 7, "stable": {good}}}"#),
            "Some(0) Some(0)|unreadable|a ratio needs `failed` and `total`",
        ),
        (
            "latency",
            r#"{"canary": {"buckets": {"0.1": 40}}, "stable": {"buckets": {"+Inf": 1}}}"#
                .to_owned(),
            " |unreadable|a histogram without the bucket `+Inf`",
        ),
        (
            "errors",
            format!(r#"{{"canary": {{"failed": NaN, "total": 10}}, "stable": {good}}}"#),
            "Some(0) Some(0)|unreadable|`NaN` is not a number",
        ),
        (
            "errors",
            format!(r#"{{"canary": {{"failed": 1, "total": 1e400}}, "stable": {good}}}"#),
            "Some(0) Some(0)|unreadable|`1e400` is not a number",
        ),
        (
            "memory",
            r#"{"canary": [-Infinity], "stable": [1, 2]}"#.to_owned(),
            "[] []|unreadable|`-Infinity` is not a number",
        ),
        (
            "latency",
            r#"{"canary": {"buckets": {"fast": 40, "+Inf": 1}}, "stable": {"buckets": {"+Inf": 1}}}"#
                .to_owned(),
            " |unreadable|`fast` is not a number",
        ),
        (
            "latency",
            r#"{"canary": {"buckets": {"1": NaN, "+Inf": 1}}, "stable": {"buckets": {"+Inf": 1}}}"#
                .to_owned(),
            " |unreadable|`NaN` is not a number",
        ),
        (
            "errors",
            format!(r#"{{"canary": {good}, "stable": {good}, "doubts": ["reset", "x"]}}"#),
            "1/10None 1/10None|reset,unreadable|",
        ),
    ] {
        assert_eq!(metric(name, &sides), expected, "{sides}");
    }
    for (metric_is, told) in [("5", "`5`"), ("[1, {}]", "`a list`")] {
        assert_eq!(
            metric("errors", metric_is),
            format!(
                "Some(0) Some(0)|unreadable|{told} is not an object with `canary` and `stable`"
            )
        );
    }
    let gauge = metric("memory", r#"{"canary": [1e200], "stable": [1]}"#);
    assert!(gauge.starts_with("[] []|unreadable|"), "{gauge}");
}

#[test]
fn a_line_begins_a_run_and_other_keys_are_not_read() {
    let items = read("\u{feff}{\"run\": \"a\"}\n\n{\"run\": 7}\n{\"x\": [1], \"metrics\": {\"other\": {\"y\": 1}}}\r\n").unwrap();
    assert!(matches!(&items[0], Item::Run { name, line: 1 } if name == "a"));
    assert!(matches!(&items[1], Item::Run { name, line: 3 } if name == "7"));
    assert!(matches!(&items[2], Item::Interval(one) if one.line == 4 && one.at.is_none()));
}

#[test]
fn an_interval_that_comes_twice_counts_once() {
    let line = r#"{"at": "2026-11-21T02:45:00Z", "metrics": {"errors": {"canary": {"failed": 1, "total": 10}, "stable": {"failed": 1, "total": 90}}}}"#;
    let recorded = interval(&format!("{line}\n{line}"));
    let reading = recorded.interval.metrics[0].reading.as_ref().unwrap();
    assert!(matches!(reading, Reading::Ratio(sides) if sides.canary.parts().is_empty()));
    let problem = recorded.problems[0].as_deref().unwrap();
    assert!(problem.contains("two intervals with one time"), "{problem}");
}

/// The interval whose time was written twice is there, and nothing is missing after it.
#[test]
fn a_time_that_comes_twice_makes_no_gap() {
    let line = |second: u32| {
        let at = format!("2026-11-21T02:{:02}:{:02}Z", second / 60, second % 60);
        format!(r#"{{"at": "{at}", "metrics": {{"memory": {{"canary": 1, "stable": 1}}}}}}"#)
    };
    let doubts = |seconds: &[u32]| {
        let lines: Vec<String> = seconds.iter().map(|second| line(*second)).collect();
        interval(&lines.join("\n")).interval.metrics[2]
            .doubts
            .clone()
    };
    assert!(doubts(&[0, 30, 60, 60, 120]).is_empty());
    assert!(doubts(&[0, 30, 60, 120]).contains(&Doubt::Gap));
}

#[test]
fn a_long_name_is_cut_and_none_is_unnamed() {
    let name = |text: &str| match read(text).unwrap().pop() {
        Some(Item::Run { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    let long = name(&format!(r#"{{"run": "{}"}}"#, "ä".repeat(500)));
    assert_eq!(long.chars().count(), 200);
    assert!(long.ends_with("ä…"));
    assert_eq!(name(r#"{"run": ""}"#), "unnamed");
}

#[test]
fn what_is_no_line_is_refused_with_its_number() {
    for (text, expected) in [
        (
            "{\"metrics\": {}}\nnope\n",
            "2: not a line of recorded data: expected ident",
        ),
        (
            "{\"metrics\": {}",
            "1: not a line of recorded data: EOF while parsing",
        ),
        (
            "[]\n",
            "1: not a line of recorded data: invalid type: sequence",
        ),
        (
            "{}\n",
            "1: not a line of recorded data: it has neither `metrics` nor `run`",
        ),
        (
            "{\"metrics\": {\"errors\": null, \"errors\": {\"canary\": 1}, \"errors\": null}}",
            "1: not a line of recorded data: duplicate metric `errors`",
        ),
        (
            "{\"metrics\": {\"errors\": {\"canary\": null, \"canary\": null}}}",
            "1: not a line of recorded data: duplicate key `canary`",
        ),
        (
            "{\"metrics\": {\"errors\": {\"canary\": {\"failed\": 9, \"failed\": 0, \"total\": 100}}}}",
            "1: not a line of recorded data: duplicate key `failed`",
        ),
        (
            "{\"at\": \"noon\", \"metrics\": {}}",
            "1: `noon` is not a time",
        ),
        (
            "{\"metrics\": {}} {}",
            "1: not a line of recorded data: trailing characters",
        ),
    ] {
        let error = read(text).unwrap_err();
        let found = format!("{}: {error}", error.line);
        assert!(found.starts_with(expected), "{text}\n{found}\n{expected}");
    }
    let long = format!("{{\"metrics\": {{}}}}\n{}", "x".repeat(MAX_LINE + 1));
    let error = read(&long).unwrap_err();
    assert_eq!(
        (error.line, error.to_string().as_str()),
        (2, "longer than 1048576 bytes")
    );
    let deep = "[".repeat(100_000);
    assert!(read(&format!("{{\"x\": {deep}")).is_err());
}

#[test]
fn times_show_a_gap_and_a_clock_that_goes_back() {
    let doubts = |times: &[&str]| {
        let lines: Vec<_> = times
            .iter()
            .map(|at| {
                format!(
                    r#"{{"at": "2026-11-21T02:{at}Z", "metrics": {{"memory": {{"canary": 1, "stable": 1}}}}}}"#
                )
            })
            .collect();
        let items = read(&lines.join("\n")).unwrap();
        let doubts = items.iter().flat_map(|item| match item {
            Item::Interval(one) => one.interval.metrics[2].doubts.clone(),
            Item::Run { .. } => panic!("{item:?}"),
        });
        doubts.map(Doubt::name).collect::<Vec<_>>()
    };
    assert!(doubts(&["45:00", "45:30", "46:01", "46:29"]).is_empty());
    let gap = doubts(&["45:00", "45:30", "47:30", "48:00"]);
    assert_eq!(gap, ["gap"]);
    let two = doubts(&["45:00", "45:30", "47:30", "48:00", "50:00"]);
    assert_eq!(two, ["gap", "gap"]);
    // Before the second line: it is known from the third on.
    assert_eq!(doubts(&["40:00", "45:00", "45:30", "46:00"]), ["gap"]);
    // A short step does not make the others long.
    let short = doubts(&["45:00", "45:03", "45:33", "46:03", "46:33"]);
    assert!(short.is_empty(), "{short:?}");
    // What is coarser throughout has no gaps.
    let coarse = doubts(&["40:00", "45:00", "50:00", "55:00"]);
    assert!(coarse.is_empty(), "{coarse:?}");
    // What is wrong with one of them says nothing of the next.
    assert_eq!(doubts(&["45:00", "45:30", "45:10", "46:00"]), ["order"]);
    assert_eq!(doubts(&["45:00", "45:00", "45:30", "45:00"]), ["order"; 2]);
    // What is told to be wrong is why a side has no numbers: it was scraped.
    let fraction = metric(
        "errors",
        r#"{"canary": null, "stable": null, "doubts": ["not-whole"]}"#,
    );
    assert_eq!(fraction, "nothing|not-whole|");
    // A side that is missing between data is a gap, too.
    let both = r#"{"metrics": {"memory": {"canary": 1, "stable": 1}}}"#;
    let none = r#"{"metrics": {"memory": {"canary": null, "stable": 1}}}"#;
    let recorded = interval(&format!("{both}\n{none}"));
    let doubts: Vec<_> = recorded.interval.metrics[2].doubts.iter().collect();
    assert_eq!(doubts, [&Doubt::Gap, &Doubt::Stale]);
}

#[test]
fn one_step_alone_does_not_show_what_is_usual() {
    let unsure = |times: &[&str]| {
        let lines = times.iter();
        let lines = lines.map(|at| format!(r#"{{"at": "2026-11-21T02:{at}Z", "metrics": {{}}}}"#));
        interval(&lines.collect::<Vec<_>>().join("\n")).has_one_long_step
    };
    assert!(unsure(&["40:00", "45:00"]));
    for known in [
        &["40:00", "45:00", "50:00"][..],
        &["40:00", "45:00", "45:30"],
        &["40:00", "40:30"],
        &["40:00"],
    ] {
        assert!(!unsure(known), "{known:?}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]{}\",:0-9a-z\\-+.enul \n]{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn no_number_makes_it_panic(number in any::<f64>(), total in any::<i64>()) {
        let number = serde_json::to_string(&number).unwrap();
        let line = format!(
            r#"{{"metrics": {{"errors": {{"canary": {{"failed": {number}, "total": {total}}}, "stable": {{"failed": {total}, "total": {number}}}}}, "memory": {{"canary": [{number}], "stable": [{total}]}}}}}}"#
        );
        prop_assert!(read(&line).is_ok());
    }
}
