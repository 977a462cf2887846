//! What a bad release served: from scrapes that are 15 s apart, and from access logs.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use testkit::{Nginx, Prometheus, Receiver, Reply, wait_until};

use crate::bed::Bed;
use crate::past::minutes_ago;

/// A counter as it was scraped: seconds after a time, and its values.
fn series(text: &mut String, labels: &str, start: Timestamp, samples: &[(i64, u32)]) {
    for (second, value) in samples {
        let at = (start + SignedDuration::from_secs(*second)).as_second();
        let _ = writeln!(text, "requests_total{{{labels}}} {value} {at}");
    }
}

fn counted_by(prometheus: &Prometheus) -> Value {
    json!({
        "server": prometheus.url(),
        "total": "requests_total{release=\"{release}\",status=~\".+\"}",
        "failed": "requests_total{release=\"{release}\",status=\"500\"}",
        "total-all-releases": "requests_total{release=\"all\"}",
        "wait": "50ms",
    })
}

fn newest(bed: &Bed) -> Value {
    let all = bed.events_of("exposure-measured");
    all.last().unwrap_or(&Value::Null).clone()
}

/// Releases that were deployed at a time and taken back 100 s later, scraped each 15 s.
fn taken_back(start: Timestamp) -> Prometheus {
    let mut text = "# TYPE requests counter\n".to_owned();
    for (release, samples) in [
        // Born after the deployment, and scraped after the way back: nothing more came.
        (
            "exact",
            &[
                (7, 100),
                (22, 300),
                (37, 500),
                (52, 700),
                (67, 900),
                (82, 1100),
                (97, 1200),
                (112, 1234),
                (127, 1234),
            ][..],
        ),
        // Stopped before the next scrape.
        (
            "stopped",
            &[
                (7, 100),
                (22, 300),
                (37, 500),
                (52, 700),
                (67, 900),
                (82, 1100),
                (97, 1200),
            ],
        ),
        // It crashed within.
        (
            "crashed",
            &[
                (7, 100),
                (22, 300),
                (37, 50),
                (52, 250),
                (67, 450),
                (82, 650),
                (97, 750),
                (112, 784),
                (127, 784),
            ],
        ),
    ] {
        series(
            &mut text,
            &format!("release=\"{release}\",status=\"200\""),
            start,
            samples,
        );
        // Each tenth failed.
        let failed: Vec<_> = samples
            .iter()
            .map(|(at, count)| (*at, count / 10))
            .collect();
        series(
            &mut text,
            &format!("release=\"{release}\",status=\"500\""),
            start,
            &failed,
        );
    }
    let all: Vec<_> = (0..20_u32)
        .map(|n| (i64::from(n) * 15 - 8, 4_000 + n * 1_000))
        .collect();
    series(&mut text, "release=\"all\"", start, &all);
    text.push_str("# EOF\n");
    Prometheus::recorded(&text, &[])
}

#[test]
fn scrapes_that_are_far_apart_give_the_count_or_bounds_of_it() {
    let start = minutes_ago(20);
    let back = start + SignedDuration::from_secs(100);
    let prometheus = taken_back(start);
    for (release, total, failed, bound, words) in [
        (
            "exact",
            1357,
            123,
            json!("exact"),
            "1357 requests, 123 failed (9.06%), counted by Prometheus",
        ),
        (
            "stopped",
            1320,
            120,
            json!("at-least"),
            "at least 1320 requests, 120 failed",
        ),
        (
            "crashed",
            1192,
            108,
            json!("at-least"),
            "at least 1192 requests, 108 failed",
        ),
    ] {
        let bed = Bed::new(&json!({"exposure": counted_by(&prometheus)}));
        bed.bad(release, start, Some(back));
        bed.run(&["watch"]).code(0);
        let told = &newest(&bed)["exposure"];
        assert_eq!(
            (&told["total"], &told["failed"]),
            (&json!(total), &json!(failed)),
            "{told}"
        );
        assert_eq!(told["bound"], bound, "{told}");
        let parts = told["over_time"].as_array().unwrap();
        let sum: u64 = parts
            .iter()
            .map(|part| part["total"].as_u64().unwrap())
            .sum();
        assert_eq!(sum, total, "{told}");
        assert!(
            parts
                .iter()
                .all(|part| part["of_all"].as_u64() > part["total"].as_u64()),
            "{told}"
        );
        let report = bed.run(&["report"]).code(0).stdout;
        assert!(report.contains(words), "{report}");
        assert_eq!(report, bed.run(&["report"]).stdout);
        // It was asked, and nothing more can be known.
        bed.run(&["watch"]).code(0);
        assert_eq!(bed.events_of("exposure-measured").len(), 1);
    }
}

#[test]
fn what_users_have_still_is_at_least_so_much_and_what_was_not_counted_is_unknown() {
    let start = minutes_ago(20);
    let back = start + SignedDuration::from_secs(100);
    let prometheus = taken_back(start);
    // Users had it before, and have it still: what happened around both edges is not certain.
    let bed = Bed::new(&json!({"exposure": counted_by(&prometheus)}));
    bed.bad("exact", start + SignedDuration::from_secs(30), None);
    bed.run(&["watch"]).code(0);
    assert_eq!(newest(&bed), Value::Null);
    bed.run(&["resolve", "fixed by hand"]).code(0);
    let told = &newest(&bed)["exposure"];
    // Since the first scrape after it began; its last one is long ago.
    assert_eq!(told["bound"], json!("at-least"), "{told}");

    // Nothing was scraped: it is told why it is not known, once.
    let bed = Bed::new(&json!({"exposure": counted_by(&prometheus)}));
    bed.bad("silent", start, Some(back));
    let ran = bed.run(&["resolve", "it is over"]).code(0);
    assert!(ran.stdout.contains("incident/exposure"), "{}", ran.stdout);
    let report = bed.run(&["report"]).code(0).stdout;
    let words = "Served by the bad release: unknown: no series of";
    assert!(report.contains(words), "{report}");
    bed.run(&["watch"]).code(0);
    assert_eq!(bed.events_of("exposure-measured").len(), 1);
}

/// Asking may take its time where a person waits; those who are told do not wait for it.
#[test]
fn an_end_is_told_before_it_is_asked_what_the_release_served() {
    let prometheus = Receiver::start("", Reply::Hang);
    let hook = Receiver::start("hook", Reply::Accept);
    let mut bed = Bed::new(&json!({
        "webhook": [{"name": "hook", "url-env": "HOOK"}],
        "exposure": {"server": prometheus.url(), "total": "a", "failed": "b"},
    }));
    bed.variables.push(("HOOK", hook.url()));
    bed.bad("v2", minutes_ago(20), None);
    let mut resolve = bed.command(&["resolve", "fixed by hand"]).spawn().unwrap();
    let is_told = || {
        hook.calls()
            .iter()
            .any(|call| call.body.contains("incident-resolved"))
    };
    assert!(
        wait_until(Duration::from_secs(8), is_told),
        "{:?}",
        hook.calls()
    );
    resolve.kill().unwrap();
    resolve.wait().unwrap();
}

#[test]
fn bounds_are_told_where_the_release_served_on() {
    let start = minutes_ago(20);
    let back = start + SignedDuration::from_secs(100);
    let mut text = "# TYPE requests counter\n".to_owned();
    for (status, step) in [("200", 200), ("500", 20)] {
        let samples: Vec<_> = (0..20_u32)
            .map(|n| (i64::from(n) * 15 - 53, n * step))
            .collect();
        let labels = format!("release=\"v2\",status=\"{status}\"");
        series(&mut text, &labels, start, &samples);
    }
    text.push_str("# EOF\n");
    let prometheus = Prometheus::recorded(&text, &[]);
    let bed = Bed::new(&json!({"exposure": counted_by(&prometheus)}));
    // It was deployed over itself.
    bed.bad("v2", start - SignedDuration::from_secs(30), None);
    bed.bad("v2", start, Some(back));
    bed.run(&["watch"]).code(0);
    let event = newest(&bed);
    let told = &event["exposure"];
    // Scraped 8 s before and 7 s after its beginning, and right after its end.
    assert_eq!(
        (&told["total"], &told["failed"]),
        (&json!(1540), &json!(140)),
        "{event}"
    );
    assert_eq!(
        told["bound"]["at-most"],
        json!({"total": 1760, "failed": 160}),
        "{told}"
    );
    let report = bed.run(&["report", "--incident", "inc-v2"]).code(0).stdout;
    let words = "between 1540 and 1760 requests, between 140 and 160 failed";
    assert!(report.contains(words), "{report}");
}

#[test]
fn an_access_log_of_nginx_is_counted_to_the_request() {
    let servers = "log_format own '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
                   \"$http_referer\" \"$http_user_agent\" $arg_release';
    log_format objects escape=json '{\"time_iso8601\":\"$time_iso8601\",\"status\":\"$status\",\"release\":\"$arg_release\"}';
    access_log access.log own;
    access_log objects.log objects;
    server {
        listen 127.0.0.1:PORT;
        location /bad { return 503 bad; }
        location / { return 200 good; }
    }";
    let nginx = Nginx::serving(servers);
    let started = Timestamp::now();
    for nth in 0..300 {
        let release = if nth % 3 == 0 { "v2" } else { "v1" };
        let path = if nth % 9 == 0 { "/bad" } else { "/" };
        testkit::get(&nginx.url(&format!("{path}?release={release}"))).unwrap();
    }
    let back = Timestamp::now();
    for (file, format, field) in [
        ("access.log", "combined", "10"),
        ("objects.log", "json", "release"),
    ] {
        let file = nginx.folder().join(file);
        let log = json!({"file": file, "format": format, "field": field});
        let bed = Bed::new(&json!({"exposure": {"access-log": log}}));
        bed.bad("v2", started, Some(back));
        bed.run(&["update", "--phase", "monitoring", "it is back"])
            .code(0);
        let event = newest(&bed);
        let told = &event["exposure"];
        assert_eq!(
            (&told["total"], &told["failed"]),
            (&json!(100), &json!(34)),
            "{event}"
        );
        assert_eq!(
            (&told["bound"], &told["source"]),
            (&json!("exact"), &json!("access-log"))
        );
        let all = told["over_time"].as_array().unwrap().iter();
        let all: u64 = all.map(|part| part["of_all"].as_u64().unwrap()).sum();
        assert_eq!(all, 300, "{told}");
        let analysis = bed.run(&["report", "--format", "json"]).code(0).stdout;
        let analysis: Value = serde_json::from_str(&analysis).unwrap();
        assert_eq!(analysis["exposure"], json!({"failed": 34, "total": 100}));
        assert_eq!(analysis["exposure_detail"], *told);
    }

    // A log that is not there is a reason, and no verdict.
    let log = json!({"file": nginx.folder().join("gone.log"), "field": "10"});
    let bed = Bed::new(&json!({"exposure": {"access-log": log}}));
    bed.bad("v2", started, Some(back));
    bed.run(&["resolve", "it is over"]).code(0);
    let why = newest(&bed)["unknown"].as_str().unwrap().to_owned();
    assert!(
        why.contains("gone.log") && why.contains("No such file"),
        "{why}"
    );
}

#[test]
fn what_was_counted_stays_where_the_log_was_rotated_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let started = minutes_ago(3);
    let line = |nth: i64| {
        let at = started + SignedDuration::from_secs(nth);
        json!({"time_iso8601": at.to_string(), "status": "500", "release": "v2"}).to_string() + "\n"
    };
    let write = |moved_away: std::ops::Range<i64>, newest: std::ops::Range<i64>| {
        let lines = |all: std::ops::Range<i64>| all.map(line).collect::<String>();
        std::fs::write(folder.path().join("access.log.1"), lines(moved_away)).unwrap();
        std::fs::write(&file, lines(newest)).unwrap();
    };
    // What was moved away before that is not read.
    write(5..35, 35..65);
    let log = json!({"file": file, "format": "json", "field": "release"});
    let bed = Bed::new(&json!({"exposure": {"access-log": log}}));
    bed.bad("v2", started, Some(started + SignedDuration::from_secs(70)));
    bed.run(&["update", "it is back"]).code(0);
    let told = &newest(&bed)["exposure"];
    assert_eq!(
        (&told["total"], &told["bound"]),
        (&json!(60), &json!("at-least")),
        "{told}"
    );

    write(90..100, 100..110);
    bed.run(&["resolve", "it is over"]).code(0);
    let measured = bed.events_of("exposure-measured");
    assert!(
        measured
            .iter()
            .all(|event| event["exposure"]["total"] == 60),
        "{measured:?}"
    );
    let report = bed.run(&["report"]).code(0).stdout;
    assert!(
        report.contains("at least 60 requests, 60 failed"),
        "{report}"
    );

    // Of one that no line tells of, nothing is known.
    let log = json!({"file": file, "format": "json", "field": "release"});
    let bed = Bed::new(&json!({"exposure": {"access-log": log}}));
    bed.bad("v3", started, Some(started + SignedDuration::from_secs(70)));
    bed.run(&["resolve", "it is over"]).code(0);
    let why = newest(&bed)["unknown"].as_str().unwrap().to_owned();
    assert!(why.contains("does not reach back to"), "{why}");
}
