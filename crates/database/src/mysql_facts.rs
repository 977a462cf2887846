//! What MariaDB and MySQL tell of their sessions.

use std::net::{IpAddr, SocketAddr};

use crate::error::Error;
use crate::mysql::Session;

/// A session of a migration tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    pub id: u64,
    /// What it runs; empty where it rests.
    pub statement: String,
    /// It waits for a lock of a table.
    pub waits: bool,
}

/// The sessions of this database whose connections end here.
pub async fn workers(session: &mut Session, ends: &[SocketAddr]) -> Result<Vec<Worker>, Error> {
    let rows = session
        .rows(
            "SELECT id, host, coalesce(info, ''), coalesce(state, '') \
             FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
        )
        .await?;
    let workers = rows.rows.iter().filter_map(|row| {
        let cell = |nth: usize| row.get(nth).cloned().flatten().unwrap_or_default();
        let is_ours = ends.iter().any(|end| is_from(&cell(1), *end));
        is_ours.then_some(())?;
        Some(Worker {
            id: cell(0).parse().ok()?,
            statement: model::text::excerpt(cell(2).as_bytes()),
            waits: cell(3).contains("lock"),
        })
    });
    Ok(workers.collect())
}

/// `127.0.0.1:50123`; a server that resolves names writes one in the place of the address.
fn is_from(host: &str, end: SocketAddr) -> bool {
    let Some((name, port)) = host.rsplit_once(':') else {
        return false;
    };
    if port.parse() != Ok(end.port()) {
        return false;
    }
    let ip = name.trim_start_matches('[').trim_end_matches(']');
    match ip.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical() == end.ip().to_canonical(),
        Err(_) => true,
    }
}

/// Cancels what a session runs. One that has ended is no error.
pub async fn cancel(session: &mut Session, id: u64) -> Result<bool, Error> {
    kill(session, &format!("KILL QUERY {id}")).await
}

/// Ends a session; what it had not committed is undone.
pub async fn terminate(session: &mut Session, id: u64) -> Result<bool, Error> {
    kill(session, &format!("KILL CONNECTION {id}")).await
}

async fn kill(session: &mut Session, sql: &str) -> Result<bool, Error> {
    match session.rows(sql).await {
        Ok(_) => Ok(true),
        // There is no such session.
        Err(error) if error.code() == Some("1094") => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_by_its_end_whatever_the_server_calls_the_host() {
        let end = "127.0.0.1:50123".parse().unwrap();
        assert!(is_from("127.0.0.1:50123", end) && is_from("localhost:50123", end));
        assert!(!is_from("127.0.0.2:50123", end) && !is_from("localhost:50124", end));
        assert!(!is_from("localhost", end));
        let end = "[::1]:50123".parse().unwrap();
        assert!(is_from("::1:50123", end) && is_from("[::1]:50123", end));
    }
}
