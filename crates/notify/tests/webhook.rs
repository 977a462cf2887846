//! A webhook of the user's own, and Teams.

use std::time::Duration;

use notify::{Notice, PreviousDelivery};
use serde_json::Value;

use crate::bed::{Raw, deliver, deliver_in, notice, told};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn the_default_body_and_its_headers() {
    let raw = Raw::answering(OK);
    let yaml = "webhook: [{ name: hook, url-env: HOOK_URL, hmac-key-env: HOOK_KEY }]";
    let env = [("HOOK_URL", raw.url.as_str()), ("HOOK_KEY", "key")];
    deliver(yaml, &env, &notice(), PreviousDelivery::default())
        .await
        .unwrap();
    let got = raw.got();
    let (head, body) = got.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        let mut lines = head.lines();
        let found = lines.find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        });
        found.unwrap_or_else(|| panic!("{name}: {head}"))
    };
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("x-deploy-guard-event"), "incident-opened");
    assert_eq!(header("idempotency-key"), "shop/production/42/1");
    let time = header("x-deploy-guard-timestamp");
    // By another hand than ours.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("signed"), format!("{time}.{body}")).unwrap();
    let openssl = std::process::Command::new(testkit::tool("openssl"))
        .args(["dgst", "-sha256", "-hmac", "key", "signed"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let expected = String::from_utf8(openssl.stdout).unwrap();
    let expected = expected.trim().rsplit(' ').next().unwrap();
    assert_eq!(
        header("x-deploy-guard-signature"),
        format!("sha256={expected}")
    );
    let body: Value = serde_json::from_str(body).unwrap();
    insta::assert_snapshot!(format!("{body:#}"));
}

/// What a template makes of a notice whose title is not harmless, or what is wrong with it.
async fn templated(template: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("body.json.j2"), template).unwrap();
    let raw = Raw::answering(OK);
    let yaml = "webhook: [{ name: hook, url-env: HOOK_URL, template: body.json.j2 }]";
    let notice = Notice {
        title: "a \"quoted\" \\ title".into(),
        ..notice()
    };
    let env = [("HOOK_URL", raw.url.as_str())];
    let time = Duration::from_secs(2);
    match deliver_in(
        folder.path(),
        yaml,
        &env,
        &notice,
        PreviousDelivery::default(),
        time,
    )
    .await
    {
        Ok(_) => raw.got().split_once("\r\n\r\n").unwrap().1.to_owned(),
        error => told(error),
    }
}

#[tokio::test]
async fn a_template_makes_json_or_nothing_is_sent() {
    let mut all = Vec::new();
    for template in [
        "{\"text\": \"{{ title }}\", \"where\": \"{{ service }} {{ environment }}\"}",
        "{\"text\": {{ title | tojson }}, \"fields\": {{ fields | tojson }}}",
        "{% if severity %}{\"s\": \"{{ severity }}\"}{% endif %}",
        "{\"text\": {{ title }}}",
        "{\"text\": \"{{ titel }}\"}",
        "{\n\"text\": \"{{ title }}\"\n{% if %}\n}",
        "",
    ] {
        all.push(format!("{template}\n  {}", templated(template).await));
    }
    let yaml = "webhook: [{ name: hook, url-env: HOOK_URL, template: none.j2 }]";
    all.push(told(
        deliver(
            yaml,
            &[("HOOK_URL", "http://127.0.0.1:1")],
            &notice(),
            PreviousDelivery::default(),
        )
        .await,
    ));
    insta::assert_snapshot!(all.join("\n"));
}

async fn card(notice: &Notice) -> Value {
    let raw = Raw::answering(OK.replace("200 OK", "202 Accepted"));
    let yaml = "teams: [{ name: teams, url-env: TEAMS }]";
    deliver(
        yaml,
        &[("TEAMS", &raw.url)],
        notice,
        PreviousDelivery::default(),
    )
    .await
    .unwrap();
    serde_json::from_str(raw.got().split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn teams_gets_a_card_that_fits() {
    insta::assert_snapshot!(format!("{:#}", card(&notice()).await));
    let large = Notice {
        body: "\u{1F6A8}\"".repeat(1 << 19),
        fields: (0..50)
            .map(|n| (format!("{n}"), "\u{1F6A8}\"".repeat(1 << 10)))
            .collect(),
        ..notice()
    };
    assert!(card(&large).await.to_string().len() <= 28 << 10);
}

/// A template may make Slack's, Discord's or any Markdown of it.
#[tokio::test]
async fn a_templates_text_calls_no_one_and_links_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let template = r#"{"content": "{{ title }}", "more": "{{ text }}"}"#;
    std::fs::write(folder.path().join("body.json.j2"), template).unwrap();
    let raw = Raw::answering(OK);
    let yaml = "webhook: [{ name: hook, url-env: HOOK_URL, template: body.json.j2 }]";
    let text = "<@&99> <@!12> <!here> <!channel> <!subteam^S01> [status](http://evil.example)";
    let notice = Notice {
        title: text.into(),
        body: text.into(),
        ..notice()
    };
    let env = [("HOOK_URL", raw.url.as_str())];
    let earlier = PreviousDelivery::default();
    deliver_in(
        folder.path(),
        yaml,
        &env,
        &notice,
        earlier,
        Duration::from_secs(5),
    )
    .await
    .unwrap();
    let got = raw.got();
    for call in ["<@", "<!", "://evil"] {
        assert!(!got.contains(call), "{call}: {got}");
    }
}
