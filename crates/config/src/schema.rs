//! The JSON Schema that editors read: what the reader checks, as far as such a schema can say it.
//!
//! The types give its shape. What is added here holds for every key alike: a `${NAME}` in the place of
//! a value, text that looks like a number, a section that is empty, a part that differs in an
//! environment.

use std::collections::BTreeSet;

use schemars::Schema;
use serde_json::{Map, Value, json};

use crate::check::VERSION;
use crate::file::{Config, Migrate, Rollback, Traffic};

/// Where the schema of this major version is published: editors read it by this URL.
pub const SCHEMA_URL: &str =
    "https://raw.githubusercontent.com/org/deploy-guard/v1/schema/deploy-guard.schema.json";

/// A text with a variable in it.
const VARIABLE: &str = r"\$\{[A-Za-z_]";
const DEFS: &str = "#/$defs/";
/// What an environment has of a section: the same keys, of which none must be there.
const PARTIAL: &str = "Partial";

/// The shape of the file, as its types have it: the reference is written from this.
pub fn schema() -> Schema {
    schemars::schema_for!(Config)
}

/// The schema of the file.
pub fn file_schema() -> Schema {
    let mut schema = schema().to_value();
    for (section, kinds) in [
        ("Rollback", owned(Rollback::TARGETS)),
        ("Traffic", owned(Traffic::ROUTERS)),
        ("Migrate", Migrate::tool_keys()),
    ] {
        let one = kinds.iter().map(|key| json!({"required": [key]}));
        schema["$defs"][section]["oneOf"] = one.collect();
    }
    environments(&mut schema);
    let root = schema.clone();
    refine(&mut schema, &root, false);
    schema["$id"] = SCHEMA_URL.into();
    schema["title"] = "deploy-guard.yml".into();
    schema["description"] = "The configuration of deploy-guard.".into();
    schema["properties"]["version"] =
        json!({"description": "Version of this file's format: 1.", "const": VERSION});
    schema["patternProperties"] =
        json!({"^x-": {"description": "A place for anchors; nothing reads it."}});
    Schema::try_from(schema).unwrap_or_default()
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// Makes a part of the schema say what the reader accepts there. `is_partial`: in an environment, in
/// which `null` takes away what the rest of the file has.
fn refine(part: &mut Value, root: &Value, is_partial: bool) {
    match part {
        Value::Array(all) => all.iter_mut().for_each(|one| refine(one, root, is_partial)),
        Value::Object(keys) => {
            if !is_partial {
                filled(keys, root);
            }
            if with_variables(keys) {
                return;
            }
            for (key, below) in keys.iter_mut() {
                match key.as_str() {
                    "default" | "examples" | "required" | "const" | "enum" | "pattern" => {}
                    "$defs" => {
                        for (name, of) in below.as_object_mut().into_iter().flatten() {
                            refine(of, root, name.starts_with(PARTIAL));
                        }
                    }
                    "properties" => {
                        for of in below.as_object_mut().into_iter().flatten() {
                            refine(of.1, root, is_partial);
                        }
                    }
                    _ => refine(below, root, is_partial),
                }
            }
        }
        _ => {}
    }
}

/// A section or a list is not empty, so not `null`.
fn filled(keys: &mut Map<String, Value>, root: &Value) {
    let is_null = |one: &Value| one["type"] == "null";
    if let Some(Value::Array(all)) = keys.get("anyOf")
        && let [one, null] = all.as_slice()
        && is_null(null)
        && is_container(one, root)
    {
        let one = one.as_object().cloned().unwrap_or_default();
        keys.remove("anyOf");
        keys.extend(one);
    }
    if let Some(Value::Array(kinds)) = keys.get("type")
        && let [kind, null] = kinds.as_slice()
        && null == "null"
        && (kind == "array" || kind == "object")
    {
        let kind = kind.clone();
        keys.insert("type".to_owned(), kind);
    }
}

fn is_container(part: &Value, root: &Value) -> bool {
    let named = part["$ref"]
        .as_str()
        .and_then(|name| name.strip_prefix('#'));
    let part = named.and_then(|at| root.pointer(at)).unwrap_or(part);
    part["type"] == "object" || part["type"] == "array"
}

/// A variable may stand in the place of each value, and text may look like a number. Whether these are
/// words, below which nothing is left to say.
fn with_variables(keys: &mut Map<String, Value>) -> bool {
    let kinds: BTreeSet<String> = match keys.get("type") {
        Some(Value::String(one)) => BTreeSet::from([one.clone()]),
        Some(Value::Array(all)) => all
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => BTreeSet::new(),
    };
    let has = |kind: &str| kinds.contains(kind);
    let variable = json!({"type": "string", "pattern": VARIABLE});
    if let Some(Value::Array(words)) = keys.get("oneOf")
        && words.iter().all(|word| word["const"].is_string())
    {
        let mut words = words.clone();
        words.push(variable);
        keys.remove("oneOf");
        keys.insert("anyOf".to_owned(), Value::Array(words));
        return true;
    } else if let Some(words) = keys.remove("enum") {
        keys.remove("type");
        keys.insert("anyOf".to_owned(), json!([{"enum": words}, variable]));
        return true;
    } else if has("string") {
        if let Some(Value::String(pattern)) = keys.get("pattern") {
            if pattern == VARIABLE {
                return true;
            }
            let pattern = format!("(?:{pattern})|{VARIABLE}");
            keys.insert("pattern".to_owned(), pattern.into());
        } else if !keys.contains_key("const") {
            let all = kinds.iter().map(String::as_str);
            let all: BTreeSet<&str> = all.chain(["number", "boolean"]).collect();
            keys.insert("type".to_owned(), json!(all));
        }
    } else if ["integer", "number", "boolean"]
        .iter()
        .any(|kind| has(kind))
    {
        let all: BTreeSet<&str> = kinds.iter().map(String::as_str).chain(["string"]).collect();
        keys.insert("type".to_owned(), json!(all));
        keys.insert("pattern".to_owned(), VARIABLE.into());
    }
    false
}

/// What an environment may have: each section, with no key that must be there.
fn environments(schema: &mut Value) {
    let root = schema.clone();
    let mut partial = Partial {
        root: &root,
        made: Map::new(),
    };
    let mut all = partial.of(&root);
    if let Some(keys) = all.as_object_mut() {
        for key in ["$defs", "$schema", "title"] {
            keys.remove(key);
        }
    }
    if let Some(keys) = all["properties"].as_object_mut() {
        keys.remove("environments");
    }
    all["type"] = json!(["object", "null"]);
    all["description"] = root["$defs"]["Overlay"]["description"].clone();
    schema["$defs"]["Overlay"] = Value::Null;
    if let Some(defs) = schema["$defs"].as_object_mut() {
        defs.remove("Overlay");
        defs.extend(partial.made);
        defs.insert(format!("{PARTIAL}Config"), all);
    }
    schema["properties"]["environments"]["additionalProperties"] =
        json!({"$ref": format!("{DEFS}{PARTIAL}Config")});
}

/// Types of which no key must be there. An entry of a list is whole: lists are replaced.
struct Partial<'r> {
    root: &'r Value,
    made: Map<String, Value>,
}

impl Partial<'_> {
    fn of(&mut self, part: &Value) -> Value {
        match part {
            Value::Array(all) => all.iter().map(|one| self.of(one)).collect(),
            Value::Object(keys) => {
                let mut made = Map::new();
                for (key, below) in keys {
                    let below = match key.as_str() {
                        "required" | "oneOf" if keys.contains_key("properties") => continue,
                        "$ref" => self.reference(below),
                        "properties" => {
                            let all = below.as_object().into_iter().flatten();
                            let all = all.map(|(name, of)| (name.clone(), self.of(of)));
                            Value::Object(all.collect())
                        }
                        "anyOf" | "additionalProperties" => self.of(below),
                        _ => below.clone(),
                    };
                    made.insert(key.clone(), below);
                }
                Value::Object(made)
            }
            other => other.clone(),
        }
    }

    fn reference(&mut self, name: &Value) -> Value {
        let of = name.as_str().and_then(|name| name.strip_prefix(DEFS));
        let Some(name) = of else { return name.clone() };
        let part = &self.root["$defs"][name];
        if part["properties"].is_null() {
            return format!("{DEFS}{name}").into();
        }
        let own = format!("{PARTIAL}{name}");
        if !self.made.contains_key(&own) {
            self.made.insert(own.clone(), Value::Null);
            let made = self.of(part);
            self.made.insert(own.clone(), made);
        }
        format!("{DEFS}{own}").into()
    }
}
