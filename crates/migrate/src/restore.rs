//! Back to a backup: into a new database that takes the place of the one that is served, which is kept under another name.

use cli::{Failure, Job};
use config::value::ShellText;
use database::System;
use dump::{Backup, Contents, Scratch, Source, Swap, Swapped};
use migrator::{MIGRATE, Recorded, Session, record};
use model::{Id, Outcome, Report, Verdict};
use remote::local::{Script, Stream};
use state::journal::{Ending, Intention};
use state::{Document, Journal, Lease};

use crate::backup_folder::{self, BackupFolder, by_hand, describe_backup, failure};
use crate::interrupted::{self, Interrupted};
use crate::status::nothing;

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    /// The backup, by its id; `latest` is the newest one
    #[arg(long, value_name = "ID")]
    backup: String,
    /// The deployed release, to confirm that all data written since the backup is lost
    #[arg(long, value_name = "RELEASE")]
    confirm: Option<String>,
}

/// Restores a backup.
pub(crate) async fn restore(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let kept = BackupFolder::of(&session)?;
    if session.system() == System::MySql {
        return Ok(session.report(vec![refused_there(&session, &kept, &flags.backup)]));
    }
    let document = session.read().await?;
    let backup = match found(&session, &kept, &flags.backup)? {
        Ok(backup) => backup,
        Err(refused) => return Ok(session.report(vec![*refused])),
    };
    let live = document.as_ref().and_then(live);
    if let Some(refused) = unconfirmed(&session, live, flags.confirm.as_deref()) {
        return Ok(session.report(vec![refused]));
    }
    let contents = match kept.verified(&backup).await {
        Ok(contents) => contents,
        Err(bad) => return Ok(session.report(vec![unverified(&backup, &bad)])),
    };
    if job.dry_run {
        return Ok(dry(&session, &backup));
    }
    let working = async |lease: &Lease, document: &Document| {
        if let Some((mut journal, interrupted)) = Interrupted::find(&session).await? {
            if was_swapped(&session, &interrupted).await? {
                return Ok(session.report(vec![interrupted.refused(&session).await?]));
            }
            // The service is stopped again, and started.
            journal.end(Ending::Superseded).await?;
        }
        let what = RestoreSource {
            kept: &kept,
            backup: &backup,
            contents: &contents,
        };
        Box::pin(restore_with_lease(&session, lease, document, what)).await
    };
    session.under_lease(working).await
}

/// Goes on with a restore that was interrupted: what was not swapped is restored anew. The person who confirmed it did so for
/// this one.
pub(crate) async fn resume(
    session: &Session<'_>,
    interrupted: Interrupted,
) -> Result<Report, Failure> {
    if session.job.dry_run {
        let reason = "dry run: would finish the restore";
        let outcome = Outcome::skipped("restore", &interrupted.backup, reason);
        return Ok(session.report(vec![outcome]));
    }
    let kept = BackupFolder::of(session)?;
    let working = async |lease: &Lease, document: &Document| {
        let Some((mut journal, interrupted)) = Interrupted::find(session).await? else {
            let told = "nothing to resume: another run has finished the restore";
            return Ok(session.report(vec![nothing("resume", told)]));
        };
        if was_swapped(session, &interrupted).await? {
            let swapped = Swapped {
                kept: interrupted.kept,
                ended: 0,
            };
            let outcomes = vec![swapped_outcome(session, &Ok(swapped))];
            let finished = finished(session, lease, document, &mut journal, outcomes);
            return Box::pin(finished).await;
        }
        let backup = match found(session, &kept, &interrupted.backup)? {
            Ok(backup) => backup,
            Err(refused) => return Ok(session.report(vec![*refused])),
        };
        let contents = match kept.verified(&backup).await {
            Ok(contents) => contents,
            Err(bad) => return Ok(session.report(vec![unverified(&backup, &bad)])),
        };
        journal.end(Ending::Superseded).await?;
        let what = RestoreSource {
            kept: &kept,
            backup: &backup,
            contents: &contents,
        };
        Box::pin(restore_with_lease(session, lease, document, what)).await
    };
    session.under_lease(working).await
}

async fn was_swapped(session: &Session<'_>, interrupted: &Interrupted) -> Result<bool, Failure> {
    let Interrupted { kept, restored, .. } = interrupted;
    let swapped = dump::was_swapped(&session.database, kept, restored).await;
    swapped.map_err(|error| failure(&error))
}

/// The backup that is restored, which was read to its end.
#[derive(Clone, Copy)]
struct RestoreSource<'w> {
    kept: &'w BackupFolder<'w>,
    backup: &'w Backup,
    contents: &'w Contents,
}

/// Its databases cannot change their names.
fn refused_there(session: &Session<'_>, kept: &BackupFolder<'_>, id: &str) -> Outcome {
    let hint = match found(session, kept, id) {
        Ok(Ok(backup)) => format!(
            "by hand: stop the service, then `{}`",
            by_hand(
                session.database.address.database_name(),
                &backup.path.display().to_string()
            )
        ),
        _ => format!(
            "there is no backup `{id}` of it here either; with one: stop the service, then `{}`",
            by_hand("DATABASE", "DUMP")
        ),
    };
    Outcome::refused(
        Id::refused("by-hand"),
        session.database.address.to_string(),
    )
    .expected("a PostgreSQL database, whose name can be swapped")
    .actual(session.system().as_str())
    .reason("MariaDB and MySQL cannot rename a database, so a restore would be down for as long as it takes")
    .hint(hint)
}

/// What is deployed, else for what the schema was changed.
fn live(document: &Document) -> Option<&str> {
    let migrated = document
        .database
        .as_ref()
        .and_then(|database| database.release.as_ref());
    document.current.as_ref().or(migrated).map(String::as_str)
}

fn found(
    session: &Session<'_>,
    kept: &BackupFolder<'_>,
    id: &str,
) -> Result<Result<Backup, Box<Outcome>>, Failure> {
    let name = session.database.address.database_name();
    let backup = if id == "latest" {
        kept.folder.newest(name).map_err(|error| failure(&error))?
    } else {
        match kept.folder.find(id) {
            Ok(backup) => Some(backup),
            Err(dump::Error::NoBackup(_)) => None,
            Err(error) => return Err(failure(&error)),
        }
    };
    let refused = |reason: String, hint: String| {
        let outcome = Outcome::refused(Id::refused("no-backup"), id);
        Ok(Err(Box::new(
            outcome
                .expected("a backup of this database that was read to its end")
                .actual("missing")
                .reason(reason)
                .hint(hint),
        )))
    };
    match backup {
        Some(backup) if backup.facts.database == name => Ok(Ok(backup)),
        Some(backup) => refused(
            format!(
                "it is a backup of `{}`, and the database is `{name}`",
                backup.facts.database
            ),
            format!("correct the id, or {}", session.section.url_env),
        ),
        None => {
            let all = kept.folder.list().map_err(|error| failure(&error))?;
            let ids: Vec<&str> = all
                .iter()
                .take(5)
                .map(|one| one.facts.id.as_str())
                .collect();
            let there = if ids.is_empty() {
                "none is there".to_owned()
            } else {
                format!("there are {}", ids.join(", "))
            };
            refused(
                format!(
                    "{} has no backup `{id}`: {there}",
                    kept.folder.path().display()
                ),
                "name one that is there, or `latest`".to_owned(),
            )
        }
    }
}

/// Without the name of what is deployed, typed, nothing is restored.
fn unconfirmed(session: &Session<'_>, live: Option<&str>, typed: Option<&str>) -> Option<Outcome> {
    let wanted = live.unwrap_or_else(|| session.database.address.database_name());
    if typed == Some(wanted) {
        return None;
    }
    let what = if live.is_some() {
        "the release that is deployed"
    } else {
        "the database, because no release is recorded"
    };
    Some(
        Outcome::refused(
            Id::refused("unconfirmed"),
            session.database.address.to_string(),
        )
        .expected(format!("`--confirm` with the name of {what}"))
        .actual(typed.map_or("it is not given".to_owned(), |typed| format!("`{typed}`")))
        .reason("a restore takes away every row that was written since the backup")
        .hint(format!("to do it: `--confirm {wanted}`")),
    )
}

fn unverified(backup: &Backup, bad: &Failure) -> Outcome {
    Outcome::refused(Id::refused("unverified"), backup.path.display().to_string())
        .expected("a backup that can be read to its end, as it was when it was taken")
        .actual("it cannot be used")
        .reason(bad.chain())
        .hint("name another: `migrate restore --backup ID`; the folder has them all")
}

fn dry(session: &Session<'_>, backup: &Backup) -> Report {
    let name = session.database.address.database_name();
    let mut steps = vec![format!("restore {} into a new database", backup.facts.id)];
    steps.extend(
        session
            .section
            .stop
            .as_ref()
            .map(|stop| format!("stop: `{stop}`")),
    );
    steps.push(format!(
        "swap the names: the new one is `{name}`, the one before is kept"
    ));
    steps.extend(
        session
            .section
            .start
            .as_ref()
            .map(|start| format!("start: `{start}`")),
    );
    let outcomes = (1..).zip(steps).map(|(nth, step): (u32, _)| {
        Outcome::skipped(
            format!("restore/{nth}"),
            name,
            format!("dry run: would {step}"),
        )
    });
    session.report(outcomes.collect())
}

async fn restore_with_lease(
    session: &Session<'_>,
    lease: &Lease,
    document: &Document,
    what: RestoreSource<'_>,
) -> Result<Report, Failure> {
    let RestoreSource {
        kept,
        backup,
        contents,
    } = what;
    let lock = match session.lock().await? {
        Ok(lock) => lock,
        Err(refused) => return Ok(session.report(vec![*refused])),
    };
    // As long as this takes, users are served.
    session.job.progress.show("restoring into a new database");
    let source = Source::Backup {
        path: &backup.path,
        contents,
        owners: true,
    };
    let (database, programs) = (&session.database, &kept.programs);
    let lease_of_it = kept.timeout() + session.section.lock_ttl.get();
    let making = Scratch::create(database, source, lease_of_it, programs, kept.timeout());
    let restored = backup_folder::interrupted(session.job, making).await?;
    let restored = restored.map_err(|error| failure(&error))?;
    let mut outcomes = vec![
        Outcome::pass("restore/restored", backup.path.display().to_string())
            .actual(describe_backup(backup)),
        checked(session, backup, &restored).await?,
    ];
    if outcomes
        .iter()
        .any(|outcome| outcome.verdict != Verdict::Pass)
    {
        restored.remove().await.map_err(|error| failure(&error))?;
        return Ok(session.report(outcomes));
    }
    // The lock is a session in the database that is renamed.
    drop(lock);
    let swap = Swap::new(restored, session.database.clone());
    // From here on the service may be down, and the next command has to know.
    let step = interrupted::step(&backup.facts.id, swap.restored());
    let (store, release) = (&session.store, live(document).unwrap_or_default());
    let begun = store.begin_journal(Intention {
        started: Some(session.started_at),
        ..Intention::new(MIGRATE, release, lease.token)
    });
    let mut journal = begun.await?;
    journal
        .intent(&step, Some(swap.kept_name().to_owned()))
        .await?;
    if let Some(stop) = &session.section.stop {
        let stopped = hook(session, "restore/stopped", "migrate.stop", stop).await?;
        let is_stopped = stopped.verdict == Verdict::Pass;
        outcomes.push(stopped);
        if !is_stopped {
            swap.cancel().await.map_err(|error| failure(&error))?;
            journal.failed(&step, "`migrate.stop` failed").await?;
            journal.end(Verdict::Fail).await?;
            return Ok(session.report(outcomes));
        }
    }
    // A signal does not stop us any more.
    let swapped = swap.make(programs, session.section.deadline.get()).await;
    outcomes.push(swapped_outcome(session, &swapped));
    match swapped {
        Ok(_) => finished(session, lease, document, &mut journal, outcomes).await,
        Err(error) => {
            outcomes.extend(started(session).await?);
            journal.failed(&step, &error.to_string()).await?;
            journal.end(Verdict::Fail).await?;
            Ok(session.report(outcomes))
        }
    }
}

/// What is left to do once the names are swapped.
async fn finished(
    session: &Session<'_>,
    lease: &Lease,
    document: &Document,
    journal: &mut Journal,
    mut outcomes: Vec<Outcome>,
) -> Result<Report, Failure> {
    outcomes.extend(started(session).await?);
    outcomes.extend(recorded(session, lease, document).await?);
    let report = session.report(outcomes);
    journal.end(report.verdict).await?;
    Ok(report)
}

async fn started(session: &Session<'_>) -> Result<Option<Outcome>, Failure> {
    match &session.section.start {
        Some(start) => hook(session, "restore/started", "migrate.start", start)
            .await
            .map(Some),
        None => Ok(None),
    }
}

/// The new database has the tables that were noted, and the migration tool can read it.
async fn checked(
    session: &Session<'_>,
    backup: &Backup,
    restored: &Scratch,
) -> Result<Outcome, Failure> {
    let shape = {
        let mut connection = restored
            .database()
            .connect()
            .await
            .map_err(Failure::error)?;
        let system = session.system();
        database::Shape::read(&mut connection, system)
            .await
            .map_err(Failure::error)?
    };
    let outcome = Outcome::pass("restore/checked", restored.name())
        .expected("the tables of the backup, and its revision");
    if shape.is_empty() && backup.facts.tables > 0 {
        return Ok(Outcome::fail(outcome.id, restored.name())
            .expected("the tables of the backup, and its revision")
            .actual("no table")
            .reason(format!(
                "the backup has {} tables, and the new database none",
                backup.facts.tables
            ))
            .hint("nothing was swapped; see the server's log"));
    }
    // Where the tool runs by `exec`, it reads one database alone.
    if session.section.exec.is_some() {
        return Ok(outcome.actual(format!("{} tables", backup.facts.tables)));
    }
    let there = session.for_database(restored.name())?.truth().await;
    let revision = match there {
        Ok(there) => there.revision(),
        Err(unknown) => return Ok(*unknown),
    };
    if backup.facts.schema.is_some() && revision != backup.facts.schema {
        return Ok(Outcome::fail(outcome.id, restored.name())
            .expected("the tables of the backup, and its revision")
            .actual(format!("at {}", revision.as_deref().unwrap_or("nothing")))
            .reason(format!(
                "the backup was taken at {}, and the new database is at {}",
                backup.facts.schema.as_deref().unwrap_or("nothing"),
                revision.as_deref().unwrap_or("nothing")
            ))
            .hint("nothing was swapped; take the backup that belongs to the revision"));
    }
    Ok(outcome.actual(format!(
        "{} tables, at {}",
        backup.facts.tables,
        revision.as_deref().unwrap_or("no revision")
    )))
}

fn swapped_outcome(session: &Session<'_>, swapped: &Result<Swapped, dump::Error>) -> Outcome {
    let name = session.database.address.database_name();
    match swapped {
        Ok(Swapped { kept, ended }) => Outcome::pass("restore/swapped", name).actual(format!(
            "`{name}` is the restored database; the one before is kept as `{kept}`; {ended} sessions were ended"
        )),
        Err(error) => Outcome::fail("restore/swapped", name)
            .expected("the restored database has the name of the one before")
            .actual("the names are as they were")
            .reason(error.to_string())
            .hint("the database before serves on; end who is connected, and restore again"),
    }
}

/// What the tables of the restored database say is recorded. It is the schema of before: who worked with it works again.
async fn recorded(
    session: &Session<'_>,
    lease: &Lease,
    document: &Document,
) -> Result<Option<Outcome>, Failure> {
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(Some(*unknown)),
    };
    let previous = document
        .database
        .as_ref()
        .map(|database| database.revision.as_str());
    let change = Recorded {
        release: document.current.as_deref(),
        previous,
        is_compatible: false,
        works_with: &[],
        forced: &[],
    };
    record(session, lease, &truth, change).await
}

async fn hook(
    session: &Session<'_>,
    id: &str,
    key: &str,
    command: &ShellText,
) -> Result<Outcome, Failure> {
    session.job.progress.show(key);
    let script = Script {
        text: command,
        env: command.variables().to_vec(),
        timeout: session.section.deadline.get(),
    };
    let redactor = &session.job.redactor;
    let mut log = |_: Stream, line: &str| tracing::info!("{}", redactor.redact(line));
    let ran = remote::local::run(&script, &mut log).await;
    let ran =
        ran.map_err(|error| Failure::error(format!("`{key}` could not be started: {error}")))?;
    if ran.success() {
        return Ok(Outcome::pass(id, &**command).actual("done"));
    }
    Ok(Outcome::fail(id, &**command)
        .expected(format!("`{key}` ends with exit status 0"))
        .actual(ran.exit.to_string())
        .reason(redactor.redact(&ran.summary()))
        .hint("run it by hand"))
}
