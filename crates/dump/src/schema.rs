//! A database's schema as text, without what differs between two equal ones.

use database::{Connection, Database, QueryRows, System, identifier, literal};
use similar::TextDiff;
use std::fmt::Write as _;
use std::time::Duration;

use crate::child::Job;
use crate::credentials::Login;
use crate::error::Error;
use crate::programs::{Programs, name};
use crate::take::major;

/// A schema of more text than this is not compared, in bytes.
const MAX_SCHEMA: usize = 256 << 20;
/// How much of a difference is told, in lines.
const MAX_DIFF: usize = 60;

/// A schema as its own system writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema(String);

impl Schema {
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What differs, as `diff -u` writes it, in at most sixty lines; `None` where they are equal, byte for byte.
    pub fn difference(&self, after: &Schema) -> Option<String> {
        if self == after {
            return None;
        }
        let diff = TextDiff::from_lines(self.text(), after.text());
        let text = diff
            .unified_diff()
            .context_radius(3)
            .header("before", "after")
            .to_string();
        let mut lines: Vec<&str> = text.lines().collect();
        let more = lines.len().saturating_sub(MAX_DIFF);
        lines.truncate(MAX_DIFF);
        let mut text = lines.join("\n");
        if more > 0 {
            let _ = write!(text, "\n… {more} lines more");
        }
        Some(text)
    }
}

/// Reads the schema, without these tables (`schema.table`): those that a migration tool keeps for itself.
pub async fn schema(
    database: &Database,
    without: &[String],
    programs: &Programs,
    within: Duration,
) -> Result<Schema, Error> {
    match database.address.system {
        System::Postgres => of_postgres(database, without, programs, within).await,
        System::MySql => of_mysql(database, without).await,
    }
}

async fn of_postgres(
    database: &Database,
    without: &[String],
    programs: &Programs,
    within: Duration,
) -> Result<Schema, Error> {
    let program = programs
        .postgres(major(database).await?)
        .await?
        .program("pg_dump");
    let login = Login::postgres(database, programs).await?;
    let mut command = programs.command(&program);
    login.with_postgres(&mut command);
    command.arg("--schema-only");
    for schema in schemas_of(database, without).await? {
        let quoted = identifier(System::Postgres, &schema);
        command.arg(format!("--exclude-schema={quoted}"));
    }
    let mut without = without.to_vec();
    without.extend(counters(database, &without).await?);
    for table in without {
        // A pattern, in which only what is in quotes is a name.
        let quoted: Vec<String> = table
            .splitn(2, '.')
            .map(|part| identifier(System::Postgres, part))
            .collect();
        command.arg(format!("--exclude-table={}", quoted.join(".")));
    }
    let job = Job {
        name: name(&program),
        command,
        within,
    };
    let text = job.output(MAX_SCHEMA).await?;
    Ok(Schema(normal(&String::from_utf8_lossy(&text))))
}

/// The schemas that have nothing but these tables: a tool makes one for itself, and leaves it there.
async fn schemas_of(database: &Database, tables: &[String]) -> Result<Vec<String>, Error> {
    let schemas = tables.iter().filter_map(|table| table.split_once('.'));
    let schemas: Vec<String> = schemas
        .filter(|(schema, _)| *schema != "public")
        .map(|(schema, _)| literal(System::Postgres, schema))
        .collect();
    if schemas.is_empty() {
        return Ok(Vec::new());
    }
    let tables: Vec<String> = tables
        .iter()
        .map(|table| literal(System::Postgres, table))
        .collect();
    let sql = format!(
        "SELECT n.nspname FROM pg_namespace n WHERE n.nspname IN ({})
         AND NOT EXISTS (SELECT 1 FROM pg_proc p WHERE p.pronamespace = n.oid)
         AND NOT EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
             AND n.nspname || '.' || c.relname NOT IN ({}))",
        schemas.join(", "),
        tables.join(", ")
    );
    let answer = database.postgres().await?.rows(&sql).await?;
    Ok(answer.first().map(str::to_owned).collect())
}

/// The sequences of these tables: `pg_dump` does not leave them out with their table.
async fn counters(database: &Database, tables: &[String]) -> Result<Vec<String>, Error> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let tables: Vec<String> = tables
        .iter()
        .map(|table| literal(System::Postgres, table))
        .collect();
    let sql = format!(
        "SELECT sn.nspname || '.' || s.relname FROM pg_depend d
         JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
         JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
         WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
         AND tn.nspname || '.' || t.relname IN ({})",
        tables.join(", ")
    );
    let answer = database.postgres().await?.rows(&sql).await?;
    Ok(answer.first().map(str::to_owned).collect())
}

/// Without versions, and the tokens that are made anew each time.
fn normal(text: &str) -> String {
    const NOT: [&str; 4] = [
        "-- Dumped from database version ",
        "-- Dumped by pg_dump version ",
        "\\restrict ",
        "\\unrestrict ",
    ];
    let lines = text.split_inclusive('\n');
    lines
        .filter(|line| !NOT.iter().any(|start| line.starts_with(start)))
        .collect()
}

async fn of_mysql(database: &Database, without: &[String]) -> Result<Schema, Error> {
    let mut connection = database.connect().await?;
    let schema = literal(System::MySql, database.address.database_name());
    // The kind of an object, and what names all of it.
    let kinds = [
        (
            "TABLE",
            format!(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = {schema} AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY 1"
            ),
        ),
        (
            "VIEW",
            format!(
                "SELECT table_name FROM information_schema.views WHERE table_schema = {schema} ORDER BY 1"
            ),
        ),
        (
            "SEQUENCE",
            format!(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = {schema} AND table_type = 'SEQUENCE' ORDER BY 1"
            ),
        ),
        (
            "TRIGGER",
            format!(
                "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = {schema} ORDER BY 1"
            ),
        ),
        (
            "PROCEDURE",
            format!(
                "SELECT routine_name FROM information_schema.routines WHERE routine_schema = {schema} AND routine_type = 'PROCEDURE' ORDER BY 1"
            ),
        ),
        (
            "FUNCTION",
            format!(
                "SELECT routine_name FROM information_schema.routines WHERE routine_schema = {schema} AND routine_type = 'FUNCTION' ORDER BY 1"
            ),
        ),
        (
            "EVENT",
            format!(
                "SELECT event_name FROM information_schema.events WHERE event_schema = {schema} ORDER BY 1"
            ),
        ),
    ];
    let mut text = String::new();
    for (kind, names) in kinds {
        let names = connection.rows(&names).await?;
        for name in names.first() {
            if without.iter().any(|table| table == name) {
                continue;
            }
            let made = create_statement(&mut connection, kind, name).await?;
            let _ = writeln!(text, "-- {kind} {name}\n{made};\n");
            if text.len() > MAX_SCHEMA {
                return Err(database::Error::TooLarge(MAX_SCHEMA).into());
            }
        }
    }
    Ok(Schema(text))
}

async fn create_statement(
    connection: &mut Connection,
    kind: &str,
    name: &str,
) -> Result<String, Error> {
    let name = identifier(System::MySql, name);
    let answer = connection
        .rows(&format!("SHOW CREATE {kind} {name}"))
        .await?;
    let is_made =
        |column: &String| column.starts_with("Create ") || column == "SQL Original Statement";
    let at = answer.columns.iter().position(is_made);
    let cell = at.and_then(|at| answer.rows.first()?.get(at)?.clone());
    // A routine's text is not shown to those who may not read it.
    let Some(text) = cell else {
        return Err(Error::Unfit(format!(
            "{kind} {name}: the user may not see how it is made"
        )));
    };
    Ok(without_counter(&text))
}

/// `AUTO_INCREMENT=17` counts rows.
fn without_counter(text: &str) -> String {
    let Some((before, rest)) = text.split_once(" AUTO_INCREMENT=") else {
        return text.to_owned();
    };
    format!(
        "{before}{}",
        rest.trim_start_matches(|c: char| c.is_ascii_digit())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_equal_schemas_is_left_out() {
        let text = "--\n\\restrict x1\n-- Dumped from database version 15.1\nCREATE TABLE t ();\n\\unrestrict x1\n";
        assert_eq!(normal(text), "--\nCREATE TABLE t ();\n");
        assert_eq!(
            without_counter(
                "CREATE TABLE `t` (\n) ENGINE=InnoDB AUTO_INCREMENT=17 DEFAULT CHARSET=utf8mb4"
            ),
            "CREATE TABLE `t` (\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
        );
    }

    #[test]
    fn a_difference_is_bounded() {
        let long = |end: &str| Schema(format!("{end}\n").repeat(500));
        assert_eq!(long("a").difference(&long("a")), None);
        let told = long("a").difference(&long("b")).unwrap();
        assert_eq!(told.lines().count(), MAX_DIFF + 1, "{told}");
        assert!(told.ends_with("lines more"), "{told}");
    }
}
