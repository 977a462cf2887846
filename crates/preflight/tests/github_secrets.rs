//! What GitHub reports about secrets: their age, and a token's owner and permissions.
#![allow(clippy::too_many_lines, reason = "tables of cases")]

use crate::asking::{answer, preflight_with};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn set_at(name: &str, days: i64) -> Value {
    let at = jiff::Timestamp::now().as_second() - days * 86_400;
    let at = jiff::Timestamp::from_second(at).unwrap().to_string();
    json!({"total_count": 1, "secrets": [{"name": name, "created_at": at, "updated_at": at}]})
}

/// Whether the text has these words. `…` matches the seconds that this machine took.
fn tells(text: &str, words: &str) -> bool {
    let Some((before, behind)) = words.split_once('…') else {
        return text.contains(words);
    };
    text.match_indices(before).any(|(at, _)| {
        let rest = &text[at + before.len()..];
        let seconds = rest.strip_prefix(' ').and_then(|rest| rest.split_once('s'));
        let seconds =
            seconds.filter(|(count, _)| count.parse::<u8>().is_ok_and(|count| count < 60));
        seconds.map_or(rest, |(_, rest)| rest).starts_with(behind)
    })
}

#[tokio::test]
async fn a_secrets_age_is_known_where_a_token_may_read_it() {
    let repository = "/repos/acme/shop/actions/secrets";
    let shared = "/repos/acme/shop/actions/organization-secrets";
    let none = || json!({"total_count": 0, "secrets": []});
    for (stored, answers, code, says) in [
        (
            "",
            vec![(repository, set_at("KEY", 10))],
            0,
            "set 10d… ago, in acme/shop",
        ),
        (
            "",
            vec![(repository, set_at("KEY", 100))],
            1,
            "set 100d… ago, more than max-age (90d)",
        ),
        (
            "",
            vec![(repository, set_at("OTHER", 1)), (shared, set_at("key", 5))],
            0,
            "in the organisation of acme/shop",
        ),
        (
            "",
            vec![(repository, none()), (shared, none())],
            1,
            "kept neither in the repository nor shared",
        ),
        (
            ", stored: { environment: production, name: SSH_KEY }",
            vec![(
                "/repos/acme/shop/environments/production/secrets",
                set_at("SSH_KEY", 3),
            )],
            0,
            "acme/shop's environment production",
        ),
        (
            ", stored: { organization: acme }",
            vec![("/orgs/acme/actions/secrets", set_at("KEY", 3))],
            0,
            "the organisation acme",
        ),
        (
            "",
            vec![],
            4,
            "cannot know: the token may not read when secrets were set (status 404)",
        ),
        (
            ", stored: { organization: acme }",
            vec![],
            4,
            "organization_secrets: read",
        ),
    ] {
        let server = MockServer::start().await;
        for (at, body) in answers {
            answer(&server, at, body).await;
        }
        let section = format!("  secrets: [{{ name: KEY, max-age: 90d{stored} }}]\n");
        let ran = preflight_with(&server, &section, &[("KEY", "s3cret-value")]).await;
        assert_eq!(ran.code, code, "{stored}: {}", ran.text);
        assert!(tells(&ran.text, says), "{stored}: {}", ran.text);
        let outcome = ran.outcome("secrets/KEY/age");
        if code == 4 {
            let hint = outcome["hint"].as_str().unwrap();
            assert!(hint.contains("GITHUB_TOKEN can never"), "{hint}");
        }
    }
}

async fn user(server: &MockServer, headers: &[(&str, &str)]) {
    let mut answer = ResponseTemplate::new(200).set_body_json(json!({"login": "deploy-bot"}));
    for (name, value) in headers {
        answer = answer.insert_header(*name, *value);
    }
    Mock::given(path("/user"))
        .and(wiremock::matchers::header(
            "authorization",
            "Bearer ghp_s3cret-value",
        ))
        .respond_with(answer)
        .mount(server)
        .await;
}

#[tokio::test]
async fn a_token_tells_whose_it_is_how_long_it_lasts_and_what_it_may_do() {
    let expiry = |days: i64| {
        let at = jiff::Timestamp::now().as_second() + days * 86_400 + 60;
        let at = jiff::Timestamp::from_second(at).unwrap();
        at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    };
    let (soon, later) = (expiry(3), expiry(40));
    let ends = "github-authentication-token-expiration";
    let scopes = ("x-oauth-scopes", "repo, read:org");
    for (headers, more, code, says) in [
        (
            vec![(ends, later.as_str()), scopes],
            "",
            0,
            "of deploy-bot, 40 days left",
        ),
        (vec![scopes], "", 0, "without an expiry"),
        (
            vec![(ends, "one of these days"), scopes],
            "",
            3,
            "with an expiry that cannot be read",
        ),
        (
            vec![(ends, soon.as_str())],
            "",
            1,
            "3 days left, less than min-days (14)",
        ),
        (
            vec![(ends, soon.as_str())],
            ", min-days: 2",
            0,
            "3 days left",
        ),
        (
            vec![scopes],
            ", token: { login: release-bot }",
            1,
            "the token belongs to deploy-bot",
        ),
        (
            vec![scopes],
            ", token: { scopes: ['repo:status', 'read:org'] }",
            0,
            "scopes: repo, read:org",
        ),
        (
            vec![scopes],
            ", token: { scopes: [repo, 'admin:org'] }",
            1,
            "lacks the scopes admin:org",
        ),
        (
            vec![],
            ", token: { scopes: [repo] }",
            3,
            "it is not a classic token",
        ),
        (
            vec![],
            ", token: { permissions: [administration] }",
            0,
            "of deploy-bot",
        ),
        (
            vec![],
            ", token: { permissions: [administration, secrets] }",
            1,
            "the token may not read secrets",
        ),
    ] {
        let server = MockServer::start().await;
        user(&server, &headers).await;
        answer(
            &server,
            "/repos/acme/shop/actions/runners",
            json!({"total_count": 0}),
        )
        .await;
        Mock::given(path("/repos/acme/shop/actions/secrets"))
            .respond_with(ResponseTemplate::new(403))
            .mount(&server)
            .await;
        let section = format!("  secrets: [{{ name: BOT_TOKEN, kind: token{more} }}]\n");
        let ran = preflight_with(&server, &section, &[("BOT_TOKEN", "ghp_s3cret-value")]).await;
        assert_eq!(ran.code, code, "{more}: {}", ran.text);
        assert!(ran.text.contains(says), "{more}: {}", ran.text);
        assert!(!ran.text.contains("s3cret-value"), "{}", ran.text);
        ran.outcome("secrets/BOT_TOKEN/token");
    }
}

#[tokio::test]
async fn a_token_that_github_does_not_know_fails_and_a_github_that_is_down_is_an_error() {
    for (status, code, says) in [
        (401, 1, "expired or was revoked"),
        (500, 4, "GitHub answers status 500"),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(status))
            .mount(&server)
            .await;
        let section = "  secrets: [{ name: BOT_TOKEN, kind: token }]\n";
        let ran = preflight_with(&server, section, &[("BOT_TOKEN", "ghp_s3cret-value")]).await;
        assert_eq!(ran.code, code, "{}", ran.text);
        assert!(ran.text.contains(says), "{}", ran.text);
        ran.outcome("secrets/BOT_TOKEN/token");
    }
    // The token of an app does not belong to a user.
    let server = MockServer::start().await;
    Mock::given(path("/user"))
        .respond_with(ResponseTemplate::new(403))
        .mount(&server)
        .await;
    answer(
        &server,
        "/installation/repositories",
        json!({"total_count": 0, "repositories": []}),
    )
    .await;
    let section = "  secrets: [{ name: BOT_TOKEN, kind: token }]\n";
    let ran = preflight_with(&server, section, &[("BOT_TOKEN", "ghs_s3cret-value")]).await;
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(
        ran.text.contains("of an app or a workflow run"),
        "{}",
        ran.text
    );
    let server = MockServer::start().await;
    let ran = preflight_with(&server, section, &[("BOT_TOKEN", "two words")]).await;
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(
        ran.text.contains("no spaces and no line breaks"),
        "{}",
        ran.text
    );
}
