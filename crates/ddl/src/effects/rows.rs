//! Statements that read and write rows, and those that look after their storage.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, Stmt};

use crate::catalog::Kind;
use crate::effect::{LockMode, Part, StatementEffect, Work};
use crate::name::Name;
use crate::scene::{LintContext, cascades, last_names, name, relation};
use crate::sql::node_text;
use crate::volatility::{self, Volatility};

/// Whether the statement reads or writes rows, or looks after them.
pub(super) fn used(
    statement: &Stmt,
    scene: &mut LintContext,
    effect: &mut StatementEffect,
) -> bool {
    match statement {
        Stmt::Insert(_) | Stmt::Update(_) | Stmt::Delete(_) | Stmt::Merge(_) => {
            writes(statement.syntax(), scene, effect);
        }
        Stmt::Select(_)
        | Stmt::CompoundSelect(_)
        | Stmt::ParenSelect(_)
        | Stmt::Values(_)
        | Stmt::Table(_) => {
            writes(statement.syntax(), scene, effect);
            query(statement.syntax(), effect);
        }
        Stmt::Copy(one) => copy(one, scene, effect),
        Stmt::Truncate(one) => truncate(one, scene, effect),
        Stmt::Lock(one) => lock(one, scene, effect),
        Stmt::Reindex(one) => reindex(one, scene, effect),
        Stmt::Cluster(one) => cluster(one, scene, effect),
        Stmt::Vacuum(one) => {
            vacuum(one.table_and_columns_list(), one.is_full(), scene, effect);
        }
        Stmt::Analyze(one) => vacuum(one.table_and_columns_list(), false, scene, effect),
        Stmt::Refresh(one) => refresh(one, effect),
        Stmt::CommentOn(one) => comment_on(one, effect),
        _ => return false,
    }
    true
}

/// Every INSERT, UPDATE, DELETE and MERGE in the statement, those of its WITH among them: ROW
/// EXCLUSIVE (13.3.1).
fn writes(node: &SyntaxNode, scene: &LintContext, effect: &mut StatementEffect) {
    for one in node.descendants() {
        if let Some(insert) = ast::Insert::cast(one.clone()) {
            written_table(insert.relation_name_ref(), scene, effect);
            if insert
                .on_conflict_clause()
                .is_some_and(|one| node_text(&one).to_lowercase().contains("update"))
            {
                effect.irreversible("rows are written over");
            }
        } else if let Some(update) = ast::Update::cast(one.clone()) {
            let table = written_table(
                update
                    .relation_name()
                    .and_then(|one| one.relation_name_ref()),
                scene,
                effect,
            );
            if table.is_some_and(|table| !only_new_columns(&update, &table, scene)) {
                effect.irreversible("values are written over");
            }
        } else if let Some(delete) = ast::Delete::cast(one.clone()) {
            let table = written_table(
                delete
                    .relation_name()
                    .and_then(|one| one.relation_name_ref()),
                scene,
                effect,
            );
            if let Some(table) = table.filter(|table| !scene.catalog.fresh(table)) {
                effect.destroys(Part::Table(table));
            }
        } else if let Some(merge) = ast::Merge::cast(one) {
            let table = merge
                .table_relation_name()
                .and_then(|one| one.table_name_ref());
            let table = written_table(table, scene, effect);
            let deletes = merge
                .merge_when_clauses()
                .any(|when| node_text(&when).to_lowercase().contains("then delete"));
            if let Some(table) = table.filter(|table| deletes && !scene.catalog.fresh(table)) {
                effect.destroys(Part::Table(table));
            }
            effect.irreversible("values are written over");
        }
    }
}

fn written_table(
    table: Option<impl AstNode>,
    scene: &LintContext,
    effect: &mut StatementEffect,
) -> Option<Name> {
    let Some(table) = table.map(|one| name(&one)) else {
        effect.not_understood("the table cannot be read");
        return None;
    };
    let view = scene
        .catalog
        .get(&table)
        .is_some_and(|known| known.kind == Kind::View);
    if view {
        effect.not_understood(format!(
            "{table} is a view: which table is written is in its definition"
        ));
    }
    effect.lock(&table, LockMode::RowExclusive);
    Some(table)
}

/// Whether an UPDATE fills columns that were empty before the migration.
fn only_new_columns(update: &ast::Update, table: &Name, scene: &LintContext) -> bool {
    if scene.catalog.fresh(table) {
        return true;
    }
    let Some(known) = scene.catalog.get(table) else {
        return false;
    };
    let set = update.set_clause().map(|set| {
        let targets = set
            .syntax()
            .descendants()
            .filter_map(ast::ColumnTarget::cast);
        last_names(targets.filter_map(|target| target.name()))
    });
    let set = set.unwrap_or_default();
    !set.is_empty()
        && set
            .iter()
            .all(|column| known.columns.get(column).is_some_and(|known| known.fresh))
}

/// A query is known where the functions that it calls are.
pub(super) fn query(node: &SyntaxNode, effect: &mut StatementEffect) {
    let calls = node.descendants().filter_map(ast::CallExpr::cast);
    for call in calls.filter_map(|call| call.expr()) {
        let function = crate::name::last(&node_text(&call));
        let harmless = QUERIED.contains(&function.as_str());
        if !harmless && volatility::of_function(&function) == Volatility::Unknown {
            effect.not_understood(format!("it calls {function}, which may do anything"));
        }
    }
}

/// Functions of queries that are no defaults.
const QUERIED: &[&str] = &[
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "dense_rank",
    "every",
    "first_value",
    "generate_series",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_each",
    "jsonb_object_agg",
    "lag",
    "last_value",
    "lead",
    "max",
    "min",
    "pg_get_serial_sequence",
    "pg_notify",
    "pg_sleep",
    "rank",
    "row_number",
    "set_config",
    "string_agg",
    "sum",
    "to_regclass",
    "unnest",
];

/// ACCESS EXCLUSIVE, and the files of the table are new and empty.
fn truncate(truncate: &ast::Truncate, scene: &LintContext, effect: &mut StatementEffect) {
    let tables = truncate
        .table_list()
        .into_iter()
        .flat_map(|list| list.table_relation_names());
    let mut pending: Vec<(Name, bool)> = tables.filter_map(|one| relation(&one)).collect();
    let cascade = cascades(truncate.drop_behavior());
    let mut done = Vec::new();
    while let Some((table, only)) = pending.pop() {
        for one in scene.family(&table, only) {
            if done.contains(&one) {
                continue;
            }
            effect.lock(&one, LockMode::AccessExclusive);
            if scene.has_rows(&one) {
                effect.work_on(&one, Work::Empty);
            }
            if !scene.catalog.fresh(&one) {
                effect.destroys(Part::Table(one.clone()));
            }
            if cascade {
                pending.extend(
                    scene
                        .catalog
                        .referenced_by(&one)
                        .into_iter()
                        .map(|other| (other, false)),
                );
            }
            done.push(one);
        }
    }
    if cascade && !scene.catalog.is_complete() {
        effect.not_understood("CASCADE empties every table that points to it");
    }
}

fn lock(lock: &ast::Lock, scene: &LintContext, effect: &mut StatementEffect) {
    let mode = match lock
        .lock_mode_clause()
        .and_then(|clause| clause.lock_mode())
    {
        None | Some(ast::LockMode::AccessExclusive(_)) => Some(LockMode::AccessExclusive),
        Some(ast::LockMode::Exclusive(_)) => Some(LockMode::Exclusive),
        Some(ast::LockMode::ShareRowExclusive(_)) => Some(LockMode::ShareRowExclusive),
        Some(ast::LockMode::Share(_)) => Some(LockMode::Share),
        Some(ast::LockMode::ShareUpdateExclusive(_)) => Some(LockMode::ShareUpdateExclusive),
        Some(ast::LockMode::RowExclusive(_)) => Some(LockMode::RowExclusive),
        Some(ast::LockMode::RowShare(_) | ast::LockMode::AccessShare(_)) => None,
    };
    for one in lock
        .relation_list()
        .into_iter()
        .flat_map(|list| list.relation_names())
    {
        if let Some(table) = one.relation_name_ref().map(|one| name(&one)) {
            for one in scene.family(&table, one.only_token().is_some()) {
                effect.touch(&one, mode, Work::None);
            }
        }
    }
}

/// "REINDEX … takes a SHARE lock on the parent table, and an ACCESS EXCLUSIVE lock on the specific
/// index that is being processed", which every query that plans with the table waits for.
fn reindex(reindex: &ast::Reindex, scene: &LintContext, effect: &mut StatementEffect) {
    let concurrently = reindex.is_concurrently();
    let (table_lock, index_lock) = if concurrently {
        (
            LockMode::ShareUpdateExclusive,
            LockMode::ShareUpdateExclusive,
        )
    } else {
        (LockMode::Share, LockMode::AccessExclusive)
    };
    match reindex.reindex_target() {
        Some(ast::ReindexTarget::ReindexTargetTable(target)) => {
            let Some(table) = target.table_name_ref().map(|one| name(&one)) else {
                return effect.not_understood("the table cannot be read");
            };
            effect.lock(&table, table_lock);
            scene.work_on_family(effect, &table, false, Work::Scan);
            for index in scene.catalog.indexes_of(&table) {
                effect.lock(index, index_lock);
            }
        }
        Some(ast::ReindexTarget::ReindexTargetIndex(target)) => {
            let Some(index) = target.index_ref().map(|one| name(&one)) else {
                return effect.not_understood("the index cannot be read");
            };
            if let Some(table) = scene.catalog.table_of_index(&index) {
                effect.touch(table, Some(table_lock), Work::Scan);
            }
            effect.lock(&index, index_lock);
        }
        _ => effect.not_understood("every index of a schema or a database is built again"),
    }
}

fn cluster(cluster: &ast::Cluster, scene: &LintContext, effect: &mut StatementEffect) {
    let legacy = cluster
        .cluster_legacy()
        .and_then(|one| one.on_path())
        .map(|on| {
            let said = node_text(&on);
            Name::read(said.split_once(' ').map_or("", |(_, table)| table))
        });
    let Some(table) = cluster.table_name_ref().map(|one| name(&one)).or(legacy) else {
        return effect.not_understood("every table that was clustered is written again");
    };
    scene.lock_family(effect, &table, false, LockMode::AccessExclusive);
    scene.work_on_family(effect, &table, false, Work::Rewrite);
    if let Some(index) = cluster
        .cluster_using_index()
        .and_then(|using| using.index_ref())
    {
        effect.lock(&name(&index), LockMode::AccessExclusive);
    }
}

/// VACUUM FULL writes the table again under ACCESS EXCLUSIVE; VACUUM and ANALYZE take SHARE UPDATE
/// EXCLUSIVE, for as long as they like to let others write.
fn vacuum(
    list: Option<ast::TableAndColumnsList>,
    full: bool,
    scene: &LintContext,
    effect: &mut StatementEffect,
) {
    let (lock, work) = if full {
        (LockMode::AccessExclusive, Work::Rewrite)
    } else {
        (LockMode::ShareUpdateExclusive, Work::None)
    };
    let Some(list) = list else {
        return effect.not_understood("every table of the database is looked after");
    };
    let tables = list
        .table_and_columnss()
        .filter_map(|one| one.table_relation_name());
    for (table, only) in tables.filter_map(|one| relation(&one)) {
        scene.lock_family(effect, &table, only, lock);
        scene.work_on_family(effect, &table, only, work);
    }
}

/// "REFRESH MATERIALIZED VIEW CONCURRENTLY" takes EXCLUSIVE and lets others read; without it no
/// other session reads until it is done.
fn refresh(refresh: &ast::Refresh, effect: &mut StatementEffect) {
    let Some(view) = refresh.view_ref().map(|one| name(&one)) else {
        return effect.not_understood("the view cannot be read");
    };
    if refresh.concurrently_token().is_some() {
        effect.touch(&view, Some(LockMode::Exclusive), Work::None);
    } else {
        effect.touch(&view, Some(LockMode::AccessExclusive), Work::Rewrite);
    }
}

fn copy(copy: &ast::Copy, scene: &LintContext, effect: &mut StatementEffect) {
    let into = matches!(copy.copy_direction(), Some(ast::CopyDirection::CopyFrom(_)));
    if into {
        written_table(
            copy.copy_table().and_then(|one| one.table_name_ref()),
            scene,
            effect,
        );
    }
}

/// COMMENT takes SHARE UPDATE EXCLUSIVE on the relation that it speaks of.
fn comment_on(comment: &ast::CommentOn, effect: &mut StatementEffect) {
    let relation = match comment.comment_object() {
        Some(ast::CommentObject::ObjectTable(one)) => one.table_name_ref().map(|one| name(&one)),
        Some(ast::CommentObject::ObjectIndex(one)) => one.index_ref().map(|one| name(&one)),
        Some(ast::CommentObject::ObjectView(one)) => one.view_ref().map(|one| name(&one)),
        Some(ast::CommentObject::ObjectMaterializedView(one)) => {
            one.view_ref().map(|one| name(&one))
        }
        Some(ast::CommentObject::ObjectSequence(one)) => one.sequence_ref().map(|one| name(&one)),
        Some(ast::CommentObject::ObjectColumn(one)) => one.name().map(|column| {
            let said = node_text(&column);
            let table = said.rsplit_once('.').map_or("", |(table, _)| table);
            Name::read(table)
        }),
        _ => None,
    };
    if let Some(relation) = relation {
        effect.lock(&relation, LockMode::ShareUpdateExclusive);
    }
}
