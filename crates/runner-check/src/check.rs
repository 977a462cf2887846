//! The pools in their order: the first that can take the job wins.

use cli::{Failure, Job};
use config::file::RunnerCheck;
use jiff::Timestamp;
use model::text::span;
use model::{Outcome, Report, Severity, Verdict};
use runners::{Judgement, Knowledge, Pool, State};
use tokio::time::Instant;

use crate::sources::{no_owner, rules, sources, unless_interrupted};

pub(crate) async fn check(job: &Job, section: &RunnerCheck) -> Result<Report, Failure> {
    let started_at = Timestamp::now();
    if section.pools.is_empty() {
        return Err(Failure::usage("no pool of runners is configured").hint(
            "pass `--labels self-hosted,linux`, or add `runner-check: { pools: [{ name: primary, labels: [self-hosted] }] }`",
        ));
    }
    let pools = chosen(job, section)?;
    if job.dry_run || pools.is_empty() {
        let skipped = pools
            .iter()
            .map(|pool| Outcome::skipped(id(pool), pool.describe_labels(), "dry run: not checked"));
        return Ok(Report::from_outcomes(
            "runner-check",
            started_at,
            skipped.collect(),
        ));
    }
    job.progress
        .show(&format!("querying {} for runners", job.actions.api_url));
    let sources = sources(job, section, section.wait.get());
    let until = Instant::now() + section.wait.get();
    loop {
        let spent = sources.spent_requests();
        let known = unless_interrupted(sources.gather(&pools), job).await?;
        let seen = PoolSurvey::of(&pools, &known, job, section);
        let left = until.saturating_duration_since(Instant::now());
        if seen.winner.is_some() || left.is_zero() || seen.is_hopeless() {
            return Ok(seen.report(started_at, job, section));
        }
        let pause = sources.pause(section.interval.get(), spent, left).min(left);
        job.progress.show(&format!(
            "no pool can take the job yet ({}); looking again in {}, for {} more",
            seen.brief(),
            span(pause),
            span(left)
        ));
        unless_interrupted(tokio::time::sleep(pause), job).await?;
    }
}

/// The pools that `--only` and `--skip` leave.
fn chosen(job: &Job, section: &RunnerCheck) -> Result<Vec<Pool>, Failure> {
    section
        .pools
        .iter()
        .filter(|pool| job.only.selects(&format!("pool/{}", pool.name)))
        .map(|pool| {
            Pool::of_section(pool, section, job.actions.repository.as_ref()).ok_or_else(no_owner)
        })
        .collect()
}

fn id(pool: &Pool) -> String {
    format!("pool/{}", pool.name)
}

/// One look at all pools.
struct PoolSurvey<'p> {
    pools: Vec<(&'p Pool, Judgement, Outcome)>,
    winner: Option<&'p Pool>,
}

impl<'p> PoolSurvey<'p> {
    fn of(pools: &'p [Pool], known: &Knowledge, job: &Job, section: &RunnerCheck) -> Self {
        let runners = job.config.runners().into_iter().flatten();
        let reachable: Vec<&str> = runners.map(|(name, _)| name.as_str()).collect();
        let judged: Vec<(&Pool, Judgement, Outcome)> = pools
            .iter()
            .map(|pool| {
                let judgement = runners::judge(pool, known, &rules(section));
                let outcome =
                    runners::outcome::outcome(id(pool), pool, &judgement, known.at, &reachable);
                (pool, judgement, outcome)
            })
            .collect();
        let winner = judged
            .iter()
            .find(|(_, _, outcome)| outcome.verdict == Verdict::Pass)
            .map(|(pool, ..)| *pool);
        PoolSurvey {
            pools: judged,
            winner,
        }
    }

    /// No source could be queried, so no runner can have come up.
    fn is_hopeless(&self) -> bool {
        self.pools
            .iter()
            .all(|(_, _, outcome)| outcome.verdict == Verdict::Error)
    }

    /// What each pool said, in a few words.
    fn brief(&self) -> String {
        let said: Vec<String> = self
            .pools
            .iter()
            .map(|(pool, judgement, _)| format!("{}: {judgement}", pool.name))
            .collect();
        said.join("; ")
    }

    fn report(self, started_at: Timestamp, job: &Job, section: &RunnerCheck) -> Report {
        let tables = self
            .pools
            .iter()
            .map(|(pool, judgement, _)| runners::table::evidence(pool, judgement));
        let tables = tables.collect();
        let next = self.next_step(job, section);
        let brief = self.brief();
        let decided = self
            .pools
            .iter()
            .all(|(_, judgement, _)| judgement.state == State::Offline);
        let mut outcomes = Vec::new();
        let mut won = false;
        for (pool, _, outcome) in self.pools {
            if won {
                let winner = self.winner.map_or("", |winner| winner.name.as_str());
                let reason = format!("not needed: {winner} takes the job");
                outcomes.push(Outcome::skipped(id(pool), pool.describe_labels(), reason));
                continue;
            }
            won = outcome.verdict == Verdict::Pass;
            outcomes.push(outcome);
        }
        for outcome in outcomes.iter_mut().filter(|o| o.verdict != Verdict::Pass) {
            // A pool that cannot take the job is not a failure if another one can, or if it is
            // unknown whether another one can.
            if self.winner.is_some() || !decided && outcome.verdict == Verdict::Fail {
                outcome.severity = Severity::Advisory;
            }
        }
        let mut report = Report::from_outcomes("runner-check", started_at, outcomes);
        report.tables = tables;
        report.reason = match self.winner {
            Some(pool) => {
                report.outputs = outputs(pool);
                format!(
                    "pool {} takes the job: runs-on {}",
                    pool.name,
                    pool.describe_labels()
                )
            }
            None if decided => format!("no pool can take the job ({brief}); next: {next}"),
            None => format!("no pool takes the job for certain ({brief}); next: {next}"),
        };
        report
    }

    /// Runbook 004: all down is an emergency, and anything undecided is looked into first.
    fn next_step(&self, job: &Job, section: &RunnerCheck) -> String {
        let all_down = self
            .pools
            .iter()
            .all(|(_, judgement, _)| judgement.state == State::Offline);
        if !all_down {
            return "`runner-check list` shows what each source reports".to_owned();
        }
        if section.emergency.is_some() {
            return "page the on-call (P1: deployments are blocked), then `runner-check start-emergency`".to_owned();
        }
        let down = self
            .pools
            .iter()
            .flat_map(|(_, judgement, _)| &judgement.runners);
        let mut ours = down.filter(|runner| {
            let runners = job.config.runners();
            runners.is_ok_and(|runners| runners.contains_key(&runner.name))
        });
        match ours.next() {
            Some(runner) => format!("page the on-call (P1: deployments are blocked), then `runner-check restart {}`", runner.name),
            None => "page the on-call (P1: deployments are blocked) and start one of the runners; `runner-check list` shows them".to_owned(),
        }
    }
}

/// What later jobs read. The flat form is the list without its brackets: a secret that is JSON
/// makes the runner mask `[`, and drop the list.
pub(crate) fn outputs(pool: &Pool) -> Vec<(String, String)> {
    let quoted = pool.labels.iter().map(|label| serde_json::json!(label));
    let quoted: Vec<String> = quoted.map(|label| label.to_string()).collect();
    vec![
        ("runs-on-flat".to_owned(), quoted.join(",")),
        (
            "runs-on".to_owned(),
            serde_json::json!(pool.labels).to_string(),
        ),
        ("pool".to_owned(), pool.name.clone()),
    ]
}
