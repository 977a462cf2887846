//! Which side a release is on, and whether it may get traffic: asked at every place before anything
//! changes.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use cli::Job;
use config::file::Healthgate;
use config::value::{Share, Side};
use futures_util::future::join_all;
use jiff::Timestamp;
use model::{Id, Outcome};
use operation::shares::sides::{BothSides, query_all};
use operation::shares::work::Work;
use operation::standby;
use place::Place;
use router::{Health, Router, Splits};
use state::{Phase, Rollout, release_shown};

use crate::in_effect::served_by;

/// A release and the one beside it.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) release: String,
    /// `None` where its side does not answer.
    pub(crate) stable: Option<String>,
    /// The side that runs `release` at each place.
    pub(crate) sides: BTreeMap<Place, Side>,
    /// The share that `release` has in use, the largest of all places.
    pub(crate) share: Share,
    /// The smallest of them and of what is configured: a switch that some places did not take, or would not have after
    /// a restart, is not done.
    pub(crate) least: Share,
}

impl Pair {
    /// The same, seen from the release beside it; `None` where that is not known.
    pub(crate) fn other_side(&self) -> Option<Pair> {
        let stable = self.stable.clone()?;
        let others = self
            .sides
            .iter()
            .map(|(place, side)| (place.clone(), side.other()));
        Some(Pair {
            release: stable,
            stable: Some(self.release.clone()),
            sides: others.collect(),
            share: self.least.rest(),
            least: self.share.rest(),
        })
    }

    /// Adds what was found at `place`. The release beside may be down at one place and answer at another.
    ///
    /// # Errors
    /// Returns the refusal, where that place has other releases.
    fn join(&mut self, place: &Place, there: Pair) -> Result<(), Box<Outcome>> {
        let differs =
            matches!((&self.stable, &there.stable), (Some(one), Some(other)) if one != other);
        if self.release != there.release || differs {
            let reason = format!(
                "{place} has {} beside {}, another place {} beside {}",
                there.release,
                release_shown(there.stable.as_deref()),
                self.release,
                release_shown(self.stable.as_deref())
            );
            let hint = "bring all places to the same two releases; see `traffic status`";
            return Err(refused("places-differ", &there.release, reason, hint));
        }
        self.stable = self.stable.take().or(there.stable);
        self.share = self.share.max(there.share);
        self.least = self.least.min(there.least);
        self.sides.extend(there.sides);
        Ok(())
    }

    /// The stages that a ramp does not have behind it already.
    ///
    /// # Errors
    /// Returns the refusal, where there is none: nothing would be judged.
    pub(crate) fn stages_left(&self, stages: &[Share]) -> Result<Vec<Share>, Box<Outcome>> {
        let left = stages.iter().copied().filter(|share| *share >= self.share);
        let left: Vec<Share> = left.collect();
        if left.is_empty() {
            let Pair { release, share, .. } = self;
            let reason = format!("{release} has {share} already, more than every stage");
            let hint = "name a stage above it; `traffic set SHARE --release R` takes requests away";
            return Err(refused("no-stage", release, reason, hint));
        }
        Ok(left)
    }

    /// As the state has it when it begins.
    pub(crate) fn rollout(&self, job: &Job, share: Share, stages: Vec<Share>) -> Rollout {
        let now = Timestamp::now();
        Rollout {
            release: self.release.clone(),
            stable: self.stable.clone(),
            share,
            sides: { self.sides.iter() }
                .map(|(place, side)| (place.to_string(), *side))
                .collect(),
            stages,
            is_ramp: false,
            phase: Phase::Setting,
            promoted: None,
            abort: None,
            started: now,
            changed: now,
            by: job.actor(),
            run: job.run_name(),
        }
    }
}

/// What must be known of the side that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtherSide {
    Answers,
    MayBeDown,
}

/// Where a switch goes.
#[derive(Clone, Debug)]
pub(crate) enum Goal<'a> {
    Release(&'a str),
    Side(Side),
    /// The side that has the smaller share.
    Idle,
}

fn refused(rule: &str, subject: &str, reason: String, hint: &str) -> Box<Outcome> {
    Box::new(
        Outcome::refused(Id::refused(rule), subject)
            .expected("a side that may get traffic")
            .actual(reason.clone())
            .reason(reason)
            .hint(hint),
    )
}

/// Finds both releases at every place that can be asked.
pub(crate) async fn pair(
    work: &Work<'_>,
    router: &dyn Router,
    goal: Goal<'_>,
    beside: OtherSide,
) -> Result<Pair, Box<Outcome>> {
    let likely = match &goal {
        Goal::Release(release) => release,
        Goal::Side(_) | Goal::Idle => "",
    };
    let answers = query_all(router, likely).await;
    let mut found: Option<Pair> = None;
    let mut failed = Vec::new();
    for (place, both) in &answers {
        match at(router, place, both, &goal, beside).await {
            Ok(there) => match &mut found {
                Some(pair) => pair.join(place, there)?,
                None => found = Some(there),
            },
            Err(outcome) => failed.push((place, outcome)),
        }
    }
    let most = work.section.max_failed.at_most(answers.len());
    match (found, failed.into_iter().next()) {
        (Some(mut pair), Some((place, outcome))) => {
            let silent = answers.len() - pair.sides.len();
            if silent > most {
                return Err(outcome);
            }
            tracing::warn!("{place} cannot be queried, and {most} may fail");
            // What cannot be asked is taken to be as the others are: a change there fails by itself.
            let side = pair.sides.values().next().copied().unwrap_or(Side::Green);
            for place in router.places() {
                pair.sides.entry(place.clone()).or_insert(side);
            }
            Ok(pair)
        }
        (Some(pair), None) => Ok(pair),
        (None, Some((_, outcome))) => Err(outcome),
        (None, None) => Err(refused(
            "no-place",
            "",
            "no machine is configured".to_owned(),
            "name one under `traffic`",
        )),
    }
}

/// The same at one place.
async fn at(
    router: &dyn Router,
    place: &Place,
    both: &BothSides,
    goal: &Goal<'_>,
    beside: OtherSide,
) -> Result<Pair, Box<Outcome>> {
    let told = || match place {
        Place::Here => both.describe(router),
        Place::Host(name) => format!("{name}: {}", both.describe(router)),
    };
    let Splits { configured, in_use } = Splits::read(router, place).await.map_err(|error| {
        let reason = match place {
            Place::Here => error.to_string(),
            Place::Host(name) => format!("{name}: {error}"),
        };
        refused("router", &place.to_string(), reason, "see `traffic status`")
    })?;
    let side = match goal {
        Goal::Side(side) => *side,
        Goal::Idle => {
            let hint = "name the one that is meant: `--to blue` or `--to green`";
            let idle = match in_use.of(Side::Blue).cmp(&in_use.of(Side::Green)) {
                Ordering::Less => Side::Blue,
                Ordering::Greater => Side::Green,
                Ordering::Equal => {
                    let reason = format!("both sides have the same share: {}", told());
                    return Err(refused("no-idle-side", "", reason, hint));
                }
            };
            if in_use.of(idle).is_none()
                && let Some(reason) = served_by(router, place, both, in_use, idle).await
            {
                return Err(refused("no-idle-side", "", reason, hint));
            }
            idle
        }
        Goal::Release(release) => match both.running(release)[..] {
            [side] => side,
            [] => {
                let reason = format!("no side runs {release}: {}", told());
                let hint = "deploy it to the idle side first";
                return Err(refused("no-side", release, reason, hint));
            }
            _ => return Err(same(release)),
        },
    };
    let Ok(release) = both.of(side).release.clone() else {
        let reason = format!("the {side} side is not healthy: {}", told());
        let hint = "nothing was changed; start or repair it, or correct its address or the path of `release`: each side must answer there";
        return Err(refused("unhealthy", side.as_str(), reason, hint));
    };
    if let Some(Health::Down(why)) = &both.of(side).health
        && !in_use.of(side).is_none()
    {
        let reason = format!("{} finds the {side} side down: {why}", router.kind());
        let hint = "nothing was changed; see why its health check fails";
        return Err(refused("unhealthy", side.as_str(), reason, hint));
    }
    let stable = match (&both.of(side.other()).release, beside) {
        (Ok(stable), _) => Some(stable.clone()),
        // Where the other side is down, a switch away from it must be possible.
        (Err(_), OtherSide::MayBeDown) => None,
        (Err(_), OtherSide::Answers) => {
            let reason = format!("what runs beside {release} is not known: {}", told());
            let hint = "a ramp needs a release to go back to; to leave a side that is down: `traffic switch`";
            return Err(refused("no-stable", &release, reason, hint));
        }
    };
    if stable.as_ref() == Some(&release) {
        return Err(same(&release));
    }
    let share = in_use.of(side);
    Ok(Pair {
        release,
        stable,
        sides: BTreeMap::from([(place.clone(), side)]),
        share,
        least: share.min(configured.of(side)),
    })
}

fn same(release: &str) -> Box<Outcome> {
    refused(
        "same-release",
        release,
        format!("both sides run {release}: their answers are the same"),
        "deploy another release to the idle side",
    )
}

/// The refusal, where the gate's probes fail at the release itself at any place.
pub(crate) async fn unhealthy(
    work: &Work<'_>,
    router: &dyn Router,
    pair: &Pair,
    gate: Option<&Healthgate>,
) -> Option<Outcome> {
    let gate = gate?;
    let asking = pair.sides.iter().map(|(place, side)| async move {
        let standby = router.standby(place, *side).await.ok()?;
        let around = work.context().surroundings();
        standby::unhealthy(gate, place, &standby, &work.job.interrupt, around).await
    });
    let unhealthy: Vec<String> = join_all(asking).await.into_iter().flatten().collect();
    if unhealthy.is_empty() {
        return None;
    }
    let all = unhealthy.join("; ");
    Some(
        Outcome::refused(Id::refused("unhealthy"), &pair.release)
            .expected(format!(
                "{} is healthy before it gets traffic",
                pair.release
            ))
            .actual(all.clone())
            .reason(format!("{} is not healthy: {all}", pair.release))
            .hint("nothing was changed; start or repair it there: its log, its database"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(place: &str, release: &str, stable: Option<&str>, steps: u16) -> (Place, Pair) {
        let place = Place::Host(place.to_owned());
        let share = Share::from_steps(steps);
        let pair = Pair {
            release: release.to_owned(),
            stable: stable.map(str::to_owned),
            sides: BTreeMap::from([(place.clone(), Side::Green)]),
            share,
            least: share,
        };
        (place, pair)
    }

    #[test]
    fn a_release_that_is_down_at_one_place_is_the_one_that_answers_at_another() {
        let orders = [[None, Some("v1")], [Some("v1"), None]];
        for [here, there] in orders {
            let (_, mut pair) = at("a", "v2", here, 1000);
            let (place, other) = at("b", "v2", there, 0);
            pair.join(&place, other).unwrap();
            assert_eq!(pair.stable.as_deref(), Some("v1"));
            assert_eq!(
                (pair.share, pair.least),
                (Share::from_steps(1000), Share::NONE)
            );
            assert_eq!(pair.sides.len(), 2);
        }
    }

    #[test]
    fn places_with_other_releases_are_refused() {
        for (release, stable, told) in [
            (
                "v2",
                Some("v0"),
                "b has v2 beside v0, another place v2 beside v1",
            ),
            (
                "v3",
                None,
                "b has v3 beside an unknown release, another place v2 beside v1",
            ),
        ] {
            let (_, mut pair) = at("a", "v2", Some("v1"), 0);
            let (place, other) = at("b", release, stable, 0);
            let refused = pair.join(&place, other).unwrap_err();
            assert_eq!(refused.reason.as_deref(), Some(told));
        }
    }
}
