//! Where the configuration says that the numbers come from.

use std::collections::BTreeSet;
use std::time::Duration;

use cli::{Failure, Job};
use config::file::{Canary, CanaryKind, CanaryMetric, Healthgate, LogFormat, TimeUnit};
use config::value::Pattern;
use feed::{
    AccessLog, Command, DataDefect, Field, Format, Layout, LogMetric, LogSettings, PerSide,
    PrometheusMetric, PrometheusSource, Queries, Settings,
};
use jiff::Timestamp;
use judge::Interval;
use model::Redactor;
use net::hosts::Hosts;
use probe::ProbeContext;
use probe::shell::Shell;

use crate::last_known_good;

/// In the place of a side's matchers.
const SIDE: &str = "{side}";
/// The columns of the combined format.
const STATUS: usize = 6;

pub(super) enum Source {
    Prometheus(Box<PrometheusSource>),
    Log(Box<AccessLog>),
    Command(Command, Duration),
}

/// What a look gave.
pub(super) struct IntervalReading {
    /// The time of the source.
    pub(super) at: Timestamp,
    pub(super) interval: Interval,
    /// Where it came as a line.
    pub(super) line: Option<String>,
    /// Of each metric.
    pub(super) flaws: Vec<Vec<DataDefect>>,
    /// Something that is due has not come yet.
    pub(super) is_early: bool,
}

impl IntervalReading {
    pub(super) fn nothing(metrics: usize) -> IntervalReading {
        IntervalReading {
            at: Timestamp::now(),
            interval: Interval {
                metrics: vec![judge::Sample::default(); metrics],
            },
            line: None,
            flaws: vec![Vec::new(); metrics],
            is_early: false,
        }
    }

    fn of(look: feed::IntervalCounts) -> IntervalReading {
        IntervalReading {
            at: look.at,
            is_early: look.early,
            interval: look.interval,
            line: None,
            flaws: look.flaws,
        }
    }
}

impl Source {
    pub(super) async fn new(
        job: &Job,
        section: &Healthgate,
        canary: &Canary,
    ) -> Result<Source, Failure> {
        let around = ProbeContext {
            env: job.env.clone(),
            hosts: Hosts::new(&job.config.hosts, &job.env),
            redactor: Redactor::clone(&job.redactor),
        };
        let shell = |host: Option<&str>| {
            Shell::new(host, &around).map_err(|why| Failure::usage(format!("canary: {why}")))
        };
        if let Some(log) = &canary.access_log {
            let file = log.file.display().to_string();
            let log_of = AccessLog::new(shell(log.host.as_deref())?, file, of_log(canary)?);
            return Ok(Source::Log(Box::new(log_of)));
        }
        if let Some(command) = &canary.command {
            let has_sides = canary.label.is_some() || canary.sides.is_some();
            let sides = if has_sides {
                Some(sides(job, canary).await?)
            } else {
                None
            };
            let mut run = remote::exports(command.run.variables());
            if let Some(sides) = sides {
                for (name, side) in [("CANARY", sides.canary), ("STABLE", sides.stable)] {
                    run.push_str(&format!("{name}={}; export {name}\n", remote::quote(&side)));
                }
            }
            run.push_str(&command.run);
            let command_of = Command::new(shell(command.host.as_deref())?, run);
            return Ok(Source::Command(command_of, command.timeout.get()));
        }
        let sides = sides(job, canary).await?;
        Ok(Source::Prometheus(Box::new(of_prometheus(
            job, section, canary, sides,
        )?)))
    }

    /// Where a person sees the numbers.
    pub(super) fn hint(canary: &Canary, section: &Healthgate, metric: &CanaryMetric) -> String {
        if let Some(log) = &canary.access_log {
            let at = log
                .host
                .as_ref()
                .map_or_else(String::new, |host| format!("at {host}: "));
            return format!(
                "look at both sides' requests {at}`tail {}`",
                log.file.display()
            );
        }
        if let Some(command) = &canary.command {
            return format!("run the command `{}`", command.run);
        }
        let server = canary.server.as_ref();
        let server = server.or(section.prometheus.first().map(|probe| &probe.server));
        let server = server.map_or("", String::as_str).trim_end_matches('/');
        let base = url::Url::parse(server).map_or_else(
            |_| server.to_owned(),
            |url| prometheus::without_credentials(&url),
        );
        let queries = [&metric.total, &metric.buckets, &metric.query];
        let first = queries.into_iter().flatten().next();
        let name = first
            .and_then(|query| query.split('{').next())
            .map(str::trim);
        format!(
            "see both sides' series: `curl -G {}/api/v1/series --data-urlencode 'match[]={}'`; record the \
             intervals with `--record-trace FILE`",
            base.trim_end_matches('/'),
            name.filter(|name| !name.is_empty()).unwrap_or("up")
        )
    }

    /// Of how many intervals one is looked at: those between two scrapes have nothing new.
    pub(super) fn intervals_between_scrapes(&self, interval: Duration) -> u32 {
        let Source::Prometheus(source) = self else {
            return 1;
        };
        let apart = source.spacing().as_secs_f64() / interval.as_secs_f64();
        // Scrapes are not exact to the millisecond.
        let apart = (apart - 0.05).ceil().clamp(1.0, 1000.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped"
        )]
        let apart = apart as u32;
        apart
    }

    /// Whether what it could not tell is lost. Counters tell it the next time.
    pub(super) fn forgets(&self) -> bool {
        matches!(self, Source::Command(..))
    }

    pub(super) async fn read_interval(
        &mut self,
        names: &[String],
        last: bool,
        timeout: Duration,
    ) -> Result<IntervalReading, feed::Error> {
        match self {
            Source::Prometheus(source) => source
                .read_interval(last, timeout)
                .await
                .map(IntervalReading::of),
            Source::Log(log) => log.read_interval(timeout).await.map(IntervalReading::of),
            Source::Command(command, timeout) => Ok(IntervalReading {
                line: Some(command.line(*timeout).await?),
                ..IntervalReading::nothing(names.len())
            }),
        }
    }
}

/// What selects each side.
async fn sides(job: &Job, canary: &Canary) -> Result<PerSide<String>, Failure> {
    let release = job.release.as_deref().unwrap_or_default();
    if release.is_empty() && canary.label.is_some() {
        return Err(Failure::usage(
            "`canary.label` needs the release under test, and none is given",
        )
        .hint("pass `--release RELEASE`"));
    }
    let before = if canary.needs_last_known_good() {
        last_known_good::of(job).await?
    } else {
        String::new()
    };
    if before == release && !before.is_empty() {
        return Err(Failure::usage(format!(
            "release {release} would be compared with itself: it is the last known good one"
        ))
        .hint("compare before it is recorded, or set `LAST_KNOWN_GOOD` to the release that serves beside it"));
    }
    let sides = canary.sides_of(release, &before);
    let sides = sides.ok_or_else(|| {
        Failure::usage(
            "canary: neither `label` nor `sides` distinguishes the series of canary and stable",
        )
        .hint("add `label: release`, the label that holds the release")
    })?;
    Ok(PerSide {
        canary: sides.canary,
        stable: sides.stable,
    })
}

fn of_prometheus(
    job: &Job,
    section: &Healthgate,
    canary: &Canary,
    sides: PerSide<String>,
) -> Result<PrometheusSource, Failure> {
    let first = section.prometheus.first();
    let (server, access) = match (&canary.server, first) {
        (Some(server), _) => (server, canary.access.as_ref()),
        (None, Some(probe)) => (&probe.server, probe.access.as_ref()),
        (None, None) => {
            return Err(Failure::usage("canary: no `server` is given")
                .hint("add `server: http://prometheus.internal:9090`"));
        }
    };
    let client = prometheus::Client::new(server, access, &job.env)
        .map_err(|why| Failure::usage(format!("canary: {why}")))?;
    let settings = Settings {
        interval: canary.interval.get(),
        warm_up: canary.warm_up.get(),
        sides: sides.clone(),
    };
    let metrics = canary.compared().into_iter().map(|metric| {
        let queries = queries(&metric, &sides).ok_or_else(|| {
            Failure::usage(format!("canary: metric `{}` has no query", metric.name))
        })?;
        Ok(PrometheusMetric {
            name: metric.name,
            queries,
        })
    });
    let metrics = metrics.collect::<Result<_, Failure>>()?;
    PrometheusSource::new(client, settings, metrics).map_err(|error| {
        let hint = error.hint();
        let failure = Failure::usage(format!("canary: {error}"));
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

fn queries(metric: &CanaryMetric, sides: &PerSide<String>) -> Option<Queries> {
    let both = |query: &String| PerSide {
        canary: query.replace(SIDE, &sides.canary),
        stable: query.replace(SIDE, &sides.stable),
    };
    let both = |query: &Option<String>| query.as_ref().map(both);
    Some(match metric.kind {
        CanaryKind::Ratio => Queries::Ratio {
            failed: both(&metric.failed)?,
            total: both(&metric.total)?,
        },
        CanaryKind::Histogram => Queries::Histogram {
            buckets: both(&metric.buckets)?,
        },
        CanaryKind::Count => Queries::Count {
            events: both(&metric.query)?,
            total: both(&metric.total),
        },
        CanaryKind::Gauge => Queries::Gauge {
            query: both(&metric.query)?,
        },
    })
}

fn of_log(canary: &Canary) -> Result<LogSettings, Failure> {
    let Some(log) = &canary.access_log else {
        return Err(Failure::usage("canary: no access log is configured"));
    };
    let field = |text: &String| match (log.format, text.parse()) {
        (LogFormat::Combined, Ok(column)) => Field::Column(column),
        _ => Field::Key(text.clone()),
    };
    let status = log.status.clone();
    let duration = match (log.format, &log.duration) {
        (_, Some(duration)) => Some(field(duration)),
        (LogFormat::Json, None) => Some(Field::Key("request_time".to_owned())),
        (LogFormat::Combined, None) => None,
    };
    let failures: Pattern = canary
        .metric_names
        .errors
        .parse()
        .map_err(|why| Failure::usage(format!("canary: `metric-names.errors`: {why}")))?;
    let failures: BTreeSet<u16> = (100..1000)
        .filter(|status: &u16| failures.matches_whole(status.to_string().as_bytes()))
        .collect();
    let mut metrics = Vec::new();
    for metric in canary.compared() {
        metrics.push(match metric.kind {
            CanaryKind::Ratio => LogMetric::Failures(failures.clone()),
            CanaryKind::Histogram if duration.is_some() => LogMetric::Times,
            CanaryKind::Histogram => {
                return Err(Failure::usage(format!(
                    "canary: metric `{}` needs the time that an answer took, which the log has not",
                    metric.name
                ))
                .hint("name its field, `access-log: { duration: 11 }`, or list `metrics` without it"));
            }
            CanaryKind::Gauge | CanaryKind::Count => {
                return Err(Failure::usage(format!(
                    "canary: an access log has no metric `{}`: it shows which requests failed, and how long they took",
                    metric.name
                )));
            }
        });
    }
    let unit = match log.duration_unit {
        TimeUnit::Seconds => feed::TimeUnit::Seconds,
        TimeUnit::Milliseconds => feed::TimeUnit::Milliseconds,
    };
    // A time that no metric wants need not be there.
    let times = metrics.contains(&LogMetric::Times);
    Ok(LogSettings {
        layout: Layout {
            format: match log.format {
                LogFormat::Combined => Format::Combined,
                LogFormat::Json => Format::Json,
            },
            status: match log.format {
                LogFormat::Combined => Field::Column(STATUS),
                LogFormat::Json => Field::Key(status.unwrap_or_else(|| "status".to_owned())),
            },
            side: field(&log.side.field),
            time: duration.filter(|_| times).map(|field| (field, unit)),
        },
        sides: PerSide {
            canary: log.side.canary.clone(),
            stable: log.side.stable.clone(),
        },
        metrics,
    })
}
