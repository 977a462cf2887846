//! The revisions as a graph: which come before which, and at which of them a database is.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::FindingKind;
use crate::order::in_order;
use crate::python::{Statement, Value, statements};
use crate::reading::{Applied, Migration, Reading, Undo};
use crate::tool_query::ToolAnswers;

#[derive(Debug)]
struct Revision {
    down: Vec<String>,
    depends: Vec<String>,
    labels: Vec<String>,
}

/// The revisions of all files.
#[derive(Default)]
pub(super) struct Graph {
    revisions: BTreeMap<String, Revision>,
    files: BTreeMap<String, Migration>,
    broken: Vec<(Option<String>, String)>,
}

impl Graph {
    pub(super) fn add(&mut self, path: &str, text: &str) {
        let all = statements(text);
        let top = all.iter().filter(|statement| statement.indent == 0);
        let values: BTreeMap<&str, Value> = top.filter_map(Statement::assignment).collect();
        let texts = |key: &str| match values.get(key) {
            Some(value) => value.texts(),
            None => Some(Vec::new()),
        };
        let lists = (
            texts("down_revision"),
            texts("depends_on"),
            texts("branch_labels"),
        );
        let id = values.get("revision").and_then(Value::text);
        let (Some(id), (Some(down), Some(depends), Some(labels))) = (id, lists) else {
            let reason = format!(
                "{path} has no `revision` or `down_revision` that can be read without running it"
            );
            self.broken.push((None, reason));
            return;
        };
        if let Some(other) = self.files.get(id) {
            let reason = format!("{id} is the revision of {} and of {path}", other.path);
            self.broken.push((Some(id.to_owned()), reason));
            return;
        }
        let file = Migration {
            id: id.to_owned(),
            name: title(&all),
            path: path.to_owned(),
            undo: undo(&all),
            without_transaction: all
                .iter()
                .any(|statement| statement.mentions("autocommit_block")),
            ..Migration::default()
        };
        self.files.insert(id.to_owned(), file);
        let revision = Revision {
            down,
            depends,
            labels,
        };
        self.revisions.insert(id.to_owned(), revision);
    }

    /// A dependency may be a label or the beginning of an id.
    fn resolve<'g>(&'g self, name: &'g str) -> Option<&'g str> {
        if let Some((id, _)) = self.revisions.get_key_value(name) {
            return Some(id);
        }
        let name = name.split('@').next().unwrap_or(name);
        let labelled = |revision: &&Revision| revision.labels.iter().any(|label| label == name);
        let mut with_label = self
            .revisions
            .iter()
            .filter(|(_, revision)| labelled(revision));
        if let Some((id, _)) = with_label.next() {
            return Some(id);
        }
        let mut beginning = self.revisions.keys().filter(|id| id.starts_with(name));
        match (beginning.next(), beginning.next()) {
            (Some(id), None) if name.len() >= 4 => Some(id),
            _ => None,
        }
    }

    /// What comes right before a revision.
    fn parents<'g>(&'g self, id: &str, with_depends: bool) -> Vec<&'g str> {
        let Some(revision) = self.revisions.get(id) else {
            return Vec::new();
        };
        let depends = revision.depends.iter().filter(|_| with_depends);
        let all = revision.down.iter().chain(depends);
        all.filter_map(|name| self.resolve(name)).collect()
    }

    /// A revision and all that comes before it.
    fn lineage<'g>(&'g self, id: &'g str, with_depends: bool) -> BTreeSet<&'g str> {
        let (mut all, mut open) = (BTreeSet::new(), vec![id]);
        while let Some(next) = open.pop() {
            if all.insert(next) {
                open.extend(self.parents(next, with_depends));
            }
        }
        all
    }

    fn heads(&self) -> Vec<&str> {
        let downs: BTreeSet<&str> = self
            .revisions
            .keys()
            .flat_map(|id| self.parents(id, false))
            .collect();
        let ids = self.revisions.keys().map(String::as_str);
        ids.filter(|id| !downs.contains(id)).collect()
    }

    /// Whether heads are ends of separate histories, each of which has a label of its own.
    fn are_separate(&self, heads: &[&str]) -> bool {
        let mut seen = BTreeSet::new();
        heads.iter().all(|head| {
            let lineage = self.lineage(head, false);
            let is_labelled = lineage.iter().any(|id| {
                let revision = self.revisions.get(*id);
                revision.is_some_and(|revision| !revision.labels.is_empty())
            });
            let is_new = lineage.iter().all(|id| seen.insert((*id).to_owned()));
            is_labelled && is_new
        })
    }

    /// `rows` are those of the version table.
    pub(super) fn read(&self, rows: &[String], seen: &ToolAnswers<'_>) -> Reading {
        let (order, circle) = in_order(self.revisions.keys().map(String::as_str), |id| {
            self.parents(id, true)
        });
        let mut reading = Reading::new(seen.standing(!rows.is_empty()));
        let files = order.iter().filter_map(|id| self.files.get(*id));
        reading.files = files.cloned().collect();
        reading.current = rows.to_vec();
        self.find_broken(&mut reading, &circle);
        let heads = self.heads();
        reading.heads = heads.iter().map(|head| (*head).to_owned()).collect();
        if heads.len() > 1 && !self.are_separate(&heads) {
            let heads = reading.heads.clone();
            reading.find(FindingKind::Heads { heads }, None);
        }
        if rows.is_empty() {
            let is_empty = seen.is_empty;
            reading.find(FindingKind::NotMigrated { is_empty }, None);
        }
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for row in rows {
            match self.revisions.get_key_value(row) {
                Some((id, _)) => done.extend(self.lineage(id, true)),
                None => reading.find(FindingKind::Unknown, Some(row)),
            }
            let behind = rows
                .iter()
                .find(|other| *other != row && self.lineage(other, false).contains(row.as_str()));
            if let Some(with) = behind {
                let with = with.clone();
                reading.find(FindingKind::Overlapping { with }, Some(row));
            }
        }
        let is_unknown = rows.iter().any(|row| !self.revisions.contains_key(row));
        let applied = order.iter().copied().filter(|id| done.contains(id));
        let unknown = rows
            .iter()
            .map(String::as_str)
            .filter(|row| !self.revisions.contains_key(*row));
        reading.applied = applied
            .chain(unknown)
            .map(|id| Applied {
                id: id.to_owned(),
                ..Applied::default()
            })
            .collect();
        if is_unknown {
            let sentence =
                "an unknown revision hides what came before it, so what is pending is not known";
            reading.unseen.push(sentence.to_owned());
            return reading;
        }
        let pending = order.iter().filter(|id| !done.contains(*id));
        reading.pending = pending.map(|id| (*id).to_owned()).collect();
        for id in reading.pending.clone() {
            reading.find(FindingKind::Pending, Some(&id));
        }
        reading
    }

    fn find_broken(&self, reading: &mut Reading, circle: &[&str]) {
        for (id, reason) in &self.broken {
            let reason = reason.clone();
            reading.find(FindingKind::Broken { reason }, id.as_deref());
        }
        for (id, revision) in &self.revisions {
            let missing = revision
                .down
                .iter()
                .find(|down| self.resolve(down).is_none());
            if let Some(missing) = missing {
                let path = &self.files[id].path;
                let reason = format!("{path} comes after {missing}, which no file has");
                reading.find(FindingKind::Broken { reason }, Some(id));
            }
        }
        if !circle.is_empty() {
            let reason = format!(
                "these revisions come after one another in a circle: {}",
                circle.join(", ")
            );
            reading.find(FindingKind::Broken { reason }, None);
        }
    }
}

/// The first line of the file's own text.
fn title(all: &[Statement]) -> Option<String> {
    let text = all.first()?.text()?;
    let line = text.trim().lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// A merge has nothing to undo, and nothing to do.
fn undo(all: &[Statement]) -> Undo {
    let body = |name: &str| {
        let begin = all
            .iter()
            .position(|statement| statement.indent == 0 && statement.begins_with(&["def", name]))?;
        let body = all[begin + 1..]
            .iter()
            .take_while(|statement| statement.indent > 0);
        let mut body = body.peekable();
        // `def downgrade(): pass` is one line.
        if body.peek().is_none() {
            return Some(all[begin].ends_with("pass"));
        }
        Some(body.all(|statement| statement.is_nothing() || statement.begins_with(&["raise"])))
    };
    match (body("upgrade"), body("downgrade")) {
        (Some(true), Some(true)) | (_, Some(false)) => Undo::Present,
        (_, Some(true) | None) => Undo::Absent,
    }
}
