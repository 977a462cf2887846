//! What is in a database: its tables, their columns, and a fingerprint of the values in each. Two pictures tell what was lost.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use database::{Connection, Database, Error, QueryRows as _, Rows, System};

/// A table's name may change, and so may a column's; what the server numbers them by stays. MariaDB tells no such numbers:
/// there they are the names.
type Number = String;

/// Every table, and what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    tables: BTreeMap<Number, Table>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Table {
    /// `schema.table`, or `table` with MariaDB.
    name: String,
    /// What the server stores it in; another one after it was rewritten.
    file: String,
    rows: u64,
    /// In the order of the server.
    columns: Vec<Column>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Column {
    number: Number,
    name: String,
    /// How many rows have a value.
    filled: u64,
    /// Of all values, whatever their order is.
    fingerprint: String,
}

/// Something that was there and is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    Table {
        table: String,
        rows: u64,
    },
    Column {
        table: String,
        column: String,
        filled: u64,
    },
    Rows {
        table: String,
        before: u64,
        after: u64,
    },
    /// Values that are others than before.
    Values {
        table: String,
        column: String,
    },
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::Table { table, rows } => write!(f, "the table {table} with {rows} rows"),
            Loss::Column {
                table,
                column,
                filled,
            } => {
                write!(f, "the column {table}.{column} with {filled} values")
            }
            Loss::Rows {
                table,
                before,
                after,
            } => {
                write!(
                    f,
                    "{} of {before} rows of {table}",
                    before.saturating_sub(*after)
                )
            }
            Loss::Values { table, column } => write!(f, "the values of {table}.{column}"),
        }
    }
}

/// A table that was written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    pub table: String,
    pub rows: u64,
}

impl Picture {
    /// Reads every row of every table but these (`schema.table`). Each table may take as long as `within`.
    pub async fn read(
        database: &Database,
        without: &[String],
        within: Duration,
    ) -> Result<Picture, Error> {
        // A table may take longer to read than an answer usually takes.
        let patient = Database {
            timeout: within,
            ..database.clone()
        };
        let mut connection = patient.connect().await?;
        let sql = match &connection {
            Connection::Postgres(_) => {
                "SELECT c.oid, n.nspname || '.' || c.relname, pg_relation_filenode(c.oid), a.attnum, a.attname,
                        quote_ident(n.nspname) || '.' || quote_ident(c.relname), quote_ident(a.attname)
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                 WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
                   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                                   AND d.objid = c.oid AND d.deptype = 'e')
                 ORDER BY 1, 4"
            }
            Connection::MySql(_) => {
                "SELECT t.table_name, t.table_name, '', c.column_name, c.column_name,
                        concat('`', replace(t.table_name, '`', '``'), '`'),
                        concat('`', replace(c.column_name, '`', '``'), '`')
                 FROM information_schema.tables t JOIN information_schema.columns c
                   ON c.table_schema = t.table_schema AND c.table_name = t.table_name
                 WHERE t.table_schema = database() AND t.table_type = 'BASE TABLE' ORDER BY 1, c.ordinal_position"
            }
        };
        let listed = connection.rows(sql).await?;
        let mut picture = Picture::default();
        for (number, mut table, quoted) in tables(listed) {
            if without.contains(&table.name) {
                continue;
            }
            let system = connection.system();
            let answer = connection.rows(&fingerprint(system, &quoted)).await?;
            table.fill(&answer);
            picture.tables.insert(number, table);
        }
        Ok(picture)
    }

    /// How many rows all tables have.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(|table| table.rows).sum()
    }

    /// Its rows, by its name.
    pub fn rows_of(&self, name: &str) -> u64 {
        let mut tables = self.tables.values();
        tables
            .find(|table| table.name == name)
            .map_or(0, |table| table.rows)
    }

    /// The name of the table that the server numbers so.
    pub(crate) fn name_of(&self, number: &str) -> Option<&str> {
        self.tables.get(number).map(|table| table.name.as_str())
    }

    /// What of this picture is no longer there `after` a change. A table or a column that only has another name is there.
    pub fn lost(&self, after: &Picture) -> Vec<Loss> {
        let find = |number: &String, _: &Table| after.tables.get(number);
        self.missing(find, |before, now| before.number == now.number)
    }

    /// What of this picture was not brought back by the way down: it must be there under its name.
    pub fn not_back(&self, after: &Picture) -> Vec<Loss> {
        let find = |_: &String, before: &Table| {
            let mut tables = after.tables.values();
            tables.find(|table| table.name == before.name)
        };
        self.missing(find, |before, now| before.name == now.name)
    }

    fn missing<'a>(
        &self,
        find: impl Fn(&String, &Table) -> Option<&'a Table>,
        is_same: impl Fn(&Column, &Column) -> bool,
    ) -> Vec<Loss> {
        let mut losses = Vec::new();
        for (number, before) in &self.tables {
            let table = before.name.clone();
            let Some(after) = find(number, before) else {
                let rows = before.rows;
                losses.push(Loss::Table { table, rows });
                continue;
            };
            if after.rows < before.rows {
                losses.push(Loss::Rows {
                    table: table.clone(),
                    before: before.rows,
                    after: after.rows,
                });
            }
            for was in &before.columns {
                let (table, column) = (table.clone(), was.name.clone());
                match after.columns.iter().find(|now| is_same(was, now)) {
                    None => losses.push(Loss::Column {
                        table,
                        column,
                        filled: was.filled,
                    }),
                    // Where rows came or went, the values say nothing.
                    Some(now)
                        if after.rows == before.rows && now.fingerprint != was.fingerprint =>
                    {
                        losses.push(Loss::Values { table, column });
                    }
                    Some(_) => {}
                }
            }
        }
        losses
    }

    /// The tables that were written anew; PostgreSQL's alone.
    pub fn rewritten(&self, after: &Picture) -> Vec<Rewrite> {
        let both = self.tables.iter().filter_map(|(number, table)| {
            let now = after.tables.get(number)?;
            (now.file != table.file).then(|| Rewrite {
                table: table.name.clone(),
                rows: table.rows,
            })
        });
        both.collect()
    }
}

/// The names in quotes: the table's and its columns'.
type Quoted = (String, Vec<String>);

fn tables(listed: Rows) -> Vec<(Number, Table, Quoted)> {
    let mut tables: Vec<(Number, Table, Quoted)> = Vec::new();
    for row in listed.rows {
        let mut cells = row.into_iter();
        let mut cell = || cells.next().flatten();
        let mut text = || cell().unwrap_or_default();
        let (number, name, file, column) = (text(), text(), text(), text());
        let (column_name, quoted, quoted_column) = (text(), text(), text());
        if tables.last().is_none_or(|(last, ..)| *last != number) {
            let table = Table {
                name,
                file,
                ..Table::default()
            };
            tables.push((number, table, (quoted, Vec::new())));
        }
        if let Some((_, table, (_, columns))) = tables.last_mut()
            && !column.is_empty()
        {
            table.columns.push(Column {
                number: column,
                name: column_name,
                ..Column::default()
            });
            columns.push(quoted_column);
        }
    }
    tables
}

/// How many rows there are, and of each column how many have a value, and all values in one number.
fn fingerprint(system: System, (name, columns): &Quoted) -> String {
    let mut sql = "SELECT count(*)".to_owned();
    for column in columns {
        sql.push_str(&match system {
            System::Postgres => format!(
                ", count({column}), coalesce(sum(hashtextextended({column}::text, 0)::numeric), 0)"
            ),
            System::MySql => format!(
                ", count({column}), coalesce(sum(cast(conv(left(md5({column}), 15), 16, 10) AS unsigned)), 0)"
            ),
        });
    }
    sql.push_str(&format!(" FROM {name}"));
    sql
}

impl Table {
    fn fill(&mut self, answer: &Rows) {
        let row = answer.rows.first().map(Vec::as_slice).unwrap_or_default();
        let mut cells = row.iter().map(|cell| cell.as_deref().unwrap_or_default());
        let mut next = || cells.next().unwrap_or_default();
        self.rows = next().parse().unwrap_or(0);
        for column in &mut self.columns {
            column.filled = next().parse().unwrap_or(0);
            next().clone_into(&mut column.fingerprint);
        }
    }
}

/// A name as the lists of tables to leave out have it, from one that may have no schema.
pub(crate) fn in_schema(system: System, name: &str) -> String {
    match system {
        System::Postgres if !name.contains('.') => format!("public.{name}"),
        _ => name.to_owned(),
    }
}
