//! What the state has of the schema.

use cli::Failure;
use jiff::Timestamp;
use model::Outcome;
use state::{DatabaseSchema, Document, Forced, Lease, SchemaChange};

use crate::session::Session;
use crate::truth::SchemaState;

/// A change to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'r> {
    pub release: Option<&'r str>,
    /// The revision before.
    pub previous: Option<&'r str>,
    pub is_compatible: bool,
    pub works_with: &'r [String],
    /// The safety rules that were lifted for it.
    pub forced: &'r [Forced],
}

/// Records what the tables say. A database without any migration has no revision to record.
pub async fn record(
    session: &Session<'_>,
    lease: &Lease,
    truth: &SchemaState,
    recorded: Recorded<'_>,
) -> Result<Option<Outcome>, Failure> {
    let Some(revision) = truth.revision() else {
        return Ok(None);
    };
    let Recorded {
        release,
        previous,
        is_compatible,
        works_with,
        forced,
    } = recorded;
    let job = session.job;
    let now = DatabaseSchema {
        revision: revision.clone(),
        previous: previous.map(str::to_owned),
        at: Timestamp::now(),
        release: release.map(str::to_owned),
        run: job.run_name(),
        by: job.actor(),
        forced: forced.to_vec(),
    };
    let written = session
        .store
        .update(Some(lease), |document: &mut Document| {
            document.service = job.service().or(document.service.take());
            document.environment = job.environment.clone().or(document.environment.take());
            document.migrated(SchemaChange {
                now: now.clone(),
                is_compatible,
                works_with,
            });
            let fit = document
                .history
                .iter()
                .filter(|entry| entry.works_with(&revision));
            Ok(fit.map(|entry| entry.release.clone()).collect::<Vec<_>>())
        });
    let fit = written.await?;
    let fit = match &fit[..] {
        [] => "no recorded release is known to work with it".to_owned(),
        fit => format!(
            "works with {}",
            fit.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
        ),
    };
    Ok(Some(
        Outcome::pass("migrate/recorded", session.store.place())
            .actual(format!("schema {revision}; {fit}")),
    ))
}

/// Whether the state has this already.
pub fn is_recorded(document: Option<&Document>, truth: &SchemaState) -> bool {
    let recorded = document.and_then(|document| document.database.as_ref());
    recorded.map(|database| &database.revision) == truth.revision().as_ref()
}
