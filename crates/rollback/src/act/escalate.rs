//! What a person reads at the end, and has to do if the rollback did not help.

use std::time::Instant;

use engine::PlaceRelease;
use jiff::{SignedDuration, Timestamp};
use model::id::Kind;
use model::text::span;
use model::{Outcome, Report, Verdict};
use remote::quote;
use state::{Document, Status};

use super::Rollback;
use crate::hooks::HookContext;

impl Rollback<'_> {
    pub(super) fn conclude(
        &self,
        report: &mut Report,
        (left, restored): (Option<&str>, Instant),
        verdict: Verdict,
        document: Option<&Document>,
        hook_context: &HookContext,
    ) {
        let from = state::release_shown(left);
        match verdict {
            Verdict::Pass => {
                report.reason = format!(
                    "rolled back from {from} to {} in {}, verified after {}",
                    self.destination,
                    span(restored.duration_since(self.clock)),
                    span(self.clock.elapsed())
                );
                report.headline = Some(match left {
                    Some(left) => format!("rolled back {left} → {}", self.destination),
                    None => format!("rolled back to {}", self.destination),
                });
                let at = Timestamp::now()
                    - SignedDuration::try_from(restored.elapsed()).unwrap_or_default();
                report.restored = Some(self.destination.to_owned());
                report.outputs.extend([
                    ("restored-release".to_owned(), self.destination.to_owned()),
                    ("restored-at".to_owned(), format!("{at:.6}")),
                ]);
            }
            Verdict::Fail => {
                report.reason = format!(
                    "{} is live, but the service is not healthy: {}",
                    self.destination, report.reason
                );
                report.outcomes.push(self.escalation(
                    from,
                    document,
                    "is live and not healthy",
                    hook_context,
                ));
            }
            _ => {
                report.reason = format!(
                    "{} is live, but it could not be verified: {}",
                    self.destination, report.reason
                );
            }
        }
    }

    /// What a person has to do when the destination is not healthy either.
    /// `found` is what became of it.
    pub(super) fn escalation(
        &self,
        from: &str,
        document: Option<&Document>,
        found: &str,
        hook_context: &HookContext,
    ) -> Outcome {
        let (destination, select) = (self.destination, self.selection());
        let older = document.and_then(|document| {
            let good = document
                .history
                .iter()
                .find(|entry| entry.status == Status::Good && entry.release != destination);
            good.map(|entry| entry.release.clone())
        });
        let older = match older {
            Some(older) => format!(
                "go back further: `rollback run --to {} --force frozen --reason TEXT{select}`",
                quote(&older)
            ),
            None => "no older good release is recorded: fix forward".to_owned(),
        };
        let good = document.and_then(|document| document.last_known_good.clone());
        Outcome::fail("rollback/escalate", destination)
            .expected(format!("{destination} is healthy"))
            .actual(format!("it {found}"))
            .reason(format!(
                "tried: {from} to {destination}, every step was made, and {destination} {found}; last-known-good: {}; \
                 the environment is frozen, no deployment is allowed",
                good.as_deref().unwrap_or("none")
            ))
            .hint(format!(
                "a person has to look: 1. do not deploy; 2. `healthgate --release {}{select}` shows what is wrong{}; \
                 3. check what the release depends on (database, cache, network); 4. {older}; 5. when the service is \
                 healthy: `rollback unfreeze{select}`",
                quote(destination),
                found_before(hook_context)
            ))
    }

    /// What a person has to do where some hosts run the destination and some do not.
    pub(super) fn degraded(
        &self,
        vector: &[PlaceRelease],
        outcomes: &[Outcome],
        hook_context: &HookContext,
    ) -> Outcome {
        let select = self.selection();
        let failed = outcomes
            .iter()
            .filter(|outcome| outcome.verdict == Verdict::Fail && outcome.id.kind() == Kind::Step)
            .chain(
                outcomes
                    .iter()
                    .filter(|outcome| outcome.id.kind() == Kind::Stopped),
            );
        let failed: Vec<String> = failed
            .map(|outcome| {
                let reason = outcome.reason.as_deref().unwrap_or_default();
                format!("{}: {reason}", outcome.id)
            })
            .collect();
        let wrong = vector
            .iter()
            .filter(|runs| runs.release.as_deref() != Some(self.destination))
            .count();
        let actual = match wrong {
            0 => "each reports it, but not every step ended well".to_owned(),
            _ => format!("{wrong} of {} do not", vector.len()),
        };
        Outcome::fail("rollback/escalate", self.destination)
            .expected(format!("every host runs {}", self.destination))
            .actual(actual)
            .reason(format!("tried and failed: {}", failed.join("; ")))
            .hint(format!(
                "a person has to look: 1. do not deploy; 2. `rollback status{select}` shows the state of each host{}; \
                 3. fix those hosts, then `rollback resume{select}` goes on to {}; or `rollback abort{select}` puts back what \
                 ran before",
                found_before(hook_context),
                self.destination
            ))
    }

    /// The flag that a printed command needs besides.
    fn selection(&self) -> String {
        let environment = self.session.job.environment.as_deref();
        environment.map_or_else(String::new, |name| {
            format!(" --environment {}", quote(name))
        })
    }
}

/// Where it is what was there before.
fn found_before(hook_context: &HookContext) -> String {
    let folder = hook_context.evidence.as_ref();
    folder.map_or_else(String::new, |folder| {
        format!(" (what was there before: {})", folder.display())
    })
}
