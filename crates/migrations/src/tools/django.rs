//! Django: apps with a graph of migrations each, and a table with those that were applied.
//!
//! The project's folder has the migrations of its own apps. Those of apps that are installed as
//! packages, such as `django.contrib.auth`, are applied by the same command and are not seen: only
//! that the table has them.

use std::collections::{BTreeMap, BTreeSet};

use database::System;
use sections::migrate::Django;

use crate::command::{Command, Pending, UndoError};
use crate::error::Error;
use crate::files::{FileRequest, Tree};
use crate::finding::{Finding, FindingKind};
use crate::handover::Handover;
use crate::kinds::Configured;
use crate::order::in_order;
use crate::python::{Statement, Value, statements};
use crate::reading::{Applied, Migration, Reading, Tracking, Undo};
use crate::tool::{Tool, line_with, usual_next};
use crate::tool_query::{Query, Table, ToolAnswers, cell, maybe};

/// An app and a migration of it: Django writes `shop.0002_price`.
type Key = (String, String);

impl Configured<Django> {
    fn manage(&self) -> &str {
        self.config.manage.as_deref().unwrap_or("manage.py")
    }

    fn folder(&self) -> &str {
        let of_manage = || {
            self.manage()
                .rsplit_once('/')
                .map_or(".", |(folder, _)| folder)
        };
        self.config.folder.as_deref().unwrap_or_else(of_manage)
    }

    fn call<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Command {
        let mut command = match &self.config.command {
            Some(call) => Command::of(call).and(words),
            None => Command::new("python", [self.manage()]).and(words),
        };
        for (flag, value) in [
            ("--settings", &self.config.settings),
            ("--database", &self.config.database),
        ] {
            if let Some(value) = value {
                command = command.and([format!("{flag}={value}")]);
            }
        }
        command
    }
}

/// A migration as its file tells it.
#[derive(Clone, Debug, Default)]
struct Node {
    dependencies: Vec<Key>,
    replaces: Vec<Key>,
}

#[derive(Default)]
struct Graph {
    nodes: BTreeMap<Key, Node>,
    files: BTreeMap<Key, Migration>,
    broken: Vec<String>,
}

impl Graph {
    fn of(folder: &str, files: &Tree) -> Graph {
        let mut graph = Graph::default();
        let labels = labels(folder, files);
        for (path, within, bytes) in files.below(folder) {
            let parts: Vec<&str> = within.split('/').collect();
            let [.., app, "migrations", name] = parts[..] else {
                continue;
            };
            let Some(name) = name
                .strip_suffix(".py")
                .filter(|name| !name.starts_with(['_', '~']))
            else {
                continue;
            };
            let home = path.trim_end_matches(&format!("/migrations/{name}.py"));
            let app = labels.get(home).map_or(app, String::as_str);
            graph.add(app, name, path, &String::from_utf8_lossy(bytes));
        }
        graph
    }

    fn add(&mut self, app: &str, name: &str, path: &str, text: &str) {
        let all = statements(text);
        if !all
            .iter()
            .any(|statement| statement.begins_with(&["class", "Migration"]))
        {
            return;
        }
        let inner: Vec<&Statement> = all
            .iter()
            .filter(|statement| statement.indent > 0)
            .collect();
        let assigned = |key: &str| {
            let found = inner.iter().filter_map(|statement| statement.assignment());
            found
                .filter(|(name, _)| *name == key)
                .map(|(_, value)| value)
                .next_back()
        };
        let mut pairs = |key: &str| match assigned(key) {
            Some(Value::Unknown) => {
                self.broken.push(format!(
                    "`{key}` of {path} cannot be read without running it"
                ));
                Vec::new()
            }
            Some(list) => list.items().iter().filter_map(pair).collect(),
            None => Vec::new(),
        };
        let node = Node {
            dependencies: pairs("dependencies"),
            replaces: pairs("replaces"),
        };
        let key = (app.to_owned(), name.to_owned());
        if let Some(other) = self.files.get(&key) {
            self.broken
                .push(format!("{} and {path} are the same migration", other.path));
            return;
        }
        let file = Migration {
            id: id(&key),
            path: path.to_owned(),
            undo: undo(&all),
            without_transaction: inner
                .iter()
                .any(|statement| statement.begins_with(&["atomic", "=", "False"])),
            ..Migration::default()
        };
        self.files.insert(key.clone(), file);
        self.nodes.insert(key, node);
    }

    /// Takes the migrations out that others replace, or the ones that replace where that is not in
    /// effect, as Django's loader does. Returns those that count as applied.
    fn settle(&mut self, rows: &BTreeSet<Key>) -> BTreeSet<Key> {
        let mut applied = rows.clone();
        let replacing: Vec<(Key, Vec<Key>)> = self
            .nodes
            .iter()
            .filter(|(_, node)| !node.replaces.is_empty())
            .map(|(key, node)| (key.clone(), node.replaces.clone()))
            .collect();
        for (key, replaced) in replacing {
            let done = replaced.iter().filter(|old| applied.contains(*old)).count();
            if done == replaced.len() {
                applied.insert(key.clone());
            } else if done > 0 {
                applied.remove(&key);
            }
            if done == 0 || done == replaced.len() {
                for old in &replaced {
                    self.nodes.remove(old);
                    self.files.remove(old);
                    self.rename(old, &key);
                }
                continue;
            }
            // Django reads the old ones then, and takes no notice of one that has no file any more.
            let missing = replaced.iter().find(|old| !self.nodes.contains_key(*old));
            if let Some(missing) = missing {
                self.broken.push(format!(
                    "{} replaces migrations of which only some are applied, and {} has no file any more",
                    id(&key),
                    id(missing)
                ));
            }
            self.nodes.remove(&key);
            self.files.remove(&key);
            if let Some(last) = replaced.last() {
                self.rename(&key, last);
            }
        }
        applied
    }

    /// What needed one migration needs another one.
    fn rename(&mut self, old: &Key, new: &Key) {
        for node in self.nodes.values_mut() {
            for need in &mut node.dependencies {
                if need == old {
                    need.clone_from(new);
                }
            }
        }
        if let Some(node) = self.nodes.get_mut(new) {
            node.dependencies.retain(|need| need != new);
        }
    }

    /// What a migration needs, of those that have a file.
    fn parents(&self, key: &Key) -> Vec<&Key> {
        let Some(node) = self.nodes.get(key) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for (app, name) in &node.dependencies {
            let of_app = || self.nodes.keys().filter(|(own, _)| own == app);
            let found = match name.as_str() {
                "__first__" => of_app().next(),
                "__latest__" => of_app().next_back(),
                _ => {
                    let named = self.nodes.get_key_value(&(app.clone(), name.clone()));
                    named.map(|(key, _)| key)
                }
            };
            all.extend(found.filter(|parent| *parent != key));
        }
        all
    }

    fn in_order(&self) -> (Vec<&Key>, Vec<&Key>) {
        in_order(self.nodes.keys(), |key| self.parents(key))
    }

    /// The last migrations of each app: more than one is a conflict.
    fn leaves(&self) -> BTreeMap<&str, Vec<&Key>> {
        let mut inner = BTreeSet::new();
        for key in self.nodes.keys() {
            let own = self
                .parents(key)
                .into_iter()
                .filter(|parent| parent.0 == key.0);
            inner.extend(own);
        }
        let mut leaves: BTreeMap<&str, Vec<&Key>> = BTreeMap::new();
        for key in self.nodes.keys().filter(|key| !inner.contains(key)) {
            leaves.entry(&key.0).or_default().push(key);
        }
        leaves
    }
}

/// The labels that apps give themselves in `apps.py`, by the folder of the app.
fn labels(folder: &str, files: &Tree) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (path, _, bytes) in files.below(folder) {
        let Some(home) = path.strip_suffix("/apps.py") else {
            continue;
        };
        let all = statements(&String::from_utf8_lossy(bytes));
        let inner = all.iter().filter(|statement| statement.indent > 0);
        for (name, value) in inner.filter_map(Statement::assignment) {
            if let ("label", Some(label)) = (name, value.text()) {
                labels.insert(home.to_owned(), label.to_owned());
            }
        }
    }
    labels
}

/// `("app", "name")`; what is swappable is another app's and not known here.
fn pair(value: &Value) -> Option<Key> {
    match value.items() {
        [app, name] => Some((app.text()?.to_owned(), name.text()?.to_owned())),
        _ => None,
    }
}

fn id((app, name): &Key) -> String {
    format!("{app}.{name}")
}

/// Every operation can be undone but those of the user's own code without a way back.
fn undo(all: &[Statement]) -> Undo {
    let lacks = |call: &str, key: &str| {
        let calls = all.iter().flat_map(|statement| statement.calls(call));
        calls
            .into_iter()
            .any(|(count, named)| count < 2 || count == named.len() && !named.contains(&key))
    };
    if lacks("RunPython", "reverse_code") || lacks("RunSQL", "reverse_sql") {
        return Undo::Absent;
    }
    Undo::Present
}

impl Tool for Configured<Django> {
    fn migration_files(&self, _: &Tree) -> Result<Vec<FileRequest>, Error> {
        Ok(vec![FileRequest::Folder {
            path: self.folder().to_owned(),
            depth: 8,
            names: vec!["*/migrations/*.py".to_owned(), "*/apps.py".to_owned()],
            skip: &[
                "node_modules",
                ".git",
                "site-packages",
                "dist-packages",
                "__pycache__",
                ".tox",
                "venv",
                ".venv",
            ],
        }])
    }

    fn queries(&self, system: System, _: &Tree) -> Vec<Query> {
        let table = Table::new(None, "django_migrations");
        vec![Query::of(
            table,
            &["app", "name", "applied"],
            "ORDER BY id",
            system,
        )]
    }

    fn judge(&self, seen: &ToolAnswers<'_>) -> Result<Reading, Error> {
        seen.files.must_have(self.folder())?;
        let mut graph = Graph::of(self.folder(), seen.files);
        let replaced: BTreeSet<Key> = graph
            .nodes
            .values()
            .flat_map(|node| node.replaces.clone())
            .collect();
        let rows: Vec<(Key, Option<String>)> = seen
            .rows(0)
            .iter()
            .map(|row| {
                (
                    (cell(row, 0).to_owned(), cell(row, 1).to_owned()),
                    maybe(row, 2),
                )
            })
            .collect();
        let recorded: BTreeSet<Key> = rows.iter().map(|(key, _)| key.clone()).collect();
        let applied = graph.settle(&recorded);
        Ok(read(&graph, &rows, &applied, &replaced, seen))
    }

    fn apply(&self, _: &Reading) -> Command {
        self.call(["migrate", "--noinput"])
    }

    fn undo(&self, reading: &Reading, to: Option<&str>) -> Result<Vec<Command>, UndoError> {
        let own = |applied: &&Applied| reading.file(&applied.id).is_some();
        let back = |app: &str, name: &str| self.call(["migrate", app, name, "--noinput"]);
        let Some(to) = to else {
            let last = reading
                .applied
                .iter()
                .rev()
                .find(own)
                .ok_or(UndoError::NothingApplied)?;
            let file = reading
                .file(&last.id)
                .ok_or_else(|| UndoError::NoFile(last.id.clone()))?;
            if file.undo == Undo::Absent {
                return Err(UndoError::Irreversible(file.id.clone()));
            }
            let app = last.id.split('.').next().unwrap_or_default();
            let mut before = reading.files.iter().rev().filter(|file| {
                let is_own = file.id.split('.').next() == Some(app) && file.id != last.id;
                is_own && reading.is_applied(&file.id)
            });
            let before = before.next().and_then(|file| file.id.split_once('.'));
            let before = before.map_or("zero", |(_, name)| name);
            return Ok(vec![back(app, before)]);
        };
        let wanted: BTreeMap<&str, &str> = to
            .split(',')
            .filter_map(|one| one.split_once('.'))
            .collect();
        for (app, name) in &wanted {
            let one = format!("{app}.{name}");
            if !reading.is_applied(&one) {
                return Err(UndoError::NotApplied(one));
            }
        }
        let now = reading.current.iter().filter_map(|one| one.split_once('.'));
        let changed: Vec<_> = now
            .filter(|(app, name)| wanted.get(app) != Some(name))
            .collect();
        // Each is a transaction: Django would undo those behind it, and only then find that one has no way back.
        for (app, _) in &changed {
            let of_app = |file: &&Migration| file.id.split('.').next() == Some(app);
            let stays = |file: &&Migration| {
                let name = file.id.split_once('.').map(|(_, name)| name);
                name == wanted.get(app).copied()
            };
            let files: Vec<&Migration> = reading.files.iter().filter(of_app).collect();
            let from = files.iter().position(stays);
            let mut gone = files[from.map_or(0, |stays| stays + 1)..].iter().rev();
            let is_stuck =
                |file: &&&Migration| file.undo == Undo::Absent && reading.is_applied(&file.id);
            if let Some(stuck) = gone.find(is_stuck) {
                return Err(UndoError::Irreversible(stuck.id.clone()));
            }
        }
        Ok(changed
            .into_iter()
            .map(|(app, _)| back(app, wanted.get(app).unwrap_or(&"zero")))
            .collect())
    }

    fn pending_sql(&self, reading: &Reading) -> Pending {
        let command = |id: &String| {
            let (app, name) = id.split_once('.').unwrap_or((id, ""));
            (Some(id.clone()), self.call(["sqlmigrate", app, name]))
        };
        Pending::Commands(reading.pending.iter().map(command).collect())
    }

    fn no_way_back(&self, told: &str) -> Option<String> {
        line_with(told, "IrreversibleError")
    }

    fn handover(&self) -> Handover {
        Handover::Variable(self.url_env.clone())
    }

    fn next(&self, reading: &Reading, finding: &Finding) -> String {
        let call = |words: &[&str]| format!("`{}`", self.call(words.iter().copied()).text());
        let (app, name) = finding
            .revision
            .as_deref()
            .and_then(|id| id.split_once('.'))
            .unwrap_or(("APP", "NAME"));
        match &finding.kind {
            FindingKind::NotMigrated { is_empty: false } => format!(
                "is it the right database? If its tables are those of the first migrations: {}; else {}",
                call(&["migrate", "--fake-initial"]),
                call(&["migrate"])
            ),
            FindingKind::Heads { .. } => format!(
                "{}, and commit the file that it writes",
                call(&["makemigrations", "--merge"])
            ),
            FindingKind::Inconsistent { needs } => {
                let (app, name) = needs.split_once('.').unwrap_or((needs, ""));
                format!(
                    "Django refuses to migrate: if {needs} is in the schema already, {}; else undo {app}'s later ones first",
                    call(&["migrate", app, name, "--fake"])
                )
            }
            FindingKind::Unknown => format!(
                "bring the file of {app}.{name} back; Django does not see the row, and {} would delete it",
                call(&["migrate", app, "--prune"])
            ),
            _ => usual_next("django", &self.apply(reading).text(), reading, finding),
        }
    }
}

fn read(
    graph: &Graph,
    rows: &[(Key, Option<String>)],
    applied: &BTreeSet<Key>,
    replaced: &BTreeSet<Key>,
    seen: &ToolAnswers<'_>,
) -> Reading {
    let (order, circle) = graph.in_order();
    let mut reading = Reading::new(seen.standing(!rows.is_empty()));
    reading.files = order.iter().map(|key| graph.files[*key].clone()).collect();
    let own_apps: BTreeSet<&str> = graph.nodes.keys().map(|(app, _)| app.as_str()).collect();
    reading.applied = rows
        .iter()
        .map(|(key, at)| Applied {
            id: id(key),
            at: at.clone(),
            ..Applied::default()
        })
        .collect();
    let by_rows =
        |key: &&&Key| applied.contains(**key) && !rows.iter().any(|(row, _)| row == **key);
    let implied: Vec<String> = order.iter().filter(by_rows).map(|key| id(key)).collect();
    reading
        .applied
        .extend(implied.into_iter().map(|id| Applied {
            id,
            ..Applied::default()
        }));
    for reason in &graph.broken {
        let reason = reason.clone();
        reading.find(FindingKind::Broken { reason }, None);
    }
    if !circle.is_empty() {
        let names: Vec<String> = circle.iter().map(|key| id(key)).collect();
        let reason = format!(
            "these migrations need one another in a circle: {}",
            names.join(", ")
        );
        reading.find(FindingKind::Broken { reason }, None);
    }
    for leaves in graph.leaves().values() {
        reading.heads.extend(leaves.iter().map(|key| id(key)));
        if leaves.len() > 1 {
            let heads = leaves.iter().map(|key| id(key)).collect();
            reading.find(FindingKind::Heads { heads }, None);
        }
    }
    if reading.standing != Tracking::Tracked {
        let is_empty = seen.is_empty;
        reading.find(FindingKind::NotMigrated { is_empty }, None);
    }
    for (key, _) in rows {
        let is_known = graph.nodes.contains_key(key) || replaced.contains(key);
        if own_apps.contains(key.0.as_str()) && !is_known {
            reading.find(unknown(graph, key, applied), Some(&id(key)));
        }
    }
    for key in &order {
        if applied.contains(*key) {
            let needs = graph
                .parents(key)
                .into_iter()
                .find(|parent| !applied.contains(*parent));
            if let Some(needs) = needs {
                let needs = id(needs);
                reading.find(FindingKind::Inconsistent { needs }, Some(&id(key)));
            }
        } else {
            reading.pending.push(id(key));
            reading.find(FindingKind::Pending, Some(&id(key)));
        }
    }
    reading.current = current(graph, rows, applied, &own_apps);
    let others: BTreeSet<&str> = rows.iter().map(|(key, _)| key.0.as_str()).collect();
    let others: Vec<&str> = others
        .into_iter()
        .filter(|app| !own_apps.contains(app))
        .collect();
    if !others.is_empty() {
        reading.unseen.push(format!(
            "the files of {} are in installed packages: whether they have pending migrations is not known",
            others.join(", ")
        ));
    }
    reading
}

/// A row of one of the project's apps without a file: newer than all that are applied, or not.
fn unknown(graph: &Graph, key: &Key, applied: &BTreeSet<Key>) -> FindingKind {
    let own: Vec<&Key> = graph
        .nodes
        .keys()
        .filter(|(app, _)| *app == key.0)
        .collect();
    let mut done = own.iter().filter(|own| applied.contains(**own));
    let is_newer = done.all(|(_, name)| *name < key.1);
    let open: Vec<String> = own
        .iter()
        .filter(|own| !applied.contains(**own))
        .map(|own| id(own))
        .collect();
    match (is_newer, open.is_empty()) {
        (true, true) => FindingKind::Ahead,
        (true, false) => FindingKind::Diverged { instead: open },
        (false, _) => FindingKind::Unknown,
    }
}

/// The last applied migration of each app, in the order of apps.
fn current(
    graph: &Graph,
    rows: &[(Key, Option<String>)],
    applied: &BTreeSet<Key>,
    own_apps: &BTreeSet<&str>,
) -> Vec<String> {
    let mut last: BTreeMap<&str, String> = BTreeMap::new();
    for (key, _) in rows
        .iter()
        .filter(|(key, _)| !own_apps.contains(key.0.as_str()))
    {
        last.insert(&key.0, id(key));
    }
    let (order, _) = graph.in_order();
    for key in order.into_iter().filter(|key| applied.contains(*key)) {
        last.insert(&key.0, id(key));
    }
    // Of an app whose files are behind, the row that they do not have.
    for (key, _) in rows {
        let name = last.entry(&key.0).or_insert_with(|| id(key));
        if own_apps.contains(key.0.as_str()) && !graph.nodes.contains_key(key) && *name < id(key) {
            *name = id(key);
        }
    }
    last.into_values().collect()
}
