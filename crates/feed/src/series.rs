//! What the labels of a series tell.

use std::collections::BTreeMap;

pub(crate) type Labels = BTreeMap<String, String>;

/// The instance of a series; empty where it has no such label.
pub(crate) fn instance(labels: &Labels) -> &str {
    labels.get("instance").map_or("", String::as_str)
}

/// `{a="b",c="d"}`.
pub(crate) fn render_labels(labels: &Labels) -> String {
    let labels: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    model::text::excerpt(format!("{{{}}}", labels.join(",")).as_bytes())
}
