//! What the flags of `init` ask for.

use std::path::PathBuf;

/// What the command line said.
#[derive(Clone, Debug, Default)]
pub(crate) struct InitFlags {
    pub(super) kind: Option<String>,
    pub(super) service: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) url: Option<String>,
    pub(super) hosts: Vec<String>,
    /// The port of every host that does not name its own.
    pub(super) port: Option<u16>,
    /// Compose files, in their order.
    pub(super) files: Vec<String>,
    pub(super) config: PathBuf,
    /// The workflow to change, or the new one to write.
    pub(super) workflow: Option<PathBuf>,
    /// The job that deploys, by its id.
    pub(super) job: Option<String>,
    /// Add the steps to the workflow.
    pub(super) patch: bool,
    /// Write a workflow of its own.
    pub(super) new_workflow: bool,
    pub(super) action: Option<String>,
    pub(super) bin_dir: Option<String>,
}
