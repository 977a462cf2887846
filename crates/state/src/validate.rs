//! Every problem of a state file, each with the place in it: what `rollback state validate` says.
//!
//! The form is that of the committed schema; a test compares it with the types.

use serde_json::Value;

use crate::document::{Document, JSON_SCHEMA, SCHEMA, Status};
use model::text::cut;

/// One problem, and where: a JSON pointer (RFC 6901), empty for the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub pointer: String,
    pub says: String,
}

/// More are not worth a person's time.
const MAX_PROBLEMS: usize = 50;

/// What is wrong with a state's bytes; nothing where it can be used.
pub fn problems(bytes: &[u8]) -> Vec<Finding> {
    let whole = |says: String| {
        vec![Finding {
            pointer: String::new(),
            says,
        }]
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return whole("it is empty".to_owned());
    }
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return whole(format!("it is not JSON: {error}")),
    };
    let schema = serde_json::from_str(JSON_SCHEMA).unwrap_or_default();
    let mut walk = Walk {
        root: &schema,
        found: Vec::new(),
    };
    if let Some(named) = value.get("schema").and_then(Value::as_str)
        && named != SCHEMA
    {
        walk.add_finding("/schema", format!("`{named}` is not `{SCHEMA}`"));
    }
    walk.value(&value, &schema, "");
    let mut found = walk.found;
    if found.is_empty() {
        match crate::parse::document(bytes) {
            Ok(document) => found = meaning(&document),
            Err(error) => return whole(error.to_string()),
        }
    }
    found.truncate(MAX_PROBLEMS);
    found
}

struct Walk<'a> {
    root: &'a Value,
    found: Vec<Finding>,
}

impl Walk<'_> {
    fn add_finding(&mut self, pointer: &str, says: String) {
        self.found.push(Finding {
            pointer: pointer.to_owned(),
            says,
        });
    }

    fn value(&mut self, value: &Value, schema: &Value, at: &str) {
        if let Some(name) = schema["$ref"].as_str() {
            let place = name.trim_start_matches('#');
            let named = self.root.pointer(place).cloned().unwrap_or_default();
            return self.value(value, &named, at);
        }
        for kind in ["anyOf", "oneOf"] {
            if let Some(choices) = schema[kind].as_array() {
                return self.choice(value, choices, at);
            }
        }
        if let Some(wanted) = schema.get("const").filter(|wanted| *wanted != value) {
            return self.add_finding(at, format!("{} is not {wanted}", render_value(value)));
        }
        if let Some(wanted) = schema["enum"].as_array().filter(|w| !w.contains(value)) {
            let wanted: Vec<String> = wanted.iter().map(Value::to_string).collect();
            let says = format!(
                "{} is not one of {}",
                render_value(value),
                wanted.join(", ")
            );
            return self.add_finding(at, says);
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::String(kind) => vec![kind],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !kinds.is_empty() && !kinds.iter().any(|kind| is(value, kind)) {
            let says = format!("{} is not {}", render_value(value), kinds.join(" or "));
            return self.add_finding(at, says);
        }
        if let Some(object) = value.as_object() {
            self.object(object, schema, at);
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.value(item, &schema["items"], &format!("{at}/{index}"));
        }
    }

    /// Of several forms the one that fits; otherwise the errors of the one that is not null.
    fn choice(&mut self, value: &Value, choices: &[Value], at: &str) {
        let mut nearest: Option<Vec<Finding>> = None;
        let constants = choices.iter().filter_map(|choice| choice.get("const"));
        let constants: Vec<String> = constants.map(Value::to_string).collect();
        for choice in choices {
            let mut walk = Walk {
                root: self.root,
                found: Vec::new(),
            };
            walk.value(value, choice, at);
            if walk.found.is_empty() {
                return;
            }
            if choice["type"] != "null" {
                nearest.get_or_insert(walk.found);
            }
        }
        if constants.len() > 1 {
            let says = format!(
                "{} is not one of {}",
                render_value(value),
                constants.join(", ")
            );
            return self.add_finding(at, says);
        }
        self.found.extend(nearest.unwrap_or_default());
    }

    fn object(&mut self, object: &serde_json::Map<String, Value>, schema: &Value, at: &str) {
        for name in schema["required"].as_array().into_iter().flatten() {
            if let Some(name) = name.as_str().filter(|name| !object.contains_key(*name)) {
                self.add_finding(&below(at, name), "it is missing".to_owned());
            }
        }
        for (name, value) in object {
            match schema["properties"].get(name) {
                Some(schema) => self.value(value, schema, &below(at, name)),
                None if schema["additionalProperties"] == false => {
                    self.add_finding(&below(at, name), "no such key is known".to_owned());
                }
                None => {}
            }
        }
    }
}

fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn render_value(value: &Value) -> String {
    cut(&value.to_string(), 60)
}

/// Values that every type allows but that make no sense.
fn meaning(document: &Document) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |pointer: String, says: String| found.push(Finding { pointer, says });
    let Document {
        schema: _,
        service: _,
        environment: _,
        generation: _,
        write: _,
        current,
        last_known_good,
        history,
        lock,
        last_token,
        frozen: _,
        rollout,
        old_side,
        database: _,
        backup: _,
        rehearsals: _,
        last_drill: _,
        rehearsed: _,
        rule: _,
    } = document;
    let mut first = std::collections::HashMap::new();
    for (index, entry) in history.iter().enumerate() {
        let at = |key: &str| format!("/history/{index}/{key}");
        let earlier = *first.entry(entry.release.as_str()).or_insert(index);
        if earlier < index {
            say(
                at("release"),
                format!("`{}` is at /history/{earlier} too", entry.release),
            );
        }
        if entry.release.is_empty() {
            say(at("release"), "it is empty".to_owned());
        }
        if entry
            .changed_at
            .is_some_and(|changed| changed < entry.deployed_at)
        {
            say(
                at("changed_at"),
                "it was changed before it was deployed".to_owned(),
            );
        }
        if index > 0 && history[index - 1].deployed_at < entry.deployed_at {
            say(
                at("deployed_at"),
                format!("it is newer than /history/{}", index - 1),
            );
        }
    }
    if let Some(current) = current
        && document.entry(current).is_none()
    {
        say(
            "/current".into(),
            format!("`{current}` is not in the history"),
        );
    }
    if let Some(good) = last_known_good {
        match document.status(good) {
            // Pending: it is being deployed again.
            Some(Status::Good | Status::Pending) => {}
            Some(status) => say(
                "/last_known_good".into(),
                format!("`{good}` is {} in the history", status.as_str()),
            ),
            None => say(
                "/last_known_good".into(),
                format!("`{good}` is not in the history"),
            ),
        }
    }
    if let Some(rollout) = rollout {
        if rollout.stable.as_ref() == Some(&rollout.release) {
            say(
                "/rollout/stable".into(),
                format!("`{}` would be compared with itself", rollout.release),
            );
        }
        if rollout.sides.is_empty() {
            say("/rollout/sides".into(), "it names no place".to_owned());
        }
    }
    if old_side.as_ref().is_some_and(|old| old.sides.is_empty()) {
        say("/old_side/sides".into(), "it names no place".to_owned());
    }
    if let Some(lock) = lock {
        if lock.token > *last_token {
            say(
                "/lock/token".into(),
                format!("{} is higher than `last_token`, {last_token}", lock.token),
            );
        }
        if lock.expires < lock.acquired {
            say("/lock/expires".into(), "it ends before it began".to_owned());
        }
    }
    found
}
