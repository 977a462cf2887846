//! The step summary: the verdict first, then what did not pass with the next step beside it, then
//! what passed, folded into a count, and details.
//!
//! The runner drops a step's whole summary above 1 MiB, so it is cut before that, in the middle:
//! the head holds the verdict, the tail the newest stage. Everything that came from outside is
//! escaped; the report is redacted before it comes here.

mod detail;
mod escape;
mod fit;
mod mark;
mod run;

use std::fmt::Write as _;

use model::outcome::by_weight;
use model::text::{short_digests, span};
use model::{Outcome, Report, Severity, Table, Verdict};

use detail::{detail, needs_detail};
use escape::{cell, long_cell, shorten};
pub use escape::{escaped as markdown, fenced};
pub use fit::fit;
use mark::mark;
pub use run::{run, so_far, stages};

/// The most that one step may write, in bytes, with a margin below the runner's 1,048,576.
pub const LIMIT: usize = 1_000_000;
/// A longer table is not readable; the report holds the rest.
const ROWS: usize = 200;
/// More is not worth unfolding.
const DETAILS: usize = 50;
/// More answers side by side are not read; the others can be unfolded.
const OPEN: usize = 3;

/// The section of a stage that ended without a report.
pub fn failure(title: &str, message: &str, hint: Option<&str>) -> String {
    let message = fenced(&shorten(message, 4000));
    let mut text = format!(
        "## {} {}\n\n{message}\n",
        Verdict::Error.emoji(),
        cell(title)
    );
    next_step(&mut text, hint);
    text
}

/// One stage's section as GitHub-flavoured Markdown.
pub fn render(report: &Report) -> String {
    let mut text = format!("## {} {}\n\n", report.verdict.emoji(), title(report));
    reason(&mut text, report);
    next_step(&mut text, report.hint.as_deref());
    body(&mut text, report);
    footer(&mut text, report);
    text
}

/// What happened to what: in the stage's own words, where it has them.
fn title(report: &Report) -> String {
    let (what, release) = if let Some(headline) = &report.headline {
        // It names the releases that it is about.
        (cell(headline), None)
    } else {
        let what = format!("{}: {}", cell(&report.stage), report.verdict);
        (what, report.release.as_ref())
    };
    [
        report.service.as_ref(),
        report.environment.as_ref(),
        release,
    ]
    .into_iter()
    .flatten()
    .fold(what, |all, part| format!("{all} · {}", cell(part)))
}

/// The reason, if the headline does not include it.
fn reason(text: &mut String, report: &Report) {
    if report.headline.as_ref() != Some(&report.reason) {
        let _ = writeln!(text, "{}\n", text_cell(&report.reason));
    }
}

/// The next step, if no outcome includes it.
fn next_step(text: &mut String, hint: Option<&str>) {
    if let Some(hint) = hint {
        let _ = writeln!(text, "**Next step:** {}\n", long_cell(hint));
    }
}

/// All but the verdict.
fn body(text: &mut String, report: &Report) {
    if let Some(score) = report.score {
        let _ = writeln!(text, "Readiness score: **{score:.1}** of 10\n");
    }
    outcomes(text, &report.outcomes);
    for table in &report.tables {
        rows(text, table);
    }
    for picture in &report.pictures {
        // A fence inside the picture would end it; the pictures are drawn by us, their labels
        // are not.
        let _ = writeln!(text, "```mermaid\n{}\n```\n", picture.replace("```", "'''"));
    }
    let mut folded = by_weight(&report.outcomes)
        .into_iter()
        .filter(|o| needs_detail(o));
    for (nth, outcome) in folded.by_ref().take(DETAILS).enumerate() {
        detail(
            text,
            outcome,
            nth < OPEN && outcome.weighs() > Verdict::Pass,
        );
    }
    let more = folded.count();
    if more > 0 {
        let _ = writeln!(text, "_… {more} more with details in the report …_\n");
    }
}

fn footer(text: &mut String, report: &Report) {
    let _ = writeln!(
        text,
        "<sub>took {}, from {} · deploy-guard {}</sub>\n",
        span(report.duration),
        model::report::v1::timestamp(report.started_at),
        cell(&report.context.tool_version)
    );
}

/// What did not pass, the worst first; what did is counted.
fn outcomes(text: &mut String, outcomes: &[Outcome]) {
    let sorted = by_weight(outcomes);
    let of = |verdict: Verdict| -> Vec<&Outcome> {
        let all = sorted.iter().copied();
        all.filter(|outcome| outcome.verdict == verdict).collect()
    };
    let bad = sorted.iter().copied();
    let bad: Vec<&Outcome> = bad.filter(|o| o.verdict > Verdict::Pass).collect();
    if !bad.is_empty() {
        text.push_str("| | check | expected | actual | reason |\n|---|---|---|---|---|\n");
    }
    for outcome in bad.iter().take(ROWS) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            mark(outcome),
            outcome_cell(outcome),
            optional(outcome.expected.as_deref()),
            optional(outcome.actual.as_deref()),
            reason_cell(outcome),
        );
    }
    if !bad.is_empty() {
        text.push('\n');
    }
    write_omitted_counts(text, bad.get(ROWS..).unwrap_or_default());
    fold(text, Verdict::Pass, "passed", &of(Verdict::Pass));
    fold(text, Verdict::Skipped, "skipped", &of(Verdict::Skipped));
}

/// How many more there are than a table shows.
fn write_omitted_counts(text: &mut String, rest: &[&Outcome]) {
    if rest.is_empty() {
        return;
    }
    let mut counts: Vec<(Verdict, usize)> = Vec::new();
    for outcome in rest {
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

/// A count that can be unfolded.
fn fold(text: &mut String, verdict: Verdict, word: &str, outcomes: &[&Outcome]) {
    if outcomes.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "<details><summary>{} {} {word}</summary>\n\n| check | found |\n|---|---|",
        verdict.emoji(),
        outcomes.len()
    );
    for outcome in outcomes.iter().take(ROWS) {
        let found = [outcome.actual.as_deref(), outcome.own_reason()];
        let found: Vec<String> = found.into_iter().flatten().map(text_cell).collect();
        let _ = writeln!(
            text,
            "| {} | {} |",
            outcome_cell(outcome),
            found.join("<br>")
        );
    }
    text.push('\n');
    write_omitted_counts(text, outcomes.get(ROWS..).unwrap_or_default());
    text.push_str("</details>\n\n");
}

/// Its name, and what was asked.
fn outcome_cell(outcome: &Outcome) -> String {
    let mut text = cell(outcome.id.as_str());
    if outcome.severity == Severity::Advisory {
        text.push_str(" (advisory)");
    }
    if !outcome.subject.is_empty() && !outcome.id.as_str().contains(&outcome.subject) {
        let _ = write!(text, "<br><sub>{}</sub>", text_cell(&outcome.subject));
    }
    text
}

/// The reason, if it does not repeat its neighbours, and the next step.
fn reason_cell(outcome: &Outcome) -> String {
    let reason = outcome.own_reason();
    let hint = outcome.hint.as_deref();
    // A command that is cut short cannot be copied.
    let hint = hint.map(|hint| format!("→ {}", long_cell(hint)));
    let parts: Vec<String> = reason.map(text_cell).into_iter().chain(hint).collect();
    parts.join("<br>")
}

fn rows(text: &mut String, table: &Table) {
    let folded = table.only_in_summary;
    let title = cell(&table.title);
    if folded {
        let _ = writeln!(text, "<details><summary>{title}</summary>\n");
    } else {
        let _ = writeln!(text, "**{title}**\n");
    }
    let _ = writeln!(text, "| {} |", table.header.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(table.header.len()));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|text| text_cell(text)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text.push_str(if folded { "\n</details>\n\n" } else { "\n" });
}

/// Text in a cell; for digests, the part that distinguishes them.
fn text_cell(text: &str) -> String {
    cell(&short_digests(text))
}

fn optional(text: Option<&str>) -> String {
    text.map(text_cell).unwrap_or_default()
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
        let folded = "<details><summary>pool &#60;primary&#62;</summary>";
        assert!(text.contains(folded), "{text}");
        assert!(
            text.contains("| runner | says |\n|---|---|\n| web&#124;01 | &#60;b&#62;&#96;x&#96; |"),
            "{text}"
        );
    }

    #[test]
    fn the_worst_outcome_stands_first_and_what_passed_is_a_count() {
        let text = render(&report(vec![
            Outcome::pass("a/1", "x"),
            Outcome::fail("b/2", "x"),
            Outcome::skipped("c/3", "x", "not here"),
        ]));
        assert!(text.starts_with("## ❌ healthgate: fail"));
        assert!(
            text.find("b/2")
                .is_some_and(|bad| text.find("a/1").is_some_and(|good| bad < good))
        );
        for count in ["✅ 1 passed", "⏭️ 1 skipped"] {
            let folded = format!("<details><summary>{count}</summary>");
            assert!(text.contains(&folded), "{text}");
        }
    }

    #[test]
    fn a_person_reads_what_failed_why_and_what_to_do() {
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let measured = |ms: i64, verdict| model::Measurement {
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
                [Verdict::Fail, Verdict::Fail, Verdict::Pass, Verdict::Fail]
                    .into_iter()
                    .zip([0, 2_000, 4_000, 115_000])
                    .map(|(verdict, ms)| measured(ms, verdict))
                    .collect(),
            );
        let image = Outcome::fail("image/shop", "")
            .expected(digest("a"))
            .actual(format!("another image: {}", digest("b")))
            .reason(format!("another image: {}", digest("b")))
            .hint(format!("docker pull shop@{}", digest("a")));
        let disk = Outcome::fail("disk/web", "web")
            .severity(Severity::Advisory)
            .actual("91 %");
        let good = Outcome::pass("http/live", "http://127.0.0.1/live").actual("status 200");
        let mut report = report(vec![good, disk, image, ready]);
        report.headline = Some("rolled back v4 → v2".into());
        (report.service, report.release) = (Some("shop".into()), Some("v4".into()));
        report.duration = std::time::Duration::from_secs(115);
        insta::assert_snapshot!(render(&report));
    }

    #[test]
    fn a_run_opens_with_its_verdict_and_unfolds_where_it_failed() {
        let part = |stage: &str, outcome: Outcome, ms| {
            let mut report =
                Report::from_outcomes(stage, jiff::Timestamp::UNIX_EPOCH, vec![outcome]);
            report.duration = std::time::Duration::from_millis(ms);
            report.service = Some("shop".into());
            report
        };
        let preflight = part("preflight", Outcome::pass("secrets/A", ""), 2_100);
        let gate = Outcome::fail("http/ready", "u").reason("status 503");
        let gate = part("healthgate", gate, 30_000);
        let mut back = part("rollback", Outcome::pass("step/switch", ""), 812);
        back.headline = Some("rolled back v4 → v2".into());
        let mut parts = vec![
            ("preflight".to_owned(), preflight),
            ("healthgate".to_owned(), gate),
        ];
        insta::assert_snapshot!("a_run_that_goes_on", so_far(&parts));
        parts.push(("rollback".to_owned(), back));
        let phase = |name: &str, verdict, ms| {
            Outcome::new(format!("run/{name}"), "v4", verdict)
                .took(std::time::Duration::from_millis(ms))
        };
        let mut whole = report(vec![
            phase("preflight", Verdict::Pass, 2_100),
            phase("deploy", Verdict::Pass, 9_000).actual("exit status 0"),
            phase("healthgate", Verdict::Fail, 30_000),
            phase("rollback", Verdict::Pass, 812),
        ]);
        whole.headline = Some("v4 failed its gate; v2 is back and verified after 1m 55s".into());
        whole.service = Some("shop".into());
        whole.duration = std::time::Duration::from_secs(115);
        insta::assert_snapshot!("a_run_that_has_ended", run(&whole, &parts));
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
        // What passed is one count.
        assert_eq!(text.matches("<details").count(), 1, "{text}");
        assert!(text.contains("<summary>✅ 2000 passed</summary>"));
        let rest = "_… 3800 more in the report: 1800 fail, 2000 error …_";
        assert!(text.contains(rest), "{text}");
        assert!(text.contains("_… 1800 more in the report: 1800 pass …_"));
    }

    #[test]
    fn three_megabytes_fit_with_head_and_tail() {
        let outcomes = |n: usize| Outcome::fail(format!("http/{n}"), "`x`\n".repeat(900)).hint("h");
        let one = render(&report((0..60).map(outcomes).collect()));
        assert_eq!(one.matches("<details").count(), DETAILS);
        assert!(one.contains("_… 10 more with details in the report …_"));
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
            "**First failure** (fail), 0ms after the first measurement, took 4ms: 503&#124; · status 503 &#60;b&#62;\n\n`````text\n{evil}\n`````\n"
        );
        assert!(text.contains(&first), "{text}");
        let positions: Vec<_> = [
            "**First failure**",
            "**Last failure** (fail), 4s",
            "```text\nagain\n```",
            "**Last success** (pass), 2s",
            "```text\nfine\n```",
        ]
        .iter()
        .map(|part| text.find(part))
        .collect();
        assert!(
            positions.iter().all(Option::is_some) && positions.is_sorted(),
            "{text}"
        );
        let mut compared = outcome.clone();
        for measurement in &mut compared.measurements {
            measurement.duration = std::time::Duration::ZERO;
        }
        let text = render(&report(vec![compared]));
        let first = "**First failure** (fail), 0ms after the first measurement: 503";
        assert!(text.contains(first), "{text}");
        let passed = Outcome {
            verdict: Verdict::Pass,
            ..outcome
        };
        assert!(!render(&report(vec![passed])).contains("First failure"));
    }
}
