//! What is refused before anything is changed.

use cli::Failure;
use cli::force::Lifting;
use migrator::{SchemaState, Session};
use model::{Id, Outcome, Verdict};
use state::journal::ROLLBACK;
use state::{Document, Forced};

use crate::guard;
use crate::rule::Rule;
use migrator::Effect;

/// What is about to be changed, and for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intent<'i> {
    pub(crate) release: &'i str,
    pub(crate) works_with: &'i [String],
    pub(crate) forced: &'i [Forced],
}

/// The refusals, else what became of the rules that a person lifts.
pub(crate) async fn refusals(
    session: &Session<'_>,
    document: Option<&Document>,
    truth: &SchemaState,
    effect: &Effect,
    intent: Intent<'_>,
) -> Result<(Vec<Outcome>, Vec<Outcome>), Failure> {
    let mut found: Vec<(Option<Rule>, Outcome)> = Vec::new();
    for outcome in truth.wrong() {
        found.push((None, refusal_of(outcome)));
    }
    if let Some(journal) = session.store.unfinished(ROLLBACK).await? {
        found.push((
            None,
            Outcome::refused(Id::refused("unfinished"), journal.place())
                .expected("no unfinished rollback")
                .actual("one was interrupted, or is running")
                .reason("a rollback has not ended")
                .hint("`rollback status`, then `rollback resume` or `rollback abort`"),
        ));
    }
    if let Some(document) = document {
        if let Some(frozen) = &document.frozen {
            found.push((
                Some(Rule::Frozen),
                Outcome::refused(Id::refused("frozen"), intent.release)
                    .expected("an environment that is not frozen")
                    .actual(format!("frozen by {} at {:.0}", frozen.by, frozen.at))
                    .reason(format!("the environment is frozen: {}", frozen.reason))
                    .hint("when a person has looked: `rollback unfreeze`"),
            ));
        }
        if document.known_bad(intent.release).is_some() {
            found.push((
                Some(Rule::KnownBad),
                Outcome::refused(Id::refused("known-bad"), intent.release)
                    .expected("a release that is not known bad")
                    .actual(format!("{} is recorded bad", intent.release))
                    .reason(format!(
                        "{} is known bad: it was taken back before",
                        intent.release
                    ))
                    .hint("deploy another release"),
            ));
        }
        let window = session
            .job
            .config
            .rollback()?
            .and_then(|rollback| rollback.window);
        let target = truth.reading.pending.last().map_or("", String::as_str);
        let contract = guard::contract(
            document,
            (intent.release, target),
            effect,
            intent.works_with,
            window.map(config::value::Span::get),
            jiff::Timestamp::now(),
        );
        found.extend(contract.map(|outcome| (Some(Rule::Contract), outcome)));
    }
    let unrehearsed = migrator::required(session, document, truth).await?;
    found.extend(unrehearsed.map(|outcome| (Some(Rule::Unrehearsed), outcome)));
    let mut lifting = Lifting::new(intent.forced.to_vec());
    let refused = found.into_iter().filter_map(|(rule, outcome)| match rule {
        Some(rule) => lifting.refuse(rule, outcome).err().map(|refused| *refused),
        None => Some(outcome),
    });
    let refused = refused.collect();
    Ok((refused, lifting.outcomes()))
}

/// What is wrong with the database as the reason not to touch it.
fn refusal_of(outcome: Outcome) -> Outcome {
    let id = Id::refused(format!("dirty/{}", outcome.id));
    Outcome {
        id,
        verdict: Verdict::Refused,
        ..outcome
    }
}
