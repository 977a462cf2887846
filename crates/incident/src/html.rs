//! The report of an incident as one page that needs nothing else.

use chronicle::Evidence;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use model::text::plain as shown;
use sections::incident::Severity;

use crate::account::{ACTIONS, Account, QUESTIONS, Row, known};
use crate::markdown::{PARTS, part, utc};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid #d0d7de}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #d8dee4}
td{white-space:pre-line;overflow-wrap:anywhere}th{width:14rem;font-weight:600}thead th{width:auto}td.at{white-space:nowrap;font-variant-numeric:tabular-nums}
.severity{display:inline-block;padding:0 .5rem;border-radius:1rem;color:#fff;background:#57606a}
.critical{background:#a40e26}.high{background:#bc4c00}.medium{background:#7d4e00}.low{background:#57606a}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,td,h2{border-color:#30363d}a{color:#58a6ff}}";

/// The page.
pub(crate) fn render(account: &Account) -> String {
    let incident = &account.incident;
    let title = format!("Incident {}", incident.id);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Nothing that was written into the log could load or send anything.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) ": " (shown(&incident.text)) }
                    p { (severity(incident.worst, &incident.worst_why)) }
                    @if incident.severity != incident.worst {
                        p { "then " (severity(incident.severity, &incident.why)) }
                    }
                    (facts(account))
                }
                main {
                    h2 { "Summary" }
                    p { (shown(&incident.text)) }
                    @if let Some(end) = &incident.resolution { p { "Resolved: " (shown(&end.text)) } }
                    (exposure(account))
                    (timeline(&account.timeline))
                    @for caution in account.cautions() { p { (shown(&caution)) } }
                    h2 { "Times" }
                    (pairs(&[
                        ("detection: deployment → first evidence", known(account.times.detection)),
                        ("response: opened → a person acted", known(account.times.response)),
                        ("recovery: first evidence → restored", known(account.times.recovery)),
                    ]))
                    h2 { "Cause" }
                    @if account.findings.is_empty() {
                        p { "No stage reported a failure. Add the cause by hand." }
                    } @else {
                        ul { @for finding in &account.findings { li { (shown(finding)) } } }
                    }
                    h2 { "Resolution" }
                    @match &incident.resolution {
                        Some(end) => {
                            p {
                                (shown(&end.text)) ", by " (shown(&end.by.actor))
                                @if let Some(serving) = &end.serving { "; " (shown(serving)) " serves" }
                            }
                            @if let Some(fix) = &end.fix { p { "Fix required: " (shown(fix)) } }
                            @if let Some(when) = &end.redeployment { p { "Redeployment: " (shown(when)) } }
                        },
                        None => p { "The incident is open." },
                    }
                    h2 { "Questions" }
                    ul { @for question in QUESTIONS { li { (question) } } }
                    h2 { "Action items" }
                    ul { @for action in ACTIONS { li { "☐ " (action) } } }
                    h2 { "Messages" }
                    ul { @for (at, message) in &account.updates { li { (utc(*at)) ": " (shown(message)) } } }
                }
            }
        }
    };
    page.into_string()
}

fn severity(severity: Severity, why: &str) -> Markup {
    let word = severity.word();
    html! { span class={ "severity " (word) } { (word) } " " (shown(why)) }
}

fn facts(account: &Account) -> Markup {
    let incident = &account.incident;
    let subject = &incident.subject;
    let or = |name: &Option<String>| {
        name.as_ref()
            .map_or_else(|| "unknown".to_owned(), |name| shown(name))
    };
    let state = match &incident.resolution {
        Some(end) => format!("resolved at {} UTC", utc(end.at)),
        None => format!("open, {}", incident.phase.word()),
    };
    pairs(&[
        ("service", or(&subject.service)),
        ("environment", or(&subject.environment)),
        ("release", or(&subject.release)),
        ("deployment", or(&subject.deployment)),
        ("opened", format!("{} UTC", utc(incident.opened))),
        ("state", state),
        ("duration", account.lasted()),
        ("users", incident.impact.word().to_owned()),
        (
            "served by the bad release",
            shown(&account.exposure.to_string()),
        ),
        ("failed stage", or(&incident.failed_stage)),
    ])
}

fn pairs(rows: &[(&str, String)]) -> Markup {
    html! { table { tbody { @for (name, value) in rows { tr { th scope="row" { (name) } td { (value) } } } } } }
}

/// What the bad release served, part by part.
fn exposure(account: &Account) -> Markup {
    let Some(exposure) = &account.exposure.known else {
        return html! {};
    };
    html! {
        @if exposure.over_time.len() > 1 {
            h2 { "Served by the bad release" }
            table {
                thead { tr { @for column in PARTS { th scope="col" { (column) } } } }
                tbody { @for slice in &exposure.over_time { tr {
                    @for cell in part(slice) { td { (cell) } }
                } } }
            }
        }
    }
}

fn timeline(rows: &[Row]) -> Markup {
    html! {
        h2 { "Timeline (UTC)" }
        table {
            thead { tr { @for column in ["time", "event", "by", "evidence"] { th scope="col" { (column) } } } }
            tbody { @for row in rows { tr {
                td.at { (utc(row.at)) }
                td { (shown(&row.what)) }
                td { (shown(&row.by)) }
                td { (evidence(row)) }
            } } }
        }
    }
}

fn evidence(row: &Row) -> Markup {
    html! {
        @for one in &row.evidence {
            @match one {
                Evidence::Url(url) if url.starts_with("https://") || url.starts_with("http://") => {
                    a href=(url) rel="noreferrer" { "run" } ", "
                },
                Evidence::Url(url) => { (shown(url)) ", " },
                Evidence::Report(place) => { "report " (shown(place)) ", " },
                Evidence::Journal(place) => { "journal " (shown(place)) ", " },
            }
        }
        (shown(&row.place))
    }
}
