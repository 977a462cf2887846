//! Back down, by the tool's own way.

use cli::force::{Force, insist, of};
use cli::{Failure, Job};
use migrator::{End, MIGRATE, Recorded, Session, Truth, Undone, Unfinished, record};
use model::{Id, Outcome, Report, Verdict};
use state::{Document, Forced, Lease};

use crate::rule::Rule;

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    /// Undo everything behind this revision. Default: the last migration alone
    #[arg(long, value_name = "REVISION")]
    to: Option<String>,
    #[command(flatten)]
    force: Force<Rule>,
}

/// Undoes the last migration, or those behind a revision.
pub(crate) async fn undo(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let forced = flags.force.forced(job);
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
        &forced,
    );
    if let Some(outcome) = refused.await? {
        return Ok(session.report(vec![outcome]));
    }
    if job.dry_run {
        return Ok(dry(&session, &truth, flags.to.as_deref()));
    }
    let working = async |lease: &Lease, _: &Document| {
        Box::pin(under(&session, lease, flags.to.as_deref())).await
    };
    session.under_lease(working).await
}

async fn refused(
    session: &Session<'_>,
    document: Option<&Document>,
    truth: &Truth,
    to: Option<&str>,
    forced: &[Forced],
) -> Result<Option<Outcome>, Failure> {
    if let Err(none) = session.tool.undo(&truth.reading, to) {
        return Ok(Some(no_way(truth, &none)));
    }
    if of(Rule::Unrehearsed, forced).is_some() {
        return Ok(None);
    }
    let unknown = migrator::way_down(session, document, truth, to).await?;
    Ok(unknown.map(|reason| {
        Outcome::refused(
            Id::refused("unrehearsed"),
            truth.revision().unwrap_or_default(),
        )
        .expected("a rehearsal that undid it and found the schema of before")
        .actual("none is recorded")
        .reason(reason)
        .hint(format!(
            "`migrate rehearse` tries it on a copy, before it is applied; {}",
            insist(Rule::Unrehearsed)
        ))
    }))
}

fn no_way(truth: &Truth, none: &migrations::NoUndo) -> Outcome {
    Outcome::refused(Id::refused("no-undo"), truth.revision().unwrap_or_default())
        .expected("a way down")
        .actual("missing")
        .reason(none.to_string())
        .hint("`migrate decide` shows the other ways")
}

fn dry(session: &Session<'_>, truth: &Truth, to: Option<&str>) -> Report {
    let commands = session.tool.undo(&truth.reading, to).unwrap_or_default();
    let outcome = |command: &migrations::Command| {
        let reason = format!("dry run: would run `{}`", command.text());
        Outcome::skipped("undo", truth.revision().unwrap_or_default(), reason)
    };
    session.report(commands.iter().map(outcome).collect())
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
    let working =
        async |lease: &Lease, _: &Document| Box::pin(resumed(session, lease, unfinished)).await;
    session.under_lease(working).await
}

async fn resumed(
    session: &Session<'_>,
    lease: &Lease,
    unfinished: Unfinished,
) -> Result<Report, Failure> {
    let lock = match session.lock().await? {
        Ok(lock) => lock,
        Err(refused) => return Ok(session.report(vec![*refused])),
    };
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    let Unfinished { to, from, release } = unfinished;
    if truth.revision() == from {
        // It is begun anew, with a journal of its own.
        if let Some(mut journal) = session.store.unfinished(MIGRATE).await? {
            journal.end("superseded").await?;
        }
        let undone = migrator::undo(session, lease, &truth, to.as_deref(), release.as_deref());
        let undone = Box::pin(undone).await?;
        drop(lock);
        return Ok(match undone {
            Ok(undone) => report(session, &truth, undone),
            Err(none) => session.report(vec![no_way(&truth, &none)]),
        });
    }
    let recorded = Recorded {
        release: release.as_deref(),
        previous: from.as_deref(),
        is_compatible: false,
        works_with: &[],
    };
    let revision = truth.revision().unwrap_or_else(|| "nothing".to_owned());
    let undone = Outcome::pass("migrate/undo", revision.clone());
    let mut outcomes = vec![undone.actual("undone before it was interrupted, as the tables say")];
    outcomes.extend(record(session, lease, &truth, recorded).await?);
    if let Some(mut journal) = session.store.unfinished(MIGRATE).await? {
        journal.end("pass").await?;
    }
    drop(lock);
    let mut report = session.report(outcomes);
    report.headline = Some(format!("the schema is at {revision}"));
    Ok(report)
}

async fn under(session: &Session<'_>, lease: &Lease, to: Option<&str>) -> Result<Report, Failure> {
    let lock = match session.lock().await? {
        Ok(lock) => lock,
        Err(refused) => return Ok(session.report(vec![*refused])),
    };
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    let release = session.job.release.as_deref();
    let undone = Box::pin(migrator::undo(session, lease, &truth, to, release)).await?;
    drop(lock);
    Ok(match undone {
        Ok(undone) => report(session, &truth, undone),
        Err(none) => session.report(vec![no_way(&truth, &none)]),
    })
}

fn report(session: &Session<'_>, before: &Truth, undone: Undone) -> Report {
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
        .map(|id| Outcome::pass(Id::undo(id), path(id)).actual("undone, as the tables say"))
        .collect();
    let now = made.truth.as_ref().and_then(Truth::revision);
    let now = now.unwrap_or_else(|| "nothing".to_owned());
    let (verdict, reason) = match &made.end {
        End::Done => (Verdict::Pass, None),
        End::Failed(reason) => (Verdict::Fail, Some(reason.clone())),
        End::Late(reason) => (
            Verdict::Inconclusive,
            Some(format!("not done within `deadline`: {reason}")),
        ),
        End::Interrupted => (Verdict::Inconclusive, Some("interrupted".to_owned())),
        End::Unknown(unknown) => {
            outcomes.push((**unknown).clone());
            (Verdict::Pass, None)
        }
    };
    if let Some(reason) = reason {
        let outcome = Outcome::new(
            "migrate/undo",
            before.revision().unwrap_or_default(),
            verdict,
        );
        outcomes.push(
            outcome
                .reason(reason)
                .hint("`migrate decide` shows the ways out"),
        );
    }
    outcomes.extend(recorded);
    let mut report = session.report(outcomes);
    report.headline = Some(format!("the schema is at {now}"));
    report
}
