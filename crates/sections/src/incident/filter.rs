//! What a sink hears of.

use yaml::Fault;

use super::{EventKind, Severity};
use crate::KeyPosition;

/// What happened, as far as a filter asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterInput<'a> {
    pub kind: EventKind,
    /// The worst that the incident has been so far: a sink that was told of it hears its end, too. `None`
    /// for a deployment.
    pub severity: Option<Severity>,
    pub environment: Option<&'a str>,
    /// A deployment ended well; false for everything else.
    pub ended_well: bool,
    /// What people were told of the incident holds no more, such as that a rollback is in progress.
    pub corrects: bool,
    /// What the sink was told of the same incident before.
    pub before: Before,
}

/// What a sink was told of an incident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Before {
    #[default]
    Nothing,
    /// Some event of it.
    Something,
    /// It was passed on to this sink, whatever the sink hears otherwise.
    PassedOn,
}

/// Which events a sink is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter<'a> {
    /// At least; holds back no event that has no severity.
    pub severity: Option<Severity>,
    /// Empty: all.
    pub environments: &'a [String],
    pub events: &'a [EventKind],
    /// Of the deployments that ended, those that ended well are left out.
    pub only_failed: bool,
    /// Of the notes, those alone that are of an incident.
    pub only_notes_of_incidents: bool,
}

impl Filter<'_> {
    /// Whether the sink is told. One that knows of an incident hears how it goes on, however bad it is; and one that it
    /// was passed on to hears its end in any case, because someone was called. What it was told and holds no more is
    /// corrected in any case: people rely on it.
    pub fn hears(self, heard: FilterInput<'_>) -> bool {
        let is_end = heard.kind == EventKind::IncidentResolved;
        match heard.before {
            Before::PassedOn if is_end => return true,
            Before::PassedOn | Before::Something if heard.corrects => return true,
            Before::PassedOn | Before::Something => return self.events.contains(&heard.kind),
            Before::Nothing => {}
        }
        let environments = self.environments;
        let is_there = |name: &str| environments.iter().any(|one| one == name);
        let fits_place = environments.is_empty() || heard.environment.is_some_and(is_there);
        let is_bad_enough = match (self.severity, heard.severity) {
            (Some(least), Some(severity)) => severity >= least,
            _ => true,
        };
        let is_note_of_none = heard.kind == EventKind::Note && heard.severity.is_none();
        let is_left_out =
            self.only_failed && heard.ended_well || self.only_notes_of_incidents && is_note_of_none;
        self.events.contains(&heard.kind) && fits_place && is_bad_enough && !is_left_out
    }

    /// The rules of its keys; `spot` is the sink.
    pub(super) fn check(self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        for (nth, name) in self.environments.iter().enumerate() {
            spot.key("environments").item(nth).known_environment(name)?;
        }
        for key in ["environments", "events"] {
            let spot = spot.key(key);
            if spot.is_given() && spot.is_empty_list() {
                let fault =
                    spot.fault("it lists nothing, so the sink would never receive an event");
                return Err(fault.hint("leave it out for the default, or remove the sink"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENED: FilterInput<'_> = FilterInput {
        kind: EventKind::IncidentOpened,
        severity: Some(Severity::Medium),
        environment: Some("production"),
        ended_well: false,
        corrects: false,
        before: Before::Nothing,
    };
    const ENDED_WELL: FilterInput<'_> = FilterInput {
        kind: EventKind::DeploymentEnded,
        severity: None,
        environment: Some("production"),
        ended_well: true,
        corrects: false,
        before: Before::Nothing,
    };

    fn filter(environments: &[String]) -> Filter<'_> {
        Filter {
            severity: None,
            environments,
            events: &EventKind::ALL,
            only_failed: false,
            only_notes_of_incidents: false,
        }
    }

    #[test]
    fn each_key_holds_back_what_it_names_and_nothing_else() {
        let all = filter(&[]);
        assert!(all.hears(OPENED) && all.hears(ENDED_WELL));
        let severity = |least| Filter {
            severity: Some(least),
            ..all
        };
        assert!(severity(Severity::Medium).hears(OPENED));
        assert!(!severity(Severity::High).hears(OPENED));
        // A deployment has no severity.
        assert!(severity(Severity::Critical).hears(ENDED_WELL));
        let staging = ["staging".to_owned()];
        assert!(!filter(&staging).hears(OPENED));
        let nowhere = FilterInput {
            environment: None,
            ..OPENED
        };
        assert!(all.hears(nowhere) && !filter(&staging).hears(nowhere));
        let failed = Filter {
            only_failed: true,
            ..all
        };
        assert!(failed.hears(OPENED) && !failed.hears(ENDED_WELL));
        let badly = FilterInput {
            ended_well: false,
            ..ENDED_WELL
        };
        assert!(failed.hears(badly));
        let resolved = Filter {
            events: &[EventKind::IncidentResolved],
            ..all
        };
        assert!(!resolved.hears(OPENED));
    }

    /// An issue that a note of no incident opens is closed by nothing.
    #[test]
    fn a_note_is_heard_outside_of_an_incident_but_for_who_shows_incidents_alone() {
        let of_incident = FilterInput {
            kind: EventKind::Note,
            ..OPENED
        };
        let of_none = FilterInput {
            severity: None,
            ..of_incident
        };
        let all = filter(&[]);
        let incidents = Filter {
            only_notes_of_incidents: true,
            ..all
        };
        assert!(all.hears(of_incident) && all.hears(of_none));
        assert!(incidents.hears(of_incident) && !incidents.hears(of_none));
        assert!(incidents.hears(ENDED_WELL), "it is no note");
    }

    #[test]
    fn who_was_told_of_an_incident_hears_how_it_goes_on_and_who_was_called_hears_its_end() {
        let events = [EventKind::IncidentOpened, EventKind::IncidentUpdated];
        let staging = ["staging".to_owned()];
        let critical = Filter {
            severity: Some(Severity::Critical),
            environments: &staging,
            events: &events,
            only_failed: false,
            only_notes_of_incidents: false,
        };
        for (before, kind, hears) in [
            (Before::Nothing, EventKind::IncidentUpdated, false),
            (Before::Something, EventKind::IncidentUpdated, true),
            (Before::Something, EventKind::Note, false),
            (Before::Something, EventKind::IncidentResolved, false),
            (Before::PassedOn, EventKind::IncidentUpdated, true),
            (Before::PassedOn, EventKind::Note, false),
            (Before::PassedOn, EventKind::IncidentResolved, true),
        ] {
            let heard = FilterInput {
                kind,
                before,
                ..OPENED
            };
            assert_eq!(critical.hears(heard), hears, "{before:?} {kind}");
        }
        let pager = Filter {
            events: &[EventKind::IncidentOpened],
            ..critical
        };
        for (before, corrects, hears) in [
            (Before::Something, true, true),
            (Before::PassedOn, true, true),
            (Before::Something, false, false),
            (Before::Nothing, true, false),
        ] {
            let heard = FilterInput {
                kind: EventKind::IncidentUpdated,
                corrects,
                before,
                ..OPENED
            };
            assert_eq!(pager.hears(heard), hears, "{before:?} {corrects}");
        }
    }
}
