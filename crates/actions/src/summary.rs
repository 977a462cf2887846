//! The step summary: verdict first, then a table, then details and a picture.
//!
//! The runner drops a step's whole summary above 1 MiB, so it is cut before that, in the middle:
//! the head holds the verdict, the tail the newest stage. Everything that came from outside is
//! escaped; the report is redacted before it comes here.

mod detail;
mod escape;
mod fit;

use std::fmt::Write as _;

use model::outcome::by_weight;
use model::{Outcome, Report, Severity, Table, Verdict};

use detail::{detail, needs_detail};
use escape::cell;
pub use fit::fit;

/// The most that one step may write, in bytes, with a margin below the runner's 1,048,576.
pub const LIMIT: usize = 1_000_000;
/// Nobody reads a longer table; the report holds the rest.
const ROWS: usize = 200;
/// More is not unfolded by anybody.
const DETAILS: usize = 50;

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
    outcomes(&mut text, &report.outcomes);
    for table in &report.tables {
        rows(&mut text, table);
    }
    for picture in &report.pictures {
        // A fence inside the picture would end it; the pictures are drawn by us, their labels
        // are not.
        let _ = writeln!(text, "```mermaid\n{}\n```\n", picture.replace("```", "'''"));
    }
    let mut folded = by_weight(&report.outcomes)
        .into_iter()
        .filter(|o| needs_detail(o));
    for outcome in folded.by_ref().take(DETAILS) {
        detail(&mut text, outcome);
    }
    let more = folded.count();
    if more > 0 {
        let _ = writeln!(text, "_… {more} more with details in the report …_\n");
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

fn outcomes(text: &mut String, outcomes: &[Outcome]) {
    if outcomes.is_empty() {
        return;
    }
    text.push_str("| | check | expected | actual | reason |\n|---|---|---|---|---|\n");
    for outcome in by_weight(outcomes).into_iter().take(ROWS) {
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
    let rest: Vec<_> = by_weight(outcomes).into_iter().skip(ROWS).collect();
    if !rest.is_empty() {
        let mut counts: Vec<(Verdict, usize)> = Vec::new();
        for outcome in &rest {
            match counts.last_mut() {
                Some((verdict, count)) if *verdict == outcome.verdict => *count += 1,
                _ => counts.push((outcome.verdict, 1)),
            }
        }
        let counts: Vec<_> = counts
            .iter()
            .map(|(verdict, n)| format!("{n} {verdict}"))
            .collect();
        let _ = writeln!(
            text,
            "_… {} more in the report: {} …_\n",
            rest.len(),
            counts.join(", ")
        );
    }
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

fn optional(text: Option<&str>) -> String {
    text.map(cell).unwrap_or_default()
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
            only_in_summary: true,
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
    fn thousands_of_outcomes_give_a_summary_that_can_be_read() {
        let verdicts = [Verdict::Pass, Verdict::Fail, Verdict::Error];
        let outcomes = (0..6_000).map(|n| {
            Outcome::new(format!("http/{n}"), "x", verdicts[n % 3])
                .reason("é".repeat(100))
                .hint("h")
        });
        let text = render(&report(outcomes.collect()));
        assert!(text.len() < 100_000, "{}", text.len());
        assert_eq!(text.matches("\n| ❌ | http/").count(), ROWS);
        assert_eq!(text.matches("<details>").count(), DETAILS);
        let rest = "_… 5800 more in the report: 1800 fail, 2000 error, 2000 pass …_";
        assert!(text.contains(rest), "{text}");
        assert!(text.contains("_… 3950 more with details in the report …_"));
    }

    #[test]
    fn three_megabytes_fit_with_head_and_tail() {
        let outcomes = |n: usize| Outcome::fail(format!("http/{n}"), "`x`\n".repeat(900)).hint("h");
        let one = render(&report((0..60).map(outcomes).collect()));
        let whole = one.repeat(3_000_000 / one.len() + 1);
        let fitted = fit(&whole, LIMIT);
        assert!(fitted.len() <= LIMIT, "{}", fitted.len());
        assert!(fitted.len() > LIMIT * 8 / 10, "{}", fitted.len());
        assert!(fitted.starts_with("## ❌ healthgate: fail"));
        assert!(fitted.contains("bytes cut here"));
        assert!(fitted.trim_end().ends_with("</sub>"));
    }

    #[test]
    fn the_telling_answers_of_what_failed_cannot_break_out() {
        let evil =
            "HTTP/1.1 503\nx: </pre></details><img src=x>\n\n```\n# h\n````\n| a |\n%%{init}%%";
        let at = |second| jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(second);
        let one = |second, verdict, evidence: &str| model::Measurement {
            at: at(second),
            verdict,
            value: Some("503|".into()),
            reason: (verdict != Verdict::Pass).then(|| "status 503 <b>".into()),
            duration: std::time::Duration::from_millis(4),
            evidence: Some(evidence.to_owned()),
        };
        let outcome = Outcome::fail("http/a", "x").measurements(vec![
            one(0, Verdict::Fail, evil),
            one(2, Verdict::Pass, "fine"),
            one(4, Verdict::Fail, "again"),
        ]);
        let text = render(&report(vec![outcome.clone()]));
        let first = format!(
            "**First failure** (fail), 0.0 s after the first measurement, took 4 ms: 503&#124; · status 503 &#60;b&#62;\n\n`````text\n{evil}\n`````\n"
        );
        assert!(text.contains(&first), "{text}");
        let positions: Vec<_> = [
            "**First failure**",
            "**Last failure** (fail), 4.0 s",
            "```text\nagain\n```",
            "**Last success** (pass), 2.0 s",
            "```text\nfine\n```",
        ]
        .iter()
        .map(|part| text.find(part))
        .collect();
        assert!(
            positions.iter().all(Option::is_some) && positions.is_sorted(),
            "{text}"
        );
        let passed = Outcome {
            verdict: Verdict::Pass,
            ..outcome
        };
        assert!(!render(&report(vec![passed])).contains("First failure"));
    }
}
