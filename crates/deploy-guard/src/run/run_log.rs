//! What a run writes into the log of events, where `incident:` is configured: its start and its end, each stage,
//! and the incident that a bad release is.

use std::cell::{Cell, OnceCell, RefCell};
use std::time::{Duration, Instant};

use chronicle::{
    Conclusion, Event, Exposure, Happening, History, Hosts, Incident, IncidentId, ReadScope,
    RolledBack, Situation, Subject, classify, eta, incidents,
};
use cli::scribe::{Audience, Measured, failed, not_written};
use cli::{EventWriter, Failure, Job};
use courier::DeliveryMode;
use exposure::ExposureWindow;
use jiff::Timestamp;
use model::incident::UnreadLine;
use model::report::v1::millis;
use model::{Outcome, Report, Severity as Weight, StageName, Verdict};
use remote::local::Script;
use sections::incident::Impact;

/// How long the time of a commit may be asked for.
const GIT_TIME: Duration = Duration::from_secs(2);

/// The log of one run. Without `incident:` nothing is written.
pub(super) struct RunLog<'a> {
    scribe: Option<EventWriter<'a>>,
    subject: Subject,
    started_at: Timestamp,
    notes: RefCell<Notes>,
    until: OnceCell<Instant>,
    /// What was deployed before this run, good or not.
    before: Option<String>,
    /// Whether users may have got something of this release.
    is_touched: Cell<bool>,
    /// What goes on for a while after a signal, and what is to be done where it is not finished.
    going_on: Cell<Option<&'static str>>,
    /// Whether its end is written. That it was cancelled while something went on comes before that, or not at all.
    end: tokio::sync::Mutex<Written>,
}

/// Whether the end of a run is in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Written {
    #[default]
    NotYet,
    Written,
}

/// What is known where a rollback did not put a release back.
struct Setback {
    text: String,
    /// What is done now.
    action: &'static str,
}

/// How a run ends, and which release serves then, as far as it was proved.
pub(super) struct Ending {
    conclusion: Conclusion,
    serving: Option<String>,
}

impl Ending {
    fn unproved(conclusion: Conclusion) -> Ending {
        Ending {
            conclusion,
            serving: None,
        }
    }

    /// Nothing was deployed.
    pub(super) fn refused() -> Ending {
        Ending::unproved(Conclusion::Refused)
    }

    pub(super) fn failed() -> Ending {
        Ending::unproved(Conclusion::Failed)
    }

    pub(super) fn undecided() -> Ending {
        Ending::unproved(Conclusion::Undecided)
    }

    /// By a signal; `serving` is what is known to serve all the same.
    pub(super) fn cancelled(serving: Option<String>) -> Ending {
        Ending {
            conclusion: Conclusion::Cancelled,
            serving,
        }
    }

    pub(super) fn succeeded(release: &str) -> Ending {
        Ending {
            conclusion: Conclusion::Succeeded,
            serving: Some(release.to_owned()),
        }
    }

    pub(super) fn rolled_back(serving: Option<String>) -> Ending {
        Ending {
            conclusion: Conclusion::RolledBack,
            serving,
        }
    }
}

/// A release of which it is asked what it served.
struct LeftRelease {
    stay: ExposureWindow,
    /// What it served is only a figure, of which no one is told.
    is_good: bool,
}

/// What was noted until now.
#[derive(Default)]
struct Notes {
    /// Events that are not written yet.
    waiting: Vec<Event>,
    /// The incident that this run opened, or found open.
    incident: Option<IncidentId>,
    /// The first stage that did not pass, and when that was seen.
    failed: Option<(String, Timestamp)>,
    rollback: Option<RolledBack>,
    setback: Option<Setback>,
    ended: Option<Ending>,
    /// The release at the end, where users may have got it.
    left: Option<LeftRelease>,
    /// Why it is not known what it served.
    unknown: Option<Outcome>,
    /// Why the log could not be written.
    trouble: Option<Outcome>,
}

impl<'a> RunLog<'a> {
    /// Writes down that the deployment started. A dry run writes nothing.
    pub(super) async fn start(job: &'a Job, release: &str, started_at: Timestamp) -> RunLog<'a> {
        let mut notes = Notes::default();
        let scribe = job.scribe().unwrap_or_else(|failure| {
            notes.trouble = Some(not_written("incident", &failure));
            None
        });
        let scribe = scribe.filter(|_| !job.dry_run);
        let mut subject = job.subject();
        let mut before = None;
        if let Some(scribe) = &scribe {
            // One that cannot be read ends the run where it is needed.
            let document = scribe.document().await.ok().flatten();
            before = document.as_ref().and_then(|it| it.current.clone());
            let happening = Happening::DeploymentStarted {
                previous: document.and_then(|document| document.last_known_good),
                committed_at: committed(job, release).await,
            };
            let mut event = scribe.event(subject.clone(), happening, Audience::None);
            // On a laptop no run names the deployment: its first event does, with the release as that event has it, redacted.
            let release = event.subject.release.as_deref().unwrap_or_default();
            let deployment = &mut event.subject.deployment;
            deployment.get_or_insert_with(|| format!("{release}#{}", event.id));
            subject.deployment.clone_from(deployment);
            event.at = started_at;
            notes.waiting.push(event);
        }
        let book = RunLog {
            scribe,
            subject,
            started_at,
            notes: RefCell::new(notes),
            until: OnceCell::new(),
            before,
            is_touched: Cell::new(false),
            going_on: Cell::new(None),
            end: tokio::sync::Mutex::default(),
        };
        book.flush().await;
        book
    }

    /// Notes that from now on users may get something of the release.
    pub(super) fn touch(&self) {
        self.is_touched.set(true);
    }

    /// Whether users may have got something of the release.
    pub(super) fn is_touched(&self) -> bool {
        self.is_touched.get()
    }

    /// Notes what begins now and is not left half-way by a signal.
    pub(super) fn goes_on(&self, what: &'static str) {
        self.going_on.set(Some(what));
    }

    /// Cancelled here: as long as nothing was deployed, what served before serves on.
    pub(super) fn cancelled(&self) -> Ending {
        let before = self.before.clone();
        Ending::cancelled(before.filter(|_| !self.is_touched()))
    }

    /// Tells the sinks that the deployment started. What a run that ends first cuts off is told at its end.
    pub(super) async fn notify_start(&self) {
        if let Some(scribe) = &self.scribe {
            scribe
                .deliver(DeliveryMode::BestEffort, scribe.until())
                .await;
        }
    }

    /// Writes and tells that the run was cancelled, while what it began goes on: where it is killed before its end, this
    /// is its end, and else its end comes after it.
    pub(super) async fn notify_cancelled(&self) {
        let Some(scribe) = &self.scribe else { return };
        let release = self.subject.release.as_deref().unwrap_or("the release");
        let left = if self.is_touched() {
            format!("{release} may be live")
        } else {
            "nothing was deployed".to_owned()
        };
        let going_on = self.going_on.get();
        let reason = going_on.map_or(left.clone(), |what| format!("{left}; {what}"));
        let cancelled = self.end(scribe, self.cancelled(), &reason, Timestamp::now(), None);
        {
            let end = self.end.lock().await;
            if *end == Written::Written {
                return;
            }
            // Its end is written down in any case, and what is wrong is told then.
            let _ = scribe.write(&[cancelled]).await;
        }
        scribe
            .deliver(DeliveryMode::BestEffort, scribe.until_early())
            .await;
    }

    /// By when the sinks must have been told of the end, counted from the first time that this is asked.
    pub(super) fn until(&self) -> Option<Instant> {
        let scribe = self.scribe.as_ref()?;
        Some(*self.until.get_or_init(|| scribe.until()))
    }

    /// Notes the end of a phase, by its name: recording a release is done by `rollback`, and is not a rollback.
    pub(super) fn stage(&self, phase: StageName, report: &Report) {
        self.going_on.set(None);
        let Some(scribe) = &self.scribe else { return };
        let happening = scribe.stage_ended(phase.as_str(), report);
        let event = scribe.event(self.subject.clone(), happening, Audience::None);
        let mut notes = self.notes.borrow_mut();
        if phase == StageName::Rollback {
            notes.rollback = Some(RolledBack {
                started_at: report.started_at,
                duration_ms: millis(report.duration),
                verdict: report.verdict,
            });
        } else if report.verdict > Verdict::Pass && notes.failed.is_none() {
            notes.failed = Some((phase.to_string(), first_failure(report)));
        }
        notes.waiting.push(event);
    }

    /// Notes that a phase without a report did not work.
    pub(super) fn failed(&self, phase: &str) {
        let now = Timestamp::now();
        let mut notes = self.notes.borrow_mut();
        notes.failed.get_or_insert_with(|| (phase.to_owned(), now));
    }

    /// Notes that a rollback ended with this verdict: who knows of the incident is told where it put no release back.
    pub(super) fn went_back(&self, verdict: Verdict, text: String) {
        let Some(scribe) = &self.scribe else { return };
        let action = scribe.not_put_back(verdict);
        self.notes.borrow_mut().setback = action.map(|action| Setback { text, action });
    }

    /// Notes how the deployment ends.
    pub(super) fn conclude(&self, ending: Ending) {
        self.notes.borrow_mut().ended = Some(ending);
    }

    /// Writes what was noted. What goes wrong with that is told in the report and changes nothing.
    pub(super) async fn flush(&self) {
        let Some(scribe) = &self.scribe else { return };
        let waiting = std::mem::take(&mut self.notes.borrow_mut().waiting);
        if waiting.is_empty() {
            return;
        }
        if let Err(failure) = scribe.write(&waiting).await {
            let mut notes = self.notes.borrow_mut();
            notes.trouble = Some(not_written(&scribe.chronicle.place(), &failure));
            // The next attempt writes them, too.
            notes.waiting.splice(0..0, waiting);
        }
    }

    /// Opens an incident: users have, or may have, a bad release. Where one is open, this is its update.
    pub(super) async fn open(&self, text: &str, impact: Impact, action: Option<&str>) {
        let Some(scribe) = &self.scribe else { return };
        let document = scribe.document().await.ok().flatten();
        let of_state = document.as_ref().and_then(|it| it.environment.as_deref());
        let stage = self.notes.borrow().failed.clone().map(|(stage, _)| stage);
        let opened = |history: &History| {
            let waiting = self.notes.borrow().waiting.clone();
            let newest = waiting.iter().rev().chain(history.events().rev());
            let hosts = hosts_of(newest, self.subject.deployment.as_deref());
            let mut events = waiting;
            if let Some(incident) = scribe.open_here(history, of_state) {
                // What sinks show of it goes on where it was opened.
                let subject = Subject {
                    release: self.subject.release.clone(),
                    ..incident.subject.clone()
                };
                let is_worse = incident.is_worse(Some(impact), None);
                let has_more = incident.is_worse(None, hosts);
                let happening = Happening::IncidentUpdated {
                    text: text.to_owned(),
                    phase: None,
                    impact: is_worse.then_some(impact),
                    hosts: hosts.filter(|_| has_more),
                    action: action
                        .filter(|action| incident.action.as_deref() != Some(action))
                        .map(str::to_owned),
                };
                events.push(scribe.event(subject, happening, Audience::of(&incident)));
            } else {
                let situation = Situation {
                    place: scribe.place(self.subject.environment.as_deref()),
                    impact,
                    lasted: Duration::ZERO,
                    hosts,
                };
                let judged = classify(&situation, &scribe.section.severity);
                let eta = eta(history, document.as_ref());
                let happening = Happening::IncidentOpened {
                    severity: judged.severity,
                    why: judged.why,
                    by_hand: false,
                    text: text.to_owned(),
                    impact,
                    hosts,
                    failed_stage: stage.clone(),
                    action: action.map(str::to_owned),
                    eta_ms: eta.map(|eta| eta.takes_ms),
                    eta_by: eta.and_then(|eta| eta.by),
                };
                let subject = Subject {
                    apart: has_had_one(history, self.subject.deployment.as_deref()),
                    ..self.subject.clone()
                };
                let mut event = scribe.event(subject, happening, Audience::New(judged.severity));
                event.subject.incident = Some(IncidentId::of(&event.id));
                events.push(event);
            }
            events.extend(scribe.due(history, &events));
            Ok(events)
        };
        if let Some(events) = self.append(scribe, opened).await {
            let is_own = |event: &&Event| {
                let what = &event.what;
                let is_opening = matches!(what, Happening::IncidentOpened { .. });
                is_opening || matches!(what, Happening::IncidentUpdated { .. })
            };
            let told = events.iter().rev().find(is_own);
            let id = told.and_then(|event| event.subject.incident.clone());
            self.notes.borrow_mut().incident = id;
        }
    }

    /// Appends the events that `decide` makes of everything that happened, because an incident may be open for long; the
    /// ones that wait are first among them, and are written alone where that does not work. What goes wrong is told in
    /// the report and changes nothing.
    async fn append(
        &self,
        scribe: &EventWriter<'_>,
        decide: impl FnMut(&History) -> Result<Vec<Event>, chronicle::Error>,
    ) -> Option<Vec<Event>> {
        let appended = scribe.in_time(scribe.chronicle.append(ReadScope::Full, decide));
        let appended = appended.await.and_then(|events| events.map_err(failed));
        match appended {
            Ok(events) => {
                self.notes.borrow_mut().waiting.clear();
                Some(events)
            }
            Err(failure) => {
                self.flush().await;
                let trouble = not_written(&scribe.chronicle.place(), &failure);
                self.notes.borrow_mut().trouble = Some(trouble);
                None
            }
        }
    }

    /// Writes down the end, and that the incident is over where it is: before anyone is told, because a sink may keep us
    /// waiting, and we may be killed meanwhile.
    pub(super) async fn write_end(&self, job: &Job, ended: &Result<Report, Failure>) {
        let ended_at = Timestamp::now();
        let Some(scribe) = &self.scribe else { return };
        let mut end = self.end.lock().await;
        *end = Written::Written;
        let reason = match ended {
            Ok(report) => report.reason.clone(),
            Err(failure) => failure.chain(),
        };
        let ending = self.ending(job);
        let conclusion = ending.conclusion;
        let serving = ending.serving.clone();
        let is_good = conclusion == Conclusion::Succeeded;
        let stay = self.is_touched().then(|| self.stay(conclusion, ended_at));
        let counted = match &stay {
            Some(stay) => self.counted(scribe, stay).await,
            None => None,
        };
        let event = self.end(scribe, ending, &reason, ended_at, counted);
        let setback = {
            let mut notes = self.notes.borrow_mut();
            notes.waiting.push(event);
            notes.left = stay.map(|stay| LeftRelease { stay, is_good });
            notes.setback.take()
        };
        match (conclusion, serving) {
            (Conclusion::Succeeded | Conclusion::RolledBack, Some(serving)) => {
                self.resolve(scribe, &serving, is_good, &reason).await;
            }
            _ => match setback {
                Some(setback) => {
                    let is_cancelled = conclusion == Conclusion::Cancelled;
                    self.correct(scribe, &setback, is_cancelled).await;
                }
                // Where time is short, the end alone must be on disk.
                None if scribe.is_timed() && job.interrupt.caught().is_none() => {
                    self.append(scribe, |history| {
                        let mut events = self.notes.borrow().waiting.clone();
                        events.extend(scribe.due(history, &events));
                        Ok(events)
                    })
                    .await;
                }
                None => self.flush().await,
            },
        }
    }

    /// Tells the sinks of the end, which is written, and asks meanwhile what the release served. Gives what belongs into
    /// the report.
    pub(super) async fn notify_end(&self) -> Vec<Outcome> {
        let told = match (&self.scribe, self.until()) {
            (Some(scribe), Some(until)) => {
                let asking = async |until| self.ask_exposure(scribe, until).await;
                scribe.deliver_asking(until, asking).await
            }
            _ => Vec::new(),
        };
        let mut notes = self.notes.borrow_mut();
        let outcomes = notes.unknown.take().into_iter().chain(notes.trouble.take());
        let unread = self.scribe.as_ref();
        let unread = unread.and_then(|scribe| scribe.unread(Weight::Advisory));
        outcomes.chain(told).chain(unread).collect()
    }

    /// The lines of the log that could not be read.
    pub(super) fn unread(&self) -> Vec<UnreadLine> {
        let scribe = self.scribe.as_ref();
        scribe.map_or_else(Vec::new, |scribe| scribe.chronicle.unread())
    }

    /// Corrects what people were told of the incident of this run: its rollback put no release back.
    async fn correct(&self, scribe: &EventWriter<'_>, setback: &Setback, is_cancelled: bool) {
        let own = self.notes.borrow().incident.clone();
        let corrected = |history: &History| {
            let mut events = self.notes.borrow().waiting.clone();
            let newest = events.iter().rev().chain(history.events().rev());
            let hosts = hosts_of(newest, self.subject.deployment.as_deref());
            if let Some(incident) = open_one(history, own.as_ref()) {
                let Setback { text, action } = setback;
                let correction = scribe.correction(&incident, text, action, hosts);
                // What came last is what a message shows: that it was cancelled.
                let at = events.len() - usize::from(is_cancelled && !events.is_empty());
                events.insert(at, correction);
            }
            events.extend(scribe.due(history, &events));
            Ok(events)
        };
        self.append(scribe, corrected).await;
    }

    /// The end of the deployment, as an event.
    fn end(
        &self,
        scribe: &EventWriter<'_>,
        ending: Ending,
        reason: &str,
        at: Timestamp,
        exposure: Option<Exposure>,
    ) -> Event {
        let Ending {
            conclusion,
            serving,
        } = ending;
        let notes = self.notes.borrow();
        let (failed_stage, failed_at) = notes.failed.clone().unzip();
        let is_good = conclusion == Conclusion::Succeeded;
        let took = at.duration_since(self.started_at);
        let happening = Happening::DeploymentEnded {
            conclusion,
            reason: reason.to_owned(),
            started_at: self.started_at,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or_default(),
            failed_stage: failed_stage.filter(|_| !is_good),
            failed_at: failed_at.filter(|_| !is_good),
            serving,
            rollback: notes.rollback,
            exposure,
        };
        let mut end = scribe.event(self.subject.clone(), happening, Audience::None);
        end.at = at;
        end
    }

    /// When users had the release.
    fn stay(&self, conclusion: Conclusion, until: Timestamp) -> ExposureWindow {
        let release = self.subject.release.clone().unwrap_or_default();
        ExposureWindow {
            fresh: self
                .before
                .as_ref()
                .is_some_and(|before| *before != release),
            gone: conclusion == Conclusion::RolledBack,
            deployment: self.subject.deployment.clone(),
            from: self.started_at,
            until,
            release,
        }
    }

    /// What the stages of this run counted.
    async fn counted(&self, scribe: &EventWriter<'_>, stay: &ExposureWindow) -> Option<Exposure> {
        // Some of it may wait to be written still.
        let waiting = History::of(self.notes.borrow().waiting.clone());
        let written = scribe.in_time(scribe.chronicle.recent()).await;
        let written = written.ok().and_then(Result::ok).unwrap_or_default();
        exposure::of_gate(&written.with(waiting), stay)
    }

    /// Asks what the release served, and writes the answer down.
    async fn ask_exposure(
        &self,
        scribe: &EventWriter<'_>,
        until: Instant,
    ) -> Result<Option<Event>, Failure> {
        let Some(LeftRelease { stay, is_good }) = self.notes.borrow_mut().left.take() else {
            return Ok(None);
        };
        let history = scribe.chronicle.recent().await.map_err(failed)?;
        match scribe.measure(&history, &stay, until).await {
            Measured::Known(exposure) => {
                let incident = self.notes.borrow().incident.clone();
                let subject = Subject {
                    incident,
                    ..self.subject.clone()
                };
                let answer = (Some(exposure), None);
                scribe
                    .write_exposure(&stay, subject, answer, !is_good)
                    .await
            }
            Measured::Unknown(outcome) => {
                self.notes.borrow_mut().unknown = Some(*outcome).filter(|_| !is_good);
                Ok(None)
            }
            Measured::NotAsked => Ok(None),
        }
    }

    /// The end as it was noted; else what follows from how far it was.
    fn ending(&self, job: &Job) -> Ending {
        if let Some(ended) = self.notes.borrow_mut().ended.take() {
            return ended;
        }
        match job.interrupt.caught() {
            Some(_) => self.cancelled(),
            None => Ending::undecided(),
        }
    }

    /// Ends the incident that this run opened; and one that an earlier run opened, where a release is proved good.
    async fn resolve(&self, scribe: &EventWriter<'_>, serving: &str, is_good: bool, reason: &str) {
        let own = self.notes.borrow().incident.clone();
        let of_state = scribe.in_time(scribe.environment_of_state()).await;
        let of_state = of_state.ok().flatten();
        let resolved = |history: &History| {
            let mut events = self.notes.borrow().waiting.clone();
            let incident = open_one(history, own.as_ref()).or_else(|| {
                let open_here = scribe.open_here(history, of_state.as_deref());
                open_here.filter(|_| is_good)
            });
            if let Some(incident) = incident.filter(|one| scribe.is_of_run(one)) {
                let happening = Happening::IncidentResolved {
                    text: reason.to_owned(),
                    serving: Some(serving.to_owned()),
                    fix: None,
                    redeployment: None,
                };
                let audience = Audience::of(&incident);
                events.push(scribe.event(incident.subject.clone(), happening, audience));
            }
            events.extend(scribe.due(history, &events));
            Ok(events)
        };
        self.append(scribe, resolved).await;
    }
}

/// The incident of this id, where it is open still.
fn open_one(history: &History, id: Option<&IncidentId>) -> Option<Incident> {
    let mut all = incidents(history).into_iter();
    all.find(|one| one.is_open() && Some(&one.id) == id)
}

/// Whether an incident of the deployment was opened before, such as by a run that was started again.
fn has_had_one(history: &History, deployment: Option<&str>) -> bool {
    let mut events = history.events();
    events.any(|event| {
        matches!(event.what, Happening::IncidentOpened { .. })
            && event.subject.deployment.as_deref() == deployment
    })
}

/// How many of the hosts were affected when a stage of this deployment looked last.
fn hosts_of<'a>(
    newest: impl Iterator<Item = &'a Event>,
    deployment: Option<&str>,
) -> Option<Hosts> {
    let mut stages = newest.filter_map(|event| {
        let is_own = event.subject.deployment.as_deref() == deployment;
        match event.what {
            Happening::StageEnded { hosts, .. } if is_own => hosts,
            _ => None,
        }
    });
    stages.next()
}

/// What users get, as the gate saw it: nothing where every required probe failed.
pub(super) fn impact(gate: &Report) -> Impact {
    let required = gate.outcomes.iter();
    let mut required = required
        .filter(|outcome| {
            outcome.severity == Weight::Required && outcome.verdict > Verdict::Skipped
        })
        .peekable();
    if required.peek().is_none() || gate.verdict != Verdict::Fail {
        return Impact::Unknown;
    }
    if required.all(|outcome| outcome.verdict == Verdict::Fail) {
        Impact::Down
    } else {
        Impact::Degraded
    }
}

/// When the first evidence against the release was seen.
fn first_failure(report: &Report) -> Timestamp {
    let bad = report.outcomes.iter();
    let bad = bad.filter(|outcome| outcome.weighs() > Verdict::Pass);
    let measured = bad.flat_map(|outcome| &outcome.measurements);
    let failed = measured.filter(|one| one.verdict > Verdict::Pass);
    let first = failed.map(|one| one.at).min();
    first.unwrap_or_else(|| {
        let ended = report.started_at.checked_add(report.duration);
        ended.unwrap_or(report.started_at)
    })
}

/// When the release's commit was made: of the run's commit, or of the tag that has the release's name.
async fn committed(job: &Job, release: &str) -> Option<Timestamp> {
    let commit = job.actions.sha.as_deref().unwrap_or(release);
    let script = Script {
        text: "git log -1 --format=%cI \"$COMMIT\" --",
        env: vec![("COMMIT".to_owned(), commit.to_owned())],
        timeout: GIT_TIME,
    };
    let ran = remote::local::run(&script, &mut |_, _| {}).await.ok()?;
    ran.stdout.trim().parse().ok()
}
