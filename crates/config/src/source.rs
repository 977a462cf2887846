//! What a configuration was made of.

use std::path::PathBuf;

use inventory::Inventory;
use model::Env;
use yaml::Node;

/// The file with its environment merged, before its variables are replaced.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) tree: Node,
    pub(crate) env: Env,
    /// What `hosts-from` has given.
    pub(crate) inventory: Option<Inventory>,
    /// As a person would type it.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}
