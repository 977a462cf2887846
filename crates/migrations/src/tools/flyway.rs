//! Flyway: files `V1__name.sql`, repeatable ones `R__name.sql`, and a table with every step, its
//! checksum and whether it succeeded. Read from its documented form; Flyway itself is not in the tests.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use database::System;
use flate2::Crc;
use sections::migrate::Flyway;

use crate::command::{Command, Pending, UndoError};
use crate::error::Error;
use crate::files::{FileRequest, Tree};
use crate::finding::{Finding, FindingKind, Proof};
use crate::handover::{HandedOver, Handover, HandoverError, is_postgres, without_password};
use crate::kinds::Configured;
use crate::line::{LinearHistory, numeric};
use crate::reading::{Applied, Migration, Reading, Undo};
use crate::session::LimitTransport;
use crate::steps::scripts;
use crate::tool::{Tool, usual_next};
use crate::tool_query::{Query, Table, ToolAnswers, cell, is_true, maybe};

impl Configured<Flyway> {
    fn folder(&self) -> &str {
        self.config.folder.as_deref().unwrap_or("sql")
    }

    fn call(&self, word: &str) -> Command {
        let Flyway { table, schema, .. } = &self.config;
        let call = self.config.command.as_ref();
        let mut command = Command::calling::<String>(call, "flyway", []);
        if let Some(folder) = &self.config.folder {
            command = command.and([format!("-locations=filesystem:{folder}")]);
        }
        if let Some(table) = table {
            command = command.and([format!("-table={table}")]);
        }
        if let Some(schema) = schema {
            command = command.and([format!("-defaultSchema={schema}")]);
        }
        command.and([word])
    }
}

/// Versions by their parts: `1.10` comes after `1.9`, and `1.0` is `1`.
fn by_parts(a: &str, b: &str) -> Ordering {
    let parts = |version: &str| -> Vec<String> {
        let mut parts: Vec<String> = version.split(['.', '_']).map(str::to_owned).collect();
        while parts.len() > 1
            && parts
                .last()
                .is_some_and(|part| part.bytes().all(|byte| byte == b'0'))
        {
            parts.pop();
        }
        parts
    };
    let (a, b) = (parts(a), parts(b));
    let pairs = a.iter().zip(&b);
    let first = pairs.map(|(a, b)| {
        short(a)
            .len()
            .cmp(&short(b).len())
            .then_with(|| numeric(short(a), short(b)))
    });
    first
        .fold(Ordering::Equal, Ordering::then)
        .then(a.len().cmp(&b.len()))
}

fn short(part: &str) -> &str {
    let short = part.trim_start_matches('0');
    if short.is_empty() { "0" } else { short }
}

/// One way to write a version.
fn version(text: &str) -> String {
    let text = text.replace('_', ".");
    let mut parts: Vec<&str> = text.split('.').map(short).collect();
    while parts.len() > 1 && parts.last() == Some(&"0") {
        parts.pop();
    }
    parts.join(".")
}

/// CRC-32 over the lines without their ends, as a signed number.
pub(crate) fn checksum(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut crc = Crc::new();
    for line in text.split(['\r', '\n']) {
        crc.update(line.as_bytes());
    }
    crc.sum().cast_signed().to_string()
}

/// A name as Flyway reads it.
struct Name {
    kind: char,
    version: String,
    description: String,
}

impl Name {
    fn of(name: &str) -> Option<Name> {
        let stem = name.strip_suffix(".sql")?;
        let kind = stem.chars().next().filter(|kind| "VRUB".contains(*kind))?;
        let (number, description) = stem[1..].split_once("__")?;
        let is_repeatable = kind == 'R';
        if is_repeatable != number.is_empty() {
            return None;
        }
        Some(Name {
            kind,
            version: version(number),
            description: description.replace('_', " "),
        })
    }
}

/// What the table says, without what was taken back again.
#[derive(Default)]
struct History {
    versions: Vec<Applied>,
    /// The last checksum of each repeatable one, by its description.
    repeatable: BTreeMap<String, Option<String>>,
    failed: Vec<String>,
    baseline: Option<String>,
}

impl History {
    fn of(rows: &[Vec<Option<String>>]) -> History {
        let mut history = History::default();
        for row in rows {
            let (kind, succeeded) = (cell(row, 2), is_true(cell(row, 4)));
            let Some(number) = maybe(row, 0) else {
                // The row of `CREATE SCHEMA` has no version either.
                if kind != "SCHEMA" {
                    if succeeded {
                        history
                            .repeatable
                            .insert(cell(row, 1).to_owned(), maybe(row, 3));
                    } else {
                        history.failed.push(cell(row, 1).to_owned());
                    }
                }
                continue;
            };
            let id = version(&number);
            history.versions.retain(|one| one.id != id);
            history.failed.retain(|one| *one != id);
            match kind {
                "DELETE" | "UNDO_SQL" | "UNDO_JDBC" | "UNDO_SCRIPT" if succeeded => continue,
                "BASELINE" => history.baseline = Some(id.clone()),
                _ if !succeeded => history.failed.push(id.clone()),
                _ => {}
            }
            history.versions.push(Applied {
                id,
                name: Some(cell(row, 1).to_owned()),
                // A failed one may be repaired in its file.
                checksum: maybe(row, 3).filter(|_| succeeded),
                at: maybe(row, 5),
            });
        }
        history
    }
}

impl Tool for Configured<Flyway> {
    fn migration_files(&self, _: &Tree) -> Result<Vec<FileRequest>, Error> {
        Ok(vec![FileRequest::Folder {
            path: self.folder().to_owned(),
            depth: 20,
            names: vec!["*.sql".to_owned()],
            skip: &[".git"],
        }])
    }

    fn queries(&self, system: System, _: &Tree) -> Vec<Query> {
        let Flyway { table, schema, .. } = &self.config;
        let table = table.as_deref().unwrap_or("flyway_schema_history");
        let table = Table::new(schema.as_deref(), table);
        let columns = [
            "version",
            "description",
            "type",
            "checksum",
            "success",
            "installed_on",
        ];
        vec![Query::of(
            table,
            &columns,
            "ORDER BY installed_rank",
            system,
        )]
    }

    fn judge(&self, seen: &ToolAnswers<'_>) -> Result<Reading, Error> {
        seen.files.must_have(self.folder())?;
        let history = History::of(seen.rows(0));
        let (mut files, mut repeatable, mut undone) = (Vec::new(), Vec::new(), Vec::new());
        for (path, within, bytes) in seen.files.below(self.folder()) {
            let Some(name) = Name::of(within.rsplit('/').next().unwrap_or(within)) else {
                continue;
            };
            let file = Migration {
                id: name.version.clone(),
                name: Some(name.description),
                path: path.to_owned(),
                checksum: Some(checksum(bytes)),
                undo: Undo::Absent,
                sql: Some(String::from_utf8_lossy(bytes).into_owned()),
                ..Migration::default()
            };
            match name.kind {
                'V' => files.push(file),
                'R' => repeatable.push(file),
                'U' => undone.push(file),
                _ => {}
            }
        }
        for back in undone {
            if let Some(file) = files.iter_mut().find(|file| file.id == back.id) {
                file.undo = Undo::Present;
                file.undo_sql = back.sql;
            }
        }
        if let Some(baseline) = &history.baseline {
            // What a baseline includes is never applied.
            files.retain(|file| by_parts(&file.id, baseline).is_gt());
        }
        files.sort_by(|a, b| by_parts(&a.id, &b.id));
        let mut applied = history.versions.clone();
        if let Some(baseline) = &history.baseline {
            applied.retain(|one| by_parts(&one.id, baseline).is_ge());
        }
        let baseline = history.baseline.as_ref();
        let of_baseline = applied.iter().position(|one| Some(&one.id) == baseline);
        let of_baseline = of_baseline.map(|at| applied.remove(at));
        let line = LinearHistory {
            applied,
            files,
            order: by_parts,
        };
        let mut reading = line.read(seen);
        if let Some(baseline) = of_baseline {
            if reading.current.is_empty() {
                reading.current.push(baseline.id.clone());
                reading.standing = crate::reading::Tracking::Tracked;
                reading
                    .findings
                    .retain(|finding| !matches!(finding.kind, FindingKind::NotMigrated { .. }));
            }
            reading.applied.insert(0, baseline);
        }
        for id in &history.failed {
            reading.fail(id, None);
        }
        for file in repeatable {
            note_repeatable(&mut reading, file, &history);
        }
        Ok(reading)
    }

    fn apply(&self, _: &Reading) -> Command {
        self.call("migrate")
    }

    fn undo(&self, _: &Reading, _: Option<&str>) -> Result<Vec<Command>, UndoError> {
        Err(UndoError::Paid("Flyway"))
    }

    fn pending_sql(&self, reading: &Reading) -> Pending {
        scripts(reading)
    }

    fn limit_transport(&self, _: System) -> LimitTransport {
        LimitTransport::FlywayInitSql
    }

    fn handover(&self) -> Handover {
        Handover::Own(hand_over)
    }

    fn next(&self, reading: &Reading, finding: &Finding) -> String {
        let call = |word: &str| self.call(word).text();
        match &finding.kind {
            FindingKind::NotMigrated { is_empty: false } => format!(
                "is it the right database? If its tables are those of a version: `{}`",
                call("baseline")
            ),
            FindingKind::OutOfOrder { .. } => format!(
                "Flyway leaves it out: give the file a version after {}, or apply it with `-outOfOrder=true`",
                reading.current.join(", ")
            ),
            FindingKind::Failed { .. } => format!(
                "take back by hand what of it was done, then `{}` and migrate again",
                call("repair")
            ),
            FindingKind::Renamed {
                proof: Proof::Version,
                ..
            } => {
                format!("give the file its old name back, or `{}`", call("repair"))
            }
            _ => usual_next("flyway", &call("migrate"), reading, finding),
        }
    }
}

/// A repeatable migration is applied again whenever its file is another one.
fn note_repeatable(reading: &mut Reading, mut file: Migration, history: &History) {
    let description = file.name.clone().unwrap_or_default();
    file.id.clone_from(&description);
    let is_pending = history.repeatable.get(&description) != Some(&file.checksum);
    reading.files.push(file);
    if is_pending && !history.failed.contains(&description) {
        reading.pending.push(description.clone());
        reading.find(FindingKind::Pending, Some(&description));
    }
}

/// Variables with the URL as JDBC has it, the user and the password.
pub(crate) fn hand_over(url: &str) -> Result<HandedOver, HandoverError> {
    let mut given = HandedOver::default();
    let (mut url, user, password) = without_password(url)?;
    url.set_username("").map_err(|()| HandoverError::Url)?;
    let (scheme, rest) = url.as_str().split_once(':').ok_or(HandoverError::Url)?;
    let system = match scheme {
        scheme if is_postgres(scheme) => "postgresql",
        "mariadb" => "mariadb",
        _ => "mysql",
    };
    given.set("FLYWAY_URL", &format!("jdbc:{system}:{rest}"));
    if let Some(user) = user {
        given.set("FLYWAY_USER", &user);
    }
    if let Some(password) = password {
        given.set("FLYWAY_PASSWORD", &password);
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_in_parts() {
        assert!(by_parts("1.9", "1.10").is_lt());
        assert!(by_parts("2", "1.10").is_gt());
        assert_eq!(by_parts("1.0", "1"), Ordering::Equal);
        assert!(by_parts("1", "1.0.1").is_lt());
        assert_eq!(
            (version("01_2"), version("1.0")),
            ("1.2".to_owned(), "1".to_owned())
        );
        for odd in [
            "V__a.sql",
            "R1__a.sql",
            "X1__a.sql",
            "V1_a.sql",
            "V1__a.txt",
            ".sql",
            "",
        ] {
            assert!(Name::of(odd).is_none(), "{odd}");
        }
    }

    /// The standard's check value, and that line ends and a byte order mark do not count.
    #[test]
    fn a_checksum_is_one_of_lines() {
        let sum = 0xCBF4_3926_u32.cast_signed().to_string();
        for text in [
            "123456789",
            "1234\n56789\n",
            "1234\r\n56789",
            "\u{feff}123456789\n",
        ] {
            assert_eq!(checksum(text.as_bytes()), sum, "{text}");
        }
        assert_ne!(checksum(b"123456789 "), sum);
    }
}
