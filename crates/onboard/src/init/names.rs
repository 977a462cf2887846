//! What the service is called, by the repository or the folder.

use std::path::Path;

use super::answers::service_name;

/// A name that a person would give; in a monorepo the folder says more than the repository.
pub(super) fn service(root: &Path, below: &Path, origin: Option<&str>) -> String {
    let folder = if below.as_os_str().is_empty() {
        root
    } else {
        below
    };
    let folder = folder.file_name().and_then(|name| name.to_str());
    let origin = origin
        .and_then(|origin| origin.rsplit('/').next())
        .filter(|_| below.as_os_str().is_empty());
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name: String = origin
        .or(folder)
        .unwrap_or_default()
        .chars()
        .map(|c| if plain(c) { c } else { '-' })
        .collect();
    let name = name.trim_matches(['-', '.', '_']);
    if service_name(name).is_ok() {
        name.to_owned()
    } else {
        "service".to_owned()
    }
}
