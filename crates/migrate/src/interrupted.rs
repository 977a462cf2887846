//! A restore that was interrupted once the service may be down: its journal has what is needed to tell what became of it,
//! and to lead out.

use cli::Failure;
use migrator::{MIGRATE, Session};
use model::{Id, Outcome};
use state::Journal;
use state::journal::Event;

use crate::backup_folder::failure;

/// The step of the journal; the backup's id follows, and the name of the database that it is restored into.
const RESTORE: &str = "restore/";

/// A restore that a journal began and did not end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interrupted {
    pub(crate) backup: String,
    /// The database that it was restored into.
    pub(crate) restored: String,
    /// The name that the database before has once the names are swapped.
    pub(crate) kept: String,
}

/// The step that restores this backup into this database.
pub(crate) fn step(backup: &str, restored: &str) -> String {
    format!("{RESTORE}{backup}/{restored}")
}

impl Interrupted {
    /// `None` where the journal is of another change.
    pub(crate) fn of(journal: &Journal) -> Option<Interrupted> {
        journal.lines().iter().find_map(|line| {
            let Event::Intent {
                step,
                before: Some(kept),
            } = &line.event
            else {
                return None;
            };
            let (backup, restored) = step.strip_prefix(RESTORE)?.split_once('/')?;
            Some(Interrupted {
                backup: backup.to_owned(),
                restored: restored.to_owned(),
                kept: kept.clone(),
            })
        })
    }

    /// The journal of one, where there is any.
    pub(crate) async fn find(
        session: &Session<'_>,
    ) -> Result<Option<(Journal, Interrupted)>, Failure> {
        let journal = session.store.unfinished(MIGRATE).await?;
        Ok(journal.and_then(|journal| {
            let interrupted = Interrupted::of(&journal)?;
            Some((journal, interrupted))
        }))
    }

    /// What is true of it. Nothing is changed.
    pub(crate) async fn describe_state(&self, session: &Session<'_>) -> Result<String, Failure> {
        let is_swapped = dump::exists(&session.database, &self.kept).await;
        let is_swapped = is_swapped.map_err(|error| failure(&error))?;
        let (name, backup) = (session.database.address.database_name(), &self.backup);
        Ok(if is_swapped {
            format!(
                "the restore of {backup} was interrupted after the swap: `{name}` is the restored database, the one before is \
                 kept as `{}`, and the service may be stopped",
                self.kept
            )
        } else {
            format!(
                "the restore of {backup} was interrupted before the swap: `{name}` is the database of before, and the service \
                 may be stopped"
            )
        })
    }

    /// What refuses every other change until it is finished.
    pub(crate) async fn refused(&self, session: &Session<'_>) -> Result<Outcome, Failure> {
        let outcome = Outcome::refused(Id::refused("unfinished"), &self.backup);
        Ok(outcome
            .expected("no unfinished restore")
            .actual("one was interrupted, or is running")
            .reason(self.describe_state(session).await?)
            .hint("`migrate resume` finishes that first"))
    }
}
