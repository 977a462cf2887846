//! Applies what is pending: refuse → lock → prove → apply → prove → verify → record.

use cli::force::{self, Force};
use cli::{Failure, Job};
use database::Break;
use migrator::{
    Change, ChangeEnd, ChangeResult, Effect, MIGRATE, Recorded, SchemaState, Session, ToolFailure,
    Unfinished, change, effect, is_recorded, record,
};
use model::text::tenths;
use model::{Id, Outcome, Report, Verdict};
use state::journal::Intention;
use state::{Document, Forced, Journal, Lease};

use crate::backup;
use crate::interrupted::Interrupted;
use crate::ready::{Intent, refusals};
use crate::restore;
use crate::rule::Rules;
use crate::status::nothing;
use crate::undo;
use crate::verify;

/// The step of the journal.
const APPLY: &str = "apply";

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    /// A release that is known to work with the new schema; repeatable
    #[arg(long, value_name = "RELEASE")]
    pub(crate) works_with: Vec<String>,
    #[command(flatten)]
    pub(crate) force: Force<Rules>,
}

/// Applies what is pending for the job's release.
pub(crate) async fn run(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let Some(release) = &job.release else {
        return Err(Failure::usage("no release is named").hint("pass `--release RELEASE`"));
    };
    let forced = flags.force.forced(job);
    let intent = Intent {
        release,
        works_with: &flags.works_with,
        forced: &forced,
    };
    run_migration(&session, intent).await
}

/// Goes on with a change that was interrupted.
pub(crate) async fn resume(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let Some(journal) = session.store.unfinished(MIGRATE).await? else {
        let document = session.read().await?;
        session.give_back_left(document.as_ref()).await;
        let told = "nothing to resume: no change of the schema is unfinished";
        return Ok(session.report(vec![nothing("resume", told)]));
    };
    if let Some(unfinished) = Unfinished::of(&journal) {
        return undo::resume(&session, unfinished).await;
    }
    if let Some(interrupted) = Interrupted::of(&journal) {
        return restore::resume(&session, interrupted).await;
    }
    let (release, _) = journal.plan().unwrap_or_default();
    let (release, forced) = (release.to_owned(), journal.forced().to_vec());
    let intent = Intent {
        release: &release,
        works_with: &[],
        forced: &forced,
    };
    run_migration(&session, intent).await
}

async fn run_migration(session: &Session<'_>, intent: Intent<'_>) -> Result<Report, Failure> {
    verify::check_gate_configured(session)?;
    let document = session.read().await?;
    let unfinished = session.store.unfinished(MIGRATE).await?;
    if let Some(journal) = &unfinished
        && Unfinished::of(journal).is_some()
    {
        let outcome = Outcome::refused(Id::refused("unfinished"), journal.place())
            .expected("no unfinished undo")
            .actual("one was interrupted, or is running")
            .reason("a migration is being undone")
            .hint("`migrate resume` finishes that first");
        return Ok(session.report(vec![outcome]));
    }
    if let Some(interrupted) = unfinished.as_ref().and_then(Interrupted::of) {
        return Ok(session.report(vec![interrupted.refused(session).await?]));
    }
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    if truth.is_at_head() && unfinished.is_none() && is_recorded(document.as_ref(), &truth) {
        session.give_back_left(document.as_ref()).await;
        return Ok(done_already(session, &truth, intent.forced));
    }
    if session.job.dry_run {
        return dry(session, document.as_ref(), &truth, intent).await;
    }
    let working = async |lease: &Lease, document: &Document| {
        let change = async || Box::pin(locked(session, lease, document, intent)).await;
        session.reported_under_lock(change).await
    };
    session.under_lease(working).await
}

fn done_already(session: &Session<'_>, truth: &SchemaState, forced: &[Forced]) -> Report {
    let unused = forced.iter().map(force::unused);
    let mut report = session.report(truth.outcomes().into_iter().chain(unused).collect());
    report.headline = Some(match truth.revision() {
        Some(revision) => format!("nothing to do: the schema is at {revision}, the head"),
        None => "nothing to do: there is no migration".to_owned(),
    });
    report
}

async fn dry(
    session: &Session<'_>,
    document: Option<&Document>,
    truth: &SchemaState,
    intent: Intent<'_>,
) -> Result<Report, Failure> {
    let effect = effect::of_pending(session, &truth.reading).await;
    let (refused, lifting) = refusals(session, document, truth, &effect, intent).await?;
    if !refused.is_empty() {
        return Ok(session.report(refused));
    }
    let mut outcomes = lifting.outcomes();
    let command = session.tool.apply(&truth.reading).text();
    for pending in truth.reading.pending_files() {
        let reason = format!("dry run: would apply it by `{command}`");
        outcomes.push(Outcome::skipped(
            format!("apply/{}", pending.id),
            &pending.path,
            reason,
        ));
    }
    if outcomes.is_empty() {
        let reason = "dry run: would record what the tables show";
        outcomes.push(Outcome::skipped(
            "migrate/recorded",
            session.store.place(),
            reason,
        ));
    }
    Ok(session.report(outcomes))
}

/// With both locks held.
async fn locked(
    session: &Session<'_>,
    lease: &Lease,
    document: &Document,
    intent: Intent<'_>,
) -> Result<Report, Failure> {
    let unfinished = session.store.unfinished(MIGRATE).await?;
    let before = unfinished
        .as_ref()
        .and_then(|journal| journal.before(APPLY))
        .map(str::to_owned);
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    let effect = effect::of_pending(session, &truth.reading).await;
    let (refused, lifting) = refusals(session, Some(document), &truth, &effect, intent).await?;
    if !refused.is_empty() {
        return Ok(session.report(refused));
    }
    let proved = match backup::proved(session, &truth).await? {
        Ok(proved) => proved,
        Err(refused) => return Ok(session.report(vec![*refused])),
    };
    let previous = before.or_else(|| truth.revision());
    let shape = session.shape().await?;
    let left = truth.revision();
    let begin = async || {
        let intention = Intention {
            left: left.as_deref(),
            forced: intent.forced,
            started: Some(session.started_at),
            ..Intention::new(MIGRATE, intent.release, lease.token)
        };
        session.store.begin_journal(intention).await
    };
    let mut journal = match unfinished {
        Some(journal) => journal,
        None => begin().await?,
    };
    journal.intent(APPLY, previous.clone()).await?;
    let is_made = |reading: &migrations::Reading| reading.pending.is_empty();
    let commands = |reading: &migrations::Reading| vec![session.tool.apply(reading)];
    let wish = Change {
        commands: &commands,
        is_made: &is_made,
        token: lease.token,
    };
    let made = change(session, &wish).await?;
    let mut outcomes = lifting.outcomes();
    outcomes.extend(proved);
    outcomes.extend(made_outcomes(session, &truth, &made));
    outcomes.extend(made.is_unseen.then(|| unseen(session)));
    if let (ChangeEnd::Done, Some(now)) = (&made.end, &made.truth) {
        let breaks = shape.breaks(&session.shape().await?);
        outcomes.extend(left_behind(&breaks, &effect));
        outcomes.extend(Box::pin(verify::verified(session)).await?);
        let recorded = Recorded {
            release: Some(intent.release),
            previous: previous.as_deref(),
            is_compatible: breaks.is_empty() && !matches!(effect, Effect::Breaking(_)),
            works_with: intent.works_with,
            forced: &lifting.lifted(),
        };
        outcomes.extend(record(session, lease, now, recorded).await?);
    }
    let mut report = session.report(outcomes);
    close(&mut journal, &made, &report).await?;
    report.headline = Some(headline(session, &truth, &made));
    Ok(report)
}

/// The journal's end. It stays open where it is not known what was done.
async fn close(journal: &mut Journal, made: &ChangeResult, report: &Report) -> Result<(), Failure> {
    match &made.end {
        ChangeEnd::Done => journal.done(APPLY).await?,
        ChangeEnd::Failed(ToolFailure { told: reason, .. }) | ChangeEnd::Late(reason) => {
            journal.failed(APPLY, reason).await?;
        }
        ChangeEnd::Unknown(_) | ChangeEnd::Interrupted => return Ok(()),
    }
    Ok(journal.end(report.verdict).await?)
}

fn headline(session: &Session<'_>, before: &SchemaState, made: &ChangeResult) -> String {
    let now = made.truth.as_ref().and_then(SchemaState::revision);
    let now = now.as_deref().unwrap_or("nothing");
    let took = tenths(made.took);
    match &made.end {
        ChangeEnd::Done if before.reading.pending.is_empty() => {
            format!("the schema is at {now}, the head")
        }
        ChangeEnd::Done => format!("migrated to {now} in {took}, attempts: {}", made.attempts),
        ChangeEnd::Failed(_) => format!("the migration failed; the schema is at {now}"),
        ChangeEnd::Late(_) => {
            let left = if session.leaves_nothing(&before.reading) {
                "nothing is half applied"
            } else {
                "a part may be applied, for it does not run in a transaction"
            };
            format!("not migrated within the deadline; the schema is at {now}, and {left}")
        }
        ChangeEnd::Unknown(_) => "whether it was migrated is not known".to_owned(),
        ChangeEnd::Interrupted => "interrupted: `migrate resume` goes on".to_owned(),
    }
}

/// One outcome for each migration that was pending.
pub(crate) fn made_outcomes(
    session: &Session<'_>,
    before: &SchemaState,
    made: &ChangeResult,
) -> Vec<Outcome> {
    let now = made.truth.as_ref().map(|truth| &truth.reading);
    let mut outcomes = Vec::new();
    let mut reason = match &made.end {
        ChangeEnd::Done => None,
        ChangeEnd::Failed(failure) => {
            Some((Verdict::Fail, failure.told.clone(), session.hint(failure)))
        }
        ChangeEnd::Late(reason) => Some((
            Verdict::Inconclusive,
            format!("not done within `deadline` ({}): {reason}", session.section.deadline),
            "see who holds the lock: `SELECT pid, state, query FROM pg_stat_activity WHERE xact_start IS NOT NULL ORDER BY xact_start`; then `migrate run` again"
                .to_owned(),
        )),
        ChangeEnd::Interrupted => Some((
            Verdict::Inconclusive,
            "interrupted".to_owned(),
            "`migrate resume` goes on".to_owned(),
        )),
        ChangeEnd::Unknown(unknown) => {
            outcomes.push((**unknown).clone());
            None
        }
    };
    for pending in before.reading.pending_files() {
        let id = format!("apply/{}", pending.id);
        if now.is_some_and(|now| now.is_applied(&pending.id)) || matches!(made.end, ChangeEnd::Done)
        {
            outcomes.push(Outcome::pass(id, &pending.path).actual("applied, as the tables show"));
        } else if let Some((verdict, reason, hint)) = reason.take() {
            outcomes.push(
                Outcome::new(id, &pending.path, verdict)
                    .expected("it is applied")
                    .actual("not applied")
                    .reason(reason)
                    .hint(hint),
            );
        } else if !matches!(made.end, ChangeEnd::Unknown(_)) {
            outcomes.push(Outcome::skipped(
                id,
                &pending.path,
                "one before it was not applied",
            ));
        }
    }
    if let Some((verdict, reason, hint)) = reason {
        outcomes.push(
            Outcome::new("migrate/change", "", verdict)
                .reason(reason)
                .hint(hint),
        );
    }
    outcomes
}

/// Where the tool runs elsewhere, only its name tells its sessions from those of others.
fn unseen(session: &Session<'_>) -> Outcome {
    Outcome::inconclusive("migrate/watched", session.tool.name())
        .severity(model::Severity::Advisory)
        .expected("the tool's sessions are seen at the server")
        .actual("none was seen")
        .reason("it was done between two looks, or the tool gives itself another `application_name`: others were protected by `lock-timeout` alone")
        .hint("leave `application_name` out of the tool's configuration: it takes the name from PGAPPNAME then")
}

/// What the releases before may break on. It changes no verdict: the contract was asked before.
fn left_behind(breaks: &[Break], effect: &Effect) -> Option<Outcome> {
    let outcome = |reason: String| {
        Outcome::inconclusive("migrate/compatible", "")
            .severity(model::Severity::Advisory)
            .expected("the releases before work with the new schema")
            .actual("not known to")
            .reason(reason)
            .hint("`rollback` refuses to go to one of them; one that works: `migrate run --works-with RELEASE`, or `rollback record --compatible-with`")
    };
    match (breaks, effect) {
        ([], Effect::Breaking(reasons)) => Some(outcome(reasons.join("; "))),
        ([], _) => None,
        (breaks, _) => {
            let told: Vec<String> = breaks.iter().map(ToString::to_string).collect();
            Some(outcome(told.join("; ")))
        }
    }
}
