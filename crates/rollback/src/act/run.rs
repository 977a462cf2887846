//! A rollback from its start: what can be refused is refused, then the lease is taken, every place
//! made ready, and the journal begun.

use cli::{Failure, Job};
use jiff::Timestamp;
use model::{Outcome, Report};
use state::{Document, Lease};

use super::running::{Course, Running};
use super::{Flags, Rollback, ready};
use crate::hooks;
use crate::refuse;
use crate::session::{Session, failure};
use target::{Target, Transition};

/// Rolls back.
pub async fn run(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    session.tale.borrow_mut().began = true;
    let ended = roll_back(&session, flags).await;
    hooks::after(&session, ended).await
}

async fn roll_back(session: &Session<'_>, flags: &Flags) -> Result<Report, Failure> {
    let force = flags.force(session);
    let document = session.read().await?;
    let destination = match refuse::destination(document.as_ref(), flags.wish(&force)) {
        Ok(destination) => destination,
        Err(outcome) => return Ok(session.report(vec![*outcome])),
    };
    let rollback = Rollback::new(session, &destination, force);
    let wish = flags.wish(&rollback.force);
    let target = rollback.target()?;
    let target = &*target;
    // The lease names the destination: from here on a kill leaves enough to resume.
    let acquiring = session.acquire("rollback", |document, lock| {
        lock.destination = Some(destination.clone());
        lock.forced = rollback.force.all().to_vec();
        // What was true before the lease must be true under it.
        refuse::destination(Some(document), wish).map(|now| (now, document.clone()))
    });
    let (lease, again) = rollback.uncounted(acquiring).await?;
    let document = match again {
        Ok((now, document)) if now == destination => document,
        Ok((now, _)) => {
            let outcome = Outcome::refused("refused/changed", &destination)
                .reason(format!("last-known-good became {now} meanwhile"))
                .hint("run `rollback run` again");
            return rollback.give_up(&lease, vec![outcome]).await;
        }
        Err(outcome) => return rollback.give_up(&lease, vec![*outcome]).await,
    };
    let unfinished = session.store.unfinished().await.map_err(failure)?;
    let asking = Box::pin(rollback.what_runs(target, &document));
    let running = rollback.or_interrupted(asking).await?;
    match rollback.course(unfinished, target, &running, &document) {
        Course::Refused(outcome) => return rollback.give_up(&lease, vec![*outcome]).await,
        Course::Continue(journal) => {
            let still_unready = Box::pin(rollback.still_unready(target, &journal));
            let unready = rollback.or_interrupted(still_unready).await?;
            return rollback
                .go(target, &lease, journal, &running, unready)
                .await;
        }
        Course::Begin(Some(mut superseded)) => {
            superseded.end("superseded").await.map_err(failure)?;
        }
        Course::Begin(None) => {}
    }
    rollback.begin(target, &lease, &document, &running).await
}

impl Rollback<'_> {
    /// Proves that the rollback may and can be made, writes down that it begins, and makes it.
    pub(super) async fn begin(
        &self,
        target: &dyn Target,
        lease: &Lease,
        document: &Document,
        running: &Running,
    ) -> Result<Report, Failure> {
        let store = &self.session.store;
        let started = Timestamp::now();
        let left = running.release.clone();
        let left = left.filter(|left| left != self.destination);
        let left = left.or_else(|| self.left_by_record(document));
        let transition = Transition {
            to: self.destination,
            from: left.as_deref(),
        };
        let asking = Box::pin(async {
            tokio::join!(
                self.proved(target, transition, document, true),
                self.capture(target, transition)
            )
        });
        let (proved, captured) = self.or_interrupted(asking).await?;
        let ready = match proved {
            Ok(ready) => ready,
            Err(mut refusals) => {
                refusals.extend(captured);
                return self.give_up(lease, refusals).await;
            }
        };
        let session = self.session;
        let env = session.tale.borrow().env(session.job);
        let backup = &session.section.backup;
        let saving = cli::hooks::run(session.job, "backup", backup, &env, hooks::AT_ONCE);
        let saved = self.uncounted(saving).await;
        self.beside
            .borrow_mut()
            .extend(captured.into_iter().chain(saved));
        let forced = self.force.lifted();
        if !forced.is_empty() {
            let noted = store.update(Some(lease), |document| {
                document.forced(self.destination, &forced);
                Ok(())
            });
            noted.await.map_err(failure)?;
        }
        // The hooks took their time, and a journal of whoever lost the lock would be resumed.
        let ttl = session.section.lock_ttl.get();
        store.renew(lease, ttl).await.map_err(failure)?;
        let (left, token) = (left.as_deref(), lease.token);
        let begun = store.begin_journal(self.destination, left, token, &forced, Some(started));
        let journal = begun.await.map_err(failure)?;
        let unready = ready::unready_of(ready);
        self.go(target, lease, journal, running, unready).await
    }
}
