//! What the flags of `init` ask for.

use std::path::PathBuf;

/// What the command line said.
pub(crate) struct Wishes {
    pub(super) kind: Option<String>,
    pub(super) service: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) url: Option<String>,
    pub(super) hosts: Vec<String>,
    pub(super) config: PathBuf,
    pub(super) workflow: PathBuf,
    pub(super) action: Option<String>,
    pub(super) bin_dir: Option<String>,
}
