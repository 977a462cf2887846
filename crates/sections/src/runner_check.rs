//! `runner-check:` — will a runner take the job, and which labels should it ask for?
//! And `runners:`, where each runner lives.

use std::num::NonZero;

use schemars::JsonSchema;
use serde::Deserialize;
use values::{HTTP_URL, ShellText, Span};
use yaml::Fault;

use crate::KeyPosition;

mod pool_rules;

pub use pool_rules::{Members, Owner};

/// A self-hosted runner: on which machine it runs, as which service. The key is the name that
/// GitHub lists.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunnerHost {
    /// A name under `hosts:`.
    pub host: String,
    /// Its systemd unit. Default: the one unit of the host that fits `actions.runner.*.NAME.service`.
    pub unit: Option<String>,
}

/// Pools of runners, in the order in which they are preferred.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunnerCheck {
    /// `owner/name`. Default: the repository of the workflow run.
    pub repository: Option<String>,
    /// Use the organisation's runners instead of a repository's.
    pub organization: Option<String>,
    /// Use the enterprise's runners instead of a repository's.
    pub enterprise: Option<String>,
    /// Use the runners of this group of the organisation or enterprise: a name or an id.
    pub group: Option<String>,
    /// The repositories whose jobs show an organisation's or enterprise's runners: GitHub lists
    /// jobs by repository alone. At most 20. Default: the repository of the workflow run.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// The environment variable that holds a token which may list runners. Default: GITHUB_TOKEN.
    pub token_env: Option<String>,
    /// How long one source may take to answer. Default 10s.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// How long to wait for a pool that can take the job. Default 0s: check once.
    #[serde(default)]
    pub wait: Span,
    /// The time between two looks while waiting; longer where GitHub's rate limit would not last.
    /// Default 5s.
    #[serde(default = "interval")]
    pub interval: Span,
    /// Evidence older than this decides nothing. Default 15m.
    #[serde(default = "max_evidence_age")]
    pub max_evidence_age: Span,
    /// How long a job may wait for a runner before the pool counts as one that takes no jobs.
    /// Default 2m.
    #[serde(default = "max_queue_time")]
    pub max_queue_time: Span,
    /// The first pool that can take the job wins.
    #[serde(default)]
    pub pools: Vec<Pool>,
    /// What `runner-check start-emergency` starts.
    pub emergency: Option<Emergency>,
    /// `runner-check prune` frees nothing while less of the disk is used than this: per cent.
    /// Default 80.
    #[serde(default = "prune_above")]
    #[schemars(range(max = 100))]
    pub prune_above: u8,
    /// How long a runner may take to be online again after a remedy. Default 2m.
    #[serde(default = "verify_timeout")]
    pub verify_timeout: Span,
}

impl Default for RunnerCheck {
    fn default() -> Self {
        RunnerCheck {
            repository: None,
            organization: None,
            enterprise: None,
            group: None,
            repositories: Vec::new(),
            token_env: None,
            timeout: timeout(),
            wait: Span::ZERO,
            interval: interval(),
            max_evidence_age: max_evidence_age(),
            max_queue_time: max_queue_time(),
            pools: Vec::new(),
            emergency: None,
            prune_above: prune_above(),
            verify_timeout: verify_timeout(),
        }
    }
}

/// Runners that share labels.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pool {
    /// Such as `primary` or `emergency`.
    pub name: String,
    /// Labels that a runner must all have; case does not matter. They become `runs-on`.
    pub labels: Vec<String>,
    /// How many must be online. Default 1.
    #[serde(default = "default_min_online")]
    pub min_online: NonZero<u32>,
    /// The pool has no runner while there is no work, and starts one for a job: a scale set of the
    /// Actions Runner Controller, or another autoscaler. Then it is not a failure that none is online; a
    /// job that waited longer than `max-start-time` makes the pool undecided. Default false.
    #[serde(default)]
    pub scales_from_zero: bool,
    /// The labels are of GitHub's own machines, larger runners too: no list shows them. GitHub's
    /// standard labels, such as `ubuntu-latest`, are known without this. Default false.
    #[serde(default)]
    pub github_hosted: bool,
    /// How long a job may wait until a machine is started for it, with `scales-from-zero` and
    /// `github-hosted`. Default 5m.
    pub max_start_time: Option<Span>,
    /// Use this repository's runners for this pool: `owner/name`.
    pub repository: Option<String>,
    /// Use this organisation's runners for this pool.
    pub organization: Option<String>,
    /// Use this enterprise's runners for this pool.
    pub enterprise: Option<String>,
    /// Use the runners of this group for this pool: a name or an id.
    pub group: Option<String>,
    /// The repositories whose jobs show this pool's runners. Default: those of the section.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// Its runners, by their names under `runners:`: their machines are checked over SSH, and they
    /// are known also where GitHub's list may not be read.
    #[serde(default)]
    pub runners: Vec<String>,
    /// What Prometheus knows of its runners.
    pub prometheus: Option<RunnerMetric>,
}

/// A metric that shows which runners are online: more than 0 is online, 0 is not.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunnerMetric {
    /// The server's base URL.
    #[schemars(regex(pattern = HTTP_URL))]
    pub server: String,
    /// A query such as `runner_status{environment="production"}`, with a series for each runner;
    /// or one number, which is how many are online. Where GitHub's list may not be read, those are
    /// taken for all runners of the pool.
    pub query: String,
    /// The label that holds a runner's name. Default: `runner`, `runner_name` or `name`, whichever
    /// a series has.
    pub runner_label: Option<String>,
}

/// What `runner-check start-emergency` starts: a runner's service or a command.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Emergency {
    /// A name under `runners:`, whose service is started over SSH.
    pub runner: Option<String>,
    /// A command for `sh` that starts it, on this machine.
    pub run: Option<ShellText>,
    /// The pool that must be able to take jobs afterwards. Default: the one named `emergency`.
    pub pool: Option<String>,
}

fn default_min_online() -> NonZero<u32> {
    NonZero::<u32>::MIN
}

fn timeout() -> Span {
    Span::from_secs(10)
}

fn interval() -> Span {
    Span::from_secs(5)
}

fn max_evidence_age() -> Span {
    Span::from_secs(15 * 60)
}

fn max_queue_time() -> Span {
    Span::from_secs(120)
}

fn prune_above() -> u8 {
    80
}

fn verify_timeout() -> Span {
    Span::from_secs(120)
}

impl RunnerHost {
    pub fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("host").known_host(&self.host)?;
        if let Some(unit) = &self.unit
            && !is_unit(unit)
        {
            let fault = spot.key("unit");
            let fault = fault.fault(format!("`{unit}` is not a name of a service"));
            return Err(fault.hint("such as `actions.runner.acme-shop.web-01.service`: `systemctl list-units 'actions.runner.*'`"));
        }
        Ok(())
    }
}

/// The characters of a systemd unit's name; none of them means anything to a shell in quotes.
fn is_unit(name: &str) -> bool {
    let stem = name.strip_suffix(".service");
    let good = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    name.len() <= 255
        && !name.starts_with('-')
        && stem.is_some_and(|stem| !stem.is_empty())
        && name.chars().all(good)
}

impl RunnerCheck {
    pub fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let pools = spot.key("pools");
        pools.unique("name")?;
        let owner = self.owner();
        owner.check(None, spot)?;
        for (key, zero) in [
            ("timeout", self.timeout.get().is_zero()),
            ("interval", self.interval.get().is_zero()),
            ("verify-timeout", self.verify_timeout.get().is_zero()),
        ] {
            spot.key(key).not_zero(zero)?;
        }
        if !self.wait.get().is_zero()
            && self.interval > self.wait
            && spot.key("interval").is_given()
        {
            let message = format!(
                "`interval` ({}) is longer than `wait` ({}): there is no second attempt",
                self.interval, self.wait
            );
            let fault = spot.key("interval").fault(message);
            return Err(fault.hint("set a shorter `interval` or a longer `wait`"));
        }
        if self.prune_above > 100 {
            return spot.refuse("prune-above", "more than 100 per cent");
        }
        for (nth, pool) in self.pools.iter().enumerate() {
            pool.check(&owner, pools.item(nth))?;
        }
        let Some(emergency) = &self.emergency else {
            return Ok(());
        };
        let spot = spot.key("emergency");
        match (&emergency.runner, &emergency.run) {
            (Some(_), Some(_)) => spot.refuse("run", "`runner` and `run` exclude each other")?,
            (None, None) => {
                return Err(spot
                    .fault("nothing to start is given")
                    .hint("add `runner: NAME`, a runner under `runners:`, or `run: COMMAND`"));
            }
            (Some(name), None) => spot.key("runner").known_runner(name)?,
            (None, Some(_)) => {}
        }
        match &emergency.pool {
            Some(name) if !self.pools.iter().any(|pool| &pool.name == name) => {
                spot.refuse("pool", format!("no pool `{name}` under `pools:`"))
            }
            _ => Ok(()),
        }
    }

    fn owner(&self) -> Owner<'_> {
        Owner {
            repository: self.repository.as_deref(),
            organization: self.organization.as_deref(),
            enterprise: self.enterprise.as_deref(),
            group: self.group.as_deref(),
            repositories: &self.repositories,
        }
    }
}

impl Pool {
    fn check(&self, above: &Owner<'_>, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let owner = Owner {
            repository: self.repository.as_deref(),
            organization: self.organization.as_deref(),
            enterprise: self.enterprise.as_deref(),
            group: self.group.as_deref(),
            repositories: &self.repositories,
        };
        owner.check(Some(above), spot)?;
        let members = Members {
            labels: &self.labels,
            runners: &self.runners,
            metric_server: self.prometheus.as_ref().map(|it| it.server.as_str()),
            min_online: self.min_online.get(),
            scales_from_zero: self.scales_from_zero,
            github_hosted: self.github_hosted,
            max_start_time: self.max_start_time,
        };
        members.check(spot)
    }
}
