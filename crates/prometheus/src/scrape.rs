//! Whether a query's windows are long enough for how often its series are scraped.
//!
//! A rate needs two samples. A window of less than four scrapes loses its value when one or two
//! of them fail, which looks like a service without traffic.

use std::collections::BTreeSet;
use std::time::Duration;

use config::value::Span;
use jiff::Timestamp;
use model::{Outcome, Severity};
use serde_json::Value;

use crate::client::Client;
use crate::query::{Selector, duration};

/// Scrapes that a window must hold.
const SCRAPES: u32 = 4;

/// A window that is too short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short {
    /// A metric is reported once, however many of its labels are queried.
    of: (Option<String>, Duration),
    selector: String,
    window: Duration,
    interval: Duration,
}

impl Short {
    /// Shown, but not a verdict: only the query decides.
    pub fn outcome(self, id: &str, n: usize, query: &str) -> Outcome {
        let Short {
            of: _,
            selector,
            window,
            interval,
        } = self;
        let [window, interval, enough] = [window, interval, interval.saturating_mul(SCRAPES)]
            .map(|time| Span::from(time).to_string());
        let id = match n {
            0 => format!("{id}/window"),
            n => format!("{id}/window-{}", n + 1),
        };
        Outcome::inconclusive(id, query)
            .severity(Severity::Advisory)
            .expected(format!("a window of {SCRAPES} scrapes or more, {enough}"))
            .actual(format!("`{selector}[{window}]`, scraped each {interval}"))
            .reason(format!(
                "window {window} < {SCRAPES} × scrape interval ({interval}): where a scrape fails \
                 there is no rate"
            ))
            .hint(format!("write `[{enough}]` or more"))
    }
}

/// The windows of a query that are too short. `scrape_interval` is of its series, where it is
/// known; where the server does not say either how often it scrapes, nothing is said.
pub async fn short_windows(
    client: &Client,
    selectors: &[Selector],
    scrape_interval: Option<Duration>,
    at: Timestamp,
) -> Vec<Short> {
    let mut short = Vec::new();
    let mut targets = None;
    for selector in selectors {
        let Some(window) = selector.window else {
            continue;
        };
        let interval = match scrape_interval {
            Some(interval) => Some(interval),
            None => interval(client, selector, &mut targets, at).await,
        };
        if let Some(interval) = interval
            && window < interval.saturating_mul(SCRAPES)
            && !short
                .iter()
                .any(|other: &Short| other.of == (selector.name.clone(), window))
        {
            short.push(Short {
                of: (selector.name.clone(), window),
                selector: selector.text.clone(),
                window,
                interval,
            });
        }
    }
    short
}

/// How often a selector's series are scraped.
async fn interval(
    client: &Client,
    selector: &Selector,
    targets: &mut Option<Value>,
    at: Timestamp,
) -> Option<Duration> {
    if targets.is_none() {
        *targets = Some(client.targets().await.unwrap_or_default());
    }
    let jobs = jobs(client, selector, at).await;
    longest(targets.as_ref()?, &jobs)
}

/// Which jobs the series of a selector come from.
async fn jobs(client: &Client, selector: &Selector, at: Timestamp) -> BTreeSet<String> {
    let query = format!("group by (job) ({}{})", selector.text, selector.offset(at));
    let Ok((answer, _)) = client.instant(&query, at).await else {
        return BTreeSet::new();
    };
    let series = answer.series.into_iter();
    series
        .filter_map(|mut series| series.labels.remove("job"))
        .collect()
}

/// The longest interval of the targets of these jobs.
fn longest(targets: &Value, jobs: &BTreeSet<String>) -> Option<Duration> {
    let active = targets["data"]["activeTargets"].as_array()?;
    active
        .iter()
        .filter(|target| {
            let job = target["labels"]["job"].as_str();
            job.is_some_and(|job| jobs.contains(job))
        })
        .filter_map(|target| duration(target["scrapeInterval"].as_str()?))
        .max()
}
