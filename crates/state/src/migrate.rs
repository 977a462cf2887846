//! From a state that was written by hand, or by a script, to version 1.
//!
//! Such files have no `schema` (or `deploy-guard/state/v0`) and the keys that people use: see
//! `docs/guide/state.md`. What is not understood is named and never guessed.

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::{Map, Value};

use crate::document::{Document, Entry, Status};

/// Version 0's own name, where it has one.
const V0: &str = "deploy-guard/state/v0";
const SERVICE: &[&str] = &["service", "app", "application"];
const ENVIRONMENT: &[&str] = &["environment", "env"];
const CURRENT: &[&str] = &[
    "current",
    "current_version",
    "current_release",
    "version",
    "release",
    "deployed_version",
];
const GOOD: &[&str] = &[
    "last_known_good",
    "last_known_good_version",
    "last_good",
    "last_good_version",
    "stable",
    "stable_version",
];
const PREVIOUS: &[&str] = &["previous", "previous_version", "previous_release"];
const HISTORY: &[&str] = &["history", "releases", "deployments"];
const RELEASE: &[&str] = &["release", "version", "tag"];
const STATUS: &[&str] = &["status", "state", "result"];
const TIME: &[&str] = &["deployed_at", "timestamp", "deployed", "date", "updated_at"];
const DIGEST: &[&str] = &["digest", "image_digest"];
const IMAGE: &[&str] = &["image"];
const TASK: &[&str] = &["task_definition", "task_definition_arn"];
const SCHEMA_REVISION: &[&str] = &["schema_revision", "schema_version", "migration"];
const RUN: &[&str] = &["run", "run_id"];

/// A state of version 1 that was made of an older one.
#[derive(Clone, Debug)]
pub struct Migrated {
    pub document: Document,
    /// What a person should know: what was assumed, and which keys are not carried over.
    pub notes: Vec<String>,
}

/// Why a state cannot be migrated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("it is not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    #[error("it is not a state from before version 1")]
    NotOlder,
    #[error("`{0}` is both last-known-good and bad")]
    GoodAndBad(String),
    /// What is wrong with a value, and the value's place.
    #[error("{at}: {wrong}")]
    At { at: String, wrong: ValueError },
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("it is not an array")]
    NoArray,
    #[error("it is neither a release's name nor an object")]
    NoEntry,
    #[error("it names no release")]
    NoRelease,
    #[error("`{0}` is in the history twice")]
    Twice(String),
    #[error("the status `{0}` is not known")]
    Status(String),
    #[error("it is not a text")]
    NoText,
    #[error("it is not a valid name")]
    NoName,
    #[error("{0} is not a time")]
    NoTime(Value),
}

impl ValueError {
    fn at(self, at: impl Into<String>) -> Error {
        Error::At {
            at: at.into(),
            wrong: self,
        }
    }
}

/// Whether this is a state of before version 1, and no file of something else.
pub(crate) fn is_older(value: &Value) -> bool {
    let Some(object) = value.as_object() else {
        return false;
    };
    match object.get("schema") {
        Some(schema) => schema == V0,
        None => [CURRENT, GOOD, HISTORY]
            .iter()
            .any(|names| names.iter().any(|name| object.contains_key(*name))),
    }
}

/// Reads an older state. `now` replaces a missing time.
pub fn migrate(bytes: &[u8], now: Timestamp) -> Result<Migrated, Error> {
    let value: Value = serde_json::from_slice(bytes)?;
    let older = is_older(&value);
    let (true, Value::Object(object)) = (older, value) else {
        return Err(Error::NotOlder);
    };
    let mut fields = Fields {
        object,
        at: String::new(),
    };
    fields.object.remove("schema");
    let mut notes = Vec::new();
    let mut document = Document::new(fields.text(SERVICE)?, fields.text(ENVIRONMENT)?);
    let current = fields.text(CURRENT)?;
    let good = fields.text(GOOD)?;
    let previous = fields.text(PREVIOUS)?;
    let listed = fields.take(HISTORY).unwrap_or_default();
    for (index, item) in listed.1.as_array().into_iter().flatten().enumerate() {
        let at = format!("/{}/{index}", listed.0);
        let entry = entry(item, &at, now, &mut notes)?;
        if document.entry(&entry.release).is_some() {
            return Err(ValueError::Twice(entry.release).at(at));
        }
        document.history.push(entry);
    }
    if !matches!(listed.1, Value::Null | Value::Array(_)) {
        return Err(ValueError::NoArray.at(format!("/{}", listed.0)));
    }
    let top = details(&mut fields, now)?;
    for (release, status) in [
        (&good, Status::Good),
        (&previous, Status::RolledBack),
        (&current, Status::Pending),
    ] {
        let Some(release) = release else { continue };
        if document.entry(release).is_none() {
            notes.push(format!("`{release}` is recorded as {}", status.as_str()));
            document.history.push(Entry {
                release: release.clone(),
                status,
                ..top.clone()
            });
        }
    }
    if let Some(good) = &good
        && let Some(entry) = document.history.iter_mut().find(|e| e.release == *good)
        && entry.status != Status::Good
    {
        if entry.status == Status::Bad {
            return Err(Error::GoodAndBad(good.clone()));
        }
        notes.push(format!(
            "`{good}` is last-known-good, so it is recorded as good"
        ));
        entry.status = Status::Good;
    }
    if let Some(release) = &current
        && let Some(entry) = document.history.iter_mut().find(|e| e.release == *release)
    {
        // The top level of the file describes the running release.
        entry.digest = entry.digest.take().or(top.digest);
        entry.image = entry.image.take().or(top.image);
        entry.task_definition = entry.task_definition.take().or(top.task_definition);
        entry.schema_revision = entry.schema_revision.take().or(top.schema_revision);
    }
    document
        .history
        .sort_by_key(|entry| std::cmp::Reverse(entry.deployed_at));
    document.current = current;
    let mut all_good = document.history.iter().filter(|e| e.status == Status::Good);
    // The newest, if that is certain: an entry without a time counts as of now.
    let newest = all_good.next().map(|entry| entry.release.clone());
    let other = all_good.next().is_some();
    let untimed = || {
        document
            .history
            .iter()
            .any(|e| e.status == Status::Good && e.deployed_at == now)
    };
    if good.is_none() && other && untimed() {
        notes.push(
            "several releases are good and not each has a time, so none is last-known-good: record one with `rollback record`"
                .to_owned(),
        );
    } else {
        document.last_known_good = good.or(newest);
        if document.last_known_good.is_none() {
            notes.push(
                "nothing records which release is good: record one with `rollback record`"
                    .to_owned(),
            );
        }
    }
    for name in fields.object.keys() {
        notes.push(format!("/{name} is not carried over"));
    }
    document.generation = 1;
    Ok(Migrated { document, notes })
}

fn entry(item: &Value, at: &str, now: Timestamp, notes: &mut Vec<String>) -> Result<Entry, Error> {
    let object = match item {
        Value::String(release) => Map::from_iter([("release".to_owned(), release.clone().into())]),
        Value::Object(object) => object.clone(),
        _ => return Err(ValueError::NoEntry.at(at)),
    };
    let mut fields = Fields {
        object,
        at: at.to_owned(),
    };
    let release = fields
        .text(RELEASE)?
        .ok_or_else(|| ValueError::NoRelease.at(at))?;
    let status = fields.text(STATUS)?;
    let status = match status.as_deref().map(str::to_lowercase).as_deref() {
        Some("good" | "success" | "succeeded" | "healthy" | "stable") => Status::Good,
        Some("bad" | "failed" | "failure" | "broken" | "unhealthy") => Status::Bad,
        Some("rolled-back" | "rolled_back" | "rolledback") => Status::RolledBack,
        Some("pending" | "in_progress" | "deploying") => Status::Pending,
        None => {
            notes.push(format!("`{release}` has no status: it is recorded as rolled-back, a destination by name alone"));
            Status::RolledBack
        }
        Some(other) => return Err(ValueError::Status(other.to_owned()).at(at)),
    };
    let entry = Entry {
        release,
        status,
        ..details(&mut fields, now)?
    };
    for name in fields.object.keys() {
        notes.push(format!("{at}/{name} is not carried over"));
    }
    Ok(entry)
}

/// The facts about any release.
fn details(fields: &mut Fields, now: Timestamp) -> Result<Entry, Error> {
    Ok(Entry {
        release: String::new(),
        digest: fields.text(DIGEST)?,
        image: fields.text(IMAGE)?,
        task_definition: fields.text(TASK)?,
        status: Status::Pending,
        deployed_at: fields.time(TIME)?.unwrap_or(now),
        changed_at: None,
        run: fields.text(RUN)?,
        schema_revision: fields.text(SCHEMA_REVISION)?,
        schema_found: None,
        compatible_with: Vec::new(),
        retained: Vec::new(),
        forced: Vec::new(),
    })
}

/// An object of which one key after another is taken; what is left was not understood.
struct Fields {
    object: Map<String, Value>,
    at: String,
}

impl Fields {
    fn take(&mut self, names: &[&str]) -> Option<(String, Value)> {
        let name = names.iter().find(|name| self.object.contains_key(**name))?;
        let value = self.object.remove(*name)?;
        Some(((*name).to_owned(), value))
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.at)
    }

    fn text(&mut self, names: &[&str]) -> Result<Option<String>, Error> {
        match self.take(names) {
            None | Some((_, Value::Null)) => Ok(None),
            Some((_, Value::Number(number))) => Ok(Some(number.to_string())),
            Some((name, Value::String(text))) => {
                if text.trim().is_empty() || text.len() > 512 || text.chars().any(char::is_control)
                {
                    return Err(ValueError::NoName.at(self.key(&name)));
                }
                Ok(Some(text))
            }
            Some((name, _)) => Err(ValueError::NoText.at(self.key(&name))),
        }
    }

    fn time(&mut self, names: &[&str]) -> Result<Option<Timestamp>, Error> {
        let Some((name, value)) = self.take(names) else {
            return Ok(None);
        };
        let time = match &value {
            Value::Null => return Ok(None),
            Value::Number(number) => number.as_i64().and_then(|n| Timestamp::from_second(n).ok()),
            // Without a zone it is UTC.
            Value::String(text) => text.parse().ok().or_else(|| {
                let civil: DateTime = text.parse().ok()?;
                Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
            }),
            _ => None,
        };
        time.map(Some)
            .ok_or_else(|| ValueError::NoTime(value).at(self.key(&name)))
    }
}
