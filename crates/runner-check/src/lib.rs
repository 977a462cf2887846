//! Check whether a runner will take the job, and choose its labels
//!
//! [`check`] asks about the pools and names the first that can take the job; [`list`] shows every
//! runner. The remedies, [`restart`], [`prune`] and [`emergency`], act only when they are called
//! by name, say first what they will do, and [`prove`] afterwards that it helped.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod check;
mod emergency;
mod list;
mod prove;
mod prune;
mod remedy;
mod restart;
mod sources;

use std::num::NonZero;

use cli::{Failure, Job};
use config::file::Pool;
use config::value::Span;
use model::{Report, StageName};

/// The stage and its flags.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Stage {
    #[command(subcommand)]
    action: Option<Action>,
    /// Labels a runner must all have, separated by commas; one pool for each time it is given
    #[arg(long, value_name = "LABELS")]
    labels: Vec<String>,
    /// The repository whose runners to list [default: that of the workflow run]
    #[arg(long, global = true, value_name = "OWNER/NAME", conflicts_with_all = ["org", "enterprise"])]
    repo: Option<String>,
    /// The organisation whose runners to list
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        conflicts_with = "enterprise"
    )]
    org: Option<String>,
    /// The enterprise whose runners to list
    #[arg(long, global = true, value_name = "NAME")]
    enterprise: Option<String>,
    /// The runner group of the organisation or enterprise: a name or an id
    #[arg(long, global = true, value_name = "NAME")]
    group: Option<String>,
    /// How many must be online [default: 1]
    #[arg(long, value_name = "N", requires = "labels")]
    min_online: Option<NonZero<u32>>,
    /// The pools have no runner without work, and start one for a job
    #[arg(long, requires = "labels", conflicts_with_all = ["github_hosted", "min_online"])]
    scales_from_zero: bool,
    /// The labels are of GitHub's own machines, such as its larger runners
    #[arg(long, requires = "labels", conflicts_with = "min_online")]
    github_hosted: bool,
    /// How long a job may wait for a machine that is started for it [default: 5m]
    #[arg(long, value_name = "TIME", requires = "labels")]
    max_start_time: Option<Span>,
    /// How long to wait for a pool that can take the job, such as `2m` [default: not at all]
    #[arg(long, value_name = "TIME")]
    wait: Option<Span>,
    /// The environment variable with a token that may list runners [default: GITHUB_TOKEN]
    #[arg(long, global = true, value_name = "NAME")]
    token_env: Option<String>,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Action {
    /// Show every runner, what it is doing, and who reports it
    List,
    /// Restart a runner's service over SSH, and prove that it is online again
    Restart(restart::Flags),
    /// Free a runner's disk with `docker system prune`, and prove that it is online
    Prune(prune::Flags),
    /// Start the emergency runner, and prove that its pool can take jobs
    StartEmergency(emergency::Flags),
}

const EXAMPLES: &str = "Examples:
  runner-check --repo acme/shop --labels self-hosted,linux,production
  runner-check --wait 2m       # the pools of the configuration, primary first
  runner-check list --org acme
  runner-check restart web-runner-01 --dry-run
  runner-check start-emergency --yes

The output `runs-on` is JSON for `runs-on: ${{ fromJSON(needs.check.outputs.runs-on) }}`,
`pool` is the pool's name.

Exit codes: 0 pass, 1 no pool can take the job, 2 usage, 3 the answers do not decide,
4 error (such as a missing permission), 5 refused";

impl cli::Stage for Stage {
    const NAME: &'static str = StageName::RunnerCheck.as_str();
    const ABOUT: &'static str = "Check whether a runner will take the job, and choose its labels";
    const EXAMPLES: &'static str = EXAMPLES;

    fn configure(&self, config: &mut config::Config) -> Result<(), Failure> {
        let section = config.runner_check_mut()?;
        if self.repo.is_some() || self.org.is_some() || self.enterprise.is_some() {
            section.repository = self.repo.clone();
            section.organization = self.org.clone();
            section.enterprise = self.enterprise.clone();
            section.group = None;
        }
        if self.group.is_some() {
            if section.organization.is_none() && section.enterprise.is_none() {
                return Err(Failure::usage("`--group` needs the owner of the group")
                    .hint("add `--org NAME` or `--enterprise NAME`: repositories have no groups"));
            }
            section.group = self.group.clone();
        }
        if self.token_env.is_some() {
            section.token_env = self.token_env.clone();
        }
        if let Some(wait) = self.wait {
            section.wait = wait;
        }
        if !self.labels.is_empty() {
            section.pools = self
                .labels
                .iter()
                .map(|text| self.pool(text))
                .collect::<Result<_, _>>()?;
        }
        Ok(())
    }

    fn event(&self) -> Option<&'static str> {
        (!matches!(self.action, Some(Action::List))).then_some(Self::NAME)
    }

    async fn run(self, job: &Job) -> Result<Report, Failure> {
        let section = job.config.runner_check()?.cloned().unwrap_or_default();
        // Each of these asks GitHub, and looks for the machine of a runner.
        job.config.github()?;
        job.config.runners()?;
        match self.action {
            None => check::check(job, &section).await,
            Some(Action::List) => list::list(job, &section).await,
            Some(Action::Restart(flags)) => restart::restart(job, &section, &flags).await,
            Some(Action::Prune(flags)) => prune::prune(job, &section, &flags).await,
            Some(Action::StartEmergency(flags)) => emergency::start(job, &section, &flags).await,
        }
    }
}

impl Stage {
    fn pool(&self, text: &str) -> Result<Pool, Failure> {
        let labels: Vec<String> = text
            .split(',')
            .map(|label| label.trim().to_owned())
            .filter(|l| !l.is_empty())
            .collect();
        if labels.is_empty() {
            return Err(Failure::usage("`--labels` names no label"));
        }
        if self.max_start_time.is_some() && !self.scales_from_zero && !self.github_hosted {
            return Err(Failure::usage(
                "`--max-start-time` is for `--scales-from-zero` and `--github-hosted`",
            ));
        }
        Ok(Pool {
            name: labels.join("+"),
            labels,
            min_online: self.min_online.unwrap_or(NonZero::<u32>::MIN),
            repository: None,
            organization: None,
            enterprise: None,
            group: None,
            repositories: Vec::new(),
            runners: Vec::new(),
            prometheus: None,
            scales_from_zero: self.scales_from_zero,
            github_hosted: self.github_hosted,
            max_start_time: self.max_start_time,
        })
    }
}
