//! Logs of jobs: on another server, which never sees the token, and never read whole if they are long.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use github::logs::{Cut, JobLog, LogText, MAX_LOG};
use github::{Access, Client, Credentials, Error, Repository, RunId};
use model::Redactor;
use serde_json::json;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const LOG: &str = "/repos/acme/shop/actions/jobs/7/logs";

fn client_within(api: &str, timeout: Duration) -> Client {
    Client::new(Access {
        api_url: api.to_owned(),
        credentials: Credentials::Token("t0ken-value".to_owned().into()),
        timeout,
        until: Instant::now(),
        redactor: Redactor::default(),
    })
    .unwrap()
}

fn client(api: &str) -> Client {
    client_within(api, Duration::from_secs(20))
}

fn repository() -> Repository {
    Repository::parse("acme/shop").unwrap()
}

/// GitHub, which keeps the log of job 7 there.
async fn github(location: &str) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path(LOG))
        .and(header("authorization", "Bearer t0ken-value"))
        .respond_with(ResponseTemplate::new(302).insert_header("location", location))
        .mount(&server)
        .await;
    server
}

async fn log_of(server: &MockServer) -> Result<JobLog, Error> {
    client(&server.uri()).job_log(&repository(), 7).await
}

#[tokio::test]
async fn the_other_server_is_asked_once_and_without_the_token() {
    let store = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/log"))
        .respond_with(ResponseTemplate::new(200).set_body_string("\u{feff}one\ntwo\n"))
        .expect(1)
        .mount(&store)
        .await;
    let server = github(&format!("{}/log?sig=s1gnature", store.uri())).await;
    let log = log_of(&server).await.unwrap();
    let whole = LogText {
        text: "\u{feff}one\ntwo\n".into(),
        cut: None,
    };
    assert_eq!(log, JobLog::Read(whole));
    for request in store.received_requests().await.unwrap() {
        assert!(
            !request.headers.contains_key("authorization"),
            "{request:?}"
        );
    }
}

#[tokio::test]
async fn what_is_not_a_log_is_told_apart() {
    let answers = async |api: u16, store: Option<u16>| {
        let kept = MockServer::start().await;
        let template = ResponseTemplate::new(store.unwrap_or(200));
        let template = template.insert_header("location", "http://127.0.0.1:1/?sig=s1gnature");
        Mock::given(method("GET"))
            .respond_with(template)
            .mount(&kept)
            .await;
        let server = MockServer::start().await;
        let location = format!("{}/log?sig=s1gnature", kept.uri());
        let template = ResponseTemplate::new(api).insert_header("location", location.as_str());
        Mock::given(method("GET"))
            .respond_with(template)
            .mount(&server)
            .await;
        log_of(&server).await
    };
    assert_eq!(answers(404, None).await.unwrap(), JobLog::Missing);
    assert_eq!(answers(410, None).await.unwrap(), JobLog::Expired);
    assert_eq!(answers(302, Some(404)).await.unwrap(), JobLog::Missing);
    assert_eq!(answers(302, Some(410)).await.unwrap(), JobLog::Expired);
    let refused = answers(403, None).await.unwrap_err();
    assert!(
        refused.hint().contains("actions: read"),
        "{}",
        refused.hint()
    );
    let error = answers(302, Some(302)).await.unwrap_err().to_string();
    assert!(error.contains("redirects once more"), "{error}");
    let error = answers(302, Some(500)).await.unwrap_err().to_string();
    assert!(
        error.contains("status 500") && !error.contains("s1gnature"),
        "{error}"
    );
}

#[tokio::test]
async fn no_redirect_leads_to_an_address_that_is_not_a_log() {
    for location in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "http://user:pass@127.0.0.1/",
        "http://[",
    ] {
        let server = github(location).await;
        let error = log_of(&server).await.unwrap_err();
        assert!(
            matches!(error, Error::Malformed { .. }),
            "{location}: {error}"
        );
    }
    // Nothing listens there: the address is in no error.
    let server = github("http://127.0.0.1:1/log?sig=s1gnature").await;
    let error = log_of(&server).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(
        matches!(error, Error::Unreachable { .. }) && !text.contains("s1gnature"),
        "{text}"
    );
}

/// A server with a log of so many lines, and how many bytes it sent.
struct Store {
    url: String,
    sent: Arc<Mutex<u64>>,
}

const LINE: &str =
    "2026-11-21T02:45:49.1234567Z one more line that says nothing of interest at all\n";

/// What the store can.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Can {
    Ranges,
    WholeOnly,
    /// It does not say how long the log is, and never ends it.
    NoLength,
}

fn store(lines: u64, can: Can) -> Store {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/log", listener.local_addr().unwrap());
    let sent = Arc::new(Mutex::new(0));
    let count = Arc::clone(&sent);
    let line = u64::try_from(LINE.len()).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut from = 0;
            for text in BufReader::new(stream.try_clone().unwrap()).lines() {
                let text = text.unwrap_or_default().to_ascii_lowercase();
                if let Some(range) = text.strip_prefix("range: bytes=") {
                    from = range.trim_end_matches('-').parse().unwrap();
                }
                if text.is_empty() {
                    break;
                }
            }
            let length = lines * line;
            let is_part = can == Can::Ranges && from > 0;
            let begin = if is_part { from } else { 0 };
            let status = if is_part {
                "206 Partial Content"
            } else {
                "200 OK"
            };
            let size = match can {
                Can::NoLength => String::new(),
                _ => format!("Content-Length: {}\r\n", length - begin),
            };
            let head = format!("HTTP/1.1 {status}\r\n{size}Connection: close\r\n\r\n");
            if stream.write_all(head.as_bytes()).is_err() {
                continue;
            }
            // Within a line, where the range begins there.
            let within = usize::try_from(begin % line).unwrap();
            let mut rest = stream.write_all(&LINE.as_bytes()[within..]).is_ok();
            let block = LINE.repeat(1000);
            for _ in 0..(lines - begin / line - 1) / 1000 {
                rest = rest && stream.write_all(block.as_bytes()).is_ok();
                if rest {
                    *count.lock().unwrap() += block.len() as u64;
                }
            }
            for _ in 0..(lines - begin / line - 1) % 1000 {
                rest = rest && stream.write_all(LINE.as_bytes()).is_ok();
            }
            if can == Can::NoLength && rest {
                std::thread::sleep(Duration::from_secs(60));
            }
        }
    });
    Store { url, sent }
}

/// Of two hundred megabytes only the end comes over the wire, if the server can begin there, and
/// otherwise no more than the beginning.
#[tokio::test]
async fn of_a_log_of_two_hundred_megabytes_a_part_is_read() {
    let lines = 200 * 1_000_000 / u64::try_from(LINE.len()).unwrap();
    for (can, cut) in [
        (Can::Ranges, Cut::Beginning),
        (Can::WholeOnly, Cut::End),
        (Can::NoLength, Cut::End),
    ] {
        let store = store(lines, can);
        let server = github(&store.url).await;
        let JobLog::Read(log) = log_of(&server).await.unwrap() else {
            panic!("no log")
        };
        assert_eq!(log.cut, Some(cut));
        assert!(log.text.len() <= MAX_LOG && log.text.len() > MAX_LOG - 2 * LINE.len());
        assert!(log.text.lines().all(|line| line == LINE.trim_end()));
        // The kernel holds some of what is not read.
        let sent = *store.sent.lock().unwrap();
        assert!(sent < 3 * MAX_LOG as u64, "{sent}");
    }
}

#[tokio::test]
async fn of_a_log_that_stops_coming_what_came_is_read() {
    let store = store(5, Can::NoLength);
    let server = github(&store.url).await;
    let client = client_within(&server.uri(), Duration::from_millis(1500));
    let began = Instant::now();
    let JobLog::Read(log) = client.job_log(&repository(), 7).await.unwrap() else {
        panic!("no log")
    };
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert_eq!((log.text.lines().count(), log.cut), (5, Some(Cut::End)));
}

/// A rate limit that ends in time is waited for, as everywhere.
#[tokio::test]
async fn a_rate_limit_before_a_log_is_waited_for() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(429).insert_header("retry-after", "1"))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(410))
        .mount(&server)
        .await;
    let access = Access {
        api_url: server.uri(),
        credentials: Credentials::None,
        timeout: Duration::from_secs(5),
        until: Instant::now() + Duration::from_secs(20),
        redactor: Redactor::default(),
    };
    let client = Client::new(access).unwrap();
    assert_eq!(
        client.job_log(&repository(), 7).await.unwrap(),
        JobLog::Expired
    );
    let error = log_of(&limited().await).await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { .. }), "{error}");
}

async fn limited() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(429).insert_header("retry-after", "3600"))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn annotations_are_read() {
    let server = MockServer::start().await;
    Mock::given(path("/repos/acme/shop/check-runs/7/annotations"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([
            {"path": "src/a.rs", "start_line": 3, "annotation_level": "failure", "title": null,
             "message": "expected `;`", "raw_details": null, "blob_href": "x"},
            {},
        ])))
        .mount(&server)
        .await;
    let read = client(&server.uri())
        .annotations(&repository(), 7)
        .await
        .unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!(
        (read[0].start_line, read[0].message.as_deref()),
        (Some(3), Some("expected `;`"))
    );
}

/// The requests fit GitHub's own description of them, and its examples are understood.
#[test]
fn a_run_its_jobs_and_annotations_are_asked_for_as_github_describes_it() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for prism in [testkit::Prism::github(), testkit::Prism::ghes()] {
        runtime.block_on(async {
            let client = client(&prism.url());
            let run = client
                .latest_run(&repository(), RunId::from(42))
                .await
                .unwrap();
            assert!(
                run.run_attempt.is_some() && run.html_url.is_some(),
                "{run:?}"
            );
            let jobs = client.run_jobs(&repository(), 42, 1).await.unwrap();
            let steps = jobs[0].steps.as_ref().unwrap();
            assert!(
                jobs[0].html_url.is_some() && steps[0].conclusion.is_some(),
                "{jobs:?}"
            );
            assert!(steps[0].started_at.is_some() && steps[0].completed_at.is_some());
            let notes = client.annotations(&repository(), 7).await.unwrap();
            assert!(notes[0].message.is_some(), "{notes:?}");
        });
    }
}
