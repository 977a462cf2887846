//! What every subcommand needs: the log, and the report that it ends with.

use chronicle::{Event, Happening, History, Incident, IncidentId, ReadScope, incidents};
use cli::scribe::{failed, not_written};
use cli::{EventWriter, Failure, Job};
use jiff::Timestamp;
use model::{Outcome, Report, Severity, StageName};

pub(crate) use cli::scribe::ExposureQuery;

/// A job with its `incident:` section.
pub(crate) struct Session<'a> {
    pub(crate) job: &'a Job,
    pub(crate) scribe: EventWriter<'a>,
    pub(crate) started_at: Timestamp,
}

/// The open incident that this command means.
///
/// # Errors
/// Returns a usage error where those of several environments are open, and this command names none.
pub(crate) fn open_one(job: &Job, history: &History) -> Result<Option<Incident>, Failure> {
    let open = chronicle::open(history, job.environment.as_deref());
    open.map_err(|several| Failure::usage(several).hint(NAME_ONE))
}

impl<'a> Session<'a> {
    /// # Errors
    /// Returns a usage error without the section.
    pub(crate) fn open(job: &'a Job) -> Result<Self, Failure> {
        let scribe = job.scribe()?.ok_or_else(|| {
            Failure::usage("no incident log is configured")
                .hint("add `incident: {}` to the configuration; sinks such as `slack:` go below it")
        })?;
        Ok(Session {
            job,
            scribe,
            started_at: Timestamp::now(),
        })
    }

    /// Appends the events that `decide` makes of what happened: an incident may be open for longer than the newest
    /// events tell.
    pub(crate) async fn append(
        &self,
        mut decide: impl FnMut(&History) -> Result<Vec<Event>, Failure>,
    ) -> Result<Vec<Event>, Failure> {
        let decide = |history: &History| decide(history).map_err(AppendError::Decided);
        match self.scribe.chronicle.append(ReadScope::Full, decide).await {
            Ok(events) => Ok(events),
            Err(AppendError::Log(error)) => Err(failed(error)),
            Err(AppendError::Decided(failure)) => Err(failure),
        }
    }

    /// Writes down what the bad release of an incident served, where that can be told now and is not told already.
    /// Gives what belongs into the report: why it is not known, or could not be written down.
    pub(crate) async fn measure(&self, id: &IncidentId, ask: ExposureQuery) -> Option<Outcome> {
        let asked = self.ask_exposure(id, ask).await;
        self.of_exposure(asked, id)
    }

    fn of_exposure(
        &self,
        asked: Result<Option<Event>, Failure>,
        id: &IncidentId,
    ) -> Option<Outcome> {
        match asked {
            Ok(event) => unknown_exposure(&event?, id),
            Err(failure) => Some(not_written(&self.scribe.chronicle.place(), &failure)),
        }
    }

    async fn ask_exposure(
        &self,
        id: &IncidentId,
        ask: ExposureQuery,
    ) -> Result<Option<Event>, Failure> {
        // It may be open for longer than the newest events tell.
        let history = self.scribe.history().await?;
        let all = incidents(&history);
        match all.iter().find(|one| one.id == *id) {
            Some(incident) => self.scribe.exposure_of(&history, incident, ask).await,
            None => Ok(None),
        }
    }
    /// The report, with what became of telling the sinks: that changes no verdict.
    pub(crate) async fn deliver_with(&self, mut report: Report) -> Report {
        report
            .outcomes
            .extend(self.scribe.deliver_in_passing(self.scribe.until()).await);
        report
    }

    /// The same, and what the bad release of the incident served: asked when people know, who are told of it then.
    pub(crate) async fn told_and_measured(
        &self,
        mut report: Report,
        id: &IncidentId,
        ask: ExposureQuery,
    ) -> Report {
        let told = self.scribe.deliver_in_passing(self.scribe.until()).await;
        let asked = self.ask_exposure(id, ask).await;
        let told = match &asked {
            Ok(Some(event)) if !event.sinks.is_empty() => {
                self.scribe.deliver_in_passing(self.scribe.until()).await
            }
            _ => told,
        };
        report.outcomes.extend(self.of_exposure(asked, id));
        report.outcomes.extend(told);
        report
    }

    /// A report to which the lines of the log that could not be read are a warning.
    pub(crate) fn report(&self, outcomes: Vec<Outcome>) -> Report {
        self.weighing(Severity::Advisory, outcomes)
    }

    /// One that cannot be true without them: it tells that there is nothing, and they may tell of something.
    pub(crate) fn report_of_whole(&self, outcomes: Vec<Outcome>) -> Report {
        self.weighing(Severity::Required, outcomes)
    }

    fn weighing(&self, weight: Severity, mut outcomes: Vec<Outcome>) -> Report {
        outcomes.extend(self.scribe.unread(weight));
        let stage = StageName::Incident.as_str();
        let mut report = Report::from_outcomes(stage, self.started_at, outcomes);
        report.unread_lines = self.scribe.chronicle.unread();
        report
    }
}

/// What belongs into a report where it is not known what a release served.
fn unknown_exposure(event: &Event, id: &IncidentId) -> Option<Outcome> {
    let Happening::ExposureMeasured {
        exposure: None,
        unknown: Some(why),
    } = &event.what
    else {
        return None;
    };
    let outcome = Outcome::inconclusive("incident/exposure", id.as_str());
    let outcome = outcome.severity(Severity::Advisory);
    let outcome = outcome.expected("the requests that the bad release served");
    let hint = "the report shows that it is not known; see `incident.exposure`";
    Some(outcome.reason(why.clone()).hint(hint))
}

/// What a command does that must name an environment.
pub(crate) const NAME_ONE: &str = "name the environment: `--environment NAME`";

/// Why nothing was appended.
enum AppendError {
    Log(chronicle::Error),
    Decided(Failure),
}

impl From<chronicle::Error> for AppendError {
    fn from(error: chronicle::Error) -> AppendError {
        AppendError::Log(error)
    }
}
