//! A restored database takes the place of the one that is served, in one transaction. The other keeps its rows under another
//! name.

use std::time::{Duration, Instant};

use database::{Database, System, identifier, literal};
use jiff::Timestamp;

use crate::error::Error;
use crate::programs::Programs;
use crate::scratch::{PREFIX, Scratch, admin, drop_database, end_sessions, properties};

/// Between two looks at who is still connected.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A restored database, and the one that it is to be.
pub struct Swap {
    restored: Scratch,
    live: Database,
    kept: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swapped {
    /// The name of what was served before.
    pub kept: String,
    /// How many sessions were ended for it.
    pub ended: u64,
}

impl Swap {
    pub fn new(restored: Scratch, live: Database) -> Swap {
        let kept = kept_name(live.address.database_name(), Timestamp::now());
        Swap {
            restored,
            live,
            kept,
        }
    }

    /// The name that the live database is kept by.
    pub fn kept_name(&self) -> &str {
        &self.kept
    }

    /// The restored database's name.
    pub fn restored(&self) -> &str {
        self.restored.name()
    }

    /// Drops the restored database; the live one is as it was.
    pub async fn cancel(self) -> Result<(), Error> {
        self.restored.remove().await
    }

    /// Gives the restored database the live one's name, owner, settings and rights. All of it happens, or nothing.
    ///
    /// # Errors
    /// Returns an error if the names were not swapped; the live database is as it was, and the restored one is dropped.
    pub async fn make(self, programs: &Programs, within: Duration) -> Result<Swapped, Error> {
        let until = Instant::now() + within;
        let live = &self.live;
        if live.address.system == System::MySql {
            return Err(Error::Unfit(
                "MariaDB and MySQL cannot rename a database: restore the dump by hand, table by table".to_owned(),
            ));
        }
        let name = live.address.database_name().to_owned();
        let settings = properties(live, programs, within).await?;
        let settings = settings
            .into_iter()
            .filter(|sql| !sql.starts_with("CREATE DATABASE "));
        let kept = self.kept;
        let quoted = |name: &str| identifier(System::Postgres, name);
        let mut sql = format!(
            "BEGIN; ALTER DATABASE {0} RENAME TO {1}; ALTER DATABASE {2} RENAME TO {0}; ",
            quoted(&name),
            quoted(&kept),
            quoted(self.restored.name()),
        );
        settings.for_each(|setting| sql.push_str(&format!("{setting}; ")));
        sql.push_str("COMMIT");
        let admin = self.restored.admin().clone();
        let (session, looking) = (admin.postgres().await?, admin.postgres().await?);
        end_sessions(&looking, self.restored.name()).await?;
        let mut ended = 0;
        // The server waits for five seconds until no session is connected, and lets none in meanwhile.
        let renaming = session.rows_within(&sql, within);
        tokio::pin!(renaming);
        let renamed = loop {
            tokio::select! {
                renamed = &mut renaming => break renamed,
                () = tokio::time::sleep(POLL_INTERVAL) => ended += end_sessions(&looking, &name).await?,
            }
            if Instant::now() > until {
                break Err(database::Error::Late(within));
            }
        };
        if let Err(error) = renamed {
            self.restored.remove().await?;
            return Err(error.into());
        }
        self.restored.keep();
        Ok(Swapped { kept, ended })
    }
}

/// Whether the server has a database of this name.
pub async fn exists(beside: &Database, name: &str) -> Result<bool, Error> {
    let session = admin(beside).await?.postgres().await?;
    let name = literal(System::Postgres, name);
    let sql = format!("SELECT 1 FROM pg_database WHERE datname = {name}");
    Ok(!session.rows(&sql).await?.is_empty())
}

/// Whether a run that is gone has swapped the names, where it meant to keep the live database as `kept` and had restored
/// into `restored`. What it still does at the server is ended first: then all of it has happened, or nothing, and what it
/// had restored is dropped.
pub async fn was_swapped(live: &Database, kept: &str, restored: &str) -> Result<bool, Error> {
    let admin = admin(live).await?;
    let session = admin.postgres().await?;
    let sql = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
         AND query LIKE 'BEGIN; ALTER DATABASE %' AND position({} IN query) > 0",
        literal(System::Postgres, kept)
    );
    while !session.rows(&sql).await?.is_empty() {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let is_swapped = exists(live, kept).await?;
    if !is_swapped && restored.starts_with(PREFIX) && exists(live, restored).await? {
        drop_database(&admin, restored).await?;
    }
    Ok(is_swapped)
}

fn kept_name(name: &str, now: Timestamp) -> String {
    let name: String = name.chars().take(36).collect();
    format!("{name}_before_{}", now.strftime("%Y%m%dt%H%M%Sz"))
}
