//! Whose events a log has: services and environments may share one, and each reads its own.

use std::collections::BTreeSet;

use crate::{Event, History, Subject};

/// A service in an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    pub service: Option<String>,
    pub environment: Option<String>,
}

impl Owner {
    /// Whether something is of another service or environment. Where one of the two names none, it may be the same: what
    /// is between a process and a sink names neither.
    fn is_other(&self, subject: &Subject) -> bool {
        let differ = |ours: &Option<String>, theirs: &Option<String>| {
            ours.as_ref()
                .zip(theirs.as_ref())
                .is_some_and(|(ours, theirs)| ours != theirs)
        };
        differ(&self.service, &subject.service) || differ(&self.environment, &subject.environment)
    }

    pub(crate) fn has(&self, event: &Event) -> bool {
        !self.is_other(&event.subject)
    }
}

impl Subject {
    /// Whose it is.
    pub fn owner(&self) -> Owner {
        Owner {
            service: self.service.clone(),
            environment: self.environment.clone(),
        }
    }
}

impl History {
    /// Without what is of another service or environment.
    #[must_use]
    pub fn of_owner(self, owner: &Owner) -> History {
        self.kept(|event| owner.has(event))
    }

    /// The environments that its events name.
    pub fn environments(&self) -> BTreeSet<&str> {
        let named = self.events().map(|event| &event.subject.environment);
        named.filter_map(Option::as_deref).collect()
    }
}

#[cfg(test)]
mod tests {
    use sections::incident::Severity;

    use super::*;
    use crate::sample::{SampleHistory, ended, note, started};
    use crate::{Conclusion, deployments, incidents, pending};

    fn owner(service: &str, environment: Option<&str>) -> Owner {
        Owner {
            service: Some(service.to_owned()),
            environment: environment.map(str::to_owned),
        }
    }

    /// A deployment, an incident and a note for a sink in each of two environments.
    fn two() -> SampleHistory {
        let mut past = SampleHistory::new();
        for environment in ["production", "staging"] {
            past.about(Some("d1"), None);
            past.environment(environment);
            past.add(started());
            past.open(Severity::High);
            past.record(note("look"), &["chat"]);
            past.add(ended(Conclusion::Failed));
        }
        past
    }

    #[test]
    fn each_environment_has_its_own_events_and_who_names_none_has_all() {
        let past = two();
        for (environment, count) in [(Some("production"), 1), (Some("live"), 0), (None, 2)] {
            let history = past.history().of_owner(&owner("shop", environment));
            let counts = [
                deployments(&history).len(),
                incidents(&history).len(),
                pending(&history).len(),
            ];
            assert_eq!(counts, [count; 3], "{environment:?}");
        }
        let other = past.history().of_owner(&owner("api", None));
        assert_eq!(other.records(), []);
    }

    #[test]
    fn what_names_no_environment_is_of_each() {
        let mut past = two();
        past.about(None, None);
        past.add(note("before there were environments"));
        let own = past.history().of_owner(&owner("shop", Some("staging")));
        assert_eq!(own.events().count(), 5);
        let history = past.history();
        let named = history.environments();
        assert_eq!(
            named.into_iter().collect::<Vec<_>>(),
            ["production", "staging"]
        );
    }
}
