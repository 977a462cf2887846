//! A log of which a line cannot be read: damaged, or of a newer release. People are told all the same, nothing of the line is
//! lost, and everything that is told from the log names it.

use serde_json::{Value, json};
use testkit::{Receiver, Reply};

use crate::bed::{Bed, CANARY, Ran};

/// What becomes of a line.
type Damage = fn(&[u8]) -> Vec<u8>;

const DAMAGES: [Damage; 6] = [
    // A bit of the disk.
    |line| [&[line[0] ^ 0x40], &line[1..]].concat(),
    // Half-written in the middle.
    |line| line[..line.len() / 2].to_vec(),
    |line| vec![0; line.len()],
    |line| [b"\xff\xfe ", line].concat(),
    // An editor's change.
    |line| replaced(line, "\"at\":\"", "\"at\":\"x"),
    // A newer format.
    |line| replaced(line, "event/v1", "event/v2"),
];

fn replaced(line: &[u8], from: &str, to: &str) -> Vec<u8> {
    let line = std::str::from_utf8(line).unwrap();
    line.replacen(from, to, 1).into_bytes()
}

impl Bed {
    fn lines(&self) -> Vec<Vec<u8>> {
        let bytes = std::fs::read(self.log_file()).unwrap();
        let lines = bytes.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        lines.map(<[u8]>::to_vec).collect()
    }

    /// Damages the line of this number, from 1, and gives what it is by now.
    fn damage(&self, line: usize, damage: Damage) -> Vec<u8> {
        let mut lines = self.lines();
        lines[line - 1] = damage(&lines[line - 1]);
        let damaged = lines[line - 1].clone();
        std::fs::write(self.log_file(), lines.join(&b'\n')).unwrap();
        let mut file = std::fs::OpenOptions::new();
        let mut file = file.append(true).open(self.log_file()).unwrap();
        std::io::Write::write_all(&mut file, b"\n").unwrap();
        damaged
    }

    fn hooked(&self, receiver: &Receiver, args: &[&str]) -> Ran {
        let mut command = self.command(args);
        Ran::of(&command.env("HOOK_URL", receiver.url()).output().unwrap())
    }
}

/// An incident with an update, told to a webhook.
fn told(receiver: &Receiver) -> Bed {
    let bed = Bed::new(&json!({"webhook": [{"name": "hook", "url-env": "HOOK_URL"}]}));
    bed.hooked(receiver, &["open", "--release", "v2", "checkout fails"])
        .code(0);
    bed.hooked(receiver, &["update", "rolling back"]).code(0);
    bed
}

fn heard(receiver: &Receiver, text: &str) -> usize {
    let calls = receiver.calls();
    calls.iter().filter(|call| call.body.contains(text)).count()
}

/// Whichever line it is, and whatever is wrong with it.
#[test]
fn people_are_told_and_the_line_is_left_and_named() {
    for (nth, damage) in DAMAGES.into_iter().enumerate() {
        let receiver = Receiver::start(CANARY, Reply::Accept);
        let bed = told(&receiver);
        // opened, claimed, delivered, updated, claimed, delivered
        assert_eq!(bed.lines().len(), 6);
        let line = nth + 1;
        let damaged = bed.damage(line, damage);
        for args in [
            &["open", "seen by bob"][..],
            &["note", "the pool is empty"],
            &["update", "v1 is nearly back"],
            &["resolve", "v1 serves everything"],
        ] {
            let ran = bed.hooked(&receiver, args).code(0);
            let named =
                format!("line {line} of the log .deploy-guard/state.json.events/00000001.jsonl");
            assert!(ran.stdout.contains(&named), "{nth}: {}", ran.stdout);
            let said = args[1];
            assert_eq!(
                heard(&receiver, said),
                1,
                "{nth}: {said}: {:?}",
                receiver.calls()
            );
        }
        assert_eq!(bed.lines()[line - 1], damaged, "{nth}");
        let list = bed.run(&["list"]).code(0).stdout;
        assert!(list.contains("1 incident, 0 of them open"), "{nth}: {list}");
    }
}

/// Whoever reads it, and in each format.
#[test]
fn what_is_told_from_the_log_says_what_is_missing() {
    let receiver = Receiver::start(CANARY, Reply::Accept);
    let bed = told(&receiver);
    bed.damage(4, |line| line[..40].to_vec());
    let line = json!([{
        "file": ".deploy-guard/state.json.events/00000001.jsonl", "line": 4, "cause": "damaged",
        "reason": "not JSON from column 40 on",
    }]);
    let json = |args: &[&str]| -> Value {
        let ran = bed.run(&[args, &["--format", "json"]].concat()).code(0);
        serde_json::from_str(&ran.stdout).unwrap()
    };
    for command in ["status", "list", "report"] {
        assert_eq!(json(&[command])["unread_lines"], line, "{command}");
        let text = bed.run(&[command]).code(0).stdout;
        assert!(text.contains("line 4 of the log"), "{text}");
    }
    assert_eq!(json(&["metrics"])["unread_lines"], 1);
    let text = bed.run(&["metrics"]).code(0);
    assert!(
        text.stdout.contains("1 line of the log could not be read"),
        "{}",
        text.stdout
    );
    assert!(text.stderr.contains("line 4 of the log"), "{}", text.stderr);
    let series = bed
        .run(&["metrics", "--format", "prometheus"])
        .code(0)
        .stdout;
    assert!(
        series.contains("deploy_guard_unread_log_lines{service=\"shop\",environment=\"\"} 1"),
        "{series}"
    );
    assert_eq!(bed.run(&["report"]).stdout, bed.run(&["report"]).stdout);
    // What there is to tell may be in it.
    let ran = bed.hooked(&receiver, &["deliver"]).code(3);
    assert!(ran.stdout.contains("line 4 of the log"), "{}", ran.stdout);
    bed.hooked(&receiver, &["watch"]).code(3);
    bed.hooked(&receiver, &["resolve", "over"]).code(0);
    let status = bed.run(&["status"]).code(3).stdout;
    assert!(
        status.contains("no incident is known to be open"),
        "{status}"
    );
}

/// No other line tells of the incident.
#[test]
fn where_nothing_tells_of_an_incident_the_text_is_kept_and_no_incident_is_made_up() {
    let bed = Bed::new(&json!({}));
    bed.run(&["open", "--release", "v2", "checkout fails"])
        .code(0);
    let damaged = bed.damage(1, |line| line[..40].to_vec());
    for args in [["update", "rolling back"], ["resolve", "v1 is back"]] {
        let ran = bed.run(&args).code(3);
        assert!(
            ran.stdout.contains("no incident is known to be open"),
            "{}",
            ran.stdout
        );
        assert!(
            ran.stdout.contains("`incident open TEXT`"),
            "{}",
            ran.stdout
        );
    }
    let kept: Vec<Value> = bed.lines()[1..]
        .iter()
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let kept: Vec<(&Value, &Value)> = kept
        .iter()
        .map(|one| (&one["kind"], &one["text"]))
        .collect();
    assert_eq!(
        kept,
        [
            (&json!("note"), &json!("rolling back")),
            (&json!("note"), &json!("v1 is back"))
        ]
    );
    bed.run(&["report"]).code(3);
    bed.run(&["open", "checkout fails"]).code(0);
    assert_eq!(bed.lines()[0], damaged);
    let list = bed.run(&["list"]).code(0).stdout;
    assert!(list.contains("1 incident, 1 of them open"), "{list}");
}

/// Its other events tell that it is there: it is escalated, and no time is made up.
#[test]
fn an_incident_whose_opening_is_damaged_goes_on() {
    let bed = Bed::new(&json!({
        "stdout": [{"name": "log"}, {"name": "boss", "events": ["escalated"]}],
        "escalate": [{"after": "10m", "unless": "resolved", "to": "boss"}],
    }));
    bed.run(&["open", "--release", "v2", "checkout fails"])
        .code(0);
    bed.run(&["update", "rolling back"]).code(0);
    bed.age(11);
    bed.damage(1, |line| line[..40].to_vec());
    let status = bed.run(&["status"]).code(0).stdout;
    assert!(status.contains("rolling back"), "{status}");
    assert!(
        status.contains("not resolved within 10m; it is for"),
        "{status}"
    );
    bed.run(&["resolve", "v1 serves everything"]).code(0);
    let report = bed.run(&["report"]).code(0).stdout;
    for row in [
        "| duration | unknown |",
        "| response: opened → a person acted | unknown |",
        "| severity | critical: the line that opened it cannot be read |",
        "Missing: line 1 of the log",
    ] {
        assert!(report.contains(row), "{row}: {report}");
    }
    let metrics = bed.run(&["metrics"]).code(0).stdout;
    let row = metrics
        .lines()
        .find(|line| line.starts_with("Mean time to recovery"));
    let row: Vec<&str> = row.unwrap().split_whitespace().collect();
    assert_eq!(row[4..7], ["unknown", "0", "1"], "{metrics}");
}

/// Without the line that tells that a sink was told, it was told perhaps: Slack is asked.
#[test]
fn a_sink_that_can_be_asked_is_asked_and_others_hear_the_same_key() {
    let receiver = Receiver::start(CANARY, Reply::Accept);
    let bed = told(&receiver);
    bed.damage(3, |line| line[..40].to_vec());
    bed.hooked(&receiver, &["deliver"]).code(3);
    let calls = receiver.calls();
    let counts = receiver.counts();
    assert_eq!((calls.len(), counts.len()), (3, 2), "{calls:?}");
}
