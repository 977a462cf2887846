//! Slack: the message of a webhook, and a bot's one message per thread.

use std::sync::{Arc, Mutex};

use notify::{Notice, Phase, PreviousDelivery, Reference};
use sections::incident::EventKind;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers};

use crate::bed::{CANARY, Raw, deliver, deployed, notice, resolved, told};

const BOT: &str = "slack: [{ name: bot, token-env: TOKEN, channel: C1, api-url: URL }]";

#[tokio::test]
async fn a_webhook_gets_a_message_within_slacks_limits() {
    let raw = Raw::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let url = format!("{}/services/T0/B0/{CANARY}", raw.url);
    let yaml = "slack: [{ name: chat, url-env: SLACK_WEBHOOK }]";
    let sent = deliver(
        yaml,
        &[("SLACK_WEBHOOK", &url)],
        &notice(),
        PreviousDelivery::default(),
    )
    .await;
    assert_eq!(sent.unwrap().reference, None);
    let got = raw.got();
    let (_, body) = got.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap());
}

/// A Slack that keeps what it is sent, and can be told to break.
#[derive(Clone, Default)]
struct Chat(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    messages: Vec<Value>,
    asked: Vec<String>,
    /// Keep the next messages and answer this of each.
    loses_answers: Vec<ResponseTemplate>,
    fails: Option<&'static str>,
}

impl Respond for Chat {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().unwrap();
        let method = request.url.path().trim_start_matches('/').to_owned();
        state.asked.push(method.clone());
        assert_eq!(
            request.headers["authorization"],
            format!("Bearer {CANARY}").as_str()
        );
        if let Some(error) = state.fails {
            return ResponseTemplate::new(200).set_body_json(json!({"ok": false, "error": error}));
        }
        let body = || serde_json::from_slice::<Value>(&request.body).unwrap();
        let answer = match method.as_str() {
            "chat.postMessage" => {
                let mut message = body();
                let ts = format!("{}.0", state.messages.len() + 1);
                message["ts"] = ts.clone().into();
                state.messages.push(message);
                if let Some(answer) = state.loses_answers.pop() {
                    return answer;
                }
                json!({"ok": true, "channel": "C1", "ts": ts})
            }
            "chat.update" => {
                let body = body();
                let mut messages = state.messages.iter_mut();
                match messages.find(|message| message["ts"] == body["ts"]) {
                    Some(message) => *message = body,
                    None => {
                        return ResponseTemplate::new(200)
                            .set_body_json(json!({"ok": false, "error": "message_not_found"}));
                    }
                }
                json!({"ok": true, "channel": "C1", "ts": "1.0"})
            }
            "conversations.history" | "conversations.replies" => {
                let question = String::from_utf8_lossy(&request.body).into_owned();
                assert!(question.contains("include_all_metadata=true"), "{question}");
                let is_reply = |message: &&Value| !message["thread_ts"].is_null();
                let all = method == "conversations.replies";
                // Of a long thread Slack shows the oldest answers first.
                assert_eq!(question.contains("oldest="), all, "{question}");
                let messages: Vec<&Value> = state
                    .messages
                    .iter()
                    .filter(|one| is_reply(one) == all)
                    .collect();
                json!({"ok": true, "messages": messages})
            }
            other => panic!("{other}"),
        };
        ResponseTemplate::new(200).set_body_json(answer)
    }
}

impl Chat {
    async fn start(&self) -> (MockServer, String) {
        let server = MockServer::start().await;
        let mock = Mock::given(matchers::any()).respond_with(self.clone());
        mock.mount(&server).await;
        let yaml = BOT.replace("URL", &format!("'{}'", server.uri()));
        (server, yaml)
    }

    /// The title of each message, those in a thread indented.
    fn shown(&self) -> String {
        let state = self.0.lock().unwrap();
        let lines = state.messages.iter().map(|message| {
            let thread = if message["thread_ts"].is_null() {
                ""
            } else {
                "  "
            };
            let title = message["blocks"][0]["text"]["text"].as_str().unwrap();
            format!("{thread}{title}")
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }
}

const ENV: &[(&str, &str)] = &[("TOKEN", CANARY)];

#[tokio::test]
async fn a_bot_has_one_message_per_thread_and_answers_it_with_each_notice() {
    let chat = Chat::default();
    let (_server, yaml) = chat.start().await;
    let first = deliver(&yaml, ENV, &notice(), PreviousDelivery::default())
        .await
        .unwrap();
    let Some(Reference::Slack { channel, ts, .. }) = &first.reference else {
        panic!("{first:?}");
    };
    assert_eq!((channel.as_str(), ts.as_str()), ("C1", "1.0"));
    let earlier = PreviousDelivery {
        reference: first.reference.as_ref(),
        unsure: false,
        ..PreviousDelivery::default()
    };
    let last = deliver(&yaml, ENV, &resolved(), earlier).await.unwrap();
    deliver(&yaml, ENV, &deployed(), PreviousDelivery::default())
        .await
        .unwrap();
    insta::assert_snapshot!(chat.shown(), @r"
    ✅ resolved: v1.2.3 serves everything
      ↩️ v1.2.4 failed its health check; v1.2.3 is back
      ✅ resolved: v1.2.3 serves everything
    ✅ v1.2.3 is deployed
      ✅ v1.2.3 is deployed
    ");
    // One that comes late does not replace what came after it. Whose clock is behind is not late.
    for (is_overtaken, shown) in [(true, "✅ resolved"), (false, "↩️ late")] {
        let earlier = PreviousDelivery {
            reference: last.reference.as_ref(),
            is_overtaken,
            ..PreviousDelivery::default()
        };
        let late = Notice {
            id: "late".into(),
            title: "late".into(),
            ..notice()
        };
        deliver(&yaml, ENV, &late, earlier).await.unwrap();
        assert!(chat.shown().starts_with(shown), "{}", chat.shown());
    }
}

#[tokio::test]
async fn what_may_have_arrived_is_looked_for_before_it_is_sent_again() {
    let ok = || ResponseTemplate::new(200);
    let catastrophe = json!({"ok": false, "error": "fatal_error"});
    for (lost, reason) in [
        (
            ok().set_body_string("<html>"),
            "the answer of 127.0.0.1:PORT is not Slack's",
        ),
        (
            ResponseTemplate::new(502),
            "127.0.0.1:PORT answers status 502",
        ),
        (
            ResponseTemplate::new(408),
            "127.0.0.1:PORT answers status 408",
        ),
        (
            ok().set_body_json(catastrophe),
            "127.0.0.1:PORT refuses it: fatal_error",
        ),
    ] {
        is_there_once(lost, reason).await;
    }
}

/// Slack takes the message, then the answer to it, and each time it seems to be lost.
async fn is_there_once(answer: ResponseTemplate, reason: &str) {
    let chat = Chat::default();
    let (_server, yaml) = chat.start().await;
    let lose = || chat.0.lock().unwrap().loses_answers.push(answer.clone());
    lose();
    let unanswered = deliver(&yaml, ENV, &notice(), PreviousDelivery::default()).await;
    assert_eq!(told(unanswered), format!("unsure: {reason}"));
    let unsure = PreviousDelivery {
        reference: None,
        unsure: true,
        ..PreviousDelivery::default()
    };
    // The message is there; the answer to it is lost.
    lose();
    let unanswered = deliver(&yaml, ENV, &notice(), unsure).await.unwrap_err();
    let earlier = PreviousDelivery {
        reference: unanswered.reference.as_ref(),
        unsure: true,
        ..PreviousDelivery::default()
    };
    assert!(earlier.reference.is_some());
    chat.asked();
    deliver(&yaml, ENV, &notice(), earlier).await.unwrap();
    assert_eq!(chat.asked(), ["chat.update", "conversations.replies"]);
    let once = [
        "↩️ v1.2.4 failed its health check; v1.2.3 is back",
        "  ↩️ v1.2.4 failed its health check; v1.2.3 is back",
    ];
    assert_eq!(chat.shown(), once.join("\n"), "{reason}");
}

#[tokio::test]
async fn a_message_that_someone_removed_is_made_again() {
    let chat = Chat::default();
    let (_server, yaml) = chat.start().await;
    let gone = Reference::Slack {
        channel: "C1".into(),
        ts: "77.0".into(),
    };
    let earlier = PreviousDelivery {
        reference: Some(&gone),
        unsure: false,
        ..PreviousDelivery::default()
    };
    let made = deliver(&yaml, ENV, &resolved(), earlier).await.unwrap();
    assert_ne!(made.reference.as_ref(), Some(&gone));
    assert_eq!(
        chat.asked(),
        ["chat.update", "chat.postMessage", "chat.postMessage"]
    );
}

#[tokio::test]
async fn an_error_in_an_answer_of_status_200_is_one() {
    let chat = Chat::default();
    let (_server, yaml) = chat.start().await;
    let mut all = Vec::new();
    for error in [
        "invalid_auth",
        "channel_not_found",
        "missing_scope",
        "ratelimited",
        "msg_blocks_too_long",
    ] {
        chat.0.lock().unwrap().fails = Some(error);
        all.push(told(
            deliver(&yaml, ENV, &notice(), PreviousDelivery::default()).await,
        ));
    }
    insta::assert_snapshot!(all.join("\n"));
}

#[tokio::test]
async fn a_bots_message_says_who_made_it_and_unfurls_nothing() {
    let chat = Chat::default();
    let (_server, yaml) = chat.start().await;
    let started = Notice {
        kind: EventKind::DeploymentStarted,
        phase: Phase::Deploying,
        ..deployed()
    };
    deliver(&yaml, ENV, &started, PreviousDelivery::default())
        .await
        .unwrap();
    let state = chat.0.lock().unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&state.messages[1]).unwrap());
}

/// Our own deadline, or the network, cuts it.
#[tokio::test]
async fn an_answer_that_does_not_end_is_not_somebody_elses() {
    let chat = Raw::answering("HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{\"ok\": true, ");
    let yaml = BOT.replace("URL", &format!("'{}'", chat.url));
    let late = deliver(&yaml, ENV, &notice(), PreviousDelivery::default()).await;
    let expected = "unsure: 127.0.0.1:PORT did not end its answer";
    assert_eq!(told(late), expected);
}
