//! What the pending migrations do to the releases that ran before, by their SQL.

use database::System;
use ddl::{Setting, StatementEffect, Summary, effects};
use migrations::Reading;

use crate::readiness_error::ReadinessError;
use crate::script::{self, Text};
use crate::server_catalog::ServerCatalog;
use crate::session::Session;

/// What is assumed of a server that does not tell its version.
const SERVER: u32 = 15;

/// What the pending migrations do to the releases that ran before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// They only add.
    Compatible,
    /// They take something away or change its form: each reason is a sentence's end.
    Breaking(Vec<String>),
    /// It is not known, because the SQL cannot be had or is not understood.
    Unknown(String),
}

/// Reads the pending SQL and tells what it does.
pub async fn of_pending(session: &Session<'_>, reading: &Reading) -> Effect {
    if reading.pending.is_empty() {
        return Effect::Compatible;
    }
    if session.system() != System::Postgres {
        return Effect::Unknown(format!(
            "the SQL of {} is not looked at",
            session.system().as_str()
        ));
    }
    let texts = match script::of_pending(session, reading).await {
        Ok(texts) => texts,
        Err(unknown) => return Effect::Unknown(unknown.to_string()),
    };
    let known = match ServerCatalog::read(session).await {
        Ok(known) => known,
        Err(error) => return Effect::Unknown(error.to_string()),
    };
    match of_texts(&texts, &known) {
        Ok(told) => of_statements(&told.into_iter().flatten().collect::<Vec<_>>()),
        Err(unknown) => Effect::Unknown(unknown.to_string()),
    }
}

/// The effects of each text's statements, one text after another, without those on the tool's own
/// tables.
pub fn of_texts(
    texts: &[Text],
    known: &ServerCatalog,
) -> Result<Vec<Vec<StatementEffect>>, ReadinessError> {
    let mut catalog = known.catalog.clone();
    let server = known.server.unwrap_or(SERVER);
    let told = texts.iter().map(|Text { migration, .. }| {
        let transaction = migration.transaction;
        let setting = Setting {
            transaction,
            server,
        };
        let told = effects(&migration.sql, setting, &mut catalog);
        let told = told.map_err(|unread| ReadinessError::Unread {
            file: migration.file.clone(),
            unread,
        })?;
        let ours = told
            .into_iter()
            .filter(|effect| !migration.is_of_the_tool(effect));
        Ok(ours.collect())
    });
    told.collect()
}

/// Rows that are deleted break no release: the shape stays.
fn of_statements(effects: &[StatementEffect]) -> Effect {
    let summary = Summary::of(effects);
    let reasons: Vec<String> = summary.breaks.iter().map(ToString::to_string).collect();
    if !reasons.is_empty() {
        return Effect::Breaking(reasons);
    }
    match summary.unknown.as_slice() {
        [] => Effect::Compatible,
        unknown => Effect::Unknown(unknown.join("; ")),
    }
}
