//! The shape of a schema, as far as a program that uses it can break on it: tables, and columns with their
//! types.

use std::collections::BTreeMap;

use crate::address::System;
use crate::error::Error;
use crate::rows::{QueryRows, Rows};

/// A column, as the database tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    form: String,
    /// Its length or precision, where it has one.
    size: Option<u64>,
    is_nullable: bool,
    /// It has a value where none is given.
    fills_itself: bool,
}

/// Every table's columns, by `schema.table` and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape(BTreeMap<String, BTreeMap<String, Column>>);

/// Why a program that worked on a schema may not work on the one after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Break {
    TableGone {
        table: String,
    },
    ColumnGone {
        table: String,
        column: String,
    },
    /// Values that it writes or reads have another form.
    TypeChanged {
        table: String,
        column: String,
        from: String,
        to: String,
    },
    Narrower {
        table: String,
        column: String,
        from: u64,
        to: u64,
    },
    /// A row that it writes as before is refused.
    Demanded {
        table: String,
        column: String,
    },
}

impl std::fmt::Display for Break {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Break::TableGone { table } => write!(f, "the table {table} is gone"),
            Break::ColumnGone { table, column } => write!(f, "the column {table}.{column} is gone"),
            Break::TypeChanged {
                table,
                column,
                from,
                to,
            } => {
                write!(f, "the column {table}.{column} was {from} and is {to}")
            }
            Break::Narrower {
                table,
                column,
                from,
                to,
            } => {
                write!(
                    f,
                    "the column {table}.{column} holds {to} instead of {from}"
                )
            }
            Break::Demanded { table, column } => {
                write!(f, "the column {table}.{column} demands a value")
            }
        }
    }
}

impl Shape {
    /// Reads the tables and views that are not the system's own.
    pub async fn read(database: &mut impl QueryRows, system: System) -> Result<Shape, Error> {
        let sql = match system {
            System::Postgres => {
                "SELECT table_schema || '.' || table_name, column_name,
                   CASE data_type WHEN 'USER-DEFINED' THEN udt_schema || '.' || udt_name WHEN 'ARRAY' THEN udt_name ELSE data_type END,
                   coalesce(character_maximum_length, numeric_precision)::text, is_nullable,
                   (column_default IS NOT NULL OR is_identity = 'YES' OR is_generated = 'ALWAYS')::int::text
                 FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
            }
            System::MySql => {
                "SELECT concat(table_schema, '.', table_name), column_name, data_type,
                   coalesce(character_maximum_length, numeric_precision), is_nullable,
                   column_default IS NOT NULL OR extra <> ''
                 FROM information_schema.columns WHERE table_schema = DATABASE()"
            }
        };
        Ok(Shape::of(database.rows(sql).await?))
    }

    fn of(rows: Rows) -> Shape {
        let mut shape = Shape::default();
        for row in rows.rows {
            let mut cells = row.into_iter();
            let mut next = || cells.next().flatten();
            let (table, name) = (next().unwrap_or_default(), next().unwrap_or_default());
            let column = Column {
                form: next().unwrap_or_default(),
                size: next().and_then(|size| size.parse().ok()),
                is_nullable: next().as_deref() == Some("YES"),
                fills_itself: next().as_deref() == Some("1"),
            };
            shape.0.entry(table).or_default().insert(name, column);
        }
        shape
    }

    /// There is no table.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a program that worked on this shape may break on in the one `after`. Rules that a constraint
    /// adds are not seen.
    pub fn breaks(&self, after: &Shape) -> Vec<Break> {
        let mut breaks = Vec::new();
        for (table, columns) in &self.0 {
            let Some(now) = after.0.get(table) else {
                breaks.push(Break::TableGone {
                    table: table.clone(),
                });
                continue;
            };
            for (column, before) in columns {
                let (table, column) = (table.clone(), column.clone());
                match now.get(&column) {
                    None => breaks.push(Break::ColumnGone { table, column }),
                    Some(now) => breaks.extend(changed(table, column, before, now)),
                }
            }
            let added = now.iter().filter(|(name, _)| !columns.contains_key(*name));
            for (column, _) in added.filter(|(_, column)| column.demands()) {
                breaks.push(Break::Demanded {
                    table: table.clone(),
                    column: column.clone(),
                });
            }
        }
        breaks
    }
}

impl Column {
    fn demands(&self) -> bool {
        !self.is_nullable && !self.fills_itself
    }
}

fn changed(table: String, column: String, before: &Column, now: &Column) -> Option<Break> {
    // PostgreSQL stores both in the same way where none has a length.
    let is_text = before.form == "text" && now.form == "character varying" && now.size.is_none();
    if before.form != now.form && !is_text && !is_wider(&before.form, &now.form) {
        let (from, to) = (before.form.clone(), now.form.clone());
        return Some(Break::TypeChanged {
            table,
            column,
            from,
            to,
        });
    }
    if let (Some(from), Some(to)) = (before.size, now.size)
        && to < from
    {
        return Some(Break::Narrower {
            table,
            column,
            from,
            to,
        });
    }
    if now.demands() && !before.demands() {
        return Some(Break::Demanded { table, column });
    }
    None
}

/// Whether all that fits the one fits the other, read and written in the same form.
fn is_wider(from: &str, to: &str) -> bool {
    const WIDER: &[(&str, &[&str])] = &[
        ("character varying", &["text"]),
        ("varchar", &["text", "mediumtext", "longtext"]),
        ("text", &["mediumtext", "longtext"]),
        ("smallint", &["integer", "bigint"]),
        ("integer", &["bigint"]),
        ("int", &["bigint"]),
    ];
    let mut wider = WIDER.iter().filter(|(form, _)| *form == from);
    wider.any(|(_, wider)| wider.contains(&to))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told<'t> = (&'t str, &'t str, &'t str, Option<&'t str>, &'t str, &'t str);

    fn shape(columns: &[Told<'_>]) -> Shape {
        let row = |(table, name, form, size, null, fills): &Told<'_>| {
            let cells = [
                Some(*table),
                Some(*name),
                Some(*form),
                *size,
                Some(*null),
                Some(*fills),
            ];
            cells.map(|cell| cell.map(str::to_owned)).to_vec()
        };
        Shape::of(Rows {
            columns: Vec::new(),
            rows: columns.iter().map(row).collect(),
        })
    }

    fn break_messages(before: &[Told<'_>], after: &[Told<'_>]) -> Vec<String> {
        let breaks = shape(before).breaks(&shape(after));
        breaks.iter().map(ToString::to_string).collect()
    }

    const ID: Told<'static> = ("s.t", "id", "integer", Some("32"), "NO", "1");
    const NOTE: Told<'static> = ("s.t", "note", "character varying", Some("20"), "YES", "0");

    #[test]
    fn what_only_adds_or_widens_breaks_nothing() {
        let after = [
            ("s.t", "id", "bigint", Some("64"), "NO", "1"),
            ("s.t", "note", "text", None, "YES", "0"),
            ("s.t", "added", "text", None, "YES", "0"),
            ("s.t", "filled", "text", None, "NO", "1"),
            ("s.u", "id", "integer", Some("32"), "NO", "0"),
        ];
        assert_eq!(break_messages(&[ID, NOTE], &after), Vec::<String>::new());
    }

    #[test]
    fn what_is_gone_changed_narrower_or_demanded_is_told() {
        assert_eq!(break_messages(&[ID, NOTE], &[]), ["the table s.t is gone"]);
        assert_eq!(
            break_messages(&[ID, NOTE], &[ID]),
            ["the column s.t.note is gone"]
        );
        let narrow = ("s.t", "note", "character varying", Some("10"), "YES", "0");
        assert_eq!(
            break_messages(&[ID, NOTE], &[ID, narrow]),
            ["the column s.t.note holds 10 instead of 20"]
        );
        let other = ("s.t", "note", "integer", Some("32"), "YES", "0");
        assert_eq!(
            break_messages(&[ID, NOTE], &[ID, other]),
            ["the column s.t.note was character varying and is integer"]
        );
        let strict = ("s.t", "note", "character varying", Some("20"), "NO", "0");
        assert_eq!(
            break_messages(&[ID, NOTE], &[ID, strict]),
            ["the column s.t.note demands a value"]
        );
        let new = ("s.t", "tenant", "integer", Some("32"), "NO", "0");
        assert_eq!(
            break_messages(&[ID, NOTE], &[ID, NOTE, new]),
            ["the column s.t.tenant demands a value"]
        );
    }
}
