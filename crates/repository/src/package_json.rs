//! The scripts of `package.json`.

use crate::{Repository, joined};

/// A script of the `package.json` below a folder, with the lines before it, and that file's path.
pub fn package_script(
    repository: &Repository,
    below: &str,
    name: &str,
) -> Option<((String, usize), String)> {
    let path = joined(below, "package.json")?;
    let text = repository.text(&path)?;
    let json: serde_json::Value = serde_json::from_str(&text).ok()?;
    let script = json["scripts"][name].as_str()?.to_owned();
    let key = format!("\"{name}\"");
    let line = text.lines().position(|line| line.contains(&key))?;
    Some(((script, line), path))
}
