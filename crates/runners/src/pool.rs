//! A pool of runners as it was asked for: by a section, a flag or a check.

use std::num::NonZero;
use std::time::Duration;

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
    /// Only the members belong to it, even if other runners have the labels.
    pub only_members: bool,
    /// The repositories whose jobs use the runners: GitHub lists jobs only by repository.
    pub repositories: Vec<String>,
    pub metric: Option<RunnerMetric>,
    pub supply: Supply,
}

/// Where a pool's runners come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// They are registered, and wait for jobs.
    Registered,
    /// None is there without work; one is started for a job.
    FromZero {
        /// How long a job may wait for it.
        within: Duration,
    },
    /// GitHub's own machines, which no list shows.
    Hosted {
        /// How long a job may wait for one.
        within: Duration,
    },
}

impl Supply {
    /// How long a job may wait for a machine that is started for it.
    pub fn max_start_time(self) -> Option<Duration> {
        match self {
            Supply::Registered => None,
            Supply::FromZero { within } | Supply::Hosted { within } => Some(within),
        }
    }
}

/// How long the start of a machine may take where it is not configured: that of a node of a cluster
/// takes some minutes.
const MAX_START_TIME: Duration = Duration::from_mins(5);

/// Whether this is a standard label of GitHub's own machines, such as `ubuntu-24.04-arm` or
/// `macos-latest` ("GitHub-hosted runners reference"). Larger runners have names of their owner's.
fn is_standard_label(label: &str) -> bool {
    let label = label.to_ascii_lowercase();
    let mut parts = label.split('-');
    let system = matches!(parts.next(), Some("ubuntu" | "windows" | "macos"));
    let version = parts.next().is_some_and(|version| {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        matches!(version, "latest" | "slim") || version.split('.').all(digits)
    });
    let kinds = ["arm", "arm64", "intel", "large", "xlarge", "vs2026"];
    system && version && parts.all(|kind| kinds.contains(&kind))
}

impl Pool {
    /// Whether its labels alone say that GitHub's own machines are meant.
    pub(crate) fn has_standard_label(&self) -> bool {
        matches!(self.labels.as_slice(), [label] if is_standard_label(label))
    }

    /// GitHub's own machines, with the time that is not configured.
    pub(crate) const HOSTED: Supply = Supply::Hosted {
        within: MAX_START_TIME,
    };

    /// A pool of the section; `here` is the repository of the workflow run. `None` if the runners'
    /// owner is not configured.
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
            scales_from_zero,
            github_hosted,
            max_start_time,
        } = pool;
        let within = max_start_time.map_or(MAX_START_TIME, config::value::Span::get);
        let own = Owner {
            repository: repository.as_ref(),
            organization: organization.as_ref(),
            enterprise: enterprise.as_ref(),
            group: group.as_ref(),
            repositories,
        };
        let (scope, repositories) = own.or(&owner_of(section)).resolve(here)?;
        Some(Pool {
            name: name.clone(),
            labels: labels.clone(),
            min_online: *min_online,
            scope,
            members: runners.clone(),
            only_members: false,
            repositories,
            metric: prometheus.clone(),
            supply: match (scales_from_zero, github_hosted) {
                (true, _) => Supply::FromZero { within },
                (false, true) => Supply::Hosted { within },
                (false, false) => Supply::Registered,
            },
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
            scales_from_zero,
            github_hosted,
            max_start_time,
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
            scales_from_zero,
            github_hosted,
            max_start_time,
        };
        Pool::of_section(&pool, &RunnerCheck::default(), here)
    }

    /// All runners of the section's own scope, whatever their labels.
    pub fn everybody(section: &RunnerCheck, here: Option<&String>) -> Option<Pool> {
        let (scope, repositories) = owner_of(section).resolve(here)?;
        Some(Pool {
            name: "evidence".to_owned(),
            labels: Vec::new(),
            min_online: NonZero::<u32>::MIN,
            scope,
            members: Vec::new(),
            only_members: false,
            repositories,
            metric: None,
            supply: Supply::Registered,
        })
    }

    /// Labels as a person writes them.
    pub fn describe_labels(&self) -> String {
        self.labels.join(", ")
    }
}

fn owner_of(section: &RunnerCheck) -> Owner<'_> {
    Owner {
        repository: section.repository.as_ref(),
        organization: section.organization.as_ref(),
        enterprise: section.enterprise.as_ref(),
        group: section.group.as_ref(),
        repositories: &section.repositories,
    }
}

#[derive(Clone, Copy)]
struct Owner<'a> {
    repository: Option<&'a String>,
    organization: Option<&'a String>,
    enterprise: Option<&'a String>,
    group: Option<&'a String>,
    repositories: &'a [String],
}

impl<'a> Owner<'a> {
    /// What is not said here is said above: an owner as a whole, a group for the same owner.
    fn or(self, above: &Owner<'a>) -> Owner<'a> {
        let own =
            self.repository.is_some() || self.organization.is_some() || self.enterprise.is_some();
        if own {
            return self;
        }
        Owner {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn githubs_standard_labels_are_told_from_others() {
        for label in [
            "ubuntu-latest",
            "Ubuntu-24.04",
            "ubuntu-24.04-arm",
            "ubuntu-slim",
            "windows-2025",
            "windows-11-arm",
            "macos-15-intel",
            "macos-latest-xlarge",
        ] {
            assert!(is_standard_label(label), "{label}");
        }
        for label in [
            "ubuntu",
            "self-hosted",
            "linux",
            "ubuntu-gpu",
            "macos-15-mine",
            "ubuntu-",
        ] {
            assert!(!is_standard_label(label), "{label}");
        }
    }
}
