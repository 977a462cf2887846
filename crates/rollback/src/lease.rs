//! The lease of a whole deployment, of which a record and a rollback are parts.

use cli::{Failure, Job};
use state::{Store, Within};

use crate::session::Session;

/// Takes the lease for `operation`; `None` where no rollback is configured, and so no state.
pub async fn hold(job: &Job, operation: &str) -> Result<Option<Within>, Failure> {
    if job.config.rollback()?.is_none() {
        return Ok(None);
    }
    let session = Session::open(job)?;
    // What is of another service is not locked.
    session.read().await?;
    let (lease, ()) = session.acquire(operation, |_, _| ()).await?;
    Ok(Some(Within {
        lease,
        operation: operation.to_owned(),
        holder: job.holder(),
    }))
}

/// Renews the lease that the job runs under, for as long as it is awaited; ends where the lease
/// is lost, with the reason.
pub async fn keep(job: &Job) -> Failure {
    let (Some(within), Some(section)) = (&job.within, job.config.rollback().ok().flatten()) else {
        return std::future::pending().await;
    };
    let ttl = section.lock_ttl.get();
    let renew = async || job.store(&section.state)?.renew(&within.lease, ttl).await;
    Failure::from(cli::keep_lease(ttl, renew).await)
}

/// Gives the lease back at the end of the operation.
pub async fn release(job: &Job, within: &Within) -> Result<(), Failure> {
    let store: Store = Session::open(job)?.store;
    let given = store.finish(&within.lease, &within.operation).await;
    given.map_err(Failure::from)
}
