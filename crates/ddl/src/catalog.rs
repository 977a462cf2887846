//! What is known of a database before a migration, and after each of its statements.

use std::collections::{BTreeMap, BTreeSet};

use crate::Name;
use crate::column_type::ColumnType;

/// One query whose rows [`Catalog::from_rows`] reads: seven columns of text, of every relation that
/// a user made. It reads PostgreSQL's own tables and locks nothing that a user made.
pub const QUERY: &str = include_str!("catalog.sql");

/// What parts the names of a list in a row.
const SEPARATOR: char = '\u{1f}';

/// The relations of a database. Without the server's rows nothing is known, and a statement is told
/// as if all that it names were there.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Whether what is not in here does not exist.
    complete: bool,
    relations: BTreeMap<Name, Relation>,
    /// With the table of each.
    indexes: BTreeMap<Name, Name>,
    /// By their names without the schema, as the types of columns have them.
    types: BTreeMap<String, UserType>,
    /// What the migration that is looked at has made, though it may be gone again.
    fresh: BTreeSet<Name>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Relation {
    pub(crate) kind: Kind,
    pub(crate) columns: BTreeMap<String, Column>,
    pub(crate) constraints: BTreeMap<String, Constraint>,
    /// Its partitions, or the tables that inherit from it.
    pub(crate) children: BTreeSet<Name>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Table,
    Partitioned,
    View,
    MaterializedView,
    Sequence,
    Foreign,
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) kind: ColumnType,
    pub(crate) required: bool,
    pub(crate) default: bool,
    /// The migration that is looked at has made it.
    pub(crate) fresh: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Constraint {
    pub(crate) rule: Rule,
    pub(crate) columns: BTreeSet<String>,
    pub(crate) valid: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// With the columns that cannot be null where it holds.
    Check {
        not_null: BTreeSet<String>,
    },
    Foreign {
        to: Name,
    },
    /// A key or an exclusion, which has an index of its name.
    Key,
    Other,
}

/// What a type of the user's own means for a column that gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserType {
    Plain,
    /// A domain with constraints: even no value must be checked in each row.
    CheckedDomain,
}

impl Catalog {
    /// Reads the answer to [`QUERY`]. A row that does not parse is skipped.
    pub fn from_rows<R: AsRef<[Option<String>]>>(rows: impl IntoIterator<Item = R>) -> Catalog {
        let mut catalog = Catalog {
            complete: true,
            ..Catalog::default()
        };
        for row in rows {
            let mut cells = row
                .as_ref()
                .iter()
                .map(|cell| cell.clone().unwrap_or_default());
            let mut next = || cells.next().unwrap_or_default();
            let (kind, name) = (next(), Name::new(next(), next()));
            catalog.take(&kind, name, [next(), next(), next(), next()]);
        }
        catalog
    }

    fn take(&mut self, kind: &str, name: Name, details: [String; 4]) {
        let [first, second, third, fourth] = details;
        let rule = match kind {
            "index" => {
                self.indexes.insert(name, Name::new(first, second));
                return;
            }
            "type" => {
                let checked = first == "checked";
                let kind = if checked {
                    UserType::CheckedDomain
                } else {
                    UserType::Plain
                };
                self.types.insert(name.name, kind);
                return;
            }
            "relation" => {
                self.relations.entry(name).or_default().kind = kind_of(&first);
                return;
            }
            "child" => {
                let parent = self.relations.entry(name).or_default();
                parent.children.insert(Name::new(first, second));
                return;
            }
            "column" => {
                let column = Column {
                    kind: ColumnType::read(&second),
                    required: third.contains("required"),
                    default: third.contains("default"),
                    fresh: false,
                };
                let relation = self.relations.entry(name).or_default();
                relation.columns.insert(first, column);
                return;
            }
            "check" => Rule::Check {
                not_null: not_null_by(&third),
            },
            "foreign" => {
                let (schema, table) = third.split_once(SEPARATOR).unwrap_or_default();
                Rule::Foreign {
                    to: Name::new(schema, table),
                }
            }
            "key" => Rule::Key,
            _ => Rule::Other,
        };
        let constraint = Constraint {
            rule,
            columns: list(&second),
            valid: fourth != "false",
        };
        let relation = self.relations.entry(name).or_default();
        relation.constraints.insert(first, constraint);
    }

    /// Whether a relation may be there.
    pub(crate) fn may_have(&self, name: &Name) -> bool {
        !self.complete || self.relations.contains_key(name)
    }

    pub(crate) fn may_have_index(&self, name: &Name) -> bool {
        !self.complete || self.indexes.contains_key(name)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(crate) fn get(&self, name: &Name) -> Option<&Relation> {
        self.relations.get(name)
    }

    /// For a change; what was not known is taken down as it becomes known.
    pub(crate) fn change(&mut self, name: &Name) -> &mut Relation {
        self.relations.entry(name.clone()).or_default()
    }

    pub(crate) fn fresh(&self, name: &Name) -> bool {
        let table = self.indexes.get(name).unwrap_or(name);
        self.fresh.contains(table)
    }

    /// Takes down a relation that no release has seen yet.
    pub(crate) fn make(&mut self, name: &Name, kind: Kind) {
        self.drop_relation(name);
        self.change(name).kind = kind;
        self.fresh.insert(name.clone());
    }

    pub(crate) fn add_index(&mut self, name: Name, table: Name) {
        self.indexes.insert(name, table);
    }

    pub(crate) fn table_of_index(&self, name: &Name) -> Option<&Name> {
        self.indexes.get(name)
    }

    pub(crate) fn indexes_of(&self, table: &Name) -> impl Iterator<Item = &Name> {
        let those = self.indexes.iter().filter(move |(_, of)| *of == table);
        those.map(|(index, _)| index)
    }

    pub(crate) fn user_type(&self, base: &str) -> Option<UserType> {
        self.types.get(base).copied()
    }

    pub(crate) fn add_type(&mut self, name: &Name, kind: UserType) {
        self.types.insert(name.name.clone(), kind);
    }

    /// The tables that a table's foreign keys point to.
    pub(crate) fn references(&self, table: &Name) -> BTreeSet<Name> {
        let constraints = self
            .get(table)
            .into_iter()
            .flat_map(|one| one.constraints.values());
        constraints
            .filter_map(Constraint::to)
            .filter(|to| to != table)
            .collect()
    }

    /// The tables whose foreign keys point to a table.
    pub(crate) fn referenced_by(&self, table: &Name) -> BTreeSet<Name> {
        let others = self.relations.iter().filter(|(name, relation)| {
            let mut to = relation.constraints.values().filter_map(Constraint::to);
            *name != table && to.any(|to| to == *table)
        });
        others.map(|(name, _)| name.clone()).collect()
    }

    /// A table with all that is below it: its partitions, or what inherits from it.
    pub(crate) fn family(&self, table: &Name) -> Vec<Name> {
        let mut family = vec![table.clone()];
        let mut at = 0;
        while let Some(parent) = family.get(at).cloned() {
            at += 1;
            for child in self.get(&parent).into_iter().flat_map(|one| &one.children) {
                if !family.contains(child) {
                    family.push(child.clone());
                }
            }
        }
        family
    }

    /// The tables that have a table among their children.
    pub(crate) fn parents(&self, table: &Name) -> Vec<Name> {
        let parents = self
            .relations
            .iter()
            .filter(|(_, one)| one.children.contains(table));
        parents.map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn in_schema(&self, schema: &str) -> Vec<Name> {
        self.relations
            .keys()
            .filter(|name| name.schema == schema)
            .cloned()
            .collect()
    }

    /// The tables that have a column of a type.
    pub(crate) fn with_type(&self, base: &str) -> Vec<Name> {
        let tables = self.relations.iter().filter(|(_, relation)| {
            matches!(relation.kind, Kind::Table | Kind::Partitioned)
                && relation
                    .columns
                    .values()
                    .any(|column| column.kind.base == base)
        });
        tables.map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn drop_relation(&mut self, name: &Name) {
        self.relations.remove(name);
        self.indexes.retain(|_, table| table != name);
        for relation in self.relations.values_mut() {
            relation.children.remove(name);
            relation
                .constraints
                .retain(|_, one| one.to().as_ref() != Some(name));
        }
    }

    pub(crate) fn drop_index(&mut self, name: &Name) {
        self.indexes.remove(name);
    }

    pub(crate) fn rename_relation(&mut self, name: &Name, new: &Name) {
        if let Some(relation) = self.relations.remove(name) {
            self.relations.insert(new.clone(), relation);
        }
        if self.fresh.contains(name) {
            self.fresh.insert(new.clone());
        }
        if let Some(index) = self.indexes.remove(name) {
            self.indexes.insert(new.clone(), index);
        }
        for table in self.indexes.values_mut().filter(|table| *table == name) {
            *table = new.clone();
        }
        for relation in self.relations.values_mut() {
            if relation.children.remove(name) {
                relation.children.insert(new.clone());
            }
            for constraint in relation.constraints.values_mut() {
                match &mut constraint.rule {
                    Rule::Foreign { to } if to == name => *to = new.clone(),
                    _ => {}
                }
            }
        }
    }
}

impl Constraint {
    fn to(&self) -> Option<Name> {
        match &self.rule {
            Rule::Foreign { to } => Some(to.clone()),
            _ => None,
        }
    }
}

fn kind_of(relkind: &str) -> Kind {
    match relkind {
        "p" => Kind::Partitioned,
        "v" => Kind::View,
        "m" => Kind::MaterializedView,
        "S" => Kind::Sequence,
        "f" => Kind::Foreign,
        _ => Kind::Table,
    }
}

fn list(text: &str) -> BTreeSet<String> {
    let names = text.split(SEPARATOR).filter(|name| !name.is_empty());
    names.map(ToOwned::to_owned).collect()
}

/// The columns that an expression says are not null: alone, or joined by AND.
///
/// By the notes of ALTER TABLE in the manual, SET NOT NULL skips its scan "if a valid CHECK
/// constraint is found which proves no NULL can exist".
pub(crate) fn not_null_by(expression: &str) -> BTreeSet<String> {
    let mut columns = BTreeSet::new();
    let mut parts = vec![expression];
    while let Some(part) = parts.pop() {
        let part = unwrapped(part);
        if let Some((left, right)) = at_and(part) {
            parts.extend([left, right]);
            continue;
        }
        let lower = part.to_ascii_lowercase();
        let Some(column) = lower.strip_suffix("is not null") else {
            continue;
        };
        let column = part[..column.len()].trim();
        let plain = column
            .chars()
            .all(|c| c.is_alphanumeric() || "_\"$".contains(c));
        if plain && !column.is_empty() {
            columns.insert(crate::name::last(column));
        }
    }
    columns
}

/// Without the brackets around the whole.
fn unwrapped(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(within) = text
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        let mut depth = 0_i32;
        let whole = within.chars().all(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth >= 0
        });
        if !whole {
            break;
        }
        text = within.trim();
    }
    text
}

/// Parts a text at its first AND outside brackets.
fn at_and(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_i32;
    for (at, c) in text.char_indices() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        let and = text
            .get(at..at + 5)
            .is_some_and(|word| word.eq_ignore_ascii_case(" and "));
        if depth == 0 && and {
            return Some((&text[..at], &text[at + 5..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_proves_a_column_only_where_it_says_so() {
        for (expression, columns) in [
            ("(a IS NOT NULL)", &["a"][..]),
            ("a is not null", &["a"]),
            (
                "((a IS NOT NULL) AND (b > 0) AND (\"C\" IS NOT NULL))",
                &["C", "a"],
            ),
            ("((a IS NOT NULL) OR (b IS NOT NULL))", &[]),
            ("(lower(a) IS NOT NULL)", &[]),
            ("(a > 0)", &[]),
            ("", &[]),
        ] {
            let found = not_null_by(expression);
            assert_eq!(
                found.iter().map(String::as_str).collect::<Vec<_>>(),
                columns,
                "{expression}"
            );
        }
    }
}
