//! The pending SQL, statement by statement, before it runs.

use cli::{Failure, Job};
use database::System;
use ddl::{StatementEffect, Summary, Work};
use migrator::Session;
use model::{Outcome, Report, Severity, Table};

use crate::lint::unavailable;
use crate::status::nothing;
use migrator::ServerCatalog;
use migrator::effect;
use migrator::script::{self, Text};

/// Shows what is pending and changes nothing.
pub(crate) async fn plan(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    let mut outcomes = truth.wrong();
    if truth.reading.pending.is_empty() {
        outcomes.push(nothing("plan", "nothing is pending"));
        return Ok(session.report(outcomes));
    }
    let texts = match script::of_pending(&session, &truth.reading).await {
        Ok(texts) => texts,
        Err(unknown) => {
            outcomes.push(unavailable(&unknown.to_string()));
            return Ok(session.report(outcomes));
        }
    };
    if session.system() != System::Postgres {
        let reason = format!(
            "what the SQL of {} locks is not known",
            session.system().as_str()
        );
        outcomes.push(unavailable(&reason));
        return Ok(session.report(outcomes));
    }
    let known = ServerCatalog::read(&session).await;
    let known = known.map_err(|error| Failure::error(error.to_string()))?;
    let told = match effect::of_texts(&texts, &known) {
        Ok(told) => told,
        Err(unknown) => {
            outcomes.push(unavailable(&unknown.to_string()));
            return Ok(session.report(outcomes));
        }
    };
    let mut table = Table {
        title: "Statements".to_owned(),
        header: vec!["where", "statement", "locks", "rows"],
        rows: Vec::new(),
        only_in_summary: false,
    };
    for (text, effects) in texts.iter().zip(&told) {
        outcomes.push(outcome(text, effects));
        table
            .rows
            .extend(effects.iter().map(|effect| row(text, effect, &known)));
    }
    let mut report = session.report(outcomes);
    report.tables.push(table);
    Ok(report)
}

fn outcome(text: &Text, effects: &[StatementEffect]) -> Outcome {
    let summary = Summary::of(effects);
    let file = &text.migration.file;
    let lock = summary.strongest.map_or("no lock", ddl::LockMode::name);
    let told = format!(
        "statements: {}; {}; strongest lock on what others use: {lock}; {}",
        effects.len(),
        summary.class,
        summary.work
    );
    let id = format!("plan/{}", file.rsplit('/').next().unwrap_or_default());
    let mut reasons: Vec<String> = summary.breaks.iter().map(ToString::to_string).collect();
    reasons.extend(
        summary
            .destroys
            .iter()
            .map(|part| format!("the data of {part} are lost")),
    );
    reasons.extend(summary.restricts);
    let outcome = if summary.unknown.is_empty() {
        Outcome::pass(id, file)
    } else {
        reasons.extend(summary.unknown);
        Outcome::inconclusive(id, file).severity(Severity::Advisory)
    };
    let outcome = outcome.actual(told);
    match reasons.as_slice() {
        [] => outcome,
        reasons => outcome.reason(reasons.join("; ")),
    }
}

fn row(text: &Text, effect: &StatementEffect, known: &ServerCatalog) -> Vec<String> {
    let locks = effect.touched.iter().map(|touched| {
        let lock = touched.lock.map_or("none", ddl::LockMode::name);
        let new = if touched.fresh { " (new)" } else { "" };
        let work = match touched.work {
            Work::None => String::new(),
            work => format!(", {work}"),
        };
        format!("{}{new}: {lock}{work}", touched.relation)
    });
    let mut locks: Vec<String> = locks.collect();
    locks.extend(
        effect
            .unknown
            .as_ref()
            .map(|why| format!("not known: {why}")),
    );
    let heavy = effect
        .touched
        .iter()
        .filter(|touched| touched.work > Work::None && !touched.fresh);
    let rows = heavy.map(|touched| match known.rows(&touched.relation) {
        Some(rows) => format!("{}: about {rows}", touched.relation),
        None => format!("{}: never counted", touched.relation),
    });
    vec![
        text.spot(effect.place).told,
        effect.text.clone(),
        locks.join("; "),
        rows.collect::<Vec<_>>().join("; "),
    ]
}
