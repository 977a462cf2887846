//! Telling the sinks: whatever they do, no verdict changes, and each hears each event once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Authority, FaultyServers, Receiver, Reply, TlsFault};

use crate::bed::{Bed, CANARY, Ran};

/// The budget of a stage, and what a loaded machine needs beside it.
const AT_MOST: Duration = Duration::from_secs(9);

/// What is wrong with a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bad {
    Answers(Reply),
    Tls(TlsFault),
}

const BAD: [Bad; 14] = [
    Bad::Answers(Reply::Hang),
    Bad::Answers(Reply::Down),
    Bad::Answers(Reply::Busy),
    Bad::Answers(Reply::Broken),
    Bad::Answers(Reply::Gone),
    Bad::Answers(Reply::Elsewhere),
    Bad::Answers(Reply::Endless),
    Bad::Answers(Reply::Slow),
    Bad::Answers(Reply::Garbage),
    Bad::Tls(TlsFault::Expired),
    Bad::Tls(TlsFault::OfAnotherHost),
    Bad::Tls(TlsFault::Unknown),
    Bad::Tls(TlsFault::None),
    Bad::Tls(TlsFault::Only),
];

/// The kinds of sinks that speak HTTP, but for GitHub's, which have tests of their own.
const KINDS: [&str; 5] = ["webhook", "slack", "bot", "pagerduty", "teams"];

/// How many rounds: `RUNS=200` for the long run.
fn runs() -> usize {
    let wanted = std::env::var("RUNS").ok();
    wanted.map_or(BAD.len(), |text| text.parse().unwrap())
}

fn bed() -> Bed {
    Bed::new(&json!({"webhook": [{"name": "hook", "url-env": "HOOK_URL"}]}))
}

/// With one sink of a kind, which hears everything, at this address.
fn configured(kind: &str, url: &str) -> Value {
    let events = ["incident-opened", "note"];
    let sink = match kind {
        "slack" | "teams" => {
            json!({kind: [{"name": "hook", "url-env": "HOOK_URL", "events": events}]})
        }
        "bot" => json!({"slack": [{
            "name": "hook", "token-env": "KEY", "channel": "C1", "api-url": url, "events": events,
        }]}),
        "pagerduty" => json!({"pagerduty": [{
            "name": "hook", "routing-key-env": "KEY", "url": url, "events": events,
        }]}),
        _ => json!({"webhook": [{"name": "hook", "url-env": "HOOK_URL", "events": events}]}),
    };
    json!({"version": 1, "service": "shop", "incident": sink})
}

impl Bed {
    fn told(&self, receiver: &Receiver, args: &[&str]) -> Ran {
        self.told_at(&receiver.url(), None, args)
    }

    /// `trusted`: the authority whose certificates the machine trusts.
    fn told_at(&self, url: &str, trusted: Option<&Authority>, args: &[&str]) -> Ran {
        let mut command = self.command(args);
        command.env("HOOK_URL", url).env("KEY", CANARY);
        if let Some(authority) = trusted {
            command.env("SSL_CERT_FILE", authority.file());
        }
        Ran::of(&command.output().unwrap())
    }
}

/// How often each of the events was told, by its text.
fn heard(kind: &str, receiver: &Receiver) -> BTreeMap<&'static str, usize> {
    let mut all = BTreeMap::new();
    let mut count = |told: &str| {
        for text in ["slow", "meanwhile"] {
            let is_it = told.contains(&format!(": {text}")) || told.contains(&format!(" {text}\""));
            if is_it && (text == "meanwhile" || !told.contains("meanwhile")) {
                *all.entry(text).or_default() += 1;
            }
        }
    };
    for call in receiver.calls() {
        let body: Value = serde_json::from_str(&call.body).unwrap_or_default();
        if kind != "bot" && !body.is_null() {
            count(&call.body);
        }
        // A bot shows each event in its message, and tells it once in the thread. What it asks has no body.
        let in_thread = body["blocks"]
            .as_array()
            .filter(|_| !body["thread_ts"].is_null());
        let titles = in_thread
            .into_iter()
            .flatten()
            .filter(|one| one["type"] == "header");
        for title in titles.filter(|_| kind == "bot") {
            count(&title.to_string());
        }
    }
    all
}

/// One sink that is bad in one way, and well again later. What went wrong.
fn round(kind: &str, bad: Bad, faulty: &FaultyServers) {
    let context = format!("{kind}, {bad:?}");
    let receiver = Receiver::start(CANARY, Reply::Accept);
    let good = receiver.url();
    let url = match bad {
        Bad::Answers(reply) => {
            receiver.set(reply);
            good.clone()
        }
        Bad::Tls(fault) => faulty.url(fault, &receiver, CANARY),
    };
    let bed = Bed::new(&json!({}));
    bed.configure(&configured(kind, &url));
    let trusted = Some(&faulty.authority);
    let clock = Instant::now();
    let opened = bed
        .told_at(&url, trusted, &["open", "--release", "v2", "slow"])
        .code(0);
    assert!(
        clock.elapsed() < AT_MOST,
        "{context}: {:?}",
        clock.elapsed()
    );
    assert!(
        opened.stdout.contains("sink/hook"),
        "{context}: {}",
        opened.stdout
    );
    bed.told_at(&url, trusted, &["note", "meanwhile"]).code(0);
    let waits = bed.told_at(&url, trusted, &["deliver", "--max-time", "2s"]);
    assert!([1, 4].contains(&waits.code), "{context}: {}", waits.stdout);
    if let Bad::Tls(fault) = bad {
        let word = match fault {
            TlsFault::Expired => "expired",
            TlsFault::OfAnotherHost => "hooks.example.com",
            TlsFault::Unknown | TlsFault::None | TlsFault::Only => "127.0.0.1",
        };
        assert!(waits.stdout.contains(word), "{context}: {}", waits.stdout);
    }
    for ran in [&opened, &waits] {
        assert!(!ran.stdout.contains(CANARY), "{context}: {}", ran.stdout);
        assert!(!ran.stderr.contains(CANARY), "{context}: {}", ran.stderr);
    }
    receiver.set(Reply::Accept);
    bed.configure(&configured(kind, &good));
    bed.told_at(&good, None, &["deliver"]).code(0);
    let heard = heard(kind, &receiver);
    let once = BTreeMap::from([("slow", 1), ("meanwhile", 1)]);
    assert_eq!(heard, once, "{context}: {:#?}", receiver.calls());
    let log = format!("{:?}", bed.events());
    assert!(!log.contains(CANARY), "{context}: {log}");
}

#[test]
fn whatever_a_sink_does_no_verdict_changes_and_later_it_hears_all_of_it_once() {
    let faulty = FaultyServers::start();
    let next = AtomicUsize::new(0);
    // They wait more than they compute.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= runs() {
                        break;
                    }
                    let (kind, bad) = (KINDS[number % KINDS.len()], BAD[number % BAD.len()]);
                    round(kind, bad, &faulty);
                }
            });
        }
    });
}

/// It was taken: that the answer has no end is no reason to send it again.
#[test]
fn an_answer_without_an_end_is_an_answer() {
    for kind in KINDS {
        let receiver = Receiver::start(CANARY, Reply::AcceptSlowly);
        let bed = Bed::new(&json!({}));
        bed.configure(&configured(kind, &receiver.url()));
        let clock = Instant::now();
        bed.told(&receiver, &["open", "--release", "v2", "slow"])
            .code(0);
        bed.told(&receiver, &["note", "meanwhile"]).code(0);
        assert!(
            clock.elapsed() < 2 * AT_MOST,
            "{kind}: {:?}",
            clock.elapsed()
        );
        receiver.set(Reply::Accept);
        bed.told(&receiver, &["deliver"]).code(0);
        let once = BTreeMap::from([("slow", 1), ("meanwhile", 1)]);
        assert_eq!(
            heard(kind, &receiver),
            once,
            "{kind}: {:#?}",
            receiver.calls()
        );
    }
}

#[test]
fn a_sink_that_works_hears_each_event_once() {
    let (bed, receiver) = (bed(), Receiver::start(CANARY, Reply::Accept));
    bed.told(&receiver, &["open", "--release", "v2", "slow"])
        .code(0);
    bed.told(&receiver, &["update", "known"]).code(0);
    bed.told(&receiver, &["resolve", "done"]).code(0);
    let again = bed.told(&receiver, &["deliver"]).code(0);
    assert!(again.stdout.contains("nothing waits"), "{}", again.stdout);
    let counts = receiver.counts();
    assert_eq!(counts.len(), 3, "{counts:?}");
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

#[test]
fn eight_processes_that_deliver_at_once_tell_each_event_once() {
    let (bed, receiver) = (bed(), Receiver::start(CANARY, Reply::Accept));
    receiver.set(Reply::Broken);
    bed.told(&receiver, &["open", "slow"]).code(0);
    for number in 0..5 {
        bed.told(&receiver, &["note", &number.to_string()]).code(0);
    }
    receiver.set(Reply::Accept);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| bed.told(&receiver, &["deliver"]));
        }
    });
    bed.told(&receiver, &["deliver"]).code(0);
    let counts = receiver.counts();
    assert_eq!(counts.len(), 6, "{counts:?}");
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

#[test]
fn a_delivery_whose_process_was_killed_is_made_by_the_next_one() {
    let (bed, receiver) = (bed(), Receiver::start(CANARY, Reply::Accept));
    receiver.set(Reply::Hang);
    let mut command = bed.command(&["open", "slow"]);
    let mut child = command.env("HOOK_URL", receiver.url()).spawn().unwrap();
    let is_sent = testkit::wait_until(Duration::from_secs(10), || receiver.hanging() == 1);
    assert!(is_sent);
    assert_eq!(bed.events_of("claimed").len(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    receiver.set(Reply::Accept);
    bed.told(&receiver, &["deliver"]).code(0);
    let counts = receiver.counts();
    assert!(counts.values().eq([&1]), "{counts:?} {:#?}", bed.events());
}

#[test]
fn a_sink_that_the_configuration_has_no_more_is_given_up() {
    let (bed, receiver) = (bed(), Receiver::start(CANARY, Reply::Accept));
    receiver.set(Reply::Broken);
    bed.told(&receiver, &["open", "slow"]).code(0);
    for incident in [json!({}), json!({"stdout": [{"name": "log"}]})] {
        bed.configure(&json!({"version": 1, "service": "shop", "incident": incident}));
        let left = bed.run(&["deliver", "--max-time", "1s"]).code(4);
        assert!(
            left.stdout.contains("has no sink of this name"),
            "{}",
            left.stdout
        );
    }
    let mistyped = bed.run(&["deliver", "--give-up", "hok"]).code(1).stdout;
    assert!(
        mistyped.contains("something waits for `hook`"),
        "{mistyped}"
    );
    bed.run(&["deliver", "--give-up", "hook"]).code(0);
    bed.run(&["deliver"]).code(0);
}

#[test]
fn a_test_message_proves_each_sink_and_is_in_no_log() {
    let (bed, receiver) = (bed(), Receiver::start(CANARY, Reply::Accept));
    bed.told(&receiver, &["notify", "--test"]).code(0);
    receiver.set(Reply::Gone);
    bed.told(&receiver, &["notify", "--test"]).code(1);
    receiver.set(Reply::Broken);
    bed.told(&receiver, &["notify", "--test"]).code(4);
    assert!(bed.events().is_empty());
    assert!(
        receiver.bodies()[0].contains("nothing happened"),
        "{:?}",
        receiver.bodies()
    );
}

/// A text that cannot be made is found before the incident in which it would be needed.
#[test]
fn a_template_that_cannot_be_used_is_found_by_the_test_and_says_what_to_do() {
    let receiver = Receiver::start(CANARY, Reply::Accept);
    let bed = Bed::new(&json!({
        "webhook": [{"name": "hook", "url-env": "HOOK_URL"}], "templates": {"update": "u.j2"},
    }));
    let missing = bed.told(&receiver, &["notify", "--test"]).code(1);
    assert!(
        missing.stdout.contains("failed to read the template u.j2"),
        "{}",
        missing.stdout
    );
    std::fs::write(bed.path("u.j2"), "{% if eta %}{{ nosuch }}{% endif %}").unwrap();
    let told = "u.j2:1: a variable is used that does not exist";
    let broken = bed.told(&receiver, &["notify", "--test"]).code(1);
    assert!(broken.stdout.contains(told), "{}", broken.stdout);
    std::fs::write(bed.path("u.j2"), "{{ nosuch }}").unwrap();
    bed.told(&receiver, &["open", "slow"]).code(0);
    let updated = bed.told(&receiver, &["update", "meanwhile"]).code(0);
    for part in [told, "the variables are listed in docs/guide/incident.md"] {
        assert!(updated.stdout.contains(part), "{part}: {}", updated.stdout);
    }
    std::fs::write(bed.path("u.j2"), "{{ text }}").unwrap();
    bed.told(&receiver, &["notify", "--test"]).code(0);
    bed.told(&receiver, &["deliver"]).code(0);
    let bodies = receiver.bodies();
    let arrived = bodies
        .iter()
        .filter(|body| body.contains("\"text\":\"meanwhile\""));
    assert_eq!(arrived.count(), 1, "{bodies:#?}");
}

/// Of one workflow run: an issue that is closed takes no other incident.
#[test]
fn two_incidents_of_one_run_and_release_are_told_apart() {
    let (mut bed, receiver) = (bed(), Receiver::start(CANARY, Reply::Accept));
    bed.variables.push(("GITHUB_RUN_ID", "55".to_owned()));
    for text in ["first", "second"] {
        bed.told(&receiver, &["open", "--release", "v5", text])
            .code(0);
        bed.told(&receiver, &["resolve", "done"]).code(0);
    }
    let bodies = receiver.bodies();
    let threads = bodies
        .iter()
        .map(|body| serde_json::from_str::<Value>(body).unwrap()["thread"].to_string());
    let threads: Vec<String> = threads.collect();
    assert_eq!(threads[0], threads[1]);
    assert_eq!(threads[2], threads[3]);
    assert_ne!(threads[0], threads[2]);
}

/// Who opened it has a clock that is five minutes ahead.
#[test]
fn a_message_shows_the_end_whatever_the_clocks_say() {
    let receiver = Receiver::start(CANARY, Reply::Accept);
    let bed = Bed::new(&json!({"slack": [{
        "name": "chat", "token-env": "KEY", "channel": "C1", "api-url": receiver.url(),
    }]}));
    bed.told(&receiver, &["open", "--release", "v2", "slow"])
        .code(0);
    bed.age(-5);
    bed.told(&receiver, &["resolve", "v1 serves everything"])
        .code(0);
    let calls = receiver.calls();
    let mut edits = calls
        .iter()
        .filter(|call| call.path.ends_with("chat.update"));
    let shown = edits.next_back().map(|call| call.body.contains("resolved"));
    assert_eq!(shown, Some(true), "{calls:#?}");
    let report = bed.run(&["report"]).code(0).stdout;
    let opened = report.find("| incident opened, high: slow |");
    let resolved = report.find("| resolved: v1 serves everything |");
    assert!(opened.is_some() && opened < resolved, "{report}");
}

/// Where the time ends between two calls, people have the truth, and the details come later.
#[test]
fn of_several_events_a_message_shows_the_newest_first_and_its_thread_has_them_in_order() {
    let receiver = Receiver::start(CANARY, Reply::Down);
    let bed = Bed::new(&json!({"slack": [{
        "name": "chat", "token-env": "KEY", "channel": "C1", "api-url": receiver.url(),
    }]}));
    for args in [
        &["open", "--release", "v2", "first"][..],
        &["update", "second"],
        &["resolve", "third"],
    ] {
        bed.told(&receiver, args).code(0);
    }
    receiver.set(Reply::Accept);
    bed.told(&receiver, &["deliver"]).code(0);
    let calls = receiver.calls();
    // It was looked for first: the connection was closed, and whether it had arrived was not known.
    let told = calls
        .iter()
        .filter(|call| !call.path.contains("conversations."));
    let shown = told.map(|call| {
        assert!(call.path.ends_with("chat.postMessage"), "{call:?}");
        let body: Value = serde_json::from_str(&call.body).unwrap();
        let thread = if body["thread_ts"].is_null() {
            ""
        } else {
            "  "
        };
        format!("{thread}{}", titles(&body).join(", "))
    });
    let shown: Vec<String> = shown.collect();
    assert_eq!(shown, ["third", "  first, second, third"]);
}

/// The word of each event that a message of Slack tells.
fn titles(message: &Value) -> Vec<&'static str> {
    let blocks = message["blocks"].as_array().unwrap();
    let titles = blocks.iter().filter(|block| block["type"] == "header");
    let words = titles.map(|title| {
        let title = title["text"]["text"].as_str().unwrap();
        let mut words = ["first", "second", "third", "note"].into_iter();
        words.find(|word| title.contains(word)).unwrap()
    });
    words.collect()
}

/// What one message cannot hold, or what Slack takes alone only, is told in several.
#[test]
fn many_events_are_told_in_as_few_messages_as_slack_takes() {
    let receiver = Receiver::start(CANARY, Reply::Accept);
    let bed = Bed::new(&json!({"slack": [{
        "name": "chat", "token-env": "KEY", "channel": "C1", "api-url": receiver.url(),
    }]}));
    // Without the token they wait.
    bed.run(&["open", "--release", "v2", "first"]).code(0);
    for _ in 0..15 {
        bed.run(&["note", &format!("note {}", "x".repeat(900))])
            .code(0);
    }
    bed.run(&["resolve", "third"]).code(0);
    bed.told(&receiver, &["deliver"]).code(0);
    let calls = receiver.calls();
    let bodies: Vec<Value> = calls
        .iter()
        .map(|call| serde_json::from_str(&call.body).unwrap())
        .collect();
    let told: Vec<Vec<&str>> = bodies.iter().map(titles).collect();
    assert_eq!(told[0], ["third"], "the message shows the newest");
    let thread: Vec<&str> = told[1..].iter().flatten().copied().collect();
    let expected = [&["first"][..], &["note"; 15], &["third"]].concat();
    assert_eq!(thread, expected);
    assert!((2..=4).contains(&told[1..].len()), "{told:?}");
    for body in &bodies {
        let blocks = body["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50, "{}", blocks.len());
        assert!(body["blocks"].to_string().chars().count() < 20_000);
    }
}

#[test]
fn a_sink_that_asks_for_a_second_is_asked_again_within_the_budget() {
    let receiver = Receiver::start(CANARY, Reply::Busy);
    let bed = bed();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let asked = || receiver.busy() > 0;
            assert!(testkit::wait_until(Duration::from_secs(30), asked));
            receiver.set(Reply::Accept);
        });
        let ran = bed.told(&receiver, &["open", "slow"]).code(0);
        assert!(!ran.stdout.contains("sink/hook"), "{}", ran.stdout);
    });
    assert_eq!(receiver.calls().len(), 1);
    assert!(
        bed.events_of("undelivered").is_empty(),
        "{:?}",
        bed.events()
    );
}

/// A clock that is an hour ahead dated the attempt that failed.
#[test]
fn what_failed_in_the_future_is_tried_again_now() {
    let receiver = Receiver::start(CANARY, Reply::Down);
    let bed = bed();
    bed.told(&receiver, &["open", "slow"]).code(0);
    bed.age(-60);
    receiver.set(Reply::Accept);
    bed.told(&receiver, &["note", "meanwhile"]).code(0);
    assert_eq!(receiver.calls().len(), 2, "{:?}", receiver.calls());
}

/// The message is in the first of the log's files, of which a decision reads the newest four.
#[test]
fn a_long_incident_is_one_message_all_the_same() {
    let receiver = Receiver::start(CANARY, Reply::Accept);
    let bed = Bed::new(&json!({"slack": [{
        "name": "chat", "token-env": "KEY", "channel": "C1", "api-url": receiver.url(),
        "events": ["incident-opened", "incident-resolved"],
    }]}));
    bed.told(&receiver, &["open", "--release", "v2", "slow"])
        .code(0);
    bed.told(&receiver, &["note", "nothing new"]).code(0);
    // Other notes, as many as five files hold.
    let file = |number: u32| {
        bed.path(&format!(
            ".deploy-guard/state.json.events/{number:08}.jsonl"
        ))
    };
    let first = std::fs::read_to_string(file(1)).unwrap();
    let note = first
        .lines()
        .find(|line| line.contains("\"note\""))
        .unwrap();
    let id = note
        .split("\"id\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    for number in 2..7 {
        let notes = (0..400).map(|nth| note.replace(id, &format!("{number}-{nth}")) + "\n");
        std::fs::write(file(number), notes.collect::<String>()).unwrap();
    }
    bed.told(&receiver, &["resolve", "v1 serves everything"])
        .code(0);
    let calls = receiver.calls();
    let posted = calls
        .iter()
        .filter(|call| call.path.ends_with("chat.postMessage"));
    let messages = posted.filter(|call| !call.body.contains("thread_ts"));
    assert_eq!(messages.count(), 1, "{calls:#?}");
    let mut edits = calls
        .iter()
        .filter(|call| call.path.ends_with("chat.update"));
    let last = edits.next_back().unwrap();
    assert!(last.body.contains("Severity: high"), "{}", last.body);
    assert!(last.body.contains("resolved"), "{}", last.body);
}

/// The guide's only schedule is `watch`: a person corrects the secret, and nobody thinks of `deliver`.
#[test]
fn what_a_sink_refused_is_sent_by_the_schedule_when_it_takes_it() {
    let (bed, receiver) = (bed(), Receiver::start(CANARY, Reply::Accept));
    receiver.set(Reply::Gone);
    bed.told(&receiver, &["open", "slow"]).code(0);
    let refused = bed.told(&receiver, &["watch"]).code(1);
    assert!(refused.stdout.contains("sink/hook"), "{}", refused.stdout);
    receiver.set(Reply::Accept);
    receiver.forget();
    bed.told(&receiver, &["watch"]).code(0);
    assert_eq!(receiver.bodies().len(), 1, "{:?}", receiver.bodies());
    bed.told(&receiver, &["resolve", "done"]).code(0);
    // What is refused of an incident that is over is told, and wakes no one.
    receiver.set(Reply::Gone);
    bed.told(&receiver, &["note", "after it"]).code(0);
    bed.told(&receiver, &["watch"]).code(0);
}

/// A schedule that is green while no one was told would be believed.
#[test]
fn the_schedule_is_no_pass_while_a_sink_asks_to_wait() {
    let (bed, receiver) = (bed(), Receiver::start(CANARY, Reply::Accept));
    receiver.set(Reply::Busy);
    bed.told(&receiver, &["open", "slow"]).code(0);
    let waits = bed.told(&receiver, &["watch"]).code(4);
    assert!(
        waits.stdout.contains("0 delivered, 1 not delivered"),
        "{}",
        waits.stdout
    );
    receiver.set(Reply::Accept);
    let is_told = || bed.told(&receiver, &["watch"]).code == 0;
    assert!(testkit::wait_until(Duration::from_secs(20), is_told));
    assert_eq!(receiver.bodies().len(), 1, "{:?}", receiver.bodies());
}
