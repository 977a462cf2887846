//! Rules of runners' pools, wherever a pool is described.

use values::Span;
use yaml::Fault;

use crate::KeyPosition;

/// More would cost too many requests for evidence.
const MAX_REPOSITORIES: usize = 20;

/// Whose runners, as a section, a pool or a check says it.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    pub repository: Option<&'a str>,
    pub organization: Option<&'a str>,
    pub enterprise: Option<&'a str>,
    pub group: Option<&'a str>,
    /// Whose jobs are asked for.
    pub repositories: &'a [String],
}

impl Owner<'_> {
    /// At most one owner; a group only of an owner that has groups. `above` is the section's.
    pub fn check(&self, above: Option<&Owner<'_>>, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let owners = [
            ("repository", self.repository.is_some()),
            ("organization", self.organization.is_some()),
            ("enterprise", self.enterprise.is_some()),
        ];
        spot.exclusive(&owners)?;
        let is_owned = owners.iter().any(|(_, given)| *given);
        let owner = if is_owned {
            self
        } else {
            above.unwrap_or(self)
        };
        if self.group.is_some() && owner.organization.is_none() && owner.enterprise.is_none() {
            let fault = spot.key("group");
            let fault = fault.fault("`group` needs its organization or enterprise");
            return Err(fault.hint(
                "add `organization: NAME` or `enterprise: NAME`: repositories have no groups",
            ));
        }
        self.check_repositories(spot.key("repositories"))
    }

    /// For a repository's runners, only its own jobs are queried.
    fn check_repositories(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let names = self.repositories;
        if !names.is_empty() && self.repository.is_some() {
            return Err(spot.fault("`repository` and `repositories` exclude each other"));
        }
        if names.len() > MAX_REPOSITORIES {
            return Err(spot.fault(format!("more than {MAX_REPOSITORIES} repositories")));
        }
        let wrong = |name: &&String| {
            !name
                .split_once('/')
                .is_some_and(|(owner, name)| !owner.is_empty() && !name.is_empty())
        };
        match names.iter().find(wrong) {
            Some(name) => Err(spot
                .fault(format!("`{name}` is not a name of a repository"))
                .hint("it is written `OWNER/NAME`")),
            None => Ok(()),
        }
    }
}

/// What makes up a pool, and where its runners come from.
pub struct Members<'a> {
    pub labels: &'a [String],
    pub runners: &'a [String],
    /// The server of the metric that knows them.
    pub metric_server: Option<&'a str>,
    pub min_online: u32,
    pub scales_from_zero: bool,
    pub github_hosted: bool,
    pub max_start_time: Option<Span>,
}

impl Members<'_> {
    pub fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        self.check_supply(spot)?;
        let labels = spot.key("labels");
        if self.labels.is_empty() {
            return Err(labels.fault("no label is given"));
        }
        if let Some(nth) = self.labels.iter().position(|label| label.trim().is_empty()) {
            return Err(labels.item(nth).fault("an empty label"));
        }
        for (nth, name) in self.runners.iter().enumerate() {
            spot.key("runners").item(nth).known_runner(name)?;
        }
        match self.metric_server {
            Some(server) => spot.key("prometheus").key("server").http_url(server),
            None => Ok(()),
        }
    }

    fn check_supply(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let declared = match (self.scales_from_zero, self.github_hosted) {
            (true, true) => {
                let text = "`scales-from-zero` and `github-hosted` exclude each other";
                return spot.refuse("github-hosted", text);
            }
            (true, false) => "scales-from-zero",
            (false, true) => "github-hosted",
            (false, false) if self.max_start_time.is_some() => {
                let text = "`max-start-time` is for `scales-from-zero` and `github-hosted`";
                return spot.refuse("max-start-time", text);
            }
            (false, false) => return Ok(()),
        };
        if self.min_online > 1 {
            let text = format!("`min-online` and `{declared}` exclude each other");
            return spot.refuse("min-online", text);
        }
        let is_known_by_name = !self.runners.is_empty() || self.metric_server.is_some();
        if self.github_hosted && is_known_by_name {
            let text = "`runners` and `prometheus` know nothing of GitHub's own machines";
            return spot.refuse("github-hosted", text);
        }
        spot.key("max-start-time").some_time(self.max_start_time)
    }
}
