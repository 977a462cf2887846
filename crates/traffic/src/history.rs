//! The changes of shares that were made.

use cli::{Failure, Job};
use model::{Outcome, Report, Table};
use operation::shares::work::TRAFFIC;
use state::journal::Event;

use crate::session::Session;

/// Newest first.
pub(crate) async fn history(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let mut rows = Vec::new();
    for (_, lines) in session.store.journals().await?.into_iter().rev() {
        let Some(first) = lines.first() else { continue };
        let Event::Begin {
            destination,
            left,
            operation: Some(operation),
            ..
        } = &first.event
        else {
            continue;
        };
        if operation != TRAFFIC {
            continue;
        }
        let end = lines.last().map(|line| &line.event);
        let verdict = match end {
            Some(Event::End { ending }) => ending.to_string(),
            _ => "unfinished".to_owned(),
        };
        rows.push(vec![
            format!("{:.0}", first.at),
            left.clone().unwrap_or_default(),
            destination.clone(),
            verdict,
        ]);
    }
    let outcome = match rows.len() {
        0 => Outcome::pass("history", "").actual("no share was changed yet"),
        count => Outcome::pass("history", "").actual(format!("changes: {count}")),
    };
    let mut report = session.report(vec![outcome]);
    if !rows.is_empty() {
        report.tables.push(Table {
            title: "Changes of shares".to_owned(),
            header: vec!["when", "from", "to", "verdict"],
            rows,
            only_in_summary: false,
        });
    }
    Ok(report)
}
