//! What nothing reads of a file: the values of keys that are not known.
//!
//! Nobody can say of such a value whether it is a secret: `pass: …`, `value: …` and `default: …` are
//! what other tools call one. An error about the key does not need it.

use serde_json::Value;
use yaml::{ENTRY, Node, Place, nearest};

use crate::advice::new_name;
use crate::keys::Part;
use crate::naming::{holds_secret, is_count};
use crate::secrets::names_its_source;

/// Where the values are that nothing reads, by the schema of the file.
pub(crate) fn places(tree: &Node, schema: &Value) -> Vec<Place> {
    let root = Part::root(schema);
    let mut found = Vec::new();
    for (key, value) in tree.entries() {
        match (key.name.as_str(), root.below(&key.name)) {
            ("environments", _) => {
                for (_, part) in value.entries() {
                    below(part, root, &mut found);
                }
            }
            (name, None) if name.starts_with("x-") => {}
            (_, Some(part)) => below(value, part, &mut found),
            (name, None) => unread(name, value, root, &mut found),
        }
    }
    found
}

fn below(node: &Node, part: Part<'_>, found: &mut Vec<Place>) {
    for item in node.items() {
        if let Some(entry) = part.below(ENTRY) {
            below(item, entry, found);
        }
    }
    for (key, value) in node.entries() {
        // `{ X-Key abc }`: without its colon, the value is a part of the key.
        let has_value = value.children() > 0 || value.text().is_some_and(|text| !text.is_empty());
        if !has_value && key.name.contains(char::is_whitespace) {
            let known = part.split(&key.name);
            let known = known.filter(|(known, _)| !holds_secret(known));
            let is_plain = key.place.len() == key.name.len();
            match known.filter(|_| is_plain) {
                Some((_, value)) if is_count(value) => {}
                Some((_, value)) => found.push(key.place.end - value.len()..key.place.end),
                None => found.push(key.place.clone()),
            }
        }
        match part.below(&key.name) {
            Some(part) => below(value, part, found),
            None => unread(&key.name, value, part, found),
        }
    }
}

/// The values below a key that is not known. That of an old name, or of a slip, is what the known key's value is.
fn unread(name: &str, value: &Node, beside: Part<'_>, found: &mut Vec<Place>) {
    let Some(known) = beside.properties() else {
        return;
    };
    let known: Vec<&str> = known.keys().map(String::as_str).collect();
    // Where an address or a key is taken from a variable, what is written out is a secret.
    let names_variables = known.iter().any(|key| key.ends_with("-env"));
    let near = nearest(name, &known).filter(|near| !holds_secret(near) && !near.ends_with("-env"));
    match new_name(name, &known)
        .or(near)
        .and_then(|near| beside.below(near))
    {
        Some(part) => below(value, part, found),
        // Under its own parent, the value would be shown.
        None if value.text().is_some() && !names_variables && is_known_elsewhere(name, beside) => {}
        None => scalars(value, found),
    }
}

fn is_known_elsewhere(name: &str, beside: Part<'_>) -> bool {
    let is_secret = holds_secret(name) || name.ends_with("-env") || name == "value";
    !is_secret && beside.whole().names().contains(name)
}

fn scalars(node: &Node, found: &mut Vec<Place>) {
    let values = node.entries().iter().map(|(_, value)| value);
    for child in node.items().iter().chain(values) {
        scalars(child, found);
    }
    let text = node.text().filter(|text| !names_its_source(text));
    if text.is_some_and(|text| !text.trim().is_empty() && !is_count(text)) {
        found.push(node.place.clone());
    }
}
