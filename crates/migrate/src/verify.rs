//! Whether the service is healthy after its schema was changed.

use cli::{Failure, Job, Selection};
use config::file::Healthgate;
use migrator::Session;
use model::Outcome;

/// Asks the probes of `migrate.verify`. Whichever release runs may answer: the new one is not deployed yet.
pub(crate) async fn verified(session: &Session<'_>) -> Result<Vec<Outcome>, Failure> {
    let wanted = &session.section.verify;
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let gate = gate(session)?;
    let job = Job {
        only: Selection::new(wanted.clone(), Vec::new()),
        release: None,
        ..session.job.clone()
    };
    let watched = watch::watch(&job, &gate, &watch::Settings::default()).await?;
    let mut outcomes = watched.outcomes;
    for outcome in &mut outcomes {
        outcome.id = format!("verify/{}", outcome.id).into();
    }
    if outcomes.is_empty() {
        return Err(unknown(wanted));
    }
    Ok(outcomes)
}

/// Checks that a gate is configured before anything is changed.
pub(crate) fn check_gate_configured(session: &Session<'_>) -> Result<(), Failure> {
    if !session.section.verify.is_empty() {
        gate(session)?;
    }
    Ok(())
}

fn gate(session: &Session<'_>) -> Result<Healthgate, Failure> {
    let wanted = &session.section.verify;
    let Some(gate) = session.job.config.healthgate_of_any()? else {
        return Err(unknown(wanted));
    };
    let mut gate = gate.clone();
    gate.canary = None;
    Ok(gate)
}

fn unknown(wanted: &[String]) -> Failure {
    Failure::usage(format!(
        "`migrate.verify` names no probe that there is: {}",
        wanted.join(", ")
    ))
    .hint("write a probe's id, such as `http/ready`: `healthgate --explain` lists them")
}
