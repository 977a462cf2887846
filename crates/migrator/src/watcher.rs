//! Watches what a migration does to others, on a connection of its own, and takes back what blocks them for
//! too long.

use std::cell::RefCell;
use std::time::Duration;

use database::pg_facts::{self, Activity};
use database::{Database, Error};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// Before the connection is made again.
const BROKEN: Duration = Duration::from_secs(1);

/// What was seen of one attempt.
#[derive(Clone, Debug, Default)]
pub struct Seen {
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
}

/// Looks until it is dropped. `name` is what the server shows of the tool's sessions; `say` gets a line for
/// people at each change.
pub(crate) async fn watch(
    database: &Database,
    name: &str,
    max_blocking: Duration,
    seen: &RefCell<Seen>,
    say: impl Fn(&str),
) {
    let most = u64::try_from(max_blocking.as_millis()).unwrap_or(u64::MAX);
    loop {
        if let Err(error) = looking(database, name, most, seen, &say).await {
            tracing::warn!("what the migration does to others is not seen: {error}");
        }
        tokio::time::sleep(BROKEN).await;
    }
}

async fn looking(
    database: &Database,
    name: &str,
    most: u64,
    seen: &RefCell<Seen>,
    say: &impl Fn(&str),
) -> Result<(), Error> {
    let session = database.postgres().await?;
    let version = pg_facts::version(&session).await?;
    loop {
        let activity = pg_facts::activity(&session, name, version).await?;
        note(&activity, seen);
        if let Some(line) = line(&activity) {
            say(&line);
        }
        if activity.blocked.sessions > 0 && activity.blocked.longest >= most {
            let active = activity
                .workers
                .iter()
                .filter(|worker| worker.state == "active");
            for worker in active {
                if pg_facts::cancel(&session, worker.process).await? {
                    seen.borrow_mut().cancelled += 1;
                }
            }
            // A transaction that rests holds its locks just as well.
            let resting = activity
                .workers
                .iter()
                .filter(|worker| worker.state.starts_with("idle in"));
            for worker in resting {
                if pg_facts::terminate(&session, worker.process).await? {
                    seen.borrow_mut().cancelled += 1;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn note(activity: &Activity, seen: &RefCell<Seen>) {
    let mut seen = seen.borrow_mut();
    seen.longest = seen.longest.max(activity.blocked.longest);
    seen.most = seen.most.max(activity.blocked.sessions);
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
    let mut line = format!("{} ({} s", worker.statement, worker.running / 1000);
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
