//! What a job writes into the log of events beside the state.

mod exposure;

use std::path::Path;
use std::time::{Duration, Instant};

use chronicle::{Chronicle, Event, EventId, Evidence, Happening, History, SCHEMA, Subject, Writer};
use config::file::Incident;
use config::value::StateAddress;
use courier::{Courier, Round, Told};
use jiff::Timestamp;
use model::report::v1::millis;
use model::{Outcome, Report, Severity, Verdict};
use notify::{Earlier, Notice, Phase, Recipient, Texts, Why};
use sections::incident::{EventKind, Heard, Impact};

use crate::{Failure, Job};

/// The stage that writes and tells by hand.
pub const INCIDENT: &str = "incident";

/// How long a stage may take to write down its end.
const WRITE_TIME: Duration = Duration::from_secs(5);
/// By when an end must be written down after a signal: people are told of it after that.
const TO_WRITE: Duration = Duration::from_millis(6_500);
/// How long writing may take even where that has passed.
const LEAST_TIME: Duration = Duration::from_secs(1);

/// The log of events, for one job.
#[derive(Clone, Debug)]
pub struct Scribe<'a> {
    job: &'a Job,
    pub section: &'a Incident,
    pub chronicle: Chronicle,
    /// Whether other machines reach the log, too.
    pub is_shared: bool,
    store: state::Store,
}

impl Job {
    /// The log of events; `None` without `incident:`.
    ///
    /// # Errors
    /// Returns a usage error where the section, or the address of the state, cannot be used.
    pub fn scribe(&self) -> Result<Option<Scribe<'_>>, Failure> {
        let Some(section) = self.config.incident()? else {
            return Ok(None);
        };
        let address = self.state_address()?;
        let store = self.store(&address)?;
        Ok(Some(Scribe {
            job: self,
            section,
            chronicle: Chronicle::beside(&store),
            store,
            is_shared: !matches!(address, StateAddress::File(_)),
        }))
    }

    /// What an event of this job is about. The stages of a workflow run share a deployment.
    pub fn subject(&self) -> Subject {
        let run = self.run_name();
        let release = self.release.clone();
        Subject {
            service: self.service(),
            environment: self.environment.clone(),
            deployment: release
                .as_ref()
                .zip(run)
                .map(|(release, run)| format!("{release}#{run}")),
            release,
            incident: None,
        }
    }

    /// Writes down that a stage ended. What goes wrong with that is shown in the report and changes no
    /// verdict.
    pub(crate) async fn write_down(&self, report: &mut Report) {
        let scribe = match self.scribe() {
            Ok(Some(scribe)) => scribe,
            Ok(None) => return,
            Err(failure) => {
                report.outcomes.push(not_written("incident", &failure));
                return;
            }
        };
        let happening = stage_ended(report);
        let event = scribe.event(self.subject(), happening, None);
        if let Err(failure) = scribe.write(&[event]).await {
            let place = scribe.chronicle.place();
            report.outcomes.push(not_written(&place, &failure));
            return;
        }
        report
            .outcomes
            .extend(scribe.deliver_in_passing(scribe.until()).await);
    }
}

/// The end of a stage, as its report tells it.
pub fn stage_ended(report: &Report) -> Happening {
    let worst = model::outcome::by_weight(&report.outcomes);
    let hint = worst
        .iter()
        .filter(|outcome| outcome.weighs() > Verdict::Pass)
        .find_map(|outcome| outcome.hint.clone());
    let decision = report.outputs.iter();
    let mut decision = decision.filter(|(name, _)| name == "decision");
    Happening::StageEnded {
        stage: report.stage.clone(),
        verdict: report.verdict,
        reason: report.reason.clone(),
        hint: hint.or(report.hint.clone()),
        impact: decision.next().map(|(_, word)| match word.as_str() {
            "safe" => Impact::None,
            "critical" => Impact::Down,
            _ => Impact::Unknown,
        }),
        started_at: report.started_at,
        duration_ms: millis(report.duration),
    }
}

/// What a report shows where an event could not be written: it changes no verdict.
pub fn not_written(place: &str, failure: &Failure) -> Outcome {
    let outcome = Outcome::new("incident/log", place, Verdict::Error).severity(Severity::Advisory);
    let hint = failure.hint.clone();
    outcome
        .expected("the event is written down")
        .reason(failure.chain())
        .hint(hint.unwrap_or_else(|| "it changes no verdict; see `incident status`".to_owned()))
}

impl Scribe<'_> {
    /// An event that the stage itself writes.
    pub fn event(
        &self,
        subject: Subject,
        what: Happening,
        worst: Option<sections::incident::Severity>,
    ) -> Event {
        let by = Writer {
            automatic: true,
            ..self.writer()
        };
        self.made(subject, by, what, worst)
    }

    /// An event that a person writes by this job.
    pub fn event_by_hand(
        &self,
        subject: Subject,
        what: Happening,
        worst: Option<sections::incident::Severity>,
    ) -> Event {
        self.made(subject, self.writer(), what, worst)
    }

    /// `worst` is the worst severity that the event's incident has had.
    fn made(
        &self,
        subject: Subject,
        by: Writer,
        what: Happening,
        worst: Option<sections::incident::Severity>,
    ) -> Event {
        let at = Timestamp::now();
        let heard = what.kind().map(|kind| Heard {
            kind,
            severity: worst,
            environment: subject.environment.as_deref(),
            ended_well: matches!(
                &what,
                Happening::DeploymentEnded {
                    conclusion: chronicle::Conclusion::Succeeded,
                    ..
                }
            ),
        });
        let sinks = self.section.sinks();
        let addressed = |(_, sink): (String, &dyn sections::incident::SinkConfig)| {
            let is_told = heard.is_some_and(|heard| sink.filter().hears(heard));
            is_told.then(|| sink.name().to_owned())
        };
        let event = Event {
            schema: SCHEMA.to_owned(),
            id: EventId::new(at),
            at,
            sinks: sinks.filter_map(addressed).collect(),
            subject,
            by,
            evidence: self.evidence(),
            what,
        };
        event.redacted(&self.job.redactor)
    }

    fn writer(&self) -> Writer {
        Writer {
            actor: self.job.actor(),
            run: self.job.run_name(),
            automatic: false,
        }
    }

    /// The page of the workflow run, and the report that this job leaves.
    fn evidence(&self) -> Vec<Evidence> {
        let run = self.job.actions.run_url().map(Evidence::Url);
        let report = self.job.publisher.report_place().map(Evidence::Report);
        run.into_iter().chain(report).collect()
    }

    /// Appends events, within a few seconds.
    ///
    /// # Errors
    /// Returns why the log could not be written.
    pub async fn write(&self, events: &[Event]) -> Result<(), Failure> {
        self.in_time(self.chronicle.write(events))
            .await?
            .map_err(failed)
    }

    /// What writes an event, within a few seconds, and within less where a signal asks us to end.
    ///
    /// # Errors
    /// Returns that there was not enough time.
    pub async fn in_time<T>(&self, writing: impl Future<Output = T>) -> Result<T, Failure> {
        let left = self.job.interrupt.left(TO_WRITE);
        let limit = left.map_or(WRITE_TIME, |left| WRITE_TIME.min(left.max(LEAST_TIME)));
        let written = tokio::time::timeout(limit, writing).await;
        written.map_err(|_| {
            let place = self.chronicle.place();
            let limit = model::text::span(limit);
            Failure::error(format!("failed to write {place} within {limit}"))
        })
    }

    /// The state beside the log; `None` where none was written yet.
    ///
    /// # Errors
    /// Returns why it could not be read, or that it is of another service.
    pub async fn document(&self) -> Result<Option<state::Document>, Failure> {
        let document = self.store.read().await?;
        if let Some(document) = &document {
            self.job.check_owner(document, &self.store.place())?;
        }
        Ok(document)
    }

    /// Everything that was written down.
    ///
    /// # Errors
    /// Returns why the log could not be read.
    pub async fn history(&self) -> Result<History, Failure> {
        self.chronicle.read().await.map_err(failed)
    }
}

/// Why the log could not be used, and the next step.
pub fn failed(error: chronicle::Error) -> Failure {
    let hint = error.hint();
    match error {
        chronicle::Error::State(error) => error.into(),
        error => Failure::error(error).hint(hint),
    }
}

/// What telling the sinks came to.
#[derive(Debug)]
pub struct Delivery {
    pub told: Vec<Told>,
    /// Why the log could not be used: no sink was told.
    pub trouble: Option<Failure>,
}

impl Scribe<'_> {
    /// Tells the sinks what they have not heard, until `until`. What goes wrong is shown and changes no verdict.
    pub async fn deliver(&self, round: Round, until: Instant) -> Delivery {
        let told = self.job.with_recipients(async |recipients| {
            if recipients.is_empty() {
                return Ok(Vec::new());
            }
            let texts = Texts::load(&self.section.templates, Path::new(""));
            let courier = Courier {
                chronicle: &self.chronicle,
                recipients,
                texts,
                holder: self.job.holder(),
                by: Writer {
                    automatic: true,
                    ..self.writer()
                },
                is_shared: self.is_shared,
                redactor: self.job.redactor.clone(),
            };
            courier.deliver(round, until).await.map_err(failed)
        });
        let told = tokio::time::timeout_at(until.into(), told).await;
        let late = || Failure::error(format!("{} did not answer in time", self.chronicle.place()));
        match told.unwrap_or_else(|_| Err(late())).flatten() {
            Ok(told) => Delivery {
                told,
                trouble: None,
            },
            Err(failure) => Delivery {
                told: Vec::new(),
                trouble: Some(failure),
            },
        }
    }

    /// The end of the time that telling people may take now: the budget, and what a signal leaves of it.
    pub fn until(&self) -> Instant {
        let budget = self.section.delivery_budget.get();
        let budget = match self.job.interrupt.left(TOLD) {
            Some(left) => budget.min(left.max(LEAST_TIME)),
            None => budget,
        };
        Instant::now() + budget
    }

    /// Tells the sinks beside what a stage does, and gives what belongs into its report.
    pub async fn deliver_in_passing(&self, until: Instant) -> Vec<Outcome> {
        let Delivery { told, trouble } = self.deliver(Round::InPassing, until).await;
        let trouble = trouble.map(|failure| not_written(&self.chronicle.place(), &failure));
        let told = told.iter().filter(|told| told.waiting + told.refused > 0);
        let told = told.map(|told| outcome(told).severity(Severity::Advisory));
        told.chain(trouble).collect()
    }
}

/// By when people must have been told after a signal: GitHub's next one comes after 7.5 s, and it kills the step
/// after 10 s.
const TOLD: Duration = Duration::from_millis(7_300);

/// What became of a sink's deliveries.
pub fn outcome(told: &Told) -> Outcome {
    let left = told.waiting + told.refused;
    let verdict = match (told.refused, told.waiting) {
        (0, 0) => Verdict::Pass,
        (0, waiting) if waiting == told.elsewhere => Verdict::Inconclusive,
        (0, _) => Verdict::Error,
        _ => Verdict::Fail,
    };
    let outcome = Outcome::new(format!("sink/{}", told.sink), told.sink.clone(), verdict);
    let outcome = outcome
        .expected("everything is delivered")
        .actual(match left {
            0 => format!("{} delivered", told.delivered),
            left => format!("{} delivered, {left} not delivered", told.delivered),
        });
    if left == 0 {
        return outcome;
    }
    let reason = match &told.reason {
        Some(reason) => reason.clone(),
        None if told.elsewhere > 0 => "another process is telling it".to_owned(),
        None => "there was no time for it".to_owned(),
    };
    let hint = told.hint.clone().unwrap_or_else(|| match told.not_before {
        Some(at) => format!("it asks to wait until {at:.0}; then `incident deliver`"),
        None => "`incident deliver` tries again".to_owned(),
    });
    outcome.reason(reason).hint(hint)
}

impl Scribe<'_> {
    /// Tells every sink a test message, side by side; an outcome for each.
    ///
    /// # Errors
    /// Returns a usage error where the section cannot be used.
    pub async fn prove_sinks(&self) -> Result<Vec<Outcome>, Failure> {
        let until = Instant::now() + PROOF_TIME;
        let proofs = self.job.with_recipients(async |recipients| {
            let proofs = recipients.iter().map(|recipient| async move {
                let clock = Instant::now();
                self.prove(recipient, until).await.took(clock.elapsed())
            });
            futures_util::future::join_all(proofs).await
        });
        proofs.await
    }

    async fn prove(&self, recipient: &Recipient<'_>, until: Instant) -> Outcome {
        let id = format!("sink/{}", recipient.name);
        let kind = match recipient.kind.as_str() {
            // A change event calls no one.
            "pagerduty" => EventKind::DeploymentEnded,
            "github-issue" | "github-deployment" => {
                let told = "a test would leave an issue or a deployment; `doctor` knows whether the token may";
                return Outcome::skipped(id, recipient.name, told);
            }
            _ => EventKind::Note,
        };
        let at = Timestamp::now();
        let event = EventId::new(at);
        let subject = self.job.subject();
        let service = subject.service.unwrap_or_default();
        let notice = Notice {
            id: event.to_string(),
            thread: format!("{service}/test/{event}"),
            kind,
            at,
            service,
            environment: subject.environment,
            release: subject.release,
            severity: None,
            worst: None,
            phase: Phase::Unknown,
            title: "a test of deploy-guard: nothing happened".to_owned(),
            body: format!("{} proves that this sink can be told.", self.job.actor()),
            fields: Vec::new(),
            links: Vec::new(),
        };
        let told = recipient.deliver(&notice, Earlier::default(), until).await;
        let outcome =
            |verdict| Outcome::new(id, recipient.name, verdict).expected("it takes a test message");
        match told {
            Ok(_) => outcome(Verdict::Pass).actual("it took the test message"),
            Err(error) => {
                let verdict = match &error.why {
                    Why::Refused { .. } => Verdict::Fail,
                    Why::Later { .. } | Why::Unsure { .. } => Verdict::Error,
                };
                let hint = error
                    .hint()
                    .unwrap_or("see whether the service is up, then try again");
                outcome(verdict).reason(error.to_string()).hint(hint)
            }
        }
    }
}

/// How long a proof may take.
const PROOF_TIME: Duration = Duration::from_secs(10);
