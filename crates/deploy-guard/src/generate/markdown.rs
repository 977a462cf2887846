//! A type of the configuration as Markdown.

use std::fmt::Write as _;

use serde_json::Value;

pub(super) fn table(page: &mut String, name: &str, of: &Value) {
    let _ = writeln!(page, "## {name}\n");
    if let Some(text) = of["description"].as_str() {
        let _ = writeln!(page, "{text}\n");
    }
    page.push_str("| key | type | |\n|---|---|---|\n");
    let required: Vec<&str> = of["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (key, value) in of["properties"].as_object().into_iter().flatten() {
        let must = if required.contains(&key.as_str()) {
            " **required**"
        } else {
            ""
        };
        let text = value["description"]
            .as_str()
            .unwrap_or_default()
            .replace('\n', " ")
            .replace('|', "\\|");
        let _ = writeln!(page, "| `{key}` | {} | {text}{must} |", kind(value));
    }
    page.push('\n');
}

/// A type that is one of some words, or a text of a certain form.
pub(super) fn write_enum(page: &mut String, name: &str, of: &Value) {
    let _ = writeln!(page, "## {name}\n");
    if let Some(text) = of["description"].as_str() {
        let _ = writeln!(page, "{text}\n");
    }
    let listed = of["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|word| (word, ""));
    let described = of["oneOf"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|one| {
            let text = one["description"].as_str().unwrap_or_default();
            let many = one["enum"].as_array().into_iter().flatten();
            one.get("const")
                .into_iter()
                .chain(many)
                .map(move |word| (word, text))
        });
    let all: Vec<_> = listed.chain(described).collect();
    for (word, text) in &all {
        let line = format!(
            "- `{}` {}",
            word.as_str().unwrap_or_default(),
            text.replace('\n', " ")
        );
        let _ = writeln!(page, "{}", line.trim_end());
    }
    if !all.is_empty() {
        page.push('\n');
    }
}

fn kind(of: &Value) -> String {
    if let Some(name) = of["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(one) = of["anyOf"].as_array().and_then(|all| all.first()) {
        return kind(one);
    }
    let of_type = match &of["type"] {
        Value::String(text) => text.as_str(),
        Value::Array(all) => all
            .iter()
            .filter_map(Value::as_str)
            .find(|text| *text != "null")
            .unwrap_or(""),
        _ => "",
    };
    match of_type {
        "array" => format!("list of {}", kind(&of["items"])),
        "object" if of["additionalProperties"].is_object() => {
            format!("mapping to {}", kind(&of["additionalProperties"]))
        }
        "string" => "text".to_owned(),
        "object" => "mapping".to_owned(),
        other => other.to_owned(),
    }
}
