//! The lease of an operation: taken, waited for, taken over from a holder that is gone.

use std::time::{Duration, Instant};

use config::value::Span;
use model::text::span;
use state::{Claim, Document, Error, Lease, Lock, Store};

use crate::failure::Failure;
use crate::job::Job;
use crate::state::HolderStatus;

/// How often a lock that is waited for is looked at.
const POLL: Duration = Duration::from_millis(500);
/// How often GitHub is asked for the run that holds it.
const LOOK_UP: Duration = Duration::from_secs(5);

/// How often a lease that is held for long is renewed, as a part of its time.
const RENEWALS: u32 = 4;

/// The lease that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct LeaseRequest<'a> {
    /// What it is for.
    pub operation: &'a str,
    /// How long a lock that another holds is waited for.
    pub wait: Span,
    /// How long the lease lasts.
    pub ttl: Span,
}

/// Renews a lease of this time for as long as it is awaited; ends where the lease is lost, with the
/// reason.
pub async fn keep_lease(ttl: Duration, renew: impl AsyncFn() -> Result<(), Error>) -> Error {
    let pause = (ttl / RENEWALS).max(Duration::from_millis(100));
    loop {
        tokio::time::sleep(pause).await;
        match renew().await {
            Ok(()) => {}
            Err(error @ Error::Lost { .. }) => return error,
            // It is tried again; until the lease is over no other operation may act.
            Err(error) => tracing::warn!("the lock was not renewed: {error}"),
        }
    }
}

impl Job {
    /// Takes the lease. A lock whose holder is gone is taken over; one whose holder may be alive
    /// is waited for, and never broken.
    pub async fn acquire<T>(
        &self,
        store: &Store,
        wanted: &LeaseRequest<'_>,
        mut prepare: impl FnMut(&mut Document, &mut Lock) -> T,
    ) -> Result<(Lease, T), Failure> {
        let LeaseRequest {
            operation,
            wait,
            ttl,
        } = *wanted;
        let since = Instant::now();
        let mut claim = Claim {
            holder: self.holder(),
            operation,
            ttl: ttl.get(),
            gone: None,
        };
        let mut asked: Option<(u64, Instant, HolderStatus)> = None;
        loop {
            let result = store.acquire(&claim, &mut prepare).await;
            let Err(Error::Held { lock }) = result else {
                return result.map_err(Failure::from);
            };
            let fate = match &asked {
                Some((of, at, fate)) if *of == lock.token && at.elapsed() < LOOK_UP => fate.clone(),
                _ => self.fate(&lock).await,
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
            if left.is_zero() || self.interrupt.caught().is_some() {
                return Err(lock_failure(&lock, &fate, since.elapsed()));
            }
            self.progress.show(&format!(
                "waiting for {}, {} ({} of {wait})",
                lock.holder,
                fate.reason(),
                span(since.elapsed())
            ));
            tokio::select! {
                () = tokio::time::sleep(left.min(POLL)) => {}
                _ = self.interrupt.wait() => {}
            }
        }
    }
}

/// Why the lock was not taken.
fn lock_failure(lock: &Lock, fate: &HolderStatus, waited: Duration) -> Failure {
    let (holder, operation) = (&lock.holder, &lock.operation);
    let mut reason = format!(
        "locked by {holder}, {}, for `{operation}` since {:.0}, until {:.0}",
        fate.reason(),
        lock.acquired,
        lock.expires
    );
    if waited >= Duration::from_secs(1) {
        reason.push_str(&format!("; waited {}", span(waited)));
    }
    let hint = match fate {
        HolderStatus::Unknown { hint, .. } => format!(
            "{hint}; or see that it has ended, then `rollback unlock --force locked --reason TEXT`"
        ),
        _ => "wait for it with `--lock-wait 10m`, or see `rollback status`; `rollback unlock` removes a lock whose holder is gone".to_owned(),
    };
    Failure::refused(reason).hint(hint)
}
