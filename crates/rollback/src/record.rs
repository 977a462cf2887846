//! What a pipeline tells the state: a release is being deployed, or is good.
//!
//! A good release is where every later rollback goes, so whoever can say what runs is asked first.

use ::target::Places;
use ::target::fit::{self, Fit};
use cli::{Failure, Job};
use jiff::Timestamp;
use model::{Outcome, Report, Severity, Verdict};
use state::{Document, Entry, Status};

use crate::session::{Session, failure};
use crate::target::{self, Parts};

#[derive(clap::Args, Clone, Debug, Default)]
pub struct Flags {
    /// Only say that the release is being deployed; it is not good yet
    #[arg(long)]
    pub pending: bool,
    /// The image's digest: `sha256:…`
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    pub digest: Option<String>,
    /// The image that runs: `ghcr.io/acme/shop:v1.2.4`
    #[arg(long, value_name = "IMAGE", value_parser = name)]
    pub image: Option<String>,
    /// The ECS task definition that runs: `family:revision` or its ARN. Default: asked of ECS
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub task_definition: Option<String>,
    /// The database schema's revision that the release brought
    #[arg(long, value_name = "REVISION", value_parser = name)]
    pub schema_revision: Option<String>,
    /// A schema revision that the release can work with; may be given again
    #[arg(long, value_name = "REVISION", value_parser = name)]
    pub compatible_with: Vec<String>,
    /// What is kept so that it can be gone back to, such as an image or a folder; may be given
    /// again
    #[arg(long, value_name = "ARTIFACT", value_parser = name)]
    pub retained: Vec<String>,
    /// The workflow run that deployed it. Default: this one
    #[arg(long, value_name = "RUN", value_parser = name)]
    pub run: Option<String>,
    /// Record a release that is known bad, that does not run, or in a frozen environment
    #[arg(long)]
    pub force: bool,
}

/// The longest text that is kept of a release.
const MOST: usize = model::release::LONGEST;

fn name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.len() > MOST || text.chars().any(char::is_control) {
        return Err(format!(
            "it has a line break or another control character, or more than {MOST} bytes"
        ));
    }
    Ok(text.to_owned())
}

fn digest(text: &str) -> Result<String, String> {
    let good = text.split_once(':').is_some_and(|(kind, value)| {
        let plain =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
        plain(kind) && plain(value)
    });
    if good && text.len() <= MOST {
        Ok(text.to_owned())
    } else {
        Err("it is no digest such as `sha256:9f86d0…`".to_owned())
    }
}

impl Flags {
    /// Lays what was told over what is known of the release.
    fn tell(&self, entry: &mut Entry, session: &Session<'_>) {
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
        // A revision that it has brought before is no news of the database.
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
                *known = Some(session.clean(told));
            }
        }
        for (told, known) in [
            (compatible_with, &mut entry.compatible_with),
            (retained, &mut entry.retained),
        ] {
            if !told.is_empty() {
                *known = told.iter().map(|text| session.clean(text)).collect();
            }
        }
    }
}

/// Records the job's release.
pub async fn record(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let Some(release) = &job.release else {
        return Err(Failure::usage("no release is named").hint("pass `--release VERSION`"));
    };
    let misfit = switchable(&session, flags).await?;
    let status = if flags.pending {
        Status::Pending
    } else {
        Status::Good
    };
    let refused = |document: &Document| forbidden(document, release).filter(|_| !flags.force);
    let before = session.read().await?;
    if let Some(outcome) = before.as_ref().and_then(refused) {
        return Ok(session.report(vec![outcome]));
    }
    // Whoever holds the lock may be changing what runs: then it is asked when that has ended.
    let busy = before.is_some_and(|document| document.lock.is_some());
    let mut told = flags.clone();
    let mut outcomes = Vec::from_iter(misfit);
    if !flags.pending && !busy {
        outcomes.extend(running(&session, release, &mut told).await);
        if outcomes.iter().any(stops) {
            return Ok(session.report(outcomes));
        }
    }
    if job.dry_run {
        let reason = format!("dry run: would record {release} as {}", status.as_str());
        return Ok(session.report(vec![Outcome::skipped("record/release", release, reason)]));
    }
    let (lease, again) = session
        .acquire("record", |document, _| refused(document))
        .await?;
    // A rollback may have ended between the question and the lease.
    if let Some(outcome) = again {
        session
            .store
            .release(&lease, |_| ())
            .await
            .map_err(failure)?;
        return Ok(session.report(vec![outcome]));
    }
    if !flags.pending && busy {
        outcomes.extend(running(&session, release, &mut told).await);
        if outcomes.iter().any(stops) {
            let released = session.store.release(&lease, |_| ()).await;
            released.map_err(failure)?;
            return Ok(session.report(outcomes));
        }
    }
    // What is deployed now makes a rollback void that was killed before it.
    if let Some(mut journal) = session.store.unfinished().await.map_err(failure)? {
        journal.end("superseded").await.map_err(failure)?;
    }
    let run = session.run_name();
    session
        .store
        .release(&lease, |document| {
            document.service = job.config.service.clone().or(document.service.take());
            document.environment = job.environment.clone().or(document.environment.take());
            let entry = document.deployed(release, status, Timestamp::now(), run.clone());
            told.tell(entry, &session);
        })
        .await
        .map_err(failure)?;
    outcomes.push(Outcome::pass("record/release", release).actual(format!(
        "{release} is recorded as {} in {}",
        status.as_str(),
        session.store.place()
    )));
    Ok(session.report(outcomes))
}

/// Refuses where no rollback could ever be made, as the target is configured; what is told instead
/// with `--force`. What a deployment is yet to make may be missing before it.
async fn switchable(session: &Session<'_>, flags: &Flags) -> Result<Option<Outcome>, Failure> {
    let (section, job) = (session.section, session.job);
    let places = Places::new(&job.config.hosts, &job.env);
    for found in fit::look(section, &job.config, &places).await {
        let misfit = match &found.fit {
            Fit::Never(misfit) => misfit,
            Fit::Missing(misfit) if !flags.pending => misfit,
            _ => continue,
        };
        let reason = format!(
            "no rollback could ever switch {}: {}",
            found.whole(),
            misfit.reason
        );
        if !flags.force {
            let hint = format!("nothing was recorded; {}", misfit.hint);
            return Err(Failure::usage(reason).hint(hint));
        }
        return Ok(Some(
            Outcome::inconclusive("record/target", found.whole())
                .severity(Severity::Advisory)
                .expected("a rollback could switch it")
                .actual(misfit.reason.clone())
                .reason(format!("{reason}; lifted by --force"))
                .hint(misfit.hint.clone()),
        ));
    }
    Ok(None)
}

/// Whether nothing may be recorded after this.
fn stops(outcome: &Outcome) -> bool {
    matches!(outcome.verdict, Verdict::Refused | Verdict::Error)
}

/// Whether it is this release that runs, and what must be known of it to go back to it: what nobody
/// told stands in `told` afterwards.
async fn running(session: &Session<'_>, release: &str, told: &mut Flags) -> Vec<Outcome> {
    if told.task_definition.is_some() {
        return vec![runs(session, release, told).await];
    }
    let (section, job) = (session.section, session.job);
    let learned = target::learned(section, job, release, session.known()).await;
    if let Ok(Some(learned)) = &learned
        && learned.named
    {
        told.task_definition = Some(learned.task_definition.clone());
    }
    let runs = runs(session, release, told).await;
    // That of what runs in its place is not its own.
    told.task_definition = None;
    let (id, expected) = ("record/task-definition", "the task definition that runs");
    let outcome = match learned {
        _ if runs.verdict == Verdict::Refused => return vec![runs],
        Ok(None) => return vec![runs],
        Ok(Some(_)) if runs.verdict != Verdict::Pass => return vec![runs],
        Ok(Some(learned)) => {
            let name = session.clean(&learned.task_definition);
            let outcome = Outcome::pass(id, release).actual(format!("it runs as {name}"));
            told.task_definition = Some(learned.task_definition);
            outcome
        }
        Err(reason) if told.force => Outcome::inconclusive(id, release)
            .severity(Severity::Advisory)
            .actual(reason.clone())
            .reason(format!("{reason}; lifted by --force")),
        Err(reason) => Outcome::error(id, release)
            .actual(reason.clone())
            .reason(format!("which task definition runs could not be asked: {reason}"))
            .hint("nothing was recorded; an `ecs` probe in the gate waits until the rollout is over; or tell it: `--task-definition FAMILY:REVISION`"),
    };
    vec![runs, outcome.expected(expected)]
}

/// Whether it is this release that runs, by whoever can say.
async fn runs(session: &Session<'_>, release: &str, flags: &Flags) -> Outcome {
    let (id, force) = ("record/running", flags.force);
    // With what is told of the release now: by that the target may know it.
    let rule = session.releases().rule();
    let mut known = Document::new(None, None).comparing(rule);
    known.history = session.known();
    let entry = known.deployed(release, Status::Good, Timestamp::now(), None);
    flags.tell(entry, session);
    let name = entry.release.clone();
    let history = known.history.clone();
    let asked = target::asked(session.section, session.job, &name, known.history).await;
    let parts = match &asked {
        Ok(Some((running, _))) if *running == name => Parts::default(),
        Ok(None) => Parts::default(),
        _ => target::parts(session.section, session.job, &name, history).await,
    };
    let expected = format!("{release} runs");
    let lifted = |outcome: Outcome, reason: String| {
        outcome
            .severity(Severity::Advisory)
            .expected(expected.clone())
            .reason(format!("{reason}; lifted by --force"))
    };
    match asked {
        Ok(Some((running, evidence))) if running == name => {
            Outcome::pass(id, release).actual(format!("{release} runs ({evidence})"))
        }
        Ok(Some((running, evidence))) => {
            let running = session.clean(&running);
            let reason = format!("{running} runs, not {release} ({evidence})");
            if force {
                return lifted(Outcome::inconclusive(id, release).actual(running), reason);
            }
            Outcome::refused("refused/not-running", release)
                .expected(expected)
                .actual(format!("{running} runs ({evidence})"))
                .reason(reason)
                .hint(instead(release, &running, &parts))
        }
        Ok(None) => Outcome::inconclusive(id, release)
            .severity(Severity::Advisory)
            .expected(expected)
            .actual("no source can be asked")
            .reason("no configured source reports the running release")
            .hint("add `rollback.command.current`, or `release:` to a probe of `healthgate:`"),
        // It was asked, and does not run.
        Err(_) if !parts.down.is_empty() => {
            let down = session.clean(&parts.down.join(", "));
            let reason = format!("{release} does not run: {down}");
            if force {
                return lifted(Outcome::inconclusive(id, release).actual(down), reason);
            }
            Outcome::refused("refused/not-running", release)
                .expected(expected)
                .actual(down)
                .reason(reason)
                .hint(format!(
                    "nothing was recorded; see its log, then deploy {release} again or `rollback run`; or insist with `--force`"
                ))
        }
        Err(reason) => {
            let said = format!("whether {release} runs could not be asked: {reason}");
            if force {
                return lifted(Outcome::inconclusive(id, release).actual(reason), said);
            }
            Outcome::error(id, release)
                .expected(expected)
                .actual(reason)
                .reason(said)
                .hint("nothing was recorded; see whether the service answers, or insist with `--force`")
        }
    }
}

/// What to do where another release runs than the one to record: parts may run several.
fn instead(release: &str, running: &str, parts: &Parts) -> String {
    if parts.runs.len() < 2 {
        return format!(
            "record what runs: `rollback record --release {running}`, or deploy {release}; or insist with `--force`"
        );
    }
    let all = [parts.runs.as_slice(), parts.down.as_slice()].concat();
    format!(
        "{}: deploy {release} whole, or go back with `rollback run`; or insist with `--force`",
        all.join(", ")
    )
}

/// The rule that forbids to deploy or record this release.
fn forbidden(document: &Document, release: &str) -> Option<Outcome> {
    let (rule, reason) = if document.known_bad(release).is_some() {
        let reason = format!("{release} is known bad: it was rolled back from");
        ("known-bad", reason)
    } else {
        let reason = &document.frozen.as_ref()?.reason;
        ("frozen", format!("the environment is frozen: {reason}"))
    };
    Some(
        Outcome::refused(format!("refused/{rule}"), release)
            .reason(reason)
            .hint("insist with `--force`; see `rollback status`"),
    )
}
