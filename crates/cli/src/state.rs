//! The state that `rollback:` names, and what became of the holder of its lock.

use std::time::{Duration, Instant};

use config::value::StateAddress;
use github::Repository;
use jiff::Timestamp;
use state::{Document, Error, Holder, Lock, Store, StoreContext, Within};

use crate::{Failure, Job};

/// Where the state is kept where nothing names a place.
const STATE: &str = ".deploy-guard/state.json";
/// One question about a workflow run.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// What became of a lock's holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HolderStatus {
    /// It is the operation that asks, or the one around it.
    Ours,
    /// It no longer acts: the lock may be taken over.
    Gone(String),
    /// It may be alive, or that is unknown: the lock is not broken.
    Alive(String),
    /// The source that would know could not be queried; with the next step.
    Unknown { reason: String, hint: String },
}

impl HolderStatus {
    pub fn is_gone(&self) -> bool {
        matches!(self, HolderStatus::Gone(_))
    }

    /// Whether the lock blocks this operation.
    pub fn is_in_the_way(&self) -> bool {
        matches!(self, HolderStatus::Alive(_) | HolderStatus::Unknown { .. })
    }

    /// Fits after the holder's name and a comma.
    pub fn reason(&self) -> &str {
        match self {
            HolderStatus::Ours => "which this is a part of",
            HolderStatus::Gone(reason)
            | HolderStatus::Alive(reason)
            | HolderStatus::Unknown { reason, .. } => reason,
        }
    }
}

/// The variable that passes a program the lease that it runs under.
pub const LEASE: &str = "DEPLOY_GUARD_LEASE";

/// The lease of the operation that started this program. One that is over, or another state's, is
/// recognised when the lock is looked at.
pub(crate) fn inherited(env: &model::Env) -> Option<Within> {
    serde_json::from_str(env.non_empty(LEASE)?).ok()
}

impl Job {
    /// Where the state is kept: in [`STATE`] where nothing names a place.
    pub fn state_address(&self) -> Result<StateAddress, Failure> {
        let named = self.config.state_address()?.cloned();
        Ok(named.unwrap_or_else(|| StateAddress::File(STATE.into())))
    }

    /// The store at an address; nothing is asked yet.
    pub fn store(&self, address: &StateAddress) -> Result<Store, Error> {
        let around = StoreContext {
            env: self.env.clone(),
            hosts: self.config.hosts.clone(),
            redactor: self.redactor.clone(),
        };
        let store = Store::open(address, &around)?;
        let store = store.comparing(self.config.release_rule());
        Ok(store.in_operation(self.within.clone()))
    }

    /// The state of another service or environment proves nothing about this one.
    pub fn check_owner(&self, document: &Document, place: &str) -> Result<(), Failure> {
        for (what, theirs, ours) in [
            ("service", &document.service, &self.service()),
            ("environment", &document.environment, &self.environment),
        ] {
            if let (Some(theirs), Some(ours)) = (theirs, ours)
                && theirs != ours
            {
                return Err(Failure::refused(format!(
                    "the state {place} is of {what} `{theirs}`, and this is `{ours}`"
                ))
                .hint("give each service and environment a file of its own: `rollback.state`"));
            }
        }
        Ok(())
    }

    /// This process, as the lock's holder.
    pub fn holder(&self) -> Holder {
        let actions = &self.actions;
        Holder {
            repository: actions.repository.clone(),
            runner: self.env.non_empty("RUNNER_NAME").map(str::to_owned),
            ..Holder::this_process(actions.run_id.clone(), actions.run_attempt)
        }
    }

    /// Whether a lock's holder is gone: by the lock's time, by its process, else by asking GitHub
    /// for its workflow run.
    pub async fn fate(&self, lock: &Lock) -> HolderStatus {
        let Lock {
            holder, expires, ..
        } = lock;
        if self.within.as_ref().is_some_and(|within| within.is(lock)) {
            return HolderStatus::Ours;
        }
        if lock.is_over(Timestamp::now()) {
            return HolderStatus::Gone(format!("whose time was over at {expires:.0}"));
        }
        self.holder_fate(holder).await
    }

    /// The same of a holder that needs no lock.
    pub async fn holder_fate(&self, holder: &Holder) -> HolderStatus {
        let address = self.config.state_address().ok().flatten();
        let shared = address.is_some_and(|address| !matches!(address, StateAddress::File(_)));
        if holder.is_gone(shared) {
            return HolderStatus::Gone("whose process has ended".to_owned());
        }
        let Some(run) = &holder.run_id else {
            return HolderStatus::Alive("which may be alive".to_owned());
        };
        match self.run_fate(holder, run).await {
            Ok(fate) => fate,
            Err(error) => HolderStatus::Unknown {
                reason: format!("and whether it has ended is not known: {error}"),
                hint: error.hint(),
            },
        }
    }

    async fn run_fate(&self, holder: &Holder, run: &str) -> Result<HolderStatus, github::Error> {
        let malformed = |reason: String| github::Error::Malformed { reason };
        let number = run
            .parse()
            .map_err(|_| malformed(format!("the lock names run `{run}`, which is not a number")))?;
        let repository = holder.repository.as_deref();
        let repository = repository.or(self.actions.repository.as_deref());
        let repository = repository.ok_or_else(|| {
            malformed("neither the lock nor GITHUB_REPOSITORY names its repository".to_owned())
        })?;
        let repository = Repository::parse(repository)?;
        let attempt = holder.run_attempt.unwrap_or(1);
        let client = self.github(None, QUERY_TIMEOUT, Instant::now() + QUERY_TIMEOUT)?;
        let found = client.run(&repository, number, attempt).await?;
        if found.has_ended() {
            let how = found.conclusion.unwrap_or(found.status);
            return Ok(HolderStatus::Gone(format!("whose run has ended ({how})")));
        }
        // A job of a run that goes on may have been cancelled, or have failed.
        if let Some(runner) = &holder.runner {
            let jobs = client.run_jobs(&repository, number, attempt).await?;
            let mut on_it = jobs
                .iter()
                .filter(|job| job.runner() == Some(runner))
                .peekable();
            if on_it.peek().is_some() && on_it.all(|job| job.status == "completed") {
                return Ok(HolderStatus::Gone(format!(
                    "whose job on {runner} has ended"
                )));
            }
        }
        Ok(HolderStatus::Alive(format!(
            "whose run is {}",
            found.status
        )))
    }
}
