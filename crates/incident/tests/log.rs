//! The log: written by several processes at once, and killed at any moment.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bed::Bed;

/// Processes that write at once.
const WRITERS: usize = 8;

/// How many rounds or kills: `KILLS=100` for the long run.
fn kills() -> usize {
    let wanted = std::env::var("KILLS").ok();
    wanted.map_or(12, |text| text.parse().unwrap())
}

fn texts(events: &[Value]) -> Vec<String> {
    let texts = events.iter().filter_map(|event| event["text"].as_str());
    texts.map(str::to_owned).collect()
}

#[test]
fn an_incident_from_its_opening_to_its_end() {
    let bed = Bed::new(&json!({}));
    bed.run(&["status"]).code(0);
    let none = bed.run(&["resolve", "done"]).code(1);
    assert!(
        none.stdout.contains("no incident is open"),
        "{}",
        none.stdout
    );
    bed.run(&["open", "--release", "v2", "checkout", "answers", "500"])
        .code(0);
    bed.run(&["note", "the pool is empty"]).code(0);
    bed.run(&["update", "--phase", "identified", "rolling back"])
        .code(0);
    let status = bed.run(&["status"]).code(0);
    assert!(
        status.stdout.contains("identified, high"),
        "{}",
        status.stdout
    );
    bed.run(&["resolve", "v1 serves everything"]).code(0);
    bed.run(&["resolve", "again"]).code(1);
    let list = bed.run(&["list"]).code(0);
    assert!(
        list.stdout.contains("1 incident, 0 of them open"),
        "{}",
        list.stdout
    );
    let kinds: Vec<Value> = bed
        .events()
        .iter()
        .map(|event| event["kind"].clone())
        .collect();
    let expected = [
        "incident-opened",
        "note",
        "incident-updated",
        "incident-resolved",
    ];
    assert_eq!(kinds, expected);
    let ids: BTreeSet<String> = bed
        .events()
        .iter()
        .map(|event| event["incident"].to_string())
        .collect();
    assert_eq!(ids.len(), 1, "all of one incident: {ids:?}");
}

#[test]
fn eight_people_open_one_incident_and_lose_no_word() {
    let bed = Bed::new(&json!({}));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let bed = &bed;
            scope.spawn(move || {
                let text = format!("seen by {writer}");
                bed.run(&["open", "--release", "v2", &text]).code(0);
                for number in 0..4 {
                    bed.run(&["note", &format!("{writer}.{number}")]).code(0);
                }
            });
        }
    });
    assert_eq!(bed.events_of("incident-opened").len(), 1);
    assert_eq!(bed.events_of("incident-updated").len(), WRITERS - 1);
    let notes = texts(&bed.events_of("note"));
    assert_eq!(notes.len(), WRITERS * 4);
    assert_eq!(notes.iter().collect::<BTreeSet<_>>().len(), WRITERS * 4);
    let ids: BTreeSet<String> = bed
        .events()
        .iter()
        .map(|event| event["id"].to_string())
        .collect();
    assert_eq!(ids.len(), bed.events().len());
    let first = bed.run(&["report"]).code(0).stdout;
    assert_eq!(first, bed.run(&["report"]).code(0).stdout);
    for writer in 0..WRITERS {
        assert!(first.contains(&format!("seen by {writer}")), "{first}");
    }
}

/// What a command reported as written is there once, and a command that was killed is there once or not at all.
#[test]
fn a_kill_at_any_moment_loses_and_doubles_nothing() {
    let bed = Bed::new(&json!({}));
    bed.run(&["open", "--release", "v2", "slow"]).code(0);
    let mut written = Vec::new();
    for number in 0..kills() {
        let text = format!("note {number}");
        let mut child = bed.command(&["note", &text]).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(1_500 * (number as u64 % 12)));
        let _ = child.kill();
        if child.wait().unwrap().success() {
            written.push(text);
        }
        // Another process goes on at once.
        let after = format!("after {number}");
        bed.run(&["note", &after]).code(0);
        written.push(after);
    }
    let notes = texts(&bed.events_of("note"));
    for text in &written {
        let times = notes.iter().filter(|note| *note == text).count();
        assert_eq!(times, 1, "{text}: {notes:?}");
    }
    let distinct: BTreeSet<&String> = notes.iter().collect();
    assert_eq!(distinct.len(), notes.len());
    bed.run(&["status"]).code(0);
}

#[test]
fn a_line_of_a_newer_release_or_a_damaged_one_is_told_and_left() {
    let bed = Bed::new(&json!({}));
    bed.run(&["open", "slow"]).code(0);
    let file = bed.path(".deploy-guard/state.json.events/00000001.jsonl");
    let good = std::fs::read_to_string(&file).unwrap();
    for (line, told) in [
        (
            "{\"schema\":\"deploy-guard/event/v2\"}\n",
            "a newer deploy-guard",
        ),
        ("not json\n", "line 2 of the log"),
    ] {
        std::fs::write(&file, format!("{good}{line}")).unwrap();
        let status = bed.run(&["status"]).code(4);
        assert!(status.stderr.contains(told), "{}", status.stderr);
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            format!("{good}{line}")
        );
    }
    // Half a line is what a kill leaves.
    std::fs::write(&file, format!("{good}{{\"schema\":\"deploy-gu")).unwrap();
    bed.run(&["status"]).code(0);
    bed.run(&["note", "goes on"]).code(0);
    assert_eq!(bed.events().len(), 2);
}

#[test]
fn what_is_mistyped_is_told() {
    let bed = Bed::new(&json!({}));
    for (args, told) in [
        (&["open"][..], "<TEXT>"),
        (&["open", " "], "the text is empty"),
        (
            &["open", "--severity", "urgent", "--reason", "x", "t"],
            "critical, high, medium, low",
        ),
        (&["open", "--severity", "high", "t"], "--reason"),
        (
            &["open", "--severity", "high", "--reason", " ", "t"],
            "`--reason` is empty",
        ),
        (
            &["open", "--impact", "bad", "t"],
            "none, degraded, down, unknown",
        ),
        (
            &["update", "--phase", "resolved", "t"],
            "investigating, identified, monitoring",
        ),
        (&["report", "--incident", "inc-0"], "no incident"),
        (&["metrics", "--textfile", "x.txt"], "`.prom`"),
        (
            &["status", "--format", "prometheus"],
            "not a format of this action",
        ),
        (&["dashboard", "--label", "job"], "has no value"),
        (&["notify", "--test"], "no sink is configured"),
        (&["notify"], "--test"),
    ] {
        let args = args.to_vec();
        if args.contains(&"inc-0") {
            bed.run(&["open", "slow"]).code(0);
        }
        let ran = bed.run(&args).code(2);
        assert!(ran.stderr.contains(told), "{args:?}: {}", ran.stderr);
    }
    bed.configure(&json!({"version": 1, "service": "shop"}));
    let none = bed.run(&["status"]).code(2);
    assert!(
        none.stderr.contains("add `incident: {}`"),
        "{}",
        none.stderr
    );
}

#[test]
fn a_dry_run_writes_nothing() {
    let bed = Bed::new(&json!({}));
    for args in [
        ["open", "slow"],
        ["note", "x"],
        ["resolve", "x"],
        ["update", "x"],
    ] {
        bed.run(&[&args[..], &["--dry-run"]].concat()).code(3);
    }
    bed.run(&["watch", "--dry-run"]);
    assert!(!bed.path(".deploy-guard").exists());
}
