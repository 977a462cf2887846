//! Which locks a change holds: looked at again and again while it goes on. What is held for less than a look is not seen.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use database::{Database, Error};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::picture::Picture;

/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(3);

/// A lock that keeps others from reading or writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    pub table: String,
    /// `ACCESS EXCLUSIVE`
    pub mode: String,
    /// From the first look that saw it to the last.
    pub held: Duration,
}

type Seen = BTreeMap<(String, String), (Instant, Instant)>;

/// Looks at the locks of a copy until it is stopped.
pub(crate) struct Sampler {
    stop: oneshot::Sender<()>,
    looking: JoinHandle<Seen>,
}

impl Sampler {
    /// MariaDB does not tell its locks.
    pub(crate) async fn start(database: &Database) -> Result<Sampler, Error> {
        let session = database.postgres().await?;
        let (stop, mut stopped) = oneshot::channel();
        let looking = tokio::spawn(async move {
            let mut seen = Seen::new();
            let sql = "SELECT l.relation, l.mode FROM pg_locks l
                 WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
                   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                   AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                                  'AccessExclusiveLock')";
            // A look that fails ends it: what was seen stays true.
            while let Ok(rows) = session.rows(sql).await {
                let now = Instant::now();
                for row in rows.rows {
                    let mut cells = row.into_iter().flatten();
                    if let (Some(relation), Some(mode)) = (cells.next(), cells.next()) {
                        seen.entry((relation, mode)).or_insert((now, now)).1 = now;
                    }
                }
                tokio::select! {
                    _ = &mut stopped => break,
                    () = tokio::time::sleep(POLL_INTERVAL) => {}
                }
            }
            seen
        });
        Ok(Sampler { stop, looking })
    }

    /// The locks on tables that `before` has: no session can wait on the other tables.
    pub(crate) async fn stop(self, before: &Picture) -> Vec<Lock> {
        let _ = self.stop.send(());
        let seen = self.looking.await.unwrap_or_default();
        let locks = seen
            .into_iter()
            .filter_map(|((relation, mode), (first, last))| {
                Some(Lock {
                    table: before.name_of(&relation)?.to_owned(),
                    mode: lock_mode_name(&mode),
                    held: last.duration_since(first),
                })
            });
        locks.collect()
    }
}

/// `AccessExclusiveLock` is `ACCESS EXCLUSIVE` in every manual.
fn lock_mode_name(mode: &str) -> String {
    let mut text = String::new();
    for c in mode.trim_end_matches("Lock").chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.push(c.to_ascii_uppercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_called_as_in_the_manual() {
        assert_eq!(lock_mode_name("AccessExclusiveLock"), "ACCESS EXCLUSIVE");
        assert_eq!(
            lock_mode_name("ShareUpdateExclusiveLock"),
            "SHARE UPDATE EXCLUSIVE"
        );
        assert_eq!(lock_mode_name("ShareLock"), "SHARE");
    }
}
