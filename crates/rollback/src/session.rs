//! What every subcommand needs: the section, the store, who we are, and how errors end.

use std::rc::Rc;
use std::time::{Duration, Instant};

use cli::{Failure, Fate, Job};
use config::file::{Healthgate, Rollback};
use jiff::Timestamp;
use model::{Outcome, Report};
use state::{Claim, Document, Entry, Error, Lease, Lock, Store};

use target::{Context, Places};

/// How often a lock that is waited for is looked at.
const POLL: Duration = Duration::from_millis(500);
/// How often GitHub is asked for the run that holds it.
const LOOK_UP: Duration = Duration::from_secs(5);

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
        job.config.healthgate()?;
        job.config.github()?;
        let Some(section) = job.config.rollback()? else {
            return Err(Failure::usage("no rollback is configured").hint(
                "add `rollback: { state: FILE, command: { run: … } }` to the configuration",
            ));
        };
        let store = job.store(section).map_err(failure)?;
        Ok(Session {
            job,
            section,
            store,
            started_at: Timestamp::now(),
        })
    }

    /// The probes that verify what was done.
    pub(crate) fn gate(&self) -> Option<&'a Healthgate> {
        // One that cannot be used was refused when the session was opened.
        self.job.config.healthgate().ok().flatten()
    }

    pub(crate) async fn read(&self) -> Result<Option<Document>, Failure> {
        let document = self.store.read().await.map_err(failure)?;
        if let Some(document) = &document {
            self.check_owner(document)?;
        }
        Ok(document)
    }

    /// What a target may know; `known` is what the state knows of each release.
    pub(crate) fn context<'c>(&'c self, places: &'c Places, known: Vec<Entry>) -> Context<'c> {
        let job = self.job;
        Context {
            config: &job.config,
            env: &job.env,
            redactor: &job.redactor,
            places,
            release: job.release.as_deref(),
            repository: job.actions.repository.as_deref(),
            known,
            github: Rc::new(|token_env, timeout, until| job.github(token_env, timeout, until)),
            say: Rc::new(|text| job.progress.say(text)),
        }
    }

    /// The state of another service or environment says nothing about this one.
    pub(crate) fn check_owner(&self, document: &Document) -> Result<(), Failure> {
        let job = self.job;
        for (what, theirs, ours) in [
            ("service", &document.service, &job.service()),
            ("environment", &document.environment, &job.environment),
        ] {
            if let (Some(theirs), Some(ours)) = (theirs, ours)
                && theirs != ours
            {
                let path = self.store.place();
                return Err(Failure::refused(format!(
                    "the state {path} is of {what} `{theirs}`, and this is `{ours}`"
                ))
                .hint("give each service and environment a file of its own: `rollback.state`"));
            }
        }
        Ok(())
    }

    /// Takes the lease. A lock whose holder is gone is taken over; one whose holder may be alive
    /// is waited for as long as `--lock-wait` says, and never broken.
    pub(crate) async fn acquire<T>(
        &self,
        operation: &str,
        mut prepare: impl FnMut(&mut Document, &mut Lock) -> T,
    ) -> Result<(Lease, T), Failure> {
        let (job, wait) = (self.job, self.section.lock_wait);
        let since = Instant::now();
        let mut claim = Claim {
            holder: job.holder(),
            operation,
            ttl: self.section.lock_ttl.get(),
            gone: None,
        };
        let mut asked: Option<(u64, Instant, Fate)> = None;
        loop {
            let result = self.store.acquire(&claim, &mut prepare).await;
            let Err(Error::Held { lock }) = result else {
                return result.map_err(failure);
            };
            let fate = match &asked {
                Some((of, at, fate)) if *of == lock.token && at.elapsed() < LOOK_UP => fate.clone(),
                _ => job.fate(&lock).await,
            };
            if asked
                .as_ref()
                .is_none_or(|(of, at, _)| *of != lock.token || at.elapsed() >= LOOK_UP)
            {
                asked = Some((lock.token, Instant::now(), fate.clone()));
            }
            if fate.is_gone() {
                tracing::warn!("taking over the lock of {}, {}", lock.holder, fate.reason());
                claim.gone = Some(lock.token);
                continue;
            }
            let left = wait.get().saturating_sub(since.elapsed());
            if left.is_zero() || job.interrupt.caught().is_some() {
                return Err(held(&lock, &fate, since.elapsed()));
            }
            job.progress.say(&format!(
                "waiting for {}, {} ({} s of {wait})",
                lock.holder,
                fate.reason(),
                since.elapsed().as_secs()
            ));
            tokio::select! {
                () = tokio::time::sleep(left.min(POLL)) => {}
                _ = job.interrupt.wait() => {}
            }
        }
    }

    /// A name for the workflow run, as the history keeps it.
    pub(crate) fn run_name(&self) -> Option<String> {
        let run = self.job.actions.run_id.as_ref()?;
        Some(format!(
            "{run}/{}",
            self.job.actions.run_attempt.unwrap_or(1)
        ))
    }

    /// Text that goes into the state or the journal: without secrets.
    pub(crate) fn clean(&self, text: &str) -> String {
        self.job.redactor.redact(text)
    }

    pub(crate) fn report(&self, outcomes: Vec<Outcome>) -> Report {
        Report::from_outcomes("rollback", self.started_at, outcomes)
    }
}

/// Why the lock was not taken.
fn held(lock: &Lock, fate: &Fate, waited: Duration) -> Failure {
    let (holder, operation) = (&lock.holder, &lock.operation);
    let mut reason = format!(
        "locked by {holder}, {}, for `{operation}` since {:.0}, until {:.0}",
        fate.reason(),
        lock.acquired,
        lock.expires
    );
    if waited >= Duration::from_secs(1) {
        reason.push_str(&format!("; waited {} s", waited.as_secs()));
    }
    let hint = match fate {
        Fate::Unknown { hint, .. } => format!(
            "{hint}; or see that it has ended, then `rollback unlock --force locked --reason TEXT`"
        ),
        _ => "wait for it with `--lock-wait 10m`, or see `rollback status`; `rollback unlock` takes away a lock whose holder is gone".to_owned(),
    };
    Failure::refused(reason).hint(hint)
}

/// A store that refuses is a refusal; a store that cannot be asked is an error.
pub(crate) fn failure(error: Error) -> Failure {
    let hint = error.hint();
    let failure = match error {
        // Nothing of it was understood, and nothing done.
        Error::JournalNewer { .. } => Failure::usage(error),
        error if error.refuses() => Failure::refused(error),
        error => Failure::error(error),
    };
    failure.hint(hint)
}
