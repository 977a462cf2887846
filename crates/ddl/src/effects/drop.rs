//! What is dropped or renamed, beside the parts of a table.

use std::collections::BTreeSet;

use squawk_syntax::ast::{self, AstNode, Stmt};

use crate::catalog::Kind;
use crate::effect::{Change, LockMode, Part, StatementEffect};
use crate::name::Name;
use crate::scene::{LintContext, cascades, name};

/// Whether the statement drops something.
pub(super) fn dropped(
    statement: &Stmt,
    scene: &mut LintContext,
    effect: &mut StatementEffect,
) -> bool {
    match statement {
        Stmt::DropTable(drop) => tables(drop, scene, effect),
        Stmt::DropIndex(drop) => indexes(drop, scene, effect),
        Stmt::DropView(drop) => {
            views(
                drop.view_refs(),
                cascades(drop.drop_behavior()),
                scene,
                effect,
            );
        }
        Stmt::DropMaterializedView(drop) => {
            views(
                drop.view_refs(),
                cascades(drop.drop_behavior()),
                scene,
                effect,
            );
        }
        Stmt::DropSchema(drop) => schemas(drop, scene, effect),
        Stmt::DropSequence(drop) => sequences(drop, scene, effect),
        Stmt::DropType(drop) => {
            others("type", drop.type_name_refs(), drop.drop_behavior(), effect);
        }
        Stmt::DropDomain(drop) => {
            others("domain", drop.domain_refs(), drop.drop_behavior(), effect);
        }
        Stmt::DropFunction(drop) => {
            let functions = drop
                .function_sig_list()
                .into_iter()
                .flat_map(|list| list.function_sigs());
            others("function", functions, drop.drop_behavior(), effect);
        }
        Stmt::DropExtension(drop) => {
            others(
                "extension",
                drop.extension_refs(),
                drop.drop_behavior(),
                effect,
            );
            effect.not_understood("the extension takes with it what it made");
        }
        Stmt::DropTrigger(drop) => {
            let table = drop.on_relation().and_then(|on| on.relation_name_ref());
            of_table(table, true, drop.drop_behavior(), scene, effect);
        }
        Stmt::DropPolicy(drop) => {
            let table = drop.on_table().and_then(|on| on.table_name_ref());
            of_table(table, false, drop.drop_behavior(), scene, effect);
        }
        Stmt::DropRule(drop) => {
            let table = drop.on_relation().and_then(|on| on.relation_name_ref());
            of_table(table, false, drop.drop_behavior(), scene, effect);
        }
        _ => return false,
    }
    true
}

/// ACCESS EXCLUSIVE on the table, its partitions, the table that it is a partition of, and, because
/// the triggers of foreign keys go at both ends, on every table at the other end.
fn tables(drop: &ast::DropTable, scene: &mut LintContext, effect: &mut StatementEffect) {
    let cascade = cascades(drop.drop_behavior());
    let named: Vec<Name> = drop.table_name_refs().map(|one| name(&one)).collect();
    for table in named.iter().filter(|table| scene.catalog.may_have(table)) {
        for parent in scene.catalog.parents(table) {
            let partitioned = scene
                .catalog
                .get(&parent)
                .is_some_and(|one| one.kind == Kind::Partitioned);
            if partitioned {
                effect.lock(&parent, LockMode::AccessExclusive);
            }
        }
        table_goes(table, cascade, scene, effect);
    }
    if cascade {
        effect.not_understood("CASCADE drops whatever uses the table");
    }
    for table in named {
        forget(&table, scene);
    }
}

fn table_goes(table: &Name, cascade: bool, scene: &LintContext, effect: &mut StatementEffect) {
    for one in scene.catalog.family(table) {
        effect.lock(&one, LockMode::AccessExclusive);
        for other in scene.catalog.references(&one) {
            effect.lock(&other, LockMode::AccessExclusive);
        }
        let pointing = if cascade {
            scene.catalog.referenced_by(&one)
        } else {
            BTreeSet::new()
        };
        for other in pointing {
            effect.lock(&other, LockMode::AccessExclusive);
        }
    }
    if !scene.catalog.fresh(table) {
        effect.breaks(Part::Table(table.clone()), Change::Dropped);
        effect.destroys(Part::Table(table.clone()));
    }
}

fn forget(table: &Name, scene: &mut LintContext) {
    for one in scene.catalog.family(table) {
        scene.catalog.drop_relation(&one);
    }
}

/// Views; what they show is in their tables.
fn views(
    views: impl Iterator<Item = ast::ViewRef>,
    cascade: bool,
    scene: &mut LintContext,
    effect: &mut StatementEffect,
) {
    for view in views.map(|one| name(&one)) {
        if !scene.catalog.may_have(&view) {
            continue;
        }
        effect.lock(&view, LockMode::AccessExclusive);
        if !scene.catalog.fresh(&view) {
            effect.breaks(Part::View(view.clone()), Change::Dropped);
        }
        scene.catalog.drop_relation(&view);
    }
    if cascade {
        effect.not_understood("CASCADE drops whatever uses the view");
    }
}

/// "A normal DROP INDEX acquires an ACCESS EXCLUSIVE lock on the table, blocking other accesses until
/// the index drop can be completed"; with CONCURRENTLY it is SHARE UPDATE EXCLUSIVE.
fn indexes(drop: &ast::DropIndex, scene: &mut LintContext, effect: &mut StatementEffect) {
    let lock = if drop.concurrently_token().is_some() {
        LockMode::ShareUpdateExclusive
    } else {
        LockMode::AccessExclusive
    };
    for index in drop.index_refs().map(|one| name(&one)) {
        if !scene.catalog.may_have_index(&index) {
            continue;
        }
        if let Some(table) = scene.catalog.table_of_index(&index) {
            scene.lock_family(effect, table, false, lock);
        }
        effect.lock(&index, lock);
        scene.catalog.drop_index(&index);
    }
    if cascades(drop.drop_behavior()) {
        effect.not_understood("CASCADE drops whatever uses the index");
    }
}

/// A schema with all that is in it.
fn schemas(drop: &ast::DropSchema, scene: &mut LintContext, effect: &mut StatementEffect) {
    let cascade = cascades(drop.drop_behavior());
    for schema in drop.schema_refs().map(|one| crate::scene::last_name(&one)) {
        effect.breaks(Part::Other("schema", schema.clone()), Change::Dropped);
        if cascade {
            for one in scene.catalog.in_schema(&schema) {
                effect.lock(&one, LockMode::AccessExclusive);
                if scene
                    .catalog
                    .get(&one)
                    .is_some_and(|known| known.kind == Kind::Table)
                {
                    table_goes(&one, true, scene, effect);
                }
            }
            effect.destroys(Part::Other("schema", schema.clone()));
        }
    }
    if cascade {
        effect.not_understood("CASCADE drops whatever is in the schema or uses it");
    }
}

fn sequences(drop: &ast::DropSequence, scene: &mut LintContext, effect: &mut StatementEffect) {
    for sequence in drop.sequence_refs().map(|one| name(&one)) {
        if !scene.catalog.may_have(&sequence) {
            continue;
        }
        effect.lock(&sequence, LockMode::AccessExclusive);
        if !scene.catalog.fresh(&sequence) {
            let part = Part::Other("sequence", sequence.to_string());
            effect.breaks(part.clone(), Change::Dropped);
            effect.destroys(part);
        }
        scene.catalog.drop_relation(&sequence);
    }
    if cascades(drop.drop_behavior()) {
        effect.not_understood("CASCADE drops the defaults that use the sequence");
    }
}

/// Types, functions and others that have no rows; nothing but the catalogs is locked, unless the
/// drop goes on to what uses them.
fn others<N: AstNode>(
    kind: &'static str,
    nodes: impl Iterator<Item = N>,
    behavior: Option<ast::DropBehavior>,
    effect: &mut StatementEffect,
) {
    for node in nodes {
        let part = Part::Other(kind, crate::sql::node_text(&node));
        effect.breaks(part, Change::Dropped);
    }
    if cascades(behavior) {
        effect.not_understood(format!(
            "CASCADE drops whatever uses the {kind}, columns of tables among it"
        ));
    }
}

/// Triggers, policies and rules of a table: ACCESS EXCLUSIVE. A trigger is dropped in the partitions,
/// too.
fn of_table(
    table: Option<impl AstNode>,
    in_partitions: bool,
    behavior: Option<ast::DropBehavior>,
    scene: &LintContext,
    effect: &mut StatementEffect,
) {
    let Some(table) = table.map(|one| name(&one)) else {
        return effect.not_understood("the table cannot be read");
    };
    if !scene.catalog.may_have(&table) {
        return;
    }
    scene.lock_family(effect, &table, !in_partitions, LockMode::AccessExclusive);
    if !scene.catalog.fresh(&table) {
        effect.perhaps_breaks(format!("what it did for {table} is no longer done"));
    }
    if cascades(behavior) {
        effect.not_understood("CASCADE drops whatever uses it");
    }
}
