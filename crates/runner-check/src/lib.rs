//! Will a runner take the job, and which labels should it ask for?
//!
//! Pools are asked side by side; the first in order that can take the job wins and becomes
//! `runs-on`.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::time::{Duration, Instant};

use cli::{Failure, Job};
use config::Section;
use config::file::{Pool, RunnerCheck};
use github::runners::Listing;
use github::{Error, Judgement, Scope};
use model::{Outcome, Report, Severity, Verdict};

/// The stage and its flags.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Stage {
    /// Labels a runner must all have, separated by commas; one pool for each time it is given
    #[arg(long, value_name = "LABELS")]
    labels: Vec<String>,
    /// The repository whose runners are asked [default: that of the workflow run]
    #[arg(long, value_name = "OWNER/NAME", conflicts_with = "org")]
    repo: Option<String>,
    /// The organisation whose runners are asked
    #[arg(long, value_name = "NAME")]
    org: Option<String>,
    /// How many must be online [default: 1]
    #[arg(long, value_name = "N", requires = "labels")]
    min_online: Option<NonZero<u32>>,
    /// The environment variable with a token that may list runners [default: GITHUB_TOKEN]
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,
}

const EXAMPLES: &str = "Examples:
  runner-check --repo acme/shop --labels self-hosted,linux,production
  runner-check        # the pools of the configuration, primary first

The output `runs-on` is JSON for `runs-on: ${{ fromJSON(needs.check.outputs.runs-on) }}`.

Exit codes: 0 pass, 1 no pool can take the job, 2 usage, 4 we could not ask (no permission)";

/// How long one request to GitHub may take.
const TIMEOUT: Duration = Duration::from_secs(10);

impl cli::Stage for Stage {
    const NAME: &'static str = "runner-check";
    const ABOUT: &'static str = "Will a runner take the job, and which labels should it ask for?";
    const EXAMPLES: &'static str = EXAMPLES;
    const SECTIONS: &'static [Section] = &[Section::Github, Section::RunnerCheck];

    fn configure(&self, config: &mut config::Config) -> Result<(), Failure> {
        let section = config.runner_check.get_or_insert_default();
        if self.repo.is_some() {
            (section.repository, section.organization) = (self.repo.clone(), None);
        }
        if self.org.is_some() {
            (section.organization, section.repository) = (self.org.clone(), None);
        }
        if self.token_env.is_some() {
            section.token_env = self.token_env.clone();
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

    async fn run(self, job: &Job) -> Result<Report, Failure> {
        let started_at = jiff::Timestamp::now();
        let section = job.config.runner_check.clone().unwrap_or_default();
        let pools: Vec<&Pool> = section
            .pools
            .iter()
            .filter(|pool| job.only.selects(&id(pool)))
            .collect();
        if section.pools.is_empty() {
            return Err(Failure::usage("no pool of runners is configured").hint(
                "pass `--labels self-hosted,linux`, or add `runner-check: { pools: [{ name: primary, labels: [self-hosted] }] }`",
            ));
        }
        if job.dry_run {
            let outcomes = pools.iter().map(|pool| {
                Outcome::skipped(id(pool), pool.labels.join(", "), "dry run: not asked")
            });
            return Ok(Report::from_outcomes(
                Self::NAME,
                started_at,
                outcomes.collect(),
            ));
        }
        let lists = ask(&section, &pools, job).await?;
        let (outcomes, winner) = judge(&pools, &lists, |pool| scope(&section, pool, job));
        let mut report = Report::from_outcomes(Self::NAME, started_at, outcomes);
        if let Some(pool) = winner {
            report.reason = format!(
                "pool {} takes the job: runs-on {}",
                pool.name,
                pool.labels.join(", ")
            );
            let labels = serde_json::json!(pool.labels).to_string();
            report.outputs.push(("runs-on".to_owned(), labels));
        }
        Ok(report)
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
        Ok(Pool {
            name: labels.join("+"),
            labels,
            min_online: self.min_online.unwrap_or(NonZero::<u32>::MIN),
            organization: None,
        })
    }
}

fn id(pool: &Pool) -> String {
    format!("pool/{}", pool.name)
}

/// Whose runners a pool is looked for in.
fn scope(section: &RunnerCheck, pool: &Pool, job: &Job) -> Option<Scope> {
    if let Some(name) = pool.organization.as_ref().or(section.organization.as_ref()) {
        return Some(Scope::Organization(name.clone()));
    }
    let name = section
        .repository
        .as_ref()
        .or(job.actions.repository.as_ref())?;
    Some(Scope::Repository(name.clone()))
}

type Lists = BTreeMap<String, Result<Listing, Error>>;

/// The runners of every scope that is needed, each asked once.
async fn ask(section: &RunnerCheck, pools: &[&Pool], job: &Job) -> Result<Lists, Failure> {
    let mut scopes: Vec<Scope> = Vec::new();
    for pool in pools {
        let scope = scope(section, pool, job).ok_or_else(|| {
            Failure::usage("no repository is named")
                .hint("pass `--repo OWNER/NAME`; in a workflow GITHUB_REPOSITORY says it")
        })?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    let client = job
        .github(
            section.token_env.as_deref(),
            TIMEOUT,
            Instant::now() + TIMEOUT,
        )
        .map_err(|error| {
            let hint = error.hint();
            Failure::error(error).hint(hint)
        })?;
    job.progress
        .say(&format!("asking {} for runners", job.actions.api_url));
    let asking = futures_util::future::join_all(scopes.iter().map(|scope| client.runners(scope)));
    let answers = unless_interrupted(asking, job).await?;
    Ok(scopes
        .iter()
        .map(ToString::to_string)
        .zip(answers)
        .collect())
}

/// The answers, unless a signal comes first.
async fn unless_interrupted<T>(asking: impl Future<Output = T>, job: &Job) -> Result<T, Failure> {
    let interrupted = std::pin::pin!(job.interrupt.wait());
    match futures_util::future::select(std::pin::pin!(asking), interrupted).await {
        futures_util::future::Either::Left((answers, _)) => Ok(answers),
        futures_util::future::Either::Right(_) => Err(Failure::error("interrupted")),
    }
}

/// An outcome for each pool, and the first that can take the job.
fn judge<'p>(
    pools: &[&'p Pool],
    lists: &Lists,
    scope: impl Fn(&Pool) -> Option<Scope>,
) -> (Vec<Outcome>, Option<&'p Pool>) {
    let mut winner = None;
    let mut outcomes = Vec::new();
    for pool in pools {
        let subject = pool.labels.join(", ");
        if let Some(winner) = winner {
            let winner: &Pool = winner;
            outcomes.push(Outcome::skipped(
                id(pool),
                subject,
                format!("not needed: {} takes the job", winner.name),
            ));
            continue;
        }
        let Some(scope) = scope(pool) else { continue };
        let outcome = match lists.get(&scope.to_string()) {
            Some(Ok(listing)) => one(pool, &scope, &github::runners::judge(listing, &pool.labels)),
            Some(Err(error)) => Outcome::error(id(pool), subject)
                .expected(expected(pool))
                .actual(error.to_string())
                .reason(format!("{scope}: {error}"))
                .hint(error.hint()),
            None => continue,
        };
        if outcome.verdict == Verdict::Pass {
            winner = Some(*pool);
        }
        outcomes.push(outcome);
    }
    if winner.is_some() {
        // A pool that cannot take the job is no failure where another one can.
        for outcome in outcomes.iter_mut().filter(|o| o.verdict != Verdict::Pass) {
            outcome.severity = Severity::Advisory;
        }
    }
    (outcomes, winner)
}

fn expected(pool: &Pool) -> String {
    format!(
        "at least {} online with {}",
        pool.min_online,
        pool.labels.join(", ")
    )
}

fn one(pool: &Pool, scope: &Scope, judgement: &Judgement) -> Outcome {
    let subject = pool.labels.join(", ");
    let enough = judgement.online() >= pool.min_online.get() as usize;
    if enough {
        let mut actual = judgement.to_string();
        if judgement.idle.is_empty() {
            actual.push_str("; all are busy, so the job waits for one");
        }
        return Outcome::pass(id(pool), subject)
            .expected(expected(pool))
            .actual(actual);
    }
    let hint = if judgement.matching() == 0 {
        format!("compare the labels with {scope}'s settings, Actions, Runners")
    } else if judgement.offline.is_empty() {
        format!(
            "start more runners, or lower `min-online` ({})",
            pool.min_online
        )
    } else {
        format!(
            "start {}: on its machine `sudo systemctl start 'actions.runner.*'`, then look at `journalctl -u 'actions.runner.*'`",
            judgement
                .offline
                .iter()
                .take(3)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ")
        )
    };
    let verdict = if judgement.is_sure() {
        Outcome::fail
    } else {
        Outcome::inconclusive
    };
    verdict(id(pool), subject)
        .expected(expected(pool))
        .actual(judgement.to_string())
        .reason(format!("{scope}: {judgement}"))
        .hint(hint)
}
