//! What a ramp or a switch would do, step by step; changes nothing.

use cli::{Failure, Job};
use config::value::Share;
use futures_util::future::join_all;
use model::{Outcome, Report};
use operation::shares::observe::answers_needed;
use operation::shares::work::Work;
use router::{Router, Split};
use state::Document;

use crate::choose::{self, Beside, Goal, Pair};
use crate::ramp;
use crate::refuse;
use crate::session::Session;

/// The steps of a ramp of `--release`.
pub(crate) async fn plan(job: &Job, flags: &ramp::Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let release = session.named()?;
    let stages = flags.stages(&session)?;
    let document = session.read().await?;
    if let Some(outcome) = refuse::begin(&session, document.as_ref(), release).await? {
        return Ok(session.report(vec![outcome]));
    }
    steps(
        &session,
        document.as_ref(),
        &Goal::Release(release),
        &stages,
    )
    .await
}

/// The one step of a switch, or of a share that is set.
pub(crate) async fn one(
    session: &Session<'_>,
    document: Option<&Document>,
    goal: &Goal<'_>,
    share: Share,
) -> Result<Report, Failure> {
    steps(session, document, goal, &[share]).await
}

async fn steps(
    session: &Session<'_>,
    document: Option<&Document>,
    goal: &Goal<'_>,
    stages: &[Share],
) -> Result<Report, Failure> {
    let work = session.work(document);
    let context = work.context();
    let router = work.router(&context)?;
    let beside = if stages.iter().all(|share| share.is_all()) {
        Beside::MayBeDown
    } else {
        Beside::Answers
    };
    let pair = match choose::pair(&work, &*router, goal.clone(), beside).await {
        Ok(pair) => pair,
        Err(outcome) => return Ok(session.report(vec![*outcome])),
    };
    let gate = config::healthgate_for(&session.job.config, &pair.release)?;
    if let Some(outcome) = choose::unhealthy(&work, &*router, &pair, gate.as_ref()).await {
        return Ok(session.report(vec![outcome]));
    }
    let mut outcomes = Vec::new();
    let mut before = pair.share;
    for share in stages {
        outcomes.extend(step(&work, &*router, &pair, (before, *share)).await);
        before = *share;
    }
    let mut report = session.report(outcomes);
    let shares: Vec<String> = stages.iter().map(Share::to_string).collect();
    report.headline = Some(format!(
        "would give {} to {} ({} has it now); nothing was changed",
        shares.join(", "),
        pair.release,
        pair.share
    ));
    Ok(report)
}

/// One share at every place.
async fn step(
    work: &Work<'_>,
    router: &dyn Router,
    pair: &Pair,
    (before, share): (Share, Share),
) -> Vec<Outcome> {
    let several = pair.sides.len() > 1;
    let asking = pair.sides.iter().map(|(place, side)| async move {
        let id = if several {
            format!("plan/{share}/{place}")
        } else {
            format!("plan/{share}")
        };
        let (was, split) = (Split::giving(*side, before), Split::giving(*side, share));
        match router.check(place, split).await {
            Ok(change) if change.split != split => Outcome::refused(id, place.to_string())
                .expected(split.to_string())
                .actual(change.split.to_string())
                .reason(format!(
                    "{} cannot express {share}: the nearest is {}",
                    router.kind(),
                    change.split.of(*side)
                ))
                .hint("choose another share with `--stages`"),
            Ok(change) => {
                let mut does = change.does;
                if !change.writes.is_empty() {
                    does = format!("{does}; it writes `{}`", change.writes.join("`, `"));
                }
                let proof = match answers_needed(was, split) {
                    Some(answers) => format!("proved by {answers} requests"),
                    None => "too small to be proved by requests".to_owned(),
                };
                let judged = if share.is_all() {
                    "then the gate".to_owned()
                } else {
                    format!("then judged for at most {}", work.section.stage_duration)
                };
                Outcome::pass(id, place.to_string()).actual(format!("{does}; {proof}, {judged}"))
            }
            Err(error) => Outcome::error(id, place.to_string())
                .expected(format!("{share} can be set"))
                .actual(error.to_string())
                .reason(error.to_string())
                .hint("see `traffic status`"),
        }
    });
    join_all(asking).await
}
