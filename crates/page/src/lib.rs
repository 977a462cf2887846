//! A report as one page that needs nothing else: no network, no file beside it. Without scripts all
//! of it can be read; they only sort the table.
//!
//! The report is redacted before it comes here; maud escapes every text.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod axes;
mod chart;
mod curve;
mod mark;
mod scale;
mod text;
mod timeline;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use model::id::Kind;
use model::outcome::by_weight;
use model::{Measurement, Outcome, Report, Severity, Table, Verdict};

use mark::{class, mark, mark_of};
use text::shown;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// More is not worth unfolding; the JSON report has all.
const DETAILS: usize = 200;

/// The page of a stage's report.
pub fn render(report: &Report) -> String {
    let outcomes = by_weight(&report.outcomes);
    let main = html! {
        (outcome_table(&outcomes))
        (curve::of(&report.curves))
        (timeline::of(report, timeline::Order::Name))
        @for table in &report.tables { (rows(table)) }
        (details(&outcomes))
    };
    render_page(report, &main)
}

/// The page of a run of several stages: its phases on one time line. `pages` are those of its
/// stages, by the name of the phase: files in the same folder.
pub fn entry(report: &Report, pages: &[(String, String)]) -> String {
    let main = html! {
        (timeline::of(report, timeline::Order::Time))
        (phases(report, pages))
        @for table in &report.tables { (rows(table)) }
    };
    render_page(report, &main)
}

fn render_page(report: &Report, main: &Markup) -> String {
    let about = [&report.service, &report.environment, &report.release];
    let about: Vec<String> = about
        .into_iter()
        .flatten()
        .map(|text| shown(text))
        .collect();
    let title = match &report.headline {
        Some(headline) => shown(headline),
        None => format!("{}: {}", report.stage, report.verdict),
    };
    // The headline need not name the verdict, and the reason need not be repeated.
    let verdict = format!("{}: {}", report.stage, report.verdict);
    let about: Vec<String> = report
        .headline
        .iter()
        .map(|_| verdict.clone())
        .chain(about)
        .collect();
    let reason = Some(&report.reason).filter(|reason| report.headline.as_ref() != Some(reason));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Nothing that a service answered could load or send anything.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
                title { (title) @for part in &about { " · " (part) } }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    div class={ "band " (class(report.verdict)) } {
                        h1 { (mark(report.verdict)) " " (title) }
                        @if !about.is_empty() { p.about { (about.join(" · ")) } }
                        @if let Some(reason) = reason { p.reason { (shown(reason)) } }
                        @if let Some(hint) = &report.hint { p.hint { "→ " (shown(hint)) } }
                    }
                    (facts(report))
                }
                main { (main) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// The result of each phase, and where to read more about it.
fn phases(report: &Report, pages: &[(String, String)]) -> Markup {
    if report.outcomes.is_empty() && pages.is_empty() {
        return html! {};
    }
    let page = |phase: &str| pages.iter().find(|(name, _)| name == phase);
    html! {
        section aria-labelledby="phases" {
            h2 id="phases" { "Phases" }
            table.phases {
                thead { tr {
                    @for column in ["phase", "verdict", "took", "reason"] { th scope="col" { (column) } }
                } }
                tbody {
                    @for outcome in &report.outcomes {
                        @let name = phase_of(outcome);
                        tr {
                            td.id data-column="phase" {
                                @match page(name) {
                                    Some((_, file)) => a href=(link(file)) { (shown(name)) },
                                    None => (shown(name)),
                                }
                            }
                            td data-column="verdict" { (mark(outcome.verdict)) " " (outcome.verdict) }
                            td data-column="took" { (text::span(outcome.duration)) }
                            td data-column="reason" { (reason_and_hint(outcome)) }
                        }
                    }
                    // A run that ended in an error reports none.
                    @for (name, file) in pages.iter().filter(|(name, _)| report.outcomes.iter().all(|outcome| phase_of(outcome) != name)) {
                        tr { td.id data-column="phase" { a href=(link(file)) { (shown(name)) } } td {} td {} td {} }
                    }
                }
            }
        }
    }
}

fn phase_of(outcome: &Outcome) -> &str {
    outcome
        .id
        .name_of(Kind::Phase)
        .unwrap_or(outcome.id.as_str())
}

/// A file beside this one, whatever its name holds.
fn link(file: &str) -> String {
    let mut link = String::from("./");
    for byte in file.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => link.push(byte.into()),
            byte => link.push_str(&format!("%{byte:02X}")),
        }
    }
    link
}

/// The reason, where it tells more than what was found, and the next step.
fn reason_and_hint(outcome: &Outcome) -> Markup {
    let hint = outcome.hint.as_deref();
    html! {
        @if let Some(reason) = outcome.own_reason() { (shown(reason)) }
        @if let Some(hint) = hint.filter(|_| outcome.verdict > Verdict::Pass) {
            p.hint { "→ " (shown(hint)) }
        }
    }
}

fn facts(report: &Report) -> Markup {
    let context = &report.context;
    let score = report.score.map(|score| format!("{score:.1} of 10"));
    let run = context
        .run_id
        .as_ref()
        .map(|run| match context.run_attempt {
            Some(attempt) => format!("{run}, attempt {attempt}"),
            None => run.clone(),
        });
    let facts = [
        ("score", score),
        (
            "started",
            Some(model::report::v1::timestamp(report.started_at)),
        ),
        ("took", Some(text::span(report.duration))),
        ("repository", context.repository.clone()),
        ("commit", context.sha.clone()),
        ("run", run),
        ("actor", context.actor.clone()),
        ("part", report.shard.map(|shard| shard.to_string())),
        ("deploy-guard", Some(context.tool_version.clone())),
    ];
    html! {
        dl.facts {
            @for (name, value) in facts {
                @if let Some(value) = value {
                    div { dt { (name) } dd { (shown(&value)) } }
                }
            }
        }
    }
}

/// Every outcome, in a table that sorts and, on a phone, is a list.
fn outcome_table(outcomes: &[&Outcome]) -> Markup {
    const COLUMNS: [&str; 6] = ["verdict", "check", "expected", "actual", "reason", "took"];
    if outcomes.is_empty() {
        return html! {};
    }
    let passed = outcomes
        .iter()
        .filter(|o| o.verdict == Verdict::Pass)
        .count();
    html! {
        section aria-labelledby="asked" {
            h2 id="asked" { "What was checked" }
            // Only a phone folds them: there each takes half a screen.
            @if passed > 0 {
                input.fold id="passed" type="checkbox";
                label.fold for="passed" { "Show what passed: " (passed) " of " (outcomes.len()) }
            }
            table.outcomes {
                thead { tr {
                    @for column in COLUMNS {
                        th scope="col" { button type="button" { (column) } }
                    }
                } }
                tbody {
                    @for outcome in outcomes { (row(outcome)) }
                }
            }
        }
    }
}

fn row(outcome: &Outcome) -> Markup {
    let cell = |value: &Option<String>| value.as_deref().map(shown).unwrap_or_default();
    html! {
        tr class=(class(outcome.verdict)) {
            td data-column="verdict" data-sort=(outcome.verdict as u8) {
                (mark_of(outcome)) " " (outcome.verdict)
            }
            td.id data-column="check" {
                (shown(outcome.id.as_str()))
                @if outcome.severity == Severity::Advisory { " (advisory)" }
                small { (shown(&outcome.subject)) }
            }
            td data-column="expected" { (cell(&outcome.expected)) }
            td data-column="actual" { (cell(&outcome.actual)) }
            td data-column="reason" { (reason_and_hint(outcome)) }
            td data-column="took" data-sort=(outcome.duration.as_micros()) {
                (text::span(outcome.duration))
            }
        }
    }
}

fn rows(table: &Table) -> Markup {
    html! {
        section {
            h2 { (shown(&table.title)) }
            table {
                thead { tr { @for name in &table.header { th scope="col" { (name) } } } }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for (nth, value) in row.iter().enumerate() {
                                td data-column=(table.header.get(nth).copied().unwrap_or_default()) {
                                    (shown(value))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What was measured, unfolded where it was no pass.
fn details(outcomes: &[&Outcome]) -> Markup {
    // Where nothing took time and nothing was read, there is nothing to draw.
    let is_drawn = |one: &Measurement| !one.duration.is_zero() || one.value.is_some();
    let measured: Vec<_> = outcomes
        .iter()
        .filter(|o| o.measurements.len() > 1 && o.measurements.iter().any(is_drawn))
        .collect();
    if measured.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="measured" {
            h2 id="measured" { "What was measured" }
            @for outcome in measured.iter().take(DETAILS) {
                details open[outcome.verdict != Verdict::Pass] {
                    summary { (mark_of(outcome)) " " (shown(outcome.id.as_str())) ": " (outcome.verdict) }
                    (chart::of(outcome))
                    @if outcome.verdict != Verdict::Pass { (telling(outcome)) }
                }
            }
            @if measured.len() > DETAILS {
                p { "… " (measured.len() - DETAILS) " more in the JSON report …" }
            }
        }
    }
}

/// The first failure, the last failure and the last success, with what was answered.
fn telling(outcome: &Outcome) -> Markup {
    let telling = outcome.telling();
    let all = [
        ("First failure", telling.first_failure),
        ("Last failure", telling.last_failure),
        ("Last success", telling.last_success),
    ];
    html! {
        @for (name, measurement) in all {
            @if let Some(measurement) = measurement { (measurement_details(name, outcome.id.as_str(), measurement)) }
        }
    }
}

fn measurement_details(name: &str, id: &str, measurement: &Measurement) -> Markup {
    let said = [&measurement.value, &measurement.reason];
    let said: Vec<String> = said.into_iter().flatten().map(|said| shown(said)).collect();
    html! {
        h3 { (name) }
        p {
            (model::report::v1::timestamp(measurement.at)) ", " (measurement.verdict)
            @if !measurement.duration.is_zero() { " after " (text::span(measurement.duration)) }
            ": " (said.join(" · "))
        }
        @if let Some(evidence) = &measurement.evidence {
            pre tabindex="0" role="region" aria-label={ (name) " of " (shown(id)) } { (shown(evidence)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Id;

    use super::*;

    #[test]
    fn the_page_of_a_run_leads_to_those_of_its_stages() {
        let phase = |name: &str, verdict| {
            Outcome::new(Id::phase(name), "v4", verdict).reason(format!("why {name}"))
        };
        let outcomes = vec![
            phase("preflight", Verdict::Pass),
            phase("deploy", Verdict::Fail).hint("run it <yourself>"),
        ];
        let mut report = Report::from_outcomes("run", jiff::Timestamp::UNIX_EPOCH, outcomes);
        report.headline = Some("v4 failed to deploy; <v2> is back".into());
        report.timeline = ["preflight", "deploy"]
            .map(|place| model::report::Bar {
                place: place.into(),
                what: String::new(),
                start: std::time::Duration::ZERO,
                end: std::time::Duration::from_secs(1),
                verdict: Verdict::Pass,
            })
            .to_vec();
        let pages = [("preflight".into(), "a run?\"<é>.preflight.html".into())];
        let page = entry(&report, &pages);
        let link = "<a href=\"./a%20run%3F%22%3C%C3%A9%3E.preflight.html\">preflight</a>";
        assert!(page.contains(link), "{page}");
        assert!(page.contains("v4 failed to deploy; &lt;v2&gt; is back</h1>"));
        assert!(page.contains("→ run it &lt;yourself&gt;"));
        let bars = |name: &str| page.find(&format!(">{name}</text>"));
        assert!(bars("preflight") < bars("deploy") && bars("preflight").is_some());
    }

    /// Without the style and the script, which are files of their own; a line for each element.
    fn body(page: &str) -> String {
        let (_, body) = page.split_once("<body>").unwrap();
        let (body, _) = body.split_once("<script>").unwrap_or((body, ""));
        body.replace("><", ">\n<")
    }

    #[test]
    fn a_reader_of_the_page_sees_what_failed_why_and_what_to_do() {
        let measured = |ms: i64, verdict| Measurement {
            at: jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_millis(ms),
            verdict,
            value: Some("503".into()),
            reason: (verdict == Verdict::Fail).then(|| "status 503".into()),
            duration: std::time::Duration::from_millis(4),
            evidence: (ms == 0).then(|| "HTTP/1.1 503".into()),
        };
        let ready = Outcome::fail("http/ready", "http://127.0.0.1/")
            .expected("status 200")
            .actual("status 503")
            .reason("failed (3) > failure-limit (2)")
            .hint("try it: curl -sv 'http://127.0.0.1/'")
            .measurements(
                [Verdict::Fail, Verdict::Pass, Verdict::Fail]
                    .into_iter()
                    .zip([0, 2_000, 4_000])
                    .map(|(verdict, ms)| measured(ms, verdict))
                    .collect(),
            );
        let outcomes = vec![
            Outcome::pass("http/live", "http://127.0.0.1/live").actual("status 200"),
            Outcome::fail("disk/web", "web")
                .severity(Severity::Advisory)
                .actual("91 %"),
            ready,
        ];
        let mut report = Report::from_outcomes("healthgate", jiff::Timestamp::UNIX_EPOCH, outcomes);
        (report.service, report.release) = (Some("shop".into()), Some("v4".into()));
        report.duration = std::time::Duration::from_secs(115);
        insta::assert_snapshot!(body(&render(&report)));
    }

    #[test]
    fn what_a_service_answers_is_text() {
        let evil =
            "</pre></style></script><img src=x onerror=alert(1)>\"' \u{202e}\u{200f}\u{1b}[2J";
        let outcome = Outcome::fail(evil, evil)
            .expected(evil)
            .actual(evil)
            .reason(evil)
            .hint(evil);
        let mut report =
            Report::from_outcomes("healthgate", jiff::Timestamp::UNIX_EPOCH, vec![outcome]);
        report.service = Some(evil.to_owned());
        report.tables.push(Table {
            title: evil.to_owned(),
            header: vec!["host"],
            rows: vec![vec![evil.to_owned(), evil.to_owned()]],
            only_in_summary: false,
        });
        let page = render(&report);
        assert!(!page.contains("<img") && !page.contains(['\u{202e}', '\u{200f}', '\u{1b}']));
        assert_eq!(page.matches("</style>").count(), 1);
        assert_eq!(page.matches("</script>").count(), 1);
    }
}
