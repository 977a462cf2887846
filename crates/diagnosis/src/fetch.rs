//! Asks GitHub for a run and makes a diagnosis of it.

use std::path::Path;

use github::jobs::Step;
use github::logs::JobLog;
use github::{Client, Job, Repository, RunId};
use jiff::Timestamp;
use model::Redactor;
use model::failed_run::{Annotation, DockerfileStep, Ended, OtherJob, Stage};
use model::text::cut;
use workflow::Workflow;

use crate::cancellation::{CancelledBy, said};
use crate::cause::{Cause, Suspect, cause};
use crate::classify::{Facts, classify};
use crate::diagnosis::Diagnosis;
use crate::dockerfile;
use crate::gap::{Error, Gap};
use crate::job_needs::{Needed, runs};
use crate::log::{StepLog, error_lines, is_generic};
use crate::plain::short;
use crate::waiting::Waiting;

/// Characters of a name, and of a message.
const MAX_NAME: usize = 200;
const MAX_MESSAGE: usize = 500;
/// GitHub takes no larger workflow, in bytes.
const MAX_WORKFLOW: u64 = 1 << 20;

/// Which run.
#[derive(Clone, Debug)]
pub struct RunQuery<'a> {
    pub repository: &'a Repository,
    pub run: RunId,
    /// Else the latest attempt.
    pub attempt: Option<u32>,
    /// The folder of a checkout that has the workflow's file, where there is one.
    pub checkout: Option<&'a Path>,
}

/// Asks for the run, its jobs, and of the job that is the cause the annotations and the log. Only the
/// first two must be answered.
pub async fn diagnose(
    client: &Client,
    question: &RunQuery<'_>,
    redactor: &Redactor,
) -> Result<Diagnosis, Error> {
    let (run, attempt, jobs) = run_and_jobs(client, question).await?;
    let name = |text: &str| short(text, redactor, MAX_NAME);
    let mut diagnosis = Diagnosis {
        run: question.run,
        attempt,
        stage: Stage::Unknown,
        conclusion: run.conclusion.as_deref().map(name),
        job: None,
        step: None,
        other_steps: Vec::new(),
        waits: Waiting::of(&run, &jobs),
        url: run.html_url.as_deref().map(name),
        error_lines: Vec::new(),
        annotations: Vec::new(),
        dockerfile_step: None,
        ended: None,
        cancelled_by: None,
        others: Vec::new(),
        gaps: Vec::new(),
    };
    let path = run.path.as_deref();
    let workflow = question
        .checkout
        .zip(path)
        .and_then(|(folder, path)| read(folder, path));
    let needed = workflow.as_ref().map(Needed::of).unwrap_or_default();
    let Some(Cause { first, others }) = cause(&jobs, &needed) else {
        let never_began = run.conclusion.as_deref() == Some("startup_failure");
        diagnosis.ended = never_began.then_some(Ended::NotStarted);
        return Ok(diagnosis);
    };
    let other = |other: &Suspect<'_>| other_job(other, workflow.as_ref(), redactor);
    diagnosis.others = others.iter().map(other).collect();
    diagnosis.job = Some(name(&first.job.name));
    diagnosis.step = first.step.map(|step| name(&step.name));
    diagnosis.other_steps = first.other_steps().map(|step| name(&step.name)).collect();
    diagnosis.url = first.job.html_url.as_deref().map(name).or(diagnosis.url);
    let (annotations, log) = tokio::join!(
        client.annotations(question.repository, first.job.id),
        log(client, question.repository, &first)
    );
    let messages = diagnosis.add_annotations(annotations, redactor);
    let log = diagnosis.add_log(log, &first, redactor);
    // What the log says that it ran is surer: the checkout may be of another commit.
    let is_logged = log.as_ref().is_some_and(|log| log.runs.is_some());
    let written = does(workflow.as_ref().filter(|_| !is_logged), &first);
    let facts = Facts {
        job: &first.job.name,
        step: first.step.map(|step| step.name.as_str()),
        runs: written.as_deref(),
        log: log.as_ref(),
    };
    diagnosis.stage = classify(&facts);
    diagnosis.add_end(&first, &messages);
    Ok(diagnosis)
}

async fn run_and_jobs(
    client: &Client,
    question: &RunQuery<'_>,
) -> Result<(github::Run, u32, Vec<Job>), Error> {
    let RunQuery {
        repository,
        run: id,
        attempt,
        checkout: _,
    } = question;
    let no_run = |error: github::Error| match error {
        error @ (github::Error::NoPermission { status: 404, .. }
        | github::Error::Server { status: 410 }) => Error::NoRun {
            run: *id,
            attempt: *attempt,
            repository: repository.to_string(),
            source: error,
        },
        error => Error::GitHub(error),
    };
    let run = match attempt {
        Some(attempt) => client.run(repository, (*id).into(), *attempt).await,
        None => client.latest_run(repository, *id).await,
    };
    let run = run.map_err(no_run)?;
    let attempt = attempt.or(run.run_attempt).unwrap_or(1);
    let jobs = client.run_jobs(repository, (*id).into(), attempt).await;
    Ok((run, attempt, jobs.map_err(no_run)?))
}

/// A job that no runner took has no log, and that is no gap.
async fn log(
    client: &Client,
    repository: &Repository,
    suspect: &Suspect<'_>,
) -> Option<Result<JobLog, github::Error>> {
    let has_steps = suspect
        .job
        .steps
        .as_ref()
        .is_some_and(|steps| !steps.is_empty());
    if !has_steps {
        return None;
    }
    Some(client.job_log(repository, suspect.job.id).await)
}

/// By its names, and by what the workflow has for it: one log is read, and it is that of the cause.
fn other_job(other: &Suspect<'_>, workflow: Option<&Workflow>, redactor: &Redactor) -> OtherJob {
    let name = |text: &str| short(text, redactor, MAX_NAME);
    let written = does(workflow, other);
    let facts = Facts {
        job: &other.job.name,
        step: other.step.map(|step| step.name.as_str()),
        runs: written.as_deref(),
        log: None,
    };
    OtherJob {
        job: name(&other.job.name),
        step: other.step.map(|step| name(&step.name)),
        other_steps: other.other_steps().map(|step| name(&step.name)).collect(),
        stage: classify(&facts),
        conclusion: other.job.conclusion.as_deref().map(name),
    }
}

/// The workflow in a checkout. One that is not there, or cannot be read, helps nothing and harms nothing.
fn read(folder: &Path, path: &str) -> Option<Workflow> {
    let name = path.strip_prefix(".github/workflows/")?;
    if name.contains('/') {
        return None;
    }
    let text = files::read_text(&folder.join(path), MAX_WORKFLOW).ok()?;
    let tree = yaml::Node::parse(&text).ok()?;
    Some(Workflow::read(path, &text, &tree))
}

/// What a step runs, as the workflow has it.
fn does(workflow: Option<&Workflow>, suspect: &Suspect<'_>) -> Option<String> {
    runs(workflow?, &suspect.job.name, &suspect.step?.name)
}

/// The times of a step, if it has begun.
fn times(step: &Step) -> Option<(Timestamp, Option<Timestamp>)> {
    Some((step.started_at?, step.completed_at))
}

impl Diagnosis {
    /// Keeps the telling ones, and gives back what GitHub itself says of the job.
    fn add_annotations(
        &mut self,
        annotations: Result<Vec<github::annotations::Annotation>, github::Error>,
        redactor: &Redactor,
    ) -> Vec<String> {
        let annotations = match annotations {
            Ok(annotations) => annotations,
            Err(error) => {
                self.gaps.push(Gap::Annotations {
                    reason: error.to_string(),
                    hint: error.hint(),
                });
                return Vec::new();
            }
        };
        let of_no_file = |note: &github::annotations::Annotation| {
            note.path.as_deref().is_none_or(|path| path == ".github")
        };
        let messages = annotations
            .iter()
            .filter(|note| of_no_file(note))
            .filter_map(|note| note.message.clone())
            .collect();
        let mut notes: Vec<Annotation> = annotations
            .iter()
            .map(|note| Annotation {
                level: short(
                    note.annotation_level.as_deref().unwrap_or("notice"),
                    redactor,
                    MAX_NAME,
                ),
                place: note
                    .path
                    .as_deref()
                    .filter(|_| !of_no_file(note))
                    .map(|path| {
                        (
                            short(path, redactor, MAX_NAME),
                            note.start_line.unwrap_or(1),
                        )
                    }),
                message: short(note.message.as_deref().unwrap_or(""), redactor, MAX_MESSAGE),
            })
            .filter(|note| !note.message.is_empty())
            .collect();
        let rank = |level: &str| {
            ["failure", "warning"]
                .iter()
                .position(|it| *it == level)
                .unwrap_or(2)
        };
        notes.sort_by_key(|note| (rank(&note.level), is_generic(&note.message)));
        self.annotations = notes;
        messages
    }

    fn add_log(
        &mut self,
        log: Option<Result<JobLog, github::Error>>,
        suspect: &Suspect<'_>,
        redactor: &Redactor,
    ) -> Option<StepLog> {
        let read = match log? {
            Ok(JobLog::Read(read)) => read,
            Ok(JobLog::Missing) => {
                self.gaps.push(Gap::NoLog);
                return None;
            }
            Ok(JobLog::Expired) => {
                self.gaps.push(Gap::LogExpired);
                return None;
            }
            Err(error) => {
                self.gaps.push(Gap::Log {
                    reason: error.to_string(),
                    hint: error.hint(),
                });
                return None;
            }
        };
        self.gaps.extend(read.cut.map(Gap::LogCut));
        let step = suspect.step;
        let name = step.map_or("", |step| step.name.as_str());
        let log = StepLog::of(&read.text, name, step.and_then(times), redactor);
        self.error_lines = error_lines(&log);
        self.dockerfile_step = dockerfile::failed_step(log.texts()).map(|step| DockerfileStep {
            stage: step.stage.map(|stage| cut(&stage, MAX_NAME)),
            instruction: cut(&step.instruction, MAX_MESSAGE),
            ..step
        });
        Some(log)
    }

    /// Why the job ended, from what GitHub says of it and from what it left behind.
    fn add_end(&mut self, suspect: &Suspect<'_>, messages: &[String]) {
        let job = suspect.job;
        let conclusion = job.conclusion.as_deref();
        let is_cancelled = conclusion == Some("cancelled");
        let has_no_steps = job.steps.as_ref().is_none_or(Vec::is_empty);
        let never_taken = job.runner().is_none() && has_no_steps;
        let is_unfinished = job.is_abandoned() || has_no_steps;
        let has_cancelled_step = job
            .steps
            .iter()
            .flatten()
            .any(|step| step.conclusion.as_deref() == Some("cancelled"));
        let own = suspect
            .step
            .map(|step| format!("The action '{}' has timed out after ", step.name));
        // Anybody's step can write such sentences; GitHub's own are there where what they tell shows in the job.
        let believed = |message: &String| {
            said(message).filter(|ended| match ended {
                Ended::Cancelled => is_cancelled,
                Ended::Rejected | Ended::NoRunner => never_taken,
                Ended::RunnerLost => is_unfinished || has_cancelled_step && !is_cancelled,
                Ended::TimedOut => {
                    let is_own = own.as_ref().is_some_and(|own| message.starts_with(own));
                    is_own || is_unfinished || is_cancelled
                }
                // No sentence tells these.
                Ended::NotStarted | Ended::NeverBegan => false,
            })
        };
        let told = messages.iter().filter_map(believed).min();
        let in_log = || self.error_lines.iter().find_map(believed);
        self.ended = match conclusion {
            Some("timed_out") => Some(Ended::TimedOut),
            Some("startup_failure") => Some(Ended::NotStarted),
            _ => told.or_else(|| in_log().filter(|_| is_cancelled || suspect.step.is_none())),
        };
        self.ended = self.ended.or(match () {
            () if is_cancelled => Some(Ended::Cancelled),
            () if job.status != "completed" => None,
            () if never_taken => Some(Ended::NeverBegan),
            () if job.is_abandoned()
                && suspect.step.is_none_or(|step| step.status != "completed") =>
            {
                Some(Ended::RunnerLost)
            }
            () => None,
        });
        if is_cancelled {
            let mut all = messages
                .iter()
                .filter_map(|message| CancelledBy::of(message));
            let first = all.next();
            // Where they differ, a step wrote one of them.
            self.cancelled_by = first.filter(|first| all.all(|other| other == *first));
        }
    }
}
