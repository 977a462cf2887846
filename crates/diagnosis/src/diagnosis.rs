//! What is known of a run that failed.

use github::RunId;
use model::FailedRun;
use model::failed_run::{Annotation, DockerfileStep, Ended, OtherJob, Stage};

use crate::cancellation::CancelledBy;
use crate::gap::Gap;
use crate::waiting::Waiting;

/// Which stage of a run failed, and what says so. All text in it is from outside: redacted, without
/// control characters, within bounds, and not escaped for any format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    pub run: RunId,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    pub stage: Stage,
    /// GitHub's word for how the attempt ended; `None` while it runs.
    pub conclusion: Option<String>,
    /// What it waits for, where it has not ended and no job of it runs.
    pub waits: Option<Waiting>,
    /// The job that is the cause.
    pub job: Option<String>,
    pub step: Option<String>,
    /// The other steps of the job that failed.
    pub other_steps: Vec<String>,
    /// The page of the job, else of the run.
    pub url: Option<String>,
    /// The first lines that say what went wrong: at most 10, and 4 KiB in all.
    pub error_lines: Vec<String>,
    /// Failures first.
    pub annotations: Vec<Annotation>,
    pub dockerfile_step: Option<DockerfileStep>,
    /// Why the job ended, where no step of it is the reason.
    pub ended: Option<Ended>,
    pub cancelled_by: Option<CancelledBy>,
    /// The other jobs that failed or were cancelled, the first of them first.
    pub others: Vec<OtherJob>,
    /// What could not be asked.
    pub gaps: Vec<Gap>,
}

impl Diagnosis {
    /// What a report's JSON has of it.
    pub fn failed_run(&self) -> FailedRun {
        FailedRun {
            run: self.run.into(),
            attempt: self.attempt,
            conclusion: self.conclusion.clone(),
            stage: self.stage,
            job: self.job.clone(),
            step: self.step.clone(),
            other_steps: self.other_steps.clone(),
            dockerfile_step: self.dockerfile_step.clone(),
            ended: self.ended,
            cancelled_by: self.cancelled_by.as_ref().map(ToString::to_string),
            url: self.url.clone(),
            error_lines: self.error_lines.clone(),
            annotations: self.annotations.clone(),
            other_jobs: self.others.clone(),
        }
    }

    /// The whole in one line: `build failed: job docker, step Build and push, Dockerfile step 4/7 of
    /// build, RUN npm ci`.
    pub fn headline(&self) -> String {
        let Some(job) = &self.job else {
            return match (self.ended, self.waits, self.conclusion.as_deref()) {
                (Some(ended), _, _) => format!("run {} {ended}", self.run),
                (None, Some(waits), _) => {
                    format!("run {} {waits}, and no job of it has failed", self.run)
                }
                (None, None, None) => {
                    format!("run {} goes on, and no job of it has failed", self.run)
                }
                (None, None, Some(how)) => {
                    format!("run {} ended with {how}; no job of it failed", self.run)
                }
            };
        };
        let stage = match self.stage {
            Stage::Unknown => "an unknown stage".to_owned(),
            stage => stage.to_string(),
        };
        let mut text = match (self.ended, &self.cancelled_by) {
            (Some(Ended::Cancelled), Some(by)) => {
                format!("{stage} was cancelled by {by}: job {job}")
            }
            (Some(ended), _) => format!("{stage} {ended}: job {job}"),
            (None, _) => format!("{stage} failed: job {job}"),
        };
        if let Some(step) = &self.step {
            text.push_str(&format!(", step {step}"));
        }
        if let Some(step) = &self.dockerfile_step {
            text.push_str(&format!(", Dockerfile {step}"));
        }
        text
    }
}
