//! `incident metrics`: DORA's five and the figures of the runbooks, from the log and the state.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use cli::{Failure, Format, Job};
use config::value::Age;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use measures::{CanaryShare, Exposition, Labels, Measures, Window, v1};
use model::report::Written;
use model::{Outcome, Report, Verdict};
use state::atomic;

use crate::canary_share;
use crate::cdevents::Stream;
use crate::past::MeasuredHistory;
use crate::push::{push, would_push};
use crate::session::{NAME_ONE, Session};
use crate::show::clocks;

/// As long as DORA's own questions look back.
const WINDOW: Duration = Duration::from_hours(30 * 24);
const DAY: Duration = Duration::from_hours(24);

#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
    /// How far the figures look back: `90d`, `26w`, `12h` [default: 30d]
    #[arg(long, value_name = "AGE")]
    since: Option<Age>,
    /// Also write the series here, for the textfile collector of node_exporter: a name that ends
    /// with `.prom`
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
    /// Also push the series to this Pushgateway, such as `http://127.0.0.1:9091`
    #[arg(long, value_name = "URL")]
    pushgateway: Option<String>,
    /// Also write the deployments and incidents of that time here as CDEvents, one CloudEvent on a line
    #[arg(long, value_name = "FILE")]
    cdevents: Option<PathBuf>,
}

/// The time that is measured. One of days ends with the hour, so that the same log gives the same bytes within it.
fn window(now: Timestamp, since: Duration) -> Window {
    let end_of_hour = TimestampRound::new()
        .smallest(Unit::Hour)
        .mode(RoundMode::Ceil);
    let until = if since < DAY {
        now
    } else {
        now.round(end_of_hour).unwrap_or(now)
    };
    let from = until.checked_sub(since);
    Window {
        from: from.unwrap_or(Timestamp::MIN),
        until,
    }
}

/// The figures, on stdout and in the file.
pub(crate) async fn metrics(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    if flags.since.is_some_and(|since| since.get().is_zero()) {
        let failure = Failure::usage("`--since` must be longer than 0s");
        return Err(failure.hint("leave it out for the last 30 days"));
    }
    let session = Session::open(job)?;
    if let Some(path) = &flags.textfile {
        check(path)?;
    }
    let history = session.scribe.history().await?;
    let environments = history.environments();
    if job.environment.is_none() && environments.len() > 1 {
        let known = environments.into_iter().collect::<Vec<_>>().join(", ");
        let reason = format!("figures are of one environment, and the log has: {known}");
        return Err(Failure::usage(reason).hint(NAME_ONE));
    }
    let document = session.scribe.document().await?;
    let window = window(session.started_at, flags.since.map_or(WINDOW, Age::get));
    let past = MeasuredHistory::of(&history, document.as_ref(), window.until);
    let measures = Measures {
        unread_lines: history.unread().len() as u64,
        ..Measures::of(&past.deployments, &past.incidents, window)
    };
    let labels = Labels {
        service: job.service().unwrap_or_default(),
        environment: job.environment.clone().unwrap_or_default(),
    };
    let observed = match &document {
        Some(document) => canary_share::observed(job, document).await,
        None => None,
    };
    let rollout = document.and_then(|document| document.rollout);
    let series = Exposition {
        labels: &labels,
        measures: &measures,
        canary: rollout.map(|rollout| CanaryShare {
            configured: rollout.share,
            observed,
        }),
    };
    let series = job.redactor.redact(&series.to_string());
    let mut outcomes = Vec::new();
    if let Some(path) = &flags.textfile {
        let told = format!("{} series", count(&series));
        outcomes.push(written(job, "incident/textfile", path, &series, told));
    }
    if let Some(path) = &flags.cdevents {
        let stream = Stream::of(&history, window, job)?;
        let (lines, told) = (job.redactor.redact(&stream.lines), stream.summary());
        outcomes.push(written(job, "incident/cdevents", path, &lines, told));
    }
    if let Some(gateway) = &flags.pushgateway {
        outcomes.push(if job.dry_run {
            would_push(job, gateway)?
        } else {
            push(job, gateway, &series).await?
        });
    }
    let deployments = past.deployments.len();
    let since = past
        .began()
        .map_or("nothing was recorded yet".to_owned(), |at| {
            format!("since {}", at.strftime("%F"))
        });
    outcomes.insert(
        0,
        Outcome::pass("incident/metrics", session.scribe.chronicle.place()).actual(format!(
            "{deployments} deployments, {} incidents, {since}",
            past.incidents.len()
        )),
    );
    let recent = history.events().filter(|event| event.at >= window.from);
    outcomes.extend(clocks(recent, session.started_at));
    let mut report = session.report(outcomes);
    report.written = Some(Written {
        text: match job.publisher.format() {
            Format::Prometheus => series,
            Format::Text | Format::Json => measures.table(),
        },
        is_markdown: false,
        json: Some(json(&labels, &measures)?),
        html: None,
    });
    Ok(report)
}

fn json(labels: &Labels, measures: &Measures) -> Result<String, Failure> {
    let view = v1::Measures::new(labels, measures);
    let text = serde_json::to_string_pretty(&view).map_err(Failure::error)?;
    Ok(text + "\n")
}

fn count(series: &str) -> usize {
    series.lines().filter(|line| !line.starts_with('#')).count()
}

/// The collector reads files of that ending only.
fn check(path: &Path) -> Result<(), Failure> {
    if path.extension().is_some_and(|ending| ending == "prom") {
        return Ok(());
    }
    Err(
        Failure::usage(format!("{} does not end with `.prom`", path.display()))
            .hint("node_exporter reads no other file of its `--collector.textfile.directory`"),
    )
}

/// Replaces the file whole: another program may read it at any moment. Where it cannot be written, the figures are
/// printed all the same.
fn written(job: &Job, id: &str, path: &Path, text: &str, told: String) -> Outcome {
    let place = path.display().to_string();
    if job.dry_run {
        let would = format!("would write {place}: {told}");
        return Outcome::skipped(id, place, would);
    }
    match atomic::replace(path, text.as_bytes()) {
        Ok(()) => Outcome::pass(id, place).actual(told),
        Err(error) => Outcome::new(id, &place, Verdict::Error)
            .reason(format!("failed to write {place}: {}", error.kind()))
            .hint("name a file in a folder that exists and can be written"),
    }
}
