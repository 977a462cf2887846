//! Whether a rollback could ever switch the configured target: known without touching anything, and
//! long before the emergency in which it would be found.

use std::time::Duration;

use config::file::{Config, HostList};
use futures_util::future::join_all;
use place::{Asking, Error, Place, Places};

/// How long a machine may take to be looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(15);

/// What was found at a place.
#[derive(Clone, Debug)]
pub struct Found {
    pub place: Place,
    /// The file, socket, unit or folder that was looked at.
    pub subject: String,
    pub fit: Fit,
}

#[derive(Clone, Debug)]
pub enum Fit {
    /// Nothing in the way is known; what was seen.
    Fits(String),
    /// As it is, it can never be switched.
    Never(SwitchObstacle),
    /// What would be switched is not on that machine, or not as a deployment may yet make it.
    Missing(SwitchObstacle),
    /// It could not be looked at; why.
    Unknown(Error),
}

/// Why nothing can be switched, and how it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchObstacle {
    pub reason: String,
    pub hint: String,
}

impl Found {
    /// What was looked at, and where.
    pub fn whole(&self) -> String {
        match &self.place {
            Place::Here => self.subject.clone(),
            Place::Host(host) => format!("{} on {host}", self.subject),
        }
    }
}

impl Fit {
    /// Why a rollback to any release would be refused.
    pub fn misfit(&self) -> Option<&SwitchObstacle> {
        match self {
            Fit::Never(misfit) | Fit::Missing(misfit) => Some(misfit),
            Fit::Fits(_) | Fit::Unknown(_) => None,
        }
    }
}

/// What is known of a target before it is used.
pub(crate) trait Fits {
    /// Where it is; `None` is this machine.
    fn hosts(&self) -> Option<&HostList>;

    /// What is looked at: a file, a socket, a unit or a folder.
    fn subject(&self) -> String;

    fn look<'a>(&'a self, places: &'a Places, place: &'a Place) -> Asking<'a, Fit>;
}

/// Looks at a target on each of its machines, side by side.
pub(crate) async fn look(target: &dyn Fits, config: &Config, places: &Places) -> Vec<Found> {
    let all = Place::all(target.hosts(), config);
    let asking = all.into_iter().map(|place| async {
        let fit = tokio::time::timeout(LOOK, target.look(places, &place)).await;
        let fit = match fit {
            Ok(fit) => fit.unwrap_or_else(Fit::Unknown),
            Err(_) => Fit::Unknown(Error::Late {
                what: "no answer",
                within: LOOK,
            }),
        };
        Found {
            fit,
            subject: target.subject(),
            place,
        }
    });
    join_all(asking).await
}
