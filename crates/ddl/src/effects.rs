//! What the statements of a migration do, one after another.

mod alter;
mod alter_table;
mod constraint;
mod create;
mod drop;
mod rows;

use squawk_syntax::SourceFile;
use squawk_syntax::ast::{self, AstNode, Stmt};

use crate::catalog::Catalog;
use crate::effect::StatementEffect;
use crate::scene::LintContext;
use crate::sql::{self, Places, ReadError, bytes, node_text};
use migration_tools::Transaction;

/// What the effects of a statement depend on, beside its words.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub transaction: Transaction,
    /// The major version of the server: 15.
    pub server: u32,
}

/// Tells of each statement what it does. A statement sees what those before it made; `catalog` is
/// afterwards as the statements leave it.
pub fn effects(
    text: &str,
    setting: Setting,
    catalog: &mut Catalog,
) -> Result<Vec<StatementEffect>, ReadError> {
    let mut scene = LintContext {
        catalog: catalog.clone(),
        server: setting.server,
    };
    let effects = sql::read(text, |parse| {
        of_file(text, parse, setting.transaction, &mut scene)
    })?;
    *catalog = scene.catalog;
    Ok(effects)
}

fn of_file(
    text: &str,
    parse: &squawk_syntax::Parse<SourceFile>,
    transaction: Transaction,
    scene: &mut LintContext,
) -> Vec<StatementEffect> {
    let places = Places::of(text);
    let errors: Vec<_> = parse
        .errors()
        .iter()
        .map(|error| usize::from(error.range().start()))
        .collect();
    let root = parse.syntax_node();
    let statements = root.children().filter_map(Stmt::cast);
    let many = statements
        .filter(|one| !matches!(one, Stmt::EmptyStmt(_)))
        .count()
        > 1;
    let mut in_transaction = match transaction {
        Transaction::Whole => true,
        Transaction::Implicit => many,
        Transaction::AsWritten => false,
    };
    let mut effects = Vec::new();
    for node in root.children() {
        let range: std::ops::Range<usize> =
            node.text_range().start().into()..node.text_range().end().into();
        let Some(statement) = Stmt::cast(node.clone()) else {
            let lost = text.get(range.clone()).unwrap_or_default().trim();
            if !lost.is_empty() {
                let mut effect =
                    StatementEffect::of(places.at(range.start), range, lost, in_transaction);
                effect.not_understood("it is not a known SQL statement");
                effects.push(effect);
            }
            continue;
        };
        match &statement {
            Stmt::EmptyStmt(_) => continue,
            Stmt::Begin(_) => in_transaction = true,
            Stmt::Commit(_) => in_transaction = false,
            _ => {}
        }
        let range = bytes(&statement);
        let mut effect = StatementEffect::of(
            places.at(range.start),
            range.clone(),
            &node_text(&statement),
            in_transaction,
        );
        effect.alone = stands_alone(&statement);
        if errors
            .iter()
            .any(|error| range.contains(error) || *error == range.end)
        {
            effect.not_understood("a part of it cannot be read");
        }
        of_statement(&statement, scene, &mut effect);
        for touched in &mut effect.touched {
            touched.fresh = scene.catalog.fresh(&touched.relation);
        }
        effects.push(effect);
    }
    effects
}

fn of_statement(statement: &Stmt, scene: &mut LintContext, effect: &mut StatementEffect) {
    let known = alter::altered(statement, scene, effect)
        || create::created(statement, scene, effect)
        || drop::dropped(statement, scene, effect)
        || rows::used(statement, scene, effect);
    if !known {
        of_session(statement, effect);
    }
}

/// Statements that change the session, or whose effect is not in their words.
fn of_session(statement: &Stmt, effect: &mut StatementEffect) {
    match statement {
        Stmt::Set(set) => {
            if node_text(set).to_lowercase().contains("search_path") {
                effect.not_understood("names without a schema mean other tables from here on");
            }
        }
        Stmt::Revoke(_) => {
            effect.perhaps_breaks("the release before may lose a right that it needs");
        }
        Stmt::Begin(_)
        | Stmt::Commit(_)
        | Stmt::SavepointCreate(_)
        | Stmt::ReleaseSavepoint(_)
        | Stmt::Reset(_)
        | Stmt::Show(_)
        | Stmt::SetTransaction(_)
        | Stmt::SetConstraints(_)
        | Stmt::Grant(_)
        | Stmt::Notify(_)
        | Stmt::Listen(_)
        | Stmt::Unlisten(_)
        | Stmt::CreateExtension(_)
        | Stmt::Checkpoint(_) => {}
        Stmt::Do(_) => effect.not_understood("a DO block may do anything"),
        Stmt::Call(_) => effect.not_understood("a procedure may do anything"),
        Stmt::Execute(_) | Stmt::Prepare(_) => {
            effect.not_understood("a prepared statement may do anything");
        }
        Stmt::Rollback(_) => effect.not_understood("what was done before it is undone"),
        _ => effect.not_understood("the statement is not known"),
    }
}

/// Statements that the manual says "cannot be executed inside a transaction block".
fn stands_alone(statement: &Stmt) -> bool {
    match statement {
        Stmt::CreateIndex(create) => create.concurrently_token().is_some(),
        Stmt::DropIndex(drop) => drop.concurrently_token().is_some(),
        Stmt::Reindex(reindex) => {
            let target = reindex.reindex_target();
            let all = matches!(
                target,
                Some(
                    ast::ReindexTarget::ReindexTargetDatabase(_)
                        | ast::ReindexTarget::ReindexTargetSystem(_)
                        | ast::ReindexTarget::ReindexTargetSchema(_)
                )
            );
            reindex.is_concurrently() || all
        }
        Stmt::AlterTable(alter) => alter.actions().any(|action| match action {
            ast::AlterTableAction::DetachPartition(detach) => matches!(
                detach.detach_partition_option(),
                Some(ast::DetachPartitionOption::DetachConcurrently(_))
            ),
            _ => false,
        }),
        Stmt::Cluster(cluster) => {
            cluster.table_name_ref().is_none() && cluster.cluster_legacy().is_none()
        }
        Stmt::Vacuum(_)
        | Stmt::CreateDatabase(_)
        | Stmt::DropDatabase(_)
        | Stmt::CreateTablespace(_)
        | Stmt::DropTablespace(_)
        | Stmt::AlterSystem(_) => true,
        _ => false,
    }
}
