//! How many requests a bad release served, and how many of them failed, by the counters of a Prometheus server.

use std::time::{Duration, Instant};

use chronicle::Counts;
use jiff::{SignedDuration, Timestamp};
use model::{Outcome, Severity, Verdict};
use prometheus::raw::RawSeries;
use prometheus::{Client, Error};
use sections::incident::Exposure;

use super::Scribe;

/// How long all of it may take.
const TIME: Duration = Duration::from_secs(2);
/// Between two questions whether the last scrape has come.
const PAUSE: Duration = Duration::from_millis(150);
/// So long before a deployment a counter is looked for: one that is not there is born later. Prometheus itself
/// takes a series for gone after it.
const BEFORE: SignedDuration = SignedDuration::from_mins(5);

/// Above it a float skips whole numbers.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Why the counts are not known.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error(transparent)]
    Prometheus(#[from] Error),
    #[error("no series of `{0}`")]
    NoSeries(String),
    #[error("the newest scrape is {} s older than the end of the release", .0.as_secs())]
    NotScraped(SignedDuration),
    #[error("{0} is no number of requests: the selectors must give counters")]
    NoCounter(f64),
    #[error("a signal leaves no time for it")]
    NoTime,
}

impl Scribe<'_> {
    /// What the release served between two times; `None` without `incident.exposure`.
    ///
    /// # Errors
    /// Returns an outcome that says why it is not known.
    pub async fn exposure(
        &self,
        release: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Counts>, Box<Outcome>> {
        let Some(section) = &self.section.exposure else {
            return Ok(None);
        };
        let asked = self.ask(section, release, from, until).await;
        asked.map(Some).map_err(|unknown| {
            let outcome = Outcome::new("incident/exposure", &*section.server, Verdict::Error);
            let outcome = outcome.severity(Severity::Advisory);
            let outcome = outcome.expected("the requests that the release served");
            Box::new(outcome.reason(unknown.to_string()).hint(
                "it changes no verdict: the report says that it is not known; see `incident.exposure`",
            ))
        })
    }

    async fn ask(
        &self,
        section: &Exposure,
        release: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Counts, Unknown> {
        if self.job.interrupt.caught().is_some() {
            return Err(Unknown::NoTime);
        }
        let client = Client::new(&section.server, section.access.as_ref(), &self.job.env)?;
        let end = Instant::now() + TIME;
        loop {
            let looked = look(&client, section, release, from, until);
            let looked = tokio::time::timeout_at(end.into(), looked).await;
            match looked.unwrap_or(Err(Unknown::Prometheus(Error::Late(TIME)))) {
                // A release that has just had its first request, or its last, is scraped soon.
                Err(Unknown::NotScraped(_) | Unknown::NoSeries(_))
                    if Instant::now() + PAUSE < end =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                ended => return ended,
            }
        }
    }
}

async fn look(
    client: &Client,
    section: &Exposure,
    release: &str,
    from: Timestamp,
    until: Timestamp,
) -> Result<Counts, Unknown> {
    // The first answer tells by how much the clocks differ.
    client.time().await?;
    let now = client.now();
    let (from, until) = (from + client.ahead(), until + client.ahead());
    let window = now.duration_since(from) + BEFORE;
    let window = Duration::try_from(window).unwrap_or_default();
    let [total, failed] = [&section.total, &section.failed].map(|text| selector(text, release));
    let (asked, failures) = tokio::try_join!(
        client.raw(&total, window, now),
        client.raw(&failed, window, now)
    )?;
    for raw in [&asked, &failures] {
        if let Some(warning) = raw.lacks_data() {
            return Err(Error::Warning(warning.to_owned()).into());
        }
    }
    let times = asked.series.iter().filter_map(|one| one.samples.last());
    let newest = times.map(|(at, _)| *at).reduce(f64::max);
    let newest = newest.ok_or(Unknown::NoSeries(total))?;
    let (from, until) = (seconds(from), seconds(until));
    if newest < until {
        let missing = SignedDuration::try_from_secs_f64(until - newest).unwrap_or_default();
        return Err(Unknown::NotScraped(missing));
    }
    Ok(Counts {
        failed: sum(&failures.series, from, until)?,
        total: sum(&asked.series, from, until)?,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is within the range"
)]
fn sum(series: &[RawSeries], from: f64, until: f64) -> Result<u64, Unknown> {
    let counted: f64 = series.iter().map(|one| one.counted(from, until)).sum();
    if (0.0..=MAX_EXACT).contains(&counted) {
        Ok(counted.round() as u64)
    } else {
        Err(Unknown::NoCounter(counted))
    }
}

/// The selector of a release: its name is put into a quoted string.
fn selector(text: &str, release: &str) -> String {
    let quoted = release.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace("{release}", &quoted.replace('\n', "\\n"))
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}
