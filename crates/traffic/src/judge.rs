//! Whether a release may keep its share: the gate's probes at its own side, and the comparison with
//! the release beside it.

use cli::{Failure, Job};
use config::file::{Canary, Healthgate, HttpProbe, Identity};
use config::value::{Share, Span};
use futures_util::future::join_all;
use model::report::Curve;
use model::{Outcome, Verdict};
use operation::shares::work::sides_of;
use operation::standby::moved;
use router::Router;
use state::Rollout;

use crate::session::Session;

/// How many answers of a release with a share may be bad, where `healthgate.policy` names no number.
const FAILURES: u32 = 2;
/// The variable that names the release that is compared with.
const LAST_KNOWN_GOOD: &str = "LAST_KNOWN_GOOD";

/// What was found of a release at a share.
#[derive(Debug)]
pub(crate) struct JudgedShare {
    pub(crate) verdict: Verdict,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) curves: Vec<Curve>,
}

/// Watches the rollout's release at this share, for at most `stage-duration`.
pub(crate) async fn judge(
    session: &Session<'_>,
    router: &dyn Router,
    rollout: &Rollout,
    share: Share,
) -> Result<JudgedShare, Failure> {
    let job = of_rollout(session.job, rollout);
    let duration = session.section.stage_duration;
    let Some(gate) = config::healthgate_for(&job.config, &rollout.release)? else {
        // Nothing to ask: the share has its time all the same, in which it is seen that it stays.
        tokio::time::sleep(duration.get()).await;
        return Ok(JudgedShare {
            verdict: Verdict::Pass,
            outcomes: Vec::new(),
            curves: Vec::new(),
        });
    };
    let gate = at_share(gate, router, rollout, share, duration).await;
    let is_empty = gate.canary.is_none() && gate::Gate::of(&gate).probes.is_empty();
    if is_empty {
        if !share.is_all() {
            tokio::time::sleep(duration.get()).await;
        }
        return Ok(JudgedShare {
            verdict: Verdict::Pass,
            outcomes: Vec::new(),
            curves: Vec::new(),
        });
    }
    let watched = watch::watch(&job, &gate, &watch::Settings::default()).await?;
    let mut outcomes = watched.outcomes;
    for outcome in &mut outcomes {
        outcome.id = format!("{share}/{}", outcome.id).into();
    }
    let verdict = Verdict::of(outcomes.iter().map(Outcome::weighs));
    Ok(JudgedShare {
        verdict,
        outcomes,
        curves: watched.curves,
    })
}

/// Asks the gate's probes for as long as a release waits at its share; ends when one fails. A comparison
/// that has passed is not begun again: each new one would be another chance of a false alarm.
pub(crate) async fn guard(
    session: &Session<'_>,
    router: &dyn Router,
    rollout: &Rollout,
) -> Result<JudgedShare, Failure> {
    let job = of_rollout(session.job, rollout);
    let Some(gate) = config::healthgate_for(&job.config, &rollout.release)? else {
        return std::future::pending().await;
    };
    let duration = session.section.stage_duration;
    let mut gate = at_share(gate, router, rollout, rollout.share, duration).await;
    gate.canary = None;
    if gate::Gate::of(&gate).probes.is_empty() {
        return std::future::pending().await;
    }
    loop {
        let watched = watch::watch(&job, &gate, &watch::Settings::default()).await?;
        let verdict = Verdict::of(watched.outcomes.iter().map(Outcome::weighs));
        if verdict == Verdict::Fail {
            return Ok(JudgedShare {
                verdict,
                outcomes: watched.outcomes,
                curves: Vec::new(),
            });
        }
        tokio::time::sleep(session.section.watch_interval.get()).await;
    }
}

/// The job as it is for the rollout's release.
fn of_rollout(job: &Job, rollout: &Rollout) -> Job {
    let mut job = job.clone();
    job.release = Some(rollout.release.clone());
    // By what answers beside it now, which is surer than what the state has.
    if let Some(stable) = &rollout.stable
        && job.env.non_empty(LAST_KNOWN_GOOD).is_none()
    {
        job.env.set(LAST_KNOWN_GOOD, stable.clone());
    }
    job
}

/// The gate as it can be asked while two releases serve. With all traffic it is the gate itself.
async fn at_share(
    mut gate: Healthgate,
    router: &dyn Router,
    rollout: &Rollout,
    share: Share,
    duration: Span,
) -> Healthgate {
    if share.is_all() {
        // There is nothing to compare with any more.
        gate.canary = None;
        return gate;
    }
    // The front door answers with either release.
    gate.release_identity = Identity::Optional;
    gate.http = at_side(&gate.http, router, rollout).await;
    // It was healthy before it got traffic, and users are waiting.
    gate.policy.failure_limit.get_or_insert(FAILURES);
    gate.policy.startup = Span::ZERO;
    gate.policy.initial_delay = Span::ZERO;
    match &mut gate.canary {
        Some(canary) => *canary = within(canary, duration),
        // Without a comparison, time is all that shows anything.
        None => gate.policy.soak = gate.policy.soak.max(duration),
    }
    gate
}

/// A comparison as it is made at one share.
pub(crate) fn within(canary: &Canary, duration: Span) -> Canary {
    let mut canary = canary.clone();
    canary.deadline = canary.deadline.min(duration);
    canary
}

/// The probes that go through the front door, at the release's own side; those of them that have a
/// place of their own are asked there.
async fn at_side(all: &[HttpProbe], router: &dyn Router, rollout: &Rollout) -> Vec<HttpProbe> {
    let sides = sides_of(router, rollout);
    let standing = sides.iter().map(|(place, side)| async move {
        let standby = router.standby(place, *side).await.ok()?;
        Some((place, standby))
    });
    let standing: Vec<_> = join_all(standing).await.into_iter().flatten().collect();
    let several = standing.len() > 1;
    let mut probes = Vec::new();
    for probe in all {
        let mut was_moved = false;
        for (place, standby) in &standing {
            if let Some(mut moved) = moved(probe, standby, place) {
                was_moved = true;
                if several {
                    moved.name = format!("{}/{place}", moved.name);
                }
                probes.push(moved);
            }
        }
        if !was_moved {
            let mut probe = probe.clone();
            probe.release = None;
            probes.push(probe);
        }
    }
    probes
}
