//! A pending migration as `ddl` reads it, and where its lines are.

use std::path::Path;

use ddl::{Migration, Place, Tool};
use migrations::{Reading, Script};
use model::FoundAt;

use crate::pending;
use crate::readiness_error::ReadinessError;
use crate::session::Session;

/// No migration is larger.
const MAX_BYTES: u64 = 4 << 20;

/// One migration, or several that the tool printed as one text.
#[derive(Debug)]
pub struct Text {
    pub migration: Migration,
    /// The files that were printed, each from this line on; none where the text is the file's own.
    printed: Option<Vec<(usize, String)>>,
}

/// Where something is.
#[derive(Debug)]
pub struct ScriptPosition {
    /// For people.
    pub told: String,
    pub found_at: Option<FoundAt>,
}

impl Text {
    /// A file of this machine.
    pub fn of_file(migration: Migration) -> Text {
        Text {
            migration,
            printed: None,
        }
    }

    pub fn spot(&self, place: Place) -> ScriptPosition {
        let Some(sections) = &self.printed else {
            let file = self.migration.file.clone();
            return ScriptPosition {
                told: format!("{file}:{}:{}", place.line, place.column),
                found_at: Some(FoundAt {
                    file,
                    line: Some((place.line, place.column)),
                }),
            };
        };
        let section = sections.iter().rev().find(|(line, _)| *line <= place.line);
        let file = section.map(|(_, file)| file.clone());
        let name = file.as_ref().unwrap_or(&self.migration.file);
        ScriptPosition {
            told: format!("{name} (line {} of the printed SQL)", place.line),
            found_at: file.map(|file| FoundAt { file, line: None }),
        }
    }
}

/// The SQL of what is pending.
///
/// # Errors
/// Returns why it cannot be had.
pub async fn of_pending(
    session: &Session<'_>,
    reading: &Reading,
) -> Result<Vec<Text>, ReadinessError> {
    let tool = Tool::named(&session.section.tool());
    let scripts = pending::sql(session, reading).await?;
    Ok(scripts
        .into_iter()
        .map(|script| text(session, reading, tool, script))
        .collect())
}

fn text(session: &Session<'_>, reading: &Reading, tool: Tool, script: Script) -> Text {
    let file = reading.file(&script.revision);
    let folder = session.section.directory.as_deref();
    let path = |path: &str| match folder {
        Some(folder) => folder.join(path).display().to_string(),
        None => path.to_owned(),
    };
    let Some(file) = file else {
        let sections = revisions(reading, &script.sql).map(|(line, file)| (line, path(file)));
        let printed = Some(sections.collect());
        let migration = Migration::printed(tool, script.path, &script.sql);
        return Text { migration, printed };
    };
    let path = path(&file.path);
    // The file has more lines than the part of it that is applied.
    let own = files::read_text(Path::new(&path), MAX_BYTES).ok();
    let own = own.filter(|own| own.contains(script.sql.trim()));
    let own = own.and_then(|own| Migration::read(tool, path.clone(), &own).ok());
    let printed = own.is_none().then(|| vec![(1, path.clone())]);
    let migration = own.unwrap_or_else(|| Migration::printed(tool, path, &script.sql));
    let migration = if file.without_transaction {
        migration.without_transaction()
    } else {
        migration
    };
    Text { migration, printed }
}

/// The lines at which alembic says `-- Running upgrade a1 -> b2`, each with the file of the revision.
fn revisions<'r>(reading: &'r Reading, sql: &'r str) -> impl Iterator<Item = (usize, &'r str)> {
    sql.lines().enumerate().filter_map(|(nth, line)| {
        let (_, revision) = line
            .strip_prefix("-- Running upgrade ")?
            .rsplit_once("-> ")?;
        let file = reading.file(revision.trim())?;
        Some((nth + 1, file.path.as_str()))
    })
}
