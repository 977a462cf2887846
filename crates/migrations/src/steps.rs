//! What tools with a line of migrations do with it.

use crate::command::{Pending, Script, UndoError};
use crate::reading::{Migration, Reading, Undo};

/// The SQL of pending files that are SQL.
pub(crate) fn scripts(reading: &Reading) -> Pending {
    let script = |file: &Migration| Script {
        revision: file.id.clone(),
        path: file.path.clone(),
        sql: file.sql.clone().unwrap_or_default(),
    };
    Pending::Scripts(reading.pending_files().map(script).collect())
}

/// The applied migrations behind a revision, the last one first; `None` is the last one alone. Each must
/// have a file with a way back.
pub(crate) fn undo_each<'r>(
    reading: &'r Reading,
    to: Option<&str>,
) -> Result<Vec<&'r Migration>, UndoError> {
    if reading.applied.is_empty() {
        return Err(UndoError::NothingApplied);
    }
    let applied = &reading.applied;
    let from = match to {
        None => applied.len() - 1,
        Some("") => 0,
        Some(to) => {
            let at = applied.iter().position(|one| one.id == to);
            at.ok_or_else(|| UndoError::NotApplied(to.to_owned()))? + 1
        }
    };
    let back = applied[from..].iter().rev().map(|one| {
        let file = reading
            .file(&one.id)
            .ok_or_else(|| UndoError::NoFile(one.id.clone()))?;
        match file.undo {
            Undo::Absent => Err(UndoError::Irreversible(one.id.clone())),
            Undo::Present | Undo::Unknown => Ok(file),
        }
    });
    back.collect()
}
