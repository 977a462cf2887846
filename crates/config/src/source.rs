//! What a configuration was made of.

use document::Document;
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
    pub(crate) document: Document,
}
