//! A page for each kind of check, probe, target and pool: what it is, its keys, an example. And one
//! for each section: the kinds that it has, and its other keys.

use std::fmt::Write as _;

use serde_json::Value;

use super::markdown::{table, write_enum};

/// A section that has kinds of something.
#[derive(Clone, Copy)]
pub struct Section {
    /// Also the name of its stage.
    key: &'static str,
    type_name: &'static str,
    /// Where its types are.
    source: &'static str,
    /// Whether a type, by its name, is that of a kind.
    is_kind: fn(name: &str, of: &Value) -> bool,
    index: &'static str,
    /// How one kind is asked, or what to read beside its page.
    about: &'static str,
}

pub const PREFLIGHT: Section = Section {
    key: "preflight",
    type_name: "Preflight",
    source: "crates/config/src/file/preflight",
    is_kind: |_, of| of["properties"]["weight"].is_object(),
    index: "# The checks of preflight\n\n\
            `preflight list` shows which of them your configuration has, and the permissions they need.\n\n",
    about: "Outcomes are called `KIND/NAME`: `preflight --only KIND`, `preflight --skip KIND/NAME`.",
};

pub const RUNNER_CHECK: Section = Section {
    key: "runner-check",
    type_name: "RunnerCheck",
    source: "crates/sections/src/runner_check.rs",
    is_kind: |name, _| matches!(name, "Pool" | "Emergency"),
    index: "# The pools of runner-check\n\n\
            How they are judged, and by which evidence: [runners](../../guide/runners.md).\n\n",
    about: "A pool's outcome is called `pool/NAME`: `runner-check --only pool/NAME`. How it is judged: \
            [runners](../../guide/runners.md).",
};

pub const HEALTHGATE: Section = Section {
    key: "healthgate",
    type_name: "Healthgate",
    source: "crates/config/src/file/healthgate",
    is_kind: |_, of| of["properties"]["policy"].is_object(),
    index: "# The probes of healthgate\n\n\
            `healthgate --dry-run` shows which of them your configuration has.\n\n",
    about: "Outcomes are called `KIND/NAME`: `healthgate --only KIND`, `healthgate --skip KIND/NAME`.",
};

pub const ROLLBACK: Section = Section {
    key: "rollback",
    type_name: "Rollback",
    source: "crates/config/src/file/rollback",
    is_kind: |name, _| name.ends_with("Target"),
    index: "# The targets of rollback\n\n\
            Exactly one of them. How each proves that its switch was made: [targets](../../guide/targets.md).\n\n",
    about: "`rollback plan` shows what it would do. What is proved, and what the user needs on a host: \
            [targets](../../guide/targets.md#KIND).",
};

pub const TRAFFIC: Section = Section {
    key: "traffic",
    type_name: "Traffic",
    source: "crates/config/src/file/traffic",
    is_kind: |name, _| name.ends_with("Router") || name.ends_with("Target"),
    index: "# The routers of traffic\n\n\
            Exactly one of them. What each can prove, and what it does to users who stay on a side: \
            [traffic](../../guide/traffic.md).\n\n",
    about: "`traffic plan` shows what it would do. What is proved, and what the user needs on a host: \
            [traffic](../../guide/traffic.md#KIND).",
};

pub const INCIDENT: Section = Section {
    key: "incident",
    type_name: "Incident",
    source: "crates/sections/src/incident",
    is_kind: |name, _| name.ends_with("Sink"),
    index: "# The sinks of incident\n\n\
            Sinks receive the events of an incident. What each one sends, its \
            limits and permissions: [incident](../../guide/incident.md).\n\n",
    about: "What is sent, its limits and permissions: [incident](../../guide/incident.md#KIND).",
};

pub const SECTIONS: [Section; 6] = [
    PREFLIGHT,
    RUNNER_CHECK,
    HEALTHGATE,
    ROLLBACK,
    TRAFFIC,
    INCIDENT,
];

impl Section {
    /// The example of one of its kinds: a path below the repository's root.
    pub fn example(self, kind: &str) -> String {
        format!("examples/{}/{kind}.yml", self.key)
    }
}

/// The pages: path below the repository's root, and text.
pub(super) fn pages(schema: &Value) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for section in SECTIONS {
        let folder = format!("docs/reference/{}", section.key);
        for (key, of) in kinds(schema, section) {
            files.push((format!("{folder}/{key}.md"), page(schema, section, key, of)));
        }
        files.push((format!("{folder}/README.md"), index(schema, section)));
    }
    files
}

/// A section's own page: its kinds, then its other keys.
fn index(schema: &Value, section: Section) -> String {
    let mut page = section.index.to_owned();
    let mut rest = schema["$defs"][section.type_name].clone();
    let mut seen = vec![section.type_name.to_owned()];
    for (key, of) in kinds(schema, section) {
        let about = of["description"].as_str().unwrap_or_default();
        let _ = writeln!(page, "- [`{key}`]({key}.md): {}", about.replace('\n', " "));
        if let Some(keys) = rest["properties"].as_object_mut() {
            keys.remove(key);
        }
    }
    page.push('\n');
    table(&mut page, "The other keys", &rest);
    parts(&mut page, schema, &rest, &mut seen);
    finished(&page, section)
}

/// With the note below its title that says where the page comes from.
fn finished(page: &str, section: Section) -> String {
    let note = format!(
        "\n\n<!-- Generated by `cargo xtask generate` from the types in {}. -->\n\n",
        section.source
    );
    // Links of the one long page lead nowhere here.
    let mut page = page
        .replacen("\n\n", &note, 1)
        .replace("](#", "](../configuration.md#");
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// The kinds in a section, by key.
pub fn kinds(schema: &Value, section: Section) -> impl Iterator<Item = (&String, &Value)> {
    schema["$defs"][section.type_name]["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(move |(_, of)| {
            let of = item(of);
            name(of)
                .zip(definition(schema, of))
                .is_some_and(|(name, of)| (section.is_kind)(name, of))
        })
}

/// The type of a key that holds a list of checks, or the one check of its kind.
fn item(of: &Value) -> &Value {
    match (&of["items"], &of["anyOf"][0]) {
        (Value::Null, Value::Null) => of,
        (Value::Null, one) => one,
        (items, _) => items,
    }
}

fn page(schema: &Value, section: Section, key: &str, of: &Value) -> String {
    let text = of["description"].as_str().unwrap_or_default();
    let stage = section.key;
    let example = section.example(key);
    let about = section.about.replace("KIND", key);
    let mut page = format!(
        "# {stage}: {key}\n\n{text}\n\nAn example: [{example}](../../../{example}). {about}\n\n"
    );
    describe(&mut page, schema, item(of), &mut Vec::new());
    finished(&page, section)
}

/// A type's table, then those of the types that it names.
fn describe(page: &mut String, schema: &Value, of: &Value, seen: &mut Vec<String>) {
    let Some(name) = name(of) else { return };
    let Some(of) = definition(schema, of) else {
        return;
    };
    if seen.iter().any(|other| other == name) {
        return;
    }
    seen.push(name.to_owned());
    if !of["properties"].is_object() {
        write_enum(page, name, of);
        return;
    }
    table(page, name, of);
    parts(page, schema, of, seen);
}

/// The types that a type's keys name.
fn parts(page: &mut String, schema: &Value, of: &Value, seen: &mut Vec<String>) {
    for (_, value) in of["properties"].as_object().into_iter().flatten() {
        for part in std::iter::once(value)
            .chain([&value["items"]])
            .chain(value["anyOf"].as_array().into_iter().flatten())
        {
            describe(page, schema, part, seen);
        }
    }
}

fn name(of: &Value) -> Option<&str> {
    of["$ref"].as_str()?.rsplit('/').next()
}

fn definition<'s>(schema: &'s Value, of: &Value) -> Option<&'s Value> {
    schema["$defs"].get(name(of)?)
}
