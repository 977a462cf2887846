//! The report of an incident as Markdown, in the shape of the well-known post-mortem templates.

use std::fmt::Write as _;

use actions::summary::markdown;
use chronicle::{Evidence, Slice};
use jiff::Timestamp;
use model::text::percent_of;

use crate::account::{ACTIONS, Account, QUESTIONS, Row, known};

/// A name in a cell, and a text, in characters.
const NAME: usize = 300;
const TEXT: usize = 4000;

fn cell(text: &str) -> String {
    markdown(text, NAME)
}

fn long_cell(text: &str) -> String {
    markdown(text, TEXT)
}

/// A point in time, to the second, in UTC.
pub(crate) fn utc(at: Timestamp) -> String {
    at.strftime("%F %T").to_string()
}

/// The columns of what the bad release served, part by part.
pub(crate) const PARTS: [&str; 5] = [
    "from (UTC)",
    "requests",
    "failed",
    "failed share",
    "share of all",
];

/// A row of them.
pub(crate) fn part(slice: &Slice) -> [String; 5] {
    let of = |part, of| percent_of(part, of).unwrap_or_else(|| "–".to_owned());
    let of_all = slice.of_all.map(|all| of(slice.total, all));
    [
        utc(slice.from),
        slice.total.to_string(),
        slice.failed.to_string(),
        of(slice.failed, slice.total),
        of_all.unwrap_or_else(|| "unknown".to_owned()),
    ]
}

/// The report.
pub(crate) fn render(account: &Account) -> String {
    let incident = &account.incident;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "# Incident {}: {}\n",
        incident.id,
        cell(&incident.text)
    );
    facts(&mut text, account);
    let _ = writeln!(text, "## Summary\n\n{}\n", long_cell(&incident.text));
    if let Some(end) = &incident.resolution {
        let _ = writeln!(text, "Resolved: {}\n", long_cell(&end.text));
    }
    impact(&mut text, account);
    let _ = writeln!(
        text,
        "## Timeline (UTC)\n\n| time | event | by | evidence |\n| --- | --- | --- | --- |"
    );
    for row in &account.timeline {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            utc(row.at),
            long_cell(&row.what),
            cell(&row.by),
            evidence(row)
        );
    }
    for caution in account.cautions() {
        let _ = writeln!(text, "\n{}", long_cell(&caution));
    }
    times(&mut text, account);
    text.push_str("\n## Cause\n\n");
    for finding in &account.findings {
        let _ = writeln!(text, "- {}", long_cell(finding));
    }
    if account.findings.is_empty() {
        text.push_str("No stage reported a failure. Add the cause by hand.\n");
    }
    text.push_str("\n## Resolution\n\n");
    match &incident.resolution {
        Some(end) => {
            let _ = writeln!(
                text,
                "{}, by {}{}",
                long_cell(&end.text),
                cell(&end.by.actor),
                end.serving
                    .as_ref()
                    .map(|serving| format!("; {} serves", cell(serving)))
                    .unwrap_or_default()
            );
            for (label, said) in [
                ("Fix required", &end.fix),
                ("Redeployment", &end.redeployment),
            ] {
                if let Some(said) = said {
                    let _ = writeln!(text, "\n{label}: {}", long_cell(said));
                }
            }
        }
        None => text.push_str("The incident is open.\n"),
    }
    text.push_str("\n## Questions\n\n");
    for question in QUESTIONS {
        let _ = writeln!(text, "- {question}");
    }
    text.push_str("\n## Action items\n\n");
    for action in ACTIONS {
        let _ = writeln!(text, "- [ ] {action}");
    }
    text.push_str("\n## Messages\n\n");
    for (at, message) in &account.updates {
        let _ = writeln!(text, "- {}: {}", utc(*at), long_cell(message));
    }
    text
}

fn facts(text: &mut String, account: &Account) {
    let incident = &account.incident;
    let subject = &incident.subject;
    let or = |name: &Option<String>| {
        name.as_ref()
            .map_or_else(|| "unknown".to_owned(), |name| cell(name))
    };
    let state = match &incident.resolution {
        Some(end) => format!("resolved at {}", utc(end.at)),
        None => format!("open, {}", incident.phase.word()),
    };
    let mut severity = format!("{}: {}", incident.worst, cell(&incident.worst_why));
    if incident.severity != incident.worst {
        let _ = write!(
            severity,
            "; then {}: {}",
            incident.severity,
            cell(&incident.why)
        );
    }
    text.push_str("| | |\n| --- | --- |\n");
    for (name, value) in [
        ("service", or(&subject.service)),
        ("environment", or(&subject.environment)),
        ("release", or(&subject.release)),
        ("deployment", or(&subject.deployment)),
        ("severity", severity),
        (
            "opened",
            format!(
                "{} by {}",
                utc(incident.opened),
                cell(&incident.opened_by.actor)
            ),
        ),
        ("state", state),
        ("duration", account.lasted()),
    ] {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text.push('\n');
}

fn impact(text: &mut String, account: &Account) {
    let incident = &account.incident;
    let stage = incident
        .failed_stage
        .as_ref()
        .map_or_else(|| "unknown".to_owned(), |stage| cell(stage));
    let _ = writeln!(
        text,
        "## Impact and exposure\n\n- Users: {}\n- Served by the bad release: {}\n- Failed stage: {stage}\n",
        incident.impact.word(),
        long_cell(&account.exposure.to_string()),
    );
    over_time(text, account);
}

/// What the bad release served, part by part.
fn over_time(text: &mut String, account: &Account) {
    let exposure = account.exposure.known.as_ref();
    let parts = exposure.map_or(&[][..], |exposure| &exposure.over_time);
    // One part is told by the sum.
    if parts.len() < 2 {
        return;
    }
    let _ = writeln!(
        text,
        "| {} |\n|{}",
        PARTS.join(" | "),
        " --- |".repeat(PARTS.len())
    );
    for slice in parts {
        let _ = writeln!(text, "| {} |", part(slice).join(" | "));
    }
    text.push('\n');
}

fn times(text: &mut String, account: &Account) {
    let times = &account.times;
    text.push_str("\n## Times\n\n| | |\n| --- | --- |\n");
    for (name, time) in [
        ("detection: deployment → first evidence", times.detection),
        ("response: opened → a person acted", times.response),
        ("recovery: first evidence → restored", times.recovery),
    ] {
        let _ = writeln!(text, "| {name} | {} |", known(time));
    }
}

/// What shows that a row is true: links first, and always its line in the log.
fn evidence(row: &Row) -> String {
    let shown = row.evidence.iter().map(|one| match one {
        Evidence::Url(url) => match link(url) {
            Some(url) => format!("[run]({url})"),
            None => cell(url),
        },
        Evidence::Report(place) => format!("report {}", cell(place)),
        Evidence::Journal(place) => format!("journal {}", cell(place)),
    });
    let log = std::iter::once(cell(&row.place));
    shown.chain(log).collect::<Vec<_>>().join(", ")
}

/// An address that nothing can end early. Only the run's own page is linked: it was made of the runner's variables.
fn link(url: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#@!$&'*+,;=%".contains(c);
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    (is_web && url.chars().all(plain)).then_some(url)
}
