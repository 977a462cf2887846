//! What a real registry cannot be made to do.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::Duration;

use registry::{Answer, Client, Credentials, Error, Reference};
use wiremock::matchers::{header, header_exists, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

const MANIFEST: &str = "/v2/acme/shop/manifests/v1";

async fn ask(
    server: &MockServer,
    credentials: Option<&Credentials>,
    platforms: bool,
) -> Result<Answer, Error> {
    let reference = Reference::parse(&format!("{}/acme/shop:v1", server.address())).unwrap();
    let client = Client::new(Duration::from_secs(2)).unwrap();
    client
        .manifest(&reference, credentials, false, platforms)
        .await
}

async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(path(MANIFEST))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

fn credentials() -> Credentials {
    Credentials::new("robot", "pass-word")
}

const KIND: &str = "application/vnd.oci.image.manifest.v1+json";

/// A single image's manifest.
fn manifest() -> ResponseTemplate {
    let body = format!(
        r#"{{"schemaVersion": 2, "config": {{"digest": "sha256:{}"}}}}"#,
        "a".repeat(64)
    );
    ResponseTemplate::new(200).set_body_raw(body, KIND)
}

#[tokio::test]
async fn a_page_that_is_no_manifest_is_no_image() {
    let pages = [
        ("<html>please log in</html>", "text/html"),
        ("{}", "application/json"),
        ("[]", "text/plain"),
        ("", "application/octet-stream"),
    ];
    for (body, kind) in pages {
        let server = answering(ResponseTemplate::new(200).set_body_raw(body, kind)).await;
        for platforms in [true, false] {
            let answer = ask(&server, None, platforms).await;
            assert!(matches!(answer, Err(Error::Malformed { .. })), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn each_status_has_its_own_meaning() {
    let status = |status| answering(ResponseTemplate::new(status));
    assert!(matches!(
        ask(&answering(manifest()).await, None, false).await,
        Ok(Answer::Found { .. })
    ));
    assert!(matches!(
        ask(&status(404).await, None, false).await,
        Ok(Answer::Absent)
    ));
    assert!(matches!(
        ask(&status(401).await, None, false).await,
        Ok(Answer::Denied { status: 401, .. })
    ));
    assert!(matches!(
        ask(&status(403).await, None, false).await,
        Ok(Answer::Denied { status: 403, .. })
    ));
    assert!(matches!(
        ask(&status(500).await, None, false).await,
        Err(Error::Server { status: 500, .. })
    ));
    assert!(matches!(
        ask(&status(418).await, None, false).await,
        Err(Error::Unexpected { status: 418, .. })
    ));
    let limited = answering(ResponseTemplate::new(429).insert_header("retry-after", "7")).await;
    let Err(Error::RateLimited { retry_after, .. }) = ask(&limited, None, false).await else {
        panic!()
    };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn a_registry_without_head_is_asked_by_get() {
    let server = MockServer::start().await;
    Mock::given(method("HEAD"))
        .respond_with(ResponseTemplate::new(405))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path(MANIFEST))
        .respond_with(manifest().insert_header("docker-content-digest", "sha256:abc"))
        .mount(&server)
        .await;
    let Ok(Answer::Found { digest, .. }) = ask(&server, None, false).await else {
        panic!()
    };
    assert_eq!(digest.as_deref(), Some("sha256:abc"));
}

/// A registry that wants a token from its own token service.
async fn bearer(token: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let challenge = format!(
        "Bearer realm=\"{}/token\",service=\"here\",scope=\"repository:acme/shop:pull\"",
        server.uri()
    );
    Mock::given(path("/token"))
        .and(query_param("service", "here"))
        .and(query_param("scope", "repository:acme/shop:pull"))
        .respond_with(token)
        .mount(&server)
        .await;
    Mock::given(path(MANIFEST))
        .and(header("authorization", "Bearer t0ken"))
        .respond_with(manifest())
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(path(MANIFEST))
        .respond_with(
            ResponseTemplate::new(401).insert_header("www-authenticate", challenge.as_str()),
        )
        .with_priority(5)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn a_token_is_fetched_and_used() {
    for name in ["token", "access_token"] {
        let body = serde_json::json!({ name: "t0ken" });
        let server = bearer(ResponseTemplate::new(200).set_body_json(body)).await;
        assert!(matches!(
            ask(&server, None, false).await,
            Ok(Answer::Found { .. })
        ));
        assert!(matches!(
            ask(&server, Some(&credentials()), false).await,
            Ok(Answer::Found { .. })
        ));
    }
}

#[tokio::test]
async fn a_token_service_that_misbehaves_is_told_from_an_image_that_is_missing() {
    for token in [
        ResponseTemplate::new(200).set_body_string("<html>"),
        ResponseTemplate::new(200).set_body_json(serde_json::json!({})),
        ResponseTemplate::new(500),
    ] {
        assert!(matches!(
            ask(&bearer(token).await, None, false).await,
            Err(Error::Token { .. })
        ));
    }
    let refused = bearer(ResponseTemplate::new(403)).await;
    assert!(matches!(
        ask(&refused, Some(&credentials()), false).await,
        Ok(Answer::Denied { .. })
    ));
    let huge = bearer(ResponseTemplate::new(200).set_body_string("x".repeat(1 << 20))).await;
    assert!(matches!(
        ask(&huge, None, false).await,
        Err(Error::TooLarge { .. })
    ));
    let other =
        bearer(ResponseTemplate::new(200).set_body_json(serde_json::json!({"token": "wrong"})))
            .await;
    assert!(matches!(
        ask(&other, None, false).await,
        Ok(Answer::Denied { status: 401, .. })
    ));
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let elsewhere = MockServer::start().await;
    Mock::given(header_exists("authorization"))
        .respond_with(ResponseTemplate::new(500))
        .expect(0)
        .with_priority(1)
        .mount(&elsewhere)
        .await;
    Mock::given(path("/moved"))
        .respond_with(manifest())
        .expect(1)
        .mount(&elsewhere)
        .await;
    let server = MockServer::start().await;
    Mock::given(header("authorization", "Basic cm9ib3Q6cGFzcy13b3Jk"))
        .respond_with(
            ResponseTemplate::new(307)
                .insert_header("location", format!("{}/moved", elsewhere.uri())),
        )
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(path(MANIFEST))
        .respond_with(
            ResponseTemplate::new(401).insert_header("www-authenticate", "Basic realm=\"x\""),
        )
        .mount(&server)
        .await;
    assert!(matches!(
        ask(&server, Some(&credentials()), false).await,
        Ok(Answer::Found { .. })
    ));
}

#[tokio::test]
async fn redirects_in_circles_and_to_odd_places_end() {
    let circle = answering(ResponseTemplate::new(302).insert_header("location", MANIFEST)).await;
    assert!(matches!(
        ask(&circle, None, false).await,
        Err(Error::Redirect { .. })
    ));
    let odd = answering(ResponseTemplate::new(302).insert_header("location", "ftp://x/")).await;
    assert!(matches!(
        ask(&odd, None, false).await,
        Err(Error::Redirect { .. })
    ));
}

#[tokio::test]
async fn answers_are_bounded_in_size_and_time() {
    let huge = answering(ResponseTemplate::new(200).set_body_string("x".repeat(5 << 20))).await;
    assert!(matches!(
        ask(&huge, None, true).await,
        Err(Error::TooLarge { .. })
    ));
    let junk = answering(ResponseTemplate::new(200).set_body_string("{")).await;
    assert!(matches!(
        ask(&junk, None, true).await,
        Err(Error::Malformed { .. })
    ));
    let slow = answering(ResponseTemplate::new(200).set_delay(Duration::from_secs(10))).await;
    assert!(matches!(
        ask(&slow, None, false).await,
        Err(Error::Timeout { .. })
    ));
}
