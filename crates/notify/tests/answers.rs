//! What each answer of a server means for the next attempt; the same for all that speak HTTP.

use std::time::{Duration, Instant};

use notify::PreviousDelivery;
use testkit::{Authority, TlsServer};

use crate::bed::{CANARY, Raw, deliver, deliver_within, notice, told};

const WEBHOOK: &str = "webhook: [{ name: hook, url-env: HOOK_URL }]";

async fn answered(head: &str, body: &str) -> String {
    let length = body.len();
    let raw = Raw::answering(format!(
        "HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ));
    let url = format!("{}/services/T0/{CANARY}?key={CANARY}", raw.url);
    told(
        deliver(
            WEBHOOK,
            &[("HOOK_URL", &url)],
            &notice(),
            PreviousDelivery::default(),
        )
        .await,
    )
}

#[tokio::test]
async fn an_answer_says_whether_another_attempt_may_help() {
    let repeated = format!("no such hook: /services/T0/{CANARY}");
    let mut all = Vec::new();
    for (head, body) in [
        ("200 OK", "ok"),
        ("202 Accepted", ""),
        ("400 Bad Request", "{\"error\": \"no text\"}"),
        ("401 Unauthorized", ""),
        ("403 Forbidden", "action_prohibited"),
        ("404 Not Found", &repeated),
        ("410 Gone", "<html>\u{1b}[31mgone</html>"),
        ("429 Too Many Requests\r\nretry-after: 7", ""),
        (
            "429 Too Many Requests\r\nretry-after: Sat, 01 Jan 2000 00:00:00 GMT",
            "",
        ),
        ("429 Too Many Requests\r\nretry-after: 999999999", ""),
        ("429 Too Many Requests", ""),
        ("500 Internal Server Error", "boom"),
        ("503 Service Unavailable\r\nretry-after: 30", ""),
        ("302 Found\r\nlocation: https://evil.example/a", ""),
        ("307 Temporary Redirect\r\nlocation: /elsewhere", ""),
        (
            "307 Temporary Redirect\r\nlocation: javascript:alert(1)",
            "",
        ),
        ("301 Moved Permanently", ""),
    ] {
        all.push(format!(
            "{}\n  {}",
            head.replace("\r\n", ", "),
            answered(head, body).await
        ));
    }
    insta::assert_snapshot!(all.join("\n"));
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let other = wiremock::MockServer::start().await;
    let head = format!("307 Temporary Redirect\r\nlocation: {}/steal", other.uri());
    assert!(answered(&head, "").await.starts_with("refused"));
    assert!(other.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_server_that_is_down_or_breaks_off_or_hangs_does_not_hold_us_up() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let down = format!("http://{closed}/{CANARY}");
    let told_of = async |url: String| {
        let time = Duration::from_millis(700);
        let env = [("HOOK_URL", url.as_str())];
        told(deliver_within(WEBHOOK, &env, &notice(), PreviousDelivery::default(), time).await)
    };
    assert_eq!(
        told_of(down).await,
        "later: 127.0.0.1:PORT could not be reached: connection refused"
    );
    let silent = Raw::silent();
    let begun = Instant::now();
    let said = told_of(format!("{}/{CANARY}", silent.url)).await;
    assert!(
        said.starts_with("unsure: 127.0.0.1:PORT did not answer within"),
        "{said}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    let closing = Raw::closing();
    let said = told_of(format!("{}/{CANARY}", closing.url)).await;
    assert!(
        said.starts_with("unsure: 127.0.0.1:PORT broke off"),
        "{said}"
    );
    // The time was up before it began.
    let time = Duration::ZERO;
    let env = [("HOOK_URL", "http://127.0.0.1:1/")];
    let late =
        told(deliver_within(WEBHOOK, &env, &notice(), PreviousDelivery::default(), time).await);
    assert_eq!(
        late,
        "later: 127.0.0.1:PORT was not called: no time was left"
    );
}

#[tokio::test]
async fn of_an_endless_answer_only_a_little_is_read() {
    let body = "x".repeat(10 << 20);
    assert_eq!(answered("200 OK", &body).await, "delivered");
    let said = answered("400 Bad Request", &body).await;
    assert!(said.len() < 1000, "{}", said.len());
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_stops_it_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let certificate = authority.certificate("127.0.0.1", 30);
    let server = TlsServer::start(folder.path(), &certificate);
    let url = format!("https://127.0.0.1:{}/{CANARY}", server.port());
    let said = told(
        deliver(
            WEBHOOK,
            &[("HOOK_URL", &url)],
            &notice(),
            PreviousDelivery::default(),
        )
        .await,
    );
    assert!(
        said.starts_with("later: 127.0.0.1:PORT could not be reached: "),
        "{said}"
    );
    assert!(
        said.contains("certificate") || said.contains("UnknownIssuer"),
        "{said}"
    );
}

#[tokio::test]
async fn a_variable_without_a_value_is_refused_before_anyone_is_asked() {
    let told_of = async |yaml: &str, env: &[(&str, &str)]| {
        let time = Duration::from_secs(1);
        told(deliver_within(yaml, env, &notice(), PreviousDelivery::default(), time).await)
    };
    let mut all = Vec::new();
    for (yaml, env) in [
        (WEBHOOK, &[][..]),
        (WEBHOOK, &[("HOOK_URL", " \n")]),
        (WEBHOOK, &[("HOOK_URL", "hooks.example.com/x")]),
        (WEBHOOK, &[("HOOK_URL", "file:///etc/passwd")]),
        (
            "slack: [{ name: a, url-env: SLACK_WEBHOOK }]",
            &[("SLACK_WEBHOOK", "")],
        ),
        (
            "slack: [{ name: a, token-env: T, channel: C }]",
            &[("T", "")],
        ),
        (
            "slack: [{ name: a, token-env: T, channel: C }]",
            &[("T", "xoxb\nline")],
        ),
        ("pagerduty: [{ name: a, routing-key-env: K }]", &[("K", "")]),
        ("teams: [{ name: a, url-env: TEAMS }]", &[]),
        (
            "email: [{ name: a, server: localhost, username-env: U, password-env: P, from: a@b, to: [c@d] }]",
            &[("U", "me"), ("P", "")],
        ),
        ("github-issue: [{ name: a, token-env: T }]", &[("T", "")]),
    ] {
        all.push(format!("{yaml}\n  {}", told_of(yaml, env).await));
    }
    insta::assert_snapshot!(all.join("\n"));
}
