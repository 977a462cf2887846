//! One change of the schema: attempts under limits until the tool's own tables prove it, or it is clear that
//! it cannot be made now.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use cli::Failure;
use config::value::Span;
use database::pg_facts::{self, InvalidIndex};
use database::{Host, System};
use migrations::{Command, Reading, Settings};
use model::Outcome;
use place::Place;
use rand::Rng as _;

use crate::call::Call;
use crate::mysql_watcher;
use crate::session::Session;
use crate::tool_end::{ToolEnd, ToolFailure};
use crate::truth::SchemaState;
use crate::watcher::{self, AttemptFacts};

/// What the server's sessions of all migrations are called; the lease's token follows.
const NAME: &str = "deploy-guard migrate";
/// An attempt needs at least so much more than the wait for a lock.
const MIN_ATTEMPT_TIME: Duration = Duration::from_millis(500);
/// How long a tool that lost its caller is looked for again.
const ORPHAN: Duration = Duration::from_millis(200);
/// How long what is left of an attempt may take to end.
const SETTLE: Duration = Duration::from_secs(10);
/// How long a server that does not answer is asked again: one that crashed comes back by itself.
pub const RESTART: Duration = Duration::from_secs(30);

/// What is to be done.
pub struct Change<'c> {
    pub commands: &'c dyn Fn(&Reading) -> Vec<Command>,
    /// Whether it is made, by what the tables say.
    pub is_made: &'c dyn Fn(&Reading) -> bool,
    /// Tells the sessions of this change from those of others.
    pub token: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct ChangeResult {
    pub end: ChangeEnd,
    /// What the tables say at the end.
    pub truth: Option<SchemaState>,
    pub attempts: u32,
    pub took: Duration,
    /// The longest that another session waited for us, in milliseconds.
    pub longest_wait: u64,
    /// No session of the tool was seen at the server, and a session by another name
    /// could not be recognised.
    pub is_unseen: bool,
    /// A lock that another session held ended the last attempt.
    pub is_blocked: bool,
}

/// How it ended.
#[derive(Debug)]
pub enum ChangeEnd {
    Done,
    /// The tool failed for another reason than a lock.
    Failed(ToolFailure),
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
pub async fn change(session: &Session<'_>, change: &Change<'_>) -> Result<ChangeResult, Failure> {
    let started = Instant::now();
    let until = started + session.section.deadline.get();
    let mut made = ChangeResult {
        end: ChangeEnd::Interrupted,
        truth: None,
        attempts: 0,
        took: Duration::ZERO,
        longest_wait: 0,
        is_unseen: false,
        is_blocked: false,
    };
    made.end = attempts(session, change, until, &mut made).await?;
    made.took = started.elapsed();
    Ok(made)
}

async fn attempts(
    session: &Session<'_>,
    change: &Change<'_>,
    until: Instant,
    made: &mut ChangeResult,
) -> Result<ChangeEnd, Failure> {
    let name = format!("{NAME} {}", change.token);
    if let Some(end) = orphans(session, until).await {
        return Ok(end);
    }
    let mut why = "no attempt fitted into the deadline".to_owned();
    let mut before: Option<SchemaState> = None;
    let mut took = Duration::ZERO;
    loop {
        let truth = match session.truth_within(patience(until)).await {
            Ok(truth) => truth,
            Err(unknown) => return Ok(ChangeEnd::Unknown(unknown)),
        };
        let before = before.get_or_insert_with(|| truth.clone());
        let truth = match remove_leftovers(session, before, truth, until).await? {
            Ok(truth) => truth,
            Err(unknown) => return Ok(ChangeEnd::Unknown(unknown)),
        };
        let reading = truth.reading.clone();
        let is_left = !invalid_since(before, &truth).is_empty();
        made.truth = Some(truth);
        if is_left {
            // The tool would find that the index exists, and take it for done.
            why = "an invalid index that was cut off could not be dropped".to_owned();
            if time_left(until) < MIN_ATTEMPT_TIME {
                return Ok(ChangeEnd::Late(why));
            }
            pause(session, until).await;
            continue;
        }
        if (change.is_made)(&reading) {
            return Ok(ChangeEnd::Done);
        }
        if !reading.is_clean() {
            return Ok(ChangeEnd::Failed(why.into()));
        }
        // One that took longer than what is left would not be done this time.
        if time_left(until) < took.max(session.section.lock_timeout.get()) + MIN_ATTEMPT_TIME {
            return Ok(ChangeEnd::Late(why));
        }
        made.attempts += 1;
        let (seen, began) = (RefCell::default(), Instant::now());
        let commands = (change.commands)(&reading);
        let ended = attempt(session, &commands, &name, until, &seen).await?;
        let seen = seen.into_inner();
        made.note(session, &seen);
        took = began.elapsed();
        made.is_blocked = ended.as_ref().is_some_and(|end| is_about_locks(&seen, end));
        if !ended.as_ref().is_some_and(|end| end.is_success) {
            settle(session, &name, &seen).await;
        }
        let is_over = time_left(until) <= MIN_ATTEMPT_TIME;
        match ended {
            None => {
                let now = session.truth().await.ok();
                made.truth = match now {
                    Some(now) => remove_leftovers(session, before, now, until).await?.ok(),
                    None => None,
                };
                return Ok(ChangeEnd::Interrupted);
            }
            Some(end) if end.is_success => {
                let told = end.failure.told;
                // The tables tell whether it was.
                why = format!(
                    "the tool ended with exit status 0, and its tables do not show it: {told}"
                );
                return after(session, change, made, (before, why.into()), until).await;
            }
            Some(end) if end.is_late || is_over => {
                let statement = seen.statement.unwrap_or(end.failure.told);
                why = format!("the statement was not done in time: {statement}");
            }
            Some(_) if made.is_blocked => {
                why = blocked(session, seen);
                let progress = &session.job.progress;
                progress.show(&format!("attempt {}: {why}", made.attempts));
                pause(session, until).await;
            }
            Some(end) => return after(session, change, made, (before, end.failure), until).await,
        }
        if session.job.interrupt.caught().is_some() {
            return Ok(ChangeEnd::Interrupted);
        }
    }
}

fn time_left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

/// How long a server that does not answer is asked again.
fn patience(until: Instant) -> Duration {
    time_left(until).clamp(MIN_ATTEMPT_TIME * 4, RESTART)
}

impl ChangeResult {
    fn note(&mut self, session: &Session<'_>, seen: &AttemptFacts) {
        let by_end = matches!(session.database.address.host, Host::Name(_));
        let is_known = session.place == Place::Here && by_end;
        let is_asked = session.system() == System::Postgres;
        self.is_unseen = is_asked && !is_known && seen.workers.is_empty();
        self.longest_wait = self.longest_wait.max(seen.longest);
    }
}

/// Why an attempt did not get its locks.
fn blocked(session: &Session<'_>, seen: AttemptFacts) -> String {
    let section = session.section;
    let statement = seen.statement.unwrap_or_default();
    if seen.cancelled > 0 {
        let most = model::text::span(section.max_blocking().get());
        format!("others would have waited longer than {most}: {statement}")
    } else {
        let most = model::text::span(section.lock_timeout.get());
        format!("a lock was not had within {most}: {statement}")
    }
}

/// What came of an attempt that is the last one, and what it said of it.
async fn after(
    session: &Session<'_>,
    change: &Change<'_>,
    made: &mut ChangeResult,
    (before, failure): (&SchemaState, ToolFailure),
    until: Instant,
) -> Result<ChangeEnd, Failure> {
    let truth = match session.truth_within(patience(until)).await {
        Ok(truth) => remove_leftovers(session, before, truth, until).await?,
        Err(unknown) => Err(unknown),
    };
    Ok(match truth {
        Ok(truth) => {
            let is_made = (change.is_made)(&truth.reading);
            made.truth = Some(truth);
            if is_made {
                ChangeEnd::Done
            } else {
                ChangeEnd::Failed(failure)
            }
        }
        Err(unknown) => {
            made.truth = None;
            ChangeEnd::Unknown(unknown)
        }
    })
}

/// The indexes that became invalid meanwhile.
fn invalid_since<'t>(before: &SchemaState, now: &'t SchemaState) -> Vec<&'t InvalidIndex> {
    let indexes = now.invalid.iter();
    indexes
        .filter(|index| !before.invalid.contains(index))
        .collect()
}

/// Removes the leftovers of our interrupted attempt, which would make the next one fail: an invalid
/// index, of which the next would say that it exists, and the tool's own lock. What was there before is not
/// ours. Returns what is true then.
async fn remove_leftovers(
    session: &Session<'_>,
    before: &SchemaState,
    now: SchemaState,
    until: Instant,
) -> Result<Result<SchemaState, Box<Outcome>>, Failure> {
    let indexes = invalid_since(before, &now);
    let is_locked = now.is_locked() && !before.is_locked();
    if indexes.is_empty() && !is_locked {
        return Ok(Ok(now));
    }
    drop_invalid(session, &indexes, until).await;
    if let Some(command) = session.tool.unlock().filter(|_| is_locked) {
        let call = Call {
            command: &command,
            limits: &Settings::default(),
            name: "deploy-guard",
            url: None,
            timeout: time_left(until).max(SETTLE),
        };
        let end = session.call(call).await?;
        if !end.is_success {
            tracing::warn!("the tool's lock was not released: {}", end.failure.told);
        }
    }
    Ok(session.truth_within(patience(until)).await)
}

/// Waits until nothing of an attempt works any more. Its processes were ended; the server goes on with a
/// statement whose client is gone, and would commit one that is a transaction of its own.
async fn settle(session: &Session<'_>, name: &str, seen: &AttemptFacts) {
    let until = Instant::now() + SETTLE;
    loop {
        let mut left = usize::from(session.has_workers().await);
        let ended = async {
            match session.system() {
                System::Postgres => {
                    let postgres = session.database.postgres().await?;
                    pg_facts::terminate_ours(&postgres, name, &seen.workers).await
                }
                System::MySql => mysql_watcher::end(session, &seen.threads).await,
            }
        };
        match ended.await {
            Ok(ended) => left += ended,
            Err(error) => {
                tracing::warn!("whether the attempt has ended at the server is not known: {error}");
                return;
            }
        }
        if left == 0 {
            return;
        }
        if Instant::now() >= until {
            tracing::warn!("something of the attempt still works");
            return;
        }
        tokio::time::sleep(ORPHAN / 4).await;
    }
}

/// All commands, one after another, until one fails; `None` where a signal came.
async fn attempt(
    session: &Session<'_>,
    commands: &[Command],
    name: &str,
    until: Instant,
    seen: &RefCell<AttemptFacts>,
) -> Result<Option<ToolEnd>, Failure> {
    let section = session.section;
    let working = async {
        let mut last = ToolEnd {
            is_success: true,
            is_late: false,
            failure: "there was nothing to call".to_owned().into(),
        };
        for command in commands {
            // What is left of it is ended within the deadline, too.
            let left = time_left(until).saturating_sub(MIN_ATTEMPT_TIME);
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
    let say = |line: &str| session.job.progress.show(line);
    let watching = async {
        match session.system() {
            System::Postgres => watcher::watch(session, name, seen, say).await,
            System::MySql => mysql_watcher::watch(session, name, seen).await,
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
fn is_about_locks(seen: &AttemptFacts, end: &ToolEnd) -> bool {
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
    seen.cancelled > 0
        || seen.was_waiting
        || SAID.iter().any(|said| end.failure.told.contains(said))
}

/// Pauses between half and one and a half times as long as configured, so that two that wait for one another
/// do not meet again.
async fn pause(session: &Session<'_>, until: Instant) {
    let pause = session.section.retry_pause.get();
    let pause = pause.mul_f64(rand::rng().random_range(0.5..1.5));
    tokio::select! {
        () = tokio::time::sleep(pause.min(time_left(until))) => {}
        _ = session.job.interrupt.wait() => {}
    }
}

/// Waits until the tool of a run that is gone has ended: it was killed, and its tool was not.
async fn orphans(session: &Session<'_>, until: Instant) -> Option<ChangeEnd> {
    let looking = async {
        let postgres = match session.system() {
            System::Postgres => Some(session.database.postgres().await?),
            System::MySql => None,
        };
        loop {
            let sessions = match &postgres {
                Some(postgres) => pg_facts::sessions_named(postgres, NAME).await?,
                None => Vec::new(),
            };
            let told = match sessions.first() {
                Some((process, _)) => format!("process {process} of the database"),
                // Before its tool is connected, and between two connections.
                None if session.has_workers().await => "the tool".to_owned(),
                None => return Ok(None),
            };
            let told = format!("{told} still works for a run that is gone");
            session.job.progress.show(&told);
            if Instant::now() >= until {
                return Ok(Some(ChangeEnd::Late(told)));
            }
            tokio::time::sleep(ORPHAN).await;
        }
    };
    tokio::select! {
        found = looking => found.unwrap_or_else(|error: database::Error| {
            Some(ChangeEnd::Late(format!("whether an earlier run still works is not known: {error}")))
        }),
        _ = session.job.interrupt.wait() => Some(ChangeEnd::Interrupted),
    }
}

async fn drop_invalid(session: &Session<'_>, indexes: &[&InvalidIndex], until: Instant) {
    if indexes.is_empty() {
        return;
    }
    // A concurrent drop waits for every transaction that may use the index, and only another change of
    // the table waits for it.
    let limit = time_left(until).max(MIN_ATTEMPT_TIME);
    let mut database = session.database.clone();
    database.timeout = limit + SETTLE;
    let Ok(postgres) = database.postgres().await else {
        return;
    };
    for index in indexes {
        let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", index.name);
        let dropped = async {
            let limit = limit.as_millis();
            let limit = format!("SET statement_timeout = {limit}");
            postgres.rows(&limit).await?;
            postgres.rows(&sql).await
        };
        if let Err(error) = dropped.await {
            tracing::warn!("the invalid index {} was not dropped: {error}", index.name);
        }
    }
}
