//! Whether a change was tried before: the same files, byte for byte, on the same revision.

use cli::Failure;
use jiff::Timestamp;
use migrator::{Session, Truth};
use model::{Id, Outcome};
use state::{Document, Rehearsal};

/// The refusal of a run where `rehearse.required` is not met.
pub(crate) async fn required(
    session: &Session<'_>,
    document: Option<&Document>,
    truth: &Truth,
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

/// Why the way down from what is applied is not known to be right; `None` where a rehearsal went it.
pub(crate) async fn way_down(
    session: &Session<'_>,
    document: Option<&Document>,
    truth: &Truth,
) -> Result<Option<String>, Failure> {
    let last = truth.reading.applied.last();
    let file = last.and_then(|last| truth.reading.file(&last.id));
    let Some(file) = file else {
        return Ok(Some(
            "the file of what was applied last is not in this release".to_owned(),
        ));
    };
    let last = session.fingerprints(std::iter::once(file)).await?;
    let found = document
        .zip(last.first())
        .and_then(|(document, last)| document.rehearsal_of_last(last));
    Ok(match found {
        None => Some(
            "whether the way down leads back to the schema of before was never tried".to_owned(),
        ),
        Some(rehearsal) if rehearsal.reversible => None,
        Some(rehearsal) => Some(format!(
            "the rehearsal says that it is not reversible: {}",
            rehearsal.reason.as_deref().unwrap_or_default()
        )),
    })
}
