//! A task definition of Amazon ECS.

use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) path: String,
    pub(crate) family: String,
    /// The container that a release changes.
    pub(crate) container: String,
    /// Its image without the tag.
    pub(crate) image: String,
}

/// `None` if it is not a task definition, or if only an account can interpret it.
pub(super) fn read(path: String, json: &Value) -> Option<Task> {
    let containers = json["containerDefinitions"].as_array()?;
    let essential = containers
        .iter()
        .find(|one| one["essential"] != Value::Bool(false))?;
    let family = json["family"].as_str()?;
    let container = essential["name"].as_str()?;
    let image = essential["image"].as_str().unwrap_or_default();
    let (image, _) = survey::compose::split_tag(image);
    let good = |text: &str, others: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.len() <= 255
            && text.chars().all(plain)
    };
    if !good(family, "_-") || !good(container, "_-") {
        return None;
    }
    Some(Task {
        path,
        family: family.to_owned(),
        container: container.to_owned(),
        image: if good(image, "._-/:") {
            image.to_owned()
        } else {
            String::new()
        },
    })
}
