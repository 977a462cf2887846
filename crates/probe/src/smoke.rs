//! Smoke tests: requests that build on one another, or a file for `hurl`.
//!
//! Each measurement begins from nothing: no cookie, no value of an earlier one.

mod fill;
mod hurl;

use std::cell::Cell;
use std::time::Duration;

use config::file::{Addresses, SmokeProbe, SmokeRequest};
use model::{Redactor, Verdict};
use net::Place;
use net::budget;
use net::http::cookies::{Cookies, may_be_a_token};
use net::http::redirect::{follow, public};
use net::http::reply::{self, Reply};
use net::http::transport::{Transport, Wire, place};
use net::party::{Party, awaited_party, in_measurement};
use net::{Endpoint, Route};
use url::Url;

use self::fill::{Values, filled};
use self::hurl::Hurl;
use crate::addresses::measure_every;
use crate::error::Error;
use crate::http::expect::{Expect, filtered};
use crate::http::filter_time;
use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;

/// One smoke test.
pub(crate) enum Smoke {
    Requests(Box<Flow>),
    Hurl(Hurl),
}

impl Smoke {
    pub(crate) fn new(probe: SmokeProbe, around: &ProbeContext) -> Result<Self, Error> {
        let SmokeProbe {
            name: _,
            requests,
            hurl,
            variables,
            max_body,
            http_version,
            ca_file,
            client_certificate,
            resolve,
            addresses,
            proxy,
            via,
            policy: _,
            severity: _,
        } = probe;
        if let Some(file) = hurl {
            return Ok(Smoke::Hurl(Hurl { file, variables }));
        }
        let transport = Transport::new(Wire {
            route: Route::new(&resolve, via.as_deref(), &around.hosts),
            proxy: proxy.as_ref(),
            version: http_version,
            ca_file: ca_file.as_deref(),
            client_certificate: client_certificate.as_ref(),
            server_name: None,
            certificates: false,
            max_body: max_body.get(),
        })?;
        let values = variables.into_iter();
        Ok(Smoke::Requests(Box::new(Flow {
            steps: requests.into_iter().map(Step::new).collect(),
            transport,
            addresses,
            values: values.map(|(name, text)| (name, text.into())).collect(),
            redactor: around.redactor.clone(),
        })))
    }
}

/// Why a later request does not get what it needs of an answer.
#[derive(Debug, thiserror::Error)]
enum CaptureError {
    #[error(transparent)]
    Packed(#[from] reply::Error),
    #[error("`{name}` is not captured: {why}")]
    Missing { name: String, why: FilterError },
}

/// Why a filter finds no one value.
#[derive(Debug, thiserror::Error)]
enum FilterError {
    #[error("`{0}` finds nothing")]
    Nothing(String),
    #[error("`{0}` finds several values; `first(…)` chooses one")]
    Several(String),
    #[error(transparent)]
    Filter(jq::Error),
}

/// One request with its conditions.
struct Step {
    request: SmokeRequest,
    expect: Expect,
}

impl Step {
    fn new(request: SmokeRequest) -> Self {
        let expect = Expect {
            status: request.status.clone(),
            headers: request.expect_headers.clone(),
            body_regex: request.body_regex.clone(),
            jq: request.jq.clone(),
            max_latency: request.max_latency,
            min_days: None,
        };
        Step { request, expect }
    }
}

/// The requests of one smoke test.
pub(crate) struct Flow {
    steps: Vec<Step>,
    transport: Transport,
    addresses: Addresses,
    /// What is known before the first request.
    values: Values,
    redactor: Redactor,
}

impl Flow {
    fn expected(&self) -> String {
        match self.steps.len() {
            1 => "1 request that is answered right".to_owned(),
            many => format!("{many} requests that are answered right"),
        }
    }

    /// All of the requests at each address of the first one's host: one that is well must not hide
    /// one that is not.
    async fn measure(&self, timeout: Duration) -> Reading {
        let Some(first) = self.steps.first() else {
            return self.failed(0, Verdict::Error, "there is no request".to_owned());
        };
        let url = match filled(&first.request, &self.values, None) {
            Ok(request) => request.url,
            Err(error) => return self.failed(0, Verdict::Fail, error.to_string()),
        };
        let place = place(&url);
        // A little less, so that the request can be named that took too long.
        let own = timeout.mul_f64(0.95);
        let ask = async |end: Endpoint| {
            let at = Cell::new(0);
            let asked = tokio::time::timeout(own, self.run(&at, &place, end, own)).await;
            asked.unwrap_or_else(|_| {
                if let Some(reason) = budget::was_waiting() {
                    return self.failed(at.get(), Verdict::Error, reason);
                }
                let party = awaited_party();
                let reason = match &party {
                    Party::Service => format!("not done within {}", model::text::duration(timeout)),
                    party => party.late(timeout),
                };
                let failed = self.failed(at.get(), party.verdict(), reason);
                Reading {
                    unanswered: Some(party),
                    ..failed
                }
            })
        };
        if self.transport.is_proxied(&url) {
            return Box::pin(in_measurement(ask(Endpoint::Beyond))).await;
        }
        let (route, rule) = (self.transport.route(), self.addresses);
        let expected = self.expected();
        Box::pin(measure_every(route, &place, rule, timeout, &expected, ask)).await
    }

    async fn run(
        &self,
        at: &Cell<usize>,
        own: &Place,
        end: Endpoint,
        timeout: Duration,
    ) -> Reading {
        let cookies = Cookies::new(&self.redactor);
        let mut values = self.values.clone();
        let mut before: Option<Url> = None;
        let mut evidence = None;
        for (nth, step) in self.steps.iter().enumerate() {
            at.set(nth);
            let server = (own, end);
            let done = self
                .step(step, &mut values, &cookies, &mut before, server, timeout)
                .await;
            match done {
                Ok(reply) => evidence = Some(reply.evidence()),
                Err((reading, reply)) => {
                    let reason = reading.reason.unwrap_or(reading.actual);
                    let mut failed = self.failed(nth, reading.verdict, reason);
                    // Where no process listens, no request was made.
                    if nth == 0 && reading.refused {
                        failed.value = reading.value;
                        failed.refused = true;
                    }
                    failed.evidence = reply.map(|reply| reply.evidence());
                    return failed;
                }
            }
        }
        let count = self.steps.len();
        let actual = format!("{count} of {count} answered right");
        let mut reading = Reading::pass(self.expected(), actual).value(format!("{count}/{count}"));
        reading.evidence = evidence;
        reading
    }

    /// One request; else what is wrong, and the answer if there is one.
    async fn step(
        &self,
        step: &Step,
        values: &mut Values,
        cookies: &Cookies,
        before: &mut Option<Url>,
        (own, end): (&Place, Endpoint),
        timeout: Duration,
    ) -> Result<Reply, (Reading, Option<Reply>)> {
        let expected = step.expect.describe();
        let not = |reason: String| Reading::unmet(Verdict::Fail, &expected, &reason, &reason);
        let request = filled(&step.request, values, before.as_ref())
            .map_err(|error| (not(error.to_string()), None))?;
        let problem = |problem: net::ConnectError| (Reading::of_problem(problem, &expected), None);
        let asked = place(&request.url);
        let ends = if asked.host == own.host {
            vec![end.with_port(asked.port)]
        } else {
            self.transport
                .ends_elsewhere(&request.url)
                .await
                .map_err(problem)?
        };
        let limit = step.request.max_redirects;
        let mut reply = follow(&self.transport, &request, &ends, limit, Some(cookies))
            .await
            .map_err(problem)?;
        *before = Some(request.url);
        let (max_body, time) = (self.transport.max_body, filter_time(timeout));
        let judged = step.expect.judge(&mut reply, max_body, time).await;
        if judged.verdict != Verdict::Pass {
            // What it would have handed on must not be shown either.
            let _ = self.capture(step, &mut reply, values, time / 4).await;
            return Err((judged, Some(reply)));
        }
        if let Err(error) = self.capture(step, &mut reply, values, time).await {
            return Err((not(error.to_string()), Some(reply)));
        }
        Ok(reply)
    }

    async fn capture(
        &self,
        step: &Step,
        reply: &mut Reply,
        values: &mut Values,
        time: Duration,
    ) -> Result<(), CaptureError> {
        if step.request.capture.is_empty() {
            return Ok(());
        }
        reply.unpack(self.transport.max_body).await?;
        let mut missing = None;
        for (name, filter) in &step.request.capture {
            let why = match filtered(filter, &reply.body, time).await {
                Ok(found) => {
                    for value in &found {
                        self.learn(value);
                    }
                    let mut found = found.into_iter();
                    match found.next().filter(|value| !value.is_null()) {
                        Some(value) if found.all(|other| other == value) => {
                            values.insert(name.clone(), value);
                            continue;
                        }
                        Some(_) => FilterError::Several(filter.as_str().to_owned()),
                        None => FilterError::Nothing(filter.as_str().to_owned()),
                    }
                }
                Err(error) => FilterError::Filter(error),
            };
            // The others may be tokens, and are looked for all the same.
            missing.get_or_insert_with(|| CaptureError::Missing {
                name: name.clone(),
                why,
            });
        }
        missing.map_or(Ok(()), Err)
    }

    fn learn(&self, value: &serde_json::Value) {
        if let Some(text) = value.as_str().filter(|text| may_be_a_token(text)) {
            self.redactor.add([text]);
        }
    }

    /// What went wrong, and at which request.
    fn failed(&self, nth: usize, verdict: Verdict, reason: String) -> Reading {
        let count = self.steps.len();
        let what = self.steps.get(nth).map(|step| {
            let SmokeRequest { name, url, .. } = &step.request;
            name.clone().unwrap_or_else(|| match Url::parse(url) {
                Ok(url) => public(&url).replace("%7B", "{").replace("%7D", "}"),
                Err(_) => url.clone(),
            })
        });
        let what = what.unwrap_or_default();
        let reason = format!("request {} of {count} ({what}): {reason}", nth + 1);
        Reading::unmet(verdict, self.expected(), &reason, &reason).value(format!("{nth}/{count}"))
    }
}

impl Kind for SmokeProbe {
    fn subject(&self) -> String {
        self.name.clone()
    }

    fn make(self, around: &ProbeContext) -> Result<Box<dyn Probe>, Error> {
        Ok(Box::new(Smoke::new(self, around)?))
    }
}

impl Probe for Smoke {
    fn measure<'a>(&'a self, release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            match self {
                Smoke::Requests(flow) => flow.measure(timeout).await,
                Smoke::Hurl(hurl) => hurl.measure(release, timeout).await,
            }
        })
    }

    fn hint(&self) -> String {
        match self {
            Smoke::Requests(_) => "send the named request with `curl -v`".to_owned(),
            Smoke::Hurl(hurl) => hurl.hint(),
        }
    }
}
