//! What a failed migration left: invalid indexes, and a lock of the tool's that nothing holds.

use cli::{Failure, Job};
use database::{Connection, Error};
use migrator::{Session, Truth};
use model::{Outcome, Report, Verdict};
use state::Lease;

use crate::status::nothing;

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Flags {}

/// Removes what can be removed without a loss.
pub(crate) async fn repair(job: &Job, _: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    if job.dry_run || leftovers(&truth).is_empty() {
        let mut outcomes: Vec<Outcome> = leftovers(&truth)
            .into_iter()
            .map(|(id, sql)| Outcome::skipped(id, "", format!("dry run: would run `{sql}`")))
            .collect();
        if outcomes.is_empty() {
            outcomes.push(nothing("repair", "nothing to repair"));
        }
        return Ok(session.report(outcomes));
    }
    let (lease, _) = session.acquire().await?;
    let ended = Box::pin(under(&session, &lease)).await;
    session.ended(&lease, ended).await
}

async fn under(session: &Session<'_>, _: &Lease) -> Result<Report, Failure> {
    // Whoever has the lock works, and what it builds is not left over.
    let lock = match session.lock().await? {
        Ok(lock) => lock,
        Err(refused) => return Ok(session.report(vec![*refused])),
    };
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    let mut outcomes = Vec::new();
    for (id, sql) in leftovers(&truth) {
        let outcome = Outcome::new(id, "", Verdict::Pass);
        outcomes.push(match execute(session, &sql).await {
            Ok(()) => outcome.actual(format!("`{sql}`")),
            Err(error) => Outcome::fail(outcome.id, "")
                .expected(format!("`{sql}`"))
                .reason(error.to_string())
                .hint("run it by hand as the owner of the table"),
        });
    }
    drop(lock);
    Ok(session.report(outcomes))
}

async fn execute(session: &Session<'_>, sql: &str) -> Result<(), Error> {
    use database::Ask as _;
    let mut database = session.database.clone();
    // A concurrent drop waits for every transaction that may use the index.
    database.timeout = session.section.deadline.get();
    let mut connection = database.connect().await?;
    if let Connection::Postgres(postgres) = &connection {
        let limit = session.section.lock_timeout.get().as_millis();
        postgres
            .rows(&format!("SET lock_timeout = {limit}"))
            .await?;
    }
    connection.rows(sql).await.map(drop)
}

/// What is left over, by its outcome's id, and the statement that removes it.
fn leftovers(truth: &Truth) -> Vec<(String, String)> {
    let indexes = truth.invalid.iter().map(|index| {
        let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", index.name);
        (format!("repair/{}", index.name), sql)
    });
    indexes.collect()
}
