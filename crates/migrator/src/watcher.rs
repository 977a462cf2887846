//! Watches what a migration does to others, on a connection of its own, and takes back what blocks them for
//! too long.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use database::Error;
use database::pg_facts::{self, Activity, OwnSessions, Worker};
use model::report::v1::millis;
use model::text::span;
use place::Place;

use crate::session::Session;
use crate::workers;

/// Between two looks, at most.
const MAX_POLL_INTERVAL: Duration = Duration::from_millis(50);
/// And at least.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Between two looks for the connections of a tool that gives itself another name.
const SEARCH: Duration = Duration::from_millis(200);
/// Before the connection is made again.
const BROKEN: Duration = Duration::from_secs(1);

/// What was seen of one attempt.
#[derive(Clone, Debug, Default)]
pub struct AttemptFacts {
    /// How often a statement of ours was cancelled because others waited for it.
    pub cancelled: u32,
    /// The longest that another session waited for us, in milliseconds.
    pub longest: u64,
    /// How many waited at once, at most.
    pub most: u64,
    /// Whether our statement waited for a lock when it was seen last.
    pub was_waiting: bool,
    /// What it ran then.
    pub statement: Option<String>,
    /// Every session of ours.
    pub workers: Vec<Worker>,
    /// The same at MariaDB and MySQL, by the server's numbers of them.
    pub threads: Vec<u64>,
}

/// Looks until it is dropped. `name` is what the server shows of the tool's sessions; `say` gets a line for
/// people at each change.
pub(crate) async fn watch(
    session: &Session<'_>,
    name: &str,
    seen: &RefCell<AttemptFacts>,
    say: impl Fn(&str),
) {
    loop {
        if let Err(error) = looking(session, name, seen, &say).await {
            tracing::warn!("what the migration does to others is not seen: {error}");
        }
        tokio::time::sleep(BROKEN).await;
    }
}

async fn looking(
    session: &Session<'_>,
    name: &str,
    seen: &RefCell<AttemptFacts>,
    say: &impl Fn(&str),
) -> Result<(), Error> {
    let most = session.section.max_blocking().get();
    let mark = workers::mark(session, name);
    let postgres = session.database.postgres().await?;
    let version = pg_facts::version(&postgres).await?;
    let mut ours = OwnSessions {
        name: name.to_owned(),
        ends: Vec::new(),
    };
    let mut searched: Option<Instant> = None;
    let mut blocked_since: Option<Instant> = None;
    loop {
        let mut activity = pg_facts::activity(&postgres, &ours, version).await?;
        if activity.blocked.sessions == 0 {
            blocked_since = None;
        } else if version < 140_000 {
            // That server does not tell when a wait began.
            let since = *blocked_since.get_or_insert_with(Instant::now);
            activity.blocked.longest = millis(since.elapsed());
        }
        note(&activity, seen);
        if let Some(line) = line(&activity) {
            say(&line);
        }
        if activity.blocked.sessions > 0 && activity.blocked.longest >= millis(most) {
            take_back(&postgres, &activity, seen).await?;
        }
        let is_here = session.place == Place::Here;
        if is_here
            && activity.workers.is_empty()
            && searched.is_none_or(|at| at.elapsed() >= SEARCH)
        {
            ours.ends = workers::ends(&mark);
            searched = Some(Instant::now());
        }
        // Not later than the moment at which someone will have waited for too long.
        let left = millis(most).saturating_sub(activity.blocked.longest);
        let left = if activity.blocked.sessions == 0 {
            MAX_POLL_INTERVAL
        } else {
            Duration::from_millis(left)
        };
        tokio::time::sleep(left.clamp(MIN_POLL_INTERVAL, MAX_POLL_INTERVAL)).await;
    }
}

async fn take_back(
    postgres: &database::postgres::Session,
    activity: &Activity,
    seen: &RefCell<AttemptFacts>,
) -> Result<(), Error> {
    for worker in &activity.workers {
        let is_taken_back = match worker.state.as_str() {
            "active" => pg_facts::cancel(postgres, worker.process).await?,
            // A transaction that rests holds its locks just as well.
            state if state.starts_with("idle in") => {
                pg_facts::terminate(postgres, worker.process).await?
            }
            _ => false,
        };
        if is_taken_back {
            seen.borrow_mut().cancelled += 1;
        }
    }
    Ok(())
}

fn note(activity: &Activity, seen: &RefCell<AttemptFacts>) {
    let mut seen = seen.borrow_mut();
    seen.longest = seen.longest.max(activity.blocked.longest);
    seen.most = seen.most.max(activity.blocked.sessions);
    for worker in &activity.workers {
        let is_same =
            |known: &Worker| (known.process, &known.began) == (worker.process, &worker.began);
        if !seen.workers.iter().any(is_same) {
            seen.workers.push(worker.clone());
        }
    }
    let busy = activity
        .workers
        .iter()
        .find(|worker| worker.state == "active");
    if let Some(worker) = busy {
        seen.was_waiting = worker.waits;
        seen.statement = Some(worker.statement.clone());
    }
}

/// What goes on, for a person.
fn line(activity: &Activity) -> Option<String> {
    let worker = activity
        .workers
        .iter()
        .find(|worker| worker.state == "active")?;
    let mut line = format!(
        "{} ({}",
        worker.statement,
        span(Duration::from_millis(worker.running))
    );
    if worker.waits {
        line.push_str(", waits for a lock");
    }
    match activity.blocked.sessions {
        0 => {}
        1 => line.push_str(", 1 session waits for it"),
        more => line.push_str(&format!(", {more} sessions wait for it")),
    }
    line.push(')');
    Some(line)
}
