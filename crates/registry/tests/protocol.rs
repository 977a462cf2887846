//! Behaviour that a real registry cannot be made to show.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::Duration;

use registry::{Access, Client, Credentials, Error, ImageStatus, Reference, Want};
use wiremock::matchers::{header, header_exists, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

const MANIFEST: &str = "/v2/acme/shop/manifests/v1";

async fn ask(
    server: &MockServer,
    credentials: Option<&Credentials>,
    platforms: bool,
) -> Result<ImageStatus, Error> {
    let reference = Reference::parse(&format!("{}/acme/shop:v1", server.address())).unwrap();
    let client = Client::new(Duration::from_secs(2)).unwrap();
    let access = Access {
        credentials,
        plain_http: None,
    };
    let wanted = ["linux/amd64".to_owned()];
    let want = Want {
        platforms: if platforms { &wanted } else { &[] },
        created: false,
    };
    client.manifest(&reference, access, want).await
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
        Ok(ImageStatus::Found { .. })
    ));
    assert!(matches!(
        ask(&status(404).await, None, false).await,
        Ok(ImageStatus::Absent)
    ));
    assert!(matches!(
        ask(&status(401).await, None, false).await,
        Ok(ImageStatus::Denied { status: 401, .. })
    ));
    assert!(matches!(
        ask(&status(403).await, None, false).await,
        Ok(ImageStatus::Denied { status: 403, .. })
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
    let Ok(ImageStatus::Found { digest, .. }) = ask(&server, None, false).await else {
        panic!()
    };
    let counted = "sha256:8952ed6effda2eb06dd95b162e8059e018af010218e24c827b11920a4e1f897a";
    assert_eq!(
        digest.as_deref(),
        Some(counted),
        "the header names no digest"
    );
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
            Ok(ImageStatus::Found { .. })
        ));
        assert!(matches!(
            ask(&server, Some(&credentials()), false).await,
            Ok(ImageStatus::Found { .. })
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
        Ok(ImageStatus::Denied { .. })
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
        Ok(ImageStatus::Denied { status: 401, .. })
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
        .expect(1..)
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
        Ok(ImageStatus::Found { .. })
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

#[tokio::test]
async fn a_wait_that_the_registry_asks_for_is_waited_for_within_the_time() {
    let server = MockServer::start().await;
    let limited = ResponseTemplate::new(429).insert_header("retry-after", "1");
    Mock::given(path(MANIFEST))
        .respond_with(limited)
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(path(MANIFEST))
        .respond_with(manifest())
        .mount(&server)
        .await;
    let begun = std::time::Instant::now();
    let answer = ask(&server, None, false).await;
    assert!(
        matches!(answer, Ok(ImageStatus::Found { .. })),
        "{answer:?}"
    );
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_server_that_fails_is_asked_again_and_its_own_answer_is_told() {
    let server = MockServer::start().await;
    Mock::given(path(MANIFEST))
        .respond_with(ResponseTemplate::new(500))
        .up_to_n_times(2)
        .mount(&server)
        .await;
    Mock::given(path(MANIFEST))
        .respond_with(manifest())
        .mount(&server)
        .await;
    let answer = ask(&server, None, false).await;
    assert!(
        matches!(answer, Ok(ImageStatus::Found { .. })),
        "{answer:?}"
    );

    let down = answering(ResponseTemplate::new(503)).await;
    let begun = std::time::Instant::now();
    let answer = ask(&down, None, false).await;
    assert!(
        matches!(answer, Err(Error::Server { status: 503, .. })),
        "{answer:?}"
    );
    assert!(begun.elapsed() <= Duration::from_secs(2));
    assert!(down.received_requests().await.unwrap().len() > 1);
}

#[tokio::test]
async fn whoever_a_registry_points_to_cannot_ask_for_the_credentials() {
    let thief = MockServer::start().await;
    Mock::given(path("/token"))
        .respond_with(ResponseTemplate::new(200).set_body_json(serde_json::json!({"token": "x"})))
        .expect(0)
        .mount(&thief)
        .await;
    let challenge = format!("Bearer realm=\"{}/token\"", thief.uri());
    Mock::given(path("/moved"))
        .respond_with(
            ResponseTemplate::new(401).insert_header("www-authenticate", challenge.as_str()),
        )
        .expect(1)
        .mount(&thief)
        .await;
    let moved = ResponseTemplate::new(307)
        .insert_header("location", format!("{}/moved", thief.uri()).as_str());
    let server = answering(moved).await;
    let answer = ask(&server, Some(&credentials()), false).await;
    let Ok(ImageStatus::Denied { detail, .. }) = answer else {
        panic!("{answer:?}")
    };
    assert!(detail.contains("gets none"), "{detail}");
}

#[tokio::test]
async fn a_pinned_digest_is_that_of_the_content_and_not_only_of_a_header() {
    let wanted = format!("sha256:{}", "b".repeat(64));
    let pinned = |server: &MockServer| format!("{}/acme/shop@{wanted}", server.address());
    let other = format!("sha256:{}", "c".repeat(64));
    for told in [None, Some(&wanted), Some(&other)] {
        let server = MockServer::start().await;
        let mut answer = manifest();
        if let Some(told) = told {
            answer = answer.insert_header("docker-content-digest", told.as_str());
        }
        Mock::given(path(format!("/v2/acme/shop/manifests/{wanted}")))
            .respond_with(answer)
            .mount(&server)
            .await;
        let reference = Reference::parse(&pinned(&server)).unwrap();
        let client = Client::new(Duration::from_secs(2)).unwrap();
        let want = Want {
            platforms: &[],
            // For HEAD the header is enough; a fetched body is counted.
            created: told.is_some(),
        };
        let answer = client.manifest(&reference, Access::default(), want).await;
        assert!(matches!(answer, Err(Error::Digest { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn a_refresh_token_is_swapped_by_post_and_an_access_token_is_sent_as_it_is() {
    let server = MockServer::start().await;
    let challenge = format!("Bearer realm=\"{}/token\",service=\"here\"", server.uri());
    Mock::given(method("POST"))
        .and(path("/token"))
        .and(wiremock::matchers::body_string(
            "grant_type=refresh_token&client_id=deploy-guard&service=here\
             &scope=repository%3Aacme%2Fshop%3Apull&refresh_token=r%26f",
        ))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(serde_json::json!({"access_token": "t0ken"})),
        )
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(header("authorization", "Bearer t0ken"))
        .respond_with(manifest())
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(path(MANIFEST))
        .respond_with(
            ResponseTemplate::new(401).insert_header("www-authenticate", challenge.as_str()),
        )
        .mount(&server)
        .await;
    let refresh = Credentials::Identity("r&f".to_owned().into());
    let access = Credentials::Bearer("t0ken".to_owned().into());
    for credentials in [refresh, access] {
        let answer = ask(&server, Some(&credentials), false).await;
        assert!(
            matches!(answer, Ok(ImageStatus::Found { .. })),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn the_list_of_tags_is_read_page_by_page_and_never_from_elsewhere() {
    let server = MockServer::start().await;
    let page = |tags: &[&str], next: &str| {
        ResponseTemplate::new(200)
            .set_body_json(serde_json::json!({"name": "acme/shop", "tags": tags}))
            .insert_header("link", format!("<{next}>; rel=\"next\"").as_str())
    };
    Mock::given(path("/v2/acme/shop/tags/list"))
        .and(query_param("last", "b"))
        .respond_with(page(&["c", "not a tag\n"], "http://127.0.0.1:9/v2/x"))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(path("/v2/acme/shop/tags/list"))
        .respond_with(page(&["a", "b"], "/v2/acme/shop/tags/list?last=b&n=1000"))
        .mount(&server)
        .await;
    let reference = Reference::parse(&format!("{}/acme/shop:v1", server.address())).unwrap();
    let client = Client::new(Duration::from_secs(2)).unwrap();
    let tags = client.tags(&reference, Access::default()).await.unwrap();
    let tags = tags.unwrap();
    assert_eq!(tags.names, ["a", "b", "c"]);
    assert!(!tags.cut);
}

#[tokio::test]
async fn a_list_of_tags_that_is_cut_says_so() {
    let server = MockServer::start().await;
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let page = move |_: &wiremock::Request| {
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let next = format!("</v2/acme/shop/tags/list?last={turn}>; rel=\"next\"");
        ResponseTemplate::new(200)
            .set_body_json(serde_json::json!({"tags": [format!("t{turn}")]}))
            .insert_header("link", next.as_str())
    };
    Mock::given(path("/v2/acme/shop/tags/list"))
        .respond_with(page)
        .mount(&server)
        .await;
    let reference = Reference::parse(&format!("{}/acme/shop:v1", server.address())).unwrap();
    let client = Client::new(Duration::from_secs(2)).unwrap();
    let tags = client.tags(&reference, Access::default()).await.unwrap();
    let tags = tags.unwrap();
    assert_eq!((tags.names.len(), tags.cut), (10, true));
}

#[tokio::test]
async fn a_404_to_head_is_confirmed_by_get() {
    let server = MockServer::start().await;
    Mock::given(method("HEAD"))
        .respond_with(ResponseTemplate::new(404))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path(MANIFEST))
        .respond_with(manifest())
        .mount(&server)
        .await;
    let answer = ask(&server, None, false).await;
    assert!(
        matches!(answer, Ok(ImageStatus::Found { .. })),
        "{answer:?}"
    );
}
