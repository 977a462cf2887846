//! A piece of evidence: its source, its runner, its age, and its content.

use std::time::Duration;

use model::text::span;

/// What a runner, or a pool, is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It can take a job now.
    Online,
    /// It has a job, and takes the next one afterwards.
    Busy,
    /// A machine is started for a job, and not before.
    OnDemand,
    /// It takes no job.
    Offline,
    /// Not known. Never a pass, and never offline.
    Unknown,
}

impl State {
    /// Whether a job would be taken, sooner or later.
    pub fn is_up(self) -> bool {
        matches!(self, State::Online | State::Busy | State::OnDemand)
    }

    /// The word that reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Online => "online",
            State::Busy => "busy",
            State::OnDemand => "on demand",
            State::Offline => "offline",
            State::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// GitHub's list of runners.
    List,
    /// GitHub's workflow runs and their jobs.
    Jobs,
    Prometheus,
    /// The runner's own machine, over SSH.
    Host,
}

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Source::List => "runner list",
            Source::Jobs => "jobs",
            Source::Prometheus => "prometheus",
            Source::Host => "host",
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// How far a piece of evidence is believed where another one says the opposite. GitHub's list is
/// known to call a working runner offline (actions/runner#3448) and a busy one free (#4422).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// Told by a third party, or true some time ago: a metric, a job that was finished.
    Hearsay,
    /// What GitHub lists; that the service runs, which is not yet that it is connected.
    Report,
    /// The runner was seen working: a job is in progress on it.
    Work,
    /// Without its process it can take no job: the service does not run.
    Proof,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    pub source: Source,
    /// The runner that it speaks of; `None` for the pool as a whole.
    pub runner: Option<String>,
    pub state: State,
    pub trust: Trust,
    /// In words, with its numbers. May come from outside: redacted and escaped on the way out.
    pub says: String,
    /// How old it is; `None` where the source does not tell.
    pub age: Option<Duration>,
    /// Whether the source could be asked; an answer may still be `Unknown`.
    pub answered: bool,
}

impl Evidence {
    pub fn new(source: Source, state: State, trust: Trust, says: impl Into<String>) -> Self {
        Evidence {
            source,
            runner: None,
            state,
            trust,
            says: says.into(),
            age: Some(Duration::ZERO),
            answered: true,
        }
    }

    /// A source that could not be asked.
    pub fn silent(source: Source, says: impl Into<String>) -> Self {
        Evidence {
            answered: false,
            age: None,
            ..Evidence::new(source, State::Unknown, Trust::Hearsay, says)
        }
    }

    pub fn of(mut self, runner: impl Into<String>) -> Self {
        self.runner = Some(runner.into());
        self
    }

    pub fn aged(mut self, age: Option<Duration>) -> Self {
        self.age = age;
        self
    }

    /// Whether it decides anything: it has an opinion, and is not too old for one.
    pub fn counts(&self, max_evidence_age: Duration) -> bool {
        self.state != State::Unknown && self.age.is_none_or(|age| age <= max_evidence_age)
    }
}

/// `12s ago`, `now`, `age unknown`.
pub fn age(age: Option<Duration>) -> String {
    match age {
        None => "age unknown".to_owned(),
        Some(age) if age < Duration::from_secs(1) => "now".to_owned(),
        Some(age) => format!("{} ago", span(age)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_as_people_tell_it() {
        assert_eq!(age(None), "age unknown");
        assert_eq!(age(Some(Duration::ZERO)), "now");
    }
}
