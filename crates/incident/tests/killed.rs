//! `kill -9` while a sink answers: the message has arrived, and the log does not know. Sinks that can tell it apart have it
//! once in the end.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers};

use crate::bed::{Bed, Ran};

/// For longer than any process waits here.
const LONG: Duration = Duration::from_mins(5);

/// A service that keeps what it is sent, and does not answer the write of this number, from 0.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    writes: usize,
    unanswered: Option<usize>,
    /// Slack's messages, GitHub's issue with its comments, PagerDuty's alerts by key.
    messages: Vec<Value>,
    alerts: BTreeMap<String, usize>,
}

impl Respond for Service {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut kept = self.0.lock().unwrap();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let (verb, place) = (request.method.as_str(), request.url.path());
        let reads = verb == "GET" || place.starts_with("/conversations.");
        let answer = kept.answer(verb, place, body);
        let answer = ResponseTemplate::new(200).set_body_json(answer);
        let nth = kept.writes;
        if reads {
            return answer;
        }
        kept.writes += 1;
        if kept.unanswered == Some(nth) {
            return answer.set_delay(LONG);
        }
        answer
    }
}

impl Kept {
    fn answer(&mut self, verb: &str, place: &str, mut body: Value) -> Value {
        match (verb, place) {
            (_, "/chat.postMessage") => {
                let ts = format!("{}.0", self.messages.len() + 1);
                body["ts"] = ts.clone().into();
                self.messages.push(body);
                json!({"ok": true, "channel": "C1", "ts": ts})
            }
            (_, "/chat.update") => {
                let mut messages = self.messages.iter_mut();
                let message = messages.find(|message| message["ts"] == body["ts"]);
                *message.expect("it is there") = body;
                json!({"ok": true, "channel": "C1", "ts": "1.0"})
            }
            (_, "/conversations.history" | "/conversations.replies") => {
                let replies = place.ends_with("replies");
                let messages = self
                    .messages
                    .iter()
                    .filter(|message| message["thread_ts"].is_null() != replies);
                json!({"ok": true, "messages": messages.collect::<Vec<_>>()})
            }
            ("POST", "/repos/acme/shop/issues") => {
                body["number"] = 7.into();
                body["state"] = "open".into();
                self.messages.push(body.clone());
                body
            }
            ("GET", "/repos/acme/shop/issues") => {
                let issues = self.messages.iter().filter(|one| one["number"] == 7);
                json!(issues.collect::<Vec<_>>())
            }
            ("POST", "/repos/acme/shop/issues/7/comments") => {
                self.messages.push(body.clone());
                body
            }
            ("GET", "/repos/acme/shop/issues/7/comments") => {
                let comments = self.messages.iter().filter(|one| one["number"].is_null());
                json!(comments.collect::<Vec<_>>())
            }
            ("PATCH", "/repos/acme/shop/issues/7") => json!({"number": 7, "state": "closed"}),
            (_, "/v2/enqueue") => {
                let key = body["dedup_key"].as_str().unwrap().to_owned();
                let action = body["event_action"].as_str().unwrap();
                *self.alerts.entry(format!("{action} {key}")).or_default() += 1;
                json!({"status": "success"})
            }
            other => panic!("{other:?}"),
        }
    }

    /// The events that people see, each with how often.
    fn seen(&self) -> Vec<usize> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for message in &self.messages {
            let together = message["metadata"]["event_payload"]["ids"].as_array();
            for id in together.into_iter().flatten() {
                // As an answer of its own has it.
                let alone = json!({"id": id}).to_string();
                *counts.entry(alone).or_default() += 1;
            }
            if together.is_some() {
                continue;
            }
            let id = match &message["metadata"]["event_payload"] {
                Value::Null => {
                    let text = message["body"].as_str().unwrap();
                    let mark = text.split("deploy-guard event ").nth(1).unwrap();
                    mark.split(' ').next().unwrap().to_owned()
                }
                payload => payload.to_string(),
            };
            *counts.entry(id).or_default() += 1;
        }
        counts.into_values().collect()
    }
}

/// Three events are told; the write of this number is not answered, and its process is killed.
fn killed_at(service: &Service, sink: &Value, uri: &str, unanswered: usize) -> Bed {
    let mut bed = Bed::new(sink);
    bed.variables = vec![
        ("KEY", "key-2b7d".to_owned()),
        ("GITHUB_TOKEN", "key-2b7d".to_owned()),
        ("GITHUB_API_URL", uri.to_owned()),
    ];
    *service.0.lock().unwrap() = Kept {
        unanswered: Some(unanswered),
        ..Kept::default()
    };
    for args in [
        &["open", "--severity", "high", "--reason", "it is", "slow"][..],
        &["update", "still slow"],
        &["resolve", "v1 serves"],
    ] {
        let mut command = bed.command(args);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let before = service.0.lock().unwrap().writes;
        let is_stuck = || {
            let writes = service.0.lock().unwrap().writes;
            before <= unanswered && writes == unanswered + 1
        };
        let ended = testkit::wait_until(Duration::from_secs(30), || {
            is_stuck() || child.try_wait().unwrap().is_some()
        });
        assert!(ended);
        if is_stuck() {
            // Without an answer it would wait for its budget.
            child.kill().unwrap();
        }
        child.wait().unwrap();
    }
    Ran::of(&bed.command(&["deliver"]).output().unwrap()).code(0);
    bed
}

async fn started() -> (Service, MockServer) {
    let service = Service::default();
    let server = MockServer::start().await;
    let mock = Mock::given(matchers::any()).respond_with(service.clone());
    mock.mount(&server).await;
    (service, server)
}

#[tokio::test]
async fn slacks_bot_shows_each_event_once_after_a_kill_at_each_write() {
    let (service, server) = started().await;
    let sink = json!({"slack": [{
        "name": "bot", "token-env": "KEY", "channel": "C1", "api-url": server.uri(),
    }]});
    // The message and its answer, then an edit and an answer, twice.
    for unanswered in 0..6 {
        killed_at(&service, &sink, &server.uri(), unanswered);
        let kept = service.0.lock().unwrap();
        assert!(kept.writes > unanswered);
        assert_eq!(kept.seen(), [1; 4], "{unanswered}: {:#?}", kept.messages);
    }
}

/// Several events wait, are told together, and the process is killed meanwhile; one more comes after that.
#[tokio::test]
async fn slacks_bot_shows_each_of_several_events_once_after_a_kill() {
    let (service, server) = started().await;
    let sink = json!({"slack": [{
        "name": "bot", "token-env": "KEY", "channel": "C1", "api-url": server.uri(),
    }]});
    // The message, and the answer that tells all three.
    for unanswered in 0..2 {
        let mut bed = Bed::new(&sink);
        *service.0.lock().unwrap() = Kept {
            unanswered: Some(unanswered),
            ..Kept::default()
        };
        bed.run(&["open", "slow"]).code(0);
        bed.run(&["update", "still slow"]).code(0);
        bed.run(&["note", "the pool is empty"]).code(0);
        bed.variables = vec![("KEY", "key-2b7d".to_owned())];
        let mut child = bed.command(&["deliver"]).spawn().unwrap();
        let is_stuck = || service.0.lock().unwrap().writes == unanswered + 1;
        assert!(testkit::wait_until(Duration::from_secs(30), is_stuck));
        child.kill().unwrap();
        child.wait().unwrap();
        bed.variables.clear();
        bed.run(&["resolve", "v1 serves"]).code(0);
        bed.variables = vec![("KEY", "key-2b7d".to_owned())];
        bed.run(&["deliver"]).code(0);
        let kept = service.0.lock().unwrap();
        // The message of the thread, and four events.
        assert_eq!(kept.seen(), [1; 5], "{unanswered}: {:#?}", kept.messages);
        let shown = kept.messages[0]["blocks"].to_string();
        assert!(shown.contains("v1 serves"), "{shown}");
    }
}

#[tokio::test]
async fn an_issue_has_each_event_once_after_a_kill_at_each_write() {
    let (service, server) = started().await;
    let sink = json!({"github-issue": [{"name": "issue", "repository": "acme/shop"}]});
    // The issue, two comments, and its end.
    for unanswered in 0..4 {
        killed_at(&service, &sink, &server.uri(), unanswered);
        let kept = service.0.lock().unwrap();
        assert!(kept.writes > unanswered);
        assert_eq!(kept.seen(), [1; 3], "{unanswered}: {:#?}", kept.messages);
    }
}

/// PagerDuty takes an event with a key that it knows as the same alert.
#[tokio::test]
async fn a_pager_has_one_alert_after_a_kill_at_each_write() {
    let (service, server) = started().await;
    let sink =
        json!({"pagerduty": [{"name": "page", "routing-key-env": "KEY", "url": server.uri()}]});
    for unanswered in 0..2 {
        killed_at(&service, &sink, &server.uri(), unanswered);
        let kept = service.0.lock().unwrap();
        let keys: std::collections::BTreeSet<&str> = kept
            .alerts
            .keys()
            .map(|key| key.split_once(' ').unwrap().1)
            .collect();
        assert_eq!(keys.len(), 1, "{:?}", kept.alerts);
        assert!(kept.alerts.keys().any(|key| key.starts_with("resolve ")));
    }
}
