//! What is refused before anything is changed.

use cli::Failure;
use cli::force::Lifting;
use migrator::{SchemaState, Session};
use model::{Id, Outcome, Verdict};
use state::journal::ROLLBACK;
use state::{Document, Forced, Rule};

use crate::guard;
use migrator::Effect;

/// What is about to be changed, and for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intent<'i> {
    pub(crate) release: &'i str,
    pub(crate) works_with: &'i [String],
    pub(crate) forced: &'i [Forced],
}

/// The refusals, and what became of the rules that a person lifts.
pub(crate) async fn refusals(
    session: &Session<'_>,
    document: Option<&Document>,
    truth: &SchemaState,
    effect: &Effect,
    intent: Intent<'_>,
) -> Result<(Vec<Outcome>, Lifting), Failure> {
    let mut found: Vec<(Option<Rule>, Outcome)> = Vec::new();
    for outcome in truth.wrong() {
        found.push((None, refusal_of(outcome)));
    }
    if let Some(journal) = session.store.unfinished(ROLLBACK).await? {
        found.push((None, journal.refuse_beside()));
    }
    if let Some(document) = document {
        let frozen = document.refuse_frozen(intent.release);
        found.extend(frozen.map(|outcome| (Some(Rule::Frozen), outcome)));
        let known_bad = document.refuse_known_bad(intent.release);
        let known_bad = known_bad.map(|outcome| outcome.hint("deploy another release"));
        found.extend(known_bad.map(|outcome| (Some(Rule::KnownBad), outcome)));
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
    Ok((refused, lifting))
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
