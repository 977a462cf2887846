//! Where a tool is called.

use std::path::Path;
use std::time::Duration;

use place::{Place, PlaceAccess};

/// Where the tool is called and its files are.
#[derive(Clone, Copy, Debug)]
pub struct ToolSite<'a> {
    /// Those of a container, where the tool runs inside one.
    pub places: &'a PlaceAccess,
    pub place: &'a Place,
    /// Default: where commands begin there.
    pub folder: Option<&'a Path>,
    /// How long each question may take.
    pub timeout: Duration,
}
