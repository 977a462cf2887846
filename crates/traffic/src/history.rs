//! The changes of shares that were made.

use cli::{Failure, Job};
use config::value::Share;
use model::shares::ShareChange;
use model::{Outcome, Report, Table};
use operation::shares::work::TRAFFIC;
use state::journal::{Ending, Event, JournalLine, SharePlan};

use crate::session::Session;

/// Newest first.
pub(crate) async fn history(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let (mut rows, mut changes) = (Vec::new(), Vec::new());
    for (_, lines) in session.store.journals().await?.into_iter().rev() {
        let Some(first) = lines.first() else { continue };
        let Event::Begin {
            destination,
            left,
            operation: Some(operation),
            shares,
            reason,
            ..
        } = &first.event
        else {
            continue;
        };
        if operation != TRAFFIC {
            continue;
        }
        let ending = match lines.last().map(|line| &line.event) {
            Some(Event::End { ending }) => Some(ending),
            _ => None,
        };
        let ended = ending.map_or_else(|| "unfinished".to_owned(), Ending::to_string);
        let reason = reason.clone().or_else(|| {
            let mut failed = failures(&lines);
            if ending == Some(&Ending::ForeignChange) {
                return (!failed.is_empty()).then(|| failed.join("; "));
            }
            failed.pop().map(str::to_owned)
        });
        rows.push(vec![
            format!("{:.0}", first.at),
            left.clone().unwrap_or_default(),
            destination.clone(),
            ended.clone(),
            reason.clone().unwrap_or_default(),
        ]);
        let of = |share: fn(&SharePlan) -> Share| Some(share(shares.as_ref()?).fraction());
        changes.push(ShareChange {
            at: first.at,
            from: left.clone(),
            to: destination.clone(),
            release: shares.as_ref().map(|shares| shares.release.clone()),
            stable: shares.as_ref().and_then(|shares| shares.stable.clone()),
            before: of(|shares| shares.before),
            after: of(|shares| shares.after),
            foreign: { shares.iter() }
                .flat_map(|shares| &shares.foreign)
                .map(|(place, share)| (place.clone(), share.map(Share::fraction)))
                .collect(),
            ended,
            reason,
        });
    }
    let outcome = match rows.len() {
        0 => Outcome::pass("history", "").actual("no share was changed yet"),
        count => Outcome::pass("history", "").actual(format!("changes: {count}")),
    };
    let mut report = session.report(vec![outcome]);
    report.share_changes = changes;
    if !rows.is_empty() {
        report.tables.push(Table {
            title: "Changes of shares".to_owned(),
            header: vec!["when", "from", "to", "verdict", "why"],
            rows,
            only_in_summary: false,
        });
    }
    Ok(report)
}

/// Why a change did not take effect at each machine, as its journal has it.
fn failures(lines: &[JournalLine]) -> Vec<&str> {
    let failed = lines.iter().filter_map(|line| match &line.event {
        Event::Failed { reason, .. } => Some(reason.as_str()),
        _ => None,
    });
    failed.collect()
}
