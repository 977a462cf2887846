//! What a failed migration left: invalid indexes, and a lock of the tool's that nothing holds.

use cli::{Failure, Job};
use database::Error;
use migrations::{Command, FindingKind, Settings};
use migrator::{Call, SchemaState, Session};
use model::{Outcome, Report};
use state::{Document, Lease};

use crate::status::nothing;

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Flags {}

/// Something that is left over, and what removes it.
enum Leftover {
    /// By a statement of ours.
    Index { name: String, sql: String },
    /// By the tool's own command.
    Lock(Command),
}

impl Leftover {
    fn id(&self) -> String {
        match self {
            Leftover::Index { name, .. } => format!("repair/{name}"),
            Leftover::Lock(_) => "repair/lock".to_owned(),
        }
    }

    fn describe(&self) -> String {
        match self {
            Leftover::Index { sql, .. } => format!("`{sql}`"),
            Leftover::Lock(command) => format!("`{}`", command.text()),
        }
    }
}

/// Removes what can be removed without a loss.
pub(crate) async fn repair(job: &Job, _: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    let left = leftovers(&session, &truth);
    if left.is_empty() {
        return Ok(session.report(vec![nothing("repair", "nothing to repair")]));
    }
    if job.dry_run {
        let would = left.iter().map(|one| {
            let reason = format!("dry run: would run {}", one.describe());
            Outcome::skipped(one.id(), "", reason)
        });
        return Ok(session.report(would.collect()));
    }
    let working = async |_: &Lease, _: &Document| Box::pin(repair_with_lease(&session)).await;
    session.under_lease(working).await
}

/// With the lease held.
async fn repair_with_lease(session: &Session<'_>) -> Result<Report, Failure> {
    // What a run builds at this moment is not left over.
    let lock = match session.lock().await? {
        Ok(lock) => lock,
        Err(refused) => return Ok(session.report(vec![*refused])),
    };
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    let mut outcomes = Vec::new();
    let mut told = Vec::new();
    for left in leftovers(session, &truth) {
        let removed = match &left {
            Leftover::Index { sql, .. } => execute(session, sql)
                .await
                .map_err(|error| error.to_string()),
            Leftover::Lock(command) => unlock(session, command).await,
        };
        told.push((left, removed));
    }
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    drop(lock);
    let still: Vec<String> = leftovers(session, &truth)
        .iter()
        .map(Leftover::id)
        .collect();
    for (left, removed) in told {
        let id = left.id();
        outcomes.push(match removed {
            Ok(()) if !still.contains(&id) => Outcome::pass(id, "").actual(left.describe()),
            Ok(()) => unrepaired(&left, "it is still there afterwards".to_owned()),
            Err(reason) => unrepaired(&left, reason),
        });
    }
    Ok(session.report(outcomes))
}

fn unrepaired(left: &Leftover, reason: String) -> Outcome {
    Outcome::fail(left.id(), "")
        .expected(left.describe())
        .reason(reason)
        .hint("run it by hand, as the owner of the table")
}

async fn execute(session: &Session<'_>, sql: &str) -> Result<(), Error> {
    let mut database = session.database.clone();
    // A concurrent drop waits for every transaction that may use the index.
    database.timeout = session.section.deadline.get();
    let postgres = database.postgres().await?;
    let limit = session.section.lock_timeout.get().as_millis();
    postgres
        .rows(&format!("SET lock_timeout = {limit}"))
        .await?;
    postgres.rows(sql).await.map(drop)
}

async fn unlock(session: &Session<'_>, command: &Command) -> Result<(), String> {
    let call = Call {
        command,
        limits: &Settings::default(),
        name: "deploy-guard",
        url: None,
        timeout: session.section.deadline.get(),
    };
    let end = session
        .call(call)
        .await
        .map_err(|failure| failure.chain())?;
    if end.is_success {
        Ok(())
    } else {
        Err(end.failure.told)
    }
}

fn leftovers(session: &Session<'_>, truth: &SchemaState) -> Vec<Leftover> {
    let indexes = truth.invalid.iter().map(|index| Leftover::Index {
        name: index.name.clone(),
        sql: format!("DROP INDEX CONCURRENTLY IF EXISTS {}", index.name),
    });
    let mut findings = truth.reading.findings.iter();
    let is_locked = findings.any(|finding| matches!(finding.kind, FindingKind::Locked { .. }));
    let lock = session
        .tool
        .unlock()
        .filter(|_| is_locked)
        .map(Leftover::Lock);
    indexes.chain(lock).collect()
}
