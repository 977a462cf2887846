//! A deployment by Compose, and what is known of it so far.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use config::file::ComposeTarget;
use model::release::Releases;
use state::Entry;
use tools::compose_config::Project;

use super::container::ProjectContainers;
use super::program::Program;
use place::{Machines, Place};

/// What is only looked at is there soon; an image may be asked of a registry.
pub(super) const QUERY_TIMEOUT: Duration = Duration::from_mins(1);
/// The places in an image.
pub(super) const RELEASE: &str = "{release}";
pub(crate) struct Compose<'a> {
    pub(super) config: &'a ComposeTarget,
    pub(super) machines: Machines<'a>,
    /// What the state contains about each release.
    pub(super) known: Vec<Entry>,
    /// What a label is called by.
    pub(super) names: Releases,
    /// What was found out of each place; it stays so while we are here.
    pub(super) programs: RefCell<BTreeMap<Place, Program>>,
    pub(super) resolved: RefCell<BTreeMap<(Place, String), Resolved>>,
    /// The last look at each place, until something is changed there.
    pub(super) looked: RefCell<BTreeMap<Place, (Instant, ProjectContainers)>>,
    /// The images that were seen to be at a place.
    pub(super) here: RefCell<BTreeSet<(Place, String)>>,
}

/// The project as Compose resolves it for a release, and what it warned of.
#[derive(Clone, Debug, Default)]
pub(super) struct Resolved {
    pub(super) project: Project,
    pub(super) warnings: Vec<String>,
}

/// The services that a step touches.
#[derive(Clone, Debug, Default)]
pub(super) struct AffectedServices {
    /// Those that get another image, or whose containers are not well.
    pub(super) services: BTreeSet<String>,
    /// Those that live in their containers, and stay behind in what is gone if they are not made
    /// again: those of a container after it.
    pub(super) after: Vec<String>,
}
