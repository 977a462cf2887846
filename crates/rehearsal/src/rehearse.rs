//! The order of a rehearsal: apply, undo, compare; apply again, test, undo.
//!
//! What the test writes would hide what the change loses, so the first way down is gone before it, and another one after it: a
//! way down may fail only once the new schema was used.

use std::future::Future;
use std::time::{Duration, Instant};

use database::{Database, Error as Unasked, Shape, System};
use dump::{Programs, Schema, schema};

use crate::locks::Sampler;
use crate::picture::{Picture, in_schema};
use crate::trial::{Again, Smoke, Trial, WayBack};

/// The copy that a change is tried on.
#[derive(Clone, Copy)]
pub struct Copy<'c> {
    pub database: &'c Database,
    pub programs: &'c Programs,
    /// The tables that the migration tool keeps for itself: they are not part of the schema.
    pub own: &'c [String],
    /// For each look at it.
    pub within: Duration,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Done,
    /// What the tool or the database said.
    Failed(String),
    /// The same, where a lock of another session was in the way.
    Blocked(String),
    /// There is no such step; why.
    None(String),
}

/// Why the change could not be made on the copy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrialError {
    #[error("{0}")]
    Failed(String),
    /// A lock of another session was in the way.
    #[error("{0}")]
    Blocked(String),
}

/// What is done to the copy.
pub trait Steps {
    type Error: From<dump::Error> + From<Unasked>;

    /// Applies everything that is pending.
    fn apply(&self) -> impl Future<Output = Result<Step, Self::Error>>;
    /// Takes all of that back.
    fn undo(&self) -> impl Future<Output = Result<Step, Self::Error>>;
    /// Runs the test of the release before.
    fn smoke(&self) -> impl Future<Output = Result<Step, Self::Error>>;
}

/// Rehearses a change.
///
/// # Errors
/// Returns `Ok(Err(…))` where the change itself fails on the copy.
pub async fn rehearse<S: Steps>(
    copy: &Copy<'_>,
    steps: &S,
) -> Result<Result<Trial, TrialError>, S::Error> {
    let own: Vec<String> = copy
        .own
        .iter()
        .map(|name| in_schema(copy.system(), name))
        .collect();
    let copy = &Copy { own: &own, ..*copy };
    let smoke_before = steps.smoke().await?;
    let (schema_before, shape) = (copy.schema().await?, copy.shape().await?);
    let before = copy.picture().await?;
    let sampler = match copy.system() {
        System::Postgres => Some(Sampler::start(copy.database).await?),
        System::MySql => None,
    };
    let since = Instant::now();
    let applied = steps.apply().await;
    let took = since.elapsed();
    let locks = match sampler {
        Some(sampler) => sampler.stop(&before).await,
        None => Vec::new(),
    };
    match applied? {
        Step::Done => {}
        Step::Blocked(said) => return Ok(Err(TrialError::Blocked(said))),
        Step::Failed(said) | Step::None(said) => return Ok(Err(TrialError::Failed(said))),
    }
    let schema_after = copy.schema().await?;
    let after = copy.picture().await?;
    let breaks = shape.breaks(&copy.shape().await?);
    let way_back = try_way_back(copy, steps, &schema_before, &before).await?;
    let again = match &way_back {
        WayBack::Made { .. } => apply_again(copy, steps, &schema_after).await?,
        WayBack::None(_) | WayBack::Failed(_) => {
            // Of several migrations a part may be gone, and the test needs them all.
            steps.apply().await?;
            Again::NotTried
        }
    };
    let is_applied = copy.schema().await? == schema_after;
    let smoke = match smoke_before {
        Step::None(_) => Smoke::None,
        Step::Failed(said) | Step::Blocked(said) => Smoke::FailsBefore(said),
        Step::Done if !is_applied => Smoke::NotRun,
        Step::Done => match steps.smoke().await? {
            Step::Done => Smoke::Passed,
            Step::Failed(said) | Step::Blocked(said) => Smoke::Failed(said),
            Step::None(_) => Smoke::None,
        },
    };
    let once_used = if again == Again::Same && matches!(smoke, Smoke::Passed | Smoke::Failed(_)) {
        once_used(copy, steps, &schema_before).await?
    } else {
        None
    };
    Ok(Ok(Trial {
        took,
        locks,
        rewrites: before.rewritten(&after),
        lost: before.lost(&after),
        breaks,
        smoke,
        way_back,
        again,
        once_used,
        before,
    }))
}

async fn try_way_back<S: Steps>(
    copy: &Copy<'_>,
    steps: &S,
    schema: &Schema,
    before: &Picture,
) -> Result<WayBack, S::Error> {
    Ok(match steps.undo().await? {
        Step::None(reason) => WayBack::None(reason),
        Step::Failed(said) | Step::Blocked(said) => WayBack::Failed(said),
        Step::Done => WayBack::Made {
            difference: schema.difference(&copy.schema().await?),
            not_back: before.not_back(&copy.picture().await?),
        },
    })
}

async fn apply_again<S: Steps>(
    copy: &Copy<'_>,
    steps: &S,
    after: &Schema,
) -> Result<Again, S::Error> {
    Ok(match steps.apply().await? {
        Step::Failed(said) | Step::Blocked(said) | Step::None(said) => Again::Failed(said),
        Step::Done => match after.difference(&copy.schema().await?) {
            Some(difference) => Again::Other(difference),
            None => Again::Same,
        },
    })
}

/// What is wrong with the way down once the test has written by the new schema.
async fn once_used<S: Steps>(
    copy: &Copy<'_>,
    steps: &S,
    before: &Schema,
) -> Result<Option<String>, S::Error> {
    Ok(match steps.undo().await? {
        Step::Done => before.difference(&copy.schema().await?),
        Step::Failed(said) | Step::Blocked(said) | Step::None(said) => Some(said),
    })
}

impl Copy<'_> {
    fn system(&self) -> System {
        self.database.address.system
    }

    async fn schema(&self) -> Result<Schema, dump::Error> {
        schema(self.database, self.own, self.programs, self.within).await
    }

    async fn picture(&self) -> Result<Picture, Unasked> {
        Picture::read(self.database, self.own, self.within).await
    }

    async fn shape(&self) -> Result<Shape, Unasked> {
        let mut connection = self.database.connect().await?;
        Shape::read(&mut connection, self.system()).await
    }
}
