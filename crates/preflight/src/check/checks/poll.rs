//! Looking again until something is final.

use std::time::{Duration, Instant};

use config::file::CommitChecks;
use model::Outcome;
use model::text::span;

use crate::check::Context;
use crate::check::commit::Commit;
use crate::check::github_query::{Github, QueryError};

/// Between two looks at what still runs: at first, and at most.
const SOON: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(20);

/// How long asking may take: without a wait the rest of the stage's time, else the wait and the
/// last look after it.
pub(super) fn patience(wait: config::value::Span, scene: &Context<'_>) -> Duration {
    scene.patient().max(wait.get() + scene.timeout)
}

/// An outcome that says how its commit was found, where that is worth a word.
pub(super) fn remarked(mut outcome: Outcome, commit: &Commit) -> Outcome {
    if let Some(remark) = commit.remark() {
        let actual = outcome.actual.take().unwrap_or_default();
        outcome = outcome.actual(format!("{actual}; {remark}"));
    }
    outcome
}

/// Looks at something until it is final or the check's own `wait` is over.
pub(super) struct Poll {
    pub(super) asked: Github,
    pub(super) end: Instant,
    pub(super) pause: Duration,
}

impl Poll {
    pub(super) fn new(
        check: &CommitChecks,
        scene: &Context<'_>,
        wait: Duration,
    ) -> Result<Self, QueryError> {
        let end = Instant::now() + wait;
        let until = if wait.is_zero() {
            scene.until
        } else {
            scene.until.max(end)
        };
        let (repository, token_env) = (check.repository.as_deref(), check.token_env.as_deref());
        Ok(Poll {
            asked: Github::until(scene, repository, token_env, until)?,
            end,
            pause: SOON,
        })
    }

    pub(super) fn is_left(&self) -> bool {
        Instant::now() < self.end
    }

    /// Waits for the next look; the last one is at the end of the time. `spent` is what the client
    /// had spent before this look.
    pub(super) async fn pause(&mut self, id: &str, seen: &str, spent: u64, scene: &Context<'_>) {
        let left = self.end.saturating_duration_since(Instant::now());
        let client = &self.asked.client;
        let each = client.spent().saturating_sub(spent);
        let pause = client.pause(self.pause, each, left).min(left);
        scene.note(id, format!("{seen}; for {} more", span(left)));
        tokio::time::sleep(pause).await;
        self.pause = (self.pause * 3 / 2).min(LATER);
    }
}
