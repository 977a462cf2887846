//! Reads a report that somebody else may have made, damaged or sent.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use cli::Failure;
use jiff::Timestamp;
use model::Verdict;
use model::report::v1;
use model::text::cut;
use serde::Deserialize;

/// Larger than any gate writes.
const LARGEST: u64 = 256 << 20;
/// No gate watches longer; a longer time is no time.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// How the schemas of all versions begin.
const FAMILY: &str = "deploy-guard/report/";

/// A report whose times can be reckoned with.
pub(crate) struct Told {
    pub(crate) report: v1::Report,
    pub(crate) started_at: Timestamp,
    /// When the gate itself was stopped: from when until when since the start.
    pub(crate) pauses: Vec<(Duration, Duration)>,
    /// For each outcome, its measurements.
    pub(crate) measured: Vec<Vec<Measured>>,
}

/// One measurement, in the order of the report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Since the report's start.
    pub(crate) since: Duration,
    pub(crate) verdict: Verdict,
}

/// The part by which a report of any version is known.
#[derive(Deserialize)]
struct Head {
    schema: Option<serde_json::Value>,
}

pub(crate) fn report(path: &Path) -> Result<Told, Failure> {
    within(path, LARGEST)
}

/// The same, of at most so many bytes.
pub(crate) fn within(path: &Path, largest: u64) -> Result<Told, Failure> {
    let name = match path.to_str() {
        Some("-") => "stdin".to_owned(),
        _ => format!("`{}`", path.display()),
    };
    let bytes = bytes(path, largest).map_err(|error| {
        Failure::usage(format!("failed to read {name}: {error}"))
            .hint("name the file that a gate wrote with `--report FILE`")
    })?;
    parse(&bytes).map_err(|(what, hint)| Failure::usage(format!("{name} {what}")).hint(hint))
}

fn bytes(path: &Path, largest: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = |source: &mut dyn std::io::Read, bytes: &mut Vec<u8>| {
        source.take(largest + 1).read_to_end(bytes)
    };
    match path.to_str() {
        Some("-") => read(&mut std::io::stdin().lock(), &mut bytes)?,
        _ => read(&mut File::open(path)?, &mut bytes)?,
    };
    if bytes.len() as u64 > largest {
        let reason = format!("it is larger than {} MiB", largest >> 20);
        return Err(std::io::Error::other(reason));
    }
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Told, (String, &'static str)> {
    const MAKE: &str = "a report is what `healthgate --report FILE` writes";
    const AGAIN: &str = "fetch it again, or look at the run that wrote it";
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(("is empty".into(), AGAIN));
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => ("ends in the middle".to_owned(), AGAIN),
        serde_json::error::Category::Data => ("is no report: not a JSON object".to_owned(), MAKE),
        _ => (format!("is not JSON: {error}"), MAKE),
    })?;
    match head.schema.as_ref().and_then(serde_json::Value::as_str) {
        Some(v1::SCHEMA) => {}
        Some(schema) if schema.starts_with(FAMILY) => {
            let what = format!(
                "has the schema `{}`; this is {}",
                cut(schema, 60),
                v1::SCHEMA
            );
            return Err((
                what,
                "explain it with the deploy-guard that wrote it, or a newer one",
            ));
        }
        Some(schema) => {
            return Err((
                format!("is no report: its schema is `{}`", cut(schema, 60)),
                MAKE,
            ));
        }
        None => return Err(("is no report: it names no schema".into(), MAKE)),
    }
    let damaged = |what: String| (format!("is damaged: {what}"), AGAIN);
    let report: v1::Report =
        serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    told(report).map_err(damaged)
}

/// Reckons all times once, so that no later sum can overflow.
fn told(report: v1::Report) -> Result<Told, String> {
    let started_at = time(&report.started_at)?;
    let sane = |ms: u64| Duration::from_millis(ms) <= LONGEST;
    let mut measured = Vec::new();
    for outcome in &report.outcomes {
        let policy = outcome.policy.iter().chain(&report.policy);
        let spans = policy.flat_map(|policy| {
            [
                policy.initial_delay_ms,
                policy.interval_ms,
                policy.timeout_ms,
                policy.failing_for_ms.unwrap_or_default(),
                policy.startup_ms,
                policy.deadline_ms,
                policy.soak_ms,
            ]
        });
        let times = outcome.measurements.iter().map(|one| one.duration_ms);
        if !spans.chain(times).chain([outcome.duration_ms]).all(sane) {
            return Err(format!(
                "`{}` took longer than a year",
                cut(&outcome.id, 60)
            ));
        }
        let mut all = Vec::new();
        for measurement in &outcome.measurements {
            let since = time(&measurement.at)?.duration_since(started_at);
            // What was known before the start is told as of the start.
            let since = Duration::try_from(since).unwrap_or_default();
            all.push(Measured {
                since: since.min(LONGEST),
                verdict: measurement.verdict,
            });
        }
        measured.push(all);
    }
    if !sane(report.duration_ms) {
        return Err("it took longer than a year".into());
    }
    let mut pauses = Vec::new();
    for pause in &report.pauses {
        let lasted = Duration::from_millis(pause.duration_ms);
        if !sane(pause.duration_ms) {
            return Err("a pause of it took longer than a year".into());
        }
        let since = time(&pause.at)?.duration_since(started_at);
        let since = Duration::try_from(since).unwrap_or_default().min(LONGEST);
        pauses.push((since, since + lasted));
    }
    pauses.sort_unstable();
    Ok(Told {
        report,
        started_at,
        pauses,
        measured,
    })
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| format!("`{}` is not a time", cut(text, 60)))
}
