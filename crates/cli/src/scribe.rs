//! What a job writes into the log of events beside the state.

mod clock;
mod exposure;

pub use self::exposure::{ExposureQuery, Measured};

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use chronicle::{
    Chronicle, Event, EventId, Evidence, Happening, History, Incident as Opened, Place, ReadScope,
    SCHEMA, Subject, Writer,
};
use config::file::Incident;
use config::value::StateAddress;
use courier::{Courier, DeliveryMode, SinkLocks, SinkTally};
use jiff::Timestamp;
use model::incident::UnreadLine;
use model::outcome::Requests;
use model::report::v1::millis;
use model::{Decision, Outcome, Report, Severity, StageName, Verdict};
use notify::{
    Delivered, DeliveryError, DeliveryFailure, Notice, Phase, PreviousDelivery, Proof, Recipient,
    Texts,
};
use sections::incident::{Before, FilterInput, Impact};

use crate::{Failure, Job};

/// How long a stage may take to write down its end.
const WRITE_TIME: Duration = Duration::from_secs(5);
/// By when an end must be written down after a signal: people are told of it after that.
const TO_WRITE: Duration = Duration::from_millis(6_500);
/// By when people must have been told after a signal: GitHub's next one comes after 7.5 s, and it kills the step
/// after 10 s.
const NOTICE_DEADLINE: Duration = Duration::from_millis(7_300);
/// How long each of the two may take even after its moment: work that had begun was not cut off for it.
const LEAST_TIME: Duration = Duration::from_secs(1);
/// When telling people ends in any case: what was delivered is still to be written down.
const LAST_TOLD: Duration = Duration::from_millis(8_500);
/// When writing ends in any case: the report is still to be left.
const LAST_WRITTEN: Duration = Duration::from_millis(9_300);
/// So long after a signal, work that goes on has people told that it was cancelled: we may be killed before its end.
const EARLY: Duration = Duration::from_millis(1_500);
/// How long that may take: what follows needs time, too.
const EARLY_TIME: Duration = Duration::from_secs(3);
/// What is left of the time of all deliveries for telling what a release served.
const TO_TELL_EXPOSURE: Duration = Duration::from_secs(1);

/// The log of events, for one job.
#[derive(Clone, Debug)]
pub struct EventWriter<'a> {
    job: &'a Job,
    pub section: &'a Incident,
    pub chronicle: Chronicle,
    /// Whether other machines reach the log, too.
    pub is_shared: bool,
    store: state::Store,
    locks: SinkLocks,
}

impl Job {
    /// The log of events; `None` without `incident:`.
    ///
    /// # Errors
    /// Returns a usage error where the section, or the address of the state, cannot be used.
    pub fn scribe(&self) -> Result<Option<EventWriter<'_>>, Failure> {
        let Some(section) = self.config.incident()? else {
            return Ok(None);
        };
        let address = self.state_address()?;
        let store = self.store(&address)?;
        Ok(Some(EventWriter {
            job: self,
            section,
            chronicle: Chronicle::beside(&store, self.subject().owner()),
            store,
            locks: SinkLocks::new(section.sinks().map(|(_, sink)| sink.name())),
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
            apart: false,
        }
    }

    /// What the work of a stage gives. Where a signal came and the work goes on all the same, `telling` runs beside
    /// it: the truth is out before we may be killed, and costs the work no time. What it began is not cut off where
    /// the work ends first, because whether it arrived would not be known.
    pub async fn telling_early<T>(
        &self,
        work: impl Future<Output = T>,
        telling: impl Future<Output = ()>,
    ) -> T {
        let has_begun = Cell::new(false);
        let telling = async {
            self.interrupt.and(EARLY).await;
            has_begun.set(true);
            telling.await;
        };
        tokio::pin!(work, telling);
        let mut is_told = false;
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut work => break ended,
                () = &mut telling, if !is_told => is_told = true,
            }
        };
        if has_begun.get() && !is_told {
            telling.await;
        }
        ended
    }

    /// Writes down that the stage `name` was cancelled, and finishes what it began.
    pub(crate) async fn write_down_early(&self, name: &str, started_at: Timestamp) {
        let mut report = Report::from_outcomes(name, started_at, Vec::new());
        report.reason = "interrupted; it finishes what it began".to_owned();
        let took = Timestamp::now().duration_since(started_at);
        report.duration = Duration::try_from(took).unwrap_or_default();
        if let Ok(Some(scribe)) = self.scribe() {
            // Its end is written down in any case, and what is wrong is told then.
            let _ = scribe.write_stage(name, &report, None).await;
            scribe
                .deliver(DeliveryMode::BestEffort, scribe.until_early())
                .await;
        }
    }

    /// Writes down that a stage ended, by the name of what it did; `goes_back`: it was to put a release back. What goes
    /// wrong with that is shown in the report and changes no verdict.
    pub(crate) async fn write_down(&self, name: &str, goes_back: bool, report: &mut Report) {
        let scribe = match self.scribe() {
            Ok(Some(scribe)) => scribe,
            Ok(None) => return,
            Err(failure) => {
                report.outcomes.push(not_written("incident", &failure));
                return;
            }
        };
        // One that was refused changed nothing: what was in progress is as it was.
        let has_tried = goes_back && report.verdict != Verdict::Refused;
        let action = scribe.not_put_back(report.verdict).filter(|_| has_tried);
        if let Err(failure) = scribe.write_stage(name, report, action).await {
            let place = scribe.chronicle.place();
            report.outcomes.push(not_written(&place, &failure));
            return;
        }
        let asking = async |until| scribe.exposure_of_left(report, until).await;
        let told = scribe.deliver_asking(scribe.until(), asking).await;
        report.outcomes.extend(told);
        report.outcomes.extend(scribe.unread(Severity::Advisory));
        report.unread_lines = scribe.chronicle.unread();
    }
}

impl EventWriter<'_> {
    /// The end of a stage, as its report tells it, by the name of what it did.
    pub fn stage_ended(&self, name: &str, report: &Report) -> Happening {
        let worst = model::outcome::by_weight(&report.outcomes);
        let hint = worst
            .iter()
            .filter(|outcome| outcome.weighs() > Verdict::Pass)
            .find_map(|outcome| outcome.hint.clone());
        Happening::StageEnded {
            stage: name.to_owned(),
            verdict: report.verdict,
            reason: report.reason.clone(),
            hint: hint.or(report.hint.clone()),
            impact: report.decision.map(|decision| match decision {
                Decision::Safe => Impact::None,
                Decision::Critical => Impact::Down,
                Decision::Unknown => Impact::Unknown,
            }),
            restored: report.restored.clone(),
            cancelled: self.job.interrupt.caught().is_some(),
            resumed: report.resumed,
            started_at: report.started_at,
            duration_ms: millis(report.duration),
            counted: counted(report),
            hosts: hosts(report),
            retries: (StageName::of(&report.stage) == Some(StageName::Healthgate))
                .then(|| failed_measurements(report)),
        }
    }

    /// Writes down that a stage ended; and, where it has put a good release back by proof, that the incident is over
    /// which a run opened of its own. Where it was to do that and did not, `action` is what is done now.
    async fn write_stage(
        &self,
        name: &str,
        report: &Report,
        action: Option<&str>,
    ) -> Result<(), Failure> {
        let happening = self.stage_ended(name, report);
        let restored = match &happening {
            Happening::StageEnded { restored, .. } => restored.clone(),
            _ => None,
        };
        // An incident may be open for longer than the newest events tell.
        let concerns_incident = restored.is_some() || action.is_some();
        let seeing = if concerns_incident || self.is_timed() {
            ReadScope::Full
        } else {
            ReadScope::Recent
        };
        let of_state = if concerns_incident {
            self.environment_of_state().await
        } else {
            None
        };
        let written = self.chronicle.append(seeing, |history| {
            let subject = self.about(name, history);
            let mut events = vec![self.event(subject, happening.clone(), Audience::None)];
            let opened = self.open_here(history, of_state.as_deref());
            match (opened, &restored, action) {
                (Some(incident), Some(serving), _) if self.is_of_run(&incident) => {
                    let resolved = Happening::IncidentResolved {
                        text: report.reason.clone(),
                        serving: Some(serving.clone()),
                        fix: None,
                        redeployment: None,
                    };
                    let audience = Audience::of(&incident);
                    events.push(self.event(incident.subject.clone(), resolved, audience));
                }
                (Some(incident), None, Some(action)) => {
                    let text = format!("rollback {}: {}", report.verdict, report.reason);
                    events.push(self.correction(&incident, &text, action, hosts(report)));
                }
                _ => {}
            }
            events.extend(self.due(history, &events));
            Ok::<_, chronicle::Error>(events)
        });
        let written = async { written.await.map(drop) };
        self.in_time(written).await?.map_err(failed)
    }

    /// Whether no person opened it: a run did, or a step of this workflow run, which runs `if: failure()`.
    pub fn is_of_run(&self, incident: &Opened) -> bool {
        let by = &incident.opened_by;
        by.automatic || by.run.is_some() && by.run == self.job.run_name()
    }

    /// What is done now, where a rollback ended with this verdict; `None` where it put a release back.
    pub fn not_put_back(&self, verdict: Verdict) -> Option<&'static str> {
        let action = match verdict {
            Verdict::Pass | Verdict::Skipped => return None,
            _ if self.job.interrupt.caught().is_some() => {
                "the rollback was interrupted: `rollback resume` goes on with it"
            }
            Verdict::Inconclusive => "the rollback is not verified: a person decides",
            Verdict::Error | Verdict::Fail => {
                "the rollback failed: a person decides, and `rollback status` shows how far it is"
            }
            Verdict::Partial => {
                "only a part was rolled back: a person decides, and `rollback status` shows which"
            }
            Verdict::Refused => "the rollback was refused: a person decides",
        };
        Some(action)
    }

    /// Corrects what people were told of an incident: what was done did not end it.
    pub fn correction(
        &self,
        incident: &Opened,
        text: &str,
        action: &str,
        hosts: Option<chronicle::Hosts>,
    ) -> Event {
        let happening = Happening::IncidentUpdated {
            text: text.to_owned(),
            // What was found, and what was watched, is no more what it was.
            phase: Some(chronicle::Phase::Investigating),
            impact: None,
            hosts: hosts.filter(|_| incident.is_worse(None, hosts)),
            action: Some(action.to_owned()),
        };
        self.event(incident.subject.clone(), happening, Audience::of(incident))
    }

    /// Whose the state is, where this job names no environment.
    pub async fn environment_of_state(&self) -> Option<String> {
        if self.job.environment.is_some() {
            return None;
        }
        self.document().await.ok().flatten()?.environment
    }

    /// The open incident that a stage may end, or go on with, of its own: that of its environment. Where it names none,
    /// it is one that names none, else that of the environment whose the state is.
    pub fn open_here(&self, history: &History, of_state: Option<&str>) -> Option<Opened> {
        let named = self.job.environment.as_deref();
        chronicle::open_in(history, named).or_else(|| chronicle::open_in(history, Some(of_state?)))
    }

    /// What the end of a stage is about: where it names no release, what the stages before it in its workflow run were
    /// about; and a rollback elsewhere is about what was deployed last.
    fn about(&self, name: &str, history: &History) -> Subject {
        let own = self.job.subject();
        if own.deployment.is_some() {
            return own;
        }
        let run = self.job.run_name();
        let deployed = |event: &&Event| event.subject.deployment.is_some();
        let events = || history.events().rev().filter(deployed);
        let of_run = events().find(|event| run.is_some() && event.by.run == run);
        let last = events()
            .next()
            .filter(|_| name == StageName::Rollback.as_str());
        match of_run.or(last) {
            Some(event) => Subject {
                release: event.subject.release.clone(),
                deployment: event.subject.deployment.clone(),
                ..own
            },
            None => Subject {
                deployment: run.map(|run| format!("#{run}")),
                ..own
            },
        }
    }
}

/// The hosts that do not have what they should: as the stage tells it, else of the group that fared worst.
fn hosts(report: &Report) -> Option<chronicle::Hosts> {
    if let Some((affected, all)) = report.hosts {
        return Some(chronicle::Hosts { affected, all });
    }
    let groups = report
        .outcomes
        .iter()
        .filter_map(|outcome| outcome.members.as_ref());
    let groups = groups.map(|members| chronicle::Hosts {
        affected: members.tally.failed,
        all: members.all,
    });
    groups.max_by_key(|hosts| hosts.affected)
}

/// How often something that is required was measured and was not as it should be.
fn failed_measurements(report: &Report) -> u64 {
    let required = report.outcomes.iter();
    let required = required.filter(|outcome| outcome.severity == Severity::Required);
    let measured = required.flat_map(|outcome| &outcome.measurements);
    let failed = measured.filter(|one| matches!(one.verdict, Verdict::Fail | Verdict::Error));
    failed.count() as u64
}

/// What the release served while it was compared, all comparisons together.
fn counted(report: &Report) -> Option<Requests> {
    let all = report
        .outcomes
        .iter()
        .filter_map(|outcome| outcome.requests);
    all.reduce(|a, b| Requests {
        failed: a.failed.saturating_add(b.failed),
        total: a.total.saturating_add(b.total),
    })
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

/// What a report shows of the lines that could not be read, where there are any: at most a few of them by name.
fn unread_lines(unread: &[UnreadLine]) -> Option<Outcome> {
    let first = unread.first()?;
    let named = unread.iter().take(MAX_NAMED).map(ToString::to_string);
    let more = match unread.len().saturating_sub(MAX_NAMED) {
        0 => None,
        1 => Some("1 more line".to_owned()),
        more => Some(format!("{more} more lines")),
    };
    let told: Vec<String> = named.chain(more).collect();
    let outcome = Outcome::inconclusive("incident/unread", first.file.clone());
    let outcome = outcome
        .expected("every line of the log can be read")
        .actual(match unread.len() {
            1 => "1 line cannot be read".to_owned(),
            count => format!("{count} lines cannot be read"),
        });
    Some(outcome.reason(told.join("; ")).hint(first.hint()))
}

/// Lines that could not be read of which a reason tells.
const MAX_NAMED: usize = 3;

/// Of which incident an event is: by that the sinks are chosen that hear it.
#[derive(Clone, Copy, Debug)]
pub enum Audience<'a> {
    /// Of none.
    None,
    /// Of one that it opens.
    New(sections::incident::Severity),
    /// Of one that is open, with the worst severity that it has had, this event among them.
    Open(&'a Opened, sections::incident::Severity),
}

impl<'a> Audience<'a> {
    pub fn of(incident: &'a Opened) -> Audience<'a> {
        Audience::Open(incident, incident.worst)
    }

    fn severity(self) -> Option<sections::incident::Severity> {
        match self {
            Audience::None => None,
            Audience::New(severity) | Audience::Open(_, severity) => Some(severity),
        }
    }

    /// What a sink was told of the incident.
    fn before(self, sink: &str) -> Before {
        match self {
            Audience::Open(incident, _) if incident.passed_on_to.contains(sink) => Before::PassedOn,
            Audience::Open(incident, _) if incident.told.contains(sink) => Before::Something,
            _ => Before::Nothing,
        }
    }
}

impl EventWriter<'_> {
    /// An event that the stage itself writes.
    pub fn event(&self, subject: Subject, what: Happening, audience: Audience<'_>) -> Event {
        let by = Writer {
            automatic: true,
            ..self.writer()
        };
        self.build_event(subject, by, what, audience)
    }

    /// An event that a person writes by this job.
    pub fn event_by_hand(
        &self,
        subject: Subject,
        what: Happening,
        audience: Audience<'_>,
    ) -> Event {
        self.build_event(subject, self.writer(), what, audience)
    }

    /// Where something is of which an environment is named, or none.
    pub fn place(&self, environment: Option<&str>) -> Place {
        let has_environments = !self.job.config.environments.is_empty();
        Place::of(self.section_of(environment), environment, has_environments)
    }

    /// The rules and the sinks of what happens in an environment: this command may name none, or another one.
    pub fn section_of(&self, environment: Option<&str>) -> &Incident {
        let own = environment.and_then(|name| self.job.config.incidents.get(name));
        own.unwrap_or(self.section)
    }

    fn build_event(
        &self,
        subject: Subject,
        by: Writer,
        what: Happening,
        audience: Audience<'_>,
    ) -> Event {
        let at = Timestamp::now();
        let heard = what.kind().map(|kind| FilterInput {
            kind,
            severity: audience.severity(),
            environment: subject.environment.as_deref(),
            ended_well: matches!(
                &what,
                Happening::DeploymentEnded {
                    conclusion: chronicle::Conclusion::Succeeded,
                    ..
                }
            ),
            corrects: matches!(
                &what,
                Happening::IncidentUpdated {
                    action: Some(_),
                    ..
                }
            ),
            before: Before::Nothing,
        });
        let sinks = self.section_of(subject.environment.as_deref()).sinks();
        let addressed = |(_, sink): (String, &dyn sections::incident::SinkConfig)| {
            let before = audience.before(sink.name());
            let heard = heard.map(|heard| FilterInput { before, ..heard });
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
        let limit = self.limit(WRITE_TIME, TO_WRITE, LAST_WRITTEN);
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

    /// Which lines of the log could not be read, as far as this job looked, where there are any.
    pub fn unread(&self, weight: Severity) -> Option<Outcome> {
        Some(unread_lines(&self.chronicle.unread())?.severity(weight))
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
        error @ chronicle::Error::Unwritable(_) => Failure::error(error).hint(hint),
    }
}

/// What telling the sinks came to.
#[derive(Debug)]
pub struct Delivery {
    pub told: Vec<SinkTally>,
    /// Why the log could not be used: no sink was told.
    pub trouble: Option<Failure>,
}

impl EventWriter<'_> {
    /// Tells the sinks what they have not heard, until `until`. What goes wrong is shown and changes no verdict.
    pub async fn deliver(&self, round: DeliveryMode, until: Instant) -> Delivery {
        let telling = self.job.with_recipients(async |recipients| {
            // Who asks is told of what waits for sinks that the configuration has no more.
            if recipients.is_empty() && round == DeliveryMode::BestEffort {
                return Ok(Vec::new());
            }
            let texts = Texts::load(&self.section.templates, Path::new(""));
            let courier = Courier {
                chronicle: &self.chronicle,
                recipients,
                locks: &self.locks,
                elsewhere: { self.job.config.incidents.iter() }
                    .flat_map(|(environment, section)| {
                        let sinks = section.sinks();
                        sinks.map(move |(_, sink)| (environment.as_str(), sink.name()))
                    })
                    .collect(),
                texts,
                holder: self.job.holder(),
                by: Writer {
                    automatic: true,
                    ..self.writer()
                },
                is_shared: self.is_shared,
                // One that cannot be used here is one all the same.
                can_go_back: !matches!(self.job.config.rollback(), Ok(None)),
                redactor: self.job.redactor.clone(),
            };
            courier.deliver(round, until).await.map_err(failed)
        });
        let told = tokio::time::timeout_at(until.into(), Box::pin(telling)).await;
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
        Instant::now()
            + self.limit(
                self.section.delivery_budget.get(),
                NOTICE_DEADLINE,
                LAST_TOLD,
            )
    }

    /// The same for telling that a run was cancelled which goes on.
    pub fn until_early(&self) -> Instant {
        self.until().min(Instant::now() + EARLY_TIME)
    }

    /// Shortens `time` after a signal: normally to `by`, and to `last` if `by` has passed.
    fn limit(&self, time: Duration, by: Duration, last: Duration) -> Duration {
        let interrupt = &self.job.interrupt;
        match (interrupt.time_left(by), interrupt.time_left(last)) {
            (Some(left), Some(last)) => time.min(left.max(LEAST_TIME.min(last))),
            _ => time,
        }
    }

    /// The same, while `asking` asks what a release served and writes it down: that is told last.
    pub async fn deliver_asking(
        &self,
        until: Instant,
        asking: impl AsyncFnOnce(Instant) -> Result<Option<Event>, Failure>,
    ) -> Vec<Outcome> {
        let asked_until = until.checked_sub(TO_TELL_EXPOSURE).unwrap_or(until);
        let asking = Box::pin(asking(asked_until));
        let (told, asked) = tokio::join!(self.deliver_in_passing(until), asking);
        let is_told = |event: &Event| !event.sinks.is_empty() && Instant::now() < until;
        match asked {
            Ok(event) if event.as_ref().is_some_and(is_told) => {
                self.deliver_in_passing(until).await
            }
            Ok(_) => told,
            Err(failure) => {
                let trouble = not_written(&self.chronicle.place(), &failure);
                told.into_iter().chain([trouble]).collect()
            }
        }
    }

    /// Tells the sinks beside what a stage does, and gives what belongs into its report.
    pub async fn deliver_in_passing(&self, until: Instant) -> Vec<Outcome> {
        let Delivery { told, trouble } = self.deliver(DeliveryMode::BestEffort, until).await;
        let trouble = trouble.map(|failure| not_written(&self.chronicle.place(), &failure));
        let told = told.iter().filter(|told| told.waiting + told.refused > 0);
        let told = told.map(|told| outcome(told).severity(Severity::Advisory));
        told.chain(trouble).collect()
    }
}

/// What became of a sink's deliveries.
pub fn outcome(told: &SinkTally) -> Outcome {
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
        None if told.elsewhere > 0 => "another process is delivering it".to_owned(),
        None => "there was no time for it".to_owned(),
    };
    let hint = told.hint.clone().unwrap_or_else(|| match told.not_before {
        Some(at) => format!("the sink requests a wait until {at:.0}; then `incident deliver`"),
        None => "`incident deliver` tries again".to_owned(),
    });
    outcome.reason(reason).hint(hint)
}

impl EventWriter<'_> {
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
        let mut proofs = proofs.await?;
        // Without a sink there is no one to read them.
        if !proofs.is_empty() {
            proofs.extend(unusable_texts(self.section));
        }
        Ok(proofs)
    }

    async fn prove(&self, recipient: &Recipient<'_>, until: Instant) -> Outcome {
        let kind = match recipient.proof() {
            Ok(Proof::Message(kind)) => kind,
            Ok(Proof::Permission(ask)) => return may_write(recipient, ask(until).await),
            Err(error) => return proof(recipient, Err(error), ""),
        };
        let at = Timestamp::now();
        let event = EventId::new(at);
        let subject = self.job.subject();
        let service = subject.service.unwrap_or_default();
        let test = Notice {
            id: event.to_string(),
            thread: format!("{service}/test/{event}"),
            kind,
            at,
            began: at,
            service,
            environment: subject.environment,
            release: subject.release,
            severity: None,
            worst: None,
            phase: Phase::Unknown,
            title: "a test of deploy-guard: nothing happened".to_owned(),
            body: format!("{} checks that this sink can be reached.", self.job.actor()),
            fields: Vec::new(),
            links: Vec::new(),
        };
        let taken = recipient
            .deliver(&test, PreviousDelivery::default(), until)
            .await;
        proof(recipient, taken, "it took the test message")
    }
}

/// What is wrong with the texts of a section, where something is.
pub fn unusable_texts(section: &Incident) -> Option<Outcome> {
    let texts = Texts::load(&section.templates, Path::new(""));
    let error = texts.and_then(|texts| texts.prove()).err()?;
    let outcome = Outcome::fail("sink-templates", "incident.templates");
    let outcome = outcome.expected("each text can be made");
    Some(outcome.reason(error.to_string()).hint(error.hint()))
}

/// Whether a sink takes messages that asks GitHub for it: no test message is written.
pub fn may_write(recipient: &Recipient<'_>, answer: Result<Delivered, DeliveryError>) -> Outcome {
    let proven = "the token may write there; no test message was written, because it would stay";
    proof(recipient, answer, proven)
}

fn proof(
    recipient: &Recipient<'_>,
    answer: Result<Delivered, DeliveryError>,
    proven: &str,
) -> Outcome {
    let outcome = |verdict| {
        Outcome::new(format!("sink/{}", recipient.name), recipient.name, verdict)
            .expected("it takes messages")
    };
    let Err(error) = answer else {
        return outcome(Verdict::Pass).actual(proven);
    };
    let verdict = match &error.why {
        DeliveryFailure::Refused { .. } => Verdict::Fail,
        DeliveryFailure::Later { .. } | DeliveryFailure::Unsure { .. } => Verdict::Error,
    };
    let hint = error
        .hint()
        .unwrap_or("see whether the service is up, then try again");
    outcome(verdict).reason(error.to_string()).hint(hint)
}

/// How long a proof may take.
const PROOF_TIME: Duration = Duration::from_secs(10);
