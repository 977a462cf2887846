//! The report as a person reads it. It reads the same without colour.

use std::fmt::Write as _;

use model::text::{safe, span, visible};
use model::{Outcome, Report, Severity, Table, Verdict};
use owo_colors::{OwoColorize as _, Style};
use unicode_width::UnicodeWidthChar as _;

/// A column is no wider than this, however long its longest cell is.
const WIDEST: usize = 40;

/// The report as text with ANSI colours; the stream strips them where they are not wanted.
/// `quiet` leaves out what passed.
pub fn render(report: &Report, quiet: bool) -> String {
    let mut text = String::new();
    let about = [&report.service, &report.environment, &report.release];
    let about = about
        .into_iter()
        .flatten()
        .fold(String::new(), |all, part| all + " · " + &plain(part, 0));
    let _ = writeln!(
        text,
        "{} {}: {}{about}",
        mark(report.verdict),
        report.stage.bold(),
        report.verdict.style(style(report.verdict).bold()),
    );
    if let Some(headline) = &report.headline {
        let _ = writeln!(text, "  {}", plain(headline, 2).bold());
    }
    if report.headline.as_ref() != Some(&report.reason) {
        let _ = writeln!(text, "  {}", plain(&report.reason, 2));
    }
    for outcome in &report.outcomes {
        if !(quiet && outcome.verdict == Verdict::Pass) {
            write_outcome(&mut text, outcome);
        }
    }
    for table in report.tables.iter().filter(|table| !table.only_in_summary) {
        rows(&mut text, table);
    }
    let _ = writeln!(
        text,
        "  {}",
        format_args!("took {}", span(report.duration)).dimmed()
    );
    text
}

/// The outcomes that did not pass, without the rest of the report.
pub(crate) fn problems(report: &Report) -> String {
    let mut text = String::new();
    let not_passed =
        |outcome: &&Outcome| !matches!(outcome.verdict, Verdict::Pass | Verdict::Skipped);
    for outcome in report.outcomes.iter().filter(not_passed) {
        write_outcome(&mut text, outcome);
    }
    text
}

/// A table in columns; the last one takes what it needs.
fn rows(text: &mut String, table: &Table) {
    let _ = writeln!(text, "  {}", plain(&table.title, 2).bold());
    let clean = |cell: &String| plain(cell, 0).replace('\n', " ");
    let rows: Vec<Vec<String>> =
        std::iter::once(table.header.iter().map(ToString::to_string).collect())
            .chain(table.rows.iter().map(|row| row.iter().map(clean).collect()))
            .collect();
    let count = table.header.len();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| columns(cell))
            .max()
            .unwrap_or(0)
            .min(WIDEST)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    for (nth, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = if column + 1 == count {
                0
            } else {
                widths[column]
            };
            let _ = write!(line, "{}  ", padded(cell, width));
        }
        let line = line.trim_end();
        let _ = match nth {
            0 => writeln!(text, "      {}", line.dimmed()),
            _ => writeln!(text, "      {line}"),
        };
    }
}

fn write_outcome(text: &mut String, outcome: &Outcome) {
    let advisory = if outcome.severity == Severity::Advisory {
        " (advisory)"
    } else {
        ""
    };
    let subject = if outcome.subject.is_empty() {
        String::new()
    } else {
        format!("  {}", plain(&outcome.subject, 6))
    };
    let _ = writeln!(
        text,
        "  {} {}{advisory}{}",
        mark(outcome.verdict),
        plain(outcome.id.as_str(), 6),
        subject.dimmed()
    );
    if outcome.verdict == Verdict::Pass {
        if let Some(actual) = &outcome.actual {
            let _ = writeln!(text, "      {}", plain(actual, 6).dimmed());
        }
        return;
    }
    for (name, value) in [
        ("expected", &outcome.expected),
        ("actual", &outcome.actual),
        ("reason", &outcome.reason),
        ("hint", &outcome.hint),
    ] {
        if let Some(value) = value {
            let _ = writeln!(
                text,
                "      {:<9} {}",
                format!("{name}:").dimmed(),
                plain(value, 16)
            );
        }
    }
}

fn mark(verdict: Verdict) -> impl std::fmt::Display {
    let sign = match verdict {
        Verdict::Pass => "✓",
        Verdict::Fail => "✗",
        Verdict::Error | Verdict::Partial => "!",
        Verdict::Inconclusive => "?",
        Verdict::Skipped => "-",
        Verdict::Refused => "⊘",
    };
    sign.style(style(verdict)).to_string()
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Pass => Style::new().green(),
        Verdict::Fail | Verdict::Refused => Style::new().red(),
        Verdict::Error | Verdict::Partial | Verdict::Inconclusive => Style::new().yellow(),
        Verdict::Skipped => Style::new().dimmed(),
    }
}

/// Text from outside without what a terminal or the runner would obey; further lines are
/// indented. The runner reads commands from stdout too, also behind leading spaces.
pub fn plain(text: &str, indent: usize) -> String {
    // First: what is invisible may stand before a command, or within one.
    let text: String = visible(text).collect();
    let text = text.replace("##[", "# #[");
    let lines: Vec<String> = text
        .trim_end()
        .split('\n')
        .map(|line| {
            let command = line.trim_start().starts_with("::");
            if command {
                line.replacen("::", ": :", 1)
            } else {
                line.to_owned()
            }
        })
        .collect();
    let text = lines.join("\n");
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', indent));
            }
            '\t' => out.push(' '),
            c => out.push(safe(c)),
        }
    }
    out
}

/// The columns that a text takes on a terminal: two for a wide character, none for one that is put
/// on the one before. Of a sequence that some terminals join and others do not, as many as it takes
/// where it is not joined: a line that is too long would wrap.
pub fn columns(text: &str) -> usize {
    let mut before = 0;
    text.chars().map(|c| taken(c, &mut before)).sum()
}

/// What one more character takes, after one that took `before`.
fn taken(c: char, before: &mut usize) -> usize {
    // It makes an emoji of what was a letter: both are as wide as two.
    const EMOJI: char = '\u{fe0f}';
    if c == EMOJI {
        return usize::from(std::mem::replace(before, 0) == 1);
    }
    let width = c.width().unwrap_or_default();
    if width > 0 {
        *before = width;
    }
    width
}

/// The beginning that fits into so many columns, with a mark where something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let (mut fitting, mut all, mut before) = (String::new(), 0, 0);
    for c in text.chars() {
        all += taken(c, &mut before);
        if all + 1 > width {
            break;
        }
        fitting.push(c);
    }
    if width > 0 {
        fitting.push('…');
    }
    fitting
}

/// The text, and so many spaces that it takes so many columns.
pub fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(columns(text));
    format!("{text}{}", " ".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_text_cannot_drive_the_terminal() {
        let commands = plain("x\n  ::error::y\n##[error]z", 2);
        assert_eq!(commands, "x\n    : :error::y\n  # #[error]z");
        assert_eq!(
            plain(
                "\u{200b}::error::y\n#\u{200b}#[error]z\n:\u{ad}:error::x",
                0
            ),
            ": :error::y\n# #[error]z\n: :error::x"
        );
        assert_eq!(
            plain("a\u{1b}[2Jb\r\nc\u{202e}", 2),
            "a\u{fffd}[2Jb\u{fffd}\n  c\u{fffd}"
        );
    }
    #[test]
    fn text_is_measured_in_columns_and_not_in_characters() {
        for (text, width) in [
            ("shop", 4),
            ("商店", 4),
            ("cafe\u{301}", 4),
            ("🚀", 2),
            ("❤\u{fe0f}", 2),
            ("a\u{200b}\u{200d}b", 2),
            ("한국", 4),
        ] {
            assert_eq!(columns(text), width, "{text}");
            assert_eq!(columns(&padded(text, 6)), 6, "{text}");
        }
        let long = "商店🚀cafe\u{301}❤\u{fe0f}❤\u{fe0f}👩\u{200d}🚀";
        for width in 0..20 {
            let cut = cut(long, width);
            assert!(columns(&cut) <= width, "{width}: {cut}");
            assert!(
                columns(&cut) + 2 > width.min(columns(long)),
                "{width}: {cut}"
            );
        }
    }

    #[test]
    fn the_columns_of_a_table_of_wide_text_stand_below_each_other() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let mut text = String::new();
        let table = Table {
            title: "t".into(),
            header: vec!["host", "runs"],
            rows: vec![
                row(["商店-01", "v1"]),
                row(["e\u{301}u", "v2"]),
                row(["web", "v3"]),
            ],
            only_in_summary: false,
        };
        rows(&mut text, &table);
        let starts: Vec<_> = text
            .lines()
            .skip(2)
            .map(|line| columns(&line[..line.rfind('v').unwrap_or_default()]))
            .collect();
        assert_eq!(starts, [15, 15, 15], "{text}");
    }
}
