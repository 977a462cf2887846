//! An event in the words of a notice: a pure function of the log up to that event, so that each attempt has the
//! same words.

use chronicle::{
    Conclusion, Deployment, Event, Evidence, Happening, History, Incident, Phase as IncidentPhase,
    deployments, incidents, lasted, serving,
};
use jiff::Timestamp;
use model::text::cut;
use model::{StageName, Verdict};
use notify::{Facts, Link, Notice, Phase, TemplateError, Texts};
use sections::incident::{EventKind, Impact};

/// A title is one line of this many characters.
const MAX_TITLE_CHARS: usize = 140;

/// The notice of an event; `None` for one that is no sink's business. `can_go_back`: whether a rollback is configured.
///
/// # Errors
/// Returns why a template of the configuration could not be used.
pub fn notice(
    history: &History,
    event: &Event,
    texts: &Texts,
    can_go_back: bool,
) -> Result<Option<Notice>, TemplateError> {
    let Some(kind) = event.what.kind() else {
        return Ok(None);
    };
    let past = History::of(
        history
            .events()
            .take_while(|one| one.id != event.id)
            .chain([event])
            .cloned()
            .collect(),
    );
    let past = past.of_owner(&event.subject.owner());
    let incident = event.subject.incident.as_ref().and_then(|id| {
        let all = incidents(&past);
        all.into_iter().find(|one| one.id == *id)
    });
    let deployment = event.subject.deployment.as_ref().and_then(|id| {
        let all = deployments(&past);
        all.into_iter().rev().find(|one| one.id == *id)
    });
    let known = EventFacts {
        event,
        serving: serving(&past),
        incident: incident.as_ref(),
        deployment: deployment.as_ref(),
        can_go_back,
    };
    let facts = known.facts();
    let body = match kind {
        EventKind::IncidentOpened => texts.initial_alert(&facts)?,
        EventKind::IncidentUpdated | EventKind::SeverityChanged | EventKind::Escalated => {
            texts.update(&facts)?
        }
        EventKind::IncidentResolved => texts.resolution(&facts)?,
        EventKind::Note
        | EventKind::DeploymentStarted
        | EventKind::StageEnded
        | EventKind::DeploymentEnded
        | EventKind::ExposureMeasured => event.sentence(),
    };
    let severity = incident.as_ref().map(|incident| incident.severity);
    let links = event.evidence.iter().filter_map(|one| match one {
        Evidence::Url(url) => Some(Link {
            label: "run".to_owned(),
            url: url.clone(),
        }),
        Evidence::Report(_) | Evidence::Journal(_) => None,
    });
    Ok(Some(Notice {
        id: event.id.to_string(),
        thread: event.thread(),
        kind,
        at: event.at,
        began: began(&past, event),
        service: event.subject.service.clone().unwrap_or_default(),
        environment: event.subject.environment.clone(),
        release: event.subject.release.clone(),
        severity,
        worst: incident.as_ref().map(|incident| incident.worst),
        phase: known.phase(),
        title: known.title(),
        body,
        fields: known.fields(),
        links: links.collect(),
    }))
}

/// An event, and what was known when it was written.
struct EventFacts<'a> {
    event: &'a Event,
    /// The release that serves, as far as it was proved.
    serving: Option<&'a str>,
    incident: Option<&'a Incident>,
    deployment: Option<&'a Deployment>,
    /// A rollback is configured.
    can_go_back: bool,
}

impl EventFacts<'_> {
    fn phase(&self) -> Phase {
        if let Happening::DeploymentStarted { .. } = &self.event.what {
            return Phase::Deploying;
        }
        if let Happening::DeploymentEnded { conclusion, .. } = &self.event.what {
            return ended(*conclusion);
        }
        if let Some(phase) = self.after_stage() {
            return phase;
        }
        match self.incident.map(|incident| incident.phase) {
            Some(IncidentPhase::Investigating) => Phase::Investigating,
            Some(IncidentPhase::Identified) => Phase::Identified,
            Some(IncidentPhase::Monitoring) => Phase::Monitoring,
            Some(IncidentPhase::Resolved) => Phase::Resolved,
            None => match self.deployment {
                Some(deployment) => deployment.conclusion.map_or(Phase::Deploying, ended),
                None => Phase::Unknown,
            },
        }
    }

    /// How far a deployment is after one of its stages, where no run writes down its start and its end: each stage is a
    /// step of its own, or came after the run.
    fn after_stage(&self) -> Option<Phase> {
        let Happening::StageEnded {
            stage,
            verdict,
            restored,
            cancelled,
            ..
        } = &self.event.what
        else {
            return None;
        };
        let of_run = self.deployment.map(|one| one.conclusion.map(ended));
        match (of_run, restored) {
            (Some(None), _) => Some(Phase::Deploying),
            (_, Some(_)) => Some(Phase::RolledBack),
            (Some(ended), None) => ended,
            (None, None) if *cancelled => Some(Phase::Cancelled),
            (None, None) => Some(match (StageName::of(stage), verdict) {
                (Some(StageName::Healthgate | StageName::Record), Verdict::Pass) => Phase::Deployed,
                (_, Verdict::Pass) => Phase::Deploying,
                (
                    Some(StageName::Preflight | StageName::RunnerCheck),
                    Verdict::Fail | Verdict::Refused,
                ) => Phase::Refused,
                (_, Verdict::Fail | Verdict::Partial) => Phase::Failed,
                _ => Phase::Unknown,
            }),
        }
    }

    fn title(&self) -> String {
        let text = self.event.sentence();
        let line = text.lines().next().unwrap_or_default();
        match &self.event.subject.service {
            Some(service) => cut(&format!("{service}: {line}"), MAX_TITLE_CHARS),
            None => cut(line, MAX_TITLE_CHARS),
        }
    }

    fn fields(&self) -> Vec<(String, String)> {
        let incident = self.incident.map(|one| ("Incident", one.id.to_string()));
        let stage = self.failed_stage().map(|stage| ("Failed stage", stage));
        let exposure = self.deployment.and_then(|one| one.exposure.as_ref());
        let is_bad = |one: &&Deployment| one.conclusion != Some(Conclusion::Succeeded);
        let exposure = exposure.filter(|_| self.deployment.as_ref().is_some_and(is_bad));
        let exposure = exposure.map(|exposure| ("Served by the bad release", exposure.to_string()));
        let by = ("By", self.event.by.actor.clone());
        let all = incident.into_iter().chain(stage).chain(exposure);
        all.chain([by])
            .map(|(label, value)| (label.to_owned(), value))
            .collect()
    }

    fn failed_stage(&self) -> Option<String> {
        let of_incident = self.incident.and_then(|one| one.failed_stage.clone());
        of_incident.or_else(|| self.deployment?.failed_stage.clone())
    }

    fn facts(&self) -> Facts {
        let incident = self.incident;
        let deployment = self.deployment;
        let started = incident.map(|one| one.opened);
        let resolution = incident.and_then(|one| one.resolution.as_ref());
        let serving = match resolution {
            Some(end) => end.serving.clone(),
            None => self.serving.map(str::to_owned),
        };
        let way_back = self.way_back();
        let previous = deployment.and_then(|one| one.previous.clone());
        let run = self.event.evidence.iter().find_map(|one| match one {
            Evidence::Url(url) => Some(url.clone()),
            Evidence::Report(_) | Evidence::Journal(_) => None,
        });
        Facts {
            service: self.event.subject.service.clone().unwrap_or_default(),
            environment: self.event.subject.environment.clone(),
            severity: incident.map(|one| one.severity),
            status: Some(self.phase().word().to_owned()),
            version: self.event.subject.release.clone(),
            previous_version: previous,
            current_version: serving,
            stage: self.failed_stage(),
            impact: incident.map(|one| impact(one.impact).to_owned()),
            // Both were said of a rollback that was still to end.
            action: incident
                .and_then(|one| one.action.clone())
                .filter(|_| !way_back.is_some_and(WayBack::has_ended)),
            eta: incident
                .and_then(|one| one.eta)
                .filter(|_| way_back != Some(WayBack::Completed) && resolution.is_none())
                .map(|eta| eta.to_string()),
            rollback_status: way_back.map(|way_back| way_back.word().to_owned()),
            service_status: self.service_status().map(str::to_owned),
            cause: self.cause().map(|cause| cut(cause, 500)),
            fix: resolution.and_then(|end| end.fix.clone()),
            next_step: self.next_step(),
            redeployment: resolution.and_then(|end| end.redeployment.clone()),
            started: started.map(|at| at.strftime("%F %T UTC").to_string()),
            duration: started.map(|at| lasted(self.event.at.duration_since(at))),
            text: Some(self.text()),
            run_url: run,
        }
    }

    fn way_back(&self) -> Option<WayBack> {
        let deployment = self.deployment?;
        match deployment.conclusion {
            _ if deployment.is_rolled_back() => Some(WayBack::Completed),
            _ if !self.can_go_back => None,
            Some(Conclusion::Succeeded) => None,
            Some(_) => Some(WayBack::NotCompleted),
            // It corrects that something is in progress.
            None if matches!(
                self.event.what,
                Happening::IncidentUpdated {
                    phase: Some(_),
                    action: Some(_),
                    ..
                }
            ) =>
            {
                Some(WayBack::NotCompleted)
            }
            None => self
                .incident
                .is_some_and(|one| one.action.is_some())
                .then_some(WayBack::InProgress),
        }
    }

    /// Whether users have the service. What was found before a release was put back counts no more.
    fn service_status(&self) -> Option<&'static str> {
        let incident = self.incident?;
        match incident.impact {
            _ if incident.resolution.is_some() => Some("operational"),
            _ if self.way_back() == Some(WayBack::Completed) => None,
            Impact::None => Some("operational"),
            Impact::Degraded => Some("degraded"),
            Impact::Down => Some("down"),
            Impact::Unknown => None,
        }
    }

    /// What a stage found, else what a person identified: that with which a person opened it is a symptom.
    fn cause(&self) -> Option<&str> {
        let incident = self.incident?;
        match incident.failed_stage {
            Some(_) => Some(&incident.text),
            None => incident.identified.as_deref(),
        }
    }

    fn next_step(&self) -> Option<String> {
        let incident = self.incident?;
        if let Happening::IncidentUpdated {
            action: Some(action),
            ..
        } = &self.event.what
        {
            return Some(action.clone());
        }
        let is_resolved = incident.resolution.is_some();
        Some(match self.way_back() {
            _ if is_resolved => format!("`incident report --incident {}`", incident.id),
            Some(WayBack::Completed) => {
                "`incident resolve` once users have the service again".to_owned()
            }
            Some(WayBack::NotCompleted) => {
                "`rollback status`, then `rollback run` or a release that fixes it".to_owned()
            }
            _ if !self.can_go_back => {
                "deploy a release that fixes it, then run `incident resolve`".to_owned()
            }
            Some(WayBack::InProgress) | None => {
                "`rollback decide`, then `incident update`".to_owned()
            }
        })
    }

    /// What a person wrote, or what happened.
    fn text(&self) -> String {
        match &self.event.what {
            Happening::IncidentOpened { text, .. }
            | Happening::IncidentUpdated { text, .. }
            | Happening::Note { text }
            | Happening::Escalated { text, .. }
            | Happening::IncidentResolved { text, .. } => text.clone(),
            _ => self.event.sentence(),
        }
    }
}

/// How far the rollback of the deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WayBack {
    InProgress,
    Completed,
    /// It failed, or there was none.
    NotCompleted,
}

impl WayBack {
    fn word(self) -> &'static str {
        match self {
            WayBack::InProgress => "in progress",
            WayBack::Completed => "completed",
            WayBack::NotCompleted => "not completed",
        }
    }

    fn has_ended(self) -> bool {
        self != WayBack::InProgress
    }
}

/// When the first event of its thread was written.
fn began(past: &History, event: &Event) -> Timestamp {
    let thread = event.thread();
    let mut of_thread = past.events().filter(|one| one.thread() == thread);
    let first = of_thread.next().unwrap_or(event);
    first.at.min(event.at)
}

fn ended(conclusion: Conclusion) -> Phase {
    match conclusion {
        Conclusion::Succeeded => Phase::Deployed,
        Conclusion::Failed => Phase::Failed,
        Conclusion::RolledBack => Phase::RolledBack,
        Conclusion::Refused => Phase::Refused,
        Conclusion::Cancelled => Phase::Cancelled,
        Conclusion::Undecided => Phase::Unknown,
    }
}

/// What users notice.
fn impact(impact: Impact) -> &'static str {
    match impact {
        Impact::None => "no user impact",
        Impact::Degraded => "service degraded",
        Impact::Down => "service down",
        Impact::Unknown => "unknown",
    }
}
