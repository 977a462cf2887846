//! What a statement is looked at with: the relations as the statements before it left them.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode};

use crate::catalog::Catalog;
use crate::effect::{LockMode, StatementEffect, Work};
use crate::name::{Name, last};
use crate::sql::node_text;

pub(crate) struct LintContext {
    pub(crate) catalog: Catalog,
    /// The major version of the server.
    pub(crate) server: u32,
}

impl LintContext {
    /// A table that exists with what is below it, unless only the table itself is meant.
    pub(crate) fn family(&self, table: &Name, only: bool) -> Vec<Name> {
        if only {
            return vec![table.clone()];
        }
        self.catalog.family(table)
    }

    /// Locks a table with what is below it.
    pub(crate) fn lock_family(
        &self,
        effect: &mut StatementEffect,
        table: &Name,
        only: bool,
        lock: LockMode,
    ) {
        for one in self.family(table, only) {
            effect.lock(&one, lock);
        }
    }

    /// Work on the rows of a table and of what is below it; a partitioned table has none of its own.
    pub(crate) fn work_on_family(
        &self,
        effect: &mut StatementEffect,
        table: &Name,
        only: bool,
        work: Work,
    ) {
        for one in self.family(table, only) {
            if self.has_rows(&one) {
                effect.work_on(&one, work);
            }
        }
    }

    pub(crate) fn has_rows(&self, table: &Name) -> bool {
        let kind = self.catalog.get(table).map(|relation| relation.kind);
        kind != Some(crate::catalog::Kind::Partitioned)
    }
}

/// The relation that a node names.
pub(crate) fn name(node: &impl AstNode) -> Name {
    Name::read(&node_text(node))
}

/// The column or constraint that a node names.
pub(crate) fn last_name(node: &impl AstNode) -> String {
    last(&node_text(node))
}

pub(crate) fn last_names<N: AstNode>(
    nodes: impl Iterator<Item = N>,
) -> std::collections::BTreeSet<String> {
    nodes.map(|node| last_name(&node)).collect()
}

/// The columns that an expression names.
pub(crate) fn columns_in(node: &SyntaxNode) -> std::collections::BTreeSet<String> {
    last_names(node.descendants().filter_map(ast::NameRef::cast))
}

pub(crate) fn cascades(behavior: Option<ast::DropBehavior>) -> bool {
    matches!(behavior, Some(ast::DropBehavior::Cascade(_)))
}

/// `ONLY t` or `t`.
pub(crate) fn relation(of: &ast::TableRelationName) -> Option<(Name, bool)> {
    let table = of.table_name_ref()?;
    Some((name(&table), of.only_token().is_some()))
}
