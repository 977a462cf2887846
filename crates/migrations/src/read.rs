//! Fetches what a tool needs, and lets it make its reading.

use database::{QueryRows, Rows, System, literal};
use place::Effect;
use remote::with_variables;

use crate::error::Error;
use crate::files;
use crate::finding::FindingKind;
use crate::reading::Reading;
use crate::site::ToolSite;
use crate::tool::Tool;
use crate::tool_query::{Query, Table, ToolAnswers, cell, is_true};

/// Reads the tables and the files. Nothing is changed, and no table is made.
///
/// # Errors
/// Returns an error if the database or the files cannot be read: then nothing is known.
pub async fn read(
    tool: &dyn Tool,
    at: &ToolSite<'_>,
    database: &mut impl QueryRows,
    system: System,
) -> Result<Reading, Error> {
    let mut tree = files::fetch(at, &tool.settings()).await?;
    let wanted = tool.migration_files(&tree)?;
    tree.add(files::fetch(at, &wanted).await?);
    let lines = match tool.prints() {
        Some(command) => {
            let text = with_variables(command);
            let printed = at
                .places
                .must(at.place, "`pending`", &text, Effect::Changes, at.timeout);
            let printed = printed.await.map_err(Error::Files)?;
            let lines = printed.lines().map(str::trim);
            lines
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect()
        }
        None => Vec::new(),
    };
    let queries = tool.queries(system, &tree);
    let mut answers = Vec::new();
    for query in &queries {
        answers.push(fetch_rows(tool, query, database, system).await?);
    }
    let tables = queries.iter().filter_map(|query| query.table.as_ref());
    let tables = tables.map(|table| table.name.as_str());
    let own = tables.chain(tool.own_tables().iter().copied());
    let is_empty = has_no_others(own, database, system).await?;
    let mut reading = tool.judge(&ToolAnswers {
        system,
        files: &tree,
        answers: &answers,
        is_empty,
        lines: &lines,
    })?;
    if is_nothing_to_do(&reading) {
        reading.findings.clear();
        let sentence = "the files have no migration: is the folder the right one?";
        reading.unseen.push(sentence.to_owned());
    }
    for nth in 0..reading.findings.len() {
        reading.findings[nth].next = tool.next(&reading, &reading.findings[nth]);
    }
    Ok(reading)
}

/// A project before its first migration: the database is empty, and so is the folder.
fn is_nothing_to_do(reading: &Reading) -> bool {
    let empty = FindingKind::NotMigrated { is_empty: true };
    let is_told = reading.findings.iter().all(|finding| finding.kind == empty);
    !reading.findings.is_empty() && is_told && reading.files.is_empty()
}

/// The tables that the tool keeps for itself. No database is asked.
///
/// # Errors
/// Returns an error if the files cannot be read: they may name the table.
pub async fn own_tables(
    tool: &dyn Tool,
    at: &ToolSite<'_>,
    system: System,
) -> Result<Vec<Table>, Error> {
    let mut tree = files::fetch(at, &tool.settings()).await?;
    let wanted = tool.migration_files(&tree)?;
    tree.add(files::fetch(at, &wanted).await?);
    let queries = tool.queries(system, &tree).into_iter();
    let mut tables: Vec<Table> = queries.filter_map(|query| query.table).collect();
    let further = tool.own_tables().iter();
    let schema = tables.first().and_then(|table| table.schema.clone());
    tables.extend(further.map(|name| Table::new(schema.as_deref(), name)));
    Ok(tables)
}

/// The rows; `None` where the table does not exist.
async fn fetch_rows(
    tool: &dyn Tool,
    query: &Query,
    database: &mut impl QueryRows,
    system: System,
) -> Result<Option<Rows>, Error> {
    let cause = match database.rows(&query.sql).await {
        Ok(rows) => return Ok(Some(rows)),
        Err(cause) => cause,
    };
    let Some(table) = &query.table else {
        return Err(Error::Query {
            key: "current",
            cause,
        });
    };
    match cause.code() {
        Some("42P01" | "3F000" | "1146" | "1049") => {
            not_elsewhere(table, database, system).await?;
            Ok(None)
        }
        Some(_) if cause.is_denied() => Err(Error::Denied {
            table: table.to_string(),
            cause,
        }),
        Some("42703" | "1054") => Err(Error::Foreign {
            table: table.to_string(),
            tool: tool.name(),
            cause,
        }),
        _ => Err(Error::Database(cause)),
    }
}

/// PostgreSQL does not tell a table that does not exist from one in a schema where the connection does
/// not look, or may not.
async fn not_elsewhere(
    table: &Table,
    database: &mut impl QueryRows,
    system: System,
) -> Result<(), Error> {
    if system != System::Postgres {
        return Ok(());
    }
    let mut sql = format!(
        "SELECT n.nspname, has_schema_privilege(n.oid, 'USAGE') \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v') AND c.relname = {}",
        literal(system, &table.name)
    );
    if let Some(schema) = &table.schema {
        sql.push_str(&format!(" AND n.nspname = {}", literal(system, schema)));
    }
    let rows = database.rows(&format!("{sql} ORDER BY 1")).await;
    let rows = rows.map_err(Error::Database)?;
    if let [row] = &rows.rows[..]
        && !is_true(cell(row, 1))
    {
        return Err(Error::NoUsage {
            table: table.name.clone(),
            schema: cell(row, 0).to_owned(),
        });
    }
    let schemas: Vec<String> = rows.first().map(str::to_owned).collect();
    if schemas.is_empty() {
        return Ok(());
    }
    Err(Error::Elsewhere {
        table: table.to_string(),
        schemas,
    })
}

/// Whether the database has no tables but these. Those of extensions do not count.
async fn has_no_others<'t>(
    tables: impl Iterator<Item = &'t str>,
    database: &mut impl QueryRows,
    system: System,
) -> Result<bool, Error> {
    let names: Vec<String> = tables.map(|table| literal(system, table)).collect();
    let (from, name) = match system {
        System::Postgres => (
            "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' \
             AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d \
             WHERE d.objid = c.oid AND d.deptype = 'e')",
            "c.relname",
        ),
        System::MySql => (
            "information_schema.tables WHERE table_schema = DATABASE()",
            "table_name",
        ),
    };
    let except = if names.is_empty() {
        String::new()
    } else {
        format!(" AND {name} NOT IN ({})", names.join(", "))
    };
    let sql = format!("SELECT 1 FROM {from}{except} LIMIT 1");
    let rows = database.rows(&sql);
    Ok(rows.await.map_err(Error::Database)?.is_empty())
}
