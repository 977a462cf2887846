//! What a change of the schema is made under, and what it is compared by.

use std::time::{Duration, Instant};

use cli::Failure;
use database::Shape;
use database::lock::{Lock, LockAttempt};
use model::{Id, Outcome, Report, Verdict};

use crate::change::RESTART;
use crate::session::Session;

/// Between two looks whether the lock is still held.
const LOCK_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Before the lock of a server that does not answer is asked for again.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Does something for as long as the lock is held. `None` where that ended first; whether it is held then.
async fn while_held<T>(lock: &mut Lock, doing: impl Future<Output = T>) -> (Option<T>, bool) {
    let losing = async {
        loop {
            tokio::time::sleep(LOCK_CHECK_INTERVAL).await;
            if !lock.is_held().await {
                return;
            }
        }
    };
    let done = tokio::select! {
        done = doing => Some(done),
        () = losing => None,
    };
    let is_held = done.is_some() && lock.is_held().await;
    (done, is_held)
}

impl Session<'_> {
    /// Makes a change with the database's lock held. Where that is lost, as by a crash of its server, the change goes on
    /// under a new one, as after `resume`: `change` is called again, and finds what its journal has.
    ///
    /// `is_done` tells that nothing is left to go on with. Returns the outcome instead where the lock is not had.
    ///
    /// # Errors
    /// Returns what the change fails with.
    pub async fn under_lock<T>(
        &self,
        mut change: impl AsyncFnMut() -> Result<T, Failure>,
        is_done: impl Fn(&T) -> bool,
    ) -> Result<Result<T, Box<Outcome>>, Failure> {
        let until = Instant::now() + self.section.deadline.get();
        let mut taken = self.lock().await?;
        loop {
            let mut lock = match taken {
                Ok(lock) => lock,
                Err(refused) => return Ok(Err(refused)),
            };
            let (ended, is_held) = while_held(&mut lock, Box::pin(change())).await;
            let is_over = Instant::now() >= until || self.job.interrupt.caught().is_some();
            match ended {
                Some(Ok(made)) if is_held || is_over || is_done(&made) => return Ok(Ok(made)),
                Some(Err(failure)) if is_held || is_over => return Err(failure),
                None if is_over => return Ok(Err(Box::new(self.lost()))),
                _ => {}
            }
            let told = "the database's lock was lost: it is taken again, and the change goes on";
            self.job.progress.show(told);
            taken = self.lock_again(until).await?;
        }
    }

    /// The same for a change that ends in a report.
    ///
    /// # Errors
    /// Returns what the change fails with.
    pub async fn reported_under_lock(
        &self,
        change: impl AsyncFnMut() -> Result<Report, Failure>,
    ) -> Result<Report, Failure> {
        let is_done = |report: &Report| report.verdict == Verdict::Pass;
        let made = self.under_lock(change, is_done).await?;
        Ok(made.unwrap_or_else(|outcome| self.report(vec![*outcome])))
    }

    /// The lock once more, of a server that may be coming back.
    async fn lock_again(&self, until: Instant) -> Result<Result<Lock, Box<Outcome>>, Failure> {
        let until = until.min(Instant::now() + RESTART);
        loop {
            match self.lock().await {
                Err(_) if Instant::now() < until => tokio::time::sleep(RETRY_DELAY).await,
                taken => return taken,
            }
        }
    }

    fn lost(&self) -> Outcome {
        Outcome::inconclusive("migrate/lock", self.database.address.to_string())
            .expected("the database's lock is held to the end")
            .actual("lost")
            .reason("the session that holds the lock broke, and the change was stopped")
            .hint("`migrate status` shows what is applied; `migrate resume` goes on")
    }

    /// The database's own lock, or why it is not had.
    pub async fn lock(&self) -> Result<Result<Lock, Box<Outcome>>, Failure> {
        let mut database = self.database.clone();
        database.name = "deploy-guard lock".to_owned();
        let taken = Lock::take(&database, self.section.lock_wait.get()).await;
        Ok(match taken {
            Ok(LockAttempt::Held(lock)) => Ok(lock),
            Ok(LockAttempt::ByOther(holder)) => Err(Box::new(
                Outcome::refused(Id::refused("locked"), database.address.to_string())
                    .expected("no other migration runs on this database")
                    .actual(holder.clone())
                    .reason(format!(
                        "another migration holds the database's lock: {holder}"
                    ))
                    .hint("wait for it with `migrate.lock-wait: 10m`; it ends with its session"),
            )),
            Err(error) => return Err(Failure::error(error)),
        })
    }

    /// The tables and columns that there are.
    pub async fn shape(&self) -> Result<Shape, Failure> {
        let mut connection = self.database.connect().await.map_err(Failure::error)?;
        let read = Shape::read(&mut connection, self.system()).await;
        read.map_err(Failure::error)
    }
}
