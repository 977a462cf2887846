//! `healthgate plan`: how long the canary judge will take, before the rollout.

use cli::{Failure, Job};
use config::file::CanaryKind;
use config::value::Quantity;
use jiff::Timestamp;
use model::report::Table;
use model::{Outcome, Report};
use watch::outlook::{Errors, Outlook, Recent, Requests, unplanned};

/// Which traffic.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// The requests of both sides together [default: as Prometheus counted them in the last 30 minutes, or since they began]
    #[arg(long, value_name = "N", requires = "error_rate", value_parser = requests)]
    requests_per_minute: Option<f64>,
    /// The share of them that fails, such as `0.5%`
    #[arg(long, value_name = "SHARE", requires = "requests_per_minute", value_parser = share)]
    error_rate: Option<Quantity>,
    /// The canary's share of the requests; several are separated by commas
    #[arg(
        long,
        value_name = "SHARE",
        value_delimiter = ',',
        default_value = "10%,25%,50%",
        value_parser = share
    )]
    share: Vec<Quantity>,
}

/// Why a flag's value is not understood.
#[derive(Debug, thiserror::Error)]
enum FlagError {
    #[error("it is not a number of requests above 0")]
    Requests,
    #[error("a share is more than 0% and less than 100%, such as `10%`")]
    Share,
}

fn requests(text: &str) -> Result<f64, FlagError> {
    let number = text.parse().ok();
    let number = number.filter(|number: &f64| *number > 0.0 && *number < 1e12);
    number.ok_or(FlagError::Requests)
}

fn share(text: &str) -> Result<Quantity, FlagError> {
    let share = text.parse::<Quantity>().ok();
    let is_share = |share: &Quantity| 0.0 < share.get() && share.get() < 1.0;
    share.filter(is_share).ok_or(FlagError::Share)
}

impl Flags {
    /// One outcome for each metric and share: a pass where the traffic can show both verdicts in time.
    pub(crate) async fn plan(&self, job: &Job) -> Result<Report, Failure> {
        let started_at = Timestamp::now();
        let canary = config::planned_canary(&job.config)?;
        let canary = canary.unwrap_or_default();
        let metrics = canary.compared();
        let recent = match self.requests_per_minute {
            Some(_) => None,
            None => Some(Recent::of(job, &canary).await?),
        };
        // One that is named twice is planned once.
        let mut shares = self.share.clone();
        shares.sort_by(|a, b| a.get().total_cmp(&b.get()));
        shares.dedup_by(|a, b| a.get().total_cmp(&b.get()).is_eq());
        let mut ids = Vec::new();
        let mut outcomes = Vec::new();
        let mut rows = Vec::new();
        for metric in &metrics {
            let id = |share: &Quantity| format!("plan/{}/{share}", metric.name);
            let shares: Vec<&Quantity> = shares
                .iter()
                .filter(|share| {
                    ids.push(id(share));
                    job.only.selects(&id(share))
                })
                .collect();
            if shares.is_empty() {
                continue;
            }
            let mut skip = |why| {
                outcomes.push(Outcome::skipped(format!("plan/{}", metric.name), "", why));
            };
            let given = self.requests_per_minute.zip(self.error_rate);
            if let Some(why) = unplanned(metric) {
                skip(why);
                continue;
            }
            let requests = match (metric.kind, &recent, given) {
                (_, Some(recent), _) => recent.requests(metric, &canary).await?,
                (CanaryKind::Ratio, None, Some((per_minute, rate))) => Requests {
                    per_minute,
                    errors: Errors::Failed(rate.get()),
                    instances: 0,
                    of: String::new(),
                },
                (CanaryKind::Count | CanaryKind::Gauge, None, _) => {
                    skip(
                        "its events are not known: without `--error-rate`, Prometheus is queried for them",
                    );
                    continue;
                }
                _ => {
                    skip(
                        "its buckets are not known: without `--error-rate`, Prometheus is queried for them",
                    );
                    continue;
                }
            };
            for share in shares {
                let outlook = Outlook::of(id(share), &canary, metric, &requests, *share);
                outcomes.push(outlook.outcome);
                let named = [metric.name.clone(), share.to_string()].into_iter();
                rows.push(named.chain(outlook.cells).collect());
            }
        }
        outcomes.extend(
            job.only
                .unknown(&ids)
                .into_iter()
                .map(crate::only::unmatched_pattern),
        );
        let mut report = Report::from_outcomes("healthgate", started_at, outcomes);
        report.tables.push(Table {
            title: "How long it takes, in eight of ten rollouts: one number means 0.5 to 2 times that long (in brackets: the 90th percentile); otherwise a range"
                .to_owned(),
            header: vec![
                "metric",
                "share",
                "a good release passes",
                "2 times worse is found",
                "5 times worse is found",
            ],
            rows,
            only_in_summary: false,
        });
        Ok(report)
    }
}
