//! Where a tool is called.

use std::path::Path;
use std::time::Duration;

use place::{Place, Places};

/// Where the tool is called and its files are.
#[derive(Clone, Copy, Debug)]
pub struct Where<'a> {
    /// Those of a container, where the tool runs inside one.
    pub places: &'a Places,
    pub place: &'a Place,
    /// Default: where commands begin there.
    pub folder: Option<&'a Path>,
    /// How long each question may take.
    pub timeout: Duration,
}
