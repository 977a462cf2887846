//! A restored database takes the place of the one that is served, in one transaction. The other keeps its rows under another
//! name.

use std::time::{Duration, Instant};

use database::{Database, System, identifier};
use jiff::Timestamp;

use crate::error::Error;
use crate::programs::Programs;
use crate::scratch::{Scratch, end_sessions, properties};

/// Between two looks at who is still connected.
const PAUSE: Duration = Duration::from_millis(100);

/// A restored database, and the one that it is to be.
pub struct Swap {
    pub restored: Scratch,
    pub live: Database,
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
        let kept = kept_name(&name, Timestamp::now());
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
                () = tokio::time::sleep(PAUSE) => ended += end_sessions(&looking, &name).await?,
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

fn kept_name(name: &str, now: Timestamp) -> String {
    let name: String = name.chars().take(36).collect();
    format!("{name}_before_{}", now.strftime("%Y%m%dt%H%M%Sz"))
}
