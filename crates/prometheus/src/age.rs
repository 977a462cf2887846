//! How old the samples behind a query are, and why they are missing.
//!
//! An instant query returns the requested instant, and returns a value for five minutes after its
//! source went silent, a rate for as long as its window. So we query the newest sample of each
//! series at the same instant: a maximum over ten series does not reveal the one that is old.
//! If the age cannot be determined, that is reported and decides nothing.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use model::text::excerpt;

use crate::answer::QueryResult;
use crate::client::Client;
use crate::display_url::without_credentials;
use crate::error::Error;
use crate::query::{self, Selector};

/// How far Prometheus itself looks back.
const LOOKBACK: Duration = Duration::from_mins(5);
/// Looks within a window whose series have all ended; the age is as fine as this share of it.
const STEPS: u64 = 300;
/// Between two looks for a series that ended without notice.
const WALK: Duration = Duration::from_secs(30);
/// Age up to which two queries still see a series that vanished.
const LATE: Duration = LOOKBACK.saturating_sub(WALK).saturating_sub(WALK);
/// No sample is older: an earlier time from a server is wrong.
pub const PLAUSIBLE: f64 = 1e9;
/// Names that one selector may fit.
const MAX_NAMES: usize = 100;

/// Why it is not known how old the samples of a query are.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AgeError {
    #[error("{0}")]
    Query(#[from] query::Error),
    #[error("{0}")]
    Refused(Error),
    /// The server's warning that it did not read all data.
    #[error("{0}")]
    Partial(String),
    #[error("the server does not report the metrics' names")]
    NoNames,
    #[error("it fits {0} metrics, more than {MAX_NAMES}")]
    ManyNames(usize),
    /// A cause, and of which selector.
    #[error("`{selector}`: {cause}")]
    At {
        selector: String,
        cause: Box<AgeError>,
    },
}

/// How old the samples of a query are.
#[derive(Clone, Debug)]
pub enum Age {
    /// Nothing in it has an age: `vector(0)`, or series that are not there.
    None,
    /// The series whose newest sample is the oldest of all.
    Oldest(Oldest),
    /// It is unknown; why.
    Unproven(AgeError),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Oldest {
    pub selector: String,
    /// In seconds.
    pub age: f64,
}

/// Why a query gives no data.
pub struct NoDataReason {
    pub what: String,
    pub hint: String,
}

/// When the newest sample of a selector's oldest series is of, in seconds since 1970.
enum Newest {
    None,
    At(f64),
    Unproven(AgeError),
}

/// The series that a query is made of, at one server.
pub struct Sources<'a> {
    pub client: &'a Client,
    /// Those whose samples must be fresh; else why they are not known.
    pub selectors: &'a Result<Vec<Selector>, query::Error>,
    /// Whether every series must be fresh, or one of each selector's.
    pub each_series: bool,
    /// From which age on a sample is old.
    pub max_age: Duration,
    /// Whether what was read of a part of the series counts too.
    pub accepts_a_part: bool,
}

impl Sources<'_> {
    /// How old the oldest of all series is, each against the instant that its selector looks at.
    /// At least one selector has to look at now: where none does, the way back to the nearest one
    /// counts too.
    pub async fn age(&self, at: Timestamp) -> Result<Age, Error> {
        let selectors = match self.selectors {
            Ok(selectors) => selectors,
            Err(why) => return Ok(Age::Unproven(why.clone().into())),
        };
        let back = |selector: &Selector| selector.before(at).as_secs_f64().max(0.0);
        let nearest = selectors.iter().map(back).fold(f64::INFINITY, f64::min);
        let asked = join_all(selectors.iter().map(|selector| self.newest(selector, at)));
        let mut age = Age::None;
        for (selector, newest) in selectors.iter().zip(asked.await) {
            let time = match newest? {
                Newest::None => continue,
                Newest::At(time) => time,
                Newest::Unproven(why) => {
                    return Ok(Age::Unproven(AgeError::At {
                        selector: selector.text.clone(),
                        cause: Box::new(why),
                    }));
                }
            };
            let since = at.as_duration().as_secs_f64() - time;
            let one = Oldest {
                selector: selector.text.clone(),
                age: (since - back(selector)).max(0.0) + nearest,
            };
            if !matches!(&age, Age::Oldest(other) if other.age >= one.age) {
                age = Age::Oldest(one);
            }
        }
        Ok(age)
    }

    async fn newest(&self, selector: &Selector, at: Timestamp) -> Result<Newest, Error> {
        let offset = selector.offset(at);
        let texts = if selector.many_names {
            match self.names(selector, &offset, at).await? {
                Ok(names) => names.iter().map(|name| selector.named(name)).collect(),
                Err(why) => return Ok(Newest::Unproven(why)),
            }
        } else {
            vec![selector.text.clone()]
        };
        // What is seen at the instant: a series that ended in good order is not.
        let reduce = if self.each_series { "min" } else { "max" };
        let seen = each_of(&texts, reduce, |text| format!("timestamp({text}{offset})"));
        let seen = self.time(&seen, at).await?;
        let window = selector.window.unwrap_or_default();
        let range = window.saturating_add(selector.reach);
        if range.is_zero() || matches!(seen, Newest::Unproven(_)) {
            return Ok(seen);
        }
        let (range, step) = (range.as_secs().max(1), WALK.as_secs());
        let steps = |text: &str| format!("{text}[{range}s:{step}s]{offset}");
        if matches!(seen, Newest::None) {
            // Nothing is left of them, though a rate still counts them.
            let step = (range / STEPS).max(1);
            let walked = each_of(&texts, "max", |text| {
                format!("max_over_time(timestamp({text})[{range}s:{step}s]{offset})")
            });
            return self.time(&walked, at).await;
        }
        if range <= LOOKBACK.as_secs() || !self.each_series {
            return Ok(seen);
        }
        let gone = each_of(&texts, "count", |text| {
            format!("last_over_time({text}[{range}s]{offset}) unless {text}{offset}")
        });
        if self.count(&gone, at).await == Some(0.0) {
            return Ok(seen);
        }
        // A series that ended without notice is seen for five minutes more, and grows old; one
        // that ended in good order is gone at once, and counted on purpose.
        let late = self.max_age.min(LATE);
        let silent = each_of(&texts, "min", |text| {
            let times = steps(&format!("timestamp({text})"));
            let ages = steps(&format!("(time() - timestamp({text}))"));
            format!(
                "max_over_time({times}) and (max_over_time({ages}) > {}) unless {text}{offset}",
                late.as_secs()
            )
        });
        Ok(match (seen, self.time(&silent, at).await?) {
            (Newest::At(seen), Newest::At(silent)) => Newest::At(seen.min(silent)),
            (seen, Newest::None) => seen,
            (_, other) => other,
        })
    }

    /// The names of the metrics that a selector fits: `timestamp` takes the name away, without
    /// which series of several metrics are alike.
    async fn names(
        &self,
        selector: &Selector,
        offset: &str,
        at: Timestamp,
    ) -> Result<Result<Vec<String>, AgeError>, Error> {
        let text = &selector.text;
        let range = selector.window.unwrap_or_default();
        let range = range.saturating_add(selector.reach).max(LOOKBACK).as_secs();
        let query = format!("group by (__name__) (last_over_time({text}[{range}s]{offset}))");
        let answer = match self.client.instant(&query, at).await {
            Ok((answer, _)) => answer,
            Err(error) if error.is_refusal() => return Ok(Err(AgeError::Refused(error))),
            Err(error) => return Err(error),
        };
        if let Some(warning) = self.lacks_data(&answer) {
            return Ok(Err(warning));
        }
        let series = answer.series.into_iter();
        let names: Option<Vec<_>> = series
            .map(|mut series| series.labels.remove("__name__"))
            .collect();
        let Some(names) = names else {
            return Ok(Err(AgeError::NoNames));
        };
        if names.len() > MAX_NAMES {
            return Ok(Err(AgeError::ManyNames(names.len())));
        }
        Ok(Ok(names))
    }

    /// Why an answer does not cover all series, unless that is accepted.
    fn lacks_data(&self, answer: &QueryResult) -> Option<AgeError> {
        let warning = answer.lacks_data().map(str::to_owned);
        let warning = warning.filter(|_| !self.accepts_a_part);
        warning.map(AgeError::Partial)
    }

    /// A query whose one number is a time.
    async fn time(&self, query: &str, at: Timestamp) -> Result<Newest, Error> {
        if query.is_empty() {
            return Ok(Newest::None);
        }
        let answer = match self.client.instant(query, at).await {
            Ok((answer, _)) => answer,
            Err(error) if error.is_refusal() => {
                return Ok(Newest::Unproven(AgeError::Refused(error)));
            }
            Err(error) => return Err(error),
        };
        if let Some(warning) = self.lacks_data(&answer) {
            return Ok(Newest::Unproven(warning));
        }
        let time = answer.number().filter(|time| *time > PLAUSIBLE);
        Ok(time.map_or(Newest::None, Newest::At))
    }

    /// What the server has about the series that were named.
    pub async fn why_no_data(&self, at: Timestamp) -> NoDataReason {
        let base = without_credentials(self.client.base());
        let mut what = "no series that it names is there".to_owned();
        let selectors = self.selectors.as_deref().unwrap_or_default();
        for selector in selectors {
            let within = selector.window.unwrap_or(LOOKBACK);
            let (text, offset) = (&selector.text, selector.offset(at));
            let count = format!(
                "count(last_over_time({text}[{}ms]{offset}))",
                within.as_millis()
            );
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
            if let Some(down) = self.failing_targets().await {
                what = format!("{what}; {down}");
            }
            return NoDataReason {
                what,
                hint: format!(
                    "see what is scraped: `curl {base}api/v1/targets`; and which labels it has: \
                     `curl -G {base}api/v1/series --data-urlencode 'match[]={}'`",
                    selector.name.as_deref().unwrap_or(text)
                ),
            };
        }
        if !selectors.is_empty() {
            what = "its series are there, but its conditions leave none of them, or its window \
                    holds fewer than two samples"
                .to_owned();
        }
        NoDataReason {
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
    async fn failing_targets(&self) -> Option<String> {
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
        Some(excerpt(said.as_bytes()))
    }
}

/// One number of a query over each of these selectors, distinguished by a label and reduced together.
fn each_of(texts: &[String], reduce: &str, query: impl Fn(&str) -> String) -> String {
    let each = texts
        .iter()
        .map(|text| format!("{reduce}({})", query(text)));
    let mut queries: Vec<String> = each.collect();
    if queries.len() == 1 {
        return queries.remove(0);
    }
    let told = queries
        .iter()
        .enumerate()
        .map(|(nth, query)| format!("label_replace({query}, \"n\", \"{nth}\", \"\", \"\")"));
    let all = told.collect::<Vec<_>>().join(" or ");
    if all.is_empty() {
        all
    } else {
        format!("{reduce}({all})")
    }
}
