//! Reads a report from an untrusted source; it may be damaged.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cli::Failure;
use jiff::Timestamp;
use model::report::v1;
use model::text::cut;
use model::{Id, Verdict};
use serde::Deserialize;

/// Larger than any gate writes.
const MAX_REPORT_BYTES: u64 = 256 << 20;
/// No gate watches longer; a longer time is invalid.
const MAX_DURATION: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// How the schemas of all versions begin.
const FAMILY: &str = "deploy-guard/report/";

/// A report whose times can be reckoned with.
pub(crate) struct TimedReport {
    pub(crate) report: v1::Report,
    /// Where times are reckoned from: when the gate began, or the recording that was judged.
    pub(crate) started_at: Timestamp,
    pub(crate) is_recording: bool,
    /// When the gate itself was stopped: from when until when since the start.
    pub(crate) pauses: Vec<(Duration, Duration)>,
    /// For each outcome, its measurements.
    pub(crate) measured: Vec<Vec<Measured>>,
}

/// One measurement, in the order of the report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Since [`TimedReport::started_at`].
    pub(crate) since: Duration,
    pub(crate) verdict: Verdict,
}

/// The part by which a report of any version is known.
#[derive(Deserialize)]
struct Head {
    schema: Option<serde_json::Value>,
}

pub(crate) fn report(path: &Path) -> Result<TimedReport, Failure> {
    read_bounded(path, MAX_REPORT_BYTES).map_err(|error| {
        let hint = error.hint();
        Failure::usage(error.to_string()).hint(hint)
    })
}

/// The same, of at most so many bytes.
pub(crate) fn read_bounded(path: &Path, largest: u64) -> Result<TimedReport, Error> {
    let bytes = bytes(path, largest).map_err(|cause| Error::Unread {
        path: path.to_owned(),
        cause,
    })?;
    parse(&bytes).map_err(|cause| Error::Unusable {
        path: path.to_owned(),
        cause,
    })
}

/// Why there is no report to explain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("failed to read {}: {cause}", display_name(path))]
    Unread { path: PathBuf, cause: io::Error },
    #[error("{} {cause}", display_name(path))]
    Unusable { path: PathBuf, cause: ReportError },
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    #[error("is empty")]
    Empty,
    #[error("ends in the middle")]
    CutOff,
    #[error("is not JSON: {0}")]
    NotJson(serde_json::Error),
    #[error("is not a report: not a JSON object")]
    NoObject,
    #[error("is not a report: it names no schema")]
    NoSchema,
    #[error("is not a report: its schema is `{}`", cut(.0, 60))]
    OtherSchema(String),
    #[error("has the schema `{}`; this is {}", cut(.0, 60), v1::SCHEMA)]
    OtherVersion(String),
    #[error("is damaged: {0}")]
    Damaged(Damage),
}

/// What of a report cannot be true.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Damage {
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("`{}` is not a time", cut(.0, 60))]
    NoTime(String),
    #[error("it took longer than a year")]
    Endless,
    #[error("`{}` took longer than a year", cut(.0.as_str(), 60))]
    EndlessOutcome(Id),
    #[error("a pause of it took longer than a year")]
    EndlessPause,
}

impl Error {
    /// The next step for a person.
    fn hint(&self) -> &'static str {
        let cause = match self {
            Error::Unread { .. } => return "name the file that a gate wrote with `--report FILE`",
            Error::Unusable { cause, .. } => cause,
        };
        match cause {
            ReportError::Empty | ReportError::CutOff | ReportError::Damaged(_) => {
                "fetch it again, or look at the run that wrote it"
            }
            ReportError::OtherVersion(_) => {
                "explain it with the deploy-guard that wrote it, or a newer one"
            }
            ReportError::NotJson(_)
            | ReportError::NoObject
            | ReportError::NoSchema
            | ReportError::OtherSchema(_) => "a report is what `healthgate --report FILE` writes",
        }
    }
}

fn display_name(path: &Path) -> String {
    match path.to_str() {
        Some("-") => "stdin".to_owned(),
        _ => format!("`{}`", path.display()),
    }
}

fn bytes(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("-") => files::read_stream(io::stdin().lock(), largest),
        _ => files::read_handed(path, largest),
    }
}

fn parse(bytes: &[u8]) -> Result<TimedReport, ReportError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ReportError::Empty);
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => ReportError::CutOff,
        serde_json::error::Category::Data => ReportError::NoObject,
        _ => ReportError::NotJson(error),
    })?;
    match head.schema.as_ref().and_then(serde_json::Value::as_str) {
        Some(v1::SCHEMA) => parse_report(bytes).map_err(ReportError::Damaged),
        Some(schema) if schema.starts_with(FAMILY) => {
            Err(ReportError::OtherVersion(schema.to_owned()))
        }
        Some(schema) => Err(ReportError::OtherSchema(schema.to_owned())),
        None => Err(ReportError::NoSchema),
    }
}

/// Reckons all times once, so that no later sum can overflow.
fn parse_report(bytes: &[u8]) -> Result<TimedReport, Damage> {
    let report: v1::Report = serde_json::from_slice(bytes)?;
    let recorded_at = recording_start(&report)?;
    let is_recording = recorded_at.is_some();
    let started_at = recorded_at.map_or_else(|| time(&report.started_at), Ok)?;
    let sane = |ms: u64| Duration::from_millis(ms) <= MAX_DURATION;
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
            return Err(Damage::EndlessOutcome(outcome.id.clone()));
        }
        let mut all = Vec::new();
        for measurement in &outcome.measurements {
            let since = time(&measurement.at)?.duration_since(started_at);
            // Events before the start are shown at the start.
            let since = Duration::try_from(since).unwrap_or_default();
            all.push(Measured {
                since: since.min(MAX_DURATION),
                verdict: measurement.verdict,
            });
        }
        measured.push(all);
    }
    if !sane(report.duration_ms) {
        return Err(Damage::Endless);
    }
    let mut pauses = Vec::new();
    for pause in &report.pauses {
        let lasted = Duration::from_millis(pause.duration_ms);
        if !sane(pause.duration_ms) {
            return Err(Damage::EndlessPause);
        }
        let since = time(&pause.at)?.duration_since(started_at);
        let since = Duration::try_from(since)
            .unwrap_or_default()
            .min(MAX_DURATION);
        pauses.push((since, since + lasted));
    }
    pauses.sort_unstable();
    Ok(TimedReport {
        report,
        started_at,
        is_recording,
        pauses,
        measured,
    })
}

/// When the first measurement was made, where all were made before the report was begun: they are those
/// of a recording.
fn recording_start(report: &v1::Report) -> Result<Option<Timestamp>, Damage> {
    let started_at = time(&report.started_at)?;
    let mut first = None;
    for outcome in &report.outcomes {
        for measurement in &outcome.measurements {
            let at = time(&measurement.at)?;
            if at >= started_at {
                return Ok(None);
            }
            first = Some(first.map_or(at, |first: Timestamp| first.min(at)));
        }
    }
    Ok(first)
}

fn time(text: &str) -> Result<Timestamp, Damage> {
    text.parse().map_err(|_| Damage::NoTime(text.to_owned()))
}
