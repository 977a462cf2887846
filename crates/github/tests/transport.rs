//! Which requests are retried, which waits apply, and which login is used.

use std::time::{Duration, Instant};

use github::{Access, Client, Credentials, Error, Needs};
use model::Redactor;
use serde_json::{Value, json};
use wiremock::matchers::{header, header_regex, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const NEEDS: Needs = Needs::workflow("read checks", "checks: read", "`checks: read`");

fn access(server: &MockServer, credentials: Credentials, time: Duration) -> Access {
    Access {
        api_url: server.uri(),
        credentials,
        timeout: Duration::from_secs(5),
        until: Instant::now() + time,
        redactor: Redactor::default(),
    }
}

fn client(server: &MockServer, time: Duration) -> Client {
    let token = Credentials::Token("t0ken-value".to_owned().into());
    Client::new(access(server, token, time)).unwrap()
}

async fn once(server: &MockServer, answer: ResponseTemplate) {
    Mock::given(method("GET"))
        .respond_with(answer)
        .up_to_n_times(1)
        .mount(server)
        .await;
}

async fn good(server: &MockServer) {
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"ok": true})))
        .mount(server)
        .await;
}

async fn asked(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_as_long_as_it_says() {
    let reset = (jiff::Timestamp::now().as_second() + 1).to_string();
    for limited in [
        ResponseTemplate::new(429).insert_header("retry-after", "2"),
        ResponseTemplate::new(403).insert_header("retry-after", "2"),
        ResponseTemplate::new(403)
            .insert_header("x-ratelimit-remaining", "0")
            .insert_header("x-ratelimit-reset", reset.as_str()),
    ] {
        let server = MockServer::start().await;
        once(&server, limited).await;
        good(&server).await;
        let clock = Instant::now();
        let answer: Value = client(&server, Duration::from_secs(20))
            .get("/x", NEEDS)
            .await
            .unwrap();
        assert_eq!(answer, json!({"ok": true}));
        assert_eq!(asked(&server).await, 2);
        let took = clock.elapsed();
        assert!(
            took > Duration::from_millis(900) && took < Duration::from_secs(5),
            "{took:?}"
        );
    }
}

#[tokio::test]
async fn a_rate_limit_that_ends_too_late_is_told_at_once() {
    let server = MockServer::start().await;
    once(
        &server,
        ResponseTemplate::new(429).insert_header("retry-after", "30"),
    )
    .await;
    let clock = Instant::now();
    let error = client(&server, Duration::from_secs(20))
        .get::<Value>("/x", NEEDS)
        .await
        .unwrap_err();
    assert!(clock.elapsed() < Duration::from_secs(2));
    assert_eq!(asked(&server).await, 1);
    let text = error.to_string();
    assert!(
        text.contains("used up for 30s, until 20") && text.ends_with('Z'),
        "{text}"
    );
}

#[tokio::test]
async fn a_gateway_that_fails_is_asked_again_and_nothing_else_is() {
    for (status, requests) in [
        (502, 2),
        (503, 2),
        (504, 2),
        (500, 1),
        (403, 1),
        (404, 1),
        (401, 1),
    ] {
        let server = MockServer::start().await;
        once(&server, ResponseTemplate::new(status)).await;
        good(&server).await;
        let answer: Result<Value, _> = client(&server, Duration::from_secs(20))
            .get("/x", NEEDS)
            .await;
        assert_eq!(answer.is_ok(), requests == 2, "{status}: {answer:?}");
        assert_eq!(asked(&server).await, requests, "{status}");
    }
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(503))
        .mount(&server)
        .await;
    let error = client(&server, Duration::from_secs(20))
        .get::<Value>("/x", NEEDS)
        .await;
    assert!(matches!(error, Err(Error::Server { status: 503 })));
    assert_eq!(asked(&server).await, 4);
}

#[tokio::test]
async fn a_connection_that_breaks_is_made_again() {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        for nth in 0..3 {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let answer: &[u8] = match nth {
                0 => b"",
                1 => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half",
                _ => b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ntrue",
            };
            let _ = stream.write_all(answer);
        }
    });
    let access = Access {
        api_url: url,
        credentials: Credentials::None,
        timeout: Duration::from_secs(10),
        until: Instant::now(),
        redactor: Redactor::default(),
    };
    let answer: Value = Client::new(access).unwrap().get("/x", NEEDS).await.unwrap();
    assert_eq!(answer, json!(true));
    server.join().unwrap();
}

#[tokio::test]
async fn every_question_names_its_version_and_the_token_without_its_line_break() {
    let server = MockServer::start().await;
    Mock::given(header("x-github-api-version", "2022-11-28"))
        .and(header_regex("accept", "^application/vnd.github[+]json"))
        .and(header("authorization", "Bearer t0ken-value"))
        .and(header_regex("user-agent", "^deploy-guard/"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!(1)))
        .mount(&server)
        .await;
    let token = Credentials::Token("t0ken-value\n".to_owned().into());
    let client = Client::new(access(&server, token, Duration::ZERO)).unwrap();
    assert_eq!(client.get::<Value>("/x", NEEDS).await.unwrap(), json!(1));
}

fn key() -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    let status = std::process::Command::new("openssl")
        .args(["genrsa", "-traditional", "-out"])
        .arg(&file)
        .arg("2048")
        .stderr(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
    std::fs::read_to_string(file).unwrap()
}

fn app(installation: Option<u64>) -> Credentials {
    Credentials::App {
        id: "12345".into(),
        key: key().into(),
        installation,
    }
}

#[tokio::test]
async fn an_app_finds_its_installation_and_makes_one_token_that_is_a_secret() {
    let server = MockServer::start().await;
    let jwt = "^Bearer eyJ[A-Za-z0-9_-]+[.][A-Za-z0-9_-]+[.][A-Za-z0-9_-]+$";
    Mock::given(method("GET"))
        .and(path("/repos/acme/shop/installation"))
        .and(header_regex("authorization", jwt))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"id": 77})))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/app/installations/77/access_tokens"))
        .and(header_regex("authorization", jwt))
        .respond_with(ResponseTemplate::new(201).set_body_json(
            json!({"token": "ghs_made-for-acme", "expires_at": "2099-01-01T00:00:00Z"}),
        ))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path("/repos/acme/shop/x"))
        .and(header("authorization", "Bearer ghs_made-for-acme"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!(1)))
        .expect(2)
        .mount(&server)
        .await;
    let access = access(&server, app(None), Duration::ZERO);
    let redactor = access.redactor.clone();
    let client = Client::new(access).unwrap();
    let (one, two) = tokio::join!(
        client.get::<Value>("/repos/acme/shop/x", NEEDS),
        client.get::<Value>("/repos/acme/shop/x?page=2", NEEDS)
    );
    assert_eq!((one.unwrap(), two.unwrap()), (json!(1), json!(1)));
    assert_eq!(redactor.redact("ghs_made-for-acme"), "***");
}

#[tokio::test]
async fn an_app_that_cannot_be_used_says_why() {
    let bad = Credentials::App {
        id: "1".into(),
        key: "-----BEGIN nothing".to_owned().into(),
        installation: None,
    };
    let server = MockServer::start().await;
    let error = Client::new(access(&server, bad, Duration::ZERO)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the app cannot be used: its private key is not an RSA key in PEM form"
    );
    for (status, why) in [
        (401, "does not know its id"),
        (404, "it is not installed for `/orgs/acme`"),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(status))
            .mount(&server)
            .await;
        let client = Client::new(access(&server, app(None), Duration::ZERO)).unwrap();
        let error = client
            .get::<Value>("/orgs/acme/actions/runners", NEEDS)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/app/installations/5/access_tokens"))
        .respond_with(ResponseTemplate::new(422))
        .mount(&server)
        .await;
    let client = Client::new(access(&server, app(Some(5)), Duration::ZERO)).unwrap();
    let error = client
        .get::<Value>("/orgs/acme/x", NEEDS)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Server { status: 422 }), "{error}");
}

/// An app's requests fit GitHub's own description of them.
#[test]
fn an_apps_requests_are_valid_by_githubs_own_description() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for prism in [testkit::Prism::github(), testkit::Prism::ghes()] {
        runtime.block_on(async {
            let access = Access {
                api_url: prism.url(),
                credentials: app(None),
                timeout: Duration::from_secs(20),
                until: Instant::now(),
                redactor: Redactor::default(),
            };
            let client = Client::new(access).unwrap();
            for path in [
                "/repos/octo/shop/actions/runners",
                "/orgs/octo/actions/runners",
            ] {
                let answer: Value = client.get(path, NEEDS).await.unwrap();
                assert!(answer["total_count"].as_u64().unwrap() > 0, "{answer}");
            }
        });
    }
}

#[tokio::test]
async fn a_list_is_read_to_its_end() {
    let server = MockServer::start().await;
    for (page, count) in [("1", 100), ("2", 3)] {
        Mock::given(wiremock::matchers::query_param("page", page))
            .and(wiremock::matchers::query_param("per_page", "100"))
            .and(wiremock::matchers::query_param("ref", "main"))
            .respond_with(ResponseTemplate::new(200).set_body_json(vec![1; count]))
            .expect(1)
            .mount(&server)
            .await;
    }
    let client = client(&server, Duration::ZERO);
    let list = client
        .list::<u64>("/x?ref=main", None, NEEDS)
        .await
        .unwrap();
    assert_eq!((list.items.len(), list.unlisted), (103, 0));
}

#[tokio::test]
async fn an_answer_that_is_still_the_same_costs_nothing() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(header("if-none-match", "\"abc\""))
        .respond_with(ResponseTemplate::new(304))
        .expect(2)
        .mount(&server)
        .await;
    once(
        &server,
        ResponseTemplate::new(200)
            .insert_header("etag", "\"abc\"")
            .insert_header("x-ratelimit-remaining", "10")
            .set_body_json(json!({"ok": 7})),
    )
    .await;
    let client = client(&server, Duration::ZERO);
    for _ in 0..3 {
        let answer: Value = client.get("/x", NEEDS).await.unwrap();
        assert_eq!(answer, json!({"ok": 7}));
    }
    assert_eq!(client.spent(), 1);
    // Ten are left, of which half may be spent.
    let second = Duration::from_secs(1);
    assert_eq!(client.pause(second, 1, 50 * second), 10 * second);
    // Another question is not answered from memory.
    assert!(client.get::<Value>("/y", NEEDS).await.is_err());
}

#[tokio::test]
async fn a_refusal_says_who_refuses_and_what_it_would_take() {
    let answer = ResponseTemplate::new;
    let sso = "required; url=https://github.com/orgs/acme/sso?authorization_request=x";
    for (refusal, parts) in [
        (
            answer(407),
            "the proxy on the way to GitHub refuses (status 407)",
        ),
        (
            answer(401).insert_header("server", "tinyproxy/1.11.1"),
            "the proxy on the way to GitHub refuses (status 401)",
        ),
        (
            answer(403).insert_header("server", "squid/5.7"),
            "the proxy on the way to GitHub refuses (status 403)",
        ),
        (answer(401), "GitHub does not know the token"),
        (
            answer(403).insert_header("x-accepted-github-permissions", "checks=read"),
            "it needs `checks: read`; GitHub reports: it takes checks=read",
        ),
        (
            answer(403).insert_header("x-github-sso", sso),
            "it must be authorized for the organisation's single sign-on",
        ),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(refusal)
            .mount(&server)
            .await;
        let client = client(&server, Duration::ZERO);
        let error = client.get::<Value>("/x", NEEDS).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(parts) && !text.contains("authorization_request"),
            "{text}"
        );
        let proxy = matches!(error, Error::Proxy { .. });
        assert_eq!(
            proxy,
            error.hint().contains("HTTPS_PROXY"),
            "{}",
            error.hint()
        );
    }
}

#[tokio::test]
async fn an_app_signs_with_its_client_id_too_and_renews_a_token_that_ends() {
    let server = MockServer::start().await;
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(60);
    for (token, ends, times) in [
        ("ghs_short", soon.to_string(), 1),
        ("ghs_long", "2099-01-01T00:00:00Z".to_owned(), 10),
    ] {
        Mock::given(method("POST"))
            .and(path("/app/installations/5/access_tokens"))
            .respond_with(
                ResponseTemplate::new(201)
                    .set_body_json(json!({"token": token, "expires_at": ends})),
            )
            .up_to_n_times(times)
            .mount(&server)
            .await;
    }
    good(&server).await;
    let app = Credentials::App {
        id: "Iv23liAbCdEf".into(),
        key: key().into(),
        installation: Some(5),
    };
    let client = Client::new(access(&server, app, Duration::ZERO)).unwrap();
    for _ in 0..3 {
        client.get::<Value>("/x", NEEDS).await.unwrap();
    }
    let requests = server.received_requests().await.unwrap();
    let shown: Vec<&str> = requests
        .iter()
        .map(|request| request.headers["authorization"].to_str().unwrap())
        .collect();
    let made: Vec<&&str> = shown.iter().filter(|text| text.contains("ghs_")).collect();
    assert_eq!(
        made,
        [&"Bearer ghs_short", &"Bearer ghs_long", &"Bearer ghs_long"]
    );
    let jwt = shown[0].trim_start_matches("Bearer ");
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(jwt)
        .unwrap()
        .claims;
    assert_eq!(claims["iss"], json!("Iv23liAbCdEf"));
    let lasts = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!(lasts <= 600, "{claims}");
}
