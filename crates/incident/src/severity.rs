//! How bad the incident is: by hand with a reason, else by the rules.

use chronicle::{Classification, Event, Happening, History, Hosts};
use clap::Args;
use cli::Failure;
use jiff::{SignedDuration, Timestamp};
use sections::incident::{Impact, Severity};

use crate::words::ParseError;

/// How long what `rollback decide` found is taken for what users get now.
const DECISION_HOLDS: SignedDuration = SignedDuration::from_mins(30);

/// A severity by hand.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ByHand {
    /// How bad it is, in the place of the rules; needs `--reason`
    #[arg(long, value_name = "LEVEL", value_parser = level, requires = "reason")]
    severity: Option<Severity>,
    /// Why it has that severity
    #[arg(long, value_name = "TEXT", requires = "severity")]
    reason: Option<String>,
}

/// What a person reports of the users.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct UserImpact {
    /// What users get: none, degraded, down, unknown [default: what is known, such as by `rollback decide`]
    #[arg(long, value_name = "WHAT", value_parser = impact)]
    pub(crate) impact: Option<Impact>,
    /// How many of the hosts are affected, such as `2/12`
    #[arg(long, value_name = "COUNT/ALL", value_parser = hosts)]
    pub(crate) hosts: Option<Hosts>,
}

impl ByHand {
    pub(crate) fn judged(&self) -> Option<Classification> {
        let severity = self.severity?;
        Some(Classification {
            severity,
            why: self.reason.clone().unwrap_or_default(),
        })
    }

    /// # Errors
    /// Returns a usage error where the reason is empty.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match &self.reason {
            Some(reason) if reason.trim().is_empty() => Err(Failure::usage("`--reason` is empty")
                .hint("give the reason why the rules are wrong here")),
            _ => Ok(()),
        }
    }
}

impl UserImpact {
    /// How many hosts are affected: as it was reported, else as a stage saw it a short time ago.
    pub(crate) fn hosts(
        &self,
        history: &History,
        release: Option<&str>,
        now: Timestamp,
    ) -> Option<Hosts> {
        let seen = || {
            holding(history, release, now).find_map(|event| match event.what {
                Happening::StageEnded { hosts, .. } => hosts,
                _ => None,
            })
        };
        self.hosts.or_else(seen)
    }

    /// What users get: as it was reported, else as `rollback decide` found it a short time ago.
    pub(crate) fn impact(
        &self,
        history: &History,
        release: Option<&str>,
        now: Timestamp,
    ) -> Impact {
        let decided = || {
            holding(history, release, now).find_map(|event| match event.what {
                Happening::StageEnded { impact, .. } => impact,
                _ => None,
            })
        };
        self.impact.or_else(decided).unwrap_or(Impact::Unknown)
    }
}

/// What stages saw that holds still, the newest first: of the same release, since the last deployment began or the last
/// release was put back, and a short time ago. Without a release it is the one that the log speaks of last.
fn holding<'a>(
    history: &'a History,
    release: Option<&'a str>,
    now: Timestamp,
) -> impl Iterator<Item = &'a Event> {
    let named = |event: &'a Event| event.subject.release.as_deref();
    let release = release.or_else(|| history.events().rev().find_map(named));
    let mut has_changed = false;
    let since = history.events().rev().take_while(move |event| {
        let is_old = has_changed;
        has_changed = match &event.what {
            Happening::DeploymentStarted { .. } => true,
            Happening::StageEnded { restored, .. } => restored.is_some(),
            _ => false,
        };
        !is_old
    });
    let is_of = move |event: &&'a Event| named(event).is_none_or(|one| Some(one) == release);
    since
        .filter(is_of)
        .filter(move |event| now.duration_since(event.at) < DECISION_HOLDS)
}

fn hosts(text: &str) -> Result<Hosts, ParseError> {
    const FORM: ParseError = ParseError("the affected and all hosts, such as `2/12`");
    let (affected, all) = text.split_once('/').ok_or(FORM)?;
    let number = |text: &str| text.trim().parse::<usize>().map_err(|_| FORM);
    let hosts = Hosts {
        affected: number(affected)?,
        all: number(all)?,
    };
    if hosts.affected > hosts.all {
        return Err(FORM);
    }
    Ok(hosts)
}

fn level(text: &str) -> Result<Severity, ParseError> {
    let levels = [
        Severity::Critical,
        Severity::High,
        Severity::Medium,
        Severity::Low,
    ];
    let found = levels.into_iter().find(|level| level.word() == text);
    found.ok_or(ParseError("one of critical, high, medium, low"))
}

fn impact(text: &str) -> Result<Impact, ParseError> {
    let impacts = [
        Impact::None,
        Impact::Degraded,
        Impact::Down,
        Impact::Unknown,
    ];
    let found = impacts.into_iter().find(|impact| impact.word() == text);
    found.ok_or(ParseError("one of none, degraded, down, unknown"))
}
