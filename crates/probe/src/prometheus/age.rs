//! How old the samples are that a query is made of, and why there are none.
//!
//! An instant query says the instant that was asked and shows a value for five minutes after its
//! source went silent, a rate for as long as its window. So the newest sample of each selector is
//! asked for, at the same instant.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::answer::Answer;
use super::client::Trouble;
use super::query::Selector;
use super::{Prometheus, client};

/// How far Prometheus itself looks back.
const LOOKBACK: Duration = Duration::from_mins(5);
/// Looks within a window; the age is as fine as this share of it.
const STEPS: u32 = 300;
/// No time of a sample is before it: a server that says so does not know.
pub(super) const PLAUSIBLE: f64 = 1e9;

/// The selector whose newest sample is the oldest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Oldest {
    pub(super) selector: String,
    /// In seconds.
    pub(super) age: f64,
}

/// Why a query gives no data.
pub(super) struct Why {
    pub(super) what: String,
    pub(super) hint: String,
}

impl Prometheus {
    /// `None` where no selector has a sample, or no server knows of when: `vector(0)` has no age.
    pub(super) async fn oldest(&self, at: Timestamp) -> Result<Option<Oldest>, Trouble> {
        let newest = join_all(self.selectors.iter().map(async |selector| {
            let time = match self.newest(selector, at).await {
                // `timestamp` takes away the name, without which some series are alike.
                Err(trouble) if trouble.refused => None,
                time => time?,
            };
            Ok(time.map(|time| Oldest {
                selector: selector.text.clone(),
                age: (at.as_duration().as_secs_f64() - time).max(0.0),
            }))
        }));
        let mut oldest: Option<Oldest> = None;
        for one in newest.await {
            if let Some(one) = one?
                && oldest.as_ref().is_none_or(|other| other.age < one.age)
            {
                oldest = Some(one);
            }
        }
        Ok(oldest)
    }

    /// When the newest sample of a selector is of. What went silent in good order is no longer
    /// seen at the instant, though a rate still counts it: then its window is walked through.
    async fn newest(&self, selector: &Selector, at: Timestamp) -> Result<Option<f64>, Trouble> {
        let text = &selector.text;
        let plausible = |answer: &Answer| answer.number().filter(|time| *time > PLAUSIBLE);
        let now = format!("max(timestamp({text}))");
        let (answer, _) = self.client.instant(&now, at).await?;
        let (Some(window), true) = (selector.window, answer.series.is_empty()) else {
            return Ok(plausible(&answer));
        };
        let (range, step) = (window.as_secs(), (window / STEPS).as_secs().max(1));
        let before = format!("max(max_over_time(timestamp({text})[{range}s:{step}s]))");
        let (answer, _) = self.client.instant(&before, at).await?;
        Ok(plausible(&answer))
    }

    /// What the server knows of the series that were named.
    pub(super) async fn why_no_data(&self, at: Timestamp) -> Why {
        let base = client::shown(self.client.base());
        let mut what = "no series that it names is there".to_owned();
        for selector in &self.selectors {
            let within = selector.window.unwrap_or(LOOKBACK);
            let text = &selector.text;
            let count = format!("count(last_over_time({text}[{}ms]))", within.as_millis());
            if self.count(&count, at).await != Some(0.0) {
                continue;
            }
            what = match &selector.name {
                Some(name) if name == text => format!("no series is called `{name}`"),
                Some(name) => {
                    let named = format!("count({name})");
                    match self.count(&named, at).await {
                        Some(0.0) => format!("no series is called `{name}`"),
                        Some(count) => {
                            format!("no series fits `{text}`, though {count} are called `{name}`")
                        }
                        None => format!("no series fits `{text}`"),
                    }
                }
                None => format!("no series fits `{text}`"),
            };
            if let Some(down) = self.down().await {
                what = format!("{what}; {down}");
            }
            return Why {
                what,
                hint: format!(
                    "see what is scraped: `curl {base}api/v1/targets`; and which labels it has: \
                     `curl -G {base}api/v1/series --data-urlencode 'match[]={}'`",
                    selector.name.as_deref().unwrap_or(text)
                ),
            };
        }
        if !self.selectors.is_empty() {
            what = "its series are there, but its conditions leave none of them, or its window \
                    holds fewer than two samples"
                .to_owned();
        }
        Why {
            what,
            hint: format!("see what is scraped: `curl {base}api/v1/targets`"),
        }
    }

    /// How many; `None` where the server does not say.
    async fn count(&self, query: &str, at: Timestamp) -> Option<f64> {
        let (answer, _) = self.client.instant(query, at).await.ok()?;
        if answer.series.is_empty() {
            return Some(0.0);
        }
        answer.number()
    }

    /// The targets that cannot be scraped.
    async fn down(&self) -> Option<String> {
        let targets = self.client.targets().await.ok()?;
        let active = targets["data"]["activeTargets"].as_array()?;
        let mut down = active.iter().filter(|target| target["health"] == "down");
        let first = down.next()?;
        let text = |key: &str| first[key].as_str().unwrap_or_default().to_owned();
        let (url, error) = (text("scrapeUrl"), text("lastError"));
        let said = format!(
            "{} of {} targets cannot be scraped, such as {url}: {error}",
            1 + down.count(),
            active.len()
        );
        Some(crate::shown(said.as_bytes()))
    }
}
