//! What a workflow run failed at, as `incident stage` finds it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Redactor;

/// Where in a deployment a run failed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Source into what is deployed, an image's Dockerfile among it.
    Build,
    Test,
    /// An image on its way: login, push, pull, scan, signature.
    Image,
    Migration,
    /// Everything that changes what runs, and the checks before it.
    Deploy,
    Health,
    Smoke,
    Rollback,
    Unknown,
}

impl Stage {
    pub const ALL: [Stage; 9] = [
        Stage::Build,
        Stage::Test,
        Stage::Image,
        Stage::Migration,
        Stage::Deploy,
        Stage::Health,
        Stage::Smoke,
        Stage::Rollback,
        Stage::Unknown,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Build => "build",
            Stage::Test => "test",
            Stage::Image => "image",
            Stage::Migration => "migration",
            Stage::Deploy => "deploy",
            Stage::Health => "health",
            Stage::Smoke => "smoke",
            Stage::Rollback => "rollback",
            Stage::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why there is nothing more of a job. In the order in which they explain the others: a job that no runner took is
/// cancelled in the end, too.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The workflow file cannot be run.
    NotStarted,
    /// A reviewer rejected it, or the rules of the job's environment did.
    Rejected,
    /// No runner took the job.
    NoRunner,
    /// It ended before a step of it began, and GitHub does not report why.
    NeverBegan,
    /// The runner went away.
    RunnerLost,
    /// Its time was up.
    TimedOut,
    Cancelled,
}

/// Fits after the name of a job: `the job deploy was not taken by a runner`.
impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Ended::NotStarted => "was not started: GitHub cannot run the workflow file",
            Ended::Rejected => {
                "was rejected by a reviewer or the protection rules of its environment"
            }
            Ended::NoRunner => "was not taken by a runner",
            Ended::NeverBegan => "ended before its first step",
            Ended::RunnerLost => "lost its runner",
            Ended::TimedOut => "ran out of time",
            Ended::Cancelled => "was cancelled",
        })
    }
}

/// One step of a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerfileStep {
    /// From 1.
    pub number: u32,
    pub of: u32,
    /// The name of the stage, where the Dockerfile has several.
    pub stage: Option<String>,
    /// `RUN npm ci`; on one line.
    pub instruction: String,
}

/// `step 4/7 of build, RUN npm ci`.
impl std::fmt::Display for DockerfileStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step {}/{}", self.number, self.of)?;
        if let Some(stage) = &self.stage {
            write!(f, " of {stage}")?;
        }
        write!(f, ", {}", self.instruction)
    }
}

/// What GitHub and the tools say of a job beside its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// `failure`, `warning` or `notice`.
    pub level: String,
    /// The file and line that it is about.
    pub place: Option<(String, u64)>,
    pub message: String,
}

/// A job that did not end well, either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherJob {
    pub job: String,
    /// The step that ended it.
    pub step: Option<String>,
    /// The others that failed.
    pub other_steps: Vec<String>,
    pub stage: Stage,
    pub conclusion: Option<String>,
}

/// A run that failed. All text in it is from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRun {
    /// Its number.
    pub run: u64,
    /// From 1.
    pub attempt: u32,
    /// GitHub's word for how the attempt ended; `None` while it runs.
    pub conclusion: Option<String>,
    pub stage: Stage,
    /// The job that is the cause, and the step that ended it.
    pub job: Option<String>,
    pub step: Option<String>,
    /// The others of that job that failed.
    pub other_steps: Vec<String>,
    pub dockerfile_step: Option<DockerfileStep>,
    /// Why the job ended, where no step of it is the reason.
    pub ended: Option<Ended>,
    /// A person or an app by its login, or a newer run of the concurrency group.
    pub cancelled_by: Option<String>,
    /// The page of the job, else of the run.
    pub url: Option<String>,
    /// The first lines that say what went wrong.
    pub error_lines: Vec<String>,
    /// Failures first.
    pub annotations: Vec<Annotation>,
    /// The first of them first.
    pub other_jobs: Vec<OtherJob>,
}

impl FailedRun {
    /// The same with every secret in every text replaced.
    #[must_use]
    pub(crate) fn redacted(self, redactor: &Redactor) -> FailedRun {
        let clean = |text: String| redactor.redact(&text);
        let FailedRun {
            run,
            attempt,
            conclusion,
            stage,
            job,
            step,
            other_steps,
            dockerfile_step,
            ended,
            cancelled_by,
            url,
            error_lines,
            annotations,
            other_jobs,
        } = self;
        let annotations = annotations.into_iter().map(|note| Annotation {
            level: clean(note.level),
            place: note.place.map(|(file, line)| (clean(file), line)),
            message: clean(note.message),
        });
        let other_jobs = other_jobs.into_iter().map(|other| OtherJob {
            job: clean(other.job),
            step: other.step.map(clean),
            other_steps: other.other_steps.into_iter().map(clean).collect(),
            stage: other.stage,
            conclusion: other.conclusion.map(clean),
        });
        FailedRun {
            run,
            attempt,
            conclusion: conclusion.map(clean),
            stage,
            job: job.map(clean),
            step: step.map(clean),
            other_steps: other_steps.into_iter().map(clean).collect(),
            dockerfile_step: dockerfile_step.map(|step| {
                let DockerfileStep {
                    number,
                    of,
                    stage,
                    instruction,
                } = step;
                DockerfileStep {
                    number,
                    of,
                    stage: stage.map(clean),
                    instruction: clean(instruction),
                }
            }),
            ended,
            cancelled_by: cancelled_by.map(clean),
            url: url.map(clean),
            error_lines: error_lines.into_iter().map(clean).collect(),
            annotations: annotations.collect(),
            other_jobs: other_jobs.collect(),
        }
    }
}
