//! What a ramp or a switch would do, step by step; changes nothing.

use std::time::Duration;

use cli::{Failure, Job};
use config::value::Share;
use futures_util::future::join_all;
use model::text::span;
use model::{Outcome, Report, Table};
use router::{Router, Split};
use state::Document;

use crate::provable::{NeededProof, ProofTime};
use crate::ramp;
use crate::refuse;
use crate::session::Session;
use crate::side_choice::{self, Goal, OtherSide, Pair};
use crate::stage_duration::StageDurations;

/// What a change is followed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterShare {
    /// Each share is judged before the next one.
    Judged,
    /// It is proved, and stays.
    Stays,
}

/// The steps of a ramp of `--release`.
pub(crate) async fn plan(job: &Job, flags: &ramp::Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let release = session.named()?;
    let stages = flags.stages(&session)?;
    let document = session.read().await?;
    if let Some(outcome) = refuse::begin(&session, document.as_ref(), release).await? {
        return Ok(session.report(vec![outcome]));
    }
    let goal = Goal::Release(release);
    steps(
        &session,
        document.as_ref(),
        &goal,
        &stages,
        AfterShare::Judged,
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
    steps(session, document, goal, &[share], AfterShare::Stays).await
}

async fn steps(
    session: &Session<'_>,
    document: Option<&Document>,
    goal: &Goal<'_>,
    stages: &[Share],
    then: AfterShare,
) -> Result<Report, Failure> {
    let work = session.work(document);
    let context = work.context();
    let router = work.router(&context)?;
    let beside = if stages.iter().all(|share| share.is_all()) {
        OtherSide::MayBeDown
    } else {
        OtherSide::Answers
    };
    let pair = match side_choice::pair(&work, &*router, goal.clone(), beside).await {
        Ok(pair) => pair,
        Err(outcome) => return Ok(session.report(vec![*outcome])),
    };
    let stages = match then {
        AfterShare::Judged => pair.stages_left(stages),
        AfterShare::Stays => Ok(stages.to_vec()),
    };
    let stages = match stages {
        Ok(stages) => stages,
        Err(outcome) => return Ok(session.report(vec![*outcome])),
    };
    let gate = config::healthgate_for(&session.job.config, &pair.release)?;
    if let Some(outcome) = side_choice::unhealthy(&work, &*router, &pair, gate.as_ref()).await {
        return Ok(session.report(vec![outcome]));
    }
    let minutes = match then {
        AfterShare::Judged => {
            let duration = session.section.stage_duration;
            Some(StageDurations::query(session.job, gate, duration).await)
        }
        AfterShare::Stays => None,
    };
    let proof = ProofTime::measure(&work, &*router, &pair.sides, &pair.release).await;
    let (mut outcomes, mut rows) = (Vec::new(), Vec::new());
    let mut in_all = (Some(Duration::ZERO), Duration::ZERO);
    let mut before = pair.share;
    for share in &stages {
        let stay = minutes.as_ref().map(|minutes| minutes.at(*share));
        let mut told = stay
            .as_ref()
            .map_or("and stays so", |stay| &stay.told)
            .to_owned();
        let has_next = stages.last().is_some_and(|last| last > share);
        let must_wait = has_next && *share >= ramp::limit(session.section, &stages);
        if then == AfterShare::Judged && must_wait {
            told.push_str("; then it waits for `traffic promote`");
        }
        let steps = step(&*router, &pair, (before, *share), &proof, &told).await;
        let proved = steps
            .iter()
            .map(|(_, takes)| *takes)
            .max()
            .unwrap_or_default();
        outcomes.extend(steps.into_iter().map(|(outcome, _)| outcome));
        in_all.0 = in_all.0.map(|sum| sum + proved);
        in_all.1 += proved;
        if let Some(stay) = stay {
            in_all.0 = in_all.0.zip(stay.likely).map(|(sum, more)| sum + more);
            in_all.1 += stay.at_most;
            outcomes.extend(stay.outcomes);
            rows.extend(stay.rows.into_iter().map(|row| table_row(*share, row)));
        }
        before = *share;
    }
    let mut report = session.report(outcomes);
    let shares: Vec<String> = stages.iter().map(Share::to_string).collect();
    let time = match (then, in_all) {
        (AfterShare::Stays, _) => String::new(),
        (AfterShare::Judged, (Some(likely), at_most)) if likely == at_most => {
            format!(" within {}", span(at_most))
        }
        (AfterShare::Judged, (Some(likely), at_most)) => {
            format!(" in about {}, at most {}", span(likely), span(at_most))
        }
        (AfterShare::Judged, (None, at_most)) => format!(" within {} at most", span(at_most)),
    };
    report.headline = Some(format!(
        "would give {} to {} ({} has it now){time}; nothing was changed",
        shares.join(", "),
        pair.release,
        pair.share
    ));
    if !rows.is_empty() {
        report.tables.push(Table {
            title: "How long a share is judged: half to twice of this in most rollouts (at most, in nine of ten)"
                .to_owned(),
            header: vec!["share", "metric", "a good release passes", "2 times worse is found"],
            rows,
            only_in_summary: false,
        });
    }
    Ok(report)
}

fn table_row(share: Share, [metric, passes, twice]: [String; 3]) -> Vec<String> {
    vec![share.to_string(), metric, passes, twice]
}

/// One share at every place, how long its proof takes, and what follows there.
async fn step(
    router: &dyn Router,
    pair: &Pair,
    (before, share): (Share, Share),
    proof: &ProofTime,
    then: &str,
) -> Vec<(Outcome, Duration)> {
    let several = pair.sides.len() > 1;
    let asking = pair.sides.iter().map(|(place, side)| async move {
        let id = if several {
            format!("plan/{share}/{place}")
        } else {
            format!("plan/{share}")
        };
        let (was, split) = (Split::giving(*side, before), Split::giving(*side, share));
        let refused = |reason: String| {
            Outcome::refused(id.clone(), place.to_string())
                .expected(split.to_string())
                .actual(reason.clone())
                .reason(reason)
                .hint("choose another share with `--stages`")
        };
        let NeededProof { answers, takes } = match proof.needed(router, place, (was, split)) {
            Ok(needed) => needed,
            Err(unprovable) => return (unprovable.outcome(id, place), Duration::ZERO),
        };
        let outcome = match router.check(place, split).await {
            Ok(change) if change.split != split => refused(format!(
                "{} cannot express {share}: the nearest is {}",
                router.kind(),
                change.split.of(*side)
            )),
            Ok(change) => {
                let mut does = change.does;
                if !change.writes.is_empty() {
                    does = format!("{does}; it writes `{}`", change.writes.join("`, `"));
                }
                let within = match takes {
                    Duration::ZERO => String::new(),
                    takes => format!(" in about {}", span(takes)),
                };
                Outcome::pass(id, place.to_string()).actual(format!(
                    "{does}; proved by {answers} requests{within}, {then}"
                ))
            }
            Err(error) => Outcome::error(id, place.to_string())
                .expected(format!("{share} can be set"))
                .actual(error.to_string())
                .reason(error.to_string())
                .hint("see `traffic status`"),
        };
        (outcome, takes)
    });
    join_all(asking).await
}
