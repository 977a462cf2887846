//! From the counters of a Prometheus server, by the samples as they were scraped: a counter that fell was reset, one
//! that was not there before began at zero, and nothing is extrapolated.

use std::time::{Duration, Instant};

use chronicle::{Exposure, Source};
use jiff::SignedDuration;
use prometheus::raw::{Raw, RawSeries};
use prometheus::{Client, Error};

use crate::CountError;
use crate::stay::ExposureWindow;
use crate::tally::{CountedInterval, Counter, Tally, seconds};

/// Between two questions whether the last scrape has come.
const POLL_INTERVAL: Duration = Duration::from_millis(150);
/// What is left at least for the last question.
const ANSWER_TIME: Duration = Duration::from_millis(500);
/// So long before a deployment a counter is looked for: one that is not there is born later. Prometheus itself
/// takes a series for gone after it.
const BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// A counter that was not there at the scrape before began after that: scrapes are not exact in time.
const LATE_SCRAPE: f64 = 1.5;

/// The counters of a release. `{release}` in them stands for its name.
#[derive(Clone, Copy, Debug)]
pub struct Selectors<'a> {
    pub total: &'a str,
    pub failed: &'a str,
    /// Of all releases.
    pub of_all: Option<&'a str>,
}

/// What the release served, as a Prometheus server has it. Waits so long for the scrape after its end, where it is due by
/// then; the answers must be there until `end`.
///
/// # Errors
/// Returns why it is not known.
pub async fn of_prometheus(
    client: &Client,
    selectors: Selectors<'_>,
    stay: &ExposureWindow,
    wait: Duration,
    end: Instant,
) -> Result<Exposure, CountError> {
    let began = Instant::now();
    // A question takes time, too.
    let waited = (began + wait).min(end.checked_sub(ANSWER_TIME).unwrap_or(began));
    let mut seen = None;
    loop {
        let looked =
            tokio::time::timeout_at(end.into(), count_requests(client, selectors, stay)).await;
        let Ok(looked) = looked else {
            let late = CountError::Prometheus(Error::Late(began.elapsed()));
            return seen.ok_or(late);
        };
        let left = waited.saturating_duration_since(Instant::now());
        let waits = match &looked {
            // A release that has just had its first request is scraped soon.
            Err(CountError::NoSeries(_)) => true,
            Ok(looked) => looked.due.is_some_and(|due| due < left),
            Err(_) => false,
        };
        let looked = looked.map(|looked| looked.exposure);
        if !waits || left <= POLL_INTERVAL {
            return looked.or_else(|why| seen.ok_or(why));
        }
        seen = looked.ok().or(seen);
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

struct ScrapedExposure {
    exposure: Exposure,
    /// When a scrape after the end is due that has not come, and is not overdue.
    due: Option<Duration>,
}

async fn count_requests(
    client: &Client,
    selectors: Selectors<'_>,
    stay: &ExposureWindow,
) -> Result<ScrapedExposure, CountError> {
    // The first answer tells by how much the clocks differ.
    client.time().await?;
    let now = client.server_time();
    let ahead = client.ahead().as_secs_f64();
    let window = now.duration_since(stay.from + client.ahead()) + BEFORE;
    let window = Duration::try_from(window).unwrap_or_default();
    let put = |text: &str| put_in(text, &stay.release);
    let [total, failed] = [selectors.total, selectors.failed].map(put);
    let of_all = selectors.of_all.map(put);
    let ask_all = async {
        match &of_all {
            Some(text) => client.raw(text, window, now).await,
            None => Ok(Raw::default()),
        }
    };
    let (asked, failures, all) = tokio::try_join!(
        client.raw(&total, window, now),
        client.raw(&failed, window, now),
        ask_all
    )?;
    for raw in [&asked, &failures, &all] {
        if let Some(warning) = raw.lacks_data() {
            return Err(Error::Warning(warning.to_owned()).into());
        }
    }
    if asked.series.iter().all(|one| one.samples.is_empty()) {
        return Err(CountError::NoSeries(total));
    }
    let spacing = spacing(&asked.series);
    let samples = [&asked, &failures, &all]
        .into_iter()
        .flat_map(|raw| &raw.series);
    let times: Vec<f64> = samples
        .flat_map(|one| one.samples.iter().map(|(at, _)| *at))
        .collect();
    let scrapes = Scrapes {
        at: &times,
        spacing,
        ahead,
    };
    let mut tally = Tally::new(stay, spacing.unwrap_or(1.0));
    for (what, raw) in [
        (Counter::Total, &asked),
        (Counter::Failed, &failures),
        (Counter::OfAll, &all),
    ] {
        for one in &raw.series {
            count(&mut tally, what, one, &scrapes);
        }
    }
    let (from, until) = (seconds(stay.from) + ahead, seconds(stay.until) + ahead);
    let ends = asked.series.iter().filter_map(|one| one.samples.last());
    // Those whose end was not seen: they were stopped, or are not scraped yet.
    let open: Vec<f64> = ends
        .map(|(at, _)| *at)
        .filter(|at| (from..until).contains(at))
        .collect();
    if !open.is_empty() {
        tally.open();
    }
    let due = open.iter().filter_map(|at| {
        let due = at + spacing.unwrap_or(1.0) * LATE_SCRAPE - seconds(now);
        Duration::try_from_secs_f64(due).ok()
    });
    Ok(ScrapedExposure {
        due: due.min(),
        exposure: tally.exposure(Source::Prometheus)?,
    })
}

/// When the server scraped, by its own clock.
struct Scrapes<'a> {
    at: &'a [f64],
    /// The usual time between two.
    spacing: Option<f64>,
    /// By how much that clock is ahead of ours.
    ahead: f64,
}

impl Scrapes<'_> {
    /// After when a counter began whose first sample is of this time. Where nothing at all was scraped shortly before it,
    /// that is not known: the server may have been down.
    fn began(&self, stay: &ExposureWindow, first: f64) -> f64 {
        let Some(spacing) = self.spacing else {
            return f64::MIN;
        };
        let after = first - spacing * LATE_SCRAPE;
        let was_scraped = self
            .at
            .iter()
            .any(|at| (after - spacing..first).contains(at));
        if was_scraped || stay.fresh {
            after - self.ahead
        } else {
            f64::MIN
        }
    }
}

/// Counts one series.
fn count(tally: &mut Tally<'_>, what: Counter, one: &RawSeries, scrapes: &Scrapes<'_>) {
    let mut before: Option<(f64, f64)> = None;
    for (at, value) in &one.samples {
        let (by, value) = (*at - scrapes.ahead, *value);
        let (after, count) = match before {
            Some((at, last)) if value < last => {
                // What it counted since the last scrape and before its reset is lost.
                if what != Counter::OfAll && tally.overlaps(at, by) {
                    tally.open();
                }
                (at, value)
            }
            Some((at, last)) => (at, value - last),
            None => (scrapes.began(tally.stay, *at), value),
        };
        before = Some((by, value));
        tally.add(what, CountedInterval { after, by, count });
    }
}

/// The usual time between two scrapes, in seconds.
fn spacing(series: &[RawSeries]) -> Option<f64> {
    let mut gaps: Vec<f64> = series
        .iter()
        .flat_map(|one| one.samples.windows(2).map(|pair| pair[1].0 - pair[0].0))
        .collect();
    gaps.sort_by(f64::total_cmp);
    gaps.get(gaps.len() / 2).copied()
}

/// The selector of a release: its name is put into a quoted string.
fn put_in(text: &str, release: &str) -> String {
    let quoted = release.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace("{release}", &quoted.replace('\n', "\\n"))
}
