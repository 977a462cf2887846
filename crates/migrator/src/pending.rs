//! The SQL of what is pending, where the tool's files have it or the tool prints it.

use std::time::Duration;

use migrations::{Pending, Reading, Script, Settings};

use crate::call::Call;
use crate::readiness_error::ReadinessError;
use crate::session::Session;

/// How long a tool may take to print it.
const PRINT: Duration = Duration::from_secs(60);

/// The SQL of each pending migration, in the tool's order.
///
/// # Errors
/// Returns why it cannot be had.
pub(crate) async fn sql(
    session: &Session<'_>,
    reading: &Reading,
) -> Result<Vec<Script>, ReadinessError> {
    let commands = match session.tool.pending_sql(reading) {
        Pending::Scripts(scripts) => return Ok(scripts),
        Pending::Unavailable(reason) => return Err(ReadinessError::NoSql(reason)),
        Pending::Commands(commands) => commands,
    };
    let mut scripts = Vec::new();
    for (revision, command) in &commands {
        let call = Call {
            command,
            limits: &Settings::default(),
            name: "deploy-guard",
            url: None,
            timeout: PRINT,
        };
        let printed = session.printed(call).await;
        let printed = printed.map_err(|failure| ReadinessError::NotPrinted(failure.chain()))?;
        if let Some(each) = session.tool.printed(reading, &printed) {
            scripts.extend(each);
            continue;
        }
        let file = revision
            .as_deref()
            .and_then(|revision| reading.file(revision));
        scripts.push(Script {
            revision: revision.clone().unwrap_or_default(),
            path: file.map_or_else(|| command.text(), |file| file.path.clone()),
            sql: printed,
        });
    }
    Ok(scripts)
}
