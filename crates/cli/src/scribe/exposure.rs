//! What a bad release served: asked once, of what the configuration has for it, and written down.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chronicle::{
    CountBound, Event, Exposure, Happening, History, Incident, Owner, ReadScope, Subject,
};
use config::file::CanaryKind;
use exposure::{
    CountError, ExposureWindow, News, Selectors, is_settled, news, of_incident, of_left, of_log,
    of_prometheus, with_known,
};
use jiff::Timestamp;
use model::{Outcome, Report, Severity, StageName, Verdict};
use net::hosts::Hosts;
use probe::ProbeContext;
use prometheus::Client;
use sections::PrometheusAccess;
use sections::incident::ExposureLog;

use super::{Audience, EventWriter};
use crate::Failure;

/// How long asking may take where a person waits for it.
const BY_HAND: Duration = Duration::from_secs(20);
/// How long a scrape is waited for, where the configuration does not say it.
const DEFAULT_SCRAPE_WAIT: Duration = Duration::from_secs(2);
/// The placeholder for the side in a canary's queries.
const SIDE: &str = "{side}";

/// What became of the question.
#[derive(Debug)]
pub enum Measured {
    Known(Exposure),
    Unknown(Box<Outcome>),
    /// Nothing is configured that could tell it.
    NotAsked,
}

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
enum ExposureError {
    #[error("a signal leaves no time for it")]
    Interrupted,
    #[error("`healthgate.canary` cannot be used: {0}")]
    Canary(String),
    #[error(transparent)]
    Unknown(#[from] CountError),
    #[error("the log `{}` was not read in time", .0.display())]
    Late(PathBuf),
    #[error("{prometheus}; {log}")]
    Neither {
        prometheus: CountError,
        log: Box<ExposureError>,
    },
}

/// When the question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExposureQuery {
    /// Where users have the release no more.
    WhereItIsGone,
    Always,
}

/// Where counts come from.
struct Counters {
    prometheus: Option<Server>,
    log: Option<ExposureLog>,
    wait: Duration,
}

struct Server {
    url: String,
    access: Option<PrometheusAccess>,
    total: String,
    failed: String,
    of_all: Option<String>,
}

impl EventWriter<'_> {
    /// What a release served, by `until`; what the gate counted, where nothing else tells it.
    pub async fn measure(
        &self,
        history: &History,
        stay: &ExposureWindow,
        until: Instant,
    ) -> Measured {
        let judged = exposure::of_gate(history, stay);
        match (self.measure_exposure(stay, until).await, judged) {
            (Ok(Some(asked)), Some(judged)) => Measured::Known(judged.or_later(&asked)),
            (Ok(Some(exposure)), None) | (_, Some(exposure)) => Measured::Known(exposure),
            (Ok(None), None) => Measured::NotAsked,
            (Err(unmeasured), None) => {
                let outcome = Outcome::new("incident/exposure", &stay.release, Verdict::Error);
                let outcome = outcome.severity(Severity::Advisory);
                let outcome = outcome.expected("the requests that the release served");
                Measured::Unknown(Box::new(outcome.reason(unmeasured.to_string()).hint(
                    "it changes no verdict: the report shows that it is not known; see `incident.exposure`",
                )))
            }
        }
    }

    /// # Errors
    /// Returns why it is not known.
    async fn measure_exposure(
        &self,
        stay: &ExposureWindow,
        until: Instant,
    ) -> Result<Option<Exposure>, ExposureError> {
        if self.job.interrupt.caught().is_some() {
            return Err(ExposureError::Interrupted);
        }
        let Some(Counters {
            prometheus,
            log,
            wait,
        }) = self.counters(stay).await?
        else {
            return Ok(None);
        };
        let left = until.saturating_duration_since(Instant::now());
        // The log has the other half of the time.
        let asked_until = log.as_ref().map_or(until, |_| Instant::now() + left / 2);
        let asked = match &prometheus {
            Some(server) => Some(self.scraped(server, stay, wait, asked_until).await),
            None => None,
        };
        if let Some(Ok(exposure)) = &asked
            && (exposure.bound == CountBound::Exact || log.is_none())
        {
            return Ok(Some(exposure.clone()));
        }
        let Some(log) = log else {
            return match asked {
                Some(Err(unknown)) => Err(unknown.into()),
                _ => Ok(None),
            };
        };
        let around = ProbeContext {
            env: self.job.env.clone(),
            hosts: Hosts::new(&self.job.config.hosts, &self.job.env),
            redactor: model::Redactor::clone(&self.job.redactor),
        };
        let left = until.saturating_duration_since(Instant::now());
        let read = of_log(&log, &around, stay, left);
        let read = tokio::time::timeout_at(until.into(), read).await;
        let read = match read {
            Ok(read) => read.map_err(ExposureError::from),
            Err(_) => Err(ExposureError::Late(log.file.clone())),
        };
        match (read, asked) {
            (Ok(exposure), _) | (_, Some(Ok(exposure))) => Ok(Some(exposure)),
            (Err(why), None) => Err(why),
            (Err(why), Some(Err(prometheus))) => Err(ExposureError::Neither {
                prometheus,
                log: Box::new(why),
            }),
        }
    }

    async fn scraped(
        &self,
        server: &Server,
        stay: &ExposureWindow,
        wait: Duration,
        until: Instant,
    ) -> Result<Exposure, CountError> {
        let client = Client::new(&server.url, server.access.as_ref(), &self.job.env)?;
        let selectors = Selectors {
            total: &server.total,
            failed: &server.failed,
            of_all: server.of_all.as_deref(),
        };
        of_prometheus(&client, selectors, stay, wait, until).await
    }

    /// What is configured: `incident.exposure`, else what the canary is judged by.
    async fn counters(&self, stay: &ExposureWindow) -> Result<Option<Counters>, ExposureError> {
        if let Some(section) = &self.section.exposure {
            let server = section.server.as_ref().map(|url| Server {
                url: url.clone(),
                access: section.access.clone(),
                // That both are there is a rule of the section.
                total: section.total.clone().unwrap_or_default(),
                failed: section.failed.clone().unwrap_or_default(),
                of_all: section.total_all_releases.clone(),
            });
            return Ok(Some(Counters {
                prometheus: server,
                log: section.access_log.clone(),
                wait: section.wait.get(),
            }));
        }
        let gate = self.job.config.healthgate();
        let Some(gate) = gate.map_err(|error| ExposureError::Canary(error.to_string()))? else {
            return Ok(None);
        };
        let Some(canary) = &gate.canary else {
            return Ok(None);
        };
        let log = canary.access_log.as_ref();
        if let Some(log) = log {
            return Ok(Some(Counters {
                prometheus: None,
                log: Some(ExposureLog::of_canary(log, &canary.metric_names.errors)),
                wait: DEFAULT_SCRAPE_WAIT,
            }));
        }
        // `${RELEASE}` in `sides` is what this job is about.
        let is_of_job = self.job.release.as_deref() == Some(&stay.release);
        if canary.command.is_some() || (canary.sides.is_some() && !is_of_job) {
            return Ok(None);
        }
        let document = self.document().await.ok().flatten();
        let before = document.and_then(|document| document.last_known_good);
        let sides = canary.sides_of(&stay.release, &before.unwrap_or_default());
        let first = gate.prometheus.first();
        let (url, access) = match (&canary.server, first) {
            (Some(url), _) => (url, &canary.access),
            (None, Some(probe)) => (&probe.server, &probe.access),
            (None, None) => return Ok(None),
        };
        let mut ratio = canary.compared().into_iter();
        let ratio = ratio.find(|metric| metric.kind == CanaryKind::Ratio);
        let (Some(sides), Some(ratio)) = (sides, ratio) else {
            return Ok(None);
        };
        let put = |query: Option<String>| query.map(|it| it.replace(SIDE, &sides.canary));
        let (Some(total), Some(failed)) = (put(ratio.total), put(ratio.failed)) else {
            return Ok(None);
        };
        Ok(Some(Counters {
            prometheus: Some(Server {
                url: url.clone(),
                access: access.clone(),
                total,
                failed,
                of_all: None,
            }),
            log: None,
            wait: DEFAULT_SCRAPE_WAIT,
        }))
    }

    /// Asks what the release of an incident served, and writes the answer down. `None` where the log has it already, or
    /// where nothing shows it.
    ///
    /// # Errors
    /// Returns why the answer could not be written.
    pub async fn exposure_of(
        &self,
        history: &History,
        incident: &Incident,
        ask: ExposureQuery,
    ) -> Result<Option<Event>, Failure> {
        // The command may name no environment, and see those of all.
        let history = &history.clone().of_owner(&incident.subject.owner());
        let document = self.document().await.ok().flatten();
        let stay = of_incident(history, incident, document.as_ref(), Timestamp::now());
        let Some(stay) = stay.filter(|stay| stay.gone || ask == ExposureQuery::Always) else {
            return Ok(None);
        };
        let until = Instant::now() + BY_HAND;
        self.ask_exposure(history, &stay, Some(incident), until)
            .await
    }

    /// The same of a release that this stage left, whatever its verdict is: a ramp that fails takes it back, too.
    pub(super) async fn exposure_of_left(
        &self,
        report: &Report,
        until: Instant,
    ) -> Result<Option<Event>, Failure> {
        // What is left on some hosts serves still.
        if report.verdict == Verdict::Partial || !takes_release_away(&report.stage) {
            return Ok(None);
        }
        let (Ok(Some(document)), Ok(history)) =
            (self.document().await, self.chronicle.recent().await)
        else {
            return Ok(None);
        };
        // The same where the stage names none: the state knows whose it is.
        let history = history.of_owner(&Owner {
            service: document.service.clone(),
            environment: document.environment.clone(),
        });
        let Some(stay) = of_left(&history, &document, report.started_at) else {
            return Ok(None);
        };
        // That it was taken back may have resolved the incident by now.
        let is_of = |incident: &Incident| {
            let release = incident.subject.release.as_deref();
            release == Some(&stay.release) && incident.opened >= stay.from
        };
        let all = chronicle::incidents(&history).into_iter();
        let incident = all.rev().find(is_of);
        self.ask_exposure(&history, &stay, incident.as_ref(), until)
            .await
    }

    /// Asks, and writes the answer down.
    async fn ask_exposure(
        &self,
        history: &History,
        stay: &ExposureWindow,
        incident: Option<&Incident>,
        until: Instant,
    ) -> Result<Option<Event>, Failure> {
        if is_settled(history, stay, Timestamp::now()) {
            return Ok(None);
        }
        let answer = match self.measure(history, stay, until).await {
            Measured::Known(exposure) => (Some(exposure), None),
            Measured::Unknown(outcome) => (None, outcome.reason),
            Measured::NotAsked => return Ok(None),
        };
        let own = incident.map(|one| one.subject.clone());
        let mut subject = own.unwrap_or_else(|| self.job.subject());
        subject.release = Some(stay.release.clone());
        subject.deployment = stay.deployment.clone().or(subject.deployment);
        self.write_exposure(stay, subject, answer, true).await
    }

    /// Writes an answer, or why there is none, down where it is news: also beside another process that has asked meanwhile.
    ///
    /// # Errors
    /// Returns why the log could not be written.
    pub async fn write_exposure(
        &self,
        stay: &ExposureWindow,
        subject: Subject,
        (exposure, unknown): (Option<Exposure>, Option<String>),
        is_told: bool,
    ) -> Result<Option<Event>, Failure> {
        let decide = |history: &History| {
            let exposure = exposure.as_ref();
            let exposure = exposure.map(|answer| with_known(history, stay, answer));
            let happening = Happening::ExposureMeasured {
                exposure: exposure.clone(),
                unknown: unknown.clone(),
            };
            let event = self.event(subject.clone(), happening, Audience::None);
            let silent = Event {
                sinks: Vec::new(),
                ..event.clone()
            };
            Ok::<_, chronicle::Error>(match news(history, stay, exposure.as_ref(), event.at) {
                News::New if is_told => vec![event.clone()],
                News::New | News::Settled => vec![silent],
                News::Known => Vec::new(),
            })
        };
        let written = self.in_time(self.chronicle.append(ReadScope::Recent, decide));
        let written = written.await?.map_err(super::failed)?;
        Ok(written.into_iter().next())
    }
}

/// Whether a stage can take a release away from users.
fn takes_release_away(stage: &str) -> bool {
    matches!(
        StageName::of(stage),
        Some(StageName::Rollback | StageName::Traffic)
    )
}
