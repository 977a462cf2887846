//! What every subcommand needs: the section, the store, who we are, and how errors end.

use cli::{Failure, Job, LeaseRequest};
use config::file::{Healthgate, Rollback};
use jiff::Timestamp;
use model::{Outcome, Report};
use state::{Document, Entry, Lease, Lock, Store};
use target::{Context, PlaceAccess};

/// A job with its state, whichever section names it: what looks after the state needs no `rollback:`.
pub(crate) struct StateSession<'a> {
    pub(crate) job: &'a Job,
    pub(crate) store: Store,
    started_at: Timestamp,
}

impl<'a> StateSession<'a> {
    pub(crate) fn open(job: &'a Job) -> Result<Self, Failure> {
        job.config.github()?;
        let address = job.config.state_address()?.ok_or_else(unconfigured)?;
        Ok(StateSession {
            job,
            store: job.store(address)?,
            started_at: Timestamp::now(),
        })
    }

    pub(crate) async fn read(&self) -> Result<Option<Document>, Failure> {
        read(self.job, &self.store).await
    }

    pub(crate) fn report(&self, outcomes: Vec<Outcome>) -> Report {
        report(self.started_at, outcomes)
    }
}

fn unconfigured() -> Failure {
    Failure::usage("no rollback is configured")
        .hint("add `rollback: { state: FILE, command: { run: … } }` to the configuration")
}

async fn read(job: &Job, store: &Store) -> Result<Option<Document>, Failure> {
    let document = store.read().await?;
    if let Some(document) = &document {
        job.check_owner(document, &store.place())?;
    }
    Ok(document)
}

fn report(started_at: Timestamp, outcomes: Vec<Outcome>) -> Report {
    Report::from_outcomes("rollback", started_at, outcomes)
}

/// A job with its `rollback:` section.
pub(crate) struct Session<'a> {
    pub(crate) job: &'a Job,
    pub(crate) section: &'a Rollback,
    pub(crate) store: Store,
    pub(crate) started_at: Timestamp,
}

impl<'a> Session<'a> {
    pub(crate) fn open(job: &'a Job) -> Result<Self, Failure> {
        // The gate verifies what was done; GitHub is asked whether the run that holds the lock has ended.
        job.config.healthgate_of_any()?;
        job.config.github()?;
        let Some(section) = job.config.rollback()? else {
            return Err(unconfigured());
        };
        let store = job.store(&section.state)?;
        Ok(Session {
            job,
            section,
            store,
            started_at: Timestamp::now(),
        })
    }

    /// The gate's questions, whatever release they are asked of.
    pub(crate) fn gate(&self) -> Option<&'a Healthgate> {
        // One that cannot be used was refused when the session was opened.
        self.job.config.healthgate_of_any().ok().flatten()
    }

    pub(crate) async fn read(&self) -> Result<Option<Document>, Failure> {
        read(self.job, &self.store).await
    }

    /// What a target may know; `known` is what the state contains about each release.
    pub(crate) fn context<'c>(&'c self, places: &'c PlaceAccess, known: Vec<Entry>) -> Context<'c> {
        operation::context(self.job, places, known)
    }

    /// Takes the lease, as [`Job::acquire`] does.
    pub(crate) async fn acquire<T>(
        &self,
        operation: &str,
        prepare: impl FnMut(&mut Document, &mut Lock) -> T,
    ) -> Result<(Lease, T), Failure> {
        let wanted = LeaseRequest {
            operation,
            wait: self.section.lock_wait,
            ttl: self.section.lock_ttl,
        };
        self.job.acquire(&self.store, &wanted, prepare).await
    }

    /// Text that goes into the state or the journal: without secrets.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.job.redactor.redact(text)
    }

    pub(crate) fn report(&self, outcomes: Vec<Outcome>) -> Report {
        report(self.started_at, outcomes)
    }
}
