//! A pool of runners as it was asked for: by a section, a flag or a check.

use std::num::NonZero;

use config::file::{RunnerCheck, RunnerMetric, RunnersCheck};
use github::Scope;

/// Runners that share labels, and where to look for them.
#[derive(Clone, Debug)]
pub struct Pool {
    pub name: String,
    pub labels: Vec<String>,
    pub min_online: NonZero<u32>,
    pub scope: Scope,
    /// Runners that are known by name, from the configuration.
    pub members: Vec<String>,
    /// Nobody but the members is meant, whoever else has the labels.
    pub only_members: bool,
    pub metric: Option<RunnerMetric>,
}

impl Pool {
    /// A pool of the section; `here` is the repository of the workflow run. `None` where nobody
    /// said whose runners are meant.
    pub fn of_section(
        pool: &config::file::Pool,
        section: &RunnerCheck,
        here: Option<&String>,
    ) -> Option<Pool> {
        let config::file::Pool {
            name,
            labels,
            min_online,
            repository,
            organization,
            enterprise,
            group,
            runners,
            prometheus,
        } = pool;
        let own = Whose {
            repository: repository.as_ref(),
            organization: organization.as_ref(),
            enterprise: enterprise.as_ref(),
            group: group.as_ref(),
        };
        Some(Pool {
            name: name.clone(),
            labels: labels.clone(),
            min_online: *min_online,
            scope: own.or(&whose(section)).scope(here)?,
            members: runners.clone(),
            only_members: false,
            metric: prometheus.clone(),
        })
    }

    /// What a check of preflight asks for.
    pub fn of_check(check: &RunnersCheck, here: Option<&String>) -> Option<Pool> {
        let RunnersCheck {
            name,
            labels,
            repository,
            organization,
            enterprise,
            group,
            runners,
            prometheus,
            token_env: _,
            min_online,
            severity: _,
            weight: _,
        } = check;
        let whose = Whose {
            repository: repository.as_ref(),
            organization: organization.as_ref(),
            enterprise: enterprise.as_ref(),
            group: group.as_ref(),
        };
        Some(Pool {
            name: name.clone(),
            labels: labels.clone(),
            min_online: *min_online,
            scope: whose.scope(here)?,
            members: runners.clone(),
            only_members: false,
            metric: prometheus.clone(),
        })
    }

    /// Labels as a person writes them.
    pub fn shown_labels(&self) -> String {
        self.labels.join(", ")
    }
}

/// The section's own scope, for a look at all of its runners.
pub fn scope_of_section(section: &RunnerCheck, here: Option<&String>) -> Option<Scope> {
    whose(section).scope(here)
}

fn whose(section: &RunnerCheck) -> Whose<'_> {
    Whose {
        repository: section.repository.as_ref(),
        organization: section.organization.as_ref(),
        enterprise: section.enterprise.as_ref(),
        group: section.group.as_ref(),
    }
}

#[derive(Clone, Copy)]
struct Whose<'a> {
    repository: Option<&'a String>,
    organization: Option<&'a String>,
    enterprise: Option<&'a String>,
    group: Option<&'a String>,
}

impl<'a> Whose<'a> {
    /// What is not said here is said above: an owner as a whole, a group for the same owner.
    fn or(self, above: &Whose<'a>) -> Whose<'a> {
        let own =
            self.repository.is_some() || self.organization.is_some() || self.enterprise.is_some();
        if own {
            return self;
        }
        Whose {
            group: self.group.or(above.group),
            ..*above
        }
    }

    fn scope(&self, here: Option<&String>) -> Option<Scope> {
        let owner = match (self.enterprise, self.organization, self.repository.or(here)) {
            (Some(name), _, _) => Scope::Enterprise(name.clone()),
            (None, Some(name), _) => Scope::Organization(name.clone()),
            (None, None, Some(name)) => return Some(Scope::Repository(name.clone())),
            (None, None, None) => return None,
        };
        Some(match self.group {
            Some(group) => Scope::Group {
                owner: Box::new(owner),
                group: group.clone(),
            },
            None => owner,
        })
    }
}
