//! `incident report`: what happened, for the people who were not there.

use chronicle::{Incident, incidents, timeline};
use clap::Args;
use cli::{Failure, Job};
use model::report::Written;
use model::{Outcome, Report};

use crate::account::Account;
use crate::session::Session;
use crate::show::clocks;
use crate::{analysis, html, issue, markdown};

#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
    /// The incident [default: the open one, else the newest]
    #[arg(long, value_name = "ID")]
    incident: Option<String>,
    /// Also file it as an issue of GitHub; another call brings the same issue up to date
    #[arg(long)]
    issue: bool,
    /// The repository of the issue [default: that of the workflow]
    #[arg(long, value_name = "OWNER/NAME", requires = "issue")]
    repo: Option<String>,
}

/// The report of one incident. The same log gives the same bytes.
pub(crate) async fn report(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let tracker = flags
        .issue
        .then(|| issue::Tracker::of(job, flags.repo.as_deref()));
    let tracker = tracker.transpose()?;
    let history = session.scribe.history().await?;
    let all = incidents(&history);
    let Some(incident) = chosen(&all, flags.incident.as_deref())? else {
        let place = session.scribe.chronicle.place();
        let outcome = Outcome::fail("incident/report", place)
            .expected("an incident")
            .actual("no incident was ever open")
            .reason("no incident was ever open, so nothing can be reported")
            .hint("`incident open TEXT` opens one");
        // One that was may be in what cannot be read.
        let outcomes = match history.unread() {
            [] => vec![outcome],
            _ => Vec::new(),
        };
        return Ok(session.report_of_whole(outcomes));
    };
    let account = Account::of(&history, incident.clone());
    let id = account.incident.id.to_string();
    let outcome = Outcome::pass(format!("incident/{id}"), "").actual("reported");
    let text = markdown::render(&account);
    let filed = match &tracker {
        Some(tracker) => Some(tracker.file(&account.incident, &text).await),
        None => None,
    };
    let of_incident = timeline(&history, &account.incident).into_iter();
    let clocks = clocks(of_incident.map(|record| &record.event), session.started_at);
    let outcomes = [outcome].into_iter().chain(filed).chain(clocks);
    let mut report = session.report(outcomes.collect());
    report.written = Some(Written {
        text,
        is_markdown: true,
        json: Some(analysis::render(&account)),
        html: Some(html::render(&account)),
    });
    Ok(report)
}

/// # Errors
/// Returns a usage error for an id that the log does not have.
pub(crate) fn chosen<'a>(
    all: &'a [Incident],
    id: Option<&str>,
) -> Result<Option<&'a Incident>, Failure> {
    let Some(id) = id else {
        let open = all.iter().rev().find(|one| one.is_open());
        return Ok(open.or(all.last()));
    };
    match all.iter().find(|one| one.id.as_str() == id) {
        Some(incident) => Ok(Some(incident)),
        None => Err(Failure::usage(format!("no incident `{id}` is in the log"))
            .hint("`incident list` shows their names")),
    }
}
