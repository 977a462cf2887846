//! A rollout at work: each change of the share is written down, made and proved at every place; and
//! the way back to the stable release.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cli::{Failure, Job};
use config::file::Traffic;
use config::value::{Portion, Share, Side};
use engine::{
    CurrentRelease, Execution, ExecutionContext, ExecutionEnd, Grounds, PlaceRelease, Plan,
    Settings, Watch,
};
use futures_util::future::{join, join_all};
use jiff::Timestamp;
use model::report::Bar;
use model::{Id, Outcome, StageName, Verdict};
use place::{Context, ForeignChange, Place, PlaceAccess};
use router::Router;
use state::journal::{Ending, Event, Intention, SharePlan};
use state::{Entry, Forced, Lease, Phase, Rollout, Status, Store};

use super::foreign;
use super::shift::Shift;
use super::sides::{BothSides, all_that_run_too, label};
use crate::tree::Tree;

/// A way back waits no longer to hear what the stable side runs.
const STABLE_WITHIN: Duration = Duration::from_millis(300);
/// The operation of a lease and of a journal.
pub const TRAFFIC: &str = StageName::Traffic.as_str();

/// What every change of a share works with.
pub struct Work<'a> {
    pub job: &'a Job,
    pub section: &'a Traffic,
    pub store: Store,
    pub places: PlaceAccess,
    /// What the state knows of each release.
    pub known: Vec<Entry>,
    /// Times in the report are counted from here.
    pub clock: Instant,
    /// The safety rules that were lifted so that a share could be given.
    pub forced: Vec<Forced>,
}

/// A change of the share of a rollout's release.
#[derive(Clone, Copy, Debug)]
pub struct ShareChange {
    pub before: Share,
    pub after: Share,
    /// Whether what was before is put back at every place where too many fail.
    pub restores: bool,
}

/// What came of a change at one place.
#[derive(Clone, Debug)]
pub struct PlaceOutcome {
    /// `None` where it is of no place that is configured.
    pub place: Option<String>,
    pub outcome: Outcome,
}

/// What came of a change.
#[derive(Debug)]
pub struct ShareChanged {
    pub outcomes: Vec<PlaceOutcome>,
    pub bars: Vec<Bar>,
    /// What each place has now, where that was asked.
    pub places: Vec<PlaceRelease>,
    pub end: ChangeEnd,
}

#[derive(Debug)]
pub enum ChangeEnd {
    /// The share is in effect, except where so many failed, as many as may.
    Made { failed: usize },
    /// It cannot be made; nothing was changed.
    Impossible,
    /// It is not in effect at too many places.
    Failed,
    /// It was not in effect at too many places, and what was before is back, except at so many.
    PutBack { failed: usize },
    /// It is set at every place, and a signal left no time for its proof.
    Unproved,
    /// Another changed these places since the share was set there; that is not overwritten.
    Foreign(Vec<ForeignChange>),
    /// A signal came; a journal that was begun is left open.
    Interrupted,
    /// The journal or the lock could not be written: nothing more was done.
    Stopped(state::Error),
}

impl From<ExecutionEnd> for ChangeEnd {
    fn from(end: ExecutionEnd) -> ChangeEnd {
        match end {
            ExecutionEnd::Live { failed, wrong, .. } => ChangeEnd::Made {
                failed: failed.max(wrong),
            },
            ExecutionEnd::Denied | ExecutionEnd::Failed { .. } => ChangeEnd::Failed,
            ExecutionEnd::Reverted(reverted) => ChangeEnd::PutBack {
                failed: reverted.failed.max(reverted.wrong),
            },
            ExecutionEnd::Interrupted => ChangeEnd::Interrupted,
            ExecutionEnd::Stopped(error) => ChangeEnd::Stopped(error),
        }
    }
}

impl ChangeEnd {
    /// With which the journal ends; `None` where it stays open.
    fn ending(&self) -> Option<Ending> {
        let verdict = match self {
            ChangeEnd::Interrupted | ChangeEnd::Stopped(_) => return None,
            ChangeEnd::Foreign(_) => return Some(Ending::ForeignChange),
            ChangeEnd::Made { failed: 0 } => Verdict::Pass,
            ChangeEnd::Made { .. } => Verdict::Partial,
            ChangeEnd::Unproved => Verdict::Inconclusive,
            ChangeEnd::Failed | ChangeEnd::PutBack { .. } | ChangeEnd::Impossible => Verdict::Fail,
        };
        Some(verdict.into())
    }
}

/// What came of a way back.
#[derive(Debug)]
pub struct WayBack {
    pub outcomes: Vec<PlaceOutcome>,
    pub bars: Vec<Bar>,
    pub places: Vec<PlaceRelease>,
    /// The release that gets everything; `None` where its side never answered.
    pub stable: Option<String>,
    pub end: WayBackEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayBackEnd {
    /// The stable release is proved to have all requests at every place.
    Whole,
    /// 0 % is set at every place, and a signal left no time for its proof: the rollout is not over.
    Unproved,
    /// Not every place is known to have it.
    Partial,
}

impl<'a> Work<'a> {
    pub fn new(job: &'a Job, section: &'a Traffic, store: Store, known: Vec<Entry>) -> Self {
        Work {
            job,
            section,
            store,
            places: PlaceAccess::new(&job.config.hosts, &job.env),
            known,
            clock: Instant::now(),
            forced: Vec::new(),
        }
    }

    /// What a router may know of the job that uses it.
    pub fn context(&self) -> Context<'_> {
        crate::context::context(self.job, &self.places, self.known.clone())
    }

    pub fn router<'c>(&'c self, context: &Context<'c>) -> Result<Box<dyn Router + 'c>, Failure> {
        router::kinds::of(self.section, context).map_err(Failure::usage)
    }

    fn settings(&self, max_failed: Portion, restores: bool) -> Settings {
        let section = self.section;
        Settings {
            stage: TRAFFIC,
            batch: section.batch,
            max_failed,
            restores,
            deadline: section.deadline,
            last_query: self.last_query(),
            lock_ttl: section.lock_ttl,
        }
    }

    /// Gives the rollout's release another share. It is written down before.
    pub async fn change(
        &self,
        router: &dyn Router,
        lease: &Lease,
        rollout: &Rollout,
        change: ShareChange,
    ) -> Result<ShareChanged, Failure> {
        let highest = change.before.max(change.after);
        let noted = self.note(lease, |noted| {
            noted.share = highest;
            noted.phase = Phase::Setting;
        });
        Box::pin(self.change_once(router, lease, rollout, change, noted)).await
    }

    /// The same, where `written` writes it down: nothing is changed before that has ended, and the router is
    /// asked meanwhile whether the change is possible.
    pub async fn change_once(
        &self,
        router: &dyn Router,
        lease: &Lease,
        rollout: &Rollout,
        change: ShareChange,
        written: impl Future<Output = Result<(), Failure>>,
    ) -> Result<ShareChanged, Failure> {
        let tree = Tree::new(TRAFFIC, &self.job.progress, &self.job.interrupt);
        let shift = self.shift(router, rollout, change, false);
        let settings = self.settings(self.section.max_failed, change.restores);
        self.execute(&tree, &shift, lease, settings, written).await
    }

    /// Gives all requests to the stable release again, at every place that can be reached, and ends the
    /// rollout where that is proved at all of them. `finding` is what is recorded of its release, `reason` why it goes back.
    pub async fn take_back(
        &self,
        router: &dyn Router,
        lease: &Lease,
        rollout: &Rollout,
        (finding, reason): (Option<Status>, &str),
    ) -> Result<WayBack, Failure> {
        self.note(lease, |noted| noted.phase = Phase::Aborting)
            .await?;
        if let Some(mut journal) = self.store.unfinished(TRAFFIC).await? {
            journal.end(Ending::Superseded).await?;
        }
        let rollout = &Rollout {
            stable: self.stable_now(router, rollout).await,
            sides: self.sides_now(router, rollout).await,
            ..rollout.clone()
        };
        let tree = Tree::steady(TRAFFIC, &self.job.progress);
        let change = ShareChange {
            before: rollout.share,
            after: Share::NONE,
            restores: false,
        };
        let mut shift = self.shift(router, rollout, change, true);
        shift.reason = Some(self.job.redactor.redact(reason)).filter(|reason| !reason.is_empty());
        let settings = Settings {
            // What is bad is bad everywhere: no place waits for another one.
            batch: Portion::ALL,
            ..self.settings(Portion::ALL, false)
        };
        let ShareChanged {
            mut outcomes,
            bars,
            places,
            end,
        } = self
            .execute(&tree, &shift, lease, settings, async { Ok(()) })
            .await?;
        let end = match end {
            ChangeEnd::Stopped(error) => return Err(error.into()),
            ChangeEnd::Made { failed: 0 } => WayBackEnd::Whole,
            ChangeEnd::Unproved => WayBackEnd::Unproved,
            _ => WayBackEnd::Partial,
        };
        if end == WayBackEnd::Whole {
            self.end(lease, rollout, finding).await?;
        }
        for PlaceOutcome { outcome, .. } in &mut outcomes {
            if outcome.verdict == Verdict::Inconclusive {
                outcome.hint = Some("`traffic resume` proves it".to_owned());
            }
        }
        let gone = places_gone(router, rollout).into_iter();
        outcomes.extend(gone.map(|place| PlaceOutcome {
            place: Some(place.to_owned()),
            outcome: unconfigured(Id::step(shift.step_name(place)), place, &shift.to()),
        }));
        Ok(WayBack {
            outcomes,
            bars,
            places,
            stable: rollout.stable.clone(),
            end,
        })
    }

    /// Why nothing of a rollout can be taken back: at each of its places its release runs on the other side, too. What asked
    /// for it is forgotten, and nothing else is changed.
    pub async fn no_way_back(
        &self,
        router: &dyn Router,
        lease: &Lease,
        rollout: &Rollout,
    ) -> Result<Vec<Outcome>, Failure> {
        let refused = no_way_back(router, rollout).await;
        if !refused.is_empty() && rollout.phase != Phase::Aborting {
            let forgotten = self.store.update(Some(lease), |document| {
                if let Some(rollout) = &mut document.rollout {
                    rollout.abort = None;
                }
                Ok(())
            });
            forgotten.await?;
        }
        Ok(refused)
    }

    /// The stable release of a rollout: by what answers, for it may have been replaced in its place meanwhile, or not have
    /// answered when the rollout began. Where nothing answers, it is the one that is recorded.
    async fn stable_now(&self, router: &dyn Router, rollout: &Rollout) -> Option<String> {
        let recorded = rollout.stable.as_deref().unwrap_or_default();
        let sides = sides_of(router, rollout);
        let asking = sides.iter().map(|(place, side)| {
            let answer = router.side_release(place, side.other(), recorded);
            tokio::time::timeout(STABLE_WITHIN, answer)
        });
        let answers = join_all(asking).await.into_iter().flatten().flatten();
        let others: Vec<String> = answers
            .filter(|answer| *answer != rollout.release)
            .collect();
        if others.iter().any(|answer| answer == recorded) {
            return rollout.stable.clone();
        }
        others.into_iter().next().or_else(|| rollout.stable.clone())
    }

    /// The sides of a rollout, and those of places that were added since: the one that runs its release there.
    async fn sides_now(&self, router: &dyn Router, rollout: &Rollout) -> BTreeMap<String, Side> {
        let places = router.places().iter();
        let added = places.filter(|place| !rollout.sides.contains_key(&place.to_string()));
        let asking = added.map(|place| async move {
            let both = BothSides::query(router, place, &rollout.release).await;
            match both.running(&rollout.release)[..] {
                [side] => Some((place.to_string(), side)),
                _ => None,
            }
        });
        let added = join_all(asking).await.into_iter().flatten();
        rollout.sides.clone().into_iter().chain(added).collect()
    }

    /// Writes down that the rollout is over and the stable release has everything.
    async fn end(
        &self,
        lease: &Lease,
        rollout: &Rollout,
        finding: Option<Status>,
    ) -> Result<(), Failure> {
        let now = Timestamp::now();
        let ended = self.store.update(Some(lease), |document| {
            document.rollout = None;
            document.gave_back(&rollout.release, rollout.stable.as_deref(), finding, now);
            Ok(())
        });
        ended.await.map_err(Failure::from)
    }

    /// Writes down what another made of the share of a rollout, as a change of its own, once.
    pub async fn note_foreign(
        &self,
        lease: &Lease,
        rollout: &Rollout,
        changes: &[ForeignChange],
    ) -> Result<(), Failure> {
        let Rollout { release, share, .. } = rollout;
        let clean = |text: &str| self.job.redactor.redact(text);
        let reason = clean(&foreign::listed(changes));
        let is_noted = self.store.journals().await?.last().is_some_and(|(_, lines)| {
            let mut ends = [lines.first(), lines.last()].into_iter().flatten().map(|line| &line.event);
            matches!(ends.next(), Some(Event::Begin { reason: Some(noted), .. }) if *noted == reason)
                && matches!(ends.next(), Some(Event::End { ending: Ending::ForeignChange }))
        });
        if is_noted {
            return Ok(());
        }
        let all: BTreeSet<String> = changes
            .iter()
            .map(|change| foreign::share_label(change, rollout))
            .collect();
        let all: Vec<String> = all.into_iter().collect();
        let destination = clean(&all.join(", "));
        let found = changes
            .iter()
            .filter_map(|change| foreign::share(change, rollout));
        let shares = found.max().map(|after| SharePlan {
            release: release.clone(),
            stable: rollout.stable.clone(),
            before: *share,
            after,
            foreign: { changes.iter() }
                .map(|change| (change.place.clone(), foreign::share(change, rollout)))
                .collect(),
        });
        let left = label(release, *share);
        let begun = self.store.begin_journal(Intention {
            left: Some(&left),
            shares: shares.as_ref(),
            reason: Some(&reason),
            ..Intention::new(TRAFFIC, &destination, lease.token)
        });
        Ok(begun.await?.end(Ending::ForeignChange).await?)
    }

    /// Changes what is written down of the rollout.
    pub async fn note(
        &self,
        lease: &Lease,
        mut change: impl FnMut(&mut Rollout),
    ) -> Result<(), Failure> {
        let noted = self.store.update(Some(lease), |document| {
            if let Some(rollout) = &mut document.rollout {
                change(rollout);
                rollout.changed = Timestamp::now();
            }
            Ok(())
        });
        noted.await.map_err(Failure::from)
    }

    fn shift<'s>(
        &self,
        router: &'s dyn Router,
        rollout: &Rollout,
        change: ShareChange,
        is_way_back: bool,
    ) -> Shift<'s> {
        let (now, deadline) = (Instant::now(), self.section.deadline.get());
        Shift {
            router,
            sides: sides_of(router, rollout),
            release: rollout.release.clone(),
            stable: rollout.stable.clone(),
            before: change.before,
            after: change.after,
            proof: self.proof_time(),
            // What is left is for what was before, and to ask what there is: a proof that the deadline cuts off does not say
            // how far it came.
            proof_end: now + deadline.mul_f64(0.9),
            undo_end: now + deadline.mul_f64(0.94),
            end: now + deadline.mul_f64(0.95),
            last_query: self.last_query(),
            look_every: self.section.watch_interval.get(),
            interrupt: self.job.interrupt.clone(),
            is_way_back,
            gone: places_gone(router, rollout).len(),
            reason: None,
        }
    }

    /// How long the proof at one place may take: a part of the time of the whole change, so that a place
    /// where it fails can still be put back.
    fn proof_time(&self) -> Duration {
        self.section.deadline.get() / 3
    }

    /// The same of one place of so many: batch after batch, all proofs fit into two thirds of the whole change.
    pub fn proof_time_of(&self, places: usize) -> Duration {
        let batch = self.section.batch.at_most(places).max(1);
        let batches = u32::try_from(places.div_ceil(batch)).unwrap_or(u32::MAX);
        let share = self.section.deadline.get() * 2 / 3 / batches.max(1);
        self.proof_time().min(share)
    }

    /// What of its time a change has to ask what each place has in the end.
    fn last_query(&self) -> Duration {
        self.section.deadline.get() / 20
    }

    async fn execute(
        &self,
        tree: &Tree,
        shift: &Shift<'_>,
        lease: &Lease,
        settings: Settings,
        written: impl Future<Output = Result<(), Failure>>,
    ) -> Result<ShareChanged, Failure> {
        let watch = Watch {
            operator: tree,
            redactor: &self.job.redactor,
            clock: self.clock,
        };
        let (to, from) = (shift.to(), shift.from());
        let current = CurrentRelease::known(from.clone(), "the state records it");
        let drafting = Plan::draft(
            watch,
            shift,
            (&to, Some(&from)),
            &current,
            self.section.deadline.get() / 3,
        );
        // The draft first: its commands run while the disk is waited for.
        let (drafted, written) = join(shift.drafted(drafting), written).await;
        written?;
        let Some((plan, mut bars)) = drafted else {
            return Ok(ShareChanged {
                outcomes: Vec::new(),
                bars: Vec::new(),
                places: Vec::new(),
                end: ChangeEnd::Interrupted,
            });
        };
        if let Some(outcomes) = impossible(shift, &plan, settings.max_failed) {
            return Ok(ShareChanged {
                outcomes,
                bars,
                places: Vec::new(),
                end: ChangeEnd::Impossible,
            });
        }
        let means = ExecutionContext {
            target: shift,
            store: &self.store,
            lease,
            watch,
            settings,
        };
        let shares = shift.shares();
        let grounds = Grounds {
            forced: if shift.is_way_back { &[] } else { &self.forced },
            shares: Some(&shares),
            reason: shift.reason.as_deref(),
            ..Grounds::plain(Timestamp::now())
        };
        let begun = Execution::begin(means, &plan, grounds, shift.end);
        let mut execution = begun.await?;
        let unready = plan.unready();
        let conclusion = Box::pin(execution.run(&current, &unready, Vec::new())).await?;
        bars.extend(conclusion.bars);
        // What is there is told once, with what to do.
        let ends = conclusion.ends.values();
        let errors = ends.filter_map(|end| end.as_ref().err());
        let foreign = errors.filter_map(place::Error::foreign_change).cloned();
        let foreign: Vec<ForeignChange> = foreign.collect();
        let is_foreign = |outcome: &Outcome| {
            let mut all = foreign.iter();
            all.any(|change| outcome.id == Id::runs(&change.place))
        };
        let outcomes = conclusion.outcomes.into_iter();
        let outcomes = outcomes.filter(|outcome| !is_foreign(outcome));
        let outcomes = outcomes.map(|outcome| PlaceOutcome {
            place: shift.place_of(&outcome.id),
            outcome,
        });
        let outcomes = outcomes.collect();
        let end = match ChangeEnd::from(conclusion.end) {
            end @ ChangeEnd::Stopped(_) => end,
            _ if !foreign.is_empty() => ChangeEnd::Foreign(foreign),
            ChangeEnd::Failed | ChangeEnd::Made { .. } if shift.is_unproved(&conclusion.ends) => {
                ChangeEnd::Unproved
            }
            ChangeEnd::Made { failed } => ChangeEnd::Made {
                failed: failed + shift.gone,
            },
            end => end,
        };
        if let Some(ending) = end.ending() {
            execution.end(ending).await?;
        }
        Ok(ShareChanged {
            outcomes,
            bars,
            places: conclusion.places,
            end,
        })
    }
}

/// Why a change cannot be made at more places than may fail, an outcome each. A way back is tried all the same.
fn impossible(shift: &Shift<'_>, plan: &Plan, max_failed: Portion) -> Option<Vec<PlaceOutcome>> {
    if shift.is_way_back {
        return None;
    }
    let outcome = |(step, error): (&place::Step, &place::Error)| {
        let id = match &step.place {
            Place::Here => Id::refused("share"),
            Place::Host(name) => Id::refused(format!("share/{name}")),
        };
        let outcome = Outcome::refused(id, step.place.to_string())
            .expected(format!("{} can be set", shift.to()))
            .actual(error.to_string())
            .reason(error.to_string())
            .hint("nothing was changed; see `traffic status`");
        PlaceOutcome {
            place: Some(step.place.to_string()),
            outcome,
        }
    };
    let failed = plan.impossible(max_failed)?;
    Some(failed.into_iter().map(outcome).collect())
}

/// Why nothing of a rollout can be taken back, by what its sides answer; empty where something can be.
pub async fn no_way_back(router: &dyn Router, rollout: &Rollout) -> Vec<Outcome> {
    let refused = runs_beside(router, rollout).await;
    if refused.len() == sides_of(router, rollout).len() {
        refused
    } else {
        Vec::new()
    }
}

/// A refusal for each place where the side beside a rollout's release runs that release, too.
pub async fn runs_beside(router: &dyn Router, rollout: &Rollout) -> Vec<Outcome> {
    let Rollout { release, .. } = rollout;
    let found = all_that_run_too(router, &sides_of(router, rollout), release).await;
    let refusal = |(place, why): (Place, String)| {
        Outcome::refused(Id::refused(format!("share/{place}")), release)
            .expected(format!(
                "{release} runs where the rollout has it, and there alone"
            ))
            .actual(why.clone())
            .reason(format!("{place}: {why}"))
            .hint(format!("nothing was changed; {}", parting(rollout)))
    };
    found.into_iter().map(refusal).collect()
}

/// What to do where both sides run the release of a rollout, or each the other's.
pub fn parting(rollout: &Rollout) -> String {
    format!(
        "where `blue` and `green` changed places in the configuration, change them back; else deploy {} there again",
        rollout.stable_shown()
    )
}

/// The places of a rollout that are not configured any more.
pub fn places_gone<'r>(router: &dyn Router, rollout: &'r Rollout) -> Vec<&'r str> {
    let configured: BTreeSet<String> = router.places().iter().map(Place::to_string).collect();
    let recorded = rollout.sides.keys().map(String::as_str);
    recorded
        .filter(|place| !configured.contains(*place))
        .collect()
}

/// What is told of such a place.
pub fn unconfigured(id: impl Into<Id>, place: &str, subject: &str) -> Outcome {
    let told =
        format!("{place} is not in the configuration any more, and the rollout has a share there");
    Outcome::fail(id, subject)
        .expected("each place of the rollout is in the configuration")
        .actual(told.clone())
        .reason(told)
        .hint(format!(
            "configure {place} again until the rollout is over: `traffic abort` takes the share back there, too; if it is \
             gone for good, `traffic abort --forget {place}`"
        ))
}

/// The side of the rollout's release at each place that is still configured.
pub fn sides_of(router: &dyn Router, rollout: &Rollout) -> BTreeMap<Place, Side> {
    configured_sides(router, &rollout.sides)
}

/// The same of sides that were written down.
pub fn configured_sides(
    router: &dyn Router,
    sides: &BTreeMap<String, Side>,
) -> BTreeMap<Place, Side> {
    let places = router.places().iter();
    let sides = places.filter_map(|place| {
        let side = sides.get(&place.to_string())?;
        Some((place.clone(), *side))
    });
    sides.collect()
}
