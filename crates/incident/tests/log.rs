//! The log: written by several processes at once, and killed at any moment.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use testkit::{Moto, Sshd};

use crate::bed::{Bed, CANARY};

/// Processes that write at once.
const WRITERS: usize = 8;

/// How many kills: `KILLS=100` for the long run.
fn kills(usual: usize) -> usize {
    let wanted = std::env::var("KILLS").ok();
    wanted.map_or(usual, |text| text.parse().unwrap())
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

/// Where a log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Path,
    Host,
    Bucket,
}

/// A log somewhere, and what reads it without us.
struct Kept {
    bed: Bed,
    host: Option<Sshd>,
    bucket: Option<Moto>,
}

impl Kept {
    fn new(at: At) -> Kept {
        let mut bed = Bed::new(&json!({}));
        let config = |state: Option<String>, hosts: Value| json!({"version": 1, "service": "shop", "hosts": hosts, "incident": {"state": state}});
        let (mut host, mut bucket) = (None, None);
        match at {
            At::Path => {}
            At::Host => {
                let sshd = Sshd::start();
                std::fs::write(bed.path("known_hosts"), sshd.known_hosts()).unwrap();
                let web = json!({
                    "address": "127.0.0.1", "port": sshd.port(), "user": sshd.user(),
                    "key-file": sshd.key(), "known-hosts": "known_hosts",
                });
                let state = format!(
                    "ssh://web{}",
                    bed.path(".deploy-guard/state.json").display()
                );
                bed.configure(&config(Some(state), json!({"web": web})));
                host = Some(sshd);
            }
            At::Bucket => {
                let moto = Moto::one_at_a_time();
                moto.make_bucket("states");
                bed.configure(&config(
                    Some("s3://states/shop/state.json".to_owned()),
                    json!({}),
                ));
                bed.variables.extend(moto.variables());
                bucket = Some(moto);
            }
        }
        Kept { bed, host, bucket }
    }

    /// The log, the oldest event first.
    fn events(&self) -> Vec<Value> {
        let Some(moto) = &self.bucket else {
            return self.bed.events();
        };
        let file = |number: u32| {
            moto.object(
                "states",
                &format!("shop/state.json.events/{number:08}.jsonl"),
            )
        };
        let files = (1..).map_while(file);
        let text: String = files
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .collect();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Everything that is told from the log, in each of its forms.
    fn told(&self) -> Vec<String> {
        let forms: [&[&str]; 5] = [
            &["report", "--html", "page.html"],
            &["report", "--format", "json"],
            &["metrics", "--format", "json"],
            &["metrics", "--format", "prometheus"],
            &["metrics", "--cdevents", "events.jsonl"],
        ];
        let printed = forms.map(|form| self.bed.run(form).code(0).stdout);
        let written = ["page.html", "events.jsonl"]
            .map(|name| std::fs::read_to_string(self.bed.path(name)).unwrap());
        printed.into_iter().chain(written).collect()
    }
}

/// What commands reported as written is there once, and what one that was killed would have written is there once or
/// not at all, while seven others write; what is told of it is the same each time.
fn loses_and_doubles_nothing(at: At, kills: usize) {
    let kept = Kept::new(at);
    kept.bed.run(&["open", "--release", "v2", "slow"]).code(0);
    let clock = Instant::now();
    kept.bed.run(&["note", "how long it takes"]).code(0);
    let usual = clock.elapsed();
    let written = Mutex::new(vec!["how long it takes".to_owned()]);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= kills {
                        break;
                    }
                    let text = format!("note {number}");
                    let mut command = kept.bed.command(&["note", &text]);
                    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
                    let mut child = command.spawn().unwrap();
                    // Spread evenly over the time that it takes, and over twice that beside seven others.
                    let parts = u32::try_from(number * 21 % 34).unwrap();
                    std::thread::sleep(usual * parts / 17);
                    let _ = child.kill();
                    if child.wait().unwrap().success() {
                        written.lock().unwrap().push(text);
                    }
                    // The same process would go on at once.
                    let after = format!("after {number}");
                    kept.bed.run(&["note", &after]).code(0);
                    written.lock().unwrap().push(after);
                }
            });
        }
    });
    let events = kept.events();
    let notes: Vec<Value> = events
        .iter()
        .filter(|event| event["kind"] == "note")
        .cloned()
        .collect();
    let notes = texts(&notes);
    for text in written.into_inner().unwrap() {
        let times = notes.iter().filter(|note| **note == text).count();
        assert_eq!(times, 1, "{at:?}: {text}: {notes:?}");
    }
    let distinct: BTreeSet<&String> = notes.iter().collect();
    assert_eq!(distinct.len(), notes.len(), "{at:?}");
    let ids: BTreeSet<String> = events.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), events.len(), "{at:?}");
    kept.bed.run(&["resolve", "v1 serves everything"]).code(0);
    let told = kept.told();
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(told, kept.told(), "{at:?}");
    drop(kept.host);
}

#[test]
fn a_kill_at_any_moment_loses_and_doubles_nothing() {
    loses_and_doubles_nothing(At::Path, kills(16));
}

#[test]
fn nor_does_one_while_the_log_is_on_a_host() {
    loses_and_doubles_nothing(At::Host, kills(8));
}

#[test]
fn nor_does_one_while_the_log_is_in_a_bucket() {
    loses_and_doubles_nothing(At::Bucket, kills(8));
}

/// The log is all that there is: in another place it tells the same.
#[test]
fn what_is_told_of_a_copy_of_the_log_is_the_same() {
    let kept = Kept::new(At::Path);
    kept.bed.run(&["open", "--release", "v2", "slow"]).code(0);
    kept.bed
        .run(&["update", "--phase", "identified", "known"])
        .code(0);
    kept.bed.run(&["resolve", "v1 serves everything"]).code(0);
    let copy = Kept::new(At::Path);
    let [from, to] = [&kept, &copy].map(|one| one.bed.path(".deploy-guard/state.json.events"));
    std::fs::create_dir_all(&to).unwrap();
    std::fs::copy(from.join("00000001.jsonl"), to.join("00000001.jsonl")).unwrap();
    assert_eq!(kept.told(), copy.told());
}

#[test]
fn half_a_line_at_the_end_is_what_a_kill_leaves() {
    let bed = Bed::new(&json!({}));
    bed.run(&["open", "slow"]).code(0);
    let file = bed.path(".deploy-guard/state.json.events/00000001.jsonl");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{good}{{\"schema\":\"deploy-gu")).unwrap();
    let status = bed.run(&["status"]).code(0);
    assert!(
        !status.stdout.contains("cannot be read"),
        "{}",
        status.stdout
    );
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

/// At night, the beginning of a log is better than no incident.
#[test]
fn of_a_long_text_the_beginning_is_kept() {
    for text in ["😀x".repeat(40_000), "x".repeat(200_000)] {
        let bed = Bed::new(&json!({}));
        std::fs::write(bed.path("long.txt"), &text).unwrap();
        let file = std::fs::File::open(bed.path("long.txt")).unwrap();
        let output = bed.command(&["open", "-"]).stdin(file).output().unwrap();
        let ran = crate::bed::Ran::of(&output).code(0);
        assert!(ran.stderr.contains("the text is long"), "{}", ran.stderr);
        let kept = bed.events_of("incident-opened")[0]["text"].clone();
        let kept = kept.as_str().unwrap().trim_end_matches('…').to_owned();
        assert!(
            text.starts_with(&kept) && kept.chars().count() == 8_000,
            "{}",
            kept.len()
        );
    }
    let bed = Bed::new(&json!({}));
    std::fs::write(bed.path("latin.txt"), b"caf\xe9 is down").unwrap();
    let file = std::fs::File::open(bed.path("latin.txt")).unwrap();
    let output = bed.command(&["open", "-"]).stdin(file).output().unwrap();
    let ran = crate::bed::Ran::of(&output).code(2);
    assert!(
        ran.stderr.contains("hint: describe what happens"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_json_of_status_and_list_has_each_incident_as_data() {
    let mut bed = Bed::new(&json!({
        "stdout": [{"name": "job"}],
        "webhook": [{"name": "hook", "url-env": "HOOK"}],
        "escalate": [{"after": "15m", "to": "hook", "unless": "acknowledged"}, {"after": "1h", "to": "hook"}],
    }));
    bed.variables
        .push(("HOOK", format!("http://127.0.0.1:9/{CANARY}")));
    let report = |what: &str| -> Value {
        let ran = bed.run(&[what, "--format", "json"]).code(0);
        assert!(!ran.stdout.contains(CANARY), "{}", ran.stdout);
        serde_json::from_str(&ran.stdout).unwrap()
    };
    assert_eq!(report("status")["incidents"], json!([]));
    let open = ["open", "--severity", "high", "--reason", "one region"];
    let first = ["--release", "v1", "the first"];
    bed.run(&[&open[..], &first].concat()).code(0);
    bed.run(&["resolve", "done"]).code(0);
    let second = ["--release", "v2", "--impact", "degraded"];
    let text = format!("login as http://127.0.0.1:9/{CANARY}");
    bed.run(&[&open[..], &second, &[&text]].concat()).code(0);
    bed.run(&["update", "--phase", "identified", "the pool"])
        .code(0);
    let status = report("status");
    let [open] = &status["incidents"].as_array().unwrap()[..] else {
        panic!("{status:#}");
    };
    let listed = report("list")["incidents"].clone();
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    assert_eq!(listed[0]["id"], open["id"], "the newest first");
    assert_eq!(listed[1]["phase"], "resolved");
    assert_eq!(listed[1]["latest"], "done");
    assert_eq!(listed[1]["next_escalation"], Value::Null);
    assert!(listed[1]["resolved_at"].is_string(), "{listed:#}");
    let mut open = open.clone();
    let opened_at: Timestamp = open["opened_at"].as_str().unwrap().parse().unwrap();
    let due: Timestamp = open["next_escalation"]["at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(due.duration_since(opened_at).as_mins(), 60);
    assert_eq!(open["acknowledged_at"], open["opened_at"]);
    assert!(open["id"].as_str().unwrap().starts_with("inc-"), "{open:#}");
    // Of what follows at the same sink no attempt is made.
    let reason = listed[1]["deliveries"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("could not be reached"), "{listed:#}");
    assert!(open["duration_ms"].as_u64().is_some(), "{open:#}");
    let varies = ["id", "opened_at", "acknowledged_at", "duration_ms"];
    for key in varies {
        open.as_object_mut().unwrap().remove(key);
    }
    open["next_escalation"]["at"].take();
    assert_eq!(
        open,
        json!({
            "service": "shop", "environment": null, "release": "v2", "deployment": null,
            "severity": "high", "severity_reason": "one region", "phase": "identified",
            "impact": "degraded", "failed_stage": null, "text": "login as ***", "latest": "the pool",
            "opened_by": "ann", "resolved_at": null, "escalated_to": [],
            "next_escalation": {"at": null, "to": ["hook"], "unless": "resolved"},
            "deliveries": [
                {"sink": "hook", "delivered": 0, "waiting": 2, "refused": 0, "given_up": 0, "reason": null},
                {"sink": "job", "delivered": 2, "waiting": 0, "refused": 0, "given_up": 0, "reason": null},
            ],
        })
    );
}

/// The laptop of who resolves it is five minutes behind the runner.
#[test]
fn no_duration_is_negative_where_clocks_disagree_and_it_is_said() {
    let bed = Bed::new(&json!({}));
    bed.run(&["open", "--release", "v2", "slow"]).code(0);
    let agree = bed.run(&["report"]).code(0).stdout;
    assert!(!agree.contains("clocks disagree"), "{agree}");
    bed.run(&["resolve", "rolled back"]).code(0);
    let file = bed.path(".deploy-guard/state.json.events/00000001.jsonl");
    let mut lines = String::new();
    for mut event in bed.events() {
        if event["kind"] == "incident-resolved" {
            let at: Timestamp = event["at"].as_str().unwrap().parse().unwrap();
            let back = at - jiff::SignedDuration::from_mins(5);
            event["at"] = json!(back.to_string());
        }
        lines += &format!("{event}\n");
    }
    std::fs::write(file, lines).unwrap();
    let json_of = |args: &[&str]| -> Value {
        let ran = bed.run(&[args, &["--format", "json"]].concat()).code(0);
        serde_json::from_str(&ran.stdout).unwrap()
    };
    bed.run(&["report", "--html", "page.html"]).code(0);
    let page = std::fs::read_to_string(bed.path("page.html")).unwrap();
    let list = bed.run(&["list"]).code(0).stdout;
    let report = bed.run(&["report"]).code(0).stdout;
    for told in [&page, &list, &report] {
        assert!(told.contains("clocks disagree by at least"), "{told}");
        assert!(told.contains("what ann wrote at "), "{told}");
    }
    assert!(report.contains("| duration | unknown |"), "{report}");
    assert!(list.contains("resolved after an unknown time"), "{list}");
    assert_eq!(
        json_of(&["list"])["incidents"][0]["duration_ms"],
        Value::Null
    );
    let analysis = json_of(&["report"]);
    assert_eq!(analysis["duration_ms"], Value::Null);
    let back = analysis["clocks_disagree_ms"].as_u64().unwrap();
    assert!((290_000..=300_000).contains(&back), "{back}");
    let metrics = bed.run(&["metrics"]).code(0);
    assert!(
        metrics.stderr.contains("clocks disagree"),
        "{}",
        metrics.stderr
    );
    let figures = json_of(&["metrics"]);
    let recovery = &figures["figures"]["mean_time_to_recovery"];
    assert_eq!(
        json!([recovery["value"], recovery["unknown"]]),
        json!([null, 1])
    );
}

/// Who opened it has a clock that is an hour ahead.
#[test]
fn an_event_of_the_future_is_told_and_no_time_is_made_of_it() {
    let bed = Bed::new(&json!({}));
    bed.run(&["open", "--release", "v2", "slow"]).code(0);
    bed.age(-60);
    for command in ["status", "list", "report", "metrics"] {
        let ran = bed.run(&[command]).code(0);
        let told = [ran.stdout, ran.stderr].concat();
        assert!(
            told.contains("after now by the clock of this machine"),
            "{command}: {told}"
        );
        assert!(
            told.contains("what ann wrote is dated"),
            "{command}: {told}"
        );
        assert!(told.contains("by NTP"), "{command}: {told}");
    }
    let status = bed.run(&["status"]).code(0).stdout;
    assert!(status.contains("open for an unknown time"), "{status}");
    bed.age(57);
    let status = bed.run(&["status"]).code(0);
    let told = [status.stdout, status.stderr].concat();
    assert!(told.contains("2m 5"), "{told}");
}
