//! From an access log: its lines of that time.

use std::time::Duration;

use chronicle::{Exposure, Source};
use feed::{Field, Format, Layout, PastLog, PastRequest, PastSettings};
use probe::ProbeContext;
use probe::shell::Shell;
use sections::LogFormat;
use sections::incident::ExposureLog;

use crate::CountError;
use crate::stay::ExposureWindow;
use crate::tally::{CountedInterval, Counter, Tally, seconds};

/// Where the combined format has the status and the time.
const STATUS: usize = 6;
const TIME: usize = 4;
/// What loggers of JSON call the time.
const TIMES: [&str; 5] = ["time_iso8601", "msec", "time", "ts", "@timestamp"];

/// What the release served, as the lines of an access log have it.
///
/// # Errors
/// Returns why it is not known.
pub async fn of_log(
    section: &ExposureLog,
    around: &ProbeContext,
    stay: &ExposureWindow,
    timeout: Duration,
) -> Result<Exposure, CountError> {
    let log = log(section, around, &stay.release)?;
    let mut tally = Tally::new(stay, 1.0);
    let mut see = |request: PastRequest| {
        let PastRequest {
            after,
            by,
            is_of_side,
            failed,
        } = request;
        let seen = CountedInterval {
            after,
            by,
            count: 1.0,
        };
        tally.add(Counter::OfAll, seen);
        if is_of_side {
            tally.add(Counter::Total, seen);
        }
        if is_of_side && failed {
            tally.add(Counter::Failed, seen);
        }
    };
    let (from, until) = (seconds(stay.from), seconds(stay.until));
    let is_whole = log.requests(from, until, timeout, &mut see).await?;
    if !is_whole && tally.is_empty() {
        return Err(CountError::TooShort {
            file: section.file.display().to_string(),
            from: stay.from,
        });
    }
    if !is_whole {
        tally.open();
    }
    tally.exposure(Source::AccessLog)
}

fn log(section: &ExposureLog, around: &ProbeContext, release: &str) -> Result<PastLog, CountError> {
    let shell = Shell::new(section.host.as_deref(), around)?;
    let key = |name: &Option<String>, default: &str| {
        Field::Key(name.clone().unwrap_or_else(|| default.to_owned()))
    };
    let (format, status, at, side) = match section.format {
        LogFormat::Combined => (
            Format::Combined,
            Field::Column(STATUS),
            vec![Field::Column(TIME)],
            // That it is a number is a rule of the section.
            Field::Column(section.field.parse().unwrap_or_default()),
        ),
        LogFormat::Json => (
            Format::Json,
            key(&section.status, "status"),
            match &section.time {
                Some(name) => vec![Field::Key(name.clone())],
                None => TIMES.map(|name| Field::Key(name.to_owned())).to_vec(),
            },
            Field::Key(section.field.clone()),
        ),
    };
    let settings = PastSettings {
        layout: Layout {
            format,
            status,
            side,
            time: None,
        },
        at,
        side: section.value.replace("{release}", release),
        failures: section.failures(),
    };
    let file = section.file.display().to_string();
    Ok(PastLog::new(shell, file, settings))
}
