//! What disturbs a share that was set: a manual edit, a reload by a configuration manager,
//! infrastructure code that puts its own back, reloads that starve a small share.

use std::cell::Cell;
use std::time::Duration;

use config::value::Share;
use futures_util::future::join_all;
use model::Outcome;
use model::shares::ForeignShare;
use operation::shares::foreign;
use operation::shares::observe::{
    AnswerCounts, Releases, SampleEnd, contradicts, sample, unusual_gap, window,
};
use operation::shares::work::sides_of;
use place::{ForeignChange, Place};
use router::{Router, Side, Split};
use state::Rollout;
use tokio::sync::Notify;

/// The requests of ours in one interval: so few that they come as a user's do.
const ASKED: u32 = 20;
/// Unanswered requests in a row (three intervals) that a proxy restart does not explain.
const SILENT: u32 = 3 * ASKED;

/// Why a share that was set is not what users get.
#[derive(Clone, Debug)]
pub(crate) enum Disturbed {
    /// At each of these places, of which there is one at least.
    Foreign(Vec<ForeignChange>),
    /// It is still set, and the answers over time are not of that share.
    NotServed {
        place: Place,
        set: Split,
        answers: AnswerCounts,
    },
}

impl std::fmt::Display for Disturbed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Disturbed::Foreign(changes) => f.write_str(&foreign::listed(changes)),
            Disturbed::NotServed {
                place,
                set,
                answers,
            } => write!(
                f,
                "{place} has {set}, and over time {answers}: reloads, a side that is down, or a rule before it, keep users from their side"
            ),
        }
    }
}

/// What is told of it: both values at each place with what `follows`, and once what to do.
pub(crate) fn outcomes(
    id: &'static str,
    release: &str,
    changes: &[ForeignChange],
    follows: &str,
) -> Vec<Outcome> {
    let outcome = |change: &ForeignChange| {
        let id = match changes.len() {
            1 => id.to_owned(),
            _ => format!("{id}/{}", change.place),
        };
        Outcome::fail(id, release)
            .expected(change.set.to_string())
            .actual(change.found())
            .reason(format!("{change}{follows}"))
    };
    let mut outcomes: Vec<Outcome> = changes.iter().map(outcome).collect();
    if let Some(first) = outcomes.first_mut() {
        first.hint = Some(
            "find out who writes the router's configuration; then `traffic resume` sets the share again, \
             `traffic abort` gives everything back"
                .to_owned(),
        );
    }
    outcomes
}

/// The same as data.
pub(crate) fn reported(rollout: &Rollout, change: &ForeignChange) -> Option<ForeignShare> {
    let side = *rollout.sides.get(&change.place)?;
    Some(ForeignShare {
        place: change.place.clone(),
        release: rollout.release.clone(),
        set: change.set.of(side).fraction(),
        found: foreign::share(change, rollout).map(Share::fraction),
        reason: change.to_string(),
    })
}

/// Looks at every place, side by side. One that cannot be asked tells nothing.
pub(crate) async fn detect(
    router: &dyn Router,
    rollout: &Rollout,
    share: Share,
    limit: Duration,
) -> Option<Disturbed> {
    let sides = sides_of(router, rollout);
    let looking = sides.iter().map(|(place, side)| async move {
        let set = Split::giving(*side, share);
        // What a restart would make of it is for `status`.
        let looking = foreign::find(router, place, set);
        tokio::time::timeout(limit, looking).await.ok().flatten()
    });
    let changes: Vec<ForeignChange> = join_all(looking).await.into_iter().flatten().collect();
    (!changes.is_empty()).then_some(Disturbed::Foreign(changes))
}

/// Whether users are seen to get the release at each place. At so many as `may_fail` they need not be.
pub(crate) struct Served {
    may_fail: usize,
    /// Where nobody has answered for [`SILENT`] requests in a row.
    silent: Cell<usize>,
    /// Where none of the last answers was of the release.
    unserved: Cell<usize>,
    changed: Notify,
}

impl Served {
    /// Before the first answer. With all requests a release cannot be starved.
    pub(crate) fn new(
        router: &dyn Router,
        rollout: &Rollout,
        share: Share,
        may_fail: usize,
    ) -> Served {
        let is_seen = share.is_all() || !router.capabilities().can_sample;
        let places = sides_of(router, rollout).len();
        Served {
            may_fail,
            silent: Cell::new(0),
            unserved: Cell::new(if is_seen { 0 } else { places }),
            changed: Notify::new(),
        }
    }

    /// Ends when users are seen to get the release. A short stage, or one whose end is starved, would pass without.
    pub(crate) async fn everywhere(&self) {
        while self.unserved.get() > self.may_fail {
            self.changed.notified().await;
        }
    }

    fn count(&self, is_served: bool) {
        let unserved = self.unserved.get();
        self.unserved.set(if is_served {
            unserved.saturating_sub(1)
        } else {
            unserved + 1
        });
        self.changed.notify_one();
    }
}

/// Looks every `interval`, and asks in between as a user does, until something is found.
pub(crate) async fn watch(
    router: &dyn Router,
    rollout: &Rollout,
    share: Share,
    interval: Duration,
    served_at: &Served,
) -> Disturbed {
    let changed = async {
        loop {
            tokio::time::sleep(interval).await;
            if let Some(disturbed) = detect(router, rollout, share, interval).await {
                return disturbed;
            }
        }
    };
    let sides = sides_of(router, rollout);
    let served = sides.iter().map(|(place, side)| {
        let at = (place, *side);
        Box::pin(not_served(router, rollout, at, share, interval, served_at))
    });
    let served = futures_util::future::select_all(served);
    tokio::select! {
        disturbed = changed => disturbed,
        // Where another changed it, that is the cause, and it is not overwritten.
        (disturbed, _, _) = served => detect(router, rollout, share, interval).await.unwrap_or(disturbed),
    }
}

/// Ends when nobody answers any more at too many places, or when the answers at a place, one after another over time, contradict its share.
async fn not_served(
    router: &dyn Router,
    rollout: &Rollout,
    (place, side): (&Place, Side),
    share: Share,
    interval: Duration,
    served: &Served,
) -> Disturbed {
    let set = Split::giving(side, share);
    if !router.capabilities().can_sample {
        return std::future::pending().await;
    }
    let releases = Releases::of(side, &rollout.release, rollout.stable.as_deref());
    // All, and those since a while: what was good for an hour would hide for half of one that it is not now.
    let (mut answers, mut recent) = (AnswerCounts::default(), AnswerCounts::default());
    let mut in_a_row = 0;
    // Since the last one of the release.
    let (mut gap, unusual) = (None, unusual_gap(set, side));
    loop {
        tokio::time::sleep(interval / ASKED).await;
        let answer = sample(router, place, releases, 1, SampleEnd::Never).await;
        if answer.unknown == 0 {
            if in_a_row >= SILENT {
                served.silent.set(served.silent.get() - 1);
            }
            in_a_row = 0;
        } else {
            in_a_row += 1;
            if in_a_row == SILENT {
                served.silent.set(served.silent.get() + 1);
            }
        }
        let was_served = gap.is_some_and(|gap| gap < unusual);
        gap = match (answer.of(side), answer.of(side.other())) {
            (0, others) => gap.map(|gap| gap + others),
            _ => Some(0),
        };
        let is_served = gap.is_some_and(|gap| gap < unusual);
        if is_served != was_served {
            served.count(is_served);
        }
        answers.merge(answer.clone());
        recent.merge(answer);
        let is_silent = in_a_row >= SILENT && served.silent.get() > served.may_fail;
        let is_strange = contradicts(&recent, set);
        if is_silent || is_strange || contradicts(&answers, set) {
            return Disturbed::NotServed {
                place: place.clone(),
                set,
                answers: if is_strange { recent } else { answers },
            };
        }
        if recent.asked() >= window(set) {
            recent = AnswerCounts::default();
        }
    }
}
