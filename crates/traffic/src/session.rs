//! What every subcommand needs: the section, the state, the rollout in progress.

use cli::{Failure, Job, LeaseRequest};
use config::file::Traffic;
use config::value::Span;
use jiff::Timestamp;
use model::{Outcome, Report};
use operation::shares::work::{TRAFFIC, Work};
use state::{Document, Lease, Phase, Rollout, Store};

/// A job with its `traffic:` section.
pub(crate) struct Session<'a> {
    pub(crate) job: &'a Job,
    pub(crate) section: &'a Traffic,
    pub(crate) store: Store,
    pub(crate) started_at: Timestamp,
}

impl<'a> Session<'a> {
    pub(crate) fn open(job: &'a Job) -> Result<Self, Failure> {
        // The gate judges each share; GitHub is asked whether the run that holds the lock has ended.
        job.config.healthgate_of_any()?;
        job.config.github()?;
        let Some(section) = job.config.traffic()? else {
            return Err(Failure::usage("no router is configured").hint(
                "add `traffic: { nginx: { upstream-file: …, blue: …, green: … } }` to the configuration",
            ));
        };
        let address = job.config.state_address()?;
        let address = address.ok_or_else(|| Failure::usage("no state is configured"))?;
        Ok(Session {
            job,
            section,
            store: job.store(address)?,
            started_at: Timestamp::now(),
        })
    }

    /// The state; `None` where nothing was recorded yet.
    pub(crate) async fn read(&self) -> Result<Option<Document>, Failure> {
        let document = self.store.read().await?;
        if let Some(document) = &document {
            self.job.check_owner(document, &self.store.place())?;
        }
        Ok(document)
    }

    pub(crate) fn work(&self, document: Option<&Document>) -> Work<'a> {
        let known = document.map_or_else(Vec::new, |document| document.history.clone());
        Work::new(self.job, self.section, self.store.clone(), known)
    }

    /// Takes the lease, as [`Job::acquire`] does, with the state under it.
    pub(crate) async fn acquire(&self) -> Result<(Lease, Document), Failure> {
        self.acquire_within(self.section.lock_wait).await
    }

    async fn acquire_within(&self, wait: Span) -> Result<(Lease, Document), Failure> {
        let wanted = LeaseRequest {
            operation: TRAFFIC,
            wait,
            ttl: self.section.lock_ttl,
        };
        self.job
            .acquire(&self.store, &wanted, |document, _| document.clone())
            .await
    }

    /// Renews the lease for as long as it is awaited; ends where the lease is lost, with the reason.
    pub(crate) async fn keep(&self, lease: &Lease) -> state::Error {
        let ttl = self.section.lock_ttl.get();
        cli::keep_lease(ttl, async || self.store.renew(lease, ttl).await).await
    }

    /// The same without waiting for another holder.
    pub(crate) async fn acquire_now(&self) -> Result<(Lease, Document), Failure> {
        self.acquire_within(Span::ZERO).await
    }

    /// Writes down that a rollout begins.
    pub(crate) async fn begin_rollout(
        &self,
        lease: &Lease,
        rollout: &Rollout,
    ) -> Result<(), Failure> {
        let begun = self.store.update(Some(lease), |document| {
            document.service = self.job.service().or(document.service.take());
            document.environment = self.job.environment.clone().or(document.environment.take());
            document.rollout = Some(rollout.clone());
            // The side that the last one left is in use again, or will be.
            document.old_side = None;
            Ok(())
        });
        begun.await.map_err(Failure::from)
    }

    /// Forgets a rollout that changed nothing.
    pub(crate) async fn end_rollout(&self, lease: &Lease) -> Result<(), Failure> {
        self.put_back_rollout(lease, None).await
    }

    /// What was begun changed nothing: the rollout is the one of before it.
    pub(crate) async fn put_back_rollout(
        &self,
        lease: &Lease,
        before: Option<Rollout>,
    ) -> Result<(), Failure> {
        let ended = self.store.update(Some(lease), |document| {
            document.rollout.clone_from(&before);
            Ok(())
        });
        ended.await.map_err(Failure::from)
    }

    /// An operation that ended without a report still gives its lease back.
    pub(crate) async fn or_release(
        &self,
        lease: &Lease,
        ended: Result<Report, Failure>,
    ) -> Result<Report, Failure> {
        if ended.is_err() {
            // Where that fails too, the lock goes with its holder.
            let _ = self.store.release(lease, |_| ()).await;
        }
        ended
    }

    /// Gives the lease back and reports why nothing was done.
    pub(crate) async fn give_up(
        &self,
        lease: &Lease,
        outcomes: Vec<Outcome>,
    ) -> Result<Report, Failure> {
        self.release(lease).await?;
        Ok(self.report(outcomes))
    }

    pub(crate) async fn release(&self, lease: &Lease) -> Result<(), Failure> {
        let released = self.store.release(lease, |_| ()).await;
        released.map_err(Failure::from)
    }

    /// The release that `--release` names.
    pub(crate) fn named(&self) -> Result<&'a str, Failure> {
        self.job
            .release
            .as_deref()
            .ok_or_else(|| Failure::usage("no release is named").hint("pass `--release RELEASE`"))
    }

    pub(crate) fn report(&self, outcomes: Vec<Outcome>) -> Report {
        Report::from_outcomes(TRAFFIC, self.started_at, outcomes)
    }
}

/// The rollout that is in progress.
pub(crate) fn rollout(document: Option<&Document>) -> Option<&Rollout> {
    document.and_then(|document| document.rollout.as_ref())
}

/// Whether the share needs a process that watches or changes it. In the other phases it may stay without one.
pub(crate) fn is_at_work(phase: Phase) -> bool {
    match phase {
        Phase::Setting | Phase::Judging | Phase::Aborting => true,
        Phase::Waiting | Phase::Held => false,
    }
}
