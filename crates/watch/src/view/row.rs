//! One probe as it is shown.

use std::collections::VecDeque;
use std::time::Duration;

use cli::Board;
use config::file::Policy;
use gate::observer::{Measured, ProbeInfo, StandingEvent};
use gate::policy::{Conclusion, ProbeProgress};
use model::text::span;
use model::{Tally, Verdict};

/// More of the past does not fit beside the rest.
pub(super) const REMEMBERED: usize = 24;

/// Quicker answers are low columns also where none is slower.
const QUICK: Duration = Duration::from_millis(100);

/// What is known of a probe.
pub(super) struct Row {
    pub(super) id: String,
    policy: Policy,
    /// The last measurements.
    past: VecDeque<(Verdict, Duration)>,
    /// The last measurement in words.
    said: String,
    standing: ProbeProgress,
    members: Option<Tally>,
    conclusion: Option<(Verdict, String)>,
    /// How a comparison stands; a probe has none.
    comparison: Option<String>,
    /// What was last reported about it.
    told: Option<State>,
}

/// What makes a line when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Last(Verdict),
    Soaking(Verdict),
    /// And what it gives now, where that is otherwise: a watch goes on after its conclusion.
    Concluded(Verdict, Option<Verdict>),
}

/// How bad it is: the worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Passed,
    Waiting,
    Good,
    Failed,
    Bad(Verdict),
    Concluded(Verdict),
}

impl Row {
    pub(super) fn new(asked: &ProbeInfo<'_>, board: &Board) -> Self {
        Row {
            id: board.sanitize(asked.id),
            policy: asked.policy.clone(),
            past: VecDeque::new(),
            said: String::new(),
            standing: ProbeProgress::default(),
            members: None,
            conclusion: None,
            comparison: None,
            told: None,
        }
    }

    pub(super) fn measured(&mut self, measured: &Measured<'_>, board: &Board) {
        let reading = measured.reading;
        if self.past.len() == REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back((reading.verdict, measured.took));
        let value = reading.value.as_deref().unwrap_or_default();
        let said = match (&reading.reason, measured.member) {
            (Some(reason), Some(member)) => format!("{member}: {reason}"),
            (Some(reason), None) => reason.clone(),
            (None, _) => value.to_owned(),
        };
        self.said = board.sanitize(&said);
    }

    /// How a comparison stands.
    pub(super) fn compares(&mut self, text: &str, board: &Board) {
        self.comparison = Some(board.sanitize(text));
    }

    /// Whether that is worth a line.
    pub(super) fn stands(&mut self, stands: &StandingEvent<'_>) -> bool {
        self.standing = *stands.standing;
        self.members = stands.members.copied();
        self.news()
    }

    pub(super) fn concluded(&mut self, conclusion: &Conclusion, board: &Board) -> bool {
        self.conclusion = Some((conclusion.verdict, board.sanitize(&conclusion.reason)));
        self.news()
    }

    pub(super) fn reopened(&mut self) -> bool {
        self.conclusion = None;
        self.news()
    }

    fn news(&mut self) -> bool {
        let state = Some(self.state());
        let news = self.told != state && (self.told.is_some() || state != Some(State::Waiting));
        self.told = state;
        news
    }

    fn state(&self) -> State {
        match (&self.conclusion, self.past.back(), self.standing.passed_at) {
            (Some((verdict, _)), _, _) => State::Concluded(*verdict, self.otherwise_now()),
            (None, None, _) => State::Waiting,
            // The members of a group come in turns.
            (None, Some(_), _) if self.members.is_some() => match self.members {
                Some(members) if members.failed > 0 => State::Last(Verdict::Fail),
                _ => State::Last(Verdict::Pass),
            },
            (None, Some((last, _)), Some(_)) => State::Soaking(*last),
            (None, Some((last, _)), None) => State::Last(*last),
        }
    }

    /// The last measurement's verdict, where it is good and the conclusion is not, or the other way
    /// round. The members of a group come in turns, and none speaks for all.
    fn otherwise_now(&self) -> Option<Verdict> {
        let (last, _) = self.past.back()?;
        let otherwise = (*last == Verdict::Pass) != (self.verdict()? == Verdict::Pass);
        (otherwise && self.members.is_none()).then_some(*last)
    }

    pub(super) fn is_open(&self) -> bool {
        self.conclusion.is_none()
    }

    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.conclusion.as_ref().map(|(verdict, _)| *verdict)
    }

    pub(super) fn rank(&self) -> Rank {
        match (self.state(), self.failures()) {
            (State::Concluded(Verdict::Pass, _), _) => Rank::Passed,
            (State::Concluded(verdict, _), _) => Rank::Concluded(verdict),
            (State::Waiting, _) => Rank::Waiting,
            (State::Last(Verdict::Pass) | State::Soaking(Verdict::Pass), 0) => Rank::Good,
            (State::Last(Verdict::Pass) | State::Soaking(Verdict::Pass), _) => Rank::Failed,
            (State::Last(verdict) | State::Soaking(verdict), _) => Rank::Bad(verdict),
        }
    }

    fn failures(&self) -> usize {
        let own = self.standing.failed as usize;
        self.members.map_or(own, |members| members.failed)
    }

    pub(super) fn mark(&self) -> char {
        let last = self.past.back().map(|(verdict, _)| *verdict);
        match self.verdict() {
            Some(verdict) => sign(verdict),
            None => match last {
                None | Some(Verdict::Pass) => '·',
                Some(verdict) => sign(verdict),
            },
        }
    }

    /// The last latencies as columns, failures marked.
    pub(super) fn sparkline(&self) -> String {
        let passed = self
            .past
            .iter()
            .filter(|(verdict, _)| *verdict == Verdict::Pass);
        let highest = passed.map(|(_, took)| *took).max().unwrap_or_default();
        let highest = highest.max(QUICK);
        let column = |(verdict, took): &(Verdict, Duration)| match verdict {
            Verdict::Pass => {
                let eighths = took.as_nanos() * 7 / highest.as_nanos();
                let columns = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
                columns[usize::try_from(eighths).unwrap_or_default().min(7)]
            }
            verdict => sign(*verdict),
        };
        self.past.iter().map(column).collect()
    }

    /// What is still missing for a pass, or how it ended.
    pub(super) fn outlook(&self, elapsed: Duration) -> String {
        if let Some((verdict, reason)) = &self.conclusion {
            return match (verdict, self.otherwise_now()) {
                (Verdict::Pass, None) => "pass".to_owned(),
                (Verdict::Pass, Some(now)) => format!("pass, now {now}: {}", self.said),
                (verdict, Some(now)) => format!("{verdict}: {reason}, now {now}"),
                (verdict, None) if self.said.is_empty() || reason.contains(&self.said) => {
                    format!("{verdict}: {reason}")
                }
                (verdict, None) => format!("{verdict}: {}: {reason}", self.said),
            };
        }
        let mut parts = Vec::new();
        if let Some(comparison) = &self.comparison {
            let left = self.policy.deadline.get().saturating_sub(elapsed);
            return format!("{comparison} · {} left", seconds(left));
        }
        // What a narrow screen cuts off is what tells least.
        let last = self.past.back().map(|(verdict, _)| *verdict);
        if last.is_some_and(|last| last != Verdict::Pass) {
            parts.push(self.said.clone());
        }
        if let Some(members) = self.members {
            parts.push(format!(
                "{} of {} passed, {} wanted, {} failed",
                members.passed, members.total, members.required, members.failed
            ));
        } else {
            parts.push(self.standing.missing(&self.policy, elapsed).to_string());
        }
        if self.standing.passed_at.is_none() {
            let left = self.policy.deadline.get().saturating_sub(elapsed);
            parts.push(format!("{} left", seconds(left)));
        }
        if self.members.is_none() {
            parts.extend(self.failures_left(elapsed));
        }
        parts.join(" · ")
    }

    /// How many more it may have, or how long they may last.
    fn failures_left(&self, elapsed: Duration) -> Option<String> {
        let standing = &self.standing;
        if let Some(limit) = self.policy.failing_for {
            let lasted = elapsed.saturating_sub(standing.failing_since?);
            return Some(format!("failing for {} of {limit}", seconds(lasted)));
        }
        let left = if standing.passed_at.is_some() {
            let budget = gate::policy::soak_budget(&self.policy, standing.soaked);
            budget.saturating_sub(standing.soak_failed as usize)
        } else {
            self.policy.failure_limit?.saturating_sub(standing.failed) as usize
        };
        Some(match left {
            0 => "no failure left".to_owned(),
            1 => "1 failure left".to_owned(),
            left => format!("{left} failures left"),
        })
    }
}

/// Whole seconds, as a person reads them.
pub(super) fn seconds(duration: Duration) -> String {
    span(Duration::from_secs(duration.as_secs()))
}

pub(super) fn sign(verdict: Verdict) -> char {
    match verdict {
        Verdict::Pass => '✓',
        Verdict::Fail | Verdict::Refused => '✗',
        Verdict::Error | Verdict::Partial => '!',
        Verdict::Inconclusive => '?',
        Verdict::Skipped => '-',
    }
}
