//! Records what a pipeline reports: a release is being deployed, or is good.
//!
//! Every later rollback goes to a good release, so a source that reports the running release is queried first.

use cli::force::{self, Lifting};
use cli::rollout::in_progress;
use cli::{Failure, Job};
use engine::current::{self, QUERY_TIMEOUT, ReleaseAnswer};
use futures_util::future::join_all;
use jiff::Timestamp;
use model::{Id, Outcome, Report, Severity, Verdict};
use state::journal::{Ending, ROLLBACK};
use state::{Document, Entry, Rule, Status};
use target::fit::Switchability;
use target::{Error, Place, PlaceAccess, PlaceParts, ReleaseFacts, Target, Transition, kinds};

use crate::session::Session;

#[derive(clap::Args, Clone, Debug, Default)]
pub struct Flags {
    /// Record that the release is being deployed, not that it is good
    #[arg(long)]
    pub pending: bool,
    /// The image's digest: `sha256:…`
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    pub digest: Option<String>,
    /// The image that runs: `ghcr.io/acme/shop:v1.2.4`
    #[arg(long, value_name = "IMAGE", value_parser = name)]
    pub image: Option<String>,
    /// The ECS task definition that runs: `family:revision` or its ARN. Default: as ECS reports it
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub task_definition: Option<String>,
    /// The database schema's revision that the release brought
    #[arg(long, value_name = "REVISION", value_parser = name)]
    pub schema_revision: Option<String>,
    /// A schema revision that the release can work with; repeatable
    #[arg(long, value_name = "REVISION", value_parser = name)]
    pub compatible_with: Vec<String>,
    /// What is kept so that it can be gone back to, such as an image or a folder;
    /// repeatable
    #[arg(long, value_name = "ARTIFACT", value_parser = name)]
    pub retained: Vec<String>,
    /// The workflow run that deployed it. Default: this one
    #[arg(long, value_name = "RUN", value_parser = name)]
    pub run: Option<String>,
    #[command(flatten)]
    pub force: force::Force<Rules>,
}

/// The rules that forbid to record a release.
#[derive(Clone, Debug)]
pub struct Rules;

impl force::Rules for Rules {
    const ALL: &'static [Rule] = &[
        Rule::KnownBad,
        Rule::Frozen,
        Rule::NotRunning,
        Rule::NoWayBack,
    ];
}

/// The longest text that is kept of a release.
const MAX_BYTES: usize = model::release::MAX_NAME_BYTES;

/// Why a text cannot be kept of a release.
#[derive(Debug, thiserror::Error)]
enum TextError {
    #[error("it is empty")]
    Empty,
    #[error("it has a line break or another control character, or more than {MAX_BYTES} bytes")]
    NoLine,
    #[error("it is not a digest such as `sha256:9f86d0…`")]
    Digest,
}

fn name(text: &str) -> Result<String, TextError> {
    if text.trim().is_empty() {
        return Err(TextError::Empty);
    }
    if text.len() > MAX_BYTES || text.chars().any(char::is_control) {
        return Err(TextError::NoLine);
    }
    Ok(text.to_owned())
}

fn digest(text: &str) -> Result<String, TextError> {
    let good = text.split_once(':').is_some_and(|(kind, value)| {
        let plain =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
        plain(kind) && plain(value)
    });
    if good && text.len() <= MAX_BYTES {
        Ok(text.to_owned())
    } else {
        Err(TextError::Digest)
    }
}

impl Flags {
    /// Overrides what is known about the release with the given flags.
    fn apply_to(&self, entry: &mut Entry, session: &Session<'_>) {
        let Flags {
            pending: _,
            digest,
            image,
            task_definition,
            schema_revision,
            compatible_with,
            retained,
            run,
            force: _,
        } = self;
        // A revision that it has brought before reveals nothing new about the database.
        if schema_revision.is_some() && *schema_revision != entry.schema_revision {
            entry.schema_found = None;
        }
        for (told, known) in [
            (digest, &mut entry.digest),
            (image, &mut entry.image),
            (task_definition, &mut entry.task_definition),
            (schema_revision, &mut entry.schema_revision),
            (run, &mut entry.run),
        ] {
            if let Some(told) = told {
                *known = Some(session.redact(told));
            }
        }
        for (told, known) in [
            (compatible_with, &mut entry.compatible_with),
            (retained, &mut entry.retained),
        ] {
            if !told.is_empty() {
                *known = told.iter().map(|text| session.redact(text)).collect();
            }
        }
    }
}

/// Records the job's release.
pub async fn record(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let Some(release) = &job.release else {
        return Err(Failure::usage("no release is named").hint("pass `--release RELEASE`"));
    };
    let status = if flags.pending {
        Status::Pending
    } else {
        Status::Good
    };
    let mut lifting = Lifting::new(flags.force.forced(job));
    let misfit = switchable(&session, flags, &mut lifting).await?;
    let before = session.read().await?;
    let refused = before.as_ref().and_then(|document| {
        beside_rollout(document, release, status)
            .or_else(|| forbidden(document, release, &mut lifting))
    });
    if let Some(outcome) = refused {
        return Ok(session.report(vec![outcome]));
    }
    let known = before
        .as_ref()
        .map_or_else(Vec::new, |document| document.history.clone());
    // The lock's holder may be changing the running release: then it is queried afterwards.
    let busy = before.is_some_and(|document| document.lock.is_some());
    let mut told = flags.clone();
    let mut outcomes = Vec::from_iter(misfit);
    if !flags.pending && !busy {
        outcomes.extend(running(&session, &known, release, &mut told, &mut lifting).await);
        if outcomes.iter().any(stops) {
            return Ok(session.report(outcomes));
        }
    }
    if job.dry_run {
        let reason = format!("dry run: would record {release} as {}", status.as_str());
        return Ok(session.report(vec![Outcome::skipped("record/release", release, reason)]));
    }
    let (lease, again) = session
        .acquire("record", |document, _| {
            beside_rollout(document, release, status)
                .or_else(|| forbidden(document, release, &mut lifting))
        })
        .await?;
    // A rollback may have ended between the question and the lease.
    if let Some(outcome) = again {
        session.store.release(&lease, |_| ()).await?;
        return Ok(session.report(vec![outcome]));
    }
    if !flags.pending && busy {
        outcomes.extend(running(&session, &known, release, &mut told, &mut lifting).await);
        if outcomes.iter().any(stops) {
            let released = session.store.release(&lease, |_| ()).await;
            released?;
            return Ok(session.report(outcomes));
        }
    }
    // What is deployed now makes a rollback void that was killed before it.
    if let Some(mut journal) = session.store.unfinished(ROLLBACK).await? {
        journal.end(Ending::Superseded).await?;
    }
    let run = session.job.run_name();
    session
        .store
        .release(&lease, |document| {
            document.service = job.service().or(document.service.take());
            document.environment = job.environment.clone().or(document.environment.take());
            let entry = document.deployed(release, status, Timestamp::now(), run.clone());
            told.apply_to(entry, &session);
            document.forced(release, &lifting.lifted());
        })
        .await?;
    outcomes.push(Outcome::pass("record/release", release).actual(format!(
        "{release} is recorded as {} in {}",
        status.as_str(),
        session.store.place()
    )));
    outcomes.extend(lifting.outcomes());
    Ok(session.report(outcomes))
}

/// Refuses while a rollout is in progress: which release is good is known when one has all requests.
/// Recording the rollout's own release as pending is allowed.
fn beside_rollout(document: &Document, release: &str, status: Status) -> Option<Outcome> {
    let rollout = document.rollout.as_ref()?;
    let is_its = document.name_of(release) == document.name_of(&rollout.release);
    if is_its && status == Status::Pending {
        return None;
    }
    let outcome = in_progress(Id::refused("rollout"), rollout);
    Some(outcome.hint(format!(
        "nothing was recorded; `traffic promote` or `traffic abort`, then `rollback record --release {release}`"
    )))
}

/// Refuses where no rollback could ever be made, as the target is configured; what is told instead
/// with `--force`. What a deployment is yet to make may be missing before it.
async fn switchable(
    session: &Session<'_>,
    flags: &Flags,
    lifting: &mut Lifting,
) -> Result<Option<Outcome>, Failure> {
    let (section, job) = (session.section, session.job);
    let places = PlaceAccess::new(&job.config.hosts, &job.env);
    for found in kinds::check_fit(section, &job.config, &places).await {
        let misfit = match &found.fit {
            Switchability::Never(misfit) => misfit,
            Switchability::Missing(misfit) if !flags.pending => misfit,
            _ => continue,
        };
        let reason = format!(
            "no rollback could ever switch {}: {}",
            found.full_subject(),
            misfit.reason
        );
        let rule = Rule::NoWayBack;
        let Some(forced) = lifting.lifts(rule) else {
            let hint = format!("nothing was recorded; {}", misfit.hint);
            return Err(Failure::usage(reason).hint(hint));
        };
        let outcome = Outcome::inconclusive("record/target", found.full_subject())
            .expected("a rollback could switch it")
            .actual(misfit.reason.clone())
            .reason(reason)
            .hint(misfit.hint.clone());
        return Ok(Some(force::lifted(outcome, &forced)));
    }
    Ok(None)
}

/// The rule that forbids to deploy or record this release and is not lifted.
fn forbidden(document: &Document, release: &str, lifting: &mut Lifting) -> Option<Outcome> {
    let known_bad = document.refuse_known_bad(release);
    let known_bad = known_bad.map(|outcome| outcome.hint("see `rollback status`"));
    let frozen = document.refuse_frozen(release);
    for (rule, refusal) in [(Rule::KnownBad, known_bad), (Rule::Frozen, frozen)] {
        if let Some(refusal) = refusal
            && let Err(refused) = lifting.refuse(rule, refusal)
        {
            return Some(*refused);
        }
    }
    None
}

/// Whether this outcome stops the recording.
fn stops(outcome: &Outcome) -> bool {
    matches!(outcome.weighs(), Verdict::Refused | Verdict::Error)
}

/// Whether this release is running, and the facts that a rollback to it needs: facts that no flag
/// gave are added to `told`.
async fn running(
    session: &Session<'_>,
    known: &[Entry],
    release: &str,
    told: &mut Flags,
    lifting: &mut Lifting,
) -> Vec<Outcome> {
    if told.task_definition.is_some() {
        return vec![runs(session, known, release, told, lifting).await];
    }
    let learned = facts(session, release, known.to_vec()).await;
    if let Ok(Some(learned)) = &learned
        && learned.named
    {
        told.task_definition = Some(learned.task_definition.clone());
    }
    let runs = runs(session, known, release, told, lifting).await;
    // The task definition found belongs to another release.
    told.task_definition = None;
    let (id, expected) = ("record/task-definition", "the task definition that runs");
    let outcome = match learned {
        _ if runs.weighs() == Verdict::Refused => return vec![runs],
        Ok(None) => return vec![runs],
        Ok(Some(_)) if runs.verdict != Verdict::Pass => return vec![runs],
        Ok(Some(learned)) => {
            let name = session.redact(&learned.task_definition);
            let outcome = Outcome::pass(id, release).actual(format!("it runs as {name}"));
            told.task_definition = Some(learned.task_definition);
            outcome
        }
        Err(error) => {
            let outcome = Outcome::error(id, release)
                .actual(error.to_string())
                .reason(format!(
                    "ECS could not be queried for the task definition that runs: {error}"
                ));
            match lifting.lifts(Rule::NotRunning) {
                Some(forced) => force::lifted(outcome, &forced),
                None => outcome.hint("nothing was recorded; an `ecs` probe in the gate waits until the rollout is over; or name it: `--task-definition FAMILY:REVISION`"),
            }
        }
    };
    vec![runs, outcome.expected(expected)]
}

/// What must be known of the release to go back to it, where its name is not enough.
async fn facts(
    session: &Session<'_>,
    release: &str,
    known: Vec<Entry>,
) -> Result<Option<ReleaseFacts>, Error> {
    let places = PlaceAccess::new(&session.job.config.hosts, &session.job.env);
    // The query for the running release reports why there is no target.
    let Ok(target) = kinds::of(session.section, &session.context(&places, known)) else {
        return Ok(None);
    };
    let asked = tokio::time::timeout(QUERY_TIMEOUT, target.facts(release)).await;
    asked.unwrap_or_else(|_| Err(current::late(QUERY_TIMEOUT)))
}

/// What the parts of all places run. What cannot be asked is left out.
async fn parts(target: &dyn Target, likely: &str) -> PlaceParts {
    let steps = target.steps(Transition::to(likely));
    let asking = steps.iter().map(|step| async move {
        let asked = tokio::time::timeout(QUERY_TIMEOUT, target.parts(step, likely)).await;
        (step, asked.ok().and_then(Result::ok).unwrap_or_default())
    });
    let mut all = PlaceParts::default();
    for (step, parts) in join_all(asking).await {
        let at = |told: String| match &step.place {
            Place::Here => told,
            Place::Host(name) => format!("{name}: {told}"),
        };
        all.runs.extend(parts.runs.into_iter().map(at));
        all.down.extend(parts.down.into_iter().map(at));
    }
    all
}

/// Whether this release is running, from any source that can report it.
async fn runs(
    session: &Session<'_>,
    known: &[Entry],
    release: &str,
    flags: &Flags,
    lifting: &mut Lifting,
) -> Outcome {
    let id = "record/running";
    // With the given facts about the release: the target may identify it by them.
    let rule = session.job.config.release_rule();
    let mut with = Document::new(None, None).comparing(rule);
    with.history = known.to_vec();
    let entry = with.deployed(release, Status::Good, Timestamp::now(), None);
    flags.apply_to(entry, session);
    let name = entry.release.clone();
    let places = PlaceAccess::new(&session.job.config.hosts, &session.job.env);
    let context = session.context(&places, with.history);
    let target = kinds::of(session.section, &context).ok();
    let target = target.as_deref();
    let (answer, _) = current::current_releases(target, &context, &name).await;
    let parts = match (&answer, target) {
        (ReleaseAnswer::Given { release, .. }, _) if *release == name => PlaceParts::default(),
        (ReleaseAnswer::NoSource | ReleaseAnswer::Missing(Error::Guessed(_)), _) | (_, None) => {
            PlaceParts::default()
        }
        (_, Some(target)) => parts(target, &name).await,
    };
    let expected = format!("{release} runs");
    let refused =
        || Outcome::refused(Id::refused("not-running"), release).expected(expected.as_str());
    let (outcome, hint) = match answer {
        ReleaseAnswer::Given {
            release: running,
            evidence,
        } if running == name => {
            return Outcome::pass(id, release).actual(format!("{release} runs ({evidence})"));
        }
        ReleaseAnswer::Given {
            release: running,
            evidence,
        } => {
            let running = session.redact(&running);
            let outcome = refused()
                .actual(format!("{running} runs ({evidence})"))
                .reason(format!("{running} runs, not {release} ({evidence})"));
            (outcome, instead(release, &running, &parts))
        }
        // Without a configured place of the release, the probe only guessed.
        ReleaseAnswer::NoSource | ReleaseAnswer::Missing(Error::Guessed(_)) => {
            return Outcome::inconclusive(id, release)
                .severity(Severity::Advisory)
                .expected(expected)
                .actual("no source can be queried")
                .reason("no configured source reports the running release")
                .hint("add `rollback.command.current`, or `release:` to a probe of `healthgate:`");
        }
        // It was asked, and does not run.
        ReleaseAnswer::Missing(_) if !parts.down.is_empty() => {
            let down = session.redact(&parts.down.join(", "));
            let reason = format!("{release} does not run: {down}");
            let hint = format!(
                "nothing was recorded; see its log, then deploy {release} again or `rollback run`"
            );
            (refused().actual(down).reason(reason), hint)
        }
        ReleaseAnswer::Missing(error) => {
            let said = format!("whether {release} runs is not known: {error}");
            let outcome = Outcome::error(id, release)
                .expected(expected)
                .actual(error.to_string())
                .reason(said);
            let hint = "nothing was recorded; see whether the service answers";
            (outcome, hint.to_owned())
        }
    };
    match lifting.lifts(Rule::NotRunning) {
        Some(forced) => force::lifted(outcome, &forced),
        None => outcome.hint(format!("{hint}; {}", force::flag(Rule::NotRunning))),
    }
}

/// What to do where another release runs than the one to record: parts may run several.
fn instead(release: &str, running: &str, parts: &PlaceParts) -> String {
    if parts.runs.len() < 2 {
        return format!(
            "record what runs: `rollback record --release {running}`, or deploy {release}"
        );
    }
    let all = [parts.runs.as_slice(), parts.down.as_slice()].concat();
    format!(
        "{}: deploy {release} whole, or go back with `rollback run`",
        all.join(", ")
    )
}
