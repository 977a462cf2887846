//! `healthgate.canary` as its author sees it.

use config::file::{Canary, CanarySides};
use config::{Loaded, Request, Variables, load, recorded_canary};
use model::Env;

fn read(canary: &str, release: Option<&str>) -> Result<Loaded, config::LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("version: 1\nhealthgate:\n  canary:{canary}\n");
    std::fs::write(folder.path().join("deploy-guard.yml"), text).unwrap();
    load(Request {
        fetch: None,
        path: None,
        folder: folder.path(),
        environment: None,
        variables: Variables {
            env: &Env::default(),
            release,
        },
    })
}

fn canary(text: &str) -> Canary {
    let config = read(text, Some("v2")).unwrap().config;
    let section = config.healthgate().unwrap().unwrap();
    section.canary.clone().unwrap()
}

/// The message, with where it points to, and the hint.
fn mistake(text: &str) -> String {
    match read(text, Some("v2")) {
        Err(refused) => {
            let hint = refused.error.hint().unwrap_or_default();
            format!("{}\nhint: {hint}", refused.error)
        }
        Ok(_) => "accepted".to_owned(),
    }
}

#[test]
fn a_label_and_a_server_are_enough() {
    let canary = canary(" { label: release, server: 'http://prometheus:9090' }");
    let sides = canary.sides_of("v2\"", "v1").unwrap();
    assert_eq!(sides.canary, r#"release="v2\"""#);
    assert_eq!(sides.stable, r#"release="v1""#);
    assert!(canary.needs_last_known_good());
    let compared = canary.compared();
    let queries: Vec<_> = compared
        .iter()
        .flat_map(|one| [&one.failed, &one.total, &one.buckets])
        .flatten()
        .collect();
    assert_eq!(
        queries,
        [
            r#"http_requests_total{{side},status=~"5.."}"#,
            "http_requests_total{{side}}",
            "http_request_duration_seconds_bucket{{side}}",
        ]
    );
    assert_eq!(compared[0].name, "errors");
    // A service without errors passes.
    assert_eq!(
        compared[0].at_most.map(|most| most.to_string()).as_deref(),
        Some("0.1%")
    );
    assert_eq!(compared[1].name, "latency");
}

#[test]
fn the_table_of_runbook_003_is_a_preset_of_every_judge() {
    let names = |text: &str| {
        let compared = canary(text).compared();
        let names = compared.into_iter().map(|one| one.name);
        names.collect::<Vec<_>>().join(" ")
    };
    let runbook = "error-rate p95 availability";
    assert_eq!(names(" { judge: threshold }"), runbook);
    assert_eq!(names(" { preset: runbook-003 }"), runbook);
    assert_eq!(
        names(" { judge: threshold, preset: requests }"),
        "errors latency"
    );
    assert_eq!(names(" { judge: kayenta }"), "errors latency");
    assert_eq!(
        names(" { judge: threshold, metrics: [{ name: a, kind: ratio }] }"),
        "a"
    );
}

#[test]
fn sides_name_the_release_before_late_and_labels_are_of_both() {
    let canary = canary(
        "\n    sides: { canary: 'v=\"${RELEASE}\"', stable: 'v=\"${LAST_KNOWN_GOOD}\"' }\n    labels: { job: shop }",
    );
    let expected = CanarySides {
        canary: "v=\"v2\",job=\"shop\"".to_owned(),
        stable: "v=\"v1\",job=\"shop\"".to_owned(),
    };
    assert_eq!(canary.sides_of("v2", "v1"), Some(expected));
}

#[test]
fn a_tolerance_is_a_ratio_or_a_percentage_and_any_increase_may_be_harm() {
    let tolerance = |text: &str| {
        let text = format!(" {{ metrics: [{{ name: m, kind: gauge, tolerance: {text} }}] }}");
        canary(&text).compared()[0].tolerance()
    };
    for (text, value) in [("1.5", 1.5), ("1.01", 1.01), ("20%", 1.2), ("'50 %'", 1.5)] {
        assert!((tolerance(text) - value).abs() < 1e-12, "{text}");
    }
}

/// Offline neither a release nor a server is known.
#[test]
fn recorded_data_needs_the_metrics_and_none_of_the_variables_of_a_rollout() {
    let text = "
    server: 'http://${PROMETHEUS}:9090'
    sides: { canary: 'v=\"${RELEASE}\"', stable: 'v=\"${BEFORE}\"' }
    alpha: 2%
    metrics:
      - { name: errors, kind: ratio, failed: '${REQUESTS}{ {side},status=~\"5..\" }', total: '${REQUESTS}{ {side} }' }";
    let config = read(text, None).unwrap().config;
    assert!(config.healthgate().is_err());
    let canary = recorded_canary(&config).unwrap().unwrap();
    assert_eq!(
        (canary.metrics.len(), canary.alpha.to_string()),
        (1, "2%".to_owned())
    );
    // What the verdict depends on is not made up.
    let config = read(" { alpha: '${ALPHA}' }", None).unwrap().config;
    let error = recorded_canary(&config).unwrap_err().to_string();
    assert!(error.contains("the variable `ALPHA` is not set"), "{error}");
    let none = read(" { judge: kayenta }", None).unwrap().config;
    assert!(recorded_canary(&none).unwrap().is_some());
}

#[test]
fn contradictions_are_refused_where_they_stand() {
    let metric = |keys: &str| format!(" {{ metrics: [{{ name: m, {keys} }}] }}");
    let source = "side: { field: upstream, canary: a, stable: b }";
    let mistakes = [
        " { interval: 1h, deadline: 30m }".to_owned(),
        " { warm-up: 30m, deadline: 30m }".to_owned(),
        " { interval: 0s }".to_owned(),
        " { alpha: 1 }".to_owned(),
        " { alpha: 5 }".to_owned(),
        " { beta: 0% }".to_owned(),
        " { beta: 90% }".to_owned(),
        " { judge: bayes }".to_owned(),
        " { label: release, sides: { canary: a, stable: b } }".to_owned(),
        " { sides: { canary: 'a=\"1\"', stable: 'a=\"1\"' } }".to_owned(),
        " { sides: { canary: 'a=\"1\"' } }".to_owned(),
        " { label: re-lease }".to_owned(),
        " { server: 'http://p', command: { run: x }, label: release }".to_owned(),
        " { server: 'http://p' }".to_owned(),
        " { server: 'p:9090', label: release }".to_owned(),
        " { access: { tenant: a } }".to_owned(),
        format!(" {{ access-log: {{ file: a.log, {source} }} }}"),
        " { access-log: { file: a.log, format: json, side: { field: u, canary: a, stable: a } } }"
            .to_owned(),
        " { command: { run: '' } }".to_owned(),
        " { command: { run: x, host: nowhere } }".to_owned(),
        " { preset: requests, metrics: [{ name: m, kind: ratio }] }".to_owned(),
        " { metrics: [{ name: m, kind: ratio }, { name: m, kind: gauge }] }".to_owned(),
        " { metrics: [{ name: a/b, kind: ratio }] }".to_owned(),
        metric("kind: rate"),
        metric("kind: ratio, query: 'x{ {side} }'"),
        metric("kind: ratio, failed: 'x{ {side} }'"),
        metric("kind: gauge, query: up"),
        " { server: 'http://p', label: r, metrics: [{ name: m, kind: gauge }] }".to_owned(),
        " { command: { run: x }, metrics: [{ name: m, kind: gauge, query: 'x{ {side} }' }] }"
            .to_owned(),
        metric("kind: ratio, tolerance: 1"),
        metric("kind: ratio, tolerance: 0%"),
        metric("kind: ratio, tolerance: 3s"),
        metric("kind: ratio, tolerance: 100"),
        metric("kind: ratio, at-most: 5"),
        metric("kind: ratio, at-most: 0"),
        metric("kind: gauge, at-most: 5%"),
        metric("kind: ratio, tolerance: 64MiB"),
        metric("kind: histogram, quantile: 95"),
        " { kayenta: { pass: 50, marginal: 75 } }".to_owned(),
        " { kayenta: { pass: 101 } }".to_owned(),
        " { kayenta: { weights: { a: 60, b: 60 } } }".to_owned(),
        " { thresholds: { failures: 0 } }".to_owned(),
        " { thresholds: { error-rate: 5 } }".to_owned(),
        " { metric-names: { requests: 'a b' } }".to_owned(),
        " { tolerance: 1.5 }".to_owned(),
    ];
    let all: Vec<String> = mistakes
        .iter()
        .map(|text| format!("canary:{text}\n{}\n", mistake(text)))
        .collect();
    assert!(
        all.iter().all(|one| !one.contains("\naccepted\n")),
        "{all:#?}"
    );
    insta::assert_snapshot!(all.join("\n"));
}
