//! The steps at their places: batch by batch, those of a batch side by side, each written down
//! before and after; put back in reverse order where too many fail; and what runs where at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cli::Failure;
use config::file::OnBreach;
use futures_util::future::join_all;
use model::{Outcome, Table, Verdict};
use state::{Journal, Lease};
use tokio::sync::Mutex;

use super::Rollback;
use super::standing::{self, Standing, standing};
use crate::current::LOOK;
use crate::session::failure;
use target::{Applied, Asking, Step, Target, Transition};

/// What a signal leaves for the steps that are being made; the rest of the grace is for the report.
const FINISH: Duration = Duration::from_secs(6);

/// One way of a rollback through all places, there or back.
pub(super) struct Fleet<'a> {
    pub(super) rollback: &'a Rollback<'a>,
    pub(super) target: &'a dyn Target,
    pub(super) lease: &'a Lease,
    pub(super) transition: Transition<'a>,
    pub(super) steps: Vec<Step>,
    /// Steps side by side write one after another.
    pub(super) journal: Mutex<Journal>,
    /// No step begins later, and none is waited for longer.
    pub(super) until: Instant,
}

/// What became of the steps.
pub(super) struct Made {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) failed: usize,
    pub(super) interrupted: bool,
    /// Why nothing more is done: the journal or the lock could not be written. What was done until
    /// then is told all the same.
    pub(super) trouble: Option<Failure>,
    /// When the destination was first seen to answer at the last place that tells.
    pub(super) answered: Option<Instant>,
}

/// What a place runs at the end.
pub(super) struct Runs {
    place: String,
    /// The release; `None` where nobody knows.
    pub(super) release: Option<String>,
    /// How that is known, or why it is not.
    how: String,
    /// Whether the place itself was asked and told the release.
    told: bool,
}

impl Fleet<'_> {
    fn destination(&self) -> &str {
        self.transition.to
    }

    /// How many steps side by side: at least one.
    fn batch(&self) -> usize {
        let batch = self.rollback.session.section.batch;
        batch.at_most(self.steps.len()).max(1)
    }

    /// How many may fail before it is a breach.
    pub(super) fn most(&self) -> usize {
        self.rollback.max_failed(self.steps.len())
    }

    pub(super) fn restores(&self) -> bool {
        self.rollback.session.section.on_breach == OnBreach::Restore
    }

    /// Makes every step that is not `known` to be made. `unready` ones are not begun, and count as
    /// failed.
    pub(super) async fn commit(
        &self,
        known: impl Fn(&Step) -> bool,
        unready: &BTreeMap<String, String>,
    ) -> Made {
        let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
        let mut open = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            let id = format!("step/{}", step.name);
            if let Some(reason) = unready.get(&step.name) {
                let outcome = self.not_made(step, format!("not begun: {reason}"));
                outcomes.insert(at, outcome);
            } else if known(step) {
                let outcome = Outcome::pass(id, self.destination());
                outcomes.insert(at, outcome.actual("done before the interruption"));
            } else {
                open.push((at, step));
            }
        }
        let mut failed = unready.len();
        let mut interrupted = false;
        let mut trouble = None;
        let mut answered: Option<Instant> = None;
        for batch in open.chunks(self.batch()) {
            interrupted = interrupted || self.rollback.interrupted_now();
            let breached = failed > self.most() && self.restores();
            let late = Instant::now() >= self.until;
            if trouble.is_none() && !(interrupted || breached || late) {
                trouble = self.renew().await.err();
            }
            let stop = interrupted || breached || trouble.is_some();
            if stop || late {
                for (at, step) in batch {
                    let why = if stop {
                        "not begun"
                    } else {
                        "not begun: the deadline has passed"
                    };
                    failed += usize::from(!stop);
                    outcomes.insert(
                        *at,
                        if stop {
                            Outcome::skipped(format!("step/{}", step.name), self.destination(), why)
                        } else {
                            self.not_made(step, why.to_owned())
                        },
                    );
                }
                continue;
            }
            let left = self.transition.from.unwrap_or("an unknown release");
            let say = format!("{left} → {}", self.destination());
            self.rollback.session.job.progress.say(&say);
            let making = join_all(batch.iter().map(|(_, step)| self.make(step)));
            let Some(made) = self.rollback.unless_interrupted(making, FINISH).await else {
                interrupted = true;
                continue;
            };
            for ((at, step), made) in batch.iter().zip(made) {
                let (outcome, first) = made.unwrap_or_else(|failure| {
                    let outcome = self.not_made(step, failure.chain());
                    trouble = Some(failure);
                    (outcome, None)
                });
                answered = answered.max(first);
                failed += usize::from(outcome.verdict != Verdict::Pass);
                outcomes.insert(*at, outcome);
            }
        }
        Made {
            outcomes: outcomes.into_values().collect(),
            failed,
            interrupted: interrupted || self.rollback.interrupted_now(),
            trouble,
            answered,
        }
    }

    /// Whoever lost the lock acts no more.
    async fn renew(&self) -> Result<(), Failure> {
        let session = self.rollback.session;
        let ttl = session.section.lock_ttl.get();
        session.store.renew(self.lease, ttl).await.map_err(failure)
    }

    /// One step: its snapshot, the intent, the change, the result; and when the destination was first
    /// seen to answer.
    async fn make(&self, step: &Step) -> Result<(Outcome, Option<Instant>), Failure> {
        let start = self.rollback.begins(&step.place, "switch");
        let clock = Instant::now();
        let noted = self
            .journal
            .lock()
            .await
            .before(&step.name)
            .map(str::to_owned);
        let before = match noted {
            Some(before) => Ok(Some(before)),
            None => {
                self.in_time(self.target.snapshot(step, self.transition))
                    .await
            }
        };
        let result = match before {
            Ok(before) => {
                let mut journal = self.journal.lock().await;
                let intent = journal.intent(&step.name, before.clone()).await;
                drop(journal);
                intent.map_err(failure)?;
                let act = self.target.apply(step, self.transition, before.as_deref());
                self.in_time(act).await
            }
            Err(reason) => Err(reason),
        };
        let mut journal = self.journal.lock().await;
        let (outcome, answered) = match result {
            Ok(Applied { detail, answered }) => {
                journal.done(&step.name).await.map_err(failure)?;
                let id = format!("step/{}", step.name);
                let outcome = Outcome::pass(id, self.destination()).actual(detail);
                (outcome, answered)
            }
            Err(reason) => {
                let clean = self.rollback.session.clean(&reason);
                journal.failed(&step.name, &clean).await.map_err(failure)?;
                drop(journal);
                (self.not_made(step, reason), None)
            }
        };
        self.rollback
            .bar(&step.place, "switch", start, outcome.verdict);
        Ok((outcome.took(clock.elapsed()), answered))
    }

    fn not_made(&self, step: &Step, reason: String) -> Outcome {
        Outcome::fail(format!("step/{}", step.name), self.destination())
            .expected(format!("{} is live", self.destination()))
            .actual(reason.clone())
            .reason(reason)
            .hint("repair it, then `rollback resume`; or `rollback abort`; see `rollback status`")
    }

    /// No longer than the deadline allows.
    async fn in_time<T>(&self, doing: Asking<'_, T>) -> Result<T, String> {
        let late = || {
            let deadline = self.rollback.session.section.deadline;
            Err(format!(
                "not done within the deadline of {deadline}; it may still go on"
            ))
        };
        let ended = tokio::time::timeout_at(self.until.into(), doing).await;
        ended.unwrap_or_else(|_| late())
    }

    /// Puts back what was before every step that was begun, the last one first.
    pub(super) async fn restore(&self, reason: &str) -> Result<Made, Failure> {
        let mut journal = self.journal.lock().await;
        if journal.aborting().is_none() {
            let clean = self.rollback.session.clean(reason);
            journal.abort(&clean).await.map_err(failure)?;
        }
        let mut names = standing::begun(&journal);
        names.retain(|name| standing(&journal, name) != Standing::Restored);
        names.reverse();
        drop(journal);
        let mut made = Made {
            outcomes: Vec::new(),
            failed: 0,
            interrupted: false,
            trouble: None,
            answered: None,
        };
        for batch in names.chunks(self.batch()) {
            if self.rollback.interrupted_now() {
                made.interrupted = true;
                break;
            }
            if let Err(failure) = self.renew().await {
                made.trouble = Some(failure);
                break;
            }
            let putting = join_all(batch.iter().map(|name| self.put_back(name)));
            let Some(done) = self.rollback.unless_interrupted(putting, FINISH).await else {
                made.interrupted = true;
                break;
            };
            for outcome in done {
                let outcome = match outcome {
                    Ok(outcome) => outcome,
                    Err(failure) => {
                        made.trouble = Some(failure);
                        continue;
                    }
                };
                made.failed += usize::from(outcome.verdict != Verdict::Pass);
                made.outcomes.push(outcome);
            }
        }
        Ok(made)
    }

    async fn put_back(&self, name: &str) -> Result<Outcome, Failure> {
        let id = format!("undo/{name}");
        let Some(step) = self.steps.iter().find(|step| step.name == name) else {
            return Ok(Outcome::error(id, name)
                .expected("a step of the configuration")
                .actual("only the journal knows it")
                .reason("the configuration no longer names its place")
                .hint("put the place back into the configuration, then `rollback resume`"));
        };
        let start = self.rollback.begins(&step.place, "put back");
        let clock = Instant::now();
        let before = self.journal.lock().await.before(name).map(str::to_owned);
        let undo = self.target.revert(step, self.transition, before.as_deref());
        let outcome = match self.in_time(undo).await {
            Ok(detail) => {
                let mut journal = self.journal.lock().await;
                journal.restored(name).await.map_err(failure)?;
                Outcome::pass(id, step.place.to_string()).actual(detail)
            }
            Err(reason) => Outcome::fail(id, step.place.to_string())
                .expected("what was before is back")
                .actual(reason.clone())
                .reason(reason)
                .hint("repair it, then `rollback resume` puts back the rest"),
        };
        self.rollback
            .bar(&step.place, "put back", start, outcome.verdict);
        Ok(outcome.took(clock.elapsed()))
    }

    /// What each place runs now: each is asked; where nobody can be, the journal has to do.
    pub(super) async fn vector(&self) -> Vec<Runs> {
        let asking = self.steps.iter().map(|step| async move {
            let asked = self.target.current(step, self.destination());
            let asked = tokio::time::timeout(LOOK, asked).await;
            let standing = standing(&*self.journal.lock().await, &step.name);
            let left = || self.transition.from.map(str::to_owned);
            let told = matches!(asked, Ok(Ok(Some(_))));
            let (release, how) = match (asked, standing) {
                (Ok(Ok(Some(release))), _) => (
                    Some(self.rollback.session.clean(&release)),
                    "it says so".to_owned(),
                ),
                (Ok(Err(reason)), _) => (None, reason),
                (Err(_), _) => (None, format!("no answer within {} s", LOOK.as_secs())),
                (_, Standing::Done) => (
                    Some(self.destination().to_owned()),
                    "its step succeeded".to_owned(),
                ),
                (_, Standing::Untouched | Standing::Restored) => {
                    (left(), "as it was before".to_owned())
                }
                (_, Standing::Failed(_)) if self.target.capabilities().self_reverting => {
                    (left(), "its step was undone".to_owned())
                }
                (_, Standing::Failed(_) | Standing::Begun) => (
                    None,
                    "its step did not end well, and what it runs cannot be asked".to_owned(),
                ),
            };
            Runs {
                place: step.place.to_string(),
                release,
                how,
                told,
            }
        });
        join_all(asking).await
    }
}

impl Runs {
    pub(super) fn says(&self, release: &str) -> bool {
        self.told && self.release.as_deref() == Some(release)
    }

    /// As an outcome, where `wanted` is what should run.
    pub(super) fn outcome(&self, wanted: &str) -> Outcome {
        let id = format!("runs/{}", self.place);
        let told = match &self.release {
            Some(release) => format!("{release} ({})", self.how),
            None => format!("unknown: {}", self.how),
        };
        let outcome = match self.release.as_deref() {
            Some(release) if release == wanted => Outcome::pass(id, &self.place),
            Some(release) => Outcome::fail(id, &self.place)
                .reason(format!("it runs {release}"))
                .hint("`rollback resume` tries again; `rollback abort` puts back what was"),
            None => Outcome::error(id, &self.place)
                .reason(format!("what it runs is not known: {}", self.how))
                .hint("see whether the host is up, then `rollback resume` or `rollback abort`"),
        };
        outcome.expected(wanted).actual(told)
    }

    pub(super) fn table(all: &[Runs]) -> Table {
        let row = |runs: &Runs| {
            let release = runs.release.clone().unwrap_or_else(|| "unknown".to_owned());
            vec![runs.place.clone(), release, runs.how.clone()]
        };
        Table {
            title: "What each host runs".to_owned(),
            header: vec!["host", "release", "how that is known"],
            rows: all.iter().map(row).collect(),
            only_in_summary: false,
        }
    }
}
