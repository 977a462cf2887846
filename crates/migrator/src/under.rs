//! What a change of the schema is made under, and what it is compared by.

use std::time::Duration;

use cli::Failure;
use database::Shape;
use database::lock::{Lock, Taken};
use model::{Id, Outcome};

use crate::session::Session;

/// Between two looks whether the lock is still held.
const LOOK: Duration = Duration::from_secs(1);

/// Does something for as long as the lock is held. `None` where that ended first; whether it is held then.
pub async fn while_held<T>(lock: &mut Lock, doing: impl Future<Output = T>) -> (Option<T>, bool) {
    let losing = async {
        loop {
            tokio::time::sleep(LOOK).await;
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
    /// The database's own lock, or why it is not had.
    pub async fn lock(&self) -> Result<Result<Lock, Box<Outcome>>, Failure> {
        let mut database = self.database.clone();
        database.name = "deploy-guard lock".to_owned();
        let taken = Lock::take(&database, self.section.lock_wait.get()).await;
        Ok(match taken {
            Ok(Taken::Held(lock)) => Ok(lock),
            Ok(Taken::ByOther(holder)) => Err(Box::new(
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
