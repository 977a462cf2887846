//! The JSON report, version 1: a frozen view, kept apart from the types the stages work with.
//!
//! A key may be added; none may be renamed, retyped or removed without a version 2. The schema
//! knows every key of this version; a reader passes over those of a newer tool.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failed_run::{Ended, Stage};
use crate::incident::{Impact, Phase, Unless, UnreadCause};
use crate::release::Match;
pub use crate::watched::Policy;
use crate::{Id, Severity, Verdict};

/// The value of `schema`.
pub const SCHEMA: &str = "deploy-guard/report/v1";

/// What one stage found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Report {
    /// `deploy-guard/report/v1`.
    pub schema: String,
    /// The stage that wrote it: `preflight`, `runner-check`, `healthgate`, `rollback`, `traffic`, `run`.
    pub stage: String,
    /// As the configuration calls it.
    pub service: Option<String>,
    /// `--environment`.
    pub environment: Option<String>,
    /// The exit code follows from it.
    pub verdict: Verdict,
    /// The verdict in one sentence, with its arithmetic.
    pub reason: String,
    /// 0 to 10 in preflight, null elsewhere.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub score: Option<f64>,
    /// `--release`.
    pub release: Option<String>,
    /// How an answer proved to be of `release`, where that is not `exact`: in a gate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub release_match: Option<Match>,
    /// RFC 3339 in UTC.
    pub started_at: String,
    /// From the stage's start to its verdict.
    pub duration_ms: u64,
    /// All questions, in the order in which they are shown.
    pub outcomes: Vec<Outcome>,
    /// What the probes of a gate were watched by, unless an outcome has a policy of its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<Policy>,
    /// When the gate itself was stopped, by a signal or with its machine: it measured nothing then.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub pauses: Vec<Pause>,
    /// `3/10` where this is the third of ten parts of the endpoints.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shard: Option<String>,
    /// The workflow run that `incident stage` examined, where it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failed_run: Option<FailedRun>,
    /// In `incident status` the open incidents, in `incident list` all of them, the newest first; null elsewhere.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub incidents: Option<Vec<IncidentState>>,
    /// Lines of the log of events that could not be read: their events are missing from everything else.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unread_lines: Vec<UnreadLine>,
    /// Of `traffic status`: what each side of each place has.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub shares: Vec<SideShare>,
    /// Of `traffic`: what another made of a share that was set, and what is not overwritten.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub foreign_changes: Vec<ForeignShare>,
    /// Of `traffic history`: the changes of shares, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub share_changes: Vec<ShareChange>,
    /// Where it was made.
    pub context: Context,
    /// What the stage was given, for `deploy-guard reproduce`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub inputs: Option<Inputs>,
}

/// A workflow run that failed, and at what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FailedRun {
    /// Its number.
    pub run: u64,
    /// From 1.
    pub attempt: u32,
    /// GitHub's word for how the attempt ended; null while it runs.
    pub conclusion: Option<String>,
    /// What failed; `unknown` where nothing shows it.
    pub stage: Stage,
    /// The job that is the cause; null where GitHub did not start one.
    pub job: Option<String>,
    /// The step that ended the job; null where no step did.
    pub step: Option<String>,
    /// The other steps of the job that failed, in their order.
    #[serde(default)]
    pub other_steps: Vec<String>,
    /// Null where no step of a Dockerfile failed, or where the log does not number it.
    pub dockerfile_step: Option<DockerfileStep>,
    /// Why the job ended, where no step of it is the reason.
    pub ended: Option<Ended>,
    /// Who cancelled it: a login, or a newer run; null where it was not cancelled, or where GitHub does not name who did.
    pub cancelled_by: Option<String>,
    /// The page of the job, else of the run.
    pub url: Option<String>,
    /// The first lines of the job's log that show what went wrong: at most 10.
    #[serde(default)]
    pub error_lines: Vec<String>,
    /// What GitHub and the tools report for the job beside its log, failures first.
    #[serde(default)]
    pub annotations: Vec<Annotation>,
    /// All other jobs that failed or were cancelled, the first of them first.
    #[serde(default)]
    pub other_jobs: Vec<OtherJob>,
}

/// An annotation of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Annotation {
    /// `failure`, `warning` or `notice`.
    pub level: String,
    /// The file that it is about; null where it is about none.
    pub file: Option<String>,
    pub line: Option<u64>,
    pub message: String,
}

/// A job that is not the cause, and did not end well, either.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OtherJob {
    pub job: String,
    /// The step that ended it; null where no step did.
    pub step: Option<String>,
    /// The other steps of it that failed, in their order.
    #[serde(default)]
    pub other_steps: Vec<String>,
    /// By its names alone: no log of it is read.
    pub stage: Stage,
    /// GitHub's word for how it ended; null while it runs.
    pub conclusion: Option<String>,
}

impl From<&crate::failed_run::Annotation> for Annotation {
    fn from(note: &crate::failed_run::Annotation) -> Self {
        let (file, line) = note.place.clone().unzip();
        Annotation {
            level: note.level.clone(),
            file,
            line,
            message: note.message.clone(),
        }
    }
}

impl From<&crate::failed_run::OtherJob> for OtherJob {
    fn from(other: &crate::failed_run::OtherJob) -> Self {
        OtherJob {
            job: other.job.clone(),
            step: other.step.clone(),
            other_steps: other.other_steps.clone(),
            stage: other.stage,
            conclusion: other.conclusion.clone(),
        }
    }
}

/// What one side of a router has at a place. Shares are parts of the requests: 0.1 for 10 %.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SideShare {
    /// The machine of the router.
    pub place: String,
    /// `blue` or `green`.
    pub side: String,
    /// What is behind the router: an address, a server's name.
    pub name: String,
    /// The release that it answers; null where it does not answer.
    pub release: Option<String>,
    /// By the configuration; null where that is not a split.
    pub configured: Option<f64>,
    /// As the router reports; null where it does not report it.
    pub loaded: Option<f64>,
    /// Of the answers; null where the sides answer alike.
    pub observed: Option<f64>,
}

impl From<&crate::shares::SideShare> for SideShare {
    fn from(share: &crate::shares::SideShare) -> Self {
        SideShare {
            place: share.place.clone(),
            side: share.side.to_owned(),
            name: share.name.clone(),
            release: share.release.clone(),
            configured: share.configured,
            loaded: share.loaded,
            observed: share.observed,
        }
    }
}

/// A share that another changed since it was set. Shares are parts of the requests: 0.1 for 10 %.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ForeignShare {
    /// The machine of the router.
    pub place: String,
    /// The release whose share it is.
    pub release: String,
    pub set: f64,
    /// Null where it is no longer a split between the two sides.
    pub found: Option<f64>,
    /// Both, in words.
    pub reason: String,
}

impl From<&crate::shares::ForeignShare> for ForeignShare {
    fn from(change: &crate::shares::ForeignShare) -> Self {
        ForeignShare {
            place: change.place.clone(),
            release: change.release.clone(),
            set: change.set,
            found: change.found,
            reason: change.reason.clone(),
        }
    }
}

/// A change of a share. Shares are parts of the requests: 0.1 for 10 %.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ShareChange {
    /// RFC 3339 in UTC.
    pub at: String,
    /// In words: `v2 at 10%`.
    #[serde(default)]
    pub from: Option<String>,
    #[serde(default)]
    pub to: String,
    /// The release whose share was changed; null in what earlier versions wrote, as both shares are.
    pub release: Option<String>,
    /// The one beside it; null where its side did not answer.
    pub stable: Option<String>,
    pub before: Option<f64>,
    pub after: Option<f64>,
    /// Where another changed it: what the release had at each machine then; null where that was not a split. `after` is the
    /// largest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub foreign: BTreeMap<String, Option<f64>>,
    /// A verdict, `superseded`, `foreign-change` where another changed it, or `unfinished`.
    pub ended: String,
    /// Why it was made, or did not take effect.
    pub reason: Option<String>,
}

impl From<&crate::shares::ShareChange> for ShareChange {
    fn from(change: &crate::shares::ShareChange) -> Self {
        ShareChange {
            at: timestamp(change.at),
            from: change.from.clone(),
            to: change.to.clone(),
            release: change.release.clone(),
            stable: change.stable.clone(),
            before: change.before,
            after: change.after,
            foreign: change.foreign.clone(),
            ended: change.ended.clone(),
            reason: change.reason.clone(),
        }
    }
}

/// A step of a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DockerfileStep {
    /// From 1.
    pub number: u32,
    /// How many steps its stage has.
    pub of: u32,
    /// The name of the stage, where the Dockerfile has several.
    pub stage: Option<String>,
    /// Such as `RUN npm ci`.
    pub instruction: String,
}

impl From<&crate::FailedRun> for FailedRun {
    fn from(run: &crate::FailedRun) -> Self {
        let step = run.dockerfile_step.as_ref();
        FailedRun {
            run: run.run,
            attempt: run.attempt,
            conclusion: run.conclusion.clone(),
            stage: run.stage,
            job: run.job.clone(),
            step: run.step.clone(),
            other_steps: run.other_steps.clone(),
            dockerfile_step: step.map(|step| DockerfileStep {
                number: step.number,
                of: step.of,
                stage: step.stage.clone(),
                instruction: step.instruction.clone(),
            }),
            ended: run.ended,
            cancelled_by: run.cancelled_by.clone(),
            url: run.url.clone(),
            error_lines: run.error_lines.clone(),
            annotations: run.annotations.iter().map(Annotation::from).collect(),
            other_jobs: run.other_jobs.iter().map(OtherJob::from).collect(),
        }
    }
}

/// An incident of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IncidentState {
    /// Such as `inc-1f2e3d4c`.
    pub id: String,
    pub service: Option<String>,
    pub environment: Option<String>,
    /// The release that it is about; null where it is about none.
    pub release: Option<String>,
    /// The deployment that it is about: `v1.2.4#123/1`.
    pub deployment: Option<String>,
    /// What it is now, or was at its end.
    pub severity: crate::incident::Severity,
    /// By which rule it has this severity, or why a person set it.
    pub severity_reason: String,
    pub phase: Phase,
    pub impact: Impact,
    /// The stage of deploy-guard that failed; null where none did.
    pub failed_stage: Option<String>,
    /// What it was opened with.
    pub text: String,
    /// What was written of it last: an update or its resolution.
    pub latest: String,
    /// RFC 3339 in UTC.
    pub opened_at: String,
    /// A person, or what acted for one.
    pub opened_by: String,
    /// When a person first did something about it; null before.
    pub acknowledged_at: Option<String>,
    /// Null while it is open.
    pub resolved_at: Option<String>,
    /// From its beginning to its end, or until now; null where that is before its beginning, as clocks disagree.
    pub duration_ms: Option<u64>,
    /// The sinks that it was passed on to.
    pub escalated_to: Vec<String>,
    /// Null where no rule under `escalate:` is ahead of it.
    pub next_escalation: Option<NextEscalation>,
    /// Each sink that receives it.
    pub deliveries: Vec<SinkDeliveries>,
}

/// A line of the log of events that could not be read. It was left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UnreadLine {
    /// The file of the log.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// Whether it is damaged, or of a newer release.
    pub cause: UnreadCause,
    pub reason: String,
}

impl From<&crate::incident::UnreadLine> for UnreadLine {
    fn from(unread: &crate::incident::UnreadLine) -> Self {
        let crate::incident::UnreadLine {
            file,
            line,
            cause,
            reason,
        } = unread.clone();
        UnreadLine {
            file,
            line,
            cause,
            reason,
        }
    }
}

/// Whom an incident is passed on to if it goes on as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct NextEscalation {
    /// RFC 3339 in UTC; a time that has passed is due with the next command.
    pub at: String,
    /// The sinks.
    pub to: Vec<String>,
    pub unless: Unless,
}

/// How many events of an incident one sink received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SinkDeliveries {
    /// Its name.
    pub sink: String,
    pub delivered: u64,
    /// To be tried again.
    pub waiting: u64,
    /// Not taken by the sink; `incident deliver` tries them again.
    pub refused: u64,
    /// By `incident deliver --give-up`.
    pub given_up: u64,
    /// Why the last attempt failed, of those that wait or were refused.
    pub reason: Option<String>,
}

impl From<&crate::incident::IncidentState> for IncidentState {
    fn from(incident: &crate::incident::IncidentState) -> Self {
        let one = incident.clone();
        let deliveries = one.deliveries.into_iter().map(|sink| SinkDeliveries {
            sink: sink.sink,
            delivered: sink.delivered,
            waiting: sink.waiting,
            refused: sink.refused,
            given_up: sink.given_up,
            reason: sink.reason,
        });
        IncidentState {
            id: one.id,
            service: one.service,
            environment: one.environment,
            release: one.release,
            deployment: one.deployment,
            severity: one.severity,
            severity_reason: one.severity_reason,
            phase: one.phase,
            impact: one.impact,
            failed_stage: one.failed_stage,
            text: one.text,
            latest: one.latest,
            opened_at: timestamp(one.opened_at),
            opened_by: one.opened_by,
            acknowledged_at: one.acknowledged_at.map(timestamp),
            resolved_at: one.resolved_at.map(timestamp),
            duration_ms: one.lasted.map(millis),
            escalated_to: one.escalated_to,
            next_escalation: one.next_escalation.map(|next| NextEscalation {
                at: timestamp(next.at),
                to: next.to,
                unless: next.unless,
            }),
            deliveries: deliveries.collect(),
        }
    }
}

/// A time in which nothing was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Pause {
    /// RFC 3339 in UTC.
    pub at: String,
    pub duration_ms: u64,
}

impl From<&crate::report::Pause> for Pause {
    fn from(pause: &crate::report::Pause) -> Self {
        Pause {
            at: timestamp(pause.at),
            duration_ms: millis(pause.lasted),
        }
    }
}

/// What a stage was given: names of secrets, never a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Inputs {
    /// The words after the stage's name; a secret among them stands here as `***`.
    pub arguments: Vec<String>,
    /// Flags that came as variables, `DEPLOY_GUARD_*`.
    pub settings: BTreeMap<String, String>,
    pub configuration: Option<Configuration>,
    /// Variables that the configuration uses.
    pub variables: BTreeMap<String, Variable>,
}

/// The configuration that was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Configuration {
    /// As it was given or found.
    pub path: String,
    /// Of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// A variable, without its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Variable {
    /// Set, and not empty.
    pub set: bool,
    /// Whether its value is redacted.
    pub secret: bool,
}

/// One check or measurement, and its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Outcome {
    /// `kind/name`, the same from run to run.
    #[schemars(with = "String")]
    pub id: Id,
    /// What was checked: a URL, a host, an image.
    pub subject: String,
    /// Of this question alone.
    pub verdict: Verdict,
    /// Whether it can decide the stage's verdict.
    pub severity: Severity,
    /// What a good answer would be.
    pub expected: Option<String>,
    /// What was found.
    pub actual: Option<String>,
    /// Why the verdict is this one, with its arithmetic.
    pub reason: Option<String>,
    /// The next step for a person.
    pub hint: Option<String>,
    /// How long it took in all.
    pub duration_ms: u64,
    /// Readings of a probe, the oldest first; empty where there was one question.
    pub measurements: Vec<Measurement>,
    /// What this probe was watched by, where that is not the report's policy.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<Policy>,
    /// Bounds on what a measurement may find, where the probe has any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limits: Option<Limits>,
    /// How many of the endpoints passed, where it stands for many.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub members: Option<MemberCounts>,
    /// Of `healthgate plan`: how long the verdicts will take.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub planned: Option<Planned>,
    /// Of a canary's metric that is inconclusive: about how many more requests, of both sides together, would
    /// decide it at the rates seen so far. Absent where no number of them would, or that is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub missing_requests: Option<u64>,
    /// Of `migrate lint`: where in a file it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub found_at: Option<FoundAt>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FoundAt {
    /// From the folder in which the stage ran.
    pub file: String,
    /// From 1; null where the file as a whole is meant.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
}

/// How long the judge's verdicts will take, for one share of the traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Planned {
    /// Of both sides together.
    pub requests_per_minute: f64,
    /// The part of them that fails: 0.01 for 1 %; null for a histogram.
    pub error_rate: Option<f64>,
    /// The canary's part of the requests.
    pub share: f64,
    /// Until a good release passes.
    pub pass: TimeToVerdict,
    /// Until a release with twice the errors fails.
    pub twice: TimeToVerdict,
    /// Until one with five times the errors fails.
    pub five_times: TimeToVerdict,
}

/// The time until a verdict. Without `typical_ms`, it is not reached before the deadline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TimeToVerdict {
    /// Half to twice of it is the time that most rollouts take.
    pub typical_ms: Option<u64>,
    /// How many of a hundred rollouts take half to twice of `typical_ms`: no other number covers more of them.
    pub near_typical_percent: Option<u32>,
    pub median_ms: Option<u64>,
    /// Nine of ten rollouts take no longer.
    pub ninety_percent_ms: Option<u64>,
    /// Eight of ten rollouts, at least, end between this and `latest_ms`.
    pub earliest_ms: Option<u64>,
    /// Null also where it is too far ahead to estimate.
    pub latest_ms: Option<u64>,
    /// What is missing before the deadline.
    pub missing_requests: Option<u64>,
    /// Whether a release that is so much worse is tolerated.
    pub tolerated: bool,
}

/// How many of a group's endpoints passed. Those that are missing from `total` were not decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename = "Members")]
#[schemars(deny_unknown_fields)]
pub struct MemberCounts {
    /// Endpoints of this report.
    pub total: usize,
    /// How many of `total` must pass.
    pub required: usize,
    pub passed: usize,
    pub failed: usize,
    pub errors: usize,
    pub inconclusive: usize,
    /// Of all shards together.
    pub all: usize,
    /// How many of `all` must pass.
    pub all_required: usize,
    /// One of them named a release, and each that passed has named the expected one.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub names_release: bool,
    /// Those that did not pass, worst first, at most 100.
    pub not_passed: Vec<Member>,
}

/// An endpoint that did not pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Member {
    /// The endpoint, such as `10.0.0.17:8000`.
    pub member: String,
    pub verdict: Verdict,
    pub reason: String,
}

/// One reading of a probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Measurement {
    /// RFC 3339 in UTC.
    pub at: String,
    pub verdict: Verdict,
    /// What was read: a status, a number.
    pub value: Option<String>,
    /// Why it is not a pass.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    pub duration_ms: u64,
    /// The beginning of the answer (status line, headers, body) or the end of a command's
    /// output, at most 2 KiB: of an outcome's first and last failure and its last success only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub evidence: Option<String>,
}

/// Bounds on what a measurement may find.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Limits {
    /// The slowest answer that passes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latency_ms: Option<u64>,
    /// The least value that passes, of a probe that reads a number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub min: Option<f64>,
    /// The greatest value that passes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max: Option<f64>,
}

/// Where the report was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Context {
    /// Of deploy-guard.
    pub tool_version: String,
    /// `OWNER/NAME`, in a workflow.
    pub repository: Option<String>,
    /// The commit that the workflow runs on.
    pub sha: Option<String>,
    /// The workflow run.
    pub run_id: Option<String>,
    pub run_attempt: Option<u32>,
    /// Who started the run.
    pub actor: Option<String>,
}

impl From<&crate::Report> for Report {
    fn from(report: &crate::Report) -> Self {
        Report {
            schema: SCHEMA.to_owned(),
            stage: report.stage.clone(),
            service: report.service.clone(),
            environment: report.environment.clone(),
            verdict: report.verdict,
            reason: report.reason.clone(),
            score: report.score,
            release: report.release.clone(),
            release_match: report.release_match,
            started_at: timestamp(report.started_at),
            duration_ms: millis(report.duration),
            outcomes: report.outcomes.iter().map(Outcome::from).collect(),
            policy: report.policy.clone(),
            pauses: report.pauses.iter().map(Pause::from).collect(),
            shard: report.shard.map(|shard| shard.to_string()),
            failed_run: report.failed_run.as_ref().map(FailedRun::from),
            incidents: report
                .incidents
                .as_ref()
                .map(|all| all.iter().map(IncidentState::from).collect()),
            unread_lines: report.unread_lines.iter().map(UnreadLine::from).collect(),
            shares: report.shares.iter().map(SideShare::from).collect(),
            foreign_changes: { report.foreign_changes.iter() }
                .map(ForeignShare::from)
                .collect(),
            share_changes: report.share_changes.iter().map(ShareChange::from).collect(),
            context: Context::from(&report.context),
            inputs: report.inputs.as_ref().map(Inputs::from),
        }
    }
}

impl Outcome {
    /// What it counts for in its stage.
    pub fn weighs(&self) -> Verdict {
        self.severity.weighs(self.verdict)
    }
}

impl From<&crate::Outcome> for Outcome {
    fn from(outcome: &crate::Outcome) -> Self {
        Outcome {
            id: outcome.id.clone(),
            subject: outcome.subject.clone(),
            verdict: outcome.verdict,
            severity: outcome.severity,
            expected: outcome.expected.clone(),
            actual: outcome.actual.clone(),
            reason: outcome.reason.clone(),
            hint: outcome.hint.clone(),
            duration_ms: millis(outcome.duration),
            measurements: outcome.measurements.iter().map(Measurement::from).collect(),
            policy: outcome.policy.clone(),
            limits: (!outcome.limits.is_empty()).then(|| Limits::from(outcome.limits)),
            members: outcome.members.as_ref().map(MemberCounts::from),
            planned: outcome.planned.as_ref().map(Planned::from),
            missing_requests: outcome.missing_requests,
            found_at: outcome.found_at.as_ref().map(FoundAt::from),
        }
    }
}

impl From<&crate::outcome::FoundAt> for FoundAt {
    fn from(found: &crate::outcome::FoundAt) -> Self {
        FoundAt {
            file: found.file.clone(),
            line: found.line.map(|(line, _)| line),
            column: found.line.map(|(_, column)| column),
        }
    }
}

impl From<&crate::planned::Planned> for Planned {
    fn from(planned: &crate::planned::Planned) -> Self {
        Planned {
            requests_per_minute: planned.requests_per_minute,
            error_rate: planned.error_rate,
            share: planned.share,
            pass: TimeToVerdict::from(planned.pass),
            twice: TimeToVerdict::from(planned.twice),
            five_times: TimeToVerdict::from(planned.five_times),
        }
    }
}

impl From<crate::planned::TimeToVerdict> for TimeToVerdict {
    fn from(reach: crate::planned::TimeToVerdict) -> Self {
        let none = TimeToVerdict {
            typical_ms: None,
            near_typical_percent: None,
            median_ms: None,
            ninety_percent_ms: None,
            earliest_ms: None,
            latest_ms: None,
            missing_requests: None,
            tolerated: false,
        };
        match reach {
            crate::planned::TimeToVerdict::Within {
                typical,
                near_typical,
                median,
                ninety_percent,
                earliest,
                latest,
            } => TimeToVerdict {
                typical_ms: Some(millis(typical)),
                near_typical_percent: Some(near_typical),
                median_ms: Some(millis(median)),
                ninety_percent_ms: ninety_percent.map(millis),
                earliest_ms: Some(millis(earliest)),
                latest_ms: latest.map(millis),
                ..none
            },
            crate::planned::TimeToVerdict::Beyond {
                median,
                missing_requests,
            } => TimeToVerdict {
                median_ms: median.map(millis),
                missing_requests,
                ..none
            },
            crate::planned::TimeToVerdict::Tolerated => TimeToVerdict {
                tolerated: true,
                ..none
            },
        }
    }
}

impl From<&crate::MemberCounts> for MemberCounts {
    fn from(members: &crate::MemberCounts) -> Self {
        let crate::MemberCounts {
            tally,
            all,
            all_required,
            names_release,
            not_passed,
        } = members;
        MemberCounts {
            total: tally.total,
            required: tally.required,
            passed: tally.passed,
            failed: tally.failed,
            errors: tally.errors,
            inconclusive: tally.inconclusive,
            all: *all,
            all_required: *all_required,
            names_release: *names_release,
            not_passed: not_passed.iter().map(Member::from).collect(),
        }
    }
}

impl From<&crate::Member> for Member {
    fn from(member: &crate::Member) -> Self {
        Member {
            member: member.name.clone(),
            verdict: member.verdict,
            reason: member.reason.clone(),
        }
    }
}

impl From<&crate::Measurement> for Measurement {
    fn from(measurement: &crate::Measurement) -> Self {
        Measurement {
            at: timestamp(measurement.at),
            verdict: measurement.verdict,
            value: measurement.value.clone(),
            reason: measurement.reason.clone(),
            duration_ms: millis(measurement.duration),
            evidence: measurement.evidence.clone(),
        }
    }
}

impl From<crate::Limits> for Limits {
    fn from(limits: crate::Limits) -> Self {
        // JSON has no word for what is not finite.
        let finite = |value: &f64| value.is_finite();
        Limits {
            latency_ms: limits.latency.map(millis),
            min: limits.min.filter(finite),
            max: limits.max.filter(finite),
        }
    }
}

impl From<&Limits> for crate::Limits {
    fn from(limits: &Limits) -> Self {
        crate::Limits {
            latency: limits.latency_ms.map(Duration::from_millis),
            min: limits.min,
            max: limits.max,
        }
    }
}

impl From<&crate::Inputs> for Inputs {
    fn from(inputs: &crate::Inputs) -> Self {
        let crate::Inputs {
            arguments,
            settings,
            configuration,
            variables,
        } = inputs;
        let variable = |(name, known): (&String, &crate::inputs::Variable)| {
            let crate::inputs::Variable { set, secret } = *known;
            (name.clone(), Variable { set, secret })
        };
        Inputs {
            arguments: arguments.clone(),
            settings: settings.clone(),
            configuration: configuration.as_ref().map(|one| Configuration {
                path: one.path.clone(),
                sha256: one.sha256.clone(),
            }),
            variables: variables.iter().map(variable).collect(),
        }
    }
}

impl From<&crate::Context> for Context {
    fn from(context: &crate::Context) -> Self {
        Context {
            tool_version: context.tool_version.clone(),
            repository: context.repository.clone(),
            sha: context.sha.clone(),
            run_id: context.run_id.clone(),
            run_attempt: context.run_attempt,
            actor: context.actor.clone(),
        }
    }
}

/// RFC 3339 in UTC with exactly three decimals, so that columns of them line up.
pub fn timestamp(at: jiff::Timestamp) -> String {
    format!("{at:.3}")
}

/// Whole milliseconds, as every duration of a report is told.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
