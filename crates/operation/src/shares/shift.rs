//! One change of a share, as the engine makes it: at each place set, proved, and put back where it is
//! not in effect.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use cli::Interrupt;
use config::value::{Share, Side};
use engine::FINISH;
use futures_util::future::join3;
use model::Id;
use place::{Error, ForeignChange, Place, Step, StepFuture};
use router::{Router, Split, leaves_no_split};
use state::journal::SharePlan;
use target::{Applied, Capabilities, Observe, Proving, StepEnd, Switch, Target, Transition};

use super::foreign;
use super::observe::{
    AnswerCounts, Releases, SampleEnd, contradicts, is_visible, proof_needed, prove, sample,
    time_until,
};
use super::sides::{label, runs_too};

/// So often a side is asked before it is taken for dead.
const MAX_ATTEMPTS: u32 = 3;
/// Between two of them.
const RETRY_DELAY: Duration = Duration::from_millis(50);
/// For that question a way back waits no longer: what a side that hangs has is not known.
const DEAD_WITHIN: Duration = Duration::from_secs(2);
/// Requests that show which side has a place, where the share was proved or put back before.
const ASKED: u32 = 20;

/// How long after a signal what is under way may go on; the rest of the time that a runner leaves is for the report.
struct AfterSignal {
    /// The router's own commands.
    set: Duration,
    proof: Duration,
    /// Questions what is there.
    look: Duration,
}

/// What goes on is stopped: its proof is of no use, and a way back follows.
const FORWARD: AfterSignal = AfterSignal {
    set: Duration::from_millis(1500),
    proof: Duration::ZERO,
    look: Duration::from_millis(2500),
};
/// What is taken back is proved, as far as there is time.
const BACK: AfterSignal = AfterSignal {
    set: FINISH,
    proof: FINISH,
    look: Duration::from_millis(6500),
};

/// A change of the share that a release has.
pub struct Shift<'a> {
    pub router: &'a dyn Router,
    /// The side that runs the release at each place.
    pub sides: BTreeMap<Place, Side>,
    pub release: String,
    /// The release that has the rest; `None` where its side does not answer.
    pub stable: Option<String>,
    /// The share that was in effect before, as it is recorded.
    pub before: Share,
    pub after: Share,
    /// How long the proof at one place may take.
    pub proof: Duration,
    /// When every proof has ended, with the time that answers which all agree have beyond theirs. A way back has no
    /// other limit.
    pub proof_end: Instant,
    /// When putting back ends what was not proved: a deadline that cuts it off would hide why.
    pub undo_end: Instant,
    /// When the change ends, but for the question what each place has.
    pub end: Instant,
    /// How long after that they may be asked.
    pub last_query: Duration,
    /// How often a proof looks whether another changed the share.
    pub look_every: Duration,
    pub interrupt: Interrupt,
    /// A way back does not ask first whether it is possible.
    pub is_way_back: bool,
    /// How many places have a share of the release and are not configured any more.
    pub gone: usize,
    /// Why it is made, where that is not its stage.
    pub reason: Option<String>,
}

/// What is known of what a place has. Only what no other has touched is put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SetState {
    /// It was set there: anything else is another's.
    Set,
    /// The time ended before it was known: another split than the one that was to be set and the one before is another's.
    Cut,
    Unknown,
}

impl SetState {
    /// By how the step that set it ended.
    fn after(end: &StepEnd) -> SetState {
        match end {
            Ok(()) | Err(Error::ProofInterrupted(_)) => SetState::Set,
            Err(Error::Deadline(_)) => SetState::Cut,
            Err(_) => SetState::Unknown,
        }
    }
}

impl Shift<'_> {
    /// As the engine's plan calls where it goes.
    pub fn to(&self) -> String {
        label(&self.release, self.after)
    }

    pub fn from(&self) -> String {
        label(&self.release, self.before)
    }

    /// The step at a place.
    pub fn step_name(&self, place: impl fmt::Display) -> String {
        format!("share/{}/{place}", self.router.kind())
    }

    /// The place that an outcome of the change is of.
    pub fn place_of(&self, id: &Id) -> Option<String> {
        let is_of = |place: &&Place| {
            let step = self.step_name(place);
            [Id::step(&step), Id::undo(&step), Id::runs(place)].contains(id)
        };
        self.router
            .places()
            .iter()
            .find(is_of)
            .map(Place::to_string)
    }

    /// As the journal has it.
    pub fn shares(&self) -> SharePlan {
        SharePlan {
            release: self.release.clone(),
            stable: self.stable.clone(),
            before: self.before,
            after: self.after,
            foreign: BTreeMap::new(),
        }
    }

    fn side(&self, place: &Place) -> Result<Side, Error> {
        let side = self.sides.get(place).copied();
        side.ok_or_else(|| {
            Error::Missing(format!(
                "which side of {place} runs {} is not known",
                self.release
            ))
        })
    }

    /// The releases of a place where `side` runs the release.
    fn releases(&self, side: Side) -> Releases<'_> {
        Releases::of(side, &self.release, self.stable.as_deref())
    }

    /// The split of a place in which the release has this share.
    fn split(&self, place: &Place, share: Share) -> Result<Split, Error> {
        Ok(Split::giving(self.side(place)?, share))
    }

    /// Whether every place has what was set, and a signal left no time for the proof at one of them.
    pub fn is_unproved(&self, ends: &BTreeMap<String, StepEnd>) -> bool {
        let is_cut = |error: &Error| matches!(error, Error::ProofInterrupted(_));
        let mut places = self.router.places().iter();
        let is_set = |place: &Place| match ends.get(&self.step_name(place)) {
            Some(Ok(())) => true,
            Some(Err(error)) => is_cut(error),
            None => false,
        };
        places.all(is_set) && ends.values().any(|end| end.as_ref().is_err_and(is_cut))
    }

    /// What another changed at a place since the share was set there.
    async fn foreign_at(&self, place: &Place, state: SetState) -> Option<ForeignChange> {
        let side = self.side(place).ok()?;
        let find = foreign::find(self.router, place, Split::giving(side, self.after));
        match state {
            SetState::Set => find.await,
            SetState::Cut => find.await.filter(|change| {
                let before = Split::giving(side, self.before);
                change.found.as_ref().is_ok_and(|found| *found != before)
            }),
            SetState::Unknown => None,
        }
    }

    async fn planned(&self, place: &Place) -> Result<String, Error> {
        let split = self.split(place, self.after)?;
        if self.is_way_back {
            return Ok(format!("set {split}"));
        }
        proof_needed(self.router, self.split(place, self.before)?, split)?;
        let change = self.router.check(place, split).await?;
        let mut does = change.does;
        if change.split != split {
            return Err(Error::Unfit(format!(
                "{} cannot express {split}: the nearest is {}",
                self.router.kind(),
                change.split
            )));
        }
        if change.writes.is_empty() {
            does.push_str(" (it is so already)");
        }
        for line in change.writes {
            does.push_str("\n  ");
            does.push_str(&line);
        }
        Ok(does)
    }

    async fn make(&self, place: &Place, snapshot: Option<&str>) -> Result<Applied, Error> {
        let side = self.side(place)?;
        if self.is_way_back
            && let Ok(Some(why)) =
                tokio::time::timeout(DEAD_WITHIN, self.leads_nowhere(place, side)).await
        {
            return Err(why);
        }
        let (before, after) = (
            Split::giving(side, self.before),
            Split::giving(side, self.after),
        );
        let set = self.set(place, after).await;
        let state = match &set {
            Ok(()) => SetState::Set,
            Err(error) if error.is_overtaken() => SetState::Set,
            Err(_) => SetState::Unknown,
        };
        let proved = match set {
            Ok(()) => self.prove(place, side, (before, after)).await,
            Err(error) => Err(error),
        };
        if matches!(proved, Err(Error::Overtaken(_))) {
            return proved.map(Applied::from);
        }
        let looking = join3(
            self.foreign_at(place, state),
            self.unkept(place, after),
            self.router.exception(place),
        );
        let looked = self.in_time(self.after_signal().look, looking).await;
        let (foreign, unkept, exception) =
            looked.unwrap_or_else(|| (None, String::new(), Ok(None)));
        if let Some(change) = foreign {
            return Err(Error::Overtaken(Box::new(change)));
        }
        match proved {
            Ok(proof) => {
                let exception = exception.ok().flatten();
                let exception = exception.map_or_else(String::new, |told| format!("; {told}"));
                Ok(format!("{after}: {proof}{unkept}{exception}").into())
            }
            // What a signal cut short is finished by another operation; a way back is tried again, and not undone.
            Err(error) if self.is_way_back || error.is_interrupted() || error.is_overtaken() => {
                Err(error)
            }
            Err(error) => Err(match snapshot {
                Some(snapshot) => self.undone(place, snapshot, (error, state)).await,
                None => error,
            }),
        }
    }

    /// Why a share is not in effect, with what was before put back in the time that is left.
    async fn undone(
        &self,
        place: &Place,
        snapshot: &str,
        (error, state): (Error, SetState),
    ) -> Error {
        let within = time_until(self.undo_end).min(self.proof / 2);
        let undoing = self.put_back(place, snapshot, state, within);
        let undoing = tokio::time::timeout_at(self.undo_end.into(), undoing);
        match self.in_time(self.after_signal().set, undoing).await {
            Some(Ok(Ok(done))) => error.put_back(done),
            Some(Ok(Err(back))) => error.stuck(back),
            Some(Err(_)) => error.then("what was before could not be put back in time"),
            None => Error::Interrupted(format!(
                "{error}; a signal left no time to put back what was before"
            )),
        }
    }

    fn after_signal(&self) -> AfterSignal {
        if self.is_way_back { BACK } else { FORWARD }
    }

    /// Why users are better off as they are than after a way back: the side that it leads to runs the release itself, or is
    /// dead, and the release answers.
    async fn leads_nowhere(&self, place: &Place, side: Side) -> Option<Error> {
        let stable = self.stable.as_deref().unwrap_or_default();
        let mut tries = 1;
        let dead = loop {
            match self.router.side_release(place, side.other(), stable).await {
                Ok(answer) => {
                    return runs_too(self.router, side, &self.release, &answer)
                        .map(Error::Contradicts);
                }
                Err(dead) if tries == MAX_ATTEMPTS => break dead,
                Err(_) => tokio::time::sleep(RETRY_DELAY).await,
            }
            tries += 1;
        };
        let is_left = self
            .router
            .in_use(place)
            .await
            .is_ok_and(|split| split.of(side).is_none());
        let serves = self.router.side_release(place, side, &self.release).await;
        (!is_left && serves.is_ok()).then(|| {
            Error::Down(format!(
                "{} cannot be queried ({dead}), so that {} keeps what it has",
                side.other(),
                self.release
            ))
        })
    }

    /// What a restart of the router would make of a split that is in use, where that is another one.
    async fn unkept(&self, place: &Place, after: Split) -> String {
        match self.router.configured(place).await {
            Ok(configured) if configured != after => format!(
                "; a restart of {} brings back {configured}",
                self.router.kind()
            ),
            Ok(_) | Err(_) => String::new(),
        }
    }

    async fn set(&self, place: &Place, after: Split) -> Result<(), Error> {
        let setting = self.router.set(place, after);
        let set = self.in_time(self.after_signal().set, setting).await;
        set.unwrap_or_else(|| {
            let kind = self.router.kind();
            Err(Error::Interrupted(format!(
                "whether {after} is in effect is not known: a signal left no time to wait for {kind}"
            )))
        })
    }

    /// What proves what was set, unless another changes it meanwhile.
    async fn prove(
        &self,
        place: &Place,
        side: Side,
        (before, after): (Split, Split),
    ) -> Result<String, Error> {
        let mut within = time_until(self.proof_end);
        if !self.is_way_back {
            within = within.min(self.proof);
        }
        tokio::select! {
            biased;
            proved = self.proved(place, side, (before, after), within) => proved,
            change = self.overtaken(place) => Err(Error::Overtaken(Box::new(change))),
        }
    }

    /// Ends when another changed what was set: no answers prove it any more.
    async fn overtaken(&self, place: &Place) -> ForeignChange {
        loop {
            tokio::time::sleep(self.look_every).await;
            if let Some(change) = self.foreign_at(place, SetState::Set).await {
                return change;
            }
        }
    }

    /// What proves the split `after`, within so long and within the time that a signal leaves.
    async fn proved(
        &self,
        place: &Place,
        side: Side,
        (before, after): (Split, Split),
        within: Duration,
    ) -> Result<String, Error> {
        let deadline = Instant::now() + within;
        let proving = async {
            // What was in force before may answer for so long: good answers before that prove nothing.
            tokio::time::sleep(self.router.capabilities().propagation_time).await;
            let releases = self.releases(side);
            prove(self.router, place, releases, (before, after), deadline).await
        };
        let proved = self.in_time(self.after_signal().proof, proving).await;
        proved.unwrap_or_else(|| {
            Err(Error::ProofInterrupted(format!(
                "{after} is set, not yet proved: a signal left no time for it"
            )))
        })
    }

    /// The plan of the change; `None` where a signal leaves no time for it.
    pub async fn drafted<T>(&self, drafting: impl Future<Output = T>) -> Option<T> {
        self.in_time(self.after_signal().set, drafting).await
    }

    /// What the work gives; `None` where it had not ended so long after a signal.
    async fn in_time<T>(&self, after_signal: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.interrupt.and(after_signal) => None,
        }
    }

    /// Puts back what was before, and asks who answers: a reload may report success and change nothing,
    /// and one that hangs may have been nothing but the way back of a change that never took effect.
    async fn put_back(
        &self,
        place: &Place,
        snapshot: &str,
        state: SetState,
        within: Duration,
    ) -> Result<String, Error> {
        let side = self.side(place)?;
        let after = Split::giving(side, self.after);
        if let Some(change) = self.foreign_at(place, state).await {
            return Err(kept(change));
        }
        let restored = self.router.restore(place, snapshot).await;
        let before = self.router.in_use(place).await;
        let (done, before) = match (restored, before) {
            (Ok(done), Ok(before)) => (Ok(done), before),
            (Err(error), Ok(before)) if before == Split::giving(side, self.before) => {
                (Err(error), before)
            }
            (Ok(_), Err(error)) | (Err(error), _) => return Err(error),
        };
        let proved = self.proved(place, side, (after, before), within).await;
        match (done, proved) {
            (Ok(done), Ok(proof)) => Ok(format!("{done}: {proof}")),
            (Err(error), Ok(proof)) => Ok(format!("{before} all the same: {proof} ({error})")),
            (Err(error), Err(_)) => Err(error),
            (Ok(done), Err(error)) if error.is_interrupted() => Err(error.at(done)),
            // Too few answers, and all agree.
            (Ok(done), Err(Error::Deadline(_))) => Ok(done),
            (Ok(done), Err(error)) => match self.contradiction(place, side, before).await {
                Some(_) => Err(error.at(done)),
                // The side that had everything may be down, and then nothing can prove it.
                None => Ok(done),
            },
        }
    }

    /// Puts back what was before a step, in a time of its own.
    async fn revert_from(
        &self,
        place: &Place,
        snapshot: Option<&str>,
        state: SetState,
    ) -> Result<String, Error> {
        let snapshot = snapshot.ok_or(Error::Unnoted("what was there before is not known"))?;
        self.put_back(place, snapshot, state, self.proof / 2).await
    }

    /// What answers, as far as the change has time for it.
    async fn some_answers(&self, place: &Place, side: Side) -> AnswerCounts {
        let end = self.end.max(Instant::now()) + self.last_query / 2;
        sample(
            self.router,
            place,
            self.releases(side),
            ASKED,
            SampleEnd::Cut(end),
        )
        .await
    }

    /// What answers, where it can hardly come from a split, and a signal leaves the time to ask.
    async fn contradiction(&self, place: &Place, side: Side, split: Split) -> Option<AnswerCounts> {
        if !is_visible(self.router, split) {
            return None;
        }
        let asking = self.some_answers(place, side);
        let answers = self.in_time(self.after_signal().proof, asking).await?;
        contradicts(&answers, split).then_some(answers)
    }

    /// The share that the release has at a place: what is configured, unless the answers are of another.
    async fn share_at(&self, place: &Place) -> Result<String, Error> {
        let side = self.side(place)?;
        let split = match self.router.in_use(place).await {
            Ok(split) => split,
            // Users get something all the same.
            Err(error) if leaves_no_split(&error) => {
                return Err(error.then(self.some_answers(place, side).await));
            }
            Err(error) => return Err(error),
        };
        match self.contradiction(place, side, split).await {
            None => Ok(label(&self.release, split.of(side))),
            Some(answers) => Err(Error::Contradicts(format!(
                "{split} is configured, and {answers}"
            ))),
        }
    }
}

impl Observe for Shift<'_> {
    fn current<'a>(&'a self, step: &'a Step, _likely: &'a str) -> StepFuture<'a, Option<String>> {
        Box::pin(async move {
            let asking = self.share_at(&step.place);
            let asked = self.in_time(self.after_signal().look, asking).await;
            let late =
                || Error::Interrupted("a signal left no time to query the router".to_owned());
            asked.unwrap_or_else(|| Err(late())).map(Some)
        })
    }

    fn proof<'a>(&'a self, destination: &'a str) -> Proving<'a> {
        // Every step ended with it.
        Box::pin(async move { Some(format!("answers prove {destination}")) })
    }
}

impl Switch for Shift<'_> {
    fn steps(&self, _transition: Transition<'_>) -> Vec<Step> {
        let step = |place: &Place| Step {
            name: self.step_name(place),
            does: format!("give {} of the requests to {}", self.after, self.release),
            place: place.clone(),
        };
        self.router.places().iter().map(step).collect()
    }

    fn plan<'a>(&'a self, step: &'a Step, _transition: Transition<'a>) -> StepFuture<'a, String> {
        Box::pin(self.planned(&step.place))
    }

    fn snapshot<'a>(
        &'a self,
        step: &'a Step,
        _transition: Transition<'a>,
    ) -> StepFuture<'a, Option<String>> {
        Box::pin(async move { self.router.snapshot(&step.place).await.map(Some) })
    }

    fn apply<'a>(
        &'a self,
        step: &'a Step,
        _transition: Transition<'a>,
        snapshot: Option<&'a str>,
    ) -> StepFuture<'a, Applied> {
        Box::pin(self.make(&step.place, snapshot))
    }

    fn revert<'a>(
        &'a self,
        step: &'a Step,
        _transition: Transition<'a>,
        snapshot: Option<&'a str>,
    ) -> StepFuture<'a, String> {
        Box::pin(async move {
            self.revert_from(&step.place, snapshot, SetState::Unknown)
                .await
        })
    }

    fn revert_made<'a>(
        &'a self,
        step: &'a Step,
        _transition: Transition<'a>,
        snapshot: Option<&'a str>,
        end: &'a StepEnd,
    ) -> StepFuture<'a, String> {
        Box::pin(async move {
            if let Err(Error::PutBack { done, .. }) = end {
                return Ok(done.clone());
            }
            if let Some(change) = end.as_ref().err().and_then(Error::foreign_change) {
                return Err(kept(change.clone()));
            }
            self.revert_from(&step.place, snapshot, SetState::after(end))
                .await
        })
    }
}

/// What another changed is not put back.
fn kept(change: ForeignChange) -> Error {
    Error::Overtaken(Box::new(change)).then("it stays so")
}

impl Target for Shift<'_> {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            self_reverting: true,
            splits_traffic: true,
            ..Capabilities::default()
        }
    }
}
