//! What is applied, what is pending and what is wrong.

use cli::{Failure, Job};
use migrator::{MIGRATE, SchemaState, Session};
use model::{Outcome, Report, Table, Verdict};
use state::Document;

use crate::interrupted::Interrupted;

/// Rows of the table: the newest.
const ROWS: usize = 20;

/// Reads everything and changes nothing.
pub(crate) async fn status(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    // The state of a laptop may not exist, or be elsewhere: the database is asked all the same.
    let document = session.read().await;
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => {
            let mut outcomes = vec![*unknown];
            // It may be why the database cannot be asked.
            let unfinished = unfinished(&session).await;
            outcomes.extend(unfinished.map(|one| one.severity(model::Severity::Advisory)));
            return Ok(session.report(outcomes));
        }
    };
    let mut outcomes = truth.outcomes();
    outcomes.extend(recorded(&session, &truth, document).await);
    let mut report = session.report(outcomes);
    report.headline = Some(headline(&session, &truth));
    report.tables.push(table(&truth));
    Ok(report)
}

fn headline(session: &Session<'_>, truth: &SchemaState) -> String {
    let name = session.database.address.database_name();
    let revision = truth.revision();
    let at = revision.as_deref().unwrap_or("nothing");
    let pending = truth.reading.pending.len();
    match (truth.is_at_head(), truth.is_clean()) {
        (true, _) => format!("{name} is at {at}, the head"),
        (false, true) => format!("{name} is at {at}; pending: {pending}"),
        (false, false) => format!("{name} is at {at}, and something is wrong"),
    }
}

/// What the state has of the schema and of a change of it that has not ended.
async fn recorded(
    session: &Session<'_>,
    truth: &SchemaState,
    document: Result<Option<Document>, Failure>,
) -> Vec<Outcome> {
    let place = session.store.place();
    let document = match document {
        Ok(document) => document,
        Err(failure) => {
            return vec![
                Outcome::error("state", place)
                    .severity(model::Severity::Advisory)
                    .reason(failure.chain()),
            ];
        }
    };
    let mut outcomes = Vec::new();
    if let Some(database) = document.and_then(|document| document.database)
        && truth.revision().as_ref() != Some(&database.revision)
    {
        outcomes.push(
            Outcome::inconclusive("state/database", &place)
                .severity(model::Severity::Advisory)
                .expected(format!("{}, as recorded", database.revision))
                .actual(truth.revision().unwrap_or_else(|| "nothing".to_owned()))
                .reason("something other than `migrate` has changed the schema since: `rollback` decides by what is recorded")
                .hint("`migrate run --release RELEASE` records what the tables show"),
        );
    }
    outcomes.extend(unfinished(session).await);
    outcomes
}

async fn unfinished(session: &Session<'_>) -> Option<Outcome> {
    let journal = match session.store.unfinished(MIGRATE).await {
        Ok(journal) => journal?,
        Err(error) => {
            let outcome = Outcome::error("migrate/unfinished", session.store.place());
            let outcome = outcome.severity(model::Severity::Advisory);
            return Some(outcome.reason(error.to_string()));
        }
    };
    let reason = match Interrupted::of(&journal) {
        Some(interrupted) => interrupted.describe_state(session).await,
        None => Ok("a change of the schema has not ended".to_owned()),
    };
    Some(
        Outcome::fail("migrate/unfinished", journal.place())
            .expected("no unfinished change of the schema")
            .actual("one was interrupted, or is running")
            .reason(reason.unwrap_or_else(|failure| failure.chain()))
            .hint("`migrate resume` finishes it; `migrate decide` shows the other ways"),
    )
}

fn table(truth: &SchemaState) -> Table {
    let reading = &truth.reading;
    let mut rows: Vec<Vec<String>> = Vec::new();
    for applied in &reading.applied {
        let file = reading.file(&applied.id);
        rows.push(vec![
            applied.id.clone(),
            file.map_or_else(String::new, |file| file.path.clone()),
            match &applied.at {
                Some(at) => format!("applied {at}"),
                None => "applied".to_owned(),
            },
        ]);
    }
    for pending in reading.pending_files() {
        let row = [&pending.id, &pending.path];
        let mut row: Vec<String> = row.into_iter().cloned().collect();
        row.push("pending".to_owned());
        rows.push(row);
    }
    let older = rows.len().saturating_sub(ROWS);
    rows.drain(..older);
    Table {
        title: "Migrations".to_owned(),
        header: vec!["revision", "file", "state"],
        rows,
        only_in_summary: false,
    }
}

/// What makes a report that nothing was done.
pub(crate) fn nothing(what: &str, told: &str) -> Outcome {
    let outcome = Outcome::new(format!("{what}/nothing"), "", Verdict::Pass);
    outcome.actual(told)
}
