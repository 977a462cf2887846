//! Back down, by the tool's own way.

use cli::force::{Force, Lifting};
use cli::{Failure, Job};
use migrator::{ChangeEnd, SchemaState, Session, ToolFailure, UndoRequest, Undone, Unfinished};
use model::{Id, Outcome, Report, Verdict};
use state::{Document, Lease, Rule};

use crate::interrupted::Interrupted;
use crate::rule::UndoRules;

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    /// Undo every migration after this revision; an empty revision undoes all. Default: the last migration alone
    #[arg(long, value_name = "REVISION")]
    to: Option<String>,
    #[command(flatten)]
    force: Force<UndoRules>,
}

/// Undoes the last migration, or all after a revision.
pub(crate) async fn undo(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let mut lifting = Lifting::new(flags.force.forced(job));
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    let document = session.read().await?;
    let refused = refused(
        &session,
        document.as_ref(),
        &truth,
        flags.to.as_deref(),
        &mut lifting,
    );
    if let Some(outcome) = refused.await? {
        return Ok(session.report(vec![outcome]));
    }
    if job.dry_run {
        return Ok(dry(&session, &truth, flags.to.as_deref(), &lifting));
    }
    let lifted = lifting.lifted();
    let wish = UndoRequest::new(flags.to.as_deref(), job.release.as_deref()).lifting(&lifted);
    let mut report = undo_with_lease(&session, &wish).await?;
    report.outcomes.extend(lifting.outcomes());
    Ok(report)
}

async fn refused(
    session: &Session<'_>,
    document: Option<&Document>,
    truth: &SchemaState,
    to: Option<&str>,
    lifting: &mut Lifting,
) -> Result<Option<Outcome>, Failure> {
    if let Some((_, interrupted)) = Interrupted::find(session).await? {
        return Ok(Some(interrupted.refused(session).await?));
    }
    if let Err(none) = session.tool.undo(&truth.reading, to) {
        return Ok(Some(no_way(truth, &none)));
    }
    let unknown = migrator::way_down(session, document, truth, to).await?;
    let refusal = unknown.map(|reason| {
        Outcome::refused(
            Id::refused("unrehearsed"),
            truth.revision().unwrap_or_default(),
        )
        .expected("a rehearsal that undid it and found the schema of before")
        .actual("none is recorded")
        .reason(reason)
        .hint("`migrate rehearse` tries it on a copy, before it is applied")
    });
    let refused = refusal.and_then(|refusal| lifting.refuse(Rule::Unrehearsed, refusal).err());
    Ok(refused.map(|refused| *refused))
}

fn no_way(truth: &SchemaState, none: &migrations::UndoError) -> Outcome {
    Outcome::refused(Id::refused("no-undo"), truth.revision().unwrap_or_default())
        .expected("a way down")
        .actual("missing")
        .reason(none.to_string())
        .hint("`migrate decide` shows the other ways")
}

fn dry(session: &Session<'_>, truth: &SchemaState, to: Option<&str>, lifting: &Lifting) -> Report {
    let commands = session.tool.undo(&truth.reading, to).unwrap_or_default();
    let outcome = |command: &migrations::Command| {
        let reason = format!("dry run: would run `{}`", command.text());
        Outcome::skipped("undo", truth.revision().unwrap_or_default(), reason)
    };
    let commands = commands.iter().map(outcome);
    session.report(commands.chain(lifting.outcomes()).collect())
}

/// Goes on with an undo that was interrupted. What was lifted for it is lifted still.
pub(crate) async fn resume(
    session: &Session<'_>,
    unfinished: Unfinished,
) -> Result<Report, Failure> {
    if session.job.dry_run {
        let outcome = Outcome::skipped("undo", "", "dry run: would finish the undo");
        return Ok(session.report(vec![outcome]));
    }
    let wish = UndoRequest::begun(&unfinished);
    undo_with_lease(session, &wish).await
}

async fn undo_with_lease(session: &Session<'_>, wish: &UndoRequest<'_>) -> Result<Report, Failure> {
    let working = async |lease: &Lease, _: &Document| {
        let mut begun = wish.begun_before();
        let change = async || Box::pin(locked(session, lease, wish, &mut begun)).await;
        session.reported_under_lock(change).await
    };
    session.under_lease(working).await
}

/// With both locks held. What was begun before, by a run that is gone or under a lock that was lost, is gone on with.
async fn locked(
    session: &Session<'_>,
    lease: &Lease,
    wish: &UndoRequest<'_>,
    begun: &mut Option<Unfinished>,
) -> Result<Report, Failure> {
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    let before = begun.clone();
    begun.get_or_insert_with(|| wish.begun_at(&truth));
    let undone = wish.make(session, lease, &truth, before.as_ref());
    Ok(match Box::pin(undone).await? {
        Ok(undone) => report(session, &truth, undone),
        Err(none) => session.report(vec![no_way(&truth, &none)]),
    })
}

fn report(session: &Session<'_>, before: &SchemaState, undone: Undone) -> Report {
    let Undone {
        revisions,
        made,
        recorded,
    } = undone;
    let path = |id: &String| {
        before
            .reading
            .file(id)
            .map(|file| file.path.clone())
            .unwrap_or_default()
    };
    let mut outcomes: Vec<Outcome> = revisions
        .iter()
        .map(|id| Outcome::pass(Id::undo(id), path(id)).actual("undone, as the tables show"))
        .collect();
    let now = made.truth.as_ref().and_then(SchemaState::revision);
    let now = now.unwrap_or_else(|| "nothing".to_owned());
    let (verdict, failure): (_, Option<ToolFailure>) = match &made.end {
        ChangeEnd::Done if revisions.is_empty() => {
            let undone = Outcome::pass("migrate/undo", now.clone());
            outcomes.push(undone.actual("undone before it was interrupted, as the tables show"));
            (Verdict::Pass, None)
        }
        ChangeEnd::Done => (Verdict::Pass, None),
        ChangeEnd::Failed(failure) => (Verdict::Fail, Some(failure.clone())),
        ChangeEnd::Late(reason) => (
            Verdict::Inconclusive,
            Some(format!("not done within `deadline`: {reason}").into()),
        ),
        ChangeEnd::Interrupted => (Verdict::Inconclusive, Some("interrupted".to_owned().into())),
        ChangeEnd::Unknown(unknown) => {
            outcomes.push((**unknown).clone());
            (Verdict::Pass, None)
        }
    };
    if let Some(failure) = failure {
        let outcome = Outcome::new(
            "migrate/undo",
            before.revision().unwrap_or_default(),
            verdict,
        );
        let hint = session.hint(&failure);
        outcomes.push(outcome.reason(failure.told).hint(hint));
    }
    outcomes.extend(recorded);
    let mut report = session.report(outcomes);
    report.headline = Some(format!("the schema is at {now}"));
    report
}
