//! Text from outside in every place of a notice, to every sink: it stays text.

use std::collections::BTreeMap;

use notify::{Link, Notice, PreviousDelivery};
use serde_json::Value;
use testkit::{HOSTILE, markdown, mention};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

use crate::bed::{CANARY, deliver, deliver_in, notice};

const WORST: &str = "@channel <!here> <@U012345> [x](http://evil.example) ![](http://evil.example/p.png) \
    <http://evil.example|click> www.evil.example \r\nBcc: evil@example.com </details><script>alert(1)</script> \
    <!-- deploy-guard incident x --> @octocat #1 `code` *bold* |cell| \u{200b}\u{202e}txt.exe\u{1b}[31m {{ service }} \
    \"}], \"text\": \"owned l34ked-pa55word";

pub(crate) fn hostile(text: &str) -> Notice {
    Notice {
        id: text.into(),
        thread: text.into(),
        service: text.into(),
        environment: Some(text.into()),
        release: Some(text.into()),
        title: text.into(),
        body: text.into(),
        fields: vec![(text.into(), text.into()); 60],
        links: vec![
            Link {
                label: text.into(),
                url: "https://good.example/a|b>c?d=<e>&f=\"g\"".into(),
            },
            Link {
                label: "script".into(),
                url: "javascript:alert(1)".into(),
            },
            Link {
                label: "login".into(),
                url: "https://user:password@evil.example/".into(),
            },
            Link {
                label: "text".into(),
                url: text.into(),
            },
        ],
        ..notice()
    }
}

const SINKS: [(&str, &str); 7] = [
    ("slack", "slack: [{ name: a, url-env: URL }]"),
    (
        "bot",
        "slack: [{ name: a, token-env: TOKEN, channel: C1, api-url: 'BASE' }]",
    ),
    (
        "pagerduty",
        "pagerduty: [{ name: a, routing-key-env: TOKEN, url: 'BASE' }]",
    ),
    ("webhook", "webhook: [{ name: a, url-env: URL }]"),
    ("issue", "github-issue: [{ name: a }]"),
    ("deployment", "github-deployment: [{ name: a }]"),
    ("teams", "teams: [{ name: a, url-env: URL }]"),
];

/// What a sink sends.
async fn sent(sink: &str, notice: &Notice) -> Vec<Value> {
    let server = MockServer::start().await;
    let answer = |request: &Request| {
        let is_list = request.method.as_str() == "GET";
        let made =
            serde_json::json!({"ok": true, "channel": "C1", "ts": "1.0", "number": 1, "id": 1});
        let answer = if is_list { serde_json::json!([]) } else { made };
        ResponseTemplate::new(200).set_body_json(answer)
    };
    Mock::given(matchers::any())
        .respond_with(answer)
        .mount(&server)
        .await;
    let uri = server.uri();
    let env = [
        ("URL", uri.as_str()),
        ("TOKEN", CANARY),
        ("GITHUB_API_URL", &uri),
        ("GITHUB_TOKEN", CANARY),
    ];
    let yaml = sink.replace("BASE", &uri);
    deliver(&yaml, &env, notice, PreviousDelivery::default())
        .await
        .unwrap();
    let all = server.received_requests().await.unwrap();
    let bodies = all.iter().filter(|request| !request.body.is_empty());
    bodies
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect()
}

/// Every text of a document, with its key.
fn texts<'v>(value: &'v Value, key: &'v str, all: &mut Vec<(&'v str, &'v str)>) {
    match value {
        Value::String(text) => all.push((key, text)),
        Value::Array(items) => items.iter().for_each(|item| texts(item, key, all)),
        Value::Object(map) => map.iter().for_each(|(key, value)| texts(value, key, all)),
        _ => {}
    }
}

#[tokio::test]
async fn no_one_is_mentioned_and_nothing_hidden_goes_out() {
    for (name, sink) in SINKS {
        for body in sent(sink, &hostile(WORST)).await {
            let mut all = Vec::new();
            texts(&body, "", &mut all);
            for (key, text) in all {
                let context = format!("{name} {key}: {text}");
                for call in [
                    "@channel",
                    "@octocat",
                    "\u{202e}",
                    "\u{200b}",
                    "\u{1b}",
                    "user:password",
                    crate::bed::LEAKED,
                    "javascript:",
                ] {
                    assert!(!text.contains(call), "{call:?} in {context}");
                }
                let is_line = [
                    "title",
                    "summary",
                    "description",
                    "label",
                    "service",
                    "source",
                    "thread",
                ]
                .contains(&key);
                assert!(!is_line || !text.contains('\n'), "{context}");
            }
        }
    }
}

/// What is in no text that a person is shown.
pub(crate) fn is_hidden(c: char) -> bool {
    let is_control = c.is_control() && c != '\n' && c != '\t';
    is_control || model::text::is_bidi(c) || model::text::is_invisible(c)
}

/// Each hostile text in every place of a notice, to each sink.
#[tokio::test]
async fn each_hostile_text_stays_text_at_each_sink() {
    for (what, text) in HOSTILE {
        for (name, sink) in SINKS {
            let context = format!("{what}, {name}");
            for body in sent(sink, &hostile(text)).await {
                let mut all = Vec::new();
                texts(&body, "", &mut all);
                for (key, text) in all {
                    let context = format!("{context}, {key}: {text:?}");
                    assert!(!text.contains(is_hidden), "{context}");
                    assert_eq!(mention(text), None, "{context}");
                    assert!(
                        !text.contains("javascript:") || !text.starts_with("javascript:"),
                        "{context}"
                    );
                    if name == "slack" || name == "bot" {
                        slack_reads(key, text, &context);
                    }
                }
                if name == "issue" {
                    let (found, words) = markdown(body["body"].as_str().unwrap());
                    issue_has(&found, &context);
                    assert_eq!(mention(&words), None, "{context}: {words}");
                }
            }
        }
    }
}

/// In Slack markup is between `<` and `>`: we write the links of the notice.
fn slack_reads(key: &str, text: &str, context: &str) {
    if key == "text" {
        let ours = "<https://good.example/a%7Cb%3Ec?d=%3Ce%3E&amp;f=%22g%22|";
        let rest = text.strip_prefix(ours);
        let rest = rest.map_or(text, |rest| rest.strip_suffix('>').unwrap_or(rest));
        assert!(!rest.contains(['<', '>']), "{context}");
    }
}

/// Our two marks, our link, our table, our one strong line, and line breaks.
fn issue_has(found: &BTreeMap<String, usize>, context: &str) {
    for (one, times) in found {
        let most = match one.as_str() {
            "Table" | "Strong" => 1,
            "TableRow" | "TableCell" | "html <br>" => usize::MAX,
            link if link.starts_with("link https://good.example/") => 1,
            mark if mark.starts_with("html <!-- deploy-guard ") => {
                usize::from(mark.matches("<!--").count() <= 2)
            }
            _ => 0,
        };
        assert!(*times <= most, "{context}: {one} of {found:?}");
    }
}

#[tokio::test]
async fn each_hostile_text_stays_text_in_a_template_and_in_a_line_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let template =
        r#"{"text": "{{ title }} {{ text }} {{ release }}", "fields": {{ fields | tojson }}}"#;
    std::fs::write(folder.path().join("body.json.j2"), template).unwrap();
    for (what, text) in HOSTILE {
        let server = MockServer::start().await;
        Mock::given(matchers::any())
            .respond_with(ResponseTemplate::new(200))
            .mount(&server)
            .await;
        let time = std::time::Duration::from_secs(2);
        let uri = server.uri();
        let yaml = "webhook: [{ name: a, url-env: URL, template: body.json.j2 }]";
        let env = [("URL", uri.as_str())];
        let notice = hostile(text);
        deliver_in(
            folder.path(),
            yaml,
            &env,
            &notice,
            PreviousDelivery::default(),
            time,
        )
        .await
        .unwrap();
        let all = server.received_requests().await.unwrap();
        let body: Value = serde_json::from_slice(&all[0].body).unwrap();
        let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["fields", "text"], "{what}");
        let mut all = Vec::new();
        texts(&body, "", &mut all);
        for (_, text) in all {
            assert!(
                !text.contains(is_hidden) && mention(text).is_none(),
                "{what}: {text:?}"
            );
        }
        // The bed takes no line with a line break.
        deliver(
            "stdout: [{ name: log }]",
            &[],
            &notice,
            PreviousDelivery::default(),
        )
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn in_slack_only_our_links_are_markup() {
    for (_, sink) in &SINKS[..2] {
        for body in sent(sink, &hostile(WORST)).await {
            let mut all = Vec::new();
            texts(&body, "", &mut all);
            for (key, text) in all.into_iter().filter(|(key, _)| *key == "text") {
                let is_link = text.starts_with("<https://good.example/");
                assert_eq!(
                    text.matches('<').count(),
                    usize::from(is_link),
                    "{key}: {text}"
                );
                assert_eq!(
                    text.matches('>').count(),
                    usize::from(is_link),
                    "{key}: {text}"
                );
            }
            let mrkdwn = body.to_string().matches("\"mrkdwn\",").count();
            assert_eq!(mrkdwn, 1, "{body:#}");
        }
    }
}

#[tokio::test]
async fn in_an_issue_nothing_is_markup_a_link_or_a_mark() {
    let bodies = sent(SINKS[4].1, &hostile(WORST)).await;
    let body = bodies[0]["body"].as_str().unwrap();
    // Our two marks and our one link.
    assert_eq!(body.matches("<!--").count(), 2, "{body}");
    assert_eq!(body.matches("](<").count(), 1, "{body}");
    for bad in [
        "](http",
        "</details",
        "<script",
        "<img",
        "![",
        "www.evil",
        "http://evil",
    ] {
        assert!(!body.contains(bad), "{bad} in {body}");
    }
    insta::assert_snapshot!(body.lines().take(6).collect::<Vec<_>>().join("\n"));
}

#[tokio::test]
async fn texts_of_a_megabyte_are_cut_to_what_each_service_takes() {
    for unit in [
        "a",
        "<",
        "\u{1F6A8}",
        "a b\n",
        "&",
        "~",
        "@a ",
        "\"",
        "\u{1}",
    ] {
        let mut long = hostile(&unit.repeat((1 << 20) / unit.len()));
        let url = format!("https://good.example/{}", "x".repeat(900));
        long.links = (0..20)
            .map(|_| Link {
                label: unit.repeat(300),
                url: url.clone(),
            })
            .collect();
        for (name, sink) in SINKS {
            for body in sent(sink, &long).await {
                let size = body.to_string().len();
                let most = match name {
                    "slack" | "bot" => 60_000,
                    "teams" => 28 << 10,
                    "issue" => 65_536,
                    "deployment" => 4_000,
                    "pagerduty" => 512_000,
                    _ => 1 << 20,
                };
                assert!(size <= most, "{name}: {size} for {unit:?}");
                if matches!(name, "slack" | "bot") {
                    slack_takes(&body);
                }
            }
        }
    }
}

/// Slack's limits: <https://api.slack.com/reference/block-kit/blocks>.
fn slack_takes(message: &Value) {
    let length = |text: &Value| text.as_str().map_or(0, |text| text.chars().count());
    let blocks = message["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    let mut total = 0;
    for block in blocks {
        let most = if block["type"] == "header" { 150 } else { 3000 };
        assert!(length(&block["text"]["text"]) <= most, "{block:#}");
        total += length(&block["text"]["text"]);
        let fields = block["fields"].as_array().map_or(&[][..], Vec::as_slice);
        assert!(fields.len() <= 10);
        for field in fields {
            assert!(length(&field["text"]) <= 2000);
            total += length(&field["text"]);
        }
        for element in block["elements"].as_array().into_iter().flatten() {
            assert!(length(&element["text"]) <= 3000, "{element:#}");
            total += length(&element["text"]);
        }
    }
    assert!(total <= 13_200, "{total}");
}
