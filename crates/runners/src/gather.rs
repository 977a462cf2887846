//! Asks every source, side by side, each within its time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cli::Job;
use github::runners::Listing;
use github::{Client, Jobs, Scope};
use jiff::Timestamp;
use model::HintedError;

use crate::{Pool, Supply, host, metric};

/// Repositories that are asked side by side, each with some 20 requests: GitHub takes a hundred at
/// once from all that share the token.
const REPOSITORIES: usize = 4;

/// All that the sources said at one time.
#[derive(Clone, Debug)]
pub struct Knowledge {
    pub at: Timestamp,
    /// Whether GitHub has machines of its own for jobs there; an Enterprise Server has none.
    pub offers_machines: bool,
    /// By scope.
    pub listings: BTreeMap<String, Result<Listing, HintedError>>,
    /// By repository.
    pub jobs: BTreeMap<String, Result<Jobs, HintedError>>,
    /// By pool.
    pub metrics: BTreeMap<String, Result<metric::RunnerMetrics, prometheus::Error>>,
    /// By runner.
    pub hosts: BTreeMap<String, Result<host::HostSnapshot, HintedError>>,
}

/// Whom to ask, and how long. One for all looks: an app makes itself a token for each client.
#[derive(Debug)]
pub struct Sources<'a> {
    job: &'a Job,
    client: Result<Client, HintedError>,
    timeout: Duration,
}

impl<'a> Sources<'a> {
    /// `timeout` bounds each source; the client's settings bound the wait for GitHub's rate limits.
    pub fn new(job: &'a Job, client: Result<Client, github::Error>, timeout: Duration) -> Self {
        Sources {
            job,
            client: client.map_err(HintedError::from),
            timeout,
        }
    }

    /// How long to pause before the next look, as GitHub's rate limit allows: `wanted` or longer.
    /// `spent` is what [`Sources::spent`] said before the last one, `left` the time to go on in.
    pub fn pause(&self, wanted: Duration, spent: u64, left: Duration) -> Duration {
        match &self.client {
            Ok(client) => client.pause(wanted, client.spent().saturating_sub(spent), left),
            Err(_) => wanted,
        }
    }

    /// Requests so far that count against GitHub's rate limit.
    pub fn spent_requests(&self) -> u64 {
        self.client.as_ref().map_or(0, Client::spent)
    }

    /// Asks all sources about these pools.
    pub async fn gather(&self, pools: &[Pool]) -> Knowledge {
        let at = Timestamp::now();
        let (listings, metrics) =
            futures_util::future::join(self.lists(pools), self.metrics(pools, at)).await;
        let (jobs, hosts) = futures_util::future::join(
            self.jobs(pools, &listings),
            self.hosts(&reachable(pools, &listings)),
        )
        .await;
        Knowledge {
            at,
            offers_machines: !self
                .job
                .actions
                .api_url
                .trim_end_matches('/')
                .ends_with("/api/v3"),
            listings,
            jobs,
            metrics,
            hosts,
        }
    }

    async fn lists(&self, pools: &[Pool]) -> BTreeMap<String, Result<Listing, HintedError>> {
        // No list shows GitHub's own machines.
        let scopes: BTreeMap<String, &Scope> = pools
            .iter()
            .filter(|pool| !matches!(pool.supply, Supply::Hosted { .. }))
            .map(|pool| (pool.scope.to_string(), &pool.scope))
            .collect();
        let asking = scopes.into_iter().map(|(name, scope)| async move {
            let listing = match &self.client {
                Ok(client) => client.runners(scope).await.map_err(HintedError::from),
                Err(refusal) => Err(refusal.clone()),
            };
            (name, listing)
        });
        futures_util::future::join_all(asking)
            .await
            .into_iter()
            .collect()
    }

    /// Jobs of the pools' repositories: what waits and runs, and what ended where the list does
    /// not answer for itself.
    async fn jobs(
        &self,
        pools: &[Pool],
        listings: &BTreeMap<String, Result<Listing, HintedError>>,
    ) -> BTreeMap<String, Result<Jobs, HintedError>> {
        let mut wanted: BTreeMap<&String, bool> = BTreeMap::new();
        for pool in pools {
            let finished = match listings.get(&pool.scope.to_string()) {
                Some(Ok(listing)) => !listing
                    .runners
                    .iter()
                    .any(|runner| runner.status == "online" && runner.has(&pool.labels)),
                _ => true,
            };
            for repository in &pool.repositories {
                *wanted.entry(repository).or_default() |= finished;
            }
        }
        let mut jobs = BTreeMap::new();
        let client = match &self.client {
            Ok(client) if client.has_token() => client,
            Ok(_) => return jobs,
            Err(refusal) => {
                let refused = |name: &String| (name.clone(), Err(refusal.clone()));
                return wanted.into_keys().map(refused).collect();
            }
        };
        let wanted: Vec<(&String, bool)> = wanted.into_iter().collect();
        for some in wanted.chunks(REPOSITORIES) {
            let asking = some.iter().map(|(name, finished)| async move {
                let jobs = client.jobs(name, *finished).await;
                ((*name).clone(), jobs.map_err(HintedError::from))
            });
            jobs.extend(futures_util::future::join_all(asking).await);
        }
        jobs
    }

    async fn metrics(
        &self,
        pools: &[Pool],
        at: Timestamp,
    ) -> BTreeMap<String, Result<metric::RunnerMetrics, prometheus::Error>> {
        let asking = pools.iter().filter_map(|pool| {
            let metric = pool.metric.as_ref()?;
            Some(async move {
                (
                    pool.name.clone(),
                    metric::query_metric(metric, at, self.timeout).await,
                )
            })
        });
        futures_util::future::join_all(asking)
            .await
            .into_iter()
            .collect()
    }

    /// What the machines of these runners say.
    pub async fn hosts(
        &self,
        names: &BTreeSet<String>,
    ) -> BTreeMap<String, Result<host::HostSnapshot, HintedError>> {
        let asking = names.iter().filter_map(|name| {
            let runner = self.job.config.runners().ok()?.get(name)?;
            Some(async move {
                (
                    name.clone(),
                    host::query_host(self.job, name, runner, self.timeout).await,
                )
            })
        });
        futures_util::future::join_all(asking)
            .await
            .into_iter()
            .collect()
    }
}

/// Runners whose machines could be queried: the members, and all runners in the list.
fn reachable(
    pools: &[Pool],
    listings: &BTreeMap<String, Result<Listing, HintedError>>,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for pool in pools {
        names.extend(pool.members.iter().cloned());
        if let Some(Ok(listing)) = listings.get(&pool.scope.to_string()) {
            let matching = listing
                .runners
                .iter()
                .filter(|runner| runner.has(&pool.labels));
            names.extend(matching.map(|runner| runner.name.clone()));
        }
    }
    names
}
