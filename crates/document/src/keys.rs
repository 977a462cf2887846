//! The keys of a file, as its JSON Schema has them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use yaml::ENTRY;

/// A part of a JSON Schema.
#[derive(Clone, Copy)]
pub(crate) struct Part<'s> {
    root: &'s Value,
    part: &'s Value,
}

/// Deeper than any key is.
const MAX_DEPTH: usize = 8;

impl<'s> Part<'s> {
    pub(crate) fn root(root: &'s Value) -> Self {
        Part { root, part: root }
    }

    /// Behind references, and without the `null` of what may be left out.
    fn resolved(self) -> Self {
        let mut part = self.part;
        for _ in 0..MAX_DEPTH {
            let of = |name: &str| part.get(name).and_then(Value::as_array);
            let next = if let Some(name) = part["$ref"].as_str() {
                name.strip_prefix('#').and_then(|at| self.root.pointer(at))
            } else {
                let some = |one: &&Value| one["type"] != "null";
                let one = of("anyOf").and_then(|all| all.iter().find(some));
                one.filter(|_| part.get("properties").is_none())
            };
            match next {
                Some(next) => part = next,
                None => break,
            }
        }
        Part { part, ..self }
    }

    /// All of the file.
    pub(crate) fn whole(self) -> Self {
        Part::root(self.root)
    }

    /// What the schema calls it, where it has a form of its own.
    pub(crate) fn form(self) -> Option<&'s str> {
        let all = self.part.get("anyOf").and_then(Value::as_array);
        let mut parts = all.into_iter().flatten().chain([self.part]);
        let name = parts.find_map(|part| part["$ref"].as_str())?;
        name.strip_prefix("#/$defs/")
    }

    fn is(self, kind: &str) -> bool {
        let part = self.resolved().part;
        match &part["type"] {
            Value::String(one) => one == kind,
            Value::Array(all) => all.iter().filter(|one| *one != "null").eq([kind]),
            _ => false,
        }
    }

    pub(crate) fn is_mapping(self) -> bool {
        self.is("object")
    }

    pub(crate) fn is_list(self) -> bool {
        self.is("array")
    }

    /// Whether it is one value.
    pub(crate) fn is_value(self) -> bool {
        let one = |kind: &Value| {
            let kinds = ["string", "integer", "number", "boolean", "null"];
            kind.as_str().is_some_and(|kind| kinds.contains(&kind))
        };
        match &self.resolved().part["type"] {
            Value::Array(all) => all.iter().all(one),
            kind => one(kind),
        }
    }

    pub(crate) fn properties(self) -> Option<&'s Map<String, Value>> {
        self.resolved().part["properties"].as_object()
    }

    /// The keys that must be there.
    pub(crate) fn required(self) -> Vec<&'s str> {
        let names = self.resolved().part["required"].as_array();
        let names = names.into_iter().flatten();
        names.filter_map(Value::as_str).collect()
    }

    /// What is behind a key, or each entry of a list.
    pub(crate) fn below(self, key: &str) -> Option<Self> {
        let of = self.resolved();
        let part = if key == ENTRY && of.is_list() {
            of.part.get("items")
        } else {
            let named = of.properties().and_then(|all| all.get(key));
            named.or_else(|| of.named())
        };
        part.map(|part| Part { part, ..self })
    }

    /// A key of this part that is written without its colon, and its value: `status 200`.
    pub(crate) fn split(self, written: &str) -> Option<(&str, &str)> {
        let (key, value) = written.split_once(char::is_whitespace)?;
        let is_known = self.properties()?.contains_key(key);
        is_known.then(|| (key, value.trim_start()))
    }

    /// What each value of a mapping is whose keys are names.
    fn named(self) -> Option<&'s Value> {
        let part = self.resolved().part;
        part.get("additionalProperties").filter(|of| of.is_object())
    }

    pub(crate) fn at(self, path: &[&str]) -> Option<Self> {
        path.iter().try_fold(self, |part, key| part.below(key))
    }

    /// The first sentence about it.
    pub(crate) fn about(self) -> Option<&'s str> {
        let of = |part: &'s Value| part["description"].as_str();
        let text = of(self.part).or_else(|| of(self.resolved().part))?;
        let end = text.find(". ").or_else(|| text.find(".\n"));
        Some(text[..end.unwrap_or(text.len())].trim_end_matches('.'))
    }

    /// How it is written, with what must be there.
    pub(crate) fn example(self) -> String {
        if self.is_list() {
            let of = self.below(ENTRY).map(Part::example);
            return format!("[{}]", of.unwrap_or_else(|| "…".to_owned()));
        }
        if !self.is_mapping() {
            return "…".to_owned();
        }
        let required = self.required();
        let of = |key: &&str| {
            let example = self.below(key).map(Part::example);
            format!("{key}: {}", example.unwrap_or_else(|| "…".to_owned()))
        };
        let keys: Vec<String> = required.iter().map(of).collect();
        match self.named() {
            _ if !keys.is_empty() => format!("{{ {} }}", keys.join(", ")),
            Some(part) => format!("{{ NAME: {} }}", Part { part, ..self }.example()),
            None => "{ … }".to_owned(),
        }
    }

    /// Every path that a key of this name stands below, without the entries of lists.
    pub(crate) fn parents_of(self, key: &str) -> Vec<Vec<&'s str>> {
        let mut found = Vec::new();
        self.search(key, &mut Vec::new(), &mut found);
        found
    }

    /// The names of all keys.
    pub(crate) fn names(self) -> BTreeSet<&'s str> {
        let mut found = BTreeSet::new();
        let mut parts = vec![self.part];
        while let Some(part) = parts.pop() {
            let properties = part.get("properties").and_then(Value::as_object);
            found.extend(
                properties
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| key.as_str()),
            );
            match part {
                Value::Object(all) => parts.extend(all.values()),
                Value::Array(all) => parts.extend(all),
                _ => {}
            }
        }
        found
    }

    fn search(self, key: &str, path: &mut Vec<&'s str>, found: &mut Vec<Vec<&'s str>>) {
        if path.len() > MAX_DEPTH {
            return;
        }
        if let Some(entry) = self.below(ENTRY).filter(|_| self.is_list()) {
            return entry.search(key, path, found);
        }
        if let Some(properties) = self.properties() {
            if properties.contains_key(key) {
                found.push(path.clone());
            }
            for (name, part) in properties {
                path.push(name);
                Part { part, ..self }.search(key, path, found);
                path.pop();
            }
        } else if let Some(part) = self.named() {
            path.push("NAME");
            Part { part, ..self }.search(key, path, found);
            path.pop();
        }
    }
}
