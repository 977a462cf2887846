//! One change of the schema: attempts under limits until the tool's own tables prove it, or it is clear that
//! it cannot be made now.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use cli::Failure;
use config::value::Span;
use database::pg_facts::{self, InvalidIndex};
use database::{Connection, System};
use migrations::{Command, Reading, Settings};
use model::Outcome;
use rand::Rng as _;

use crate::call::{Call, ToolEnd};
use crate::session::Session;
use crate::truth::Truth;
use crate::watcher::{self, Seen};

/// What the server's sessions of all migrations are called; the lease's token follows.
const NAME: &str = "deploy-guard migrate";
/// An attempt needs at least so much more than the wait for a lock.
const LEAST: Duration = Duration::from_millis(500);
/// How long a tool that lost its caller is looked for again.
const ORPHAN: Duration = Duration::from_millis(200);

/// What is to be done.
pub struct Change<'c> {
    /// What people call it: `apply`, `undo`.
    pub what: &'static str,
    pub commands: &'c dyn Fn(&Reading) -> Vec<Command>,
    /// Whether it is made, by what the tables say.
    pub is_made: &'c dyn Fn(&Reading) -> bool,
    /// Tells the sessions of this change from those of others.
    pub token: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct Made {
    pub end: End,
    /// What the tables say at the end.
    pub truth: Option<Truth>,
    pub attempts: u32,
    pub took: Duration,
    /// The longest that another session waited for us, in milliseconds.
    pub longest_wait: u64,
}

/// How it ended.
#[derive(Debug)]
pub enum End {
    Done,
    /// The tool failed for another reason than a lock; its own words.
    Failed(String),
    /// The deadline came first; what was in the way.
    Late(String),
    /// The tables cannot be read: whether it was made is not known.
    Unknown(Box<Outcome>),
    /// A signal came.
    Interrupted,
}

/// Makes a change. The caller holds the lease and the database's lock.
///
/// # Errors
/// Returns an error if the tool could not be started.
pub async fn change(session: &Session<'_>, change: &Change<'_>) -> Result<Made, Failure> {
    let started = Instant::now();
    let until = started + session.section.deadline.get();
    let mut made = Made {
        end: End::Interrupted,
        truth: None,
        attempts: 0,
        took: Duration::ZERO,
        longest_wait: 0,
    };
    made.end = attempts(session, change, until, &mut made).await?;
    made.took = started.elapsed();
    Ok(made)
}

async fn attempts(
    session: &Session<'_>,
    change: &Change<'_>,
    until: Instant,
    made: &mut Made,
) -> Result<End, Failure> {
    let name = format!("{NAME} {}", change.token);
    if let Some(end) = orphans(session, until).await {
        return Ok(end);
    }
    let mut why = "no attempt fitted into the deadline".to_owned();
    let mut invalid_before: Option<Vec<InvalidIndex>> = None;
    loop {
        let truth = match session.truth().await {
            Ok(truth) => truth,
            Err(unknown) => return Ok(End::Unknown(unknown)),
        };
        let reading = truth.reading.clone();
        let known = invalid_before.get_or_insert_with(|| truth.invalid.clone());
        let ours: Vec<InvalidIndex> = truth
            .invalid
            .iter()
            .filter(|index| !known.contains(index))
            .cloned()
            .collect();
        made.truth = Some(truth);
        if !ours.is_empty() {
            // Our own attempt was cut off: another one would say that the index exists already.
            drop_invalid(session, &ours).await;
        } else if (change.is_made)(&reading) {
            return Ok(End::Done);
        }
        if !reading.is_clean() {
            return Ok(End::Failed(why));
        }
        let left = until.saturating_duration_since(Instant::now());
        if left < session.section.lock_timeout.get() + LEAST {
            return Ok(End::Late(why));
        }
        made.attempts += 1;
        let seen = RefCell::default();
        let tool = (change.commands)(&reading);
        let attempt = attempt(session, &tool, &name, until, &seen);
        let Some(end) = attempt.await? else {
            return Ok(End::Interrupted);
        };
        let seen = seen.into_inner();
        made.longest_wait = made.longest_wait.max(seen.longest);
        match end {
            end if end.is_late => {
                why = format!(
                    "the statement was not done in time: {}",
                    seen.statement.unwrap_or(end.told)
                );
                made.truth = session.truth().await.ok();
                return Ok(End::Late(why));
            }
            end if end.is_success => {
                // The tables tell whether it was.
                why = format!(
                    "the tool ended with exit status 0, and its tables do not show it: {}",
                    end.told
                );
                if let Some(end) = after_success(session, change, made, &why).await {
                    return Ok(end);
                }
            }
            end if is_about_locks(&seen, &end) => {
                why = match seen.cancelled {
                    0 => format!(
                        "a lock was not had within {}: {}",
                        model::text::span(session.section.lock_timeout.get()),
                        seen.statement.unwrap_or_default()
                    ),
                    _ => format!(
                        "others would have waited longer than {}: {}",
                        model::text::span(session.section.max_blocking().get()),
                        seen.statement.unwrap_or_default()
                    ),
                };
                session
                    .job
                    .progress
                    .say(&format!("attempt {}: {why}", made.attempts));
                pause(session, until).await;
            }
            end => {
                made.truth = session.truth().await.ok();
                let is_made = made
                    .truth
                    .as_ref()
                    .is_some_and(|truth| (change.is_made)(&truth.reading));
                return Ok(if is_made {
                    End::Done
                } else {
                    End::Failed(end.told)
                });
            }
        }
        if session.job.interrupt.caught().is_some() {
            return Ok(End::Interrupted);
        }
    }
}

/// `None` where another attempt is worth it.
async fn after_success(
    session: &Session<'_>,
    change: &Change<'_>,
    made: &mut Made,
    why: &str,
) -> Option<End> {
    match session.truth().await {
        Ok(truth) => {
            let is_made = (change.is_made)(&truth.reading);
            made.truth = Some(truth);
            Some(if is_made {
                End::Done
            } else {
                End::Failed(why.to_owned())
            })
        }
        Err(unknown) => Some(End::Unknown(unknown)),
    }
}

/// All commands, one after another, until one fails; `None` where a signal came.
async fn attempt(
    session: &Session<'_>,
    commands: &[Command],
    name: &str,
    until: Instant,
    seen: &RefCell<Seen>,
) -> Result<Option<ToolEnd>, Failure> {
    let section = session.section;
    let working = async {
        let mut last = ToolEnd {
            is_success: true,
            is_late: false,
            told: "there was nothing to call".to_owned(),
        };
        for command in commands {
            let left = until.saturating_duration_since(Instant::now());
            let limit = section.statement_timeout.map_or(left, Span::get).min(left);
            let limits = Settings {
                lock_timeout: Some(section.lock_timeout.get()),
                statement_timeout: Some(limit),
                idle_timeout: Some(limit),
            };
            let call = Call {
                command,
                limits: &limits,
                name,
                url: None,
                timeout: left,
            };
            last = session.call(call).await?;
            if !last.is_success {
                break;
            }
        }
        Ok::<_, Failure>(last)
    };
    let say = |line: &str| session.job.progress.say(line);
    let watching = async {
        if session.system() == System::Postgres {
            let most = section.max_blocking().get();
            watcher::watch(&session.database, name, most, seen, say).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = working => ended.map(Some),
        () = watching => Ok(None),
        _ = session.job.interrupt.wait() => Ok(None),
    }
}

/// Whether the attempt ended because of a lock: ours waited for one when it was seen last, or was cancelled
/// for the sake of others, or the database says so by its own code or in its words.
fn is_about_locks(seen: &Seen, end: &ToolEnd) -> bool {
    // 55P03 and 40P01 of PostgreSQL, 1205 and 1213 of MariaDB; what drivers make of them.
    const SAID: &[&str] = &[
        "55P03",
        "40P01",
        "lock timeout",
        "LockNotAvailable",
        "deadlock detected",
        "DeadlockDetected",
        "Lock wait timeout exceeded",
    ];
    seen.cancelled > 0 || seen.was_waiting || SAID.iter().any(|said| end.told.contains(said))
}

/// Pauses between half and one and a half times as long as configured, so that two that wait for one another
/// do not meet again.
async fn pause(session: &Session<'_>, until: Instant) {
    let pause = session.section.retry_pause.get();
    let pause = pause.mul_f64(rand::rng().random_range(0.5..1.5));
    let left = until.saturating_duration_since(Instant::now());
    tokio::select! {
        () = tokio::time::sleep(pause.min(left)) => {}
        _ = session.job.interrupt.wait() => {}
    }
}

/// Waits until the tool of a run that is gone has ended: it was killed, and its tool was not.
async fn orphans(session: &Session<'_>, until: Instant) -> Option<End> {
    if session.system() != System::Postgres {
        return None;
    }
    let looking = async {
        let postgres = session.database.postgres().await?;
        loop {
            let found = pg_facts::sessions_named(&postgres, NAME).await?;
            let Some((process, _)) = found.first() else {
                return Ok(None);
            };
            let told =
                format!("process {process} of the database still works for a run that is gone");
            session.job.progress.say(&told);
            if Instant::now() >= until {
                return Ok(Some(End::Late(told)));
            }
            tokio::time::sleep(ORPHAN).await;
        }
    };
    tokio::select! {
        found = looking => found.unwrap_or_else(|error: database::Error| {
            Some(End::Late(format!("whether an earlier run still works is not known: {error}")))
        }),
        _ = session.job.interrupt.wait() => Some(End::Interrupted),
    }
}

async fn drop_invalid(session: &Session<'_>, indexes: &[InvalidIndex]) {
    let Ok(Connection::Postgres(postgres)) = session.database.connect().await else {
        return;
    };
    for index in indexes {
        let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", index.name);
        if let Err(error) = postgres.rows(&sql).await {
            tracing::warn!("the invalid index {} was not dropped: {error}", index.name);
        }
    }
}
