//! What jobs show about runners: which ones work or worked, and how long a job has waited for one.
//!
//! All that a workflow's own token may see. A runner that took a job with more labels has the
//! fewer, too; a job that waits with fewer labels would be taken by a runner that has more.

use std::time::Duration;

use github::{Job, Jobs};
use jiff::Timestamp;
use model::text::{counted, span};

use crate::{Evidence, Pool, Source, State, Supply, Trust};

/// How long ago a job may have begun late to tell something of the next one.
const LATE_COUNTS_FOR: Duration = Duration::from_hours(1);

/// What the jobs say about a pool and its runners. A job may wait `max_queue_time` for a runner, and as
/// long as its supply says for one that is started for it.
pub fn evidence(
    pool: &Pool,
    supply: Supply,
    jobs: &Jobs,
    now: Timestamp,
    max_queue_time: Duration,
) -> Vec<Evidence> {
    let mut found = Vec::new();
    let taken = |job: &&Job| fits(pool, job) && job.runner().is_some();
    let running: Vec<&Job> = jobs
        .jobs
        .iter()
        .filter(taken)
        .filter(|job| job.status == "in_progress")
        .collect();
    for job in &running {
        let runner = job.runner().unwrap_or_default();
        let since = job
            .started_at
            .map(|at| format!(" for {}", span(ago(at, now))));
        let says = format!("runs job `{}`{}", job.name, since.unwrap_or_default());
        found.push(Evidence::new(Source::Jobs, State::Busy, Trust::Work, says).of(runner));
    }
    if let Some(within) = supply.max_start_time() {
        // A machine of its own for each job: one that has finished its job is gone.
        found.push(queue(pool, jobs, now, within, None));
        found.push(starts(pool, jobs, now, within));
    } else {
        found.extend(last_finished(pool, jobs, now));
        found.push(queue(pool, jobs, now, max_queue_time, Some(running.len())));
    }
    found
}

/// How long jobs have waited until a machine was started for them.
fn starts(pool: &Pool, jobs: &Jobs, now: Timestamp, within: Duration) -> Evidence {
    let mut begun: Vec<(Timestamp, Duration, &Job)> = jobs
        .jobs
        .iter()
        .filter(|job| fits(pool, job) && job.runner().is_some())
        .filter_map(|job| {
            let at = job.started_at?;
            Some((at, ago(job.created_at?, at), job))
        })
        .collect();
    begun.sort_by_key(|(at, _, job)| (*at, job.id));
    let Some((at, waited, job)) = begun.last().copied() else {
        let says = "no job with these labels is among the recent runs";
        return Evidence::new(Source::Jobs, State::Unknown, Trust::Hearsay, says);
    };
    let late = begun
        .iter()
        .filter(|(_, waited, _)| *waited > within)
        .count();
    let says = format!(
        "the last job with these labels (`{}`) waited {} for a machine, where {} is expected; {late} of {} in recent runs waited longer",
        job.name,
        span(waited),
        span(within),
        begun.len()
    );
    let age = ago(at, now);
    let state = match waited > within {
        true if age <= LATE_COUNTS_FOR => State::Offline,
        true => State::Unknown,
        false => State::OnDemand,
    };
    Evidence::new(Source::Jobs, state, Trust::Hearsay, says).aged(Some(age))
}

/// Runners that finished a job of this pool a short while ago, whatever became of them.
pub fn finished_lately(
    pool: &Pool,
    jobs: &Jobs,
    now: Timestamp,
    max_evidence_age: Duration,
) -> bool {
    last_finished(pool, jobs, now)
        .iter()
        .any(|evidence| evidence.state.is_up() && evidence.counts(max_evidence_age))
}

/// What a job that ended proves about its runner: it was online then.
fn last_finished(pool: &Pool, jobs: &Jobs, now: Timestamp) -> Vec<Evidence> {
    let mut newest: std::collections::BTreeMap<&str, (Timestamp, &Job)> =
        std::collections::BTreeMap::new();
    for job in jobs
        .jobs
        .iter()
        .filter(|job| job.status == "completed" && fits(pool, job))
    {
        let (Some(runner), Some(at)) = (job.runner(), job.completed_at) else {
            continue;
        };
        let last = newest.entry(runner).or_insert((at, job));
        if at > last.0 {
            *last = (at, job);
        }
    }
    let evidence = |(runner, (at, job)): (&str, (Timestamp, &Job))| {
        let (state, says) = if job.is_abandoned() {
            let says = format!(
                "did not report the end of job `{}`: it may be lost",
                job.name
            );
            (State::Unknown, says)
        } else {
            (State::Online, format!("finished job `{}`", job.name))
        };
        Evidence::new(Source::Jobs, state, Trust::Hearsay, says)
            .of(runner)
            .aged(Some(ago(at, now)))
    };
    newest.into_iter().map(evidence).collect()
}

/// What waits, as evidence about the pool as a whole. `running` are the jobs that keep its runners
/// busy; `None` where a runner is started for each job, so that no job waits for another's end.
fn queue(
    pool: &Pool,
    jobs: &Jobs,
    now: Timestamp,
    max_queue_time: Duration,
    running: Option<usize>,
) -> Evidence {
    let waiting: Vec<&Job> = jobs
        .jobs
        .iter()
        .filter(|job| {
            job.status == "queued" && !job.labels.is_empty() && all_in(&job.labels, &pool.labels)
        })
        .collect();
    let oldest = waiting
        .iter()
        .filter_map(|job| Some((job.created_at.or(job.started_at)?, *job)))
        .min_by_key(|(at, _)| *at);
    let unseen = match jobs.unseen {
        0 => String::new(),
        more => format!("; {more} more runs were not looked into"),
    };
    let Some((at, job)) = oldest else {
        let says = match running {
            Some(0) => format!("no job with these labels waits or runs{unseen}"),
            _ => format!("no job with these labels waits{unseen}"),
        };
        return Evidence::new(Source::Jobs, State::Unknown, Trust::Hearsay, says);
    };
    let waited = ago(at, now);
    let text = format!(
        "{} with these labels, the oldest (`{}`) for {}",
        counted(waiting.len(), "job waits", "jobs wait"),
        job.name,
        span(waited)
    );
    match (waited > max_queue_time, running) {
        (true, None) => {
            let says = format!("{text}, where {} is expected{unseen}", span(max_queue_time));
            Evidence::new(Source::Jobs, State::Offline, Trust::Hearsay, says)
        }
        (true, Some(0)) => {
            let says = format!("{text}, and none runs{unseen}");
            // Runs that were not inspected may be the ones that keep the runners busy.
            let state = if jobs.unseen == 0 {
                State::Offline
            } else {
                State::Unknown
            };
            Evidence::new(Source::Jobs, state, Trust::Hearsay, says)
        }
        (true, Some(running)) => {
            let says = format!("{text}, while {running} run{unseen}");
            Evidence::new(Source::Jobs, State::Unknown, Trust::Hearsay, says)
        }
        (false, _) => {
            let says = format!("{text}, which is too few for a verdict{unseen}");
            Evidence::new(Source::Jobs, State::Unknown, Trust::Hearsay, says)
        }
    }
}

/// Whether the runner that took the job belongs to this pool. If any labels match, GitHub's own
/// machines must not be taken for self-hosted ones.
fn fits(pool: &Pool, job: &Job) -> bool {
    if pool.labels.is_empty() {
        return all_in(&["self-hosted".to_owned()], &job.labels);
    }
    all_in(&pool.labels, &job.labels)
}

/// Whether each label is one of the others.
fn all_in(labels: &[String], of: &[String]) -> bool {
    labels
        .iter()
        .all(|label| of.iter().any(|other| other.eq_ignore_ascii_case(label)))
}

/// How long ago; a clock ahead of ours has just struck.
fn ago(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZero;

    fn pool() -> Pool {
        Pool {
            name: "primary".into(),
            labels: vec!["self-hosted".into(), "Production".into()],
            min_online: NonZero::<u32>::MIN,
            scope: github::Scope::Repository("acme/shop".into()),
            members: Vec::new(),
            only_members: false,
            repositories: vec!["acme/shop".into()],
            metric: None,
            supply: Supply::Registered,
        }
    }

    fn job(status: &str, labels: &[&str], runner: Option<&str>, minutes: i64) -> Job {
        let at = Timestamp::from_second(1_000_000 - minutes * 60).ok();
        Job {
            id: 1,
            name: "deploy".into(),
            status: status.into(),
            labels: labels.iter().map(ToString::to_string).collect(),
            runner_name: runner.map(str::to_owned),
            created_at: at,
            started_at: at,
            completed_at: (status == "completed").then_some(at).flatten(),
            conclusion: (status == "completed").then(|| "success".to_owned()),
            steps: None,
            html_url: None,
        }
    }

    /// What is said of a pool that starts a machine within two minutes for each job.
    fn on_demand(jobs: Vec<Job>, unseen: u64) -> Vec<(State, String)> {
        let jobs = Jobs {
            jobs,
            with_finished: true,
            unseen,
        };
        let now = Timestamp::from_second(1_000_000).unwrap_or_default();
        let within = Duration::from_secs(120);
        let supply = Supply::FromZero { within };
        let found = evidence(&pool(), supply, &jobs, now, Duration::ZERO);
        let about = found.into_iter().filter(|e| e.runner.is_none());
        about.map(|e| (e.state, e.says)).collect()
    }

    #[test]
    fn a_pool_without_runners_is_told_by_how_late_its_jobs_begin() {
        use State::{Offline, OnDemand, Unknown};

        let labels = ["self-hosted", "production"];
        // Made 9 minutes ago, begun after so many minutes.
        let begun = |after: i64| Job {
            started_at: Timestamp::from_second(1_000_000 - (9 - after) * 60).ok(),
            ..job("completed", &labels, Some("web-01"), 9)
        };
        let states = |jobs: Vec<Job>, unseen| {
            let found = on_demand(jobs, unseen).into_iter();
            found.map(|(state, _)| state).collect::<Vec<_>>()
        };
        assert_eq!(states(vec![], 0), [Unknown, Unknown]);
        assert_eq!(states(vec![begun(1)], 0), [Unknown, OnDemand]);
        assert_eq!(states(vec![begun(5)], 0), [Unknown, Offline]);
        // The last one tells, and how many were late is said.
        assert_eq!(states(vec![begun(5), begun(1)], 0)[1], Offline);
        let found = on_demand(vec![begun(5), begun(1)], 0);
        assert!(
            found[1].1.ends_with("1 of 2 in recent runs waited longer"),
            "{found:?}"
        );
        // One that waits now, whatever else runs or was not looked into.
        let running = job("in_progress", &labels, Some("web-02"), 3);
        let waits = job("queued", &labels, None, 9);
        assert_eq!(states(vec![waits, running], 7)[0], Offline);
        // A late start long ago proves nothing about the next one.
        let mut old = begun(5);
        for at in [&mut old.created_at, &mut old.started_at] {
            *at = at.map(|at| at - jiff::SignedDuration::from_hours(2));
        }
        assert_eq!(states(vec![old], 0), [Unknown, Unknown]);
    }

    fn evidence_rows(jobs: Vec<Job>, unseen: u64) -> Vec<(Option<String>, State, String)> {
        let jobs = Jobs {
            jobs,
            with_finished: true,
            unseen,
        };
        let now = Timestamp::from_second(1_000_000).unwrap_or_default();
        evidence(
            &pool(),
            Supply::Registered,
            &jobs,
            now,
            Duration::from_secs(120),
        )
        .into_iter()
        .map(|e| (e.runner, e.state, e.says))
        .collect()
    }

    #[test]
    fn who_works_is_busy_and_who_worked_was_there() {
        let both = ["Self-Hosted", "production", "gpu"];
        let seen = evidence_rows(
            vec![
                job("in_progress", &both, Some("web-01"), 3),
                job("completed", &both, Some("web-02"), 9),
                job("completed", &both, Some("web-02"), 5),
                // Other labels prove nothing about this pool, and a job without a runner nothing about any runner.
                job("in_progress", &["self-hosted"], Some("other"), 1),
                job("completed", &both, Some(""), 5),
            ],
            0,
        );
        assert_eq!(seen.len(), 3, "{seen:?}");
        assert_eq!(
            seen[0],
            (
                Some("web-01".into()),
                State::Busy,
                "runs job `deploy` for 3m".into()
            )
        );
        assert_eq!(
            (seen[1].0.as_deref(), seen[1].1),
            (Some("web-02"), State::Online)
        );
        assert_eq!(
            seen[2],
            (
                None,
                State::Unknown,
                "no job with these labels waits".into()
            )
        );
    }

    #[test]
    fn a_job_that_its_runner_did_not_end_is_no_sign_of_life() {
        let ended = |conclusion: &str, steps: &[(&str, &str)]| {
            let mut job = job(
                "completed",
                &["self-hosted", "production"],
                Some("web-01"),
                5,
            );
            job.conclusion = Some(conclusion.into());
            let steps = steps.iter().map(|(name, status)| github::jobs::Step {
                name: (*name).into(),
                status: (*status).into(),
                ..github::jobs::Step::default()
            });
            job.steps = Some(steps.collect());
            evidence_rows(vec![job], 0)[0].1
        };
        let lost = [("Set up job", "completed"), ("Run make", "in_progress")];
        let whole = [("Run make", "completed"), ("Complete job", "completed")];
        assert_eq!(ended("failure", &lost), State::Unknown);
        assert_eq!(ended("cancelled", &[]), State::Unknown);
        assert_eq!(ended("failure", &whole), State::Online);
        assert_eq!(ended("success", &[]), State::Online);
    }

    #[test]
    fn a_job_that_nobody_takes_is_a_sign_and_an_empty_queue_is_none() {
        let labels = ["self-hosted", "production"];
        let waits = |minutes| job("queued", &labels, None, minutes);
        let one = |jobs, unseen| {
            evidence_rows(jobs, unseen)
                .pop()
                .unwrap_or((None, State::Online, String::new()))
        };
        let (_, state, text) = one(vec![waits(20), waits(3)], 0);
        assert_eq!(state, State::Offline);
        assert_eq!(
            text,
            "2 jobs wait with these labels, the oldest (`deploy`) for 20m, and none runs"
        );
        assert_eq!(one(vec![waits(1)], 0).1, State::Unknown);
        assert_eq!(one(vec![waits(20)], 7).1, State::Unknown);
        assert_eq!(one(vec![], 0).1, State::Unknown);
        let busy = job("in_progress", &labels, Some("web-01"), 30);
        assert_eq!(one(vec![waits(20), busy], 0).1, State::Unknown);
        // A job for a runner with a label more, or for GitHub's own machines, waits for others.
        assert_eq!(
            one(vec![job("queued", &["production", "gpu"], None, 20)], 0).1,
            State::Unknown
        );
        assert_eq!(one(vec![job("queued", &[], None, 20)], 0).1, State::Unknown);
    }
}
