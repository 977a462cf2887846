//! The reading of a tool whose migrations are one line of versions or names.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{FindingKind, Proof};
use crate::reading::{Applied, Migration, Reading};
use crate::tool_query::ToolAnswers;

/// What a tool found, before anybody compared it.
pub(crate) struct LinearHistory {
    /// In the order in which they were applied.
    pub(crate) applied: Vec<Applied>,
    /// In the tool's order.
    pub(crate) files: Vec<Migration>,
    /// Which of two ids comes later.
    pub(crate) order: fn(&str, &str) -> Ordering,
}

impl LinearHistory {
    pub(crate) fn read(self, seen: &ToolAnswers<'_>) -> Reading {
        let LinearHistory {
            applied,
            files,
            order,
        } = self;
        let mut reading = Reading::new(seen.standing(!applied.is_empty()));
        reading.files = files;
        reading.applied = applied;
        let last = reading.files.last().map(|file| file.id.clone());
        reading.heads = last.into_iter().collect();
        twice(&mut reading);
        if reading.applied.is_empty() {
            let is_empty = seen.is_empty;
            reading.find(FindingKind::NotMigrated { is_empty }, None);
        }
        let done: BTreeSet<String> = ids(&reading.applied);
        let in_files: BTreeSet<String> = reading.files.iter().map(|file| file.id.clone()).collect();
        let pending: Vec<Migration> = reading
            .files
            .iter()
            .filter(|file| !done.contains(&file.id))
            .cloned()
            .collect();
        changed(&mut reading);
        let unknown: Vec<Applied> = reading
            .applied
            .iter()
            .filter(|applied| !in_files.contains(&applied.id))
            .cloned()
            .collect();
        let common = |ids: &BTreeSet<String>| {
            let both = ids.iter().filter(|id| done.contains(*id));
            both.max_by(|a, b| order(a, b)).cloned()
        };
        let last_common = common(&in_files);
        let is_behind = |id: &str, of: &Option<String>| {
            of.as_deref()
                .is_none_or(|of| order(id, of) == Ordering::Greater)
        };
        // Those that could be in the place of an unknown one.
        let open: Vec<&Migration> = pending
            .iter()
            .filter(|file| is_behind(&file.id, &last_common))
            .collect();
        for one in &unknown {
            let kind = if let Some((to, proof)) = match_pending(one, &unknown, &pending) {
                FindingKind::Renamed { to, proof }
            } else if !is_behind(&one.id, &last_common) {
                in_the_gap(one, &reading, &pending, order)
            } else if open.is_empty() {
                FindingKind::Ahead
            } else if let ([file], 1) = (&open[..], unknown.len()) {
                let to = file.path.clone();
                let proof = Proof::Place;
                FindingKind::Renamed { to, proof }
            } else {
                let instead = open.iter().map(|file| file.id.clone()).collect();
                FindingKind::Diverged { instead }
            };
            reading.find(kind, Some(&one.id));
        }
        for file in &pending {
            let later = done.iter().filter(|id| in_files.contains(*id));
            let after = later
                .filter(|id| order(id, &file.id) == Ordering::Greater)
                .min_by(|a, b| order(a, b));
            let kind = match after {
                Some(after) => FindingKind::OutOfOrder {
                    after: after.clone(),
                },
                None => FindingKind::Pending,
            };
            reading.find(kind, Some(&file.id));
        }
        reading.pending = pending.into_iter().map(|file| file.id).collect();
        let last = reading.applied.iter().max_by(|a, b| order(&a.id, &b.id));
        reading.current = last.map(|last| last.id.clone()).into_iter().collect();
        reading
    }
}

fn ids(applied: &[Applied]) -> BTreeSet<String> {
    applied.iter().map(|applied| applied.id.clone()).collect()
}

/// Two files of one id: the tool refuses, or takes one of them.
fn twice(reading: &mut Reading) {
    let mut paths: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in &reading.files {
        paths.entry(&file.id).or_default().push(&file.path);
    }
    let several = paths.iter().filter(|(_, paths)| paths.len() > 1);
    let broken: Vec<(String, String)> = several
        .map(|(id, paths)| {
            let reason = format!("{id} is the id of several files: {}", paths.join(", "));
            ((*id).to_owned(), reason)
        })
        .collect();
    for (id, reason) in broken {
        reading.find(FindingKind::Broken { reason }, Some(&id));
    }
}

/// Files whose checksum is not the recorded one, or whose name is not.
fn changed(reading: &mut Reading) {
    let mut faults = Vec::new();
    for one in &reading.applied {
        let Some(file) = reading.file(&one.id) else {
            continue;
        };
        if let (Some(recorded), Some(found)) = (&one.checksum, &file.checksum)
            && recorded != found
        {
            let (recorded, found) = (recorded.clone(), found.clone());
            faults.push((one.id.clone(), FindingKind::Changed { recorded, found }));
        }
        if let (Some(name), Some(now)) = (&one.name, &file.name)
            && name != now
        {
            let (to, proof) = (file.path.clone(), Proof::Version);
            faults.push((one.id.clone(), FindingKind::Renamed { to, proof }));
        }
    }
    for (id, kind) in faults {
        reading.find(kind, Some(&id));
    }
}

/// The pending file that is known to be an applied one.
fn match_pending(
    one: &Applied,
    unknown: &[Applied],
    pending: &[Migration],
) -> Option<(String, Proof)> {
    type Key<T> = fn(&T) -> Option<&String>;
    let by = |proof, of_row: Key<Applied>, of_file: Key<Migration>| {
        let key = of_row(one)?;
        let mut files = pending.iter().filter(|file| of_file(file) == Some(key));
        let rows = unknown.iter().filter(|row| of_row(row) == Some(key));
        // Two of one content, such as two empty files, prove nothing.
        match (files.next(), files.next(), rows.count()) {
            (Some(file), None, 1) => Some((file.path.clone(), proof)),
            _ => None,
        }
    };
    let content = || {
        by(
            Proof::Checksum,
            |row| row.checksum.as_ref(),
            |file| file.checksum.as_ref(),
        )
    };
    let name = || {
        by(
            Proof::Name,
            |row| row.name.as_ref(),
            |file| file.name.as_ref(),
        )
    };
    content().or_else(name)
}

/// What an unknown one is that others which are known come after: gone, or renamed where exactly one
/// pending file is between the same neighbours.
fn in_the_gap(
    one: &Applied,
    reading: &Reading,
    pending: &[Migration],
    order: fn(&str, &str) -> Ordering,
) -> FindingKind {
    let known = || {
        let applied = reading.applied.iter().map(|applied| applied.id.as_str());
        applied.filter(|id| reading.file(id).is_some())
    };
    let before = known()
        .filter(|id| order(id, &one.id).is_lt())
        .max_by(|a, b| order(a, b));
    let after = known()
        .filter(|id| order(id, &one.id).is_gt())
        .min_by(|a, b| order(a, b));
    let mut between = pending.iter().filter(|file| {
        before.is_none_or(|before| order(&file.id, before).is_gt())
            && after.is_none_or(|after| order(&file.id, after).is_lt())
    });
    match (between.next(), between.next()) {
        (Some(file), None) => FindingKind::Renamed {
            to: file.path.clone(),
            proof: Proof::Place,
        },
        _ => FindingKind::Unknown,
    }
}

/// Numbers of any length, whatever zeros begin them; texts otherwise.
pub(crate) fn numeric(a: &str, b: &str) -> Ordering {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(a) || !is_number(b) {
        return a.cmp(b);
    }
    let (short_a, short_b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    let by_number = short_a.len().cmp(&short_b.len()).then(short_a.cmp(short_b));
    by_number.then(a.cmp(b))
}

/// As text.
pub(crate) fn textual(a: &str, b: &str) -> Ordering {
    a.cmp(b)
}
