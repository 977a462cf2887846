//! `healthgate plan`: how long the canary judge will take, before the rollout.

use std::time::Duration;

use cli::{Failure, Job};
use config::file::{Canary, CanaryKind, CanaryMetric, Healthgate};
use config::value::{Quantity, Span, Unit};
use jiff::Timestamp;
use judge::sequential::{
    Chance, Plan, Reach, SettingsError, Tolerance, Traffic, plan, plan_latency,
};
use model::planned;
use model::report::Table;
use model::{Outcome, Report, Verdict};
use prometheus::{Client, Sample};

/// Over which times the traffic is asked for. The longest one counts that there was traffic in.
const WINDOWS: [&str; 4] = ["30m", "10m", "3m", "1m"];
/// A window with less than such a part of the requests a second that another one has reaches back to
/// before the traffic: Prometheus divides by all of it.
const FULL: f64 = 0.75;
/// A matcher that every series fits.
const ANY: &str = "instance=~\".*\"";
/// Nobody waits so long for a verdict.
const FORESEEN: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const TIMEOUT: Duration = Duration::from_secs(30);

/// Which traffic.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// The requests of both sides together [default: as Prometheus counted them in the last 30 minutes, or since they began]
    #[arg(long, value_name = "N", requires = "error_rate", value_parser = requests)]
    requests_per_minute: Option<f64>,
    /// The share of them that fails, such as `0.5%`
    #[arg(long, value_name = "SHARE", requires = "requests_per_minute", value_parser = share)]
    error_rate: Option<Quantity>,
    /// The canary's share of the requests; several are separated by commas
    #[arg(
        long,
        value_name = "SHARE",
        value_delimiter = ',',
        default_value = "10%,25%,50%",
        value_parser = share
    )]
    share: Vec<Quantity>,
}

/// Why a flag's value is not understood.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("it is not a number of requests above 0")]
    Requests,
    #[error("a share is more than 0% and less than 100%, such as `10%`")]
    Share,
}

fn requests(text: &str) -> Result<f64, Unfit> {
    let number = text.parse().ok();
    let number = number.filter(|number: &f64| *number > 0.0 && *number < 1e12);
    number.ok_or(Unfit::Requests)
}

fn share(text: &str) -> Result<Quantity, Unfit> {
    let share = text.parse::<Quantity>().ok();
    let is_share = |share: &Quantity| 0.0 < share.get() && share.get() < 1.0;
    share.filter(is_share).ok_or(Unfit::Share)
}

/// What a metric's traffic is.
#[derive(Clone, Debug)]
struct Seen {
    per_minute: f64,
    errors: Errors,
}

#[derive(Clone, Debug)]
enum Errors {
    /// The part of the requests that fails.
    Failed(f64),
    /// Of each bound of a histogram, the part of the requests that is slower.
    Slower(Vec<(f64, f64)>),
}

impl Seen {
    fn told(&self) -> String {
        let per_minute = few_digits(self.per_minute, Unit::Plain);
        let percent = |part: f64| few_digits(part, Unit::Percent);
        let of_them = match &self.errors {
            Errors::Failed(rate) => format!("{} of them fail", percent(*rate)),
            Errors::Slower(bounds) => {
                let is_seen = |(_, slower): &&(f64, f64)| *slower > 0.0;
                match bounds.iter().rfind(is_seen).or(bounds.first()) {
                    Some((bound, slower)) => {
                        format!(
                            "{} of them above {}",
                            percent(*slower),
                            Unit::Seconds.show(*bound)
                        )
                    }
                    None => "in no buckets".to_owned(),
                }
            }
        };
        format!("{per_minute} requests a minute, {of_them}")
    }
}

impl Flags {
    /// One outcome for each metric and share: a pass where the traffic can show both verdicts in time.
    pub(crate) async fn plan(&self, job: &Job) -> Result<Report, Failure> {
        let started_at = Timestamp::now();
        let canary = config::planned_canary(&job.config)?;
        let canary = canary.unwrap_or_default();
        let metrics = canary.compared();
        let client = match self.requests_per_minute {
            Some(_) => None,
            None => Some(client(job, &canary)?),
        };
        // One that is named twice is planned once.
        let mut shares = self.share.clone();
        shares.sort_by(|a, b| a.get().total_cmp(&b.get()));
        shares.dedup_by(|a, b| a.get().total_cmp(&b.get()).is_eq());
        let mut ids = Vec::new();
        let mut outcomes = Vec::new();
        let mut rows = Vec::new();
        for metric in &metrics {
            let id = |share: &Quantity| format!("plan/{}/{share}", metric.name);
            let shares: Vec<&Quantity> = { shares.iter() }
                .filter(|share| {
                    ids.push(id(share));
                    job.only.selects(&id(share))
                })
                .collect();
            if shares.is_empty() {
                continue;
            }
            let mut skip = |why| {
                outcomes.push(Outcome::skipped(format!("plan/{}", metric.name), "", why));
            };
            let given = self.requests_per_minute.zip(self.error_rate);
            let seen = match (metric.kind, &client, given) {
                (CanaryKind::Ratio, _, Some((per_minute, rate))) => Seen {
                    per_minute,
                    errors: Errors::Failed(rate.get()),
                },
                (CanaryKind::Ratio, Some(client), None) => {
                    failures(client, metric, &canary).await?
                }
                (CanaryKind::Histogram, Some(client), None) => {
                    durations(client, metric, &canary).await?
                }
                (CanaryKind::Histogram, ..) => {
                    skip(
                        "its buckets are not known: without `--error-rate`, Prometheus is asked for them",
                    );
                    continue;
                }
                (CanaryKind::Count, ..) => {
                    skip(
                        "only ratios and histograms are planned: the times of events are not known",
                    );
                    continue;
                }
                (CanaryKind::Gauge, ..) => {
                    skip("only ratios and histograms are planned: how a gauge moves is not known");
                    continue;
                }
                (CanaryKind::Ratio, None, None) => continue,
            };
            for share in shares {
                let planned = planned(&canary, metric, &seen, *share);
                let (outcome, row) = told(id(share), &canary, metric, &seen, *share, planned);
                outcomes.push(outcome);
                rows.push(row);
            }
        }
        outcomes.extend(
            job.only
                .unknown(&ids)
                .into_iter()
                .map(crate::only::never_asked),
        );
        let mut report = Report::from_outcomes("healthgate", started_at, outcomes);
        report.tables.push(Table {
            title: "How long it takes: a pass half to twice of this (at most, in nine of ten), a fail in between, in eight of ten rollouts"
                .to_owned(),
            header: vec![
                "metric",
                "share",
                "a good release passes",
                "2 times worse is found",
                "5 times worse is found",
            ],
            rows,
            only_in_summary: false,
        });
        Ok(report)
    }
}

fn client(job: &Job, canary: &Canary) -> Result<Client, Failure> {
    let gate = job.config.healthgate_of_any().ok().flatten();
    let first = gate.and_then(|gate: &Healthgate| gate.prometheus.first());
    let (server, access) = match (&canary.server, first) {
        (Some(server), _) => (server, canary.access.as_ref()),
        (None, Some(probe)) => (&probe.server, probe.access.as_ref()),
        (None, None) => {
            let hint = "add `healthgate: { canary: { server: http://prometheus:9090, label: release } }`, or pass `--requests-per-minute N --error-rate SHARE`";
            return Err(
                Failure::usage("no server is configured that knows the traffic").hint(hint),
            );
        }
    };
    Client::new(server, access, &job.env).map_err(Failure::usage)
}

/// The requests of both sides together, as they were lately.
async fn failures(
    client: &Client,
    metric: &CanaryMetric,
    canary: &Canary,
) -> Result<Seen, Failure> {
    let value = |samples: &[Sample]| samples.first().map_or(0.0, |sample| sample.value);
    let sum = Sum {
        metric,
        canary,
        query: metric.total.as_deref(),
        by: "sum",
    };
    let (window, samples) = sum.lately(client, value).await?;
    let total = value(&samples);
    let sum = Sum {
        query: metric.failed.as_deref(),
        ..sum
    };
    let failed = value(&sum.within(client, window).await?);
    Ok(Seen {
        per_minute: total * 60.0,
        errors: Errors::Failed(part_of(failed, total)),
    })
}

async fn durations(
    client: &Client,
    metric: &CanaryMetric,
    canary: &Canary,
) -> Result<Seen, Failure> {
    let bound = |sample: &Sample| sample.labels.get("le")?.parse::<f64>().ok();
    let all = |samples: &[Sample]| {
        let is_infinite = |sample: &&Sample| bound(sample) == Some(f64::INFINITY);
        let all = samples.iter().find(is_infinite);
        all.map_or(0.0, |sample| sample.value)
    };
    let sum = Sum {
        metric,
        canary,
        query: metric.buckets.as_deref(),
        by: "sum by (le)",
    };
    let (_, samples) = sum.lately(client, all).await?;
    let total = all(&samples);
    let finite = samples.iter().filter_map(|sample| {
        let bound = bound(sample).filter(|bound| bound.is_finite())?;
        Some((bound, part_of(total - sample.value, total)))
    });
    let mut slower: Vec<(f64, f64)> = finite.collect();
    slower.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(Seen {
        per_minute: total * 60.0,
        errors: Errors::Slower(slower),
    })
}

fn part_of(part: f64, total: f64) -> f64 {
    if total > 0.0 {
        (part / total).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

/// A counter of both sides together.
#[derive(Clone, Copy)]
struct Sum<'c> {
    metric: &'c CanaryMetric,
    canary: &'c Canary,
    query: Option<&'c str>,
    by: &'static str,
}

impl Sum<'_> {
    /// A second, over the longest window that has traffic throughout; `total` tells how much it is.
    async fn lately(
        &self,
        client: &Client,
        total: impl Fn(&[Sample]) -> f64,
    ) -> Result<(&'static str, Vec<Sample>), Failure> {
        let mut seen = Vec::new();
        for window in WINDOWS {
            seen.push((window, self.within(client, window).await?));
        }
        let totals = seen.iter().map(|(_, samples)| total(samples));
        let most = totals.fold(0.0, f64::max);
        let full = { seen.into_iter() }.find(|(_, samples)| total(samples) >= FULL * most);
        Ok(full.unwrap_or((WINDOWS[0], Vec::new())))
    }

    async fn within(&self, client: &Client, window: &str) -> Result<Vec<Sample>, Failure> {
        let labels: Vec<String> = { self.canary.labels.iter() }
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        let all = if labels.is_empty() {
            ANY.to_owned()
        } else {
            labels.join(",")
        };
        let query = self.query.unwrap_or_default().replace("{side}", &all);
        let query = format!("{} (rate({query}[{window}]))", self.by);
        client.samples(&query, TIMEOUT).await.map_err(|error| {
            Failure::error(format!("failed to ask {}: {error}", self.metric.name))
                .hint(format!("ask it yourself: {query}"))
        })
    }
}

fn planned(
    canary: &Canary,
    metric: &CanaryMetric,
    seen: &Seen,
    share: Quantity,
) -> Result<Plan, SettingsError> {
    let minutes = canary.interval.get().as_secs_f64() / 60.0;
    let rate = match seen.errors {
        Errors::Failed(rate) => rate.min(0.999_999),
        Errors::Slower(_) => 0.0,
    };
    let traffic = Traffic {
        requests: seen.per_minute * minutes,
        share: Chance::new(share.get())?,
        rate,
        tolerance: Tolerance::new(metric.tolerance())?,
        at_most: metric
            .at_most
            .map(|most| Chance::new(most.get()))
            .transpose()?,
        alpha: Chance::new(canary.alpha.get())?,
        beta: Chance::new(canary.beta.get())?,
        deadline: canary::intervals(canary.deadline, canary.interval),
    };
    match &seen.errors {
        Errors::Failed(_) => plan(&traffic),
        Errors::Slower(bounds) => plan_latency(&traffic, bounds.iter().copied()),
    }
}

fn told(
    id: String,
    canary: &Canary,
    metric: &CanaryMetric,
    seen: &Seen,
    share: Quantity,
    planned: Result<Plan, SettingsError>,
) -> (Outcome, Vec<String>) {
    let subject = seen.told();
    let expected = format!("both verdicts within {}", canary.deadline);
    let plan = match planned {
        Ok(plan) => plan,
        Err(error) => {
            let why = if seen.per_minute > 0.0 {
                error.to_string()
            } else {
                "no requests were counted".to_owned()
            };
            let outcome = Outcome::inconclusive(id, subject)
                .expected(expected)
                .actual("unknown")
                .reason(why)
                .hint(
                    "pass `--requests-per-minute N --error-rate SHARE`, or check the metric's name",
                );
            let row = vec![
                metric.name.clone(),
                share.to_string(),
                "unknown".to_owned(),
                "unknown".to_owned(),
                "unknown".to_owned(),
            ];
            return (outcome, row);
        }
    };
    let reaches = [
        ("a good release passes", plan.pass),
        ("a release twice as bad is found", plan.twice),
        ("a release five times as bad is found", plan.fivefold),
    ];
    let figures = reaches.map(|(_, reach)| figures(reach, canary, seen));
    let cells = [
        cell(plan.pass, canary.interval, typical),
        cell(plan.twice, canary.interval, range),
        cell(plan.fivefold, canary.interval, range),
    ];
    let actual: Vec<String> = { reaches.iter().zip(&cells) }
        .map(|((what, _), cell)| format!("{what}: {cell}"))
        .collect();
    let beyond: Vec<String> = { reaches.iter().zip(&figures) }
        .filter_map(|((what, _), figures)| match figures {
            planned::Reach::Beyond {
                missing_requests: Some(missing),
                ..
            } => Some(format!(
                "{what}: not before the deadline, about {missing} requests are missing"
            )),
            planned::Reach::Beyond { .. } => Some(format!(
                "{what}: not with any number of requests that could be waited for"
            )),
            planned::Reach::Within { .. } | planned::Reach::Tolerated => None,
        })
        .collect();
    let verdict = if beyond.is_empty() {
        Verdict::Pass
    } else {
        Verdict::Inconclusive
    };
    let mut outcome = Outcome::new(id, subject, verdict)
        .expected(expected)
        .actual(actual.join("; "));
    if !beyond.is_empty() {
        outcome = outcome
            .reason(format!("the traffic cannot show it: {}", beyond.join("; ")))
            .hint(
                "give the canary a larger share, set a longer `deadline`, or a larger `tolerance`",
            );
    }
    let [pass, twice, five_times] = figures;
    outcome.planned = Some(planned::Planned {
        requests_per_minute: seen.per_minute,
        error_rate: match seen.errors {
            Errors::Failed(rate) => Some(rate),
            Errors::Slower(_) => None,
        },
        share: share.get(),
        pass,
        twice,
        five_times,
    });
    let mut row = vec![metric.name.clone(), share.to_string()];
    row.extend(cells);
    (outcome, row)
}

/// Whole numbers, and three digits of what is smaller.
fn few_digits(number: f64, unit: Unit) -> String {
    let hundreds = if unit == Unit::Percent { 1.0 } else { 100.0 };
    if number >= hundreds || number <= 0.0 {
        let step = if unit == Unit::Percent { 1e-4 } else { 1.0 };
        return unit.show((number / step).round() * step);
    }
    let digit = 10_f64.powf(number.log10().floor() - 2.0);
    unit.show((number / digit).round() * digit)
}

/// The same as data.
fn figures(reach: Reach, canary: &Canary, seen: &Seen) -> planned::Reach {
    let time = |count: u32| canary.interval.get() * count;
    match reach {
        Reach::Within {
            typical,
            median,
            ninety_percent,
            earliest,
            latest,
        } => {
            let known = |count: u32| (count < u32::MAX).then(|| time(count));
            planned::Reach::Within {
                typical: time(typical),
                median: time(median),
                ninety_percent: known(ninety_percent),
                earliest: time(earliest),
                latest: known(latest),
            }
        }
        Reach::Beyond { needed } => {
            let deadline = canary::intervals(canary.deadline, canary.interval);
            let per_interval = seen.per_minute * canary.interval.get().as_secs_f64() / 60.0;
            let missing = needed.map(|needed| {
                let missing = f64::from(needed.saturating_sub(deadline)) * per_interval;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "above 0, and it saturates"
                )]
                let missing = missing.max(1.0).round() as u64;
                missing
            });
            planned::Reach::Beyond {
                median: needed.map(time),
                missing_requests: missing,
            }
        }
        Reach::Tolerated => planned::Reach::Tolerated,
    }
}

/// When a verdict comes, in a cell of the table.
struct Times {
    typical: String,
    ninety_percent: Option<String>,
    earliest: String,
    latest: Option<String>,
}

/// `6m (12m)`: a pass waits until it is due, and is near one number.
fn typical(times: &Times) -> String {
    match &times.ninety_percent {
        Some(ninety_percent) => format!("{} ({ninety_percent})", times.typical),
        None => times.typical.clone(),
    }
}

/// `2m to 12m`: a fail waits for nothing, and chance makes it early or late.
fn range(times: &Times) -> String {
    match &times.latest {
        Some(latest) if *latest == times.earliest => latest.clone(),
        Some(latest) => format!("{} to {latest}", times.earliest),
        None => format!("{} or later", times.earliest),
    }
}

fn cell(reach: Reach, interval: Span, within: impl Fn(&Times) -> String) -> String {
    let time = |count: u32| {
        let seconds = (interval.get() * count).as_secs();
        // To the minute, where it is long.
        let seconds = if seconds >= 600 {
            seconds.div_ceil(60) * 60
        } else {
            seconds
        };
        Span::from_secs(seconds).to_string()
    };
    let known = |count: u32| (count < u32::MAX).then(|| time(count));
    match reach {
        Reach::Within {
            typical,
            ninety_percent,
            earliest,
            latest,
            ..
        } => within(&Times {
            typical: time(typical),
            ninety_percent: known(ninety_percent),
            earliest: time(earliest),
            latest: known(latest),
        }),
        Reach::Beyond {
            needed: Some(needed),
        } if interval.get() * needed < FORESEEN => format!("too late: {}", time(needed)),
        Reach::Beyond { needed: Some(_) } => "too late: more than a month".to_owned(),
        Reach::Beyond { needed: None } => "never".to_owned(),
        Reach::Tolerated => "tolerated".to_owned(),
    }
}
