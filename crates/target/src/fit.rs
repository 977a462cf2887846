//! Whether a rollback could ever switch the configured target: known without touching anything, and
//! long before the emergency in which it would be found.

use std::time::Duration;

use config::file::{Config, HostList};
use futures_util::future::join_all;
use model::HintedError;
use place::{Error, Place, PlaceAccess, StepFuture};

/// How long a machine may take to be looked at.
pub(crate) const CHECK_TIMEOUT: Duration = Duration::from_secs(15);

/// What was found at a place.
#[derive(Clone, Debug)]
pub struct FitReport {
    pub place: Place,
    /// The file, socket, unit or folder that was looked at.
    pub subject: String,
    pub fit: Switchability,
}

#[derive(Clone, Debug)]
pub enum Switchability {
    /// Nothing in the way is known; what was seen.
    Fits(String),
    /// As it is, it can never be switched.
    Never(HintedError),
    /// What would be switched is not on that machine, or not as a deployment may yet make it.
    Missing(HintedError),
    /// It could not be looked at; why.
    Unknown(Error),
}

impl FitReport {
    /// What was looked at, and where.
    pub fn full_subject(&self) -> String {
        match &self.place {
            Place::Here => self.subject.clone(),
            Place::Host(host) => format!("{} on {host}", self.subject),
        }
    }
}

impl Switchability {
    /// Why a rollback to any release would be refused.
    pub fn misfit(&self) -> Option<&HintedError> {
        match self {
            Switchability::Never(misfit) | Switchability::Missing(misfit) => Some(misfit),
            Switchability::Fits(_) | Switchability::Unknown(_) => None,
        }
    }
}

/// What is known of a target before it is used.
pub(crate) trait CheckFit {
    /// Where it is; `None` is this machine.
    fn hosts(&self) -> Option<&HostList>;

    /// What is looked at: a file, a socket, a unit or a folder.
    fn subject(&self) -> String;

    fn check_fit<'a>(
        &'a self,
        places: &'a PlaceAccess,
        place: &'a Place,
    ) -> StepFuture<'a, Switchability>;
}

/// Looks at a target on each of its machines, side by side.
pub(crate) async fn check_each_machine(
    target: &dyn CheckFit,
    config: &Config,
    places: &PlaceAccess,
) -> Vec<FitReport> {
    let all = Place::from_hosts(target.hosts(), config);
    let asking = all.into_iter().map(|place| async {
        let fit = tokio::time::timeout(CHECK_TIMEOUT, target.check_fit(places, &place)).await;
        let fit = match fit {
            Ok(fit) => fit.unwrap_or_else(Switchability::Unknown),
            Err(_) => Switchability::Unknown(Error::Late {
                what: "no answer",
                within: CHECK_TIMEOUT,
            }),
        };
        FitReport {
            fit,
            subject: target.subject(),
            place,
        }
    });
    join_all(asking).await
}
