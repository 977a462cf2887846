//! ALTER of what is no table.

use squawk_syntax::ast::{self, Stmt};

use super::{alter_table, create};
use crate::effect::{Change, LockMode, Part, StatementEffect, Work};
use crate::name::Name;
use crate::scene::{LintContext, last_name, name};
use crate::sql::node_text;

/// Whether the statement alters something.
pub(super) fn altered(
    statement: &Stmt,
    scene: &mut LintContext,
    effect: &mut StatementEffect,
) -> bool {
    match statement {
        Stmt::AlterTable(alter) => alter_table::apply(alter, scene, effect),
        Stmt::AlterIndex(alter) => index(alter, scene, effect),
        Stmt::AlterSequence(alter) => sequence(alter, scene, effect),
        Stmt::AlterView(alter) => view(alter, scene, effect),
        Stmt::AlterMaterializedView(alter) => materialized_view(alter, scene, effect),
        Stmt::AlterType(alter) => type_of(alter, scene, effect),
        Stmt::AlterDomain(alter) => domain(alter, scene, effect),
        Stmt::AlterPolicy(alter) => {
            create::policy(
                alter.on_table().and_then(|on| on.table_name_ref()),
                scene,
                effect,
            );
        }
        Stmt::AlterTrigger(alter) => {
            let table = alter.on_relation().and_then(|on| on.relation_name_ref());
            if let Some(table) = table.map(|one| name(&one)) {
                scene.lock_family(effect, &table, false, LockMode::AccessExclusive);
            }
        }
        Stmt::AlterSchema(alter) => {
            let schema = alter
                .schema_ref()
                .map(|one| last_name(&one))
                .unwrap_or_default();
            match alter.action() {
                Some(ast::AlterSchemaAction::SchemaRenameTo(_)) => {
                    effect.breaks(Part::Other("schema", schema), Change::Renamed);
                }
                _ => effect.perhaps_breaks("the schema belongs to another role"),
            }
        }
        _ => return false,
    }
    true
}

/// "ALTER INDEX … RENAME" takes SHARE UPDATE EXCLUSIVE; most else ACCESS EXCLUSIVE, as with ALTER
/// TABLE.
fn index(alter: &ast::AlterIndex, scene: &mut LintContext, effect: &mut StatementEffect) {
    let Some(index) = alter.index_ref().map(|one| name(&one)) else {
        return effect.not_understood("every index of a tablespace is moved");
    };
    if !scene.catalog.may_have_index(&index) {
        return;
    }
    match alter.action() {
        Some(ast::AlterIndexAction::IndexRenameTo(rename)) => {
            effect.lock(&index, LockMode::ShareUpdateExclusive);
            if let Some(new) = rename.index() {
                scene
                    .catalog
                    .rename_relation(&index, &index.sibling(name(&new).name));
            }
        }
        Some(ast::AlterIndexAction::SetOptions(set)) => {
            effect.lock(&index, alter_table::storage_lock(&node_text(&set)));
        }
        Some(ast::AlterIndexAction::ResetOptions(reset)) => {
            effect.lock(&index, alter_table::storage_lock(&node_text(&reset)));
        }
        Some(ast::AlterIndexAction::SetTablespace(_)) => {
            effect.touch(&index, Some(LockMode::AccessExclusive), Work::Rewrite);
        }
        Some(ast::AlterIndexAction::AlterSetStatistics(_)) => {
            effect.lock(&index, LockMode::ShareUpdateExclusive);
        }
        _ => effect.not_understood("the change of the index is not known"),
    }
}

/// "ALTER SEQUENCE … takes a SHARE ROW EXCLUSIVE lock", and a change of its name or place ACCESS
/// EXCLUSIVE.
fn sequence(alter: &ast::AlterSequence, scene: &mut LintContext, effect: &mut StatementEffect) {
    let Some(sequence) = alter.sequence_ref().map(|one| name(&one)) else {
        return effect.not_understood("the sequence has no name");
    };
    if !scene.catalog.may_have(&sequence) {
        return;
    }
    let part = Part::Other("sequence", sequence.to_string());
    for action in alter.actions() {
        let lock = match action {
            ast::AlterSequenceAction::SequenceOption(_) => LockMode::ShareRowExclusive,
            ast::AlterSequenceAction::SequenceRenameTo(_) => {
                effect.breaks(part.clone(), Change::Renamed);
                LockMode::AccessExclusive
            }
            ast::AlterSequenceAction::SetSchema(_) => {
                effect.breaks(part.clone(), Change::Moved);
                LockMode::AccessExclusive
            }
            _ => LockMode::AccessExclusive,
        };
        effect.lock(&sequence, lock);
    }
}

fn view(alter: &ast::AlterView, scene: &mut LintContext, effect: &mut StatementEffect) {
    let Some(view) = alter.view_ref().map(|one| name(&one)) else {
        return effect.not_understood("the view has no name");
    };
    if !scene.catalog.may_have(&view) {
        return;
    }
    effect.lock(&view, LockMode::AccessExclusive);
    let part = Part::View(view.clone());
    match alter.action() {
        Some(ast::AlterViewAction::ViewRenameTo(_)) => effect.breaks(part, Change::Renamed),
        Some(ast::AlterViewAction::SetSchema(_)) => effect.breaks(part, Change::Moved),
        Some(ast::AlterViewAction::RenameColumn(rename)) => {
            let column = rename
                .column_name_ref()
                .map(|one| last_name(&one))
                .unwrap_or_default();
            effect.breaks(Part::Column(view, column), Change::Renamed);
        }
        _ => effect.perhaps_breaks(format!("{view} answers otherwise")),
    }
}

fn materialized_view(
    alter: &ast::AlterMaterializedView,
    scene: &mut LintContext,
    effect: &mut StatementEffect,
) {
    let Some(view) = alter.view_ref().map(|one| name(&one)) else {
        return effect.not_understood("every view of a tablespace is moved");
    };
    for action in alter.action() {
        match action {
            ast::AlterMaterializedViewAction::AlterTableAction(action) => {
                alter_table::actions(&view, false, std::iter::once(action), scene, effect);
            }
            other => {
                effect.lock(&view, LockMode::AccessExclusive);
                match other {
                    ast::AlterMaterializedViewAction::ViewRenameTo(_) => {
                        effect.breaks(Part::View(view.clone()), Change::Renamed);
                    }
                    ast::AlterMaterializedViewAction::SetSchema(_) => {
                        effect.breaks(Part::View(view.clone()), Change::Moved);
                    }
                    _ => effect.perhaps_breaks(format!("{view} is another one")),
                }
            }
        }
    }
}

fn type_of(alter: &ast::AlterType, scene: &mut LintContext, effect: &mut StatementEffect) {
    let Some(name) = alter.type_name_ref().map(|one| name(&one)) else {
        return effect.not_understood("the type has no name");
    };
    let part = Part::Other("type", name.to_string());
    match alter.action() {
        Some(ast::AlterTypeAction::AddValue(_)) => {
            effect.irreversible("PostgreSQL takes no value out of an enum again");
            effect.restricts(format!(
                "it may read a value of {part} that it does not know"
            ));
        }
        Some(ast::AlterTypeAction::RenameValue(_) | ast::AlterTypeAction::TypeRenameTo(_)) => {
            effect.breaks(part, Change::Renamed);
        }
        Some(ast::AlterTypeAction::SetSchema(_)) => effect.breaks(part, Change::Moved),
        Some(ast::AlterTypeAction::OwnerTo(_)) => {
            effect.perhaps_breaks(format!("{part} belongs to another role"));
        }
        _ => {
            let tables = scene.catalog.with_type(&name.name);
            for table in tables {
                effect.lock(&table, LockMode::AccessExclusive);
            }
            effect.not_understood("the type is another one, for every column that has it");
        }
    }
}

/// A constraint that a domain gets is checked in every table that has a column of it, under SHARE.
fn domain(alter: &ast::AlterDomain, scene: &mut LintContext, effect: &mut StatementEffect) {
    let Some(domain) = alter.domain_ref().map(|one| name(&one)) else {
        return effect.not_understood("the domain has no name");
    };
    let part = Part::Other("domain", domain.to_string());
    let checked = match alter.action() {
        Some(ast::AlterDomainAction::AddConstraint(add)) => {
            !node_text(&add).to_lowercase().ends_with("not valid")
        }
        Some(
            ast::AlterDomainAction::SetNotNull(_) | ast::AlterDomainAction::ValidateConstraint(_),
        ) => true,
        Some(ast::AlterDomainAction::DomainRenameTo(_)) => {
            effect.breaks(part, Change::Renamed);
            return;
        }
        Some(ast::AlterDomainAction::SetSchema(_)) => {
            effect.breaks(part, Change::Moved);
            return;
        }
        _ => false,
    };
    if checked {
        let tables: Vec<Name> = scene.catalog.with_type(&domain.name);
        for table in tables {
            effect.touch(&table, Some(LockMode::Share), Work::Scan);
        }
        if !scene.catalog.is_complete() {
            effect.not_understood(format!(
                "every table with a column of {part} is locked and read"
            ));
        }
        effect.restricts(format!(
            "values of {part} that it does not allow are refused"
        ));
    }
}
