//! Constraints that a table or a column gets.

use std::collections::BTreeSet;

use squawk_syntax::ast::{self, AstNode};

use crate::catalog::{self, Constraint, Kind, Rule};
use crate::effect::{LockMode, StatementEffect, Work};
use crate::name::Name;
use crate::scene::{LintContext, columns_in, last_name, last_names, name};
use crate::sql::node_text;

/// A constraint as it is written, whichever way.
pub(super) struct Written {
    name: Option<String>,
    columns: BTreeSet<String>,
    what: ConstraintKind,
    not_valid: bool,
}

enum ConstraintKind {
    Check {
        not_null: BTreeSet<String>,
    },
    Foreign {
        to: Name,
    },
    Unique {
        primary: bool,
        using: Option<String>,
    },
    Exclude,
}

impl Written {
    /// Reads a constraint that stands for itself, or at a column. None of those that say something
    /// of the column alone: a default, NOT NULL, a generated value.
    pub(super) fn read(constraint: &ast::Constraint, column: Option<&str>) -> Option<Written> {
        let own: BTreeSet<String> = column.map(ToOwned::to_owned).into_iter().collect();
        let (name_clause, columns, what, not_valid) = match constraint {
            ast::Constraint::CheckConstraint(one) => {
                let expression = one.expr();
                let text = expression.as_ref().map(node_text).unwrap_or_default();
                let what = ConstraintKind::Check {
                    not_null: catalog::not_null_by(&text),
                };
                let columns = expression.map(|one| columns_in(one.syntax()));
                let options = one.constraint_options();
                (
                    one.constraint_name_clause(),
                    columns.unwrap_or_default(),
                    what,
                    not_valid(options),
                )
            }
            ast::Constraint::ForeignKeyConstraint(one) => {
                let to = name(&one.table_name_ref()?);
                let columns = last_names(one.from_columns()?.column_name_refs());
                let options = one.constraint_options();
                (
                    one.constraint_name_clause(),
                    columns,
                    ConstraintKind::Foreign { to },
                    not_valid(options),
                )
            }
            ast::Constraint::ReferencesConstraint(one) => {
                let to = name(&one.table()?);
                let options = one.constraint_options();
                (
                    one.constraint_name_clause(),
                    own,
                    ConstraintKind::Foreign { to },
                    not_valid(options),
                )
            }
            ast::Constraint::UniqueConstraint(one) => {
                let (columns, what) = unique(false, own, one.index_parameters(), one.using_index());
                (one.constraint_name_clause(), columns, what, false)
            }
            ast::Constraint::PrimaryKeyConstraint(one) => {
                let (columns, what) = unique(true, own, one.index_parameters(), one.using_index());
                (one.constraint_name_clause(), columns, what, false)
            }
            ast::Constraint::ExcludeConstraint(one) => (
                one.constraint_name_clause(),
                own,
                ConstraintKind::Exclude,
                false,
            ),
            _ => return None,
        };
        let name = name_clause.and_then(|clause| clause.constraint_name());
        Some(Written {
            name: name.map(|name| last_name(&name)),
            columns,
            what,
            not_valid,
        })
    }

    /// What it costs to give it to a table that is there, and the lock on the table. The locks and the
    /// scans are those that the manual names at ADD table_constraint and in the notes of ALTER TABLE.
    pub(super) fn add(
        &self,
        table: &Name,
        only: bool,
        scene: &LintContext,
        effect: &mut StatementEffect,
    ) -> LockMode {
        match &self.what {
            ConstraintKind::Check { .. } => effect.restricts(format!("rows of {table} that its new check does not allow are refused")),
            ConstraintKind::Foreign { to } => effect.restricts(format!(
                "rows of {table} that point to no row of {to} are refused, and rows of {to} that are pointed to cannot be deleted"
            )),
            ConstraintKind::Unique { .. } => effect.restricts(format!("rows of {table} with a key that is there are refused")),
            ConstraintKind::Exclude => effect.restricts(format!("rows of {table} that its new exclusion does not allow are refused")),
        }
        self.cost(table, only, false, scene, effect);
        match &self.what {
            ConstraintKind::Foreign { .. } => LockMode::ShareRowExclusive,
            _ => LockMode::AccessExclusive,
        }
    }

    /// The same with a new column, which the release before does not write: it may be empty in every
    /// row.
    pub(super) fn add_with_column(
        &self,
        table: &Name,
        only: bool,
        empty: bool,
        scene: &LintContext,
        effect: &mut StatementEffect,
    ) {
        if let ConstraintKind::Foreign { to } = &self.what {
            effect.restricts(format!(
                "rows of {to} that are pointed to cannot be deleted"
            ));
        }
        self.cost(table, only, empty, scene, effect);
    }

    fn cost(
        &self,
        table: &Name,
        only: bool,
        empty: bool,
        scene: &LintContext,
        effect: &mut StatementEffect,
    ) {
        match &self.what {
            ConstraintKind::Check { .. } => {
                if !self.not_valid {
                    scene.work_on_family(effect, table, only, Work::Scan);
                }
            }
            ConstraintKind::Foreign { to } => {
                effect.lock(to, LockMode::ShareRowExclusive);
                // Without a value there is nothing to look for in the other table.
                if !self.not_valid && !empty {
                    scene.work_on_family(effect, table, only, Work::Scan);
                }
            }
            ConstraintKind::Unique { primary, using } => {
                let known = scene.catalog.get(table);
                let nullable = self.columns.iter().any(|column| {
                    let column = known.and_then(|one| one.columns.get(column));
                    column.is_none_or(|column| !column.required)
                });
                if using.is_none() || (*primary && nullable) {
                    index_work(table, *primary && nullable, scene, effect);
                }
                // The index gets the constraint's name.
                let renamed = using
                    .as_ref()
                    .filter(|index| self.name.as_ref().is_some_and(|name| name != *index));
                if let Some(index) = renamed {
                    effect.lock(&table.sibling(index), LockMode::ShareUpdateExclusive);
                }
            }
            ConstraintKind::Exclude => index_work(table, false, scene, effect),
        }
    }

    /// What a table that is made with it needs of others.
    pub(super) fn lock_referenced(&self, effect: &mut StatementEffect, table: &Name) {
        match &self.what {
            ConstraintKind::Foreign { to } if to != table => {
                effect.lock(to, LockMode::ShareRowExclusive);
            }
            _ => {}
        }
    }

    /// Takes it down. Without a name of its own it has the one that PostgreSQL makes.
    pub(super) fn remember(self, table: &Name, scene: &mut LintContext) {
        let joined = self.columns.iter().cloned().collect::<Vec<_>>().join("_");
        let (suffix, rule) = match self.what {
            ConstraintKind::Check { not_null } => ("check", Rule::Check { not_null }),
            ConstraintKind::Foreign { to } => ("fkey", Rule::Foreign { to }),
            ConstraintKind::Unique { primary: true, .. } => ("pkey", Rule::Key),
            ConstraintKind::Unique { .. } => ("key", Rule::Key),
            ConstraintKind::Exclude => ("excl", Rule::Key),
        };
        let name = self.name.unwrap_or_else(|| match suffix {
            "pkey" => format!("{}_pkey", table.name),
            suffix => format!("{}_{joined}_{suffix}", table.name),
        });
        if rule == Rule::Key {
            scene
                .catalog
                .add_index(table.sibling(name.clone()), table.clone());
        }
        let constraint = Constraint {
            rule,
            columns: self.columns,
            valid: !self.not_valid,
        };
        scene
            .catalog
            .change(table)
            .constraints
            .insert(name, constraint);
    }
}

/// An index is built for the table, and for each partition under SHARE; what inherits from a table
/// has none of it. A column that must have a value is checked under ACCESS EXCLUSIVE.
fn index_work(table: &Name, required: bool, scene: &LintContext, effect: &mut StatementEffect) {
    let kind = scene.catalog.get(table).map(|one| one.kind);
    let lock = if required {
        LockMode::AccessExclusive
    } else {
        LockMode::Share
    };
    if kind != Some(Kind::Partitioned) && !required {
        effect.work_on(table, Work::Scan);
        return;
    }
    scene.work_on_family(effect, table, false, Work::Scan);
    for partition in scene.family(table, false).iter().skip(1) {
        effect.lock(partition, lock);
    }
}

fn not_valid(mut options: ast::AstChildren<ast::ConstraintOption>) -> bool {
    options.any(|option| matches!(option, ast::ConstraintOption::NotValid(_)))
}

/// The columns of a key, and what it is. A key at a column names none: they are its `own`.
fn unique(
    primary: bool,
    own: BTreeSet<String>,
    listed: Option<ast::IndexParameters>,
    using: Option<ast::UsingIndexName>,
) -> (BTreeSet<String>, ConstraintKind) {
    let listed = listed.and_then(|listed| listed.column_list());
    let columns = listed.map_or(own, |listed| last_names(listed.column_name_refs()));
    let using = using.and_then(|using| using.index_ref());
    let using = using.map(|index| last_name(&index));
    (columns, ConstraintKind::Unique { primary, using })
}
