//! What a commit's checks amount to; a pure function.

use std::time::Duration;

use cli::glob;
use config::file::{CommitChecks, Waiver};
use github::checks::{Check, Kind, State};
use jiff::Timestamp;
use model::Outcome;
use model::text::span;

use super::super::commit::Commit;
use super::super::github_query::some;
use super::super::waiver::{Grace, expired, render, waiver};

/// What was made of the checks that were seen.
#[derive(Debug, Default)]
pub(super) struct Tally {
    succeeded: usize,
    /// Skipped or neutral.
    neutral: usize,
    failed: Vec<String>,
    running: Vec<String>,
    /// Required, and not there.
    missing: Vec<String>,
    unknown: Vec<String>,
    /// Required, and only skipped: that proves nothing.
    unproven: Vec<String>,
    waived: Vec<String>,
    /// Waivers that would have let something through, had they not expired.
    expired: Vec<String>,
    allow_none: bool,
    /// Where to look at the first that is not good.
    url: Option<String>,
    waited: Duration,
}

pub(super) fn judge(config: &CommitChecks, seen: &[Check], now: Timestamp) -> Tally {
    let mut judged = Tally {
        allow_none: config.allow_none,
        ..Tally::default()
    };
    let any = |patterns: &[String], name: &str| patterns.iter().any(|one| glob(one, name));
    let counted: Vec<&Check> = seen
        .iter()
        .filter(|check| is_by(config.app.as_deref(), check))
        .filter(|check| !any(&config.ignored, &check.name))
        .filter(|check| config.required.is_empty() || any(&config.required, &check.name))
        .collect();
    for check in &counted {
        judged.count(check, &label(check, &counted), &config.waivers, now);
    }
    for pattern in &config.required {
        let mut matching = counted
            .iter()
            .filter(|check| glob(pattern, &check.name))
            .peekable();
        if matching.peek().is_none() {
            match waiver(&config.waivers, pattern, now) {
                Grace::Granted(waiver) => judged.waived.push(render(pattern, "never ran", waiver)),
                Grace::Expired(waiver) => {
                    judged.missing.push(pattern.clone());
                    judged.expired.push(expired(pattern, waiver));
                }
                Grace::None => judged.missing.push(pattern.clone()),
            }
        } else if matching.all(|check| check.state == State::Neutral) {
            judged.unproven.push(pattern.clone());
        }
    }
    judged
}

/// Whether the check is one of this app's. A commit status has none.
fn is_by(app: Option<&str>, check: &Check) -> bool {
    let Some(wanted) = app else { return true };
    match &check.kind {
        Kind::Run { app: Some(app) } => {
            glob(&wanted.to_ascii_lowercase(), &app.to_ascii_lowercase())
        }
        Kind::Run { app: None } | Kind::Status => false,
    }
}

/// What a check is called where others may have the same name.
fn label(check: &Check, among: &[&Check]) -> String {
    let name = &check.name;
    let alone = among.iter().filter(|other| other.name == *name).count() == 1;
    match &check.kind {
        Kind::Status => format!("status {name}"),
        Kind::Run { app: Some(app) } if !alone => format!("{name} of {app}"),
        Kind::Run { .. } => name.clone(),
    }
}

impl Tally {
    fn count(&mut self, check: &Check, label: &str, waivers: &[Waiver], now: Timestamp) {
        let Check {
            name,
            kind: _,
            state,
            says,
            url,
        } = check;
        match state {
            State::Success => self.succeeded += 1,
            State::Neutral => self.neutral += 1,
            State::Running | State::Failure | State::Unknown => {
                match waiver(waivers, name, now) {
                    Grace::Granted(waiver) => {
                        self.waived.push(render(label, says, waiver));
                        return;
                    }
                    Grace::Expired(waiver) => self.expired.push(expired(name, waiver)),
                    Grace::None => {}
                }
                let list = match state {
                    State::Failure => &mut self.failed,
                    State::Running => &mut self.running,
                    _ => &mut self.unknown,
                };
                // A failure is what a person wants to see first.
                if self.url.is_none() || *state == State::Failure && list.is_empty() {
                    self.url.clone_from(url);
                }
                list.push(format!("{label} ({says})"));
            }
        }
    }

    /// Whether waiting changes nothing for the better.
    pub(super) fn is_final(&self) -> bool {
        let nothing = self.total() == 0 && !self.allow_none;
        !self.failed.is_empty() || self.running.is_empty() && self.missing.is_empty() && !nothing
    }

    /// What is still to come.
    pub(super) fn waits_for(&self) -> String {
        let lists = [(&self.running, "running"), (&self.missing, "not begun")];
        let parts: Vec<String> = lists
            .into_iter()
            .filter(|(list, _)| !list.is_empty())
            .map(|(list, word)| format!("{} {word}: {}", list.len(), some(list)))
            .collect();
        match parts.as_slice() {
            [] => "no check yet".to_owned(),
            parts => parts.join("; "),
        }
    }

    pub(super) fn waited(self, waited: Duration) -> Self {
        Tally { waited, ..self }
    }

    fn total(&self) -> usize {
        self.succeeded
            + self.neutral
            + self.failed.len()
            + self.running.len()
            + self.unknown.len()
            + self.waived.len()
    }

    fn counts(&self) -> String {
        let mut parts = vec![format!("{} succeeded", self.succeeded)];
        if self.neutral > 0 {
            parts.push(format!("{} skipped or neutral", self.neutral));
        }
        for (list, word) in [
            (&self.failed, "failed"),
            (&self.running, "still running"),
            (&self.unknown, "not understood"),
            (&self.missing, "never ran"),
            (&self.unproven, "only skipped"),
        ] {
            if !list.is_empty() {
                parts.push(format!("{} {word}: {}", list.len(), some(list)));
            }
        }
        if !self.waived.is_empty() {
            // All of them, however many: what is let through is shown.
            parts.push(format!(
                "{} waived: {}",
                self.waived.len(),
                self.waived.join(", ")
            ));
        }
        parts.join(", ")
    }

    pub(super) fn outcome(self, id: &str, commit: &Commit, expected: &str) -> Outcome {
        let subject = commit.label();
        let look = self.url.clone().unwrap_or_else(|| {
            format!(
                "`gh api repos/OWNER/NAME/commits/{}/check-runs` shows every check",
                commit.id()
            )
        });
        let (outcome, reason, hint) = if !self.failed.is_empty() {
            (
                Outcome::fail(id, &subject),
                format!("{} failed: {}", self.failed.len(), some(&self.failed)),
                format!("look at {look}"),
            )
        } else if !self.missing.is_empty() {
            (
                Outcome::fail(id, &subject),
                format!("never ran on this commit: {}", some(&self.missing)),
                "compare the names under `required` with the commit's checks; is its workflow triggered for this commit?".to_owned(),
            )
        } else if !self.running.is_empty() {
            (
                Outcome::inconclusive(id, &subject),
                format!(
                    "{} still running after wait ({}): {}",
                    self.running.len(),
                    span(self.waited),
                    some(&self.running)
                ),
                format!("raise `wait`, or look at {look}"),
            )
        } else if !self.unknown.is_empty() {
            (
                Outcome::inconclusive(id, &subject),
                format!("not understood: {}", some(&self.unknown)),
                format!("look at {look}"),
            )
        } else if self.total() == 0 && !self.allow_none {
            (
                Outcome::inconclusive(id, &subject),
                "no check ran on this commit".to_owned(),
                "is its workflow triggered for this commit? `allow-none: true` if it has no checks by design".to_owned(),
            )
        } else if !self.unproven.is_empty()
            || self.succeeded == 0 && self.waived.is_empty() && self.neutral > 0
        {
            (
                Outcome::inconclusive(id, &subject),
                "nothing succeeded: all that counts was skipped".to_owned(),
                "why was it skipped? look at its `if:` and its path filters".to_owned(),
            )
        } else {
            let actual = if self.total() == 0 {
                "no check ran, which is allowed (allow-none)".to_owned()
            } else {
                self.counts()
            };
            return Outcome::pass(id, &subject)
                .expected(expected)
                .actual(actual);
        };
        let mut reason = reason;
        if !self.expired.is_empty() {
            reason.push_str(&format!("; {}", self.expired.join("; ")));
        }
        let actual = match self.total() + self.missing.len() {
            0 => "no checks".to_owned(),
            _ => self.counts(),
        };
        outcome
            .expected(expected)
            .actual(actual)
            .reason(reason)
            .hint(hint)
    }
}
