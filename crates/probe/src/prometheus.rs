//! A Prometheus instant query.
//!
//! All queries of a measurement see one instant. What decides nothing (no data, several series, no
//! number, a warning, old samples) is what the configuration says, and never a silent pass.

mod judge;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use config::file::{PrometheusProbe, Undecided};
use config::value::{Quantity, Span};
use futures_util::future::join4;
use jiff::{SignedDuration, Timestamp};
use model::{Outcome, Verdict};
use prometheus::age::Sources;
use prometheus::query::{self, Selector, selectors};
use prometheus::scrape::{Short, short_windows};
use prometheus::{Client, without_credentials};
use url::Url;

use self::judge::judge;
use crate::error::Error;
use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;

/// One query with its connection.
pub(crate) struct Prometheus {
    probe: PrometheusProbe,
    client: Client,
    /// Those whose samples must be fresh; else why they are not known.
    selectors: Result<Vec<Selector>, query::Error>,
    /// Whether every series must be fresh, or one of each selector's: where a deployment takes
    /// instances away, what they counted still belongs to the window.
    each_series: bool,
    /// The same question with what counters had counted when they were first seen, which a rate
    /// leaves out.
    counted_in: Option<String>,
    seen: Mutex<QueryMemory>,
}

/// What was learned while asking.
#[derive(Default)]
struct QueryMemory {
    /// The next step after the last measurement, where it is not to run the query by hand.
    hint: Option<String>,
    /// Windows that are too short; `None` until they were looked at.
    short: Option<Vec<Short>>,
}

impl Prometheus {
    pub(crate) fn new(probe: PrometheusProbe, around: &ProbeContext) -> Result<Self, Error> {
        let client = Client::new(&probe.server, probe.access.as_ref(), &around.env)?;
        Ok(Prometheus {
            client,
            selectors: selectors(&probe.query),
            each_series: true,
            counted_in: None,
            probe,
            seen: Mutex::default(),
        })
    }

    /// One that is decided by its query, and whose series are those of another.
    pub(crate) fn about(
        probe: PrometheusProbe,
        query: &str,
        counted_in: Option<String>,
        around: &ProbeContext,
    ) -> Result<Self, Error> {
        Ok(Prometheus {
            selectors: selectors(query),
            each_series: false,
            counted_in,
            ..Prometheus::new(probe, around)?
        })
    }

    /// Queries by the server's clock. The first answer reveals it: if it differs from the assumed
    /// clock, everything is queried again.
    async fn query_by_server_clock(&self, timeout: Duration) -> Reading {
        let assumed = self.client.ahead();
        let reading = self.query_at(self.client.server_time(), timeout).await;
        let ahead = self.client.ahead();
        if ahead == assumed {
            return Self::by_its_clock(reading, ahead);
        }
        let reading = self.query_at(self.client.server_time(), timeout).await;
        let again = self.client.ahead();
        if again == ahead || reading.verdict == Verdict::Error {
            return Self::by_its_clock(reading, again);
        }
        let reason = "the server's clock is not known: the `Date` of its answers jumps".to_owned();
        self.remember(Some(
            "query each server behind this address by itself".to_owned(),
        ));
        Reading::unmet(Verdict::Inconclusive, reading.expected, &reason, &reason).value("clock")
    }

    /// Says where the server's clock is not ours.
    fn by_its_clock(mut reading: Reading, ahead: SignedDuration) -> Reading {
        if !ahead.is_zero() {
            let seconds = ahead.unsigned_abs().as_secs_f64().round();
            let by = Span::from(Duration::try_from_secs_f64(seconds).unwrap_or_default());
            let way = if ahead.is_positive() {
                "ahead of"
            } else {
                "behind"
            };
            reading.actual = format!(
                "{}; the server's clock is {by} {way} ours, and counts",
                reading.actual
            );
        }
        reading
    }

    async fn query_at(&self, at: Timestamp, timeout: Duration) -> Reading {
        let sources = self.sources();
        let asked = join4(
            self.client.instant(&self.probe.query, at),
            sources.age(at),
            self.counted_in(at),
            self.check_scrape_windows(at, timeout / 2),
        );
        let ((answer, head), age, counted_in) = match asked.await {
            (Ok(answer), Ok(age), Ok(counted_in), ()) => (answer, age, counted_in),
            (Err(error), _, _, ()) => return self.error(&error),
            (_, Err(error), _, ()) => return self.error(&error.about("the age of the samples")),
            (_, _, Err(error), ()) => {
                return self.error(&error.about("what new counters began with"));
            }
        };
        let mut reading = judge(&self.probe, &answer, at, &age);
        if reading.verdict == Verdict::Pass
            && let Some(value) = counted_in
            && let Some(beyond) = judge::exceeded_bound(&self.probe, value, "")
        {
            let reason = format!(
                "counters appeared within the window with a value, which a rate leaves out; \
                 counted in, it is {beyond}"
            );
            let actual = format!("{}; {reason}", reading.actual);
            reading = Reading::unmet(Verdict::Inconclusive, reading.expected, actual, reason)
                .value(value.to_string());
        }
        reading.evidence = Some(head);
        let mut hint = None;
        if answer.series.is_empty() && reading.verdict != Verdict::Pass {
            let why = sources.why_no_data(at).await;
            reading.actual = format!("no data: {}", why.what);
            reading.reason = Some(format!("the query gives no data: {}", why.what));
            hint = Some(why.hint);
        }
        self.remember(hint);
        reading
    }

    fn sources(&self) -> Sources<'_> {
        Sources {
            client: &self.client,
            selectors: &self.selectors,
            each_series: self.each_series,
            max_age: self.probe.max_age.get(),
            accepts_a_part: self.probe.on_warning == Undecided::Pass,
        }
    }

    /// Looks once.
    async fn check_scrape_windows(&self, at: Timestamp, timeout: Duration) {
        if self.lock_memory().short.is_some() {
            return;
        }
        let selectors = self.selectors.as_deref().unwrap_or_default();
        let interval = self.probe.scrape_interval.map(Span::get);
        let looking = short_windows(&self.client, selectors, interval, at);
        let looked = tokio::time::timeout(timeout, looking).await;
        self.lock_memory().short = Some(looked.unwrap_or_default());
    }

    async fn counted_in(&self, at: Timestamp) -> Result<Option<f64>, prometheus::Error> {
        let Some(query) = &self.counted_in else {
            return Ok(None);
        };
        let (answer, _) = self.client.instant(query, at).await?;
        Ok(answer.number())
    }

    fn error(&self, error: &prometheus::Error) -> Reading {
        self.remember(error.hint());
        let expected = judge::expected(&self.probe);
        let reading = Reading::unmet(
            Verdict::Error,
            expected,
            error.to_string(),
            error.to_string(),
        );
        Reading {
            evidence: error.evidence().map(str::to_owned),
            ..reading.value("error")
        }
    }

    fn remember(&self, hint: Option<String>) {
        self.lock_memory().hint = hint;
    }

    fn lock_memory(&self) -> std::sync::MutexGuard<'_, QueryMemory> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kind for PrometheusProbe {
    fn subject(&self) -> String {
        self.query.clone()
    }

    fn make(self, around: &ProbeContext) -> Result<Box<dyn Probe>, Error> {
        Ok(Box::new(Prometheus::new(self, around)?))
    }
}

impl Probe for Prometheus {
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            let asked = tokio::time::timeout(timeout, self.query_by_server_clock(timeout)).await;
            asked.unwrap_or_else(|_| self.error(&prometheus::Error::Late(timeout)))
        })
    }

    fn hint(&self) -> String {
        if let Some(hint) = &self.lock_memory().hint {
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
        format!("look at the query in {}", without_credentials(&url))
    }

    fn remarks(&self, id: &str) -> Vec<Outcome> {
        let short = self.lock_memory().short.clone().unwrap_or_default();
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
