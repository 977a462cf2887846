//! The step summary: verdict first, then a table, then details and a picture.
//!
//! The runner drops a step's whole summary above 1 MiB, so it is cut before that, in the middle:
//! the head holds the verdict, the tail the newest stage. Everything that came from outside is
//! escaped; the report is redacted before it comes here.

use std::fmt::Write as _;

use model::{Outcome, Report, Severity, Table};

/// The most that one step may write, in bytes, with a margin below the runner's 1,048,576.
pub const LIMIT: usize = 1_000_000;
/// A cell longer than this is cut: a table is read at a glance.
const CELL: usize = 300;
/// A detail longer than this is cut.
const DETAIL: usize = 20_000;

/// One stage's section as GitHub-flavoured Markdown.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    let about: Vec<String> = [&report.service, &report.environment, &report.release]
        .into_iter()
        .flatten()
        .map(|t| cell(t))
        .collect();
    let title = if about.is_empty() {
        String::new()
    } else {
        format!(" · {}", about.join(" · "))
    };
    let _ = writeln!(
        text,
        "## {} {}: {}{title}\n\n{}\n",
        report.verdict.emoji(),
        cell(&report.stage),
        report.verdict,
        cell(&report.reason)
    );
    if let Some(score) = report.score {
        let _ = writeln!(text, "Readiness score: **{score:.1}** of 10\n");
    }
    if !report.outcomes.is_empty() {
        text.push_str("| | check | expected | actual | reason |\n|---|---|---|---|---|\n");
        for outcome in by_weight(&report.outcomes) {
            let _ = writeln!(
                text,
                "| {} | {}{} | {} | {} | {} |",
                outcome.verdict.emoji(),
                cell(&outcome.id),
                if outcome.severity == Severity::Advisory {
                    " (advisory)"
                } else {
                    ""
                },
                optional(outcome.expected.as_deref()),
                optional(outcome.actual.as_deref()),
                optional(outcome.reason.as_deref()),
            );
        }
        text.push('\n');
    }
    for table in &report.tables {
        rows(&mut text, table);
    }
    if let Some(picture) = &report.picture {
        // A fence inside the picture would end it; the pictures are drawn by us, their labels
        // are not.
        let _ = writeln!(text, "```mermaid\n{}\n```\n", picture.replace("```", "'''"));
    }
    for outcome in by_weight(&report.outcomes).filter(|o| needs_detail(o)) {
        detail(&mut text, outcome);
    }
    let _ = writeln!(
        text,
        "<sub>{} ms from {} · deploy-guard {}</sub>\n",
        report.duration.as_millis(),
        model::report::v1::timestamp(report.started_at),
        cell(&report.context.tool_version)
    );
    text
}

fn rows(text: &mut String, table: &Table) {
    let _ = writeln!(text, "**{}**\n", cell(&table.title));
    let _ = writeln!(text, "| {} |", table.header.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(table.header.len()));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text.push('\n');
}

/// Keeps head and tail of a text so that it fits into `limit` bytes, and says what was cut.
pub fn fit(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let note =
        |cut: usize| format!("\n\n_… {cut} bytes cut here: a step's summary holds 1 MB …_\n\n");
    let room = limit.saturating_sub(note(text.len()).len());
    let mut head = room / 2;
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    // Whole lines only: half a table row or an open `<details>` would spoil what follows.
    head = text[..head].rfind('\n').map_or(head, |at| at + 1);
    let mut tail = text.len() - (room - room / 2);
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    tail = text[tail..].find('\n').map_or(tail, |at| tail + at + 1);
    let mut fitted = text[..head].to_owned();
    let close = close_open(&fitted);
    fitted.push_str(&close);
    fitted.push_str(&note(tail - head));
    fitted.push_str(&text[tail..]);
    if fitted.len() > limit {
        // Closing tags took more than the margin; give it from the tail.
        let mut end = limit;
        while !fitted.is_char_boundary(end) {
            end -= 1;
        }
        fitted.truncate(end);
    }
    fitted
}

/// What ends the blocks that a cut left open.
fn close_open(head: &str) -> String {
    let mut close = String::new();
    if !head
        .lines()
        .filter(|line| line.starts_with("```"))
        .count()
        .is_multiple_of(2)
    {
        close.push_str("```\n");
    }
    if head.matches("<pre>").count() > head.matches("</pre>").count() {
        close.push_str("</pre>\n");
    }
    if head.matches("<details>").count() > head.matches("</details>").count() {
        close.push_str("</details>\n");
    }
    close
}

/// Worst first, otherwise in the order of the report.
fn by_weight(outcomes: &[Outcome]) -> impl Iterator<Item = &Outcome> {
    let mut sorted: Vec<_> = outcomes.iter().collect();
    sorted.sort_by_key(|outcome| {
        (
            std::cmp::Reverse(outcome.weighs()),
            std::cmp::Reverse(outcome.verdict),
        )
    });
    sorted.into_iter()
}

fn needs_detail(outcome: &Outcome) -> bool {
    outcome.verdict != model::Verdict::Pass && outcome.hint.is_some()
        || outcome.measurements.len() > 1
}

fn detail(text: &mut String, outcome: &Outcome) {
    let _ = writeln!(
        text,
        "<details><summary>{} {}: {}</summary>\n",
        outcome.verdict.emoji(),
        html(&outcome.id),
        outcome.verdict
    );
    let mut lines = vec![format!("subject   {}", outcome.subject)];
    for (name, value) in [
        ("expected", &outcome.expected),
        ("actual", &outcome.actual),
        ("reason", &outcome.reason),
        ("hint", &outcome.hint),
    ] {
        lines.extend(value.as_ref().map(|value| format!("{name:<9} {value}")));
    }
    for measurement in &outcome.measurements {
        lines.push(format!(
            "{} {:<12} {:>6} ms  {}{}",
            model::report::v1::timestamp(measurement.at),
            measurement.verdict,
            measurement.duration.as_millis(),
            measurement.value.as_deref().unwrap_or("-"),
            measurement
                .reason
                .as_ref()
                .map(|r| format!("  {r}"))
                .unwrap_or_default(),
        ));
    }
    let body = shorten(&lines.join("\n"), DETAIL);
    let _ = writeln!(text, "<pre>{}</pre>\n</details>\n", html(&body));
}

fn optional(text: Option<&str>) -> String {
    text.map(cell).unwrap_or_default()
}

/// Text for one line of Markdown: nothing in it is markup, a link, a mention or a table's edge.
fn cell(text: &str) -> String {
    let mut escaped = String::new();
    for c in shorten(text.trim(), CELL).chars() {
        match c {
            '\n' => escaped.push_str("<br>"),
            '&' | '<' | '>' | '|' | '`' | '*' | '_' | '[' | ']' | '~' | '\\' | '#' | '@' | '$'
            | '!' => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    // GitHub turns a bare URL into a link; remote text must not choose what a reader clicks.
    escaped
        .replace("://", "&#58;//")
        .replace("www.", "www&#46;")
}

fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // A blank line would end the HTML block and start Markdown.
            '\n' if escaped.ends_with('\n') => escaped.push_str("&#8203;\n"),
            '\n' => escaped.push('\n'),
            c if c.is_control() && c != '\t' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Cuts the middle out of a text that is longer than `limit` characters.
fn shorten(text: &str, limit: usize) -> String {
    let length = text.chars().count();
    if length <= limit {
        return text.to_owned();
    }
    let half = limit / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(length - half).collect();
    format!("{head} … {tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcomes: Vec<Outcome>) -> Report {
        Report::from_outcomes("healthgate", jiff::Timestamp::UNIX_EPOCH, outcomes)
    }

    #[test]
    fn remote_text_is_no_markup() {
        let evil = "</pre><img src=x> | [x](http://evil) `a` @all\n\n# b";
        let text = render(&report(vec![
            Outcome::fail("http/a", "s")
                .expected(evil)
                .actual(evil)
                .reason(evil)
                .hint(evil),
        ]));
        assert!(!text.contains("<img"));
        let rows: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("| ❌"))
            .collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].matches('|').count(), 6);
        assert!(!rows[0].contains("](http") && !rows[0].contains("@all"));
    }

    #[test]
    fn a_table_of_remote_text_keeps_its_columns() {
        let mut report = report(vec![Outcome::pass("a/1", "x")]);
        report.tables.push(Table {
            title: "pool <primary>".into(),
            header: vec!["runner", "says"],
            rows: vec![vec!["web|01\n".into(), "<b>`x`".into()]],
        });
        let text = render(&report);
        assert!(text.contains("**pool &#60;primary&#62;**"), "{text}");
        assert!(
            text.contains("| runner | says |\n|---|---|\n| web&#124;01 | &#60;b&#62;&#96;x&#96; |"),
            "{text}"
        );
    }

    #[test]
    fn the_worst_outcome_stands_first() {
        let text = render(&report(vec![
            Outcome::pass("a/1", "x"),
            Outcome::fail("b/2", "x"),
        ]));
        assert!(text.starts_with("## ❌ healthgate: fail"));
        assert!(
            text.find("b/2")
                .is_some_and(|bad| text.find("a/1").is_some_and(|good| bad < good))
        );
    }

    #[test]
    fn three_megabytes_fit_with_head_and_tail() {
        let outcomes = (0..12_000)
            .map(|n| {
                Outcome::fail(format!("http/{n}"), "x")
                    .reason("é".repeat(100))
                    .hint("h")
            })
            .collect();
        let whole = render(&report(outcomes));
        assert!(whole.len() > 3_000_000);
        let fitted = fit(&whole, LIMIT);
        assert!(fitted.len() <= LIMIT, "{}", fitted.len());
        assert!(fitted.starts_with("## ❌ healthgate: fail"));
        assert!(fitted.contains("bytes cut here"));
        assert!(fitted.trim_end().ends_with("</sub>"));
    }
}
