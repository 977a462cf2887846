//! A Prometheus instant query. Its own small client, because a gate must see what libraries
//! smooth over: warnings, the number of series, NaN, the age of samples.
//!
//! All queries of a measurement see one instant. What decides nothing (no data, several series, no
//! number, a warning, old samples) is what the configuration says, and never a silent pass.

mod age;
mod answer;
mod client;
mod judge;
mod query;
mod scrape;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use config::file::PrometheusProbe;
use config::value::Quantity;
use futures_util::future::join3;
use jiff::Timestamp;
use model::{Outcome, Verdict};
use url::Url;

use self::client::Trouble;
use self::judge::judge;
use self::query::{Selector, selectors};
use crate::Reading;
use crate::kinds::{Measuring, Probe, Surroundings};

pub use self::client::Client;

/// One series at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// One query with its connection.
pub(crate) struct Prometheus {
    probe: PrometheusProbe,
    client: Client,
    selectors: Vec<Selector>,
    seen: Mutex<Seen>,
}

/// What was learned while asking.
#[derive(Default)]
struct Seen {
    /// The next step after the last measurement, where it is not to run the query by hand.
    hint: Option<String>,
    /// Windows that are too short; `None` until they were looked at.
    short: Option<Vec<scrape::Short>>,
}

impl Prometheus {
    pub(crate) fn new(probe: PrometheusProbe, around: &Surroundings) -> Result<Self, String> {
        let client = Client::new(&probe.server, probe.access.as_ref(), &around.env)?;
        Ok(Prometheus {
            client,
            selectors: selectors(&probe.query),
            probe,
            seen: Mutex::default(),
        })
    }

    /// One that is decided by its query, and whose series are those of another.
    pub(crate) fn about(
        probe: PrometheusProbe,
        query: &str,
        around: &Surroundings,
    ) -> Result<Self, String> {
        Ok(Prometheus {
            selectors: selectors(query),
            ..Prometheus::new(probe, around)?
        })
    }

    async fn ask(&self, timeout: Duration) -> Reading {
        let at = Timestamp::now();
        let asked = join3(
            self.client.instant(&self.probe.query, at),
            self.oldest(at),
            self.look_at_windows(at, timeout / 2),
        );
        let ((answer, head), oldest) = match asked.await {
            (Ok(answer), Ok(oldest), ()) => (answer, oldest),
            (Err(trouble), _, ()) => return self.error(trouble),
            (_, Err(trouble), ()) => {
                let reason = format!("the age of the samples: {}", trouble.reason);
                return self.error(Trouble { reason, ..trouble });
            }
        };
        let mut reading = judge(&self.probe, &answer, at, oldest.as_ref());
        reading.evidence = Some(head);
        let mut hint = None;
        if answer.series.is_empty() && reading.verdict != Verdict::Pass {
            let why = self.why_no_data(at).await;
            reading.actual = format!("no data: {}", why.what);
            reading.reason = Some(format!("the query gives no data: {}", why.what));
            hint = Some(why.hint);
        }
        self.remember(hint);
        reading
    }

    fn error(&self, trouble: Trouble) -> Reading {
        let Trouble {
            reason,
            hint,
            evidence,
            refused: _,
        } = trouble;
        self.remember(hint);
        let expected = judge::expected(&self.probe);
        let reading = Reading::not(Verdict::Error, expected, reason.clone(), reason);
        Reading {
            evidence,
            ..reading.value("error")
        }
    }

    fn remember(&self, hint: Option<String>) {
        self.seen().hint = hint;
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe for Prometheus {
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            let asked = tokio::time::timeout(timeout, self.ask(timeout)).await;
            asked.unwrap_or_else(|_| {
                let millis = timeout.as_millis();
                self.error(Trouble::plain(format!(
                    "no complete answer within {millis} ms"
                )))
            })
        })
    }

    fn hint(&self) -> String {
        if let Some(hint) = &self.seen().hint {
            return hint.clone();
        }
        let Ok(mut url) = Url::parse(&self.probe.server) else {
            return "check `server`".to_owned();
        };
        let path = format!("{}/graph", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url.query_pairs_mut()
            .append_pair("g0.expr", &self.probe.query)
            .append_pair("g0.tab", "1");
        format!("look at the query in {}", client::shown(&url))
    }

    fn remarks(&self, id: &str) -> Vec<Outcome> {
        let short = self.seen().short.clone().unwrap_or_default();
        short
            .into_iter()
            .enumerate()
            .map(|(n, short)| short.outcome(id, n, &self.probe.query))
            .collect()
    }
    fn limits(&self) -> model::Limits {
        model::Limits {
            min: self.probe.min.map(Quantity::get),
            max: self.probe.max.map(Quantity::get),
            ..model::Limits::default()
        }
    }
}
