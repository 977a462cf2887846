//! A log as it is after deployments: written here line by line, as `deploy-guard run` writes it.

use std::io::Write as _;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::bed::Bed;

pub(crate) fn minutes_ago(minutes: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_mins(minutes)
}

impl Bed {
    pub(crate) fn log_file(&self) -> std::path::PathBuf {
        self.path(".deploy-guard/state.json.events/00000001.jsonl")
    }

    pub(crate) fn append(&self, release: &str, at: Timestamp, happening: Value) {
        let file = self.log_file();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let id = format!("{:011x}{:016x}", at.as_millisecond(), self.events().len());
        let mut event = json!({
            "schema": "deploy-guard/event/v1", "id": id, "at": at, "service": "shop",
            "environment": "production", "release": release, "deployment": format!("{release}#42/1"),
            "by": {"actor": "ann", "run": "42/1", "automatic": true},
            "evidence": [{"url": "https://github.com/acme/shop/actions/runs/42/attempts/1"}],
        });
        let fields = happening.as_object().unwrap().clone();
        event.as_object_mut().unwrap().extend(fields);
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(file)
            .unwrap();
        writeln!(file, "{event}").unwrap();
    }

    /// A release that was deployed within so many minutes, which began so long ago, and is good.
    pub(crate) fn deployed(&self, release: &str, began: i64, took: i64) {
        let (started, ended) = (minutes_ago(began), minutes_ago(began - took));
        let start = json!({"kind": "deployment-started", "previous": "v1"});
        self.append(release, started, start);
        let end = json!({
            "kind": "deployment-ended", "conclusion": "succeeded", "reason": "the gate passed",
            "started_at": started, "duration_ms": took * 60_000, "serving": release,
            "exposure": {"failed": 0, "total": 1200},
        });
        self.append(release, ended, end);
    }

    /// A release that was deployed at a time and, where it was, taken back at another; what it served is not known.
    pub(crate) fn bad(&self, release: &str, started: Timestamp, back: Option<Timestamp>) {
        let start = json!({"kind": "deployment-started", "previous": "v1"});
        self.append(release, started, start);
        let open = json!({
            "kind": "incident-opened", "incident": format!("inc-{release}"), "severity": "high",
            "why": "a rule", "text": format!("{release} is bad"), "impact": "degraded",
        });
        self.append(release, started, open);
        let (conclusion, serving) = match back {
            Some(_) => ("rolled-back", json!("v1")),
            None => ("failed", Value::Null),
        };
        let end = json!({
            "kind": "deployment-ended", "conclusion": conclusion, "reason": "it is bad",
            "started_at": started, "duration_ms": 60_000, "serving": serving,
        });
        let at = back.unwrap_or(started + SignedDuration::from_mins(1));
        self.append(release, at, end);
    }

    /// A release whose gate failed 4 minutes after the start, and that was taken back within another 2 minutes.
    pub(crate) fn rolled_back(&self, release: &str, began: i64) {
        let started = minutes_ago(began);
        let (failed, back) = (minutes_ago(began - 4), minutes_ago(began - 6));
        let start = json!({"kind": "deployment-started", "previous": "v1"});
        self.append(release, started, start);
        let gate = json!({
            "kind": "stage-ended", "stage": "healthgate", "verdict": "fail",
            "reason": "http/ready: failed (3) > failure-limit (2)", "started_at": started, "duration_ms": 240_000,
        });
        self.append(release, failed, gate);
        let open = json!({
            "kind": "incident-opened", "incident": format!("inc-{release}"), "severity": "critical",
            "why": "`production` is down for its users", "text": format!("{release} failed its gate"),
            "impact": "down", "failed_stage": "healthgate", "action": "rolling back to v1", "eta_ms": 120_000,
        });
        self.append(release, failed, open);
        let end = json!({
            "kind": "deployment-ended", "conclusion": "rolled-back", "reason": "v1 serves everything",
            "started_at": started, "duration_ms": 360_000, "failed_stage": "healthgate", "failed_at": failed,
            "serving": "v1", "exposure": {"failed": 30, "total": 1000},
            "rollback": {"started_at": failed, "duration_ms": 120_000, "verdict": "pass"},
        });
        self.append(release, back, end);
        let resolved = json!({
            "kind": "incident-resolved", "incident": format!("inc-{release}"), "serving": "v1",
            "text": "v1 serves everything",
        });
        self.append(release, back, resolved);
    }

    /// A deployment that began so long ago, and never told its end: it was killed, or goes on.
    pub(crate) fn begun(&self, release: &str, began: i64) {
        let start = json!({"kind": "deployment-started", "previous": "v1"});
        self.append(release, minutes_ago(began), start);
    }

    /// One that a check stopped before anything changed.
    pub(crate) fn refused(&self, release: &str, began: i64) {
        self.begun(release, began);
        let end = json!({
            "kind": "deployment-ended", "conclusion": "refused", "reason": "preflight failed",
            "started_at": minutes_ago(began), "duration_ms": 1000,
        });
        self.append(release, minutes_ago(began), end);
    }

    /// An incident that a person opened about a release.
    pub(crate) fn reported(&self, release: &str, ago: i64) {
        let open = json!({
            "kind": "incident-opened", "incident": format!("inc-{release}"), "severity": "high",
            "why": "a rule", "text": format!("{release} is bad"), "impact": "degraded", "deployment": null,
        });
        self.append(release, minutes_ago(ago), open);
    }

    /// `rollback run` by hand, which ended so long ago and took two minutes; the log has it about `release`.
    pub(crate) fn taken_back(&self, release: &str, to: &str, ago: i64) {
        let end = json!({
            "kind": "stage-ended", "stage": "rollback", "verdict": "pass", "reason": format!("{to} serves"),
            "restored": to, "started_at": minutes_ago(ago + 2), "duration_ms": 120_000,
        });
        self.append(release, minutes_ago(ago), end);
    }

    /// `rollback resume` by hand of the rollback of a run that was interrupted.
    pub(crate) fn resumed(&self, release: &str, to: &str, ago: i64) {
        let end = json!({
            "kind": "stage-ended", "stage": "rollback", "verdict": "pass", "reason": format!("{to} serves"),
            "restored": to, "resumed": true, "started_at": minutes_ago(ago + 2), "duration_ms": 120_000,
        });
        self.append(release, minutes_ago(ago), end);
    }

    /// `rollback decide` about a release, so long ago: its users have the service as before.
    pub(crate) fn decided_safe(&self, release: &str, ago: i64) {
        let end = json!({
            "kind": "stage-ended", "stage": "rollback", "verdict": "pass", "reason": "safe",
            "impact": "none", "hosts": {"affected": 3, "all": 4},
            "started_at": minutes_ago(ago), "duration_ms": 100,
        });
        self.append(release, minutes_ago(ago), end);
    }

    /// As if all of the log had happened so much earlier.
    pub(crate) fn age(&self, minutes: i64) {
        let earlier = |event: &mut Value| {
            let at: Timestamp = event["at"].as_str().unwrap().parse().unwrap();
            event["at"] = json!(at - SignedDuration::from_mins(minutes));
        };
        let mut events = self.events();
        events.iter_mut().for_each(earlier);
        self.write_log(&events);
    }

    pub(crate) fn write_log(&self, events: &[Value]) {
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        std::fs::write(self.log_file(), lines.join("\n") + "\n").unwrap();
    }
}
