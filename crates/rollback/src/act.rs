//! The rollback itself: refuse, lease, prove, capture, journal, steps, verify, record. `run.rs` has
//! the whole sequence; the steps are the engine's.
//!
//! Every step is written down before it is made, so that after a kill at any point [`resume`]
//! knows where we were; steps are safe to make twice.

mod abort;
mod capture;
mod course;
mod ends;
mod escalate;
mod plan;
mod prove;
pub(crate) mod rehearse;
mod resume;
mod retention;
mod rollout;
mod run;
mod schema;
mod standby;
mod verify;

use std::time::{Duration, Instant};

use cli::Failure;
use cli::force::Lifting;
use config::file::{Healthgate, OnBreach};
use engine::current::QUERY_TIMEOUT;
use engine::{CurrentRelease, ExecutionContext, Settings, Watch};
use model::{Outcome, Report};
use state::{Document, Entry, Lease};
use target::{Context, PlaceAccess, Target, kinds};

use crate::force::Rules;
use crate::session::Session;
use operation::tree::Tree;

pub(crate) use abort::abort;
pub(crate) use plan::plan;
pub(crate) use resume::resume;
pub use run::run;

#[derive(clap::Args, Clone, Debug, Default)]
pub struct Flags {
    /// Go to this release instead of last-known-good
    #[arg(long, value_name = "RELEASE")]
    pub to: Option<String>,
    /// How the gate of `--release` ended, as `steps.ID.outcome` gives it: with `skipped` nothing judged the release,
    /// and it is recorded bad only where something reports that it runs
    #[arg(long, value_name = "OUTCOME")]
    pub gate: Option<StepOutcome>,
    #[command(flatten)]
    pub force: cli::force::Force<Rules>,
}

/// How a step of a workflow ended, in GitHub's words.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    Success,
    Failure,
    Cancelled,
    Skipped,
}

impl Flags {
    fn to(&self) -> Option<&str> {
        self.to.as_deref()
    }

    /// Whether no gate judged the release that is left.
    fn is_unjudged(&self) -> bool {
        self.gate == Some(StepOutcome::Skipped)
    }

    fn force(&self, session: &Session<'_>) -> Lifting {
        Lifting::new(self.force.forced(session.job))
    }
}

/// What the state and the places say.
struct Situation {
    document: Document,
    current: CurrentRelease,
}

/// One rollback to one destination.
struct Rollback<'a> {
    session: &'a Session<'a>,
    destination: &'a str,
    /// The probes that verify the destination.
    gate: Option<Healthgate>,
    /// What the state knew of each release.
    known: Vec<Entry>,
    places: PlaceAccess,
    clock: Instant,
    tree: Tree,
    /// No gate judged the release that is left: its deployment may have failed before it changed anything.
    is_unjudged: bool,
}

impl<'a> Rollback<'a> {
    fn new(
        session: &'a Session<'a>,
        destination: &'a str,
        document: Option<&Document>,
    ) -> Result<Self, Failure> {
        let job = session.job;
        Ok(Rollback {
            session,
            destination,
            gate: config::healthgate_for(&job.config, destination)?,
            known: document.map_or_else(Vec::new, |document| document.history.clone()),
            places: PlaceAccess::new(&job.config.hosts, &job.env),
            clock: Instant::now(),
            tree: Tree::new("rollback", &job.progress, &job.interrupt),
            is_unjudged: false,
        })
    }
}

impl Rollback<'_> {
    fn context(&self) -> Context<'_> {
        self.session.context(&self.places, self.known.clone())
    }

    fn target(&self) -> Result<Box<dyn Target + '_>, Failure> {
        kinds::of(self.session.section, &self.context()).map_err(Failure::usage)
    }

    fn watch(&self) -> Watch<'_> {
        Watch {
            operator: &self.tree,
            redactor: &self.session.job.redactor,
            clock: self.clock,
        }
    }

    fn settings(&self) -> Settings {
        let section = self.session.section;
        Settings {
            stage: "rollback",
            batch: section.batch,
            max_failed: section.max_failed,
            restores: section.on_breach == OnBreach::Restore,
            deadline: section.deadline,
            last_query: QUERY_TIMEOUT,
            lock_ttl: section.lock_ttl,
        }
    }

    fn execution_context<'m>(
        &'m self,
        target: &'m dyn Target,
        lease: &'m Lease,
    ) -> ExecutionContext<'m> {
        ExecutionContext {
            target,
            store: &self.session.store,
            lease,
            watch: self.watch(),
            settings: self.settings(),
        }
    }

    /// The release that runs now, beside what the state says.
    async fn situation(&self, target: &dyn Target, document: Document) -> Situation {
        let (named, recorded) = self.by_record(&document);
        let context = self.context();
        let current =
            CurrentRelease::find(target, &context, self.destination, named, recorded).await;
        Situation { document, current }
    }

    /// The running release, according to `--release` and according to the state.
    fn by_record(&self, document: &Document) -> (Option<String>, Option<String>) {
        let named = self.session.job.release.as_deref();
        let named = named.map(|release| document.name_of(release));
        (named, document.current.clone())
    }

    /// After this, no step begins. Waiting for a lock, or for a backup, does not count against the
    /// deadline.
    fn until(&self, uncounted: Duration) -> Instant {
        self.clock + uncounted + self.session.section.deadline.get()
    }

    /// How long a step may take to be made ready.
    fn patience(&self) -> Duration {
        self.session.section.deadline.get() / 2
    }

    fn is_interrupted(&self) -> bool {
        self.session.job.interrupt.caught().is_some()
    }

    /// What comes before the first change, where no signal comes: the lock stays as it is, for it
    /// says where the rollback was going.
    async fn or_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let watch = self.watch();
        let done = watch.unless_interrupted(work, Duration::ZERO).await;
        done.ok_or_else(|| {
            Failure::error("interrupted before the next change")
                .hint("`rollback resume` goes on with it, `rollback abort` gives it up")
        })
    }

    /// A rollback that ended without a report still gives its lease back.
    async fn or_release(
        &self,
        lease: &Lease,
        ended: Result<Report, Failure>,
    ) -> Result<Report, Failure> {
        if ended.is_err() {
            // Where that fails too, the lock goes with its holder.
            let _ = self.session.store.release(lease, |_| ()).await;
        }
        ended
    }

    /// Gives the lease back and reports why nothing was done.
    async fn give_up(&self, lease: &Lease, outcomes: Vec<Outcome>) -> Result<Report, Failure> {
        self.session.store.release(lease, |_| ()).await?;
        Ok(self.session.report(outcomes))
    }
}

/// What the work gives, and how long it took.
async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let since = Instant::now();
    let done = work.await;
    (done, since.elapsed())
}
