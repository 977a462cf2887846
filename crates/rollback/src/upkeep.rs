//! Looking after the state itself: whether it is whole, bringing an older one up to date, putting
//! a damaged one back.

use std::path::{Path, PathBuf};

use cli::{Failure, Job};
use jiff::Timestamp;
use model::{Outcome, Report, Verdict};
use state::store::Snapshot;
use state::{Document, Error};

use crate::session::StateSession;

#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum Action {
    /// List every problem of the state, with its JSON pointer; changes nothing
    Validate {
        /// Another file than the configured state
        file: Option<PathBuf>,
    },
    /// Bring a state that was written by hand or by an older release to version 1
    Migrate,
    /// Put a damaged state back from its backup and its journals; shows what it would do
    Repair {
        /// Repair the state. The damaged file is kept
        #[arg(long)]
        yes: bool,
    },
}

/// The longest file that is looked at.
const MAX_FILE_BYTES: u64 = 4 << 20;

pub(crate) async fn run(job: &Job, action: &Action) -> Result<Report, Failure> {
    match action {
        Action::Validate { file } => validate(job, file.as_deref()).await,
        Action::Migrate => migrate(job).await,
        Action::Repair { yes } => repair(job, *yes && !job.dry_run).await,
    }
}

async fn validate(job: &Job, file: Option<&Path>) -> Result<Report, Failure> {
    let started_at = Timestamp::now();
    let (place, bytes) = if let Some(path) = file {
        (path.display().to_string(), Ok(read(path)?))
    } else {
        let session = StateSession::open(job)?;
        let seen = session.store.snapshot().await;
        let bytes = seen.map(|seen| seen.bytes().map(<[u8]>::to_vec));
        (session.store.place(), bytes)
    };
    let report = |outcomes| Ok(Report::from_outcomes("rollback", started_at, outcomes));
    let bytes = match bytes {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            // Gone is not the same as never written.
            StateSession::open(job)?.read().await?;
            return report(vec![crate::view::nothing_recorded(place)]);
        }
        // What lies there has none that can be looked at.
        Err(Error::Damaged { reason, .. }) => return report(vec![problem(&place, "", &reason)]),
        Err(error) => return Err(error.into()),
    };
    let mut problems = state::validate::problems(&bytes);
    if file.is_none() && problems.is_empty() {
        let session = StateSession::open(job)?;
        if let Err(foreign) = session.read().await {
            problems.push(state::validate::Finding {
                pointer: String::new(),
                says: foreign.chain(),
            });
        }
    }
    if problems.is_empty() {
        let what = format!("{} bytes, no problem", bytes.len());
        return report(vec![Outcome::pass("state/valid", place).actual(what)]);
    }
    report(
        problems
            .iter()
            .map(|found| problem(&place, &found.pointer, &found.says))
            .collect(),
    )
}

fn problem(place: &str, pointer: &str, says: &str) -> Outcome {
    let at = if pointer.is_empty() {
        "the file"
    } else {
        pointer
    };
    Outcome::fail(format!("state/valid{pointer}"), place)
        .expected("a state of version 1")
        .actual(says)
        .reason(format!("{at}: {says}"))
        .hint(format!(
            "look at it: `jq . {place}`; `rollback state repair` puts the version before it back, `rollback state migrate` reads older ones"
        ))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    files::read(path, MAX_FILE_BYTES)
        .map(Some)
        .map_err(|error| {
            let shown = path.display();
            match error.kind() {
                std::io::ErrorKind::FileTooLarge => {
                    Failure::refused(format!("{shown}: {error}: that is not a state"))
                }
                std::io::ErrorKind::InvalidInput => Failure::usage(format!("{shown}: {error}")),
                _ => Failure::error(format!("failed to read {shown}: {error}"))
                    .hint("check the path and its permissions"),
            }
        })
}

async fn migrate(job: &Job) -> Result<Report, Failure> {
    let session = StateSession::open(job)?;
    let place = session.store.place();
    match session.store.read().await {
        Ok(None) => return Ok(session.report(vec![crate::view::nothing_recorded(place)])),
        Ok(Some(_)) => {
            let outcome = Outcome::pass("state/migrated", place);
            return Ok(session.report(vec![outcome.actual("it is of version 1 already")]));
        }
        Err(Error::Older { .. }) => {}
        Err(error) => return Err(Failure::from(error)),
    }
    let seen = session.store.snapshot().await?;
    let now = Timestamp::now();
    let migrated = match state::migrate::migrate(seen.bytes().unwrap_or_default(), now) {
        Ok(migrated) => migrated,
        Err(error) => {
            let reason = error.to_string();
            return Ok(session.report(vec![
                Outcome::fail("state/migrated", &place)
                    .expected("a state whose every release is understood")
                    .actual(reason.clone())
                    .reason(format!(
                        "it is not understood, and nothing is guessed: {reason}"
                    ))
                    .hint(
                        "nothing was changed; correct it by hand: docs/guide/state.md has the keys",
                    ),
            ]));
        }
    };
    let mut document = migrated.document;
    document.service = document.service.or_else(|| job.service());
    document.environment = document.environment.or_else(|| job.environment.clone());
    session.job.check_owner(&document, &session.store.place())?;
    let mut outcomes = vec![describe_document(&document, "state/becomes", &place)];
    outcomes.extend(notes("state/note", &place, &migrated.notes));
    let aside = format!("v0-{}", now.as_second());
    write(
        &session,
        &seen,
        &document,
        &aside,
        !job.dry_run,
        outcomes,
        "migrate",
    )
    .await
}

async fn repair(job: &Job, yes: bool) -> Result<Report, Failure> {
    let session = StateSession::open(job)?;
    let place = session.store.place();
    let read = session.store.read().await;
    let never = matches!(read, Ok(None));
    let reason = match read {
        Ok(Some(_)) => {
            let outcome = Outcome::pass("state/repaired", place);
            return Ok(session.report(vec![outcome.actual("nothing to repair: it can be used")]));
        }
        Ok(None) | Err(Error::Gone { .. }) => "it is gone".to_owned(),
        Err(Error::Damaged { reason, .. }) => reason,
        Err(error) => return Err(Failure::from(error)),
    };
    let seen = match session.store.snapshot().await {
        Ok(seen) => seen,
        Err(error) => {
            return Err(Failure::from(error).hint(format!(
                "it cannot be kept aside as it is: move it away by hand, then `rollback state repair` ({place})"
            )));
        }
    };
    let fresh = Document::new(job.service(), job.environment.clone());
    let Some(repair) = session.store.repair(fresh).await? else {
        if never {
            return Ok(session.report(vec![crate::view::nothing_recorded(place)]));
        }
        let next = if job.config.rollback()?.is_some() {
            "record what runs: `rollback record --release RELEASE`"
        } else {
            "begin anew; `traffic status` shows what is in use"
        };
        return Ok(session.report(vec![
            Outcome::fail("state/repaired", &place)
                .expected("a backup or a journal to repair it from")
                .actual("neither can be used")
                .reason(format!("{reason}, and nothing is left to repair it from"))
                .hint(format!(
                    "nothing was changed; move {place}, {place}.bak and {place}.journals away, and {next}"
                )),
        ]));
    };
    session
        .job
        .check_owner(&repair.document, &session.store.place())?;
    let mut outcomes = notes("repair/step", &place, &repair.steps);
    outcomes.push(describe_document(&repair.document, "state/becomes", &place));
    if !yes {
        outcomes.push(
            Outcome::fail("state/damaged", &place)
                .expected("a state that can be used")
                .actual(reason.clone())
                .reason(format!("{reason}; nothing was changed"))
                .hint("if that is what it should be: `rollback state repair --yes`"),
        );
        return Ok(session.report(outcomes));
    }
    let aside = format!("damaged-{}", Timestamp::now().as_second());
    let document = &repair.document;
    write(&session, &seen, document, &aside, true, outcomes, "repair").await
}

async fn write(
    session: &StateSession<'_>,
    seen: &Snapshot,
    document: &Document,
    aside: &str,
    really: bool,
    mut outcomes: Vec<Outcome>,
    verb: &str,
) -> Result<Report, Failure> {
    let place = session.store.place();
    let kept = match seen.bytes() {
        Some(_) => format!("; what was there is {place}.{aside}"),
        None => String::new(),
    };
    let id = format!("state/{verb}");
    if !really {
        let why = format!("dry run: would {verb} it");
        outcomes.push(Outcome::skipped(id, &place, why));
        return Ok(session.report(outcomes));
    }
    let written = session.store.put_in_place(seen, document, aside).await;
    written?;
    outcomes.push(
        Outcome::pass(id, &place)
            .actual(format!("written, generation {}{kept}", document.generation)),
    );
    Ok(session.report(outcomes))
}

fn notes(id: &str, place: &str, notes: &[String]) -> Vec<Outcome> {
    let one = |(at, note): (usize, &String)| {
        Outcome::new(format!("{id}-{}", at + 1), place, Verdict::Pass).actual(note.clone())
    };
    notes.iter().enumerate().map(one).collect()
}

fn describe_document(document: &Document, id: &str, place: &str) -> Outcome {
    let or_none = |release: &Option<String>| release.clone().unwrap_or("none".to_owned());
    Outcome::pass(id, place).actual(format!(
        "current {}, last-known-good {}, {} releases, {}{}",
        or_none(&document.current),
        or_none(&document.last_known_good),
        document.history.len(),
        match &document.frozen {
            Some(frozen) => format!("frozen: {}", frozen.reason),
            None => "not frozen".to_owned(),
        },
        match &document.rollout {
            Some(rollout) => format!("; {rollout}"),
            None => String::new(),
        }
    ))
}
