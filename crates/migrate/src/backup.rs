//! A backup is taken, read to its end, and kept; `run` proves that there is one.

use cli::{Failure, Job};
use jiff::Timestamp;
use migrator::{SchemaState, Session};
use model::{Id, Outcome, Report};

use crate::backup_folder::{BackupFolder, describe_backup};

const ID: &str = "backup/taken";

/// Takes a backup.
pub(crate) async fn backup(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let kept = BackupFolder::of(&session)?;
    let place = kept.folder.path().display().to_string();
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    if job.dry_run {
        let reason = "dry run: would take a backup and read it to its end";
        return Ok(session.report(vec![Outcome::skipped(ID, place, reason)]));
    }
    let outcome = match taken(&kept, &truth).await {
        Ok(outcome) => outcome,
        Err(failure) => {
            let hint = failure.hint.clone();
            let outcome = Outcome::fail(ID, place)
                .expected("a backup that was read to its end")
                .actual("none was kept")
                .reason(failure.chain());
            outcome.hint(hint.unwrap_or_else(|| "see the server's log".to_owned()))
        }
    };
    Ok(session.report(vec![outcome]))
}

async fn taken(kept: &BackupFolder<'_>, truth: &SchemaState) -> Result<Outcome, Failure> {
    let backup = kept.take(truth.revision()).await?;
    let removed = kept.note(&backup).await?;
    let mut actual = describe_backup(&backup);
    if removed > 0 {
        actual.push_str(&format!("; {removed} older removed"));
    }
    Ok(Outcome::pass(ID, backup.path.display().to_string())
        .expected("a backup that was read to its end")
        .actual(actual))
}

/// Before the schema is changed: the newest backup is good and as young as it must be, or one is taken.
///
/// # Errors
/// Returns the refusal if the backup is missing.
pub(crate) async fn proved(
    session: &Session<'_>,
    truth: &SchemaState,
) -> Result<Result<Option<Outcome>, Box<Outcome>>, Failure> {
    let rules = &session.section.backup;
    // The first migration of an empty database loses nothing.
    let is_empty = truth.reading.standing == migrations::Tracking::Empty;
    if !rules.required || truth.reading.pending.is_empty() || is_empty {
        return Ok(Ok(None));
    }
    let kept = BackupFolder::of(session)?;
    Ok(match young(&kept, truth).await {
        Ok(Some(outcome)) => Ok(Some(outcome)),
        Ok(None) => match taken(&kept, truth).await {
            Ok(outcome) => Ok(Some(outcome)),
            Err(failure) => Err(Box::new(refusal(session, &failure))),
        },
        Err(failure) => Err(Box::new(refusal(session, &failure))),
    })
}

/// The newest, where it is young enough and as it was when it was taken.
async fn young(kept: &BackupFolder<'_>, truth: &SchemaState) -> Result<Option<Outcome>, Failure> {
    let Some(most) = kept.max_age() else {
        return Ok(None);
    };
    let Some(backup) = kept.newest_of(truth.revision().as_deref())? else {
        return Ok(None);
    };
    let age = Timestamp::now().duration_since(backup.facts.taken);
    if age.unsigned_abs() > most || age.is_negative() {
        return Ok(None);
    }
    kept.verified(&backup).await?;
    Ok(Some(
        Outcome::pass("backup/proved", backup.path.display().to_string())
            .expected("a backup that was read to its end")
            .actual(describe_backup(&backup)),
    ))
}

fn refusal(session: &Session<'_>, failure: &Failure) -> Outcome {
    let hint = failure.hint.clone();
    let hint = hint.unwrap_or_else(|| "see `migrate backup`".to_owned());
    Outcome::refused(Id::refused("backup"), session.database.address.to_string())
        .expected("a backup that was read to its end, before anything is changed")
        .actual("missing")
        .reason(failure.chain())
        .hint(format!(
            "{hint}; without one: `migrate: {{ backup: {{ required: false }} }}`"
        ))
}
