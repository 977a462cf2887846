//! What a router is to those that use it: which share each side has by its configuration, by what it
//! has loaded, and by what answers; and how the shares are set. One file per kind implements it; the
//! order, the journal, and whether answers prove a share are not a router's.

use std::time::Duration;

use config::value::{Side, Split};
use futures_util::future::join;
use model::release::Releases;
use place::{Error, Place, Standby, StepFuture};

/// What a router can do; it stays so while the router is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// How long after a change what was in force before may still answer.
    pub propagation_time: Duration,
    /// Whether [`Router::ask`] can be made as another user each time: where users stay on a side and
    /// this is false, answers prove nothing about a share.
    pub can_sample: bool,
}

/// What a change would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// In words: a fragment such as `set weight=9 of 127.0.0.1:8001 in /etc/nginx/shop.conf, reload`.
    pub does: String,
    /// What would be written, or sent, line by line; empty where it is there already.
    pub writes: Vec<String>,
    /// The split that the router can express, nearest to the one that was asked for.
    pub split: Split,
}

/// Requests that each side was given since the router began to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestCounts {
    pub blue: u64,
    pub green: u64,
}

impl RequestCounts {
    pub fn of(self, side: Side) -> u64 {
        match side {
            Side::Blue => self.blue,
            Side::Green => self.green,
        }
    }

    /// What came since `earlier`; `None` where the router began anew in between.
    pub fn since(self, earlier: RequestCounts) -> Option<RequestCounts> {
        Some(RequestCounts {
            blue: self.blue.checked_sub(earlier.blue)?,
            green: self.green.checked_sub(earlier.green)?,
        })
    }
}

/// What the router itself says about whether a side can take requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Up,
    /// Why it takes no requests, in words.
    Down(String),
}

/// Whether a router's configuration was read and is no split between the two sides; else the router or its
/// machine could not be asked.
pub fn leaves_no_split(error: &Error) -> bool {
    matches!(
        error.cause(),
        Error::Unfit(_)
            | Error::Missing(_)
            | Error::Contradicts(_)
            | Error::NoBackend(_)
            | Error::NoServer { .. }
    )
}

/// What a place has, where both can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splits {
    /// What the router would read when it starts again.
    pub configured: Split,
    /// What users get.
    pub in_use: Split,
}

impl Splits {
    /// # Errors
    /// Returns an error if either cannot be read, or is no split.
    pub async fn read(router: &dyn Router, place: &Place) -> Result<Splits, Error> {
        let reading = join(router.configured(place), router.loaded(place)).await;
        let (configured, loaded) = (reading.0?, reading.1?);
        Ok(Splits {
            configured,
            in_use: loaded.unwrap_or(configured),
        })
    }

    /// Why the side without requests may get them from a reload.
    pub fn disagreement(self, kind: &str) -> Option<String> {
        let Splits { configured, in_use } = self;
        (configured != in_use).then(|| {
            format!("{kind} uses {in_use}, and its configuration has {configured}: a restart would change it")
        })
    }
}

/// What divides the requests between two sides.
///
/// Only `set` and `restore` change anything, both safe to make twice. Different places are asked and
/// changed side by side.
pub trait Router {
    /// As the configuration calls it: `nginx`.
    fn kind(&self) -> &'static str;

    /// The releases that are known by name, and the rule by which an answer names one.
    fn releases(&self) -> &Releases;

    fn capabilities(&self) -> Capabilities;

    /// The machines that it runs on. A change is made at each of them.
    fn places(&self) -> &[Place];

    /// What is behind it: `127.0.0.1:8001`, a server's name, a target group's.
    fn name(&self, side: Side) -> String;

    /// What its configuration says, as it would read it when it starts again.
    fn configured<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Split>;

    /// What it uses now, by its own word; `None` where only answers tell that.
    fn loaded<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Option<Split>>;

    /// What users get: what it uses by its own word, or where only answers tell that, what its configuration says.
    fn in_use<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Split> {
        Box::pin(async move {
            match self.loaded(place).await? {
                Some(loaded) => Ok(loaded),
                None => self.configured(place).await,
            }
        })
    }

    /// Proves that the split can be set, and changes nothing.
    fn check<'a>(&'a self, place: &'a Place, split: Split) -> StepFuture<'a, Change>;

    /// What it takes to put back what is there now.
    fn snapshot<'a>(&'a self, place: &'a Place) -> StepFuture<'a, String>;

    /// Sets the split where it is kept, and makes the router use it. Its own checks count as a
    /// failure; whether it took effect is proved by who calls this.
    fn set<'a>(&'a self, place: &'a Place, split: Split) -> StepFuture<'a, ()>;

    /// Puts a snapshot back, and makes the router use it; what was done, in words.
    fn restore<'a>(&'a self, place: &'a Place, snapshot: &'a str) -> StepFuture<'a, String>;

    /// `None` where it counts no requests.
    fn counts<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Option<RequestCounts>> {
        let _ = place;
        Box::pin(async { Ok(None) })
    }

    /// The requests and connections that are open at a side; `None` where it cannot tell.
    fn open<'a>(&'a self, place: &'a Place, side: Side) -> StepFuture<'a, Option<u64>> {
        let _ = (place, side);
        Box::pin(async { Ok(None) })
    }

    /// Whether the router finds a side healthy; `None` where it does not look.
    fn health<'a>(&'a self, place: &'a Place, side: Side) -> StepFuture<'a, Option<Health>> {
        let _ = (place, side);
        Box::pin(async { Ok(None) })
    }

    /// The release that a side itself answers. `likely` is the release that it probably is: another
    /// name of it becomes that one.
    fn side_release<'a>(
        &'a self,
        place: &'a Place,
        side: Side,
        likely: &'a str,
    ) -> StepFuture<'a, String>;

    /// The release that answers one request through the router, as a user who is new to it.
    fn sample_release<'a>(&'a self, place: &'a Place, likely: &'a str) -> StepFuture<'a, String>;

    /// Where a side answers, for probes that go there and not through the router.
    fn standby<'a>(&'a self, place: &'a Place, side: Side) -> StepFuture<'a, Standby>;

    /// Of which requests a split at a place is not true, in words; `None` where it is of all.
    fn exception<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Option<String>> {
        let _ = place;
        Box::pin(async { Ok(None) })
    }

    /// What the router's own log or state says about a change that did not take effect; `None` where
    /// there is nothing to read.
    fn explain<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Option<String>> {
        let _ = place;
        Box::pin(async { Ok(None) })
    }
}
