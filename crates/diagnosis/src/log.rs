//! The lines of a job's log that belong to one step, and those among them that say what went wrong.
//!
//! A log has no mark at the end of a step. Each line has its time, each step its times to the second,
//! and most steps begin with `##[group]Run …`.

use jiff::Timestamp;
use model::Redactor;
use model::text::cut;

use crate::plain;

/// Lines of an error that are shown, the length of one in characters, and of all in bytes.
const MAX_LINES: usize = 10;
const MAX_LINE: usize = 300;
const MAX_BYTES: usize = 4096;

/// The log of one step: plain lines, redacted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepLog {
    lines: Vec<Line>,
    /// What it runs, as the runner repeats it: an action with its inputs, or a script.
    pub runs: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    text: String,
    /// `##[error]`.
    is_error: bool,
}

/// A line as it came: its time, and what it says.
struct Raw<'a> {
    at: Option<Timestamp>,
    text: &'a str,
}

impl StepLog {
    /// The lines between two times, both to the second; all lines where the times are not known.
    /// `name` is the step's, `Run npm ci`.
    pub fn of(
        log: &str,
        name: &str,
        times: Option<(Timestamp, Option<Timestamp>)>,
        redactor: &Redactor,
    ) -> StepLog {
        let mut lines = between(log, times);
        // The runner's clock is not GitHub's.
        if lines.is_empty() {
            lines = between(log, None);
        }
        let lines = &lines[begin(&lines, name)..];
        let redacted = redacted(lines, redactor);
        let runs = runs(&redacted);
        let lines = without_heads(&redacted).map(line).collect();
        StepLog { lines, runs }
    }

    /// Every line, without the runner's marks.
    pub(crate) fn texts(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        self.lines.iter().map(|line| line.text.as_str())
    }
}

/// The lines of these seconds, without their times.
fn between(log: &str, times: Option<(Timestamp, Option<Timestamp>)>) -> Vec<&str> {
    let within = |at: Timestamp| {
        times.is_none_or(|(from, until)| {
            from.as_second() <= at.as_second()
                && until.is_none_or(|until| at.as_second() <= until.as_second())
        })
    };
    // A line without a time belongs to the one before it.
    let mut inside = times.is_none();
    let lines = log.trim_start_matches('\u{feff}').lines().map(raw);
    lines
        .filter_map(|Raw { at, text }| {
            inside = at.map_or(inside, within);
            inside.then_some(text)
        })
        .collect()
}

/// Plain lines without secrets. Line by line, because a mask takes what is around it along, a line break
/// too; and all at once where a secret goes over several lines.
fn redacted(lines: &[&str], redactor: &Redactor) -> String {
    let each = lines.iter().map(|line| redactor.redact(&plain::line(line)));
    let each = each.collect::<Vec<String>>().join("\n");
    redactor.redact(&each)
}

/// `2026-11-21T02:45:49.1234567Z text`.
fn raw(line: &str) -> Raw<'_> {
    let time = line.split_once(' ').unwrap_or((line, ""));
    match time.0.parse() {
        Ok(at) if time.0.ends_with('Z') => Raw {
            at: Some(at),
            text: time.1,
        },
        _ => Raw {
            at: None,
            text: line,
        },
    }
}

const GROUP: &str = "##[group]Run ";

/// Where the step begins among the lines of its seconds: those of the step before it may have ended
/// in the same second.
fn begin(lines: &[&str], name: &str) -> usize {
    let heads = || {
        let all = lines.iter().enumerate();
        all.filter_map(|(at, line)| Some((at, line.strip_prefix(GROUP)?)))
    };
    let own = name.strip_prefix("Run ").and_then(|name| {
        let name = name.trim_end_matches('…').trim_end_matches("...").trim();
        heads().find(|(_, head)| !name.is_empty() && head.starts_with(name))
    });
    own.or_else(|| heads().next()).map_or(0, |(at, _)| at)
}

/// What follows `##[group]Run ` to the end of that group.
fn runs(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(GROUP)?;
    let head = rest.split("##[endgroup]").next()?;
    Some(head.chars().take(8000).collect())
}

/// Without what the runner repeats of a step before it runs it: a script may hold any words.
fn without_heads(text: &str) -> impl Iterator<Item = &str> {
    let mut repeats = false;
    text.lines().filter(move |line| {
        let was_head = repeats || line.starts_with(GROUP);
        repeats = was_head && !line.starts_with("##[endgroup]");
        !was_head
    })
}

fn line(text: &str) -> Line {
    for (mark, is_error) in [
        ("##[error]", true),
        ("##[warning]", false),
        ("##[notice]", false),
        ("##[group]", false),
        ("##[endgroup]", false),
        ("##[command]", false),
        ("##[debug]", false),
        ("##[section]", false),
        ("::error::", true),
    ] {
        if let Some(rest) = text.strip_prefix(mark) {
            return Line {
                text: rest.to_owned(),
                is_error,
            };
        }
    }
    Line {
        text: text.to_owned(),
        is_error: false,
    }
}

/// Beginnings of lines that say what went wrong, in lower case.
const BEGINNINGS: &[&str] = &[
    "error",
    "fatal",
    "fail",
    "failed",
    "panic",
    "e   ",
    "npm err!",
    "npm error",
    "traceback",
    "exception",
    "denied",
    "unauthorized",
    "✕",
    "✗",
    "×",
    "--- fail",
];

/// Parts of such lines, in lower case.
const PARTS: &[&str] = &[
    "error:",
    "error[",
    " error ",
    "exception:",
    "failed:",
    " failed",
    "cannot ",
    "could not ",
    "no such file",
    "command not found",
    "permission denied",
    "connection refused",
    "timed out",
    "timeout",
    "unhealthy",
    "not found",
    "returned a non-zero code",
    "already exists",
    "does not exist",
];

/// Says no more than that there was an error.
pub(crate) fn is_generic(text: &str) -> bool {
    let text = text.trim_start_matches("Error: ");
    text.starts_with("Process completed with exit code")
        || text.starts_with("The operation was canceled")
        || text.starts_with("The process '") && text.contains("failed with exit code")
}

/// The first lines that say what went wrong: what the runner marks as an error, and what looks like
/// one. Where nothing does, the last lines before the end. At most 10 lines of 300 characters, and
/// 4 KiB in all.
pub fn error_lines(log: &StepLog) -> Vec<String> {
    let said: Vec<&Line> = log
        .lines
        .iter()
        .filter(|line| !line.text.trim().is_empty())
        .collect();
    let telling =
        |line: &&&Line| !is_generic(&line.text) && (line.is_error || looks_wrong(&line.text));
    let mut chosen: Vec<&str> = said
        .iter()
        .filter(telling)
        .map(|line| line.text.as_str())
        .collect();
    if chosen.is_empty() {
        let end = said
            .iter()
            .position(|line| line.is_error)
            .unwrap_or(said.len());
        let start = end.saturating_sub(MAX_LINES - 1);
        let until = (end + 1).min(said.len());
        chosen = said[start..until]
            .iter()
            .map(|line| line.text.as_str())
            .collect();
    }
    bounded(chosen)
}

/// The first ones, each once: a tool that repeats its error at the end has said it already.
fn bounded(lines: Vec<&str>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    let mut left = MAX_BYTES;
    for line in lines {
        let line = cut(line.trim(), MAX_LINE);
        if kept.contains(&line) {
            continue;
        }
        if kept.len() == MAX_LINES || line.len() > left {
            break;
        }
        left -= line.len();
        kept.push(line);
    }
    kept
}

fn looks_wrong(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    // What BuildKit says of a step begins with its number and the seconds.
    let said =
        text.trim_start_matches(|c: char| c == '#' || c == '.' || c.is_ascii_digit() || c == ' ');
    let all_well = [
        "0 error",
        "0 failed",
        "no error",
        "errors: 0",
        "failed: 0",
        "failed=0",
    ];
    if all_well.iter().any(|part| text.contains(part)) {
        return false;
    }
    BEGINNINGS
        .iter()
        .any(|start| text.starts_with(start) || said.starts_with(start))
        || PARTS.iter().any(|part| text.contains(part))
}
