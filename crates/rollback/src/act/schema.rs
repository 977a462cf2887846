//! A destination that the database's schema does not fit: the migrations in between are undone first, where
//! the configuration wants it and the way down was tried.

use cli::Failure;
use config::file::OnMisfit;
use migrator::{ChangeEnd, SchemaState, Session as Migration, ToolFailure, UndoRequest};
use model::id::Kind;
use model::{Id, Outcome};
use state::{Document, Lease, Rule};

use crate::session::Session;

/// What the way down came to.
pub(super) enum WayDown {
    /// The schema fits now; what was undone.
    Fits(Vec<Outcome>),
    /// The rollback is refused.
    Refused(Vec<Outcome>),
}

/// Goes down where the refusal is about the schema and `rollback.migrate` wants it.
pub(super) async fn go_down(
    session: &Session<'_>,
    document: &Document,
    refusal: Box<Outcome>,
) -> Result<WayDown, Failure> {
    let is_schema = refusal.id.name_of(Kind::Refused) == Some(Rule::Schema.name());
    let wanted = session.section.migrate == OnMisfit::Undo;
    if !is_schema || !wanted || session.job.config.migrate()?.is_none() {
        return Ok(WayDown::Refused(vec![*refusal]));
    }
    let migration = Migration::open(session.job)?;
    let not = |why: String| {
        let reason = refusal.reason.clone().unwrap_or_default();
        let refusal = (*refusal).clone();
        let refusal = refusal.reason(format!("{reason}; and it is not undone: {why}"));
        Ok(WayDown::Refused(vec![refusal]))
    };
    let truth = match migration.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return not(unknown.reason.unwrap_or_default()),
    };
    let Some(to) = fitting(document, &refusal.subject, &truth) else {
        let why = "no revision that it works with is applied below the present one";
        return not(why.to_owned());
    };
    if let Some(why) = migrator::way_down(&migration, Some(document), &truth, Some(&to)).await? {
        return not(why);
    }
    let (job, release) = (session.job, refusal.subject.clone());
    job.progress.show(&format!("the schema goes down to {to}"));
    let wish = UndoRequest::new(Some(&to), Some(&release));
    let working = async |lease: &Lease, _: &Document| {
        let mut begun = None;
        let change = async || {
            // What was true before the locks must be true under them.
            let now = match migration.truth().await {
                Ok(now) => now,
                Err(unknown) => return not(unknown.reason.unwrap_or_default()),
            };
            if begun.is_none() && now.revision() != truth.revision() {
                return not("the schema was changed meanwhile".to_owned());
            }
            let before = begun.replace(wish.begun_at(&truth));
            let making = wish.make(&migration, lease, &now, before.as_ref());
            let undone = match Box::pin(making).await? {
                Ok(undone) => undone,
                Err(none) => return not(none.to_string()),
            };
            let down =
                |id: &String| Outcome::pass(Id::undo(id), "").actual("undone, as the tables show");
            let mut outcomes: Vec<Outcome> = undone.revisions.iter().map(down).collect();
            outcomes.extend(undone.recorded);
            match undone.made.end {
                ChangeEnd::Done => Ok(WayDown::Fits(outcomes)),
                ChangeEnd::Failed(ToolFailure { told: why, .. }) | ChangeEnd::Late(why) => not(why),
                ChangeEnd::Unknown(unknown) => Ok(WayDown::Refused(vec![*unknown])),
                ChangeEnd::Interrupted => not("interrupted: `migrate resume` goes on".to_owned()),
            }
        };
        let is_done = |down: &WayDown| matches!(down, WayDown::Fits(_));
        let made = migration.under_lock(change, is_done).await?;
        Ok(made.unwrap_or_else(|held| WayDown::Refused(vec![*held])))
    };
    migration.under_lease(working).await
}

/// The newest applied revision that the release is recorded to work with.
fn fitting(document: &Document, release: &str, truth: &SchemaState) -> Option<String> {
    let entry = document.entry(release)?;
    let mut applied = truth.reading.applied.iter().rev();
    let fits = applied.find(|applied| entry.works_with(&applied.id));
    fits.map(|applied| applied.id.clone())
}
