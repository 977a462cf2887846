//! Keeps `lock-timeout` at MariaDB and MySQL for a tool that has no such setting: its sessions are known by the
//! connections of its processes, and a statement of theirs that waits for a lock is cancelled from another connection.
//! Sessions that come after a change that waits would wait behind it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use database::mysql::Session as Server;
use database::{Connection, Error, mysql_facts};
use place::Place;

use crate::session::Session;
use crate::watcher::AttemptFacts;
use crate::workers;

/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Before the connection is made again.
const BROKEN: Duration = Duration::from_secs(1);

/// Looks until it is dropped. A tool that runs elsewhere is not seen.
pub(crate) async fn watch(session: &Session<'_>, name: &str, seen: &RefCell<AttemptFacts>) {
    if session.place != Place::Here {
        return;
    }
    loop {
        if let Err(error) = looking(session, name, seen).await {
            tracing::warn!("what the migration waits for is not seen: {error}");
        }
        tokio::time::sleep(BROKEN).await;
    }
}

async fn looking(
    session: &Session<'_>,
    name: &str,
    seen: &RefCell<AttemptFacts>,
) -> Result<(), Error> {
    let mark = workers::mark(session, name);
    let most = session.section.lock_timeout.get();
    let mut server = server(session).await?;
    let mut waiting: BTreeMap<u64, Instant> = BTreeMap::new();
    loop {
        let ends = workers::ends(&mark);
        let workers = mysql_facts::workers(&mut server, &ends).await?;
        waiting.retain(|id, _| workers.iter().any(|one| one.id == *id && one.waits));
        for worker in &workers {
            note(worker, seen);
            let since = *waiting.entry(worker.id).or_insert_with(Instant::now);
            if !worker.waits {
                waiting.remove(&worker.id);
            } else if since.elapsed() >= most {
                let is_cancelled = mysql_facts::cancel(&mut server, worker.id).await?;
                seen.borrow_mut().cancelled += u32::from(is_cancelled);
                waiting.remove(&worker.id);
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn note(worker: &mysql_facts::Worker, seen: &RefCell<AttemptFacts>) {
    let mut seen = seen.borrow_mut();
    if !seen.threads.contains(&worker.id) {
        seen.threads.push(worker.id);
    }
    if !worker.statement.is_empty() {
        seen.was_waiting = worker.waits;
        seen.statement = Some(worker.statement.clone());
    }
}

async fn server(session: &Session<'_>) -> Result<Box<Server>, Error> {
    match session.database.connect().await? {
        Connection::MySql(server) => Ok(server),
        Connection::Postgres(_) => Err(Error::System(database::System::Postgres.as_str())),
    }
}

/// Ends what is left of these sessions: the server goes on with a statement whose client is gone. How many there were.
///
/// # Errors
/// Returns an error if the server cannot be asked.
pub(crate) async fn end(session: &Session<'_>, threads: &[u64]) -> Result<usize, Error> {
    let mut server = server(session).await?;
    let mut left = 0;
    for thread in threads {
        left += usize::from(mysql_facts::terminate(&mut server, *thread).await?);
    }
    Ok(left)
}
