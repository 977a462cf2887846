//! Runners in the configuration: whose they are, where they live, and mistakes in it.

use crate::read;

fn error(text: &str) -> String {
    let refusal = read(&format!("version: 1\n{text}\n")).err().unwrap();
    let text = refusal.error.to_string();
    let at = text
        .find("deploy-guard.yml:")
        .map_or(0, |at| at + "deploy-guard.yml:".len());
    format!(
        "{} | {}",
        &text[at..],
        refusal.error.hint().unwrap_or_default()
    )
}

#[test]
fn mistakes_about_runners_are_shown_where_they_stand() {
    let pool =
        |more: &str| format!("runner-check: {{ pools: [{{ name: p, labels: [a], {more} }}] }}");
    for (text, expected) in [
        (
            "runners: { web-01: { host: web-1 } }".to_owned(),
            "2:28: no host `web-1` under `hosts:`",
        ),
        (
            "hosts: { h: { address: a } }\nrunners: { web-01: { host: h, unit: 'x;y.service' } }"
                .to_owned(),
            "3:37: `x;y.service` is not a name of a service",
        ),
        (
            pool("runners: [b]"),
            "2:59: no runner `b` under `runners:` | add `runners:",
        ),
        (
            pool("group: g"),
            "2:56: `group` needs its organization or enterprise | add `organization",
        ),
        (
            pool("organization: o, enterprise: e"),
            "2:78: `organization` and `enterprise` exclude each other",
        ),
        (
            pool("prometheus: { server: 'x:1', query: q }"),
            "2:71: the URL has no scheme | write it as `http://x:1`",
        ),
        (
            pool("min-online: 0"),
            "2:61: expected a whole number from 1, found `0`",
        ),
        (
            "runner-check: { pools: [{ name: p, labels: ['  '] }] }".into(),
            "2:45: an empty label",
        ),
        (
            "runner-check: { pools: [{ name: p, labels: [] }] }".into(),
            "2:44: no label is given",
        ),
        (
            "runner-check: { interval: 0s }".into(),
            "2:27: must be more than zero",
        ),
        (
            "runner-check: { prune-above: 101 }".into(),
            "2:30: more than 100 per cent",
        ),
        (
            "runner-check: { emergency: {} }".into(),
            "2:28: nothing to start is given",
        ),
        (
            "runner-check: { emergency: { run: x, pool: p } }".into(),
            "2:44: no pool `p` under `pools:`",
        ),
        (
            "preflight: { runners: [{ name: r, labels: [a], runners: [b] }] }".into(),
            "2:58: no runner `b` under `runners:`",
        ),
    ] {
        let seen = error(&text);
        assert!(seen.starts_with(expected), "{text}\n  {seen}\n  {expected}");
    }
}

#[test]
fn a_group_of_the_sections_organisation_needs_no_owner_of_its_own() {
    let text = "version: 1\nrunner-check: { organization: acme, pools: [{ name: p, labels: [a], group: '7' }] }\n";
    let config = read(text).unwrap();
    let section = config.runner_check().unwrap().unwrap();
    assert_eq!(section.pools[0].group.as_deref(), Some("7"));
    assert_eq!(
        (
            section.wait.get().as_secs(),
            section.max_queue_time.get().as_secs()
        ),
        (0, 120)
    );
}

#[test]
fn the_guides_example_is_valid() {
    let guide = include_str!("../../../docs/guide/runners.md");
    let example = guide
        .split("```yaml\n")
        .nth(2)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let hosts = "hosts: { runner-01: { address: a }, runner-02: { address: b }, runner-03: { address: c } }";
    let config = read(&format!("version: 1\n{hosts}\n{example}")).unwrap();
    assert_eq!(config.runner_check().unwrap().unwrap().pools.len(), 3);
}
