//! The pending migrations are tried on a copy, and what comes of it is noted.

use std::time::Duration;

use cli::{Failure, Job};
use database::{Connection, Database, Error, System, postgres};
use dump::{Backup, Scratch, Source};
use jiff::Timestamp;
use migrations::Table as ToolTable;
use migrator::{SchemaState, Session};
use model::report::v1::millis;
use model::text::{span, tenths};
use model::{Outcome, Report, Severity, Table, Verdict};
use rehearsal::{Compatible, Copy, Reversible, Trial, TrialError, rehearse};
use state::{Document, Rehearsal};

use crate::backup_folder::{BackupFolder, describe_backup, failure, interrupted};
use crate::on_copy::{OnCopy, RehearsalError};

/// Steps of a rehearsal that may each take as long as the deadline: applied and undone twice, tested twice.
const STEPS: u32 = 6;

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    /// Copy the database itself, which must have no sessions, instead of restoring a backup
    #[arg(long)]
    template: bool,
}

/// Rehearses what is pending.
pub(crate) async fn run(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let document = session.read().await?;
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    if !truth.is_clean() {
        return Ok(session.report(truth.wrong()));
    }
    if truth.reading.pending.is_empty() {
        return Ok(session.report(vec![crate::status::nothing(
            "rehearse",
            "nothing to rehearse: nothing is pending",
        )]));
    }
    if job.dry_run {
        let pending = truth.reading.pending_files();
        let reason = "dry run: would be tried on a copy";
        let outcomes = pending
            .map(|file| Outcome::skipped(format!("rehearse/{}", file.id), &file.path, reason));
        return Ok(session.report(outcomes.collect()));
    }
    let kept = BackupFolder::of(&session)?;
    let backup = if flags.template {
        None
    } else {
        Some(backup(&session, &kept, &truth).await?)
    };
    let lease = kept.timeout() + session.section.deadline.get() * STEPS;
    let scratch = copied(&session, &kept, backup.as_ref(), lease).await?;
    let release = document.as_ref().and_then(stable);
    let tried = Box::pin(tried(&session, &kept, &truth, &scratch, release)).await;
    let name = scratch.name().to_owned();
    if let Err(error) = scratch.remove().await {
        tracing::warn!(
            "the copy `{name}` is not dropped, and will be when its time is over: {error}"
        );
    }
    let trial = match tried? {
        Ok(trial) => trial,
        Err(error) => return Ok(session.report(vec![not_applied(&session, &truth, &error)])),
    };
    let noted = note(&session, &truth, &trial, release, backup.as_ref()).await?;
    Ok(report(&session, &truth, &trial, &noted, backup.as_ref()))
}

/// The release that a rollback would go to.
fn stable(document: &Document) -> Option<&str> {
    let known = document
        .last_known_good
        .as_ref()
        .or(document.current.as_ref());
    known.map(String::as_str)
}

/// The newest one of the schema as it is, else a new one.
async fn backup(
    session: &Session<'_>,
    kept: &BackupFolder<'_>,
    truth: &SchemaState,
) -> Result<Backup, Failure> {
    let revision = truth.revision();
    if let Some(newest) = kept.newest_of(revision.as_deref())? {
        return Ok(newest);
    }
    session
        .job
        .progress
        .show("there is no backup of this schema: one is taken");
    let backup = kept.take(revision).await?;
    kept.note(&backup).await?;
    Ok(backup)
}

async fn copied(
    session: &Session<'_>,
    kept: &BackupFolder<'_>,
    backup: Option<&Backup>,
    lease: Duration,
) -> Result<Scratch, Failure> {
    let contents = match backup {
        Some(backup) => Some((backup, kept.verified(backup).await?)),
        None => None,
    };
    let source = match &contents {
        Some((backup, contents)) => Source::Backup {
            path: &backup.path,
            contents,
            owners: false,
        },
        None => Source::Template,
    };
    session.job.progress.show("making a copy of the database");
    let (database, programs) = (&session.database, &kept.programs);
    let making = Scratch::create(database, source, lease, programs, kept.timeout());
    let made = interrupted(session.job, making).await?;
    made.map_err(|error| failure(&error))
}

async fn tried(
    session: &Session<'_>,
    kept: &BackupFolder<'_>,
    truth: &SchemaState,
    scratch: &Scratch,
    release: Option<&str>,
) -> Result<Result<Trial, TrialError>, Failure> {
    let on_copy = session.for_database(scratch.name())?;
    let tables = session.own_tables().await?;
    let there = match on_copy.truth().await {
        Ok(there) => there,
        Err(unknown) => return Err(Failure::error(unknown.reason.unwrap_or_default())),
    };
    if there.revision() != truth.revision() || there.reading.pending != truth.reading.pending {
        return Err(
            Failure::error("the copy is not at the revision of the database")
                .hint("take a backup of it as it is: `migrate backup`"),
        );
    }
    let own: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let copy = Copy {
        database: scratch.database(),
        programs: &kept.programs,
        own: &own,
        within: kept.timeout(),
    };
    let steps = OnCopy {
        session: &on_copy,
        before: &there.reading,
        release,
    };
    let guard = Guard::hold(&session.database, &tables).await?;
    session
        .job
        .progress
        .show("trying the migrations on the copy");
    let tried = interrupted(session.job, rehearse(&copy, &steps)).await?;
    drop(guard);
    let untouched = session
        .truth()
        .await
        .map_err(|unknown| Failure::error(unknown.reason.unwrap_or_default()))?;
    if untouched.revision() != truth.revision() {
        return Err(Failure::error(
            "the database itself has changed while a copy of it was migrated: does the tool use the URL that it is given?",
        )
        .hint("`migrate status`; the tool must read the variable of `migrate.url-env`"));
    }
    match tried {
        Ok(tried) => Ok(tried),
        Err(RehearsalError(failure)) => Err(failure),
    }
}

/// Keeps a tool that does not heed the URL of the copy from changing the database itself: nothing is noted in its tables there
/// as long as this lives, so that its transactions fail.
struct Guard {
    _session: Option<postgres::Session>,
}

impl Guard {
    async fn hold(database: &Database, tables: &[ToolTable]) -> Result<Guard, Failure> {
        let Connection::Postgres(session) = database.connect().await.map_err(Failure::error)?
        else {
            return Ok(Guard { _session: None });
        };
        for table in tables {
            let lock = format!(
                "BEGIN; LOCK TABLE {} IN SHARE MODE",
                table.quoted(System::Postgres)
            );
            match session.rows(&lock).await {
                Ok(_) => {
                    return Ok(Guard {
                        _session: Some(session),
                    });
                }
                Err(error) if error.is_missing() || error.is_denied() => {
                    session.rows("ROLLBACK").await.map_err(Failure::error)?;
                }
                Err(error @ Error::Server { .. }) => {
                    tracing::warn!("{table} is not held while a copy is migrated: {error}");
                    break;
                }
                Err(error) => return Err(Failure::error(error)),
            }
        }
        Ok(Guard { _session: None })
    }
}

async fn note(
    session: &Session<'_>,
    truth: &SchemaState,
    trial: &Trial,
    release: Option<&str>,
    backup: Option<&Backup>,
) -> Result<Rehearsal, Failure> {
    let migrations = session.fingerprints(truth.reading.pending_files()).await?;
    let (reversible, compatible) = (trial.reversible(), trial.compatible());
    let reasons = [reason_of(&reversible), reason_against(&compatible)];
    let reasons: Vec<String> = reasons.into_iter().flatten().collect();
    let rehearsal = Rehearsal {
        at: Timestamp::now(),
        revision: truth.revision(),
        migrations,
        passed: !trial.is_way_back_wrong() && !matches!(compatible, Compatible::No(_)),
        reversible: reversible == Reversible::Yes,
        compatible: match compatible {
            Compatible::Tested | Compatible::Unchanged => Some(true),
            Compatible::No(_) => Some(false),
            Compatible::Unknown(_) => None,
        },
        destructive: !trial.destroyed().is_empty(),
        reason: (!reasons.is_empty()).then(|| model::text::cut(&reasons.join("; "), 500)),
        release: release.map(str::to_owned),
        backup: backup.map(|backup| backup.facts.id.clone()),
        took_ms: millis(trial.took),
    };
    let noted = session.store.update(None, |document: &mut Document| {
        document.rehearsed(rehearsal.clone());
        Ok(())
    });
    noted.await?;
    Ok(rehearsal)
}

fn reason_of(reversible: &Reversible) -> Option<String> {
    match reversible {
        Reversible::Yes => None,
        Reversible::No(reason) => Some(reason.clone()),
    }
}

fn reason_against(compatible: &Compatible) -> Option<String> {
    match compatible {
        Compatible::Tested | Compatible::Unchanged => None,
        Compatible::No(reason) | Compatible::Unknown(reason) => Some(reason.clone()),
    }
}

fn not_applied(session: &Session<'_>, truth: &SchemaState, error: &TrialError) -> Outcome {
    let hint = match error {
        TrialError::Failed(_) => {
            "correct the migration: the database itself was not touched".to_owned()
        }
        // Nothing else uses the copy; the tables of the tool in the database itself are locked meanwhile.
        TrialError::Blocked(_) => format!(
            "does the tool use the URL that it is given? It must read {}; the database itself was not touched",
            session.section.url_env
        ),
    };
    Outcome::fail("rehearse/apply", truth.reading.pending.join(", "))
        .expected("it is applied on the copy")
        .actual("it failed")
        .reason(error.to_string())
        .hint(hint)
}

fn report(
    session: &Session<'_>,
    truth: &SchemaState,
    trial: &Trial,
    noted: &Rehearsal,
    backup: Option<&Backup>,
) -> Report {
    let pending = truth.reading.pending.join(", ");
    let mut outcomes = vec![
        match backup {
            Some(backup) => Outcome::pass("rehearse/copy", backup.path.display().to_string())
                .actual(describe_backup(backup)),
            None => Outcome::pass("rehearse/copy", session.database.address.to_string())
                .actual("copied by the server"),
        },
        applied(session, trial, backup, &pending),
        reversible(trial, &pending),
        compatible(session, trial, noted),
        destroyed(trial, &pending),
    ];
    outcomes.push(
        Outcome::pass("rehearse/noted", session.store.place()).actual(
            "`migrate run`, `undo` and preflight find it there, as long as no file changes",
        ),
    );
    let mut report = session.report(outcomes);
    let word = |is: bool, yes: &'static str, no: &'static str| if is { yes } else { no };
    let fits = match noted.compatible {
        Some(true) => "compatible with the release before",
        Some(false) => "not compatible with the release before",
        None => "compatibility not known",
    };
    report.headline = Some(format!(
        "{}, {fits}, {}",
        word(noted.reversible, "reversible", "not reversible"),
        word(noted.destructive, "destructive", "not destructive"),
    ));
    if !trial.locks.is_empty() || !trial.rewrites.is_empty() {
        report.tables.push(effects(trial));
    }
    report
}

fn applied(
    session: &Session<'_>,
    trial: &Trial,
    backup: Option<&Backup>,
    pending: &str,
) -> Outcome {
    let mut actual = format!(
        "applied in {} on {} rows",
        tenths(trial.took),
        trial.before.rows()
    );
    let rows = |table: &str| {
        backup
            .and_then(|backup| backup.facts.rows.get(table))
            .copied()
    };
    if let Some(scaled) = trial.scaled(&rows) {
        actual.push_str(&format!(
            "; about {} on the rows of {}",
            tenths(scaled),
            session.database.address.database_name()
        ));
    }
    Outcome::pass("rehearse/apply", pending)
        .expected("it is applied on the copy")
        .actual(actual)
}

fn reversible(trial: &Trial, pending: &str) -> Outcome {
    let outcome = |verdict| {
        Outcome::new("rehearse/reversible", pending, verdict)
            .expected("undone, the schema is the same byte for byte, and so are the rows")
    };
    match trial.reversible() {
        Reversible::Yes => {
            outcome(Verdict::Pass).actual("undone without a trace, and applied again")
        }
        Reversible::No(reason) if trial.is_way_back_wrong() => outcome(Verdict::Fail)
            .actual("the way down is wrong")
            .reason(reason)
            .hint("correct the way down, and rehearse again"),
        Reversible::No(reason) => outcome(Verdict::Fail)
            .severity(Severity::Advisory)
            .actual("not reversible")
            .reason(reason)
            .hint("after it, the way back is a restore: `migrate restore --backup ID`"),
    }
}

fn compatible(session: &Session<'_>, trial: &Trial, noted: &Rehearsal) -> Outcome {
    let subject = noted.release.as_deref().unwrap_or_default();
    let outcome = |verdict| {
        Outcome::new("rehearse/compatible", subject, verdict)
            .expected("the release before works with the new schema")
    };
    match trial.compatible() {
        Compatible::Tested => outcome(Verdict::Pass).actual("its test passes"),
        Compatible::Unchanged => outcome(Verdict::Pass)
            .actual("nothing that it may use has changed; `rehearse.smoke` would prove it"),
        Compatible::No(reason) => outcome(Verdict::Fail)
            .actual("it does not")
            .reason(reason)
            .hint("expand first and contract later: keep what the release before uses until no release needs it"),
        Compatible::Unknown(reason) => outcome(Verdict::Inconclusive)
            .actual("not known")
            .reason(reason)
            .hint(format!(
                "run `rehearse.smoke` by hand with {} and RELEASE set",
                session.section.url_env
            )),
    }
}

fn destroyed(trial: &Trial, pending: &str) -> Outcome {
    let outcome = |verdict| {
        Outcome::new("rehearse/destructive", pending, verdict)
            .severity(Severity::Advisory)
            .expected("no row and no value is lost")
    };
    let lost: Vec<String> = trial
        .destroyed()
        .iter()
        .take(20)
        .map(ToString::to_string)
        .collect();
    if lost.is_empty() {
        return outcome(Verdict::Pass).actual("nothing is destructive");
    }
    outcome(Verdict::Fail)
        .actual("lost for good")
        .reason(format!("lost: {}", lost.join(", ")))
        .hint("a backup is the only way back to them")
}

fn effects(trial: &Trial) -> Table {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for lock in &trial.locks {
        let held = span(lock.held);
        let rows_of = trial.before.rows_of(&lock.table).to_string();
        rows.push(vec![lock.table.clone(), lock.mode.clone(), held, rows_of]);
    }
    for rewrite in &trial.rewrites {
        rows.push(vec![
            rewrite.table.clone(),
            "written anew".to_owned(),
            String::new(),
            rewrite.rows.to_string(),
        ]);
    }
    Table {
        title: "Locks that were seen, and tables that were written anew".to_owned(),
        header: vec!["table", "lock", "held", "rows"],
        rows,
        only_in_summary: false,
    }
}
