//! What every subcommand needs: the section, the store, who we are, and how errors end.

use cli::{Failure, Job};
use config::file::Rollback;
use jiff::Timestamp;
use model::{Outcome, Report};
use state::store::Claim;
use state::{Document, Error, Holder, Store};

/// A job with its `rollback:` section.
pub(crate) struct Session<'a> {
    pub(crate) job: &'a Job,
    pub(crate) section: &'a Rollback,
    pub(crate) store: Store,
    pub(crate) started_at: Timestamp,
}

impl<'a> Session<'a> {
    pub(crate) fn open(job: &'a Job) -> Result<Self, Failure> {
        let Some(section) = &job.config.rollback else {
            return Err(Failure::usage("no rollback is configured").hint(
                "add `rollback: { state: FILE, command: { run: … } }` to the configuration",
            ));
        };
        let store = Store::at(&section.state);
        Ok(Session {
            job,
            section,
            store,
            started_at: Timestamp::now(),
        })
    }

    pub(crate) fn read(&self) -> Result<Option<Document>, Failure> {
        let document = self.store.read().map_err(failure)?;
        if let Some(document) = &document {
            self.check_owner(document)?;
        }
        Ok(document)
    }

    /// The state of another service or environment says nothing about this one.
    fn check_owner(&self, document: &Document) -> Result<(), Failure> {
        let job = self.job;
        for (what, theirs, ours) in [
            ("service", &document.service, &job.config.service),
            ("environment", &document.environment, &job.environment),
        ] {
            if let (Some(theirs), Some(ours)) = (theirs, ours)
                && theirs != ours
            {
                let path = self.store.path().display();
                return Err(Failure::refused(format!(
                    "the state {path} is of {what} `{theirs}`, and this is `{ours}`"
                ))
                .hint("give each service and environment a file of its own: `rollback.state`"));
            }
        }
        Ok(())
    }

    pub(crate) fn claim(&self, operation: &'a str) -> Claim<'a> {
        Claim {
            holder: self.holder(),
            operation,
            ttl: self.section.lock_ttl.get(),
        }
    }

    fn holder(&self) -> Holder {
        Holder::this_process(
            self.job.actions.run_id.clone(),
            self.job.actions.run_attempt,
        )
    }

    /// A name for the workflow run, as the history keeps it.
    pub(crate) fn run_name(&self) -> Option<String> {
        let run = self.job.actions.run_id.as_ref()?;
        Some(format!(
            "{run}/{}",
            self.job.actions.run_attempt.unwrap_or(1)
        ))
    }

    /// Who is acting, for a person to ask.
    pub(crate) fn actor(&self) -> String {
        let env = &self.job.env;
        let who = self.job.actions.actor.as_deref();
        who.or(env.non_empty("USER"))
            .or(env.non_empty("LOGNAME"))
            .unwrap_or("unknown")
            .to_owned()
    }

    /// Text that goes into the state or the journal: without secrets.
    pub(crate) fn clean(&self, text: &str) -> String {
        self.job.redactor.redact(text)
    }

    pub(crate) fn report(&self, outcomes: Vec<Outcome>) -> Report {
        Report::from_outcomes("rollback", self.started_at, outcomes)
    }
}

/// A store that refuses is a refusal; a store that cannot be asked is an error.
pub(crate) fn failure(error: Error) -> Failure {
    let hint = error.hint();
    let failure = match error {
        Error::Held { .. } | Error::Lost { .. } | Error::Damaged { .. } | Error::Newer { .. } => {
            Failure::refused(error)
        }
        Error::Read { .. } | Error::Write { .. } | Error::Busy { .. } => Failure::error(error),
    };
    failure.hint(hint)
}

/// A journal that cannot be written or read.
pub(crate) fn journal_failure(error: std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::InvalidData {
        return Failure::refused(error)
            .hint("look at it, and at what runs; then move it away and roll back again");
    }
    Failure::error(format!("failed to keep the journal: {error}"))
        .hint("check the disk's free space beside the state file, then `rollback resume`")
}
