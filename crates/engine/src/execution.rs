//! The steps at their places: batch by batch, those of a batch side by side, each written down
//! before and after; put back in reverse order where too many fail; and what runs where at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use config::value::{Portion, Span};
use futures_util::future::join_all;
use jiff::Timestamp;
use model::report::Bar;
use model::text::chain;
use model::{Id, Outcome, Verdict};
use state::journal::{Ending, Intention, SharePlan};
use state::{Error, Forced, Journal, Lease, Store};
use target::{Applied, Step, StepEnd, StepFuture, Target, Transition};
use tokio::sync::Mutex;

use crate::conclusion::{Conclusion, ExecutionEnd, PlaceRelease, RevertEnd, Reverted};
use crate::current::{CurrentRelease, QUERY_TIMEOUT, late};
use crate::plan::{self, Plan};
use crate::status::{self, StepStatus};
use crate::watch::Watch;

/// Time for running steps after a signal; the rest of the grace is for the report.
pub const FINISH: Duration = Duration::from_secs(6);

/// How far an operation goes.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The stage whose subcommands `resume`, `abort` and `status` hints name.
    pub stage: &'static str,
    /// How many steps side by side.
    pub batch: Portion,
    /// How many steps may fail.
    pub max_failed: Portion,
    /// Whether what was before is put back where more fail.
    pub restores: bool,
    pub deadline: Span,
    /// How long after that the places may still be asked what they run.
    pub last_query: Duration,
    /// How long the lease is renewed for.
    pub lock_ttl: Span,
}

/// What an execution works with.
#[derive(Clone, Copy)]
pub struct ExecutionContext<'a> {
    pub target: &'a dyn Target,
    pub store: &'a Store,
    pub lease: &'a Lease,
    pub watch: Watch<'a>,
    pub settings: Settings,
}

/// What an operation was begun on, beside its plan.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    /// The safety rules that were lifted for it.
    pub forced: &'a [Forced],
    /// Whether the release that is left is not recorded bad.
    pub spared: bool,
    /// When it began to query, check and prepare.
    pub started: Timestamp,
    /// The share that it changes.
    pub shares: Option<&'a SharePlan>,
    /// Why it is made.
    pub reason: Option<&'a str>,
}

impl Grounds<'_> {
    /// No rule was lifted, and no release is spared.
    pub fn plain(started: Timestamp) -> Self {
        Grounds {
            forced: &[],
            spared: false,
            started,
            shares: None,
            reason: None,
        }
    }
}

/// One operation on its way through all places, there or back. What it does is in its journal
/// before it is done.
pub struct Execution<'a> {
    means: ExecutionContext<'a>,
    to: String,
    from: Option<String>,
    steps: Vec<Step>,
    /// Steps side by side write one after another.
    journal: Mutex<Journal>,
    /// No step begins later, and none is waited for longer.
    until: Instant,
}

/// What became of steps.
#[derive(Default)]
struct StepResults {
    outcomes: Vec<Outcome>,
    bars: Vec<Bar>,
    ends: BTreeMap<String, StepEnd>,
    failed: usize,
    interrupted: bool,
    /// Why the operation stops: the journal or the lock could not be written. The steps made so far
    /// are still reported.
    trouble: Option<Error>,
    answered: Option<Instant>,
}

/// What became of one.
struct StepResult {
    outcome: Outcome,
    bar: Option<Bar>,
    /// `None` where its journal could not be written.
    end: Option<StepEnd>,
    answered: Option<Instant>,
}

impl<'a> Execution<'a> {
    /// Writes down that the plan is begun, and the grounds that a resumed one cannot find again.
    pub async fn begin(
        means: ExecutionContext<'a>,
        plan: &Plan,
        grounds: Grounds<'_>,
        until: Instant,
    ) -> Result<Self, Error> {
        let ExecutionContext { store, lease, .. } = means;
        // A journal of a holder that lost the lock would be resumed.
        store.renew(lease, means.settings.lock_ttl.get()).await?;
        let begun = store.begin_journal(Intention {
            left: plan.from(),
            forced: grounds.forced,
            spared: grounds.spared,
            started: Some(grounds.started),
            shares: grounds.shares,
            reason: grounds.reason,
            ..Intention::new(means.settings.stage, plan.to(), lease.token)
        });
        let journal = begun.await?;
        let steps = plan.steps().iter();
        Ok(Execution {
            means,
            to: plan.to().to_owned(),
            from: plan.from().map(str::to_owned),
            steps: steps.map(|planned| planned.step.clone()).collect(),
            journal: journal.into(),
            until,
        })
    }

    /// Goes on with what a journal began, at the places that are configured now.
    pub fn resume(means: ExecutionContext<'a>, journal: Journal, until: Instant) -> Self {
        let (to, from) = journal.plan().unwrap_or_default();
        Execution {
            to: to.to_owned(),
            from: from.map(str::to_owned),
            steps: means.target.steps(Transition { to, from }),
            means,
            journal: journal.into(),
            until,
        }
    }

    pub fn to(&self) -> &str {
        &self.to
    }

    pub fn from(&self) -> Option<&str> {
        self.from.as_deref()
    }

    pub fn means(&self) -> ExecutionContext<'a> {
        self.means
    }

    /// How many steps there are.
    pub fn total(&self) -> usize {
        self.steps.len()
    }

    /// How many of them may fail before it is a breach.
    pub fn most(&self) -> usize {
        self.means.settings.max_failed.at_most(self.steps.len())
    }

    /// The safety rules that were lifted for it.
    pub async fn forced(&self) -> Vec<Forced> {
        self.journal.lock().await.forced().to_vec()
    }

    /// Whether the release that is left is not recorded bad.
    pub async fn is_spared(&self) -> bool {
        self.journal.lock().await.is_spared()
    }

    /// What people call its journal.
    pub async fn place(&self) -> String {
        self.journal.lock().await.place()
    }

    /// The steps that were begun before and that are no longer configured.
    pub async fn lost(&self) -> Vec<String> {
        status::lost(&*self.journal.lock().await, &self.steps)
    }

    /// Nothing is left to do.
    pub async fn end(&self, ending: impl Into<Ending>) -> Result<(), Error> {
        self.journal.lock().await.end(ending).await
    }

    /// Renews the lease: without it no further step is made.
    pub async fn renew(&self) -> Result<(), Error> {
        let ExecutionContext { store, lease, .. } = self.means;
        let ttl = self.means.settings.lock_ttl.get();
        store.renew(lease, ttl).await
    }

    /// Brings each step that is made again what it needs; why it could not be, by the step's name.
    /// A step that cannot be prepared does not stop the others.
    pub async fn prepare_rest(
        &self,
        current: &CurrentRelease,
        within: Duration,
    ) -> BTreeMap<String, target::Error> {
        let finished = self.finished_steps(current).await;
        let preparing = self.steps.iter().map(|step| {
            let finished = finished.contains(&step);
            async move {
                let target = self.means.target;
                let preparing = target
                    .prepare(step, self.transition())
                    .filter(|_| !finished)?;
                let ready = tokio::time::timeout(within, preparing).await;
                let error = ready.unwrap_or_else(|_| Err(plan::late(within))).err()?;
                Some((step.name.clone(), error))
            }
        });
        join_all(preparing).await.into_iter().flatten().collect()
    }

    /// Makes every step that is not made yet; `unready` ones are not begun, and count as failed.
    /// If more steps fail than may, the previous state is restored. `notes` are reported after the steps.
    ///
    /// # Errors
    /// Returns an error if the journal entry that starts the revert cannot be written.
    pub async fn run(
        &mut self,
        current: &CurrentRelease,
        unready: &BTreeMap<String, target::Error>,
        notes: Vec<Outcome>,
    ) -> Result<Conclusion<ExecutionEnd>, Error> {
        let StepResults {
            mut outcomes,
            bars,
            ends,
            failed,
            interrupted,
            trouble,
            answered,
        } = self.commit(current, unready).await;
        let answered = answered.unwrap_or_else(Instant::now);
        outcomes.extend(notes);
        let mut conclusion = Conclusion {
            outcomes,
            bars,
            ends,
            places: Vec::new(),
            answered,
            end: ExecutionEnd::Interrupted,
        };
        if interrupted {
            return Ok(conclusion);
        }
        let (total, most) = (self.total(), self.most());
        if failed > most && self.means.settings.restores && trouble.is_none() {
            // Its own time: the way there has used up the first.
            self.until = Instant::now() + self.means.settings.deadline.get();
            let reason = format!("failed ({failed}) > max-failed ({most})");
            let reverted = self.revert_made(&reason, &conclusion.ends).await?;
            conclusion.outcomes.extend(reverted.outcomes);
            conclusion.bars.extend(reverted.bars);
            conclusion.ends.extend(reverted.ends);
            return Ok(Conclusion {
                places: reverted.places,
                end: reverted.end.into(),
                ..conclusion
            });
        }
        let proof = if failed <= most && trouble.is_none() {
            self.means.target.proof(&self.to).await
        } else {
            None
        };
        if total > 1 || failed > 0 || proof.is_none() {
            conclusion.places = self.places().await;
        }
        // If the only place cannot be queried, verification decides.
        let elsewhere = |runs: &&PlaceRelease| match &runs.release {
            Some(release) => *release != self.to,
            None => total > 1 || failed > 0,
        };
        let wrong = conclusion.places.iter().filter(elsewhere).count();
        if total > 1 || wrong > 0 {
            let told = self.place_outcomes(&conclusion.places, &self.to);
            conclusion.outcomes.extend(told);
        }
        conclusion.end = match trouble {
            Some(trouble) => ExecutionEnd::Stopped(trouble),
            None if total == 1 && failed == 0 && wrong == 1 => ExecutionEnd::Denied,
            // If every step failed, nothing changed, whatever `max-failed` allows.
            None if failed > most || wrong > most || wrong == total => ExecutionEnd::Failed {
                failed: failed.max(wrong),
            },
            None => ExecutionEnd::Live {
                proof,
                failed,
                wrong,
            },
        };
        Ok(conclusion)
    }

    /// Puts back what was before every step that was begun, the last one first.
    ///
    /// # Errors
    /// Returns an error if the journal entry that starts the revert cannot be written.
    pub async fn revert(&self, reason: &str) -> Result<Conclusion<RevertEnd>, Error> {
        self.revert_made(reason, &BTreeMap::new()).await
    }

    /// The same, where these steps were made by this execution.
    async fn revert_made(
        &self,
        reason: &str,
        made: &BTreeMap<String, StepEnd>,
    ) -> Result<Conclusion<RevertEnd>, Error> {
        let StepResults {
            outcomes,
            bars,
            ends,
            failed,
            interrupted,
            trouble,
            answered: _,
        } = self.restore(reason, made).await?;
        let tried = outcomes.len();
        let mut conclusion = Conclusion {
            outcomes,
            bars,
            ends,
            places: Vec::new(),
            answered: Instant::now(),
            end: RevertEnd::Interrupted,
        };
        if interrupted {
            return Ok(conclusion);
        }
        conclusion.places = self.places().await;
        let elsewhere = |runs: &&PlaceRelease| runs.release.is_some() && runs.release != self.from;
        let wrong = match &self.from {
            Some(_) => conclusion.places.iter().filter(elsewhere).count(),
            None => 0,
        };
        if let Some(from) = self.from().filter(|_| self.total() > 1 || wrong > 0) {
            let told = self.place_outcomes(&conclusion.places, from);
            conclusion.outcomes.extend(told);
        }
        conclusion.end = match trouble {
            Some(trouble) => RevertEnd::Stopped(trouble),
            None => RevertEnd::Reverted(Reverted {
                tried,
                failed,
                wrong,
            }),
        };
        Ok(conclusion)
    }

    fn place_outcomes(&self, places: &[PlaceRelease], wanted: &str) -> Vec<Outcome> {
        let stage = self.means.settings.stage;
        let told = places.iter().map(|runs| runs.outcome(wanted, stage));
        told.collect()
    }

    fn transition(&self) -> Transition<'_> {
        Transition {
            to: &self.to,
            from: self.from(),
        }
    }

    /// How many steps side by side: at least one.
    fn batch(&self) -> usize {
        self.means.settings.batch.at_most(self.steps.len()).max(1)
    }

    fn is_interrupted(&self) -> bool {
        self.means.watch.operator.interrupted()
    }

    /// The steps that are not made again: the journal reports them as done and they still are. A step of a
    /// [self-reverting](target::Capabilities::self_reverting) target is always made again.
    async fn finished_steps(&self, current: &CurrentRelease) -> Vec<&Step> {
        let journal = self.journal.lock().await;
        let finished = |step: &&Step| {
            status::of(&journal, &step.name) == StepStatus::Done
                && !self.means.target.capabilities().self_reverting
                && current.still(&step.name, &self.to)
        };
        self.steps.iter().filter(finished).collect()
    }

    async fn commit(
        &self,
        current: &CurrentRelease,
        unready: &BTreeMap<String, target::Error>,
    ) -> StepResults {
        let finished = self.finished_steps(current).await;
        let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
        let mut open = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            let id = Id::step(&step.name);
            if let Some(error) = unready.get(&step.name) {
                let outcome = self.not_made(step, format!("not begun: {error}"));
                outcomes.insert(at, outcome);
            } else if finished.contains(&step) {
                let outcome = Outcome::pass(id, &self.to);
                outcomes.insert(at, outcome.actual("done before the interruption"));
            } else {
                open.push((at, step));
            }
        }
        let mut all = StepResults {
            failed: unready.len(),
            ..StepResults::default()
        };
        for batch in open.chunks(self.batch()) {
            all.interrupted = all.interrupted || self.is_interrupted();
            let breached = all.failed > self.most() && self.means.settings.restores;
            let late = Instant::now() >= self.until;
            if all.trouble.is_none() && !(all.interrupted || breached || late) {
                all.trouble = self.renew().await.err();
            }
            let stop = all.interrupted || breached || all.trouble.is_some();
            if stop || late {
                for (at, step) in batch {
                    let why = if stop {
                        "not begun"
                    } else {
                        "not begun: the deadline has passed"
                    };
                    all.failed += usize::from(!stop);
                    outcomes.insert(
                        *at,
                        if stop {
                            Outcome::skipped(Id::step(&step.name), &self.to, why)
                        } else {
                            self.not_made(step, why.to_owned())
                        },
                    );
                }
                continue;
            }
            let from = state::release_shown(self.from());
            let watch = self.means.watch;
            watch.operator.say(&format!("{from} → {}", self.to));
            let making = join_all(batch.iter().map(|(_, step)| self.make(step)));
            let Some(made) = watch.unless_interrupted(making, FINISH).await else {
                all.interrupted = true;
                continue;
            };
            for ((at, step), made) in batch.iter().zip(made) {
                let made = made.unwrap_or_else(|error| {
                    let outcome = self.not_made(step, chain(&error));
                    all.trouble = Some(error);
                    StepResult {
                        outcome,
                        bar: None,
                        end: None,
                        answered: None,
                    }
                });
                all.ends
                    .extend(made.end.map(|end| (step.name.clone(), end)));
                all.answered = all.answered.max(made.answered);
                all.failed += usize::from(made.outcome.verdict != Verdict::Pass);
                all.bars.extend(made.bar);
                outcomes.insert(*at, made.outcome);
            }
        }
        StepResults {
            outcomes: outcomes.into_values().collect(),
            interrupted: all.interrupted || self.is_interrupted(),
            ..all
        }
    }

    /// One step: its snapshot, the intent, the change, the result.
    async fn make(&self, step: &Step) -> Result<StepResult, Error> {
        let ExecutionContext { target, watch, .. } = self.means;
        let timer = watch.begins(&step.place, "switch");
        let clock = Instant::now();
        let noted = {
            let journal = self.journal.lock().await;
            journal.before(&step.name).map(str::to_owned)
        };
        let snapshot = match noted {
            Some(snapshot) => Ok(Some(snapshot)),
            None => self.in_time(target.snapshot(step, self.transition())).await,
        };
        let result = match snapshot {
            Ok(snapshot) => {
                let mut journal = self.journal.lock().await;
                journal.intent(&step.name, snapshot.clone()).await?;
                drop(journal);
                let applied = target.apply(step, self.transition(), snapshot.as_deref());
                self.in_time(applied).await
            }
            Err(error) => Err(error),
        };
        let mut journal = self.journal.lock().await;
        let (outcome, end, answered) = match result {
            Ok(Applied { detail, answered }) => {
                journal.done(&step.name).await?;
                let id = Id::step(&step.name);
                let outcome = Outcome::pass(id, &self.to).actual(detail);
                (outcome, Ok(()), answered)
            }
            Err(error) => {
                let reason = error.to_string();
                let clean = watch.clean(&reason);
                journal.failed(&step.name, &clean).await?;
                drop(journal);
                let outcome = if error.is_interrupted() {
                    self.unknown(step, reason)
                } else if error.is_overtaken() {
                    // What to do then is for its stage to tell.
                    Outcome {
                        hint: None,
                        ..self.not_made(step, reason)
                    }
                } else {
                    self.not_made(step, reason)
                };
                (outcome, Err(error), None)
            }
        };
        let bar = Some(timer.ends(outcome.verdict));
        Ok(StepResult {
            outcome: outcome.took(clock.elapsed()),
            bar,
            end: Some(end),
            answered,
        })
    }

    fn not_made(&self, step: &Step, reason: String) -> Outcome {
        let stage = self.means.settings.stage;
        Outcome::fail(Id::step(&step.name), &self.to)
            .expected(format!("{} is live", self.to))
            .actual(reason.clone())
            .reason(reason)
            .hint(format!(
                "repair it, then `{stage} resume`; or `{stage} abort`; see `{stage} status`"
            ))
    }

    /// A signal came before it was known. What to do then is for its stage to tell.
    fn unknown(&self, step: &Step, reason: String) -> Outcome {
        Outcome::inconclusive(Id::step(&step.name), &self.to)
            .expected(format!("{} is live", self.to))
            .actual(reason.clone())
            .reason(reason)
    }

    /// No longer than the deadline allows.
    async fn in_time<T>(&self, doing: StepFuture<'_, T>) -> Result<T, target::Error> {
        let late = || {
            let deadline = self.means.settings.deadline;
            Err(target::Error::Deadline(format!(
                "not done within the deadline of {deadline}; it may still go on"
            )))
        };
        let ended = tokio::time::timeout_at(self.until.into(), doing).await;
        ended.unwrap_or_else(|_| late())
    }

    async fn restore(
        &self,
        reason: &str,
        made: &BTreeMap<String, StepEnd>,
    ) -> Result<StepResults, Error> {
        let mut journal = self.journal.lock().await;
        if journal.aborting().is_none() {
            let clean = self.means.watch.clean(reason);
            journal.abort(&clean).await?;
        }
        let mut names = status::begun(&journal);
        names.retain(|name| status::of(&journal, name) != StepStatus::Restored);
        names.reverse();
        drop(journal);
        let mut all = StepResults::default();
        for batch in names.chunks(self.batch()) {
            if self.is_interrupted() {
                all.interrupted = true;
                break;
            }
            if let Err(trouble) = self.renew().await {
                all.trouble = Some(trouble);
                break;
            }
            let putting = batch.iter().map(|name| self.put_back(name, made.get(name)));
            let putting = join_all(putting);
            let Some(done) = self.means.watch.unless_interrupted(putting, FINISH).await else {
                all.interrupted = true;
                break;
            };
            for (name, one) in batch.iter().zip(done) {
                match one {
                    Ok(result) => {
                        all.failed += usize::from(result.outcome.verdict != Verdict::Pass);
                        all.outcomes.push(result.outcome);
                        all.bars.extend(result.bar);
                        // One that is back has nothing left of what its step came to.
                        let end = result.end.filter(Result::is_err);
                        all.ends.extend(end.map(|end| (name.clone(), end)));
                    }
                    Err(trouble) => all.trouble = Some(trouble),
                }
            }
        }
        Ok(all)
    }

    /// One step, which ended so where this execution made it.
    async fn put_back(&self, name: &str, made: Option<&StepEnd>) -> Result<StepResult, Error> {
        let (id, stage) = (Id::undo(name), self.means.settings.stage);
        let Some(step) = self.steps.iter().find(|step| step.name == name) else {
            let outcome = Outcome::error(id, name)
                .expected("a step of the configuration")
                .actual("only the journal knows it")
                .reason("the configuration no longer names its place")
                .hint(format!(
                    "put the place back into the configuration, then `{stage} resume`"
                ));
            return Ok(StepResult {
                outcome,
                bar: None,
                end: None,
                answered: None,
            });
        };
        let timer = self.means.watch.begins(&step.place, "put back");
        let clock = Instant::now();
        let snapshot = self.journal.lock().await.before(name).map(str::to_owned);
        let (target, transition) = (self.means.target, self.transition());
        let reverting = match made {
            Some(end) => target.revert_made(step, transition, snapshot.as_deref(), end),
            None => target.revert(step, transition, snapshot.as_deref()),
        };
        let reverted = self.in_time(reverting).await;
        let outcome = match &reverted {
            Ok(detail) => {
                let mut journal = self.journal.lock().await;
                journal.restored(name).await?;
                Outcome::pass(id, step.place.to_string()).actual(detail.as_str())
            }
            Err(error) if error.is_overtaken() => {
                Outcome::skipped(id, step.place.to_string(), error.to_string())
            }
            Err(error) => Outcome::fail(id, step.place.to_string())
                .expected("what was before is back")
                .actual(error.to_string())
                .reason(error.to_string())
                .hint(format!(
                    "repair it, then `{stage} resume` puts back the rest"
                )),
        };
        let bar = Some(timer.ends(outcome.verdict));
        Ok(StepResult {
            outcome: outcome.took(clock.elapsed()),
            bar,
            end: Some(reverted.map(drop)),
            answered: None,
        })
    }

    /// What each place runs now: each is queried; if none answers, the journal decides.
    async fn places(&self) -> Vec<PlaceRelease> {
        let target = self.means.target;
        let reverting = target.capabilities().self_reverting;
        let left = self.until.saturating_duration_since(Instant::now());
        let within = QUERY_TIMEOUT.min(left + self.means.settings.last_query);
        let asking = self.steps.iter().map(|step| async move {
            let asked = tokio::time::timeout(within, target.current(step, &self.to)).await;
            let status = status::of(&*self.journal.lock().await, &step.name);
            let asked = asked.unwrap_or_else(|_| Err(late(within)));
            let told = matches!(asked, Ok(Some(_)));
            let (release, how) = match (asked, status) {
                (Ok(Some(release)), _) => (
                    Some(self.means.watch.clean(&release)),
                    "it reports so".to_owned(),
                ),
                (Err(error), _) => (None, error.to_string()),
                (_, StepStatus::Done) => (Some(self.to.clone()), "its step succeeded".to_owned()),
                (_, StepStatus::Untouched | StepStatus::Restored) => {
                    (self.from.clone(), "as it was before".to_owned())
                }
                (_, StepStatus::Failed(_)) if reverting => {
                    (self.from.clone(), "its step was undone".to_owned())
                }
                (_, StepStatus::Failed(_) | StepStatus::Begun) => (
                    None,
                    "its step did not end well, and what it runs is not known".to_owned(),
                ),
            };
            PlaceRelease {
                place: step.place.to_string(),
                release,
                how,
                told,
            }
        });
        join_all(asking).await
    }
}
