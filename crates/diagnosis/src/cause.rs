//! Which job of a run, and which step of it, is the cause.

use github::Job;
use github::jobs::Step;
use jiff::Timestamp;

use crate::job_needs::{Needed, base};

/// The job that is the cause, and the others that did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause<'a> {
    pub first: Suspect<'a>,
    /// In the order in which they failed; behind them those that were cancelled, and last those that may fail.
    pub others: Vec<Suspect<'a>>,
}

/// A job that failed or was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspect<'a> {
    pub job: &'a Job,
    /// The step that ended the job; `None` where no step did.
    pub step: Option<&'a Step>,
}

/// How badly a job or a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Badness {
    Failed,
    Cancelled,
}

/// GitHub's words; a job that was skipped was never the cause.
fn badness(conclusion: Option<&str>) -> Option<Badness> {
    match conclusion? {
        "failure" | "timed_out" | "startup_failure" | "action_required" | "stale" => {
            Some(Badness::Failed)
        }
        "cancelled" => Some(Badness::Cancelled),
        _ => None,
    }
}

/// `None` where no job failed or was cancelled, so far. Of several that failed the first one counts
/// on which another job depends that was not run; where nothing is known of that, the first. A job that may fail is the
/// cause only where no other one ended badly.
pub fn cause<'a>(jobs: &'a [Job], needed: &Needed) -> Option<Cause<'a>> {
    let may_fail = |job: &Job| needed.may_fail.contains(&base(&job.name));
    let mut bad: Vec<(Badness, Suspect<'a>)> = jobs.iter().filter_map(suspect).collect();
    bad.sort_by_key(|(badness, suspect)| {
        let job = suspect.job;
        let holds_up = *badness == Badness::Failed && holds_up_others(job, jobs, needed);
        (may_fail(job), *badness, !holds_up, when(suspect), job.id)
    });
    let mut bad = bad.into_iter().map(|(_, suspect)| suspect);
    let first = bad.next()?;
    let mut others: Vec<Suspect<'a>> = bad.collect();
    others.sort_by_key(|suspect| {
        let job = suspect.job;
        (may_fail(job), suspect_badness(job), when(suspect), job.id)
    });
    Some(Cause { first, others })
}

/// How a job ended, or how it will: one of its steps has failed already.
fn suspect_badness(job: &Job) -> Option<Badness> {
    if job.status == "completed" {
        return badness(job.conclusion.as_deref());
    }
    let steps = job.steps.as_deref().unwrap_or_default();
    let failed = |step: &&Step| badness(step.conclusion.as_deref()) == Some(Badness::Failed);
    steps.iter().find(failed).map(|_| Badness::Failed)
}

fn suspect(job: &Job) -> Option<(Badness, Suspect<'_>)> {
    let badness = suspect_badness(job)?;
    let steps = job.steps.as_deref().unwrap_or_default();
    Some((
        badness,
        Suspect {
            job,
            step: failed_step(steps, job.status == "completed"),
        },
    ))
}

/// The step that ended a job: the first that failed, else the one that was cancelled, else the one that
/// never ended, because its runner was lost. A step that may fail is a success for GitHub; where one is
/// listed as failed and the step behind it was run all the same, a later one is the cause.
fn failed_step(steps: &[Step], is_over: bool) -> Option<&Step> {
    let with = |wanted: Badness| {
        let all = steps.iter().enumerate();
        all.filter(move |(_, step)| badness(step.conclusion.as_deref()) == Some(wanted))
    };
    let stopped = |at: usize| {
        let next = steps[at + 1..].iter().find(|step| !is_of_the_runner(step));
        next.is_none_or(|next| next.conclusion.as_deref() != Some("success"))
    };
    let failed = with(Badness::Failed).find(|(at, _)| stopped(*at));
    let failed = failed.or_else(|| with(Badness::Failed).next());
    let cancelled = || with(Badness::Cancelled).next();
    let lost = || {
        let mut all = steps.iter().enumerate();
        all.find(|(_, step)| is_over && step.status == "in_progress")
    };
    failed
        .or_else(cancelled)
        .or_else(lost)
        .map(|(_, step)| step)
}

impl<'a> Suspect<'a> {
    /// The other steps of the job that failed, in their order: those of `if: always()`, for example.
    pub fn other_steps(&self) -> impl Iterator<Item = &'a Step> {
        let own = self.step;
        let steps = self.job.steps.as_deref().unwrap_or_default().iter();
        steps.filter(move |step| {
            badness(step.conclusion.as_deref()) == Some(Badness::Failed)
                && own.is_none_or(|own| !std::ptr::eq(own, *step))
        })
    }
}

/// Steps that are run whatever happened before.
fn is_of_the_runner(step: &Step) -> bool {
    step.name.starts_with("Post ")
        || matches!(step.name.as_str(), "Complete job" | "Stop containers")
}

/// When it failed.
fn when(suspect: &Suspect<'_>) -> Option<Timestamp> {
    let of_step = suspect
        .step
        .and_then(|step| step.completed_at.or(step.started_at));
    // One of which the time is not known comes last.
    let job = suspect.job;
    of_step
        .or(job.completed_at)
        .or(job.started_at)
        .or(Some(Timestamp::MAX))
}

/// Whether another job was skipped because it needs this one.
fn holds_up_others(job: &Job, jobs: &[Job], needed: &Needed) -> bool {
    let own = base(&job.name);
    jobs.iter().any(|other| {
        let waits_for = needed.jobs.get(&base(&other.name));
        other.conclusion.as_deref() == Some("skipped")
            && waits_for.is_some_and(|needs| needs.contains(&own))
    })
}
