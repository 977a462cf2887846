//! Deployments as the tests write them.

use jiff::{SignedDuration, Timestamp};
use measures::{Conclusion, Deployment, Errors, Incident, Labels, Rollback, Window};

/// Thirty days.
pub(crate) fn november() -> Window {
    Window {
        from: at("2026-11-01T00:00:00Z"),
        until: at("2026-12-01T00:00:00Z"),
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn labels() -> Labels {
    Labels {
        service: "shop".into(),
        environment: "production".into(),
    }
}

/// One of which nothing is known but how it ended.
pub(crate) fn bare(started: Timestamp, conclusion: Conclusion) -> Deployment {
    Deployment {
        release: "v1".into(),
        started,
        ended: None,
        conclusion,
        ended_as: Some(conclusion).filter(|it| *it != Conclusion::Running),
        committed: None,
        rework: None,
        failed_at: None,
        restored_at: None,
        rollback: None,
        other_rollbacks: Vec::new(),
        errors_after: None,
        health_retries: None,
    }
}

/// From words such as `succeeded committed=-2h ended=4m rework=no errors=0/1000`. Times are
/// relative to the start.
pub(crate) fn deployment(words: &str, started: Timestamp) -> Deployment {
    let mut words = words.split_whitespace();
    let mut made = bare(started, conclusion(words.next().unwrap()));
    let time = |text: &str| started + text.parse::<SignedDuration>().unwrap();
    for word in words {
        let (key, value) = word.split_once('=').unwrap();
        match key {
            "committed" => made.committed = Some(time(value)),
            "ended" => made.ended = Some(time(value)),
            "rework" => made.rework = Some(value == "yes"),
            "bad" => made.failed_at = Some(time(value)),
            "restored" => made.restored_at = Some(time(value)),
            "errors" => {
                let (failed, total) = value.split_once('/').unwrap();
                made.errors_after = Some(Errors {
                    failed: failed.parse().unwrap(),
                    total: total.parse().unwrap(),
                });
            }
            "rollback" => made.rollback = Some(rollback(value, time)),
            // Before that one, which a further rollback to the release came between.
            "earlier" => made.other_rollbacks.push(rollback(value, time)),
            _ => panic!("{word}"),
        }
    }
    made
}

/// `3m..5m:restored`, `3m..:?`
fn rollback(value: &str, time: impl Fn(&str) -> Timestamp) -> Rollback {
    let (times, end) = value.split_once(':').unwrap();
    let (from, until) = times.split_once("..").unwrap();
    Rollback {
        started: time(from),
        ended: (!until.is_empty()).then(|| time(until)),
        restored: match end {
            "restored" => Some(true),
            "failed" => Some(false),
            _ => None,
        },
    }
}

pub(crate) fn conclusion(word: &str) -> Conclusion {
    match word {
        "succeeded" => Conclusion::Succeeded,
        "failed" => Conclusion::Failed,
        "rolled-back" => Conclusion::RolledBack,
        "refused" => Conclusion::Refused,
        "cancelled" => Conclusion::Cancelled,
        "undecided" => Conclusion::Undecided,
        "running" => Conclusion::Running,
        _ => panic!("{word}"),
    }
}

pub(crate) fn incident(opened: &str, resolved: Option<&str>, severity: &str) -> Incident {
    Incident {
        opened: at(opened),
        resolved: resolved.map(at),
        opened_as: severity.into(),
        severity: severity.into(),
        is_opening_known: true,
    }
}

/// Runs a program with this input; its exit code, and all that it printed.
pub(crate) fn run(program: &str, args: &[&str], input: &str) -> (i32, String) {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut child = Command::new(testkit::tool(program))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}
