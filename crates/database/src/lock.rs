//! One migrator at a time: a lock that the database itself keeps, for as long as a session of its own
//! lives.

use std::time::{Duration, Instant};

use crate::connection::{Connection, Database};
use crate::error::Error;
use crate::rows::QueryRows as _;

/// What PostgreSQL calls the lock: the first 63 bits of the SHA-256 of `deploy-guard/migrate`, so that no
/// tool's own lock has it.
const KEY: i64 = 0x59d7_757c_f2d4_24fe;
/// What MariaDB and MySQL call it, with the database behind: their locks are the whole server's.
const NAME: &str = "deploy-guard/migrate";
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Held until it is dropped, or its session breaks.
pub struct Lock {
    session: Connection,
}

/// What came of asking for it.
pub enum LockAttempt {
    Held(Lock),
    /// Another session has it, as the server shows it.
    ByOther(String),
}

impl Lock {
    /// Asks until it is free, at most so long.
    pub async fn take(database: &Database, within: Duration) -> Result<LockAttempt, Error> {
        let until = Instant::now() + within;
        let mut session = database.connect().await?;
        loop {
            if try_lock(&mut session, database).await? {
                return Ok(LockAttempt::Held(Lock { session }));
            }
            if Instant::now() >= until {
                let holder = holder(&mut session, database).await?;
                return Ok(LockAttempt::ByOther(holder));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Whether the session still lives, and with it the lock.
    pub async fn is_held(&mut self) -> bool {
        self.session.rows("SELECT 1").await.is_ok()
    }
}

async fn try_lock(session: &mut Connection, database: &Database) -> Result<bool, Error> {
    let answer = match session {
        Connection::Postgres(session) => {
            session
                .rows(&format!("SELECT pg_try_advisory_lock({KEY})"))
                .await?
        }
        Connection::MySql(session) => {
            let name = mysql_name(database);
            session
                .rows(&format!("SELECT GET_LOCK('{name}', 0)"))
                .await?
        }
    };
    Ok(matches!(answer.first_cell(), Some("t" | "1")))
}

async fn holder(session: &mut Connection, database: &Database) -> Result<String, Error> {
    let answer = match session {
        Connection::Postgres(session) => {
            let (high, low) = (KEY >> 32, KEY & 0xffff_ffff);
            session
                .rows(&format!(
                    "SELECT 'process ' || a.pid || ' of ' || a.usename || coalesce(' at ' || host(a.client_addr), '')
                     || ', ' || a.application_name || ', since ' || date_trunc('second', a.backend_start)
                     FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                     WHERE l.locktype = 'advisory' AND l.granted AND l.classid = {high} AND l.objid = {low}
                     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                ))
                .await?
        }
        Connection::MySql(session) => {
            let name = mysql_name(database);
            session
                .rows(&format!(
                    "SELECT concat('connection ', IS_USED_LOCK('{name}'))"
                ))
                .await?
        }
    };
    Ok(answer.first_cell().unwrap_or("another session").to_owned())
}

/// A name of a lock has at most 64 characters.
fn mysql_name(database: &Database) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let of: String = database
        .address
        .database_name()
        .chars()
        .filter(plain)
        .collect();
    let mut name = format!("{NAME}/{of}");
    name.truncate(64);
    name
}
