//! Telling the sinks: whatever they do, no verdict changes, and each hears each event once.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Receiver, Reply};

use crate::bed::{Bed, CANARY};

/// The budget of a stage, and what a loaded machine needs beside it.
const AT_MOST: Duration = Duration::from_secs(9);

const BAD: [Reply; 7] = [
    Reply::Hang,
    Reply::Down,
    Reply::Busy,
    Reply::Broken,
    Reply::Gone,
    Reply::Elsewhere,
    Reply::Endless,
];

/// How many rounds: `RUNS=200` for the long run.
fn runs() -> usize {
    let wanted = std::env::var("RUNS").ok();
    wanted.map_or(7, |text| text.parse().unwrap())
}

fn bed() -> Bed {
    Bed::new(&json!({"webhook": [{"name": "hook", "url-env": "HOOK_URL"}]}))
}

impl Bed {
    fn told(&self, receiver: &Receiver, args: &[&str]) -> crate::bed::Ran {
        let output = self.command(args).env("HOOK_URL", receiver.url()).output();
        crate::bed::Ran::of(&output.unwrap())
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
fn whatever_a_sink_does_no_verdict_changes_and_later_it_hears_all_of_it_once() {
    for round in 0..runs() {
        let mode = BAD[round % BAD.len()];
        let (bed, receiver) = (bed(), Receiver::start(CANARY, Reply::Accept));
        receiver.set(mode);
        let clock = Instant::now();
        let opened = bed
            .told(&receiver, &["open", "--release", "v2", "slow"])
            .code(0);
        assert!(clock.elapsed() < AT_MOST, "{mode:?}: {:?}", clock.elapsed());
        assert!(
            opened.stdout.contains("sink/hook"),
            "{mode:?}: {}",
            opened.stdout
        );
        assert!(!opened.stdout.contains(CANARY), "{}", opened.stdout);
        assert!(!opened.stderr.contains(CANARY), "{}", opened.stderr);
        bed.told(&receiver, &["note", "meanwhile"]).code(0);
        let waits = bed.told(&receiver, &["deliver", "--within", "2s"]);
        assert!([1, 4].contains(&waits.code), "{mode:?}: {}", waits.stdout);
        receiver.set(Reply::Accept);
        bed.told(&receiver, &["deliver"]).code(0);
        let counts = receiver.counts();
        assert_eq!(counts.len(), 2, "{mode:?}: {counts:?}");
        assert!(
            counts.values().all(|count| *count == 1),
            "{mode:?}: {counts:?}"
        );
        let log = format!("{:?}", bed.events());
        assert!(!log.contains(CANARY), "{log}");
    }
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
    bed.configure(
        &json!({"version": 1, "service": "shop", "incident": {"stdout": [{"name": "log"}]}}),
    );
    let left = bed.run(&["deliver", "--within", "1s"]).code(4);
    assert!(
        left.stdout.contains("has no sink of this name"),
        "{}",
        left.stdout
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
