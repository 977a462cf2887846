//! A rollout that another than its own process ends: that process is asked to take it back, and where
//! it has ended, the process that asks does it.

use cli::{Failure, Job, LeaseRequest};
use config::file::Traffic;
use config::value::Span;
use jiff::Timestamp;
use state::{AbortRequest, Document, Lease, Store};

use super::work::TRAFFIC;

/// How long the process that has a rollout may take to take it back.
const RECALL_TIMEOUT: Span = Span::from_secs(90);

/// Asks for the end of the rollout in progress, and waits for its lease. The document under the lease
/// still has the rollout where no process has taken it back.
pub async fn recall(
    job: &Job,
    section: &Traffic,
    store: &Store,
    reason: &str,
) -> Result<(Lease, Document), Failure> {
    let request = AbortRequest {
        by: job.actor(),
        reason: job.redactor.redact(reason),
        at: Timestamp::now(),
    };
    let asked = store.update(None, |document| {
        if let Some(rollout) = &mut document.rollout {
            rollout.abort = Some(request.clone());
        }
        Ok(())
    });
    asked.await?;
    let wanted = LeaseRequest {
        operation: TRAFFIC,
        wait: RECALL_TIMEOUT,
        ttl: section.lock_ttl,
    };
    job.acquire(store, &wanted, |document, _| document.clone())
        .await
}
