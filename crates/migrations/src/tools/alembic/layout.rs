//! What Alembic's own configuration says of its files and its table.

use std::collections::BTreeMap;

use sections::migrate::Alembic;

use crate::error::Error;
use crate::files::{Tree, join};
use crate::ini::Ini;
use crate::python::{Statement, statements};

/// Where Alembic, and Flask-Migrate, keep their configuration.
const CONFIGS: [&str; 2] = ["alembic.ini", "migrations/alembic.ini"];
pub(super) const PYPROJECT: &str = "pyproject.toml";

const KEYS: [&str; 5] = [
    "script_location",
    "version_locations",
    "path_separator",
    "version_path_separator",
    "recursive_version_locations",
];

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Where `env.py` is.
    pub(super) script: String,
    pub(super) versions: Vec<String>,
    pub(super) is_recursive: bool,
}

/// The files that may have the configuration.
pub(super) fn configs(config: &Alembic) -> Vec<&str> {
    match &config.config {
        Some(config) => vec![config],
        None => CONFIGS.to_vec(),
    }
}

impl Layout {
    pub(super) fn of(config: &Alembic, files: &Tree) -> Result<Layout, Error> {
        let configs = configs(config);
        let ini = configs.iter().copied().find(|file| files.has(file));
        let (file, values) = match (ini, files.text(PYPROJECT)) {
            (Some(ini), _) => {
                let section = config.name.as_deref().unwrap_or("alembic");
                (
                    ini,
                    of_ini(section, ini, &files.text(ini).unwrap_or_default()),
                )
            }
            (None, Some(text)) if text.contains(SECTION) => (PYPROJECT, of_pyproject(&text)),
            (None, _) => return Err(Error::NoConfig(configs[0].to_owned())),
        };
        let here = folder(file);
        let one = |key: &str| values.get(key)?.first().map(String::as_str);
        let script = match one("script_location") {
            Some(location) => located(location),
            // Flask-Migrate leaves it out: it is the folder of the file.
            None if here != "." => here.to_owned(),
            None => {
                return Err(Error::Config {
                    file: file.to_owned(),
                    reason: "it has no `script_location`".to_owned(),
                });
            }
        };
        let separator = one("path_separator").or_else(|| one("version_path_separator"));
        let locations = values.get("version_locations").map(Vec::as_slice);
        let locations = match locations.unwrap_or_default() {
            [one] => split(one, separator),
            several => several.to_vec(),
        };
        let mut versions = config.versions.clone();
        if versions.is_empty() {
            versions = locations.iter().map(|location| located(location)).collect();
        }
        if versions.is_empty() {
            versions.push(join(&script, "versions"));
        }
        Ok(Layout {
            script,
            versions,
            is_recursive: one("recursive_version_locations")
                .is_some_and(|word| word.eq_ignore_ascii_case("true")),
        })
    }
}

fn folder(file: &str) -> &str {
    file.rsplit_once('/').map_or(".", |(folder, _)| folder)
}

fn of_ini(section: &str, file: &str, text: &str) -> BTreeMap<&'static str, Vec<String>> {
    let ini = Ini::parse(text, false);
    let value = |key: &'static str| Some((key, vec![ini.filled(section, key, folder(file))?]));
    KEYS.into_iter().filter_map(value).collect()
}

const SECTION: &str = "[tool.alembic]";

/// Texts and lists of them are written as in Python.
fn of_pyproject(text: &str) -> BTreeMap<&'static str, Vec<String>> {
    let section = text.split_once(SECTION).map_or("", |(_, rest)| rest);
    let section = section.split("\n[").next().unwrap_or_default();
    let all = statements(section);
    let assigned = |statement: &Statement| {
        let (key, value) = statement.assignment()?;
        let key = KEYS.into_iter().find(|known| *known == key)?;
        let is_true = || statement.ends_with("true").to_string();
        let texts = value.texts().unwrap_or_else(|| vec![is_true()]);
        Some((
            key,
            texts
                .iter()
                .map(|text| text.replace("%(here)s", "."))
                .collect(),
        ))
    };
    all.iter().filter_map(assigned).collect()
}

/// A location as a path: `package:folder` is one of a package.
fn located(location: &str) -> String {
    match location.split_once(':') {
        Some((package, folder)) if !package.contains('/') => {
            join(&package.replace('.', "/"), folder)
        }
        _ => join("", location),
    }
}

/// Several locations in one text. Without a separator Alembic takes blanks and commas.
fn split(text: &str, separator: Option<&str>) -> Vec<String> {
    let parts: Vec<&str> = match separator {
        Some("os" | ":") => text.split(':').collect(),
        Some(";") => text.split(';').collect(),
        Some("newline") => text.lines().collect(),
        Some("space") => text.split_whitespace().collect(),
        _ => text.split([',', ' ', '\n', '\t']).collect(),
    };
    let parts = parts.into_iter().map(str::trim);
    let parts = parts.filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// A literal that `env.py` gives to `context.configure`, or the constant that it names.
pub(super) fn of_env(text: &str, key: &str) -> Option<String> {
    let all = statements(text);
    let constant = |name: &str| {
        let mut assigned = all.iter().filter_map(Statement::assignment);
        let found = assigned.rfind(|(key, _)| *key == name);
        found.and_then(|(_, value)| value.text().map(str::to_owned))
    };
    all.iter()
        .find_map(|statement| statement.keyword(key, &constant))
}
