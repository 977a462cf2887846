//! What is made new.

use squawk_syntax::ast::{self, AstNode, Stmt};

use super::constraint::Written;
use super::rows;
use crate::catalog::{Column, Kind, UserType};
use crate::column_type::ColumnType;
use crate::effect::{LockMode, StatementEffect, Work};
use crate::name::Name;
use crate::scene::{LintContext, columns_in, last_name, name, relation};
use crate::sql::node_text;

/// Whether the statement makes something.
pub(super) fn created(
    statement: &Stmt,
    scene: &mut LintContext,
    effect: &mut StatementEffect,
) -> bool {
    match statement {
        Stmt::CreateTable(create) => table(create, scene, effect),
        Stmt::CreateIndex(create) => index(create, scene, effect),
        Stmt::CreateTrigger(create) => trigger(create, scene, effect),
        Stmt::CreateView(create) => view(create, scene, effect),
        Stmt::CreatePolicy(create) => {
            policy(
                create.on_table().and_then(|on| on.table_name_ref()),
                scene,
                effect,
            );
        }
        Stmt::CreateRule(create) => {
            policy(
                create.rule_on().and_then(|on| on.relation_name_ref()),
                scene,
                effect,
            );
        }
        Stmt::CreateStatistics(create) => {
            if let Some(table) = create.from_table().and_then(|from| from.table_name_ref()) {
                effect.lock(&name(&table), LockMode::ShareUpdateExclusive);
            }
        }
        Stmt::CreateTableAs(create) => {
            rows::query(create.syntax(), effect);
            if let Some(table) = create.table_name().map(|one| name(&one)) {
                let there = create.if_not_exists().is_some() && scene.catalog.get(&table).is_some();
                if !there {
                    scene.catalog.make(&table, Kind::Table);
                }
            }
        }
        Stmt::CreateMaterializedView(create) => {
            rows::query(create.syntax(), effect);
            if let Some(view) = create.view().map(|one| name(&one)) {
                scene.catalog.make(&view, Kind::MaterializedView);
            }
        }
        Stmt::SelectInto(select) => {
            rows::query(select.syntax(), effect);
            if let Some(table) = select.into_clause().and_then(|into| into.table_name()) {
                scene.catalog.make(&name(&table), Kind::Table);
            }
        }
        Stmt::CreateSequence(create) => {
            if let Some(sequence) = create.sequence().map(|one| name(&one)) {
                scene.catalog.make(&sequence, Kind::Sequence);
            }
        }
        Stmt::CreateType(create) => {
            if let Some(made) = create.type_name() {
                scene.catalog.add_type(&name(&made), UserType::Plain);
            }
        }
        Stmt::CreateDomain(create) => {
            let mut qualifiers = create.domain_qualifiers();
            let checked = qualifiers.any(|one| match one {
                ast::DomainQualifier::Constraint(one) => !matches!(
                    one,
                    ast::Constraint::DefaultConstraint(_) | ast::Constraint::NullConstraint(_)
                ),
                ast::DomainQualifier::Collate(_) => false,
            });
            let kind = if checked {
                UserType::CheckedDomain
            } else {
                UserType::Plain
            };
            if let Some(made) = create.domain() {
                scene.catalog.add_type(&name(&made), kind);
            }
        }
        Stmt::CreateFunction(create) => replaced(create.or_replace().is_some(), effect),
        Stmt::CreateProcedure(create) => replaced(create.or_replace().is_some(), effect),
        Stmt::CreateSchema(create) => {
            if create.schema_elements().next().is_some() {
                effect.not_understood("what the schema is made with is not looked at");
            }
        }
        _ => return false,
    }
    true
}

/// By CREATE TABLE in the manual a partition that is made with its table takes "an ACCESS EXCLUSIVE
/// lock on the parent partitioned table", and a foreign key "SHARE ROW EXCLUSIVE … on the referenced
/// table".
fn table(create: &ast::CreateTable, scene: &mut LintContext, effect: &mut StatementEffect) {
    let Some(table) = create.table_name().map(|one| name(&one)) else {
        return effect.not_understood("the table has no name");
    };
    if create.if_not_exists().is_some() && scene.catalog.get(&table).is_some() {
        return;
    }
    let parent = create
        .partition_of()
        .and_then(|of| of.table_name_ref())
        .map(|one| name(&one));
    if let Some(parent) = &parent {
        effect.lock(parent, LockMode::AccessExclusive);
    }
    let inherited = create
        .inherits()
        .into_iter()
        .flat_map(|of| of.table_name_refs());
    let inherited: Vec<Name> = inherited.map(|one| name(&one)).collect();
    for parent in &inherited {
        effect.lock(parent, LockMode::ShareUpdateExclusive);
    }
    scene.catalog.make(&table, Kind::Table);
    if create.partition_by().is_some() {
        scene.catalog.change(&table).kind = Kind::Partitioned;
    }
    for parent in parent.iter().chain(&inherited) {
        let columns = scene.catalog.get(parent).map(|one| one.columns.clone());
        scene
            .catalog
            .change(&table)
            .columns
            .extend(columns.unwrap_or_default());
        scene.catalog.change(parent).children.insert(table.clone());
    }
    for argument in create
        .table_arg_list()
        .into_iter()
        .flat_map(|list| list.args())
    {
        match argument {
            ast::TableArg::Column(one) => column(&one, &table, scene, effect),
            ast::TableArg::TableConstraint(one) => {
                let constraint = ast::Constraint::cast(one.syntax().clone());
                if let Some(written) = constraint.and_then(|one| Written::read(&one, None)) {
                    written.lock_referenced(effect, &table);
                    written.remember(&table, scene);
                }
            }
            ast::TableArg::LikeClause(_) => {}
        }
    }
}

fn column(
    column: &ast::Column,
    table: &Name,
    scene: &mut LintContext,
    effect: &mut StatementEffect,
) {
    let Some(name) = column.name().map(|one| last_name(&one)) else {
        return;
    };
    let type_text = column.ty().map(|one| node_text(&one)).unwrap_or_default();
    let serial = ColumnType::serial(&type_text);
    let mut known = Column {
        kind: ColumnType::read(&type_text),
        required: serial,
        default: serial,
        fresh: true,
    };
    let mut others = Vec::new();
    for clause in column.clauses() {
        let ast::ColumnClause::ColumnConstraint(one) = clause else {
            continue;
        };
        match ast::Constraint::cast(one.syntax().clone()) {
            Some(ast::Constraint::NotNullConstraint(_)) => known.required = true,
            Some(
                ast::Constraint::DefaultConstraint(_) | ast::Constraint::GeneratedConstraint(_),
            ) => {
                known.default = true;
            }
            Some(other) => {
                known.required |= matches!(other, ast::Constraint::PrimaryKeyConstraint(_));
                others.extend(Written::read(&other, Some(&name)));
            }
            None => {}
        }
    }
    scene.catalog.change(table).columns.insert(name, known);
    for written in others {
        written.lock_referenced(effect, table);
        written.remember(table, scene);
    }
}

/// "Normally PostgreSQL locks the table to be indexed against writes" (SHARE); with CONCURRENTLY the
/// lock is SHARE UPDATE EXCLUSIVE and the table is read twice.
fn index(create: &ast::CreateIndex, scene: &mut LintContext, effect: &mut StatementEffect) {
    let Some((table, only)) = create.table_relation_name().and_then(|one| relation(&one)) else {
        return effect.not_understood("the index has no table");
    };
    let named = create.index().map(|one| name(&one).name);
    let named = named.map(|index| table.sibling(index));
    let there = named
        .as_ref()
        .is_some_and(|index| scene.catalog.table_of_index(index).is_some());
    let concurrently = create.concurrently_token().is_some();
    let lock = if concurrently {
        LockMode::ShareUpdateExclusive
    } else {
        LockMode::Share
    };
    scene.lock_family(effect, &table, only, lock);
    // An index that is there is left as it is, even where it is invalid.
    if create.if_not_exists().is_some() && there {
        return;
    }
    scene.work_on_family(effect, &table, only, Work::Scan);
    if create.unique_token().is_some() {
        effect.restricts(format!(
            "rows of {table} with a key that is there are refused"
        ));
    }
    let list = create.partition_item_list();
    let columns = list
        .map(|list| columns_in(list.syntax()))
        .unwrap_or_default();
    let index = named.unwrap_or_else(|| {
        let joined = columns.iter().cloned().collect::<Vec<_>>().join("_");
        table.sibling(format!("{}_{joined}_idx", table.name))
    });
    scene.catalog.add_index(index, table);
}

/// The lock is SHARE ROW EXCLUSIVE (13.3.1).
fn trigger(create: &ast::CreateTrigger, scene: &LintContext, effect: &mut StatementEffect) {
    let table = create.on_relation().and_then(|on| on.relation_name_ref());
    let Some(table) = table.map(|one| name(&one)) else {
        return effect.not_understood("the trigger has no table");
    };
    scene.lock_family(effect, &table, false, LockMode::ShareRowExclusive);
    if let Some(from) = create.from_table().and_then(|from| from.table_name_ref()) {
        effect.lock(&name(&from), LockMode::ShareRowExclusive);
    }
    if !scene.catalog.fresh(&table) {
        effect.perhaps_breaks(format!(
            "the trigger runs at the writes to {table} of the release before"
        ));
    }
}

/// A view that replaces another one is locked as ALTER TABLE would lock it.
fn view(create: &ast::CreateView, scene: &mut LintContext, effect: &mut StatementEffect) {
    let Some(view) = create.view().map(|one| name(&one)) else {
        return effect.not_understood("the view has no name");
    };
    let replaces = create.or_replace().is_some() && scene.catalog.may_have(&view);
    if replaces && !scene.catalog.fresh(&view) {
        effect.lock(&view, LockMode::AccessExclusive);
        effect.perhaps_breaks(format!("{view} is another query"));
        return;
    }
    scene.catalog.make(&view, Kind::View);
}

/// A row-level policy or a rule changes what a table's statements mean: ACCESS EXCLUSIVE.
pub(super) fn policy(
    table: Option<impl AstNode>,
    scene: &LintContext,
    effect: &mut StatementEffect,
) {
    let Some(table) = table.map(|one| name(&one)) else {
        return effect.not_understood("the table cannot be read");
    };
    effect.lock(&table, LockMode::AccessExclusive);
    if !scene.catalog.fresh(&table) {
        effect.perhaps_breaks(format!(
            "which rows of {table} are seen and written may change"
        ));
    }
}

fn replaced(replaces: bool, effect: &mut StatementEffect) {
    if replaces {
        effect.perhaps_breaks("what the release before calls may be another one afterwards");
    }
}
