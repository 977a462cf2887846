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
    /// Whose jobs tell of the runners: GitHub lists jobs by repository alone.
    pub repositories: Vec<String>,
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
            repositories,
            runners,
            prometheus,
        } = pool;
        let own = Whose {
            repository: repository.as_ref(),
            organization: organization.as_ref(),
            enterprise: enterprise.as_ref(),
            group: group.as_ref(),
            repositories,
        };
        let (scope, repositories) = own.or(&whose(section)).resolve(here)?;
        Some(Pool {
            name: name.clone(),
            labels: labels.clone(),
            min_online: *min_online,
            scope,
            members: runners.clone(),
            only_members: false,
            repositories,
            metric: prometheus.clone(),
        })
    }

    /// What a check of preflight asks for: a pool with nothing above it.
    pub fn of_check(check: &RunnersCheck, here: Option<&String>) -> Option<Pool> {
        let check = check.clone();
        let RunnersCheck {
            name,
            labels,
            repository,
            organization,
            enterprise,
            group,
            repositories,
            runners,
            prometheus,
            token_env: _,
            min_online,
            severity: _,
            weight: _,
        } = check;
        let pool = config::file::Pool {
            name,
            labels,
            min_online,
            repository,
            organization,
            enterprise,
            group,
            repositories,
            runners,
            prometheus,
        };
        Pool::of_section(&pool, &RunnerCheck::default(), here)
    }

    /// All runners of the section's own scope, whatever their labels.
    pub fn everybody(section: &RunnerCheck, here: Option<&String>) -> Option<Pool> {
        let (scope, repositories) = whose(section).resolve(here)?;
        Some(Pool {
            name: "evidence".to_owned(),
            labels: Vec::new(),
            min_online: NonZero::<u32>::MIN,
            scope,
            members: Vec::new(),
            only_members: false,
            repositories,
            metric: None,
        })
    }

    /// Labels as a person writes them.
    pub fn shown_labels(&self) -> String {
        self.labels.join(", ")
    }
}

fn whose(section: &RunnerCheck) -> Whose<'_> {
    Whose {
        repository: section.repository.as_ref(),
        organization: section.organization.as_ref(),
        enterprise: section.enterprise.as_ref(),
        group: section.group.as_ref(),
        repositories: &section.repositories,
    }
}

#[derive(Clone, Copy)]
struct Whose<'a> {
    repository: Option<&'a String>,
    organization: Option<&'a String>,
    enterprise: Option<&'a String>,
    group: Option<&'a String>,
    repositories: &'a [String],
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
            repositories: if self.repositories.is_empty() {
                above.repositories
            } else {
                self.repositories
            },
            ..*above
        }
    }

    /// The scope, and whose jobs are asked for: a repository's own, else those that are named,
    /// else those of the workflow run's repository.
    fn resolve(&self, here: Option<&String>) -> Option<(Scope, Vec<String>)> {
        let scope = self.scope(here)?;
        let repositories = match scope.repository() {
            Some(name) => vec![name.to_owned()],
            None if self.repositories.is_empty() => here.cloned().into_iter().collect(),
            None => self.repositories.to_vec(),
        };
        Some((scope, repositories))
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
