//! `incident:` as its author sees it: the sinks.

use crate::told;

/// The configuration, or the message with the hint.
fn read(section: &str) -> Result<config::Config, String> {
    let environments = "environments: { production: {}, staging: {} }";
    let text = format!("version: 1\nincident: {section}\n{environments}\n");
    crate::read(&text).map_err(|refused| told(&refused))
}

#[test]
fn what_each_sink_hears_of_by_default() {
    let config = read(
        "{ slack: [{ name: hook, url-env: A }, { name: bot, token-env: B, channel: C1 }], pagerduty: [{ name: page, \
         routing-key-env: C }], webhook: [{ name: own, url-env: D }], github-issue: [{ name: issue }], \
         github-deployment: [{ name: deployment }], email: [{ name: mail, server: localhost:25, tls: none, from: a@b, \
         to: [c@d] }], teams: [{ name: teams, url-env: E }], stdout: [{ name: log }] }",
    )
    .unwrap();
    let incident = config.incident().unwrap().unwrap();
    let told: Vec<String> = incident
        .sinks()
        .map(|(kind, sink)| {
            let filter = sink.filter();
            let events: Vec<&str> = filter.events.iter().map(|kind| kind.word()).collect();
            let ends = if filter.only_failed { "failed" } else { "all" };
            format!("{kind} {}: {}; {ends}", sink.name(), events.join(" "))
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
    assert_eq!(incident.delivery_budget.get().as_secs(), 5);
}

#[test]
fn what_a_sink_says_itself_counts() {
    let config = read(
        "{ slack: [{ name: hook, url-env: A, severity: high, environments: [production], events: [note], only-failed: \
         false }] }",
    )
    .unwrap();
    let incident = config.incident().unwrap().unwrap();
    let (_, sink) = incident.sinks().next().unwrap();
    assert_eq!(
        format!("{:?}", sink.filter()),
        "Filter { severity: Some(High), environments: [\"production\"], events: [Note], only_failed: false, only_notes_of_incidents: false }"
    );
}

#[test]
fn what_no_sink_could_use_is_refused_and_no_secret_is_repeated() {
    let all = [
        "{ slack: [{ name: chat }] }",
        "{ slack: [{ url-env: A }] }",
        "{ slack: [{ name: chat, url-env: 'https://hooks.slack.com/services/T0/B0/canary' }] }",
        "{ slack: [{ name: chat, url-env: A, token-env: B, channel: C1 }] }",
        "{ slack: [{ name: chat, token-env: B }] }",
        "{ slack: [{ name: chat, url-env: A, channel: C1 }] }",
        "{ slack: [{ name: chat, url-env: A, severity: sev1 }] }",
        "{ slack: [{ name: chat, url-env: A, events: [opened] }] }",
        "{ slack: [{ name: chat, url-env: A, events: [] }] }",
        "{ slack: [{ name: chat, url-env: A, environments: [prodution] }] }",
        "{ production: [prodd] }",
        "{ severity: [{ level: low, environments: [prodution] }] }",
        "{ slack: [{ name: chat, url-env: A }], stdout: [{ name: chat }] }",
        "{ pagerduty: [{ name: page }] }",
        "{ pagerduty: [{ name: page, routing-key-env: A, url: events.pagerduty.com }] }",
        "{ webhook: [{ name: 'a b', url-env: A }] }",
        "{ github-issue: [{ name: issue, repository: shop }] }",
        "{ email: [{ name: mail, server: smtp.example.com, tls: none, from: a@b, to: [c@d] }] }",
        "{ email: [{ name: mail, server: smtp.example.com, from: a@b, to: [] }] }",
        "{ email: [{ name: mail, server: smtp.example.com, from: a@b, to: [\"c@d\\r\\nBcc: e@f\"] }] }",
        "{ email: [{ name: mail, server: smtp.example.com, username-env: A, from: a@b, to: [c@d] }] }",
        "{ delivery-budget: 0s }",
        "{ templates: { update: '' } }",
        "{ state: 'ssh://web/state.json' }",
        "{ opsgenie: [{ name: a }] }",
    ];
    let told: Vec<String> = all
        .iter()
        .map(|section| {
            let said = read(section).map_or_else(|said| said, |_| "accepted".to_owned());
            assert!(!said.contains("canary"), "{said}");
            format!("{section}\n{said}\n")
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}
