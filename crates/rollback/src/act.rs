//! The rollback itself: refuse, lease, prepare, journal, switch, verify, record.
//!
//! Every step is written down before it is made, so that after a kill at any point [`resume`]
//! knows where we were; steps are safe to make twice.

mod abort;
mod capture;
mod escalate;
mod fleet;
mod gone;
mod idle;
mod plan;
mod ready;
pub(crate) mod rehearse;
mod resume;
mod run;
mod running;
pub(crate) mod standing;
mod through;
mod verify;

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use cli::Failure;
use model::report::Bar;
use model::{Outcome, Report, Verdict};
use state::{Journal, Lease};

use crate::force::{Force, Rule};
use crate::refuse::Wish;
use crate::session::{Session, failure};
use crate::tree::Tree;
use fleet::Fleet;
use target::{Place, Places, Target, Transition, kinds};

pub(crate) use abort::abort;
pub(crate) use plan::plan;
pub(crate) use resume::resume;
pub use run::run;

#[derive(clap::Args, Clone, Debug, Default)]
pub struct Flags {
    /// Go to this release instead of last-known-good
    #[arg(long, value_name = "RELEASE")]
    pub to: Option<String>,
    #[command(flatten)]
    pub force: cli::force::Force<Rule>,
}

impl Flags {
    fn force(&self, session: &Session<'_>) -> Force {
        Force::told(self.force.forced(session.job))
    }

    fn wish<'f>(&'f self, force: &'f Force) -> Wish<'f> {
        Wish {
            to: self.to.as_deref(),
            force,
        }
    }
}

/// One rollback to one destination.
struct Rollback<'a> {
    session: &'a Session<'a>,
    destination: &'a str,
    force: Force,
    places: Places,
    clock: Instant,
    /// When the destination answered again.
    restored: Cell<Instant>,
    /// Time that is no part of the deadline.
    uncounted: Cell<Duration>,
    bars: RefCell<Vec<Bar>>,
    tree: Tree,
    /// What came of capturing and of hooks before the act.
    beside: RefCell<Vec<Outcome>>,
}

impl<'a> Rollback<'a> {
    fn new(session: &'a Session<'a>, destination: &'a str, force: Force) -> Self {
        destination.clone_into(&mut session.tale.borrow_mut().destination);
        Rollback {
            session,
            destination,
            force,
            places: Places::new(&session.job.config.hosts, &session.job.env),
            clock: Instant::now(),
            restored: Instant::now().into(),
            uncounted: Cell::default(),
            bars: RefCell::default(),
            tree: Tree::new(&session.job.progress),
            beside: RefCell::default(),
        }
    }
}

impl Rollback<'_> {
    fn target(&self) -> Result<Box<dyn Target + '_>, Failure> {
        kinds::of(self.session.section, &self.session.context(&self.places)).map_err(Failure::usage)
    }

    fn fleet<'f>(
        &'f self,
        target: &'f dyn Target,
        lease: &'f Lease,
        transition: Transition<'f>,
        journal: Journal,
    ) -> Fleet<'f> {
        Fleet {
            rollback: self,
            target,
            lease,
            transition,
            steps: target.steps(transition),
            journal: journal.into(),
            until: self.clock + self.uncounted.get() + self.session.section.deadline.get(),
        }
    }

    /// How many of so many steps may fail.
    fn max_failed(&self, total: usize) -> usize {
        self.session.section.max_failed.at_most(total)
    }

    fn interrupted_now(&self) -> bool {
        self.session.job.interrupt.caught().is_some()
    }

    /// What the work gives, or nothing where a signal came and the work did not end within `grace`.
    async fn unless_interrupted<T>(
        &self,
        work: impl Future<Output = T>,
        grace: Duration,
    ) -> Option<T> {
        let interrupt = &self.session.job.interrupt;
        tokio::select! {
            biased;
            done = self.tree.drawn(work) => Some(done),
            () = async { interrupt.wait().await; tokio::time::sleep(grace).await } => None,
        }
    }

    /// The same for work that comes before the first change: the lock stays as it is, for it says
    /// where the rollback was going.
    async fn or_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let done = self.unless_interrupted(work, Duration::ZERO).await;
        done.ok_or_else(|| {
            Failure::error("interrupted before the next change")
                .hint("`rollback resume` goes on with it, `rollback abort` gives it up")
        })
    }

    /// Waiting for a lock, or for a backup, leaves the deadline as long as it was.
    async fn uncounted<T>(&self, work: impl Future<Output = T>) -> T {
        let since = Instant::now();
        let done = work.await;
        self.uncounted.update(|time| time + since.elapsed());
        done
    }

    /// Shows that something begins there; when that is, since the rollback's start.
    fn begins(&self, place: &Place, what: &'static str) -> Duration {
        self.tree.begins(&place.to_string(), what);
        self.clock.elapsed()
    }

    fn bar(&self, place: &Place, what: &'static str, start: Duration, verdict: Verdict) {
        let worked = verdict == Verdict::Pass;
        self.tree.ends(&place.to_string(), what, worked);
        self.bars.borrow_mut().push(Bar {
            place: place.to_string(),
            what: what.to_owned(),
            start,
            end: self.clock.elapsed(),
            verdict,
        });
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
        self.session
            .store
            .release(lease, |_| ())
            .await
            .map_err(failure)?;
        Ok(self.session.report(outcomes))
    }
}
