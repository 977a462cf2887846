//! Paths as GitHub shows them.

use std::path::Path;

/// The path as GitHub uses it: from the repository's root.
pub(crate) fn in_repository(file: &Path, workspace: Option<&Path>) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let path = here.join(file);
    let inside = workspace.and_then(|root| path.strip_prefix(root).ok());
    inside.unwrap_or(file).display().to_string()
}
