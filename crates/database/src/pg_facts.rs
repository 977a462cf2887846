//! What PostgreSQL tells of itself: who waits for whom, what is open for long, what is broken.

use std::net::SocketAddr;

use crate::address::System;
use crate::error::Error;
use crate::postgres::Session;
use crate::quote::literal;

/// What our sessions are known by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnSessions {
    /// Their `application_name`.
    pub name: String,
    /// Where they come from, where a tool gives itself another name: addresses and ports of sockets of ours.
    pub ends: Vec<SocketAddr>,
}

/// One of our own sessions at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    pub process: i32,
    /// When the session began, as the server writes it: a process id is given again.
    pub began: String,
    /// `active`, `idle in transaction` and the like.
    pub state: String,
    /// What it runs, cut.
    pub statement: String,
    /// For how long, in milliseconds.
    pub running: u64,
    /// Whether it waits for a lock.
    pub waits: bool,
}

/// Sessions of others that wait for one of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    pub sessions: u64,
    /// How long the first of them has waited, in milliseconds.
    pub longest: u64,
}

/// What our sessions do, and what they do to others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    pub workers: Vec<Worker>,
    pub blocked: Blocked,
}

/// A transaction that has been open for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongTransaction {
    pub process: i32,
    pub user: String,
    pub application: String,
    pub state: String,
    pub statement: String,
    /// In seconds.
    pub open: u64,
}

/// An index that a failed concurrent build left behind: it is maintained, and never used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidIndex {
    /// Quoted where it has to be: `public.orders_email_idx`.
    pub name: String,
    pub table: String,
}

/// The server's version, such as 150004.
pub async fn version(session: &Session) -> Result<u32, Error> {
    let answer = session.rows("SHOW server_version_num").await?;
    Ok(answer
        .first_cell()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0))
}

/// What our sessions do, and who waits for them. `version` is the server's.
///
/// Of a session of another user only its locks are seen (`pg_locks`), not what it waits for
/// (`pg_stat_activity`).
pub async fn activity(
    session: &Session,
    ours: &OwnSessions,
    version: u32,
) -> Result<Activity, Error> {
    // When a wait began is known since 14; before, how long is for the caller to see.
    let since = match version {
        140_000.. => "min(waitstart)",
        _ => "NULL::timestamptz",
    };
    let ends = ours.ends.iter().map(|end| {
        format!(
            "({}, {})",
            literal(System::Postgres, &end.ip().to_string()),
            end.port()
        )
    });
    let ends: Vec<String> = ends.collect();
    let by_end = match &ends[..] {
        [] => String::new(),
        ends => format!(
            "OR (datname = current_database() AND (host(client_addr), client_port) IN ({}))",
            ends.join(", ")
        ),
    };
    let name = literal(System::Postgres, &ours.name);
    let sql = format!(
        "WITH ours AS MATERIALIZED (
           SELECT pid, backend_start::text AS began, coalesce(state, '') AS state,
                  regexp_replace(left(query, 300), '\\s+', ' ', 'g') AS query,
                  (extract(epoch FROM clock_timestamp() - query_start) * 1000)::bigint AS ms,
                  wait_event_type IS NOT DISTINCT FROM 'Lock' AS waits
           FROM pg_stat_activity WHERE (application_name = {name} {by_end}) AND pid <> pg_backend_pid()),
         waiting AS MATERIALIZED (
           SELECT pid, (extract(epoch FROM clock_timestamp() - {since}) * 1000)::bigint AS ms
           FROM pg_locks WHERE NOT granted AND EXISTS (SELECT FROM ours) AND pid NOT IN (SELECT pid FROM ours)
           GROUP BY pid),
         blocked AS MATERIALIZED (
           SELECT ms FROM waiting WHERE pg_blocking_pids(pid) && (SELECT array_agg(pid) FROM ours))
         SELECT pid, state, query, ms, waits, began FROM ours
         UNION ALL SELECT NULL, '', '', coalesce(max(ms), 0), NULL, '' FROM blocked
         UNION ALL SELECT NULL, '', '', count(*), NULL, '' FROM blocked"
    );
    let answer = session.rows(&sql).await?;
    let mut workers = Vec::new();
    let mut totals = Vec::new();
    for row in answer.rows {
        let [process, state, statement, ms, waits, began] = cells(row);
        let ms = ms.parse().unwrap_or(0);
        match process.parse() {
            Ok(process) => workers.push(Worker {
                process,
                began,
                state,
                statement,
                running: ms,
                waits: waits == "t",
            }),
            Err(_) => totals.push(ms),
        }
    }
    let blocked = match totals[..] {
        [longest, sessions] => Blocked { sessions, longest },
        _ => Blocked::default(),
    };
    Ok(Activity { workers, blocked })
}

/// Sessions whose `application_name` begins with this, as those of another run do.
pub async fn sessions_named(session: &Session, start: &str) -> Result<Vec<(i32, String)>, Error> {
    let start = literal(System::Postgres, start);
    let sql = format!(
        "SELECT pid, application_name FROM pg_stat_activity
         WHERE starts_with(application_name, {start}) AND pid <> pg_backend_pid() AND backend_type = 'client backend'
           AND datname = current_database()"
    );
    let rows = session.rows(&sql).await?.rows.into_iter();
    let named = rows.filter_map(|row| {
        let [process, name] = cells(row);
        Some((process.parse().ok()?, name))
    });
    Ok(named.collect())
}

/// Cancels the statement that a session runs; whether the server sent it word.
pub async fn cancel(session: &Session, process: i32) -> Result<bool, Error> {
    let answer = session
        .rows(&format!("SELECT pg_cancel_backend({process})"))
        .await?;
    Ok(answer.first_cell() == Some("t"))
}

/// Ends what is left of our sessions, by their name, or as they were seen before; how many there were.
pub async fn terminate_ours(
    session: &Session,
    name: &str,
    seen: &[Worker],
) -> Result<usize, Error> {
    let each = seen.iter().map(|worker| {
        let began = literal(System::Postgres, &worker.began);
        format!(
            "OR (pid = {} AND backend_start::text = {began})",
            worker.process
        )
    });
    let each: Vec<String> = each.collect();
    let sql = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE pid <> pg_backend_pid() AND datname = current_database() AND (application_name = {} {})",
        literal(System::Postgres, name),
        each.join(" ")
    );
    Ok(session.rows(&sql).await?.rows.len())
}

/// Ends a session; what it had not committed is undone.
pub async fn terminate(session: &Session, process: i32) -> Result<bool, Error> {
    let answer = session
        .rows(&format!("SELECT pg_terminate_backend({process})"))
        .await?;
    Ok(answer.first_cell() == Some("t"))
}

/// The transactions of this database that have been open for so long, oldest first: a change of the schema
/// waits for them, and everyone else behind it.
pub async fn long_transactions(
    session: &Session,
    seconds: u64,
) -> Result<Vec<LongTransaction>, Error> {
    let sql = format!(
        "SELECT pid, coalesce(usename, ''), application_name, coalesce(state, ''),
                regexp_replace(left(query, 120), '\\s+', ' ', 'g'), extract(epoch FROM now() - xact_start)::bigint
         FROM pg_stat_activity
         WHERE xact_start < now() - interval '{seconds} seconds' AND pid <> pg_backend_pid()
           AND datname = current_database() AND backend_type = 'client backend'
         ORDER BY xact_start LIMIT 20"
    );
    let rows = session.rows(&sql).await?.rows.into_iter();
    let open = rows.filter_map(|row| {
        let [process, user, application, state, statement, open] = cells(row);
        Some(LongTransaction {
            process: process.parse().ok()?,
            user,
            application,
            state,
            statement,
            open: open.parse().ok()?,
        })
    });
    Ok(open.collect())
}

/// The invalid indexes that no session is building.
pub async fn invalid_indexes(session: &Session) -> Result<Vec<InvalidIndex>, Error> {
    let sql = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), i.indrelid::regclass::text
               FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE NOT i.indisvalid AND c.relkind = 'i'
                 AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
               ORDER BY 1";
    let rows = session.rows(sql).await?.rows.into_iter();
    let indexes = rows.map(|row| {
        let [name, table] = cells(row);
        InvalidIndex { name, table }
    });
    Ok(indexes.collect())
}

/// The longest replay lag of the replicas, in seconds; `None` where there is no replica, or the user may
/// not see it.
pub async fn replication_lag(session: &Session) -> Result<Option<f64>, Error> {
    let sql = "SELECT max(extract(epoch FROM replay_lag)) FROM pg_stat_replication";
    let answer = session.rows(sql).await?;
    Ok(answer.first_cell().and_then(|text| text.parse().ok()))
}

fn cells<const N: usize>(row: Vec<Option<String>>) -> [String; N] {
    let mut cells = row.into_iter();
    std::array::from_fn(|_| cells.next().flatten().unwrap_or_default())
}
