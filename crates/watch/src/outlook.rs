//! How long the judge of a canary will take at a share, by the traffic of late.

use std::collections::BTreeSet;
use std::time::Duration;

use cli::{Failure, Job};
use config::file::{Canary, CanaryKind, CanaryMetric, Healthgate};
use config::value::{Quantity, Span, Unit};
use judge::sequential::{
    Chance, IntervalsToVerdict, MAX_RATIO, Plan, SettingsError, Tolerance, Traffic, plan,
    plan_latency,
};
use model::planned;
use model::{Outcome, Verdict};
use prometheus::{Client, Sample};

use crate::last_known_good;

/// Over which times the traffic is asked for. The longest one counts that there was traffic in.
const WINDOWS: [&str; 4] = ["30m", "10m", "3m", "1m"];
/// A window with less than such a part of the requests a second that another one has reaches back to
/// before the traffic: Prometheus divides by all of it.
const FULL: f64 = 0.75;
/// A matcher that every series fits.
const ANY: &str = "instance=~\".*\"";
/// No person waits so long for a verdict.
const FORESEEN: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const TIMEOUT: Duration = Duration::from_secs(30);
/// One number is told where half to twice of it is the time of so many of a hundred rollouts. More than eight
/// of ten: the plan is itself an estimate.
const NEAR: u32 = 83;

/// The requests that a metric counts, of both sides together.
#[derive(Clone, Debug)]
pub struct Requests {
    pub per_minute: f64,
    pub errors: Errors,
    /// That served them, where it is known.
    pub instances: u32,
    /// What was added up, where the sides are not known yet.
    pub of: String,
}

/// What is wrong with some of them.
#[derive(Clone, Debug)]
pub enum Errors {
    /// The part of the requests that fails.
    Failed(f64),
    /// Events of a request, on average.
    Events(f64),
    /// Of each bound of a histogram, the part of the requests that is slower.
    Slower(Vec<(f64, f64)>),
}

impl Requests {
    fn describe(&self) -> String {
        let per_minute = few_digits(self.per_minute, Unit::Plain);
        let percent = |part: f64| few_digits(part, Unit::Percent);
        let of_them = match &self.errors {
            Errors::Failed(rate) => format!("{} of them fail", percent(*rate)),
            Errors::Events(rate) => format!("{} as many events", percent(*rate)),
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
        let of = &self.of;
        format!("{per_minute} requests a minute, {of_them}{of}")
    }

    /// The share from which on one instance of the canary has half of the requests of each of stable's.
    fn least_share(&self) -> f64 {
        match self.instances {
            0 | 1 => 0.0,
            stable => 1.0 / (MAX_RATIO * f64::from(stable) + 1.0),
        }
    }

    /// How many instances of the canary have no more than twice the requests of each of stable's.
    fn fewest_instances(&self, share: Quantity) -> f64 {
        match self.instances {
            0 | 1 => 1.0,
            stable => (share.get() * f64::from(stable) / (MAX_RATIO * (1.0 - share.get()))).ceil(),
        }
    }
}

/// Knows how many requests there were of late.
pub struct Recent {
    server: String,
    client: Client,
    /// The release that serves now, where a side is told by it.
    before: Option<String>,
}

/// How long a metric takes at a share.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// A pass where the traffic can show both verdicts in time.
    pub outcome: Outcome,
    /// In words: until a good release passes, and until one that is twice and five times worse is found.
    pub cells: [String; 3],
}

/// Why a metric is not planned.
pub fn unplanned(metric: &CanaryMetric) -> Option<&'static str> {
    match metric.kind {
        CanaryKind::Ratio | CanaryKind::Histogram => None,
        CanaryKind::Count if metric.total.is_some() => None,
        CanaryKind::Count => Some(
            "a count without a `total` is not planned: how many instances the canary will have is not known",
        ),
        CanaryKind::Gauge => {
            Some("a gauge is not planned: how long it remembers where it was is not known")
        }
    }
}

impl Recent {
    /// The server of the section, or that of the first probe that has one.
    ///
    /// # Errors
    /// Returns an error if neither is configured, or its login is not.
    pub async fn of(job: &Job, canary: &Canary) -> Result<Recent, Failure> {
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
        let client = Client::new(server, access, &job.env).map_err(Failure::usage)?;
        let before = if canary.needs_last_known_good() {
            Box::pin(last_known_good::of(job)).await.ok()
        } else {
            None
        };
        Ok(Recent {
            server: server.clone(),
            client,
            before,
        })
    }

    /// The requests of both sides together, in the last 30 minutes, or since they began.
    ///
    /// # Errors
    /// Returns an error if the server does not answer.
    pub async fn requests(
        &self,
        metric: &CanaryMetric,
        canary: &Canary,
    ) -> Result<Requests, Failure> {
        let before = self.before.as_deref();
        let requests = Box::pin(self.requests_of(metric, both_sides(canary, before))).await?;
        if requests.per_minute > 0.0 || before.is_none() {
            return Ok(requests);
        }
        Box::pin(self.requests_of(metric, both_sides(canary, None))).await
    }

    async fn requests_of(
        &self,
        metric: &CanaryMetric,
        sides: Selected,
    ) -> Result<Requests, Failure> {
        match metric.kind {
            CanaryKind::Histogram => durations(self, metric, sides).await,
            _ => failures_or_events(self, metric, sides).await,
        }
    }
}

impl Outlook {
    /// Of a metric of a kind that is planned.
    pub fn of(
        id: String,
        canary: &Canary,
        metric: &CanaryMetric,
        requests: &Requests,
        share: Quantity,
    ) -> Outlook {
        let mut expected = format!("both verdicts within {}", canary.deadline);
        let fewest = requests.fewest_instances(share);
        if fewest > 1.0 {
            expected += &format!(", with {fewest} or more instances of the canary");
        }
        let least = requests.least_share();
        match planned(canary, metric, requests, share) {
            Ok(mut plan) => {
                let outcome = Outcome::pass(id, requests.describe()).expected(expected);
                if share.get() >= least {
                    return reach_outlook(outcome, canary, plan, requests, share);
                }
                plan.pass = IntervalsToVerdict::Beyond { needed: None };
                let mut outlook = reach_outlook(outcome, canary, plan, requests, share);
                let least = Quantity::percent((least * 1000.0).ceil() / 10.0);
                let instances = requests.instances;
                outlook.outcome = outlook
                    .outcome
                    .reason(format!(
                        "a good release does not pass: an instance of the canary has less than half of the requests of each of the {instances} instances that serve now; with a share of {least} or more it can pass"
                    ))
                    .hint(format!("give the canary at least {least} of the requests"));
                outlook
            }
            Err(error) => {
                let why = if requests.per_minute > 0.0 {
                    error.to_string()
                } else {
                    "no requests were counted".to_owned()
                };
                let outcome = Outcome::inconclusive(id, requests.describe())
                    .expected(expected)
                    .actual("unknown")
                    .reason(why)
                    .hint(
                        "pass `--requests-per-minute N --error-rate SHARE`, or check the metric's name",
                    );
                Outlook {
                    outcome,
                    cells: [(); 3].map(|()| "unknown".to_owned()),
                }
            }
        }
    }
}

/// The requests of both sides together, as they were lately.
async fn failures_or_events(
    recent: &Recent,
    metric: &CanaryMetric,
    sides: Selected,
) -> Result<Requests, Failure> {
    let value = |samples: &[Sample]| samples.first().map_or(0.0, |sample| sample.value);
    let sum = Sum {
        metric,
        sides: &sides,
        query: metric.total.as_deref(),
        by: "sum",
    };
    let (window, samples) = sum.lately(recent, value).await?;
    let total = value(&samples);
    let instances = sum.instances(recent, window).await?;
    let is_count = metric.kind == CanaryKind::Count;
    let counted = if is_count {
        &metric.query
    } else {
        &metric.failed
    };
    let sum = Sum {
        query: counted.as_deref(),
        ..sum
    };
    let counted = value(&sum.query_rates(recent, window).await?);
    Ok(Requests {
        per_minute: total * 60.0,
        errors: if is_count && total > 0.0 {
            Errors::Events(counted / total)
        } else {
            Errors::Failed(part_of(counted, total))
        },
        instances,
        of: sides.of,
    })
}

async fn durations(
    recent: &Recent,
    metric: &CanaryMetric,
    sides: Selected,
) -> Result<Requests, Failure> {
    let bound = |sample: &Sample| sample.labels.get("le")?.parse::<f64>().ok();
    let all = |samples: &[Sample]| {
        let is_infinite = |sample: &&Sample| bound(sample) == Some(f64::INFINITY);
        let all = samples.iter().find(is_infinite);
        all.map_or(0.0, |sample| sample.value)
    };
    let sum = Sum {
        metric,
        sides: &sides,
        query: metric.buckets.as_deref(),
        by: "sum by (le)",
    };
    let (window, samples) = sum.lately(recent, all).await?;
    let total = all(&samples);
    let finite = samples.iter().filter_map(|sample| {
        let bound = bound(sample).filter(|bound| bound.is_finite())?;
        Some((bound, part_of(total - sample.value, total)))
    });
    let mut slower: Vec<(f64, f64)> = finite.collect();
    slower.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(Requests {
        per_minute: total * 60.0,
        errors: Errors::Slower(slower),
        instances: sum.instances(recent, window).await?,
        of: sides.of,
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
    sides: &'c Selected,
    query: Option<&'c str>,
    by: &'static str,
}

impl Sum<'_> {
    /// A second, over the longest window that has traffic throughout; `total` tells how much it is.
    async fn lately(
        &self,
        recent: &Recent,
        total: impl Fn(&[Sample]) -> f64,
    ) -> Result<(&'static str, Vec<Sample>), Failure> {
        let mut seen = Vec::new();
        for window in WINDOWS {
            seen.push((window, self.query_rates(recent, window).await?));
        }
        let totals = seen.iter().map(|(_, samples)| total(samples));
        let most = totals.fold(0.0, f64::max);
        let full = seen
            .into_iter()
            .find(|(_, samples)| total(samples) >= FULL * most);
        Ok(full.unwrap_or((WINDOWS[0], Vec::new())))
    }

    /// How many served anything.
    async fn instances(self, recent: &Recent, window: &str) -> Result<u32, Failure> {
        let each = Sum {
            by: "sum by (instance)",
            ..self
        };
        let each = each.query_rates(recent, window).await?;
        let serves = |one: &&Sample| one.value > 0.0 && one.labels.contains_key("instance");
        Ok(u32::try_from(each.iter().filter(serves).count()).unwrap_or(u32::MAX))
    }

    async fn query_rates(&self, recent: &Recent, window: &str) -> Result<Vec<Sample>, Failure> {
        let query = self.query.unwrap_or_default();
        let rates: Vec<String> = self
            .sides
            .matchers
            .iter()
            .map(|side| format!("rate({}[{window}])", query.replace("{side}", side)))
            .collect();
        let query = format!("{} ({})", self.by, rates.join(" or "));
        recent
            .client
            .samples(&query, TIMEOUT)
            .await
            .map_err(|error| {
                let server = &recent.server;
                Failure::error(format!(
                    "failed to query {server} for {}: {error}",
                    self.metric.name
                ))
                .hint(format!("try it: {query}"))
            })
    }
}

/// What selects the series of either side, each of them once.
struct Selected {
    matchers: BTreeSet<String>,
    /// In words, where it may be more than the sides.
    of: String,
}

/// The release before this one may not be known yet: then any is.
fn both_sides(canary: &Canary, before: Option<&str>) -> Selected {
    const SOME: &str = ".+";
    let sides = canary.sides_of(SOME, before.unwrap_or(SOME));
    let matchers: BTreeSet<String> = match (sides, before) {
        (Some(sides), _) if canary.sides.is_some() => {
            let some = |side: String| side.replace("=\".+\"", "=~\".+\"");
            [sides.canary, sides.stable].map(some).into()
        }
        (Some(sides), Some(_)) => [sides.stable].into(),
        _ => {
            let labels: Vec<String> = canary
                .labels
                .iter()
                .map(|(name, value)| format!("{name}={value:?}"))
                .collect();
            let all = labels.join(",");
            let (all, of) = if all.is_empty() {
                (ANY.to_owned(), "of all series".to_owned())
            } else {
                let of = format!("of all series with {all}");
                (all, of)
            };
            return Selected {
                matchers: [all].into(),
                of: format!(" ({of}: which of them are of the release that serves is not known)"),
            };
        }
    };
    let of = String::new();
    Selected { matchers, of }
}

fn planned(
    canary: &Canary,
    metric: &CanaryMetric,
    requests: &Requests,
    share: Quantity,
) -> Result<Plan, SettingsError> {
    let minutes = canary.interval.get().as_secs_f64() / 60.0;
    let rate = match requests.errors {
        Errors::Failed(rate) => rate.min(0.999_999),
        Errors::Events(rate) => rate,
        Errors::Slower(_) => 0.0,
    };
    let traffic = Traffic {
        requests: requests.per_minute * minutes,
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
    match &requests.errors {
        Errors::Failed(_) | Errors::Events(_) => plan(&traffic),
        Errors::Slower(bounds) => plan_latency(&traffic, bounds.iter().copied()),
    }
}

fn reach_outlook(
    mut outcome: Outcome,
    canary: &Canary,
    plan: Plan,
    requests: &Requests,
    share: Quantity,
) -> Outlook {
    let reaches = [
        ("a good release passes", plan.pass),
        ("a release twice as bad is found", plan.twice),
        ("a release five times as bad is found", plan.fivefold),
    ];
    let figures = reaches.map(|(_, reach)| figures(reach, canary, requests));
    let cells = [
        cell(plan.pass, canary.interval),
        cell(plan.twice, canary.interval),
        cell(plan.fivefold, canary.interval),
    ];
    let actual: Vec<String> = reaches
        .iter()
        .zip(&cells)
        .map(|((what, _), cell)| format!("{what}: {cell}"))
        .collect();
    let beyond: Vec<String> = reaches
        .iter()
        .zip(&figures)
        .filter_map(|((what, _), figures)| match figures {
            planned::TimeToVerdict::Beyond {
                missing_requests: Some(missing),
                ..
            } => Some(format!(
                "{what}: not before the deadline, about {missing} requests are missing"
            )),
            planned::TimeToVerdict::Beyond { .. } => Some(format!(
                "{what}: not with any number of requests that could be waited for"
            )),
            planned::TimeToVerdict::Within { .. } | planned::TimeToVerdict::Tolerated => None,
        })
        .collect();
    outcome = outcome.actual(actual.join("; "));
    if !beyond.is_empty() {
        outcome.verdict = Verdict::Inconclusive;
        outcome = outcome
            .reason(format!("the traffic cannot show it: {}", beyond.join("; ")))
            .hint(
                "give the canary a larger share, set a longer `deadline`, or a larger `tolerance`",
            );
    }
    let [pass, twice, five_times] = figures;
    outcome.planned = Some(planned::Planned {
        requests_per_minute: requests.per_minute,
        error_rate: match requests.errors {
            Errors::Failed(rate) | Errors::Events(rate) => Some(rate),
            Errors::Slower(_) => None,
        },
        share: share.get(),
        pass,
        twice,
        five_times,
    });
    Outlook { outcome, cells }
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
fn figures(
    reach: IntervalsToVerdict,
    canary: &Canary,
    requests: &Requests,
) -> planned::TimeToVerdict {
    let time = |count: u32| canary.interval.get() * count;
    match reach {
        IntervalsToVerdict::Within {
            typical,
            near_typical,
            median,
            ninety_percent,
            earliest,
            latest,
        } => {
            let known = |count: u32| (count < u32::MAX).then(|| time(count));
            planned::TimeToVerdict::Within {
                typical: time(typical),
                near_typical,
                median: time(median),
                ninety_percent: known(ninety_percent),
                earliest: time(earliest),
                latest: known(latest),
            }
        }
        IntervalsToVerdict::Beyond { needed } => {
            let deadline = canary::intervals(canary.deadline, canary.interval);
            let per_interval = requests.per_minute * canary.interval.get().as_secs_f64() / 60.0;
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
            planned::TimeToVerdict::Beyond {
                median: needed.map(time),
                missing_requests: missing,
            }
        }
        IntervalsToVerdict::Tolerated => planned::TimeToVerdict::Tolerated,
    }
}

/// When a verdict comes, in a cell of the table.
struct Times {
    typical: String,
    near_typical: u32,
    ninety_percent: Option<String>,
    earliest: String,
    latest: Option<String>,
}

/// `6m (12m)` where rollouts are near one number, as those that pass are: a pass waits until it is due.
/// Else `2m to 12m`, as for most fails: a fail waits for nothing, and chance makes it early or late.
fn describe_times(times: &Times) -> String {
    if times.near_typical >= NEAR {
        return match &times.ninety_percent {
            Some(ninety_percent) if *ninety_percent != times.typical => {
                format!("{} ({ninety_percent})", times.typical)
            }
            _ => times.typical.clone(),
        };
    }
    match &times.latest {
        Some(latest) if *latest == times.earliest => latest.clone(),
        Some(latest) => format!("{} to {latest}", times.earliest),
        None => format!("{} or later", times.earliest),
    }
}

fn cell(reach: IntervalsToVerdict, interval: Span) -> String {
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
        IntervalsToVerdict::Within {
            typical,
            near_typical,
            ninety_percent,
            earliest,
            latest,
            ..
        } => describe_times(&Times {
            typical: time(typical),
            near_typical,
            ninety_percent: known(ninety_percent),
            earliest: time(earliest),
            latest: known(latest),
        }),
        IntervalsToVerdict::Beyond {
            needed: Some(needed),
        } if interval.get() * needed < FORESEEN => format!("too late: {}", time(needed)),
        IntervalsToVerdict::Beyond { needed: Some(_) } => "too late: more than a month".to_owned(),
        IntervalsToVerdict::Beyond { needed: None } => "never".to_owned(),
        IntervalsToVerdict::Tolerated => "tolerated".to_owned(),
    }
}
