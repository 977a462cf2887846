//! Whether a change was tried before: the same files, byte for byte, on the same revision.

use cli::Failure;
use jiff::Timestamp;
use model::{Id, Outcome};
use state::{Document, Rehearsal};

use crate::session::Session;
use crate::truth::SchemaState;

/// The refusal of a run where `rehearse.required` is not met.
pub async fn required(
    session: &Session<'_>,
    document: Option<&Document>,
    truth: &SchemaState,
) -> Result<Option<Outcome>, Failure> {
    if !session.section.rehearse.required || truth.reading.pending.is_empty() {
        return Ok(None);
    }
    let migrations = session.fingerprints(truth.reading.pending_files()).await?;
    let revision = truth.revision();
    let found = document.and_then(|document| document.rehearsal(revision.as_deref(), &migrations));
    let (actual, reason) = match found {
        None => (
            "none is recorded".to_owned(),
            "these migrations, as their files are now, were not tried on a copy".to_owned(),
        ),
        Some(rehearsal) if !rehearsal.passed => (
            "it did not pass".to_owned(),
            rehearsal.reason.clone().unwrap_or_default(),
        ),
        Some(rehearsal) => match too_old(session, rehearsal) {
            None => return Ok(None),
            Some(old) => ("it is too old".to_owned(), old),
        },
    };
    Ok(Some(
        Outcome::refused(Id::refused("unrehearsed"), truth.reading.pending.join(", "))
            .expected("a rehearsal of the same migrations that passed")
            .actual(actual)
            .reason(reason)
            .hint("`migrate rehearse`"),
    ))
}

fn too_old(session: &Session<'_>, rehearsal: &Rehearsal) -> Option<String> {
    let most = session.section.rehearse.max_age?;
    let age = Timestamp::now().duration_since(rehearsal.at);
    (age.unsigned_abs() > most.get()).then(|| {
        format!(
            "it is from {:.0}, and `rehearse.max-age` is {most}",
            rehearsal.at
        )
    })
}

/// Why the way down from what is applied is not known to be right; `None` where rehearsals went it. `to` is
/// the revision that stays; without one, the last migration alone is undone.
pub async fn way_down(
    session: &Session<'_>,
    document: Option<&Document>,
    truth: &SchemaState,
    to: Option<&str>,
) -> Result<Option<String>, Failure> {
    let applied = &truth.reading.applied;
    let stays = |to: &str| applied.iter().position(|applied| applied.id == to);
    let first = match to {
        None => applied.len().saturating_sub(1),
        Some(to) => stays(to).map_or(0, |stays| stays + 1),
    };
    let files = applied[first..].iter();
    let files = files.filter_map(|applied| truth.reading.file(&applied.id));
    let prints = session.fingerprints(files).await?;
    let mut untried: Vec<&str> = Vec::new();
    let mut left = &applied[first..];
    while let Some(last) = left.last() {
        let Some(print) = prints.iter().find(|print| print.id == last.id) else {
            return Ok(Some(format!(
                "the file of {} is not in this release",
                last.id
            )));
        };
        let found = document.and_then(|document| document.rehearsal_of_last(print));
        let Some(rehearsal) = found else {
            untried.push(&last.id);
            left = &left[..left.len() - 1];
            continue;
        };
        if !rehearsal.reversible {
            return Ok(Some(format!(
                "the rehearsal found that {} is not reversible: {}",
                last.id,
                rehearsal.reason.as_deref().unwrap_or_default()
            )));
        }
        // It went down over all that it had applied.
        let tried = rehearsal.migrations.len().clamp(1, left.len());
        left = &left[..left.len() - tried];
    }
    Ok((!untried.is_empty()).then(|| {
        format!(
            "whether the way down of {} leads back to the schema of before was never tried",
            untried.join(", ")
        )
    }))
}
