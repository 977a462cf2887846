//! ALTER TABLE.
//!
//! The lock of each action is said in the manual at ALTER TABLE ("an ACCESS EXCLUSIVE lock is
//! acquired unless explicitly noted"); whether rows are read or written, in its notes.

use squawk_syntax::ast::{self, AlterTableAction};

use super::constraint::Written;
use crate::catalog::{Column, Kind, Rule, UserType};
use crate::column_type::{ColumnType, Conversion};
use crate::effect::{Change, LockMode, Part, StatementEffect, Work};
use crate::name::{Name, last};
use crate::scene::{LintContext, cascades, last_name, name, relation};
use crate::sql::node_text;
use crate::volatility::{self, Volatility};

/// From this version on, the default of a new column is kept in the catalog.
const DEFAULT_IN_CATALOG: u32 = 11;
/// From this version on, a check may prove that a column has no NULL.
const NOT_NULL_BY_CHECK: u32 = 12;

pub(super) fn apply(
    alter: &ast::AlterTable,
    scene: &mut LintContext,
    effect: &mut StatementEffect,
) {
    let Some((table, only)) = alter.table_relation_name().and_then(|one| relation(&one)) else {
        effect.not_understood("every table of a tablespace is moved");
        return;
    };
    actions(&table, only, alter.actions(), scene, effect);
}

pub(super) fn actions(
    table: &Name,
    only: bool,
    actions: impl Iterator<Item = AlterTableAction>,
    scene: &mut LintContext,
    effect: &mut StatementEffect,
) {
    if !scene.catalog.may_have(table) {
        return;
    }
    effect.touch(table, None, Work::None);
    // As it was before: an action may take a partition away.
    let family = scene.family(table, only);
    let (mut strongest, mut recurses) = (None, false);
    for action in actions {
        let mut one = Action {
            table,
            only,
            scene,
            effect,
        };
        strongest = strongest.max(Some(one.apply(&action)));
        recurses |= goes_to_children(&action);
    }
    let Some(lock) = strongest else { return };
    for one in family.iter().take(if recurses { usize::MAX } else { 1 }) {
        effect.lock(one, lock);
    }
}

/// Whether an action is made in the partitions, or in what inherits from the table, too.
fn goes_to_children(action: &AlterTableAction) -> bool {
    match action {
        AlterTableAction::AddColumn(_)
        | AlterTableAction::DropColumn(_)
        | AlterTableAction::RenameColumn(_)
        | AlterTableAction::EnableTrigger(_)
        | AlterTableAction::EnableAlwaysTrigger(_)
        | AlterTableAction::EnableReplicaTrigger(_)
        | AlterTableAction::DisableTrigger(_)
        | AlterTableAction::DropConstraint(_)
        | AlterTableAction::RenameConstraint(_)
        | AlterTableAction::ValidateConstraint(_) => true,
        // A key is an index of each partition.
        AlterTableAction::AddConstraint(add) => !matches!(
            add.constraint(),
            Some(
                ast::Constraint::UniqueConstraint(_)
                    | ast::Constraint::PrimaryKeyConstraint(_)
                    | ast::Constraint::ExcludeConstraint(_)
            )
        ),
        AlterTableAction::AlterColumn(alter) => !matches!(
            alter.option(),
            Some(ast::AlterColumnOption::SetOptions(_) | ast::AlterColumnOption::ResetOptions(_))
        ),
        _ => false,
    }
}

struct Action<'a> {
    table: &'a Name,
    only: bool,
    scene: &'a mut LintContext,
    effect: &'a mut StatementEffect,
}

impl Action<'_> {
    /// Tells what the action does, and answers with its lock on the table.
    fn apply(&mut self, action: &AlterTableAction) -> LockMode {
        match action {
            AlterTableAction::AddColumn(add) => self.add_column(add),
            AlterTableAction::DropColumn(drop) => self.drop_column(drop),
            AlterTableAction::AlterColumn(alter) => return self.alter_column(alter),
            AlterTableAction::AddConstraint(add) => return self.add_constraint(add),
            AlterTableAction::DropConstraint(drop) => self.drop_constraint(drop),
            AlterTableAction::ValidateConstraint(validate) => return self.validate(validate),
            AlterTableAction::RenameColumn(rename) => self.rename_column(rename),
            AlterTableAction::RenameConstraint(rename) => self.rename_constraint(rename),
            AlterTableAction::TableRenameTo(rename) => self.rename(rename),
            AlterTableAction::SetSchema(set) => self.set_schema(set),
            AlterTableAction::AttachPartition(attach) => return self.attach(attach),
            AlterTableAction::DetachPartition(detach) => return self.detach(detach),
            AlterTableAction::InheritTable(inherit) => {
                if let Some(parent) = inherit.table_name_ref() {
                    let parent = name(&parent);
                    self.effect.lock(&parent, LockMode::ShareUpdateExclusive);
                    self.scene
                        .catalog
                        .change(&parent)
                        .children
                        .insert(self.table.clone());
                }
            }
            AlterTableAction::NoInheritTable(inherit) => {
                if let Some(parent) = inherit.table_name_ref() {
                    let parent = name(&parent);
                    self.scene
                        .catalog
                        .change(&parent)
                        .children
                        .remove(self.table);
                    self.effect.perhaps_breaks(format!(
                        "{parent} no longer shows the rows of {}",
                        self.table
                    ));
                }
            }
            AlterTableAction::SetLogged(_)
            | AlterTableAction::SetUnlogged(_)
            | AlterTableAction::SetAccessMethod(_)
            | AlterTableAction::SetTablespace(_) => self.work(Work::Rewrite),
            AlterTableAction::ClusterOn(on) => {
                if let Some(index) = on.index_ref() {
                    self.effect
                        .lock(&name(&index), LockMode::ShareUpdateExclusive);
                }
                return LockMode::ShareUpdateExclusive;
            }
            AlterTableAction::SetWithoutCluster(_) => return LockMode::ShareUpdateExclusive,
            AlterTableAction::SetOptions(set) => return storage_lock(&node_text(set)),
            AlterTableAction::ResetOptions(reset) => return storage_lock(&node_text(reset)),
            AlterTableAction::EnableTrigger(_)
            | AlterTableAction::EnableAlwaysTrigger(_)
            | AlterTableAction::EnableReplicaTrigger(_) => return LockMode::ShareRowExclusive,
            AlterTableAction::DisableTrigger(_) => {
                self.effect
                    .perhaps_breaks("what the trigger did is no longer done");
                return LockMode::ShareRowExclusive;
            }
            AlterTableAction::EnableRls(_) | AlterTableAction::ForceRls(_) => {
                self.effect.perhaps_breaks(format!(
                    "rows of {} are hidden that no policy shows",
                    self.table
                ));
            }
            AlterTableAction::DisableRule(_)
            | AlterTableAction::EnableRule(_)
            | AlterTableAction::EnableAlwaysRule(_)
            | AlterTableAction::EnableReplicaRule(_) => {
                self.effect
                    .perhaps_breaks("a rule rewrites the statements of the release before");
            }
            AlterTableAction::OwnerTo(_) => {
                self.effect
                    .perhaps_breaks(format!("{} belongs to another role", self.table));
            }
            AlterTableAction::AlterConstraint(_)
            | AlterTableAction::NoForceRls(_)
            | AlterTableAction::DisableRls(_)
            | AlterTableAction::ReplicaIdentity(_)
            | AlterTableAction::OfType(_)
            | AlterTableAction::NotOf(_)
            | AlterTableAction::SetWithoutOids(_) => {}
            AlterTableAction::MergePartitions(_)
            | AlterTableAction::SplitPartition(_)
            | AlterTableAction::AlterOptionList(_)
            | AlterTableAction::OptionItemList(_) => {
                self.effect.not_understood("the action is not known");
            }
        }
        LockMode::AccessExclusive
    }

    fn work(&mut self, work: Work) {
        self.scene
            .work_on_family(self.effect, self.table, self.only, work);
    }

    fn column(&self, name: &str) -> Option<&Column> {
        self.scene.catalog.get(self.table)?.columns.get(name)
    }

    fn part(&self, column: &str) -> Part {
        Part::Column(self.table.clone(), column.to_owned())
    }

    /// "When a column is added with ADD COLUMN and a non-volatile DEFAULT is specified, the default
    /// value is evaluated at the time of the statement and the result stored in the table's
    /// metadata"; a volatile one, a stored generated column, an identity, and a domain with
    /// constraints need every row and index to be written again.
    fn add_column(&mut self, add: &ast::AddColumn) {
        let Some(column) = add.column_name().map(|one| last_name(&one)) else {
            return self.effect.not_understood("the column has no name");
        };
        if add.if_not_exists().is_some() && self.column(&column).is_some() {
            return;
        }
        let type_text = add.ty().map(|one| node_text(&one)).unwrap_or_default();
        let serial = ColumnType::serial(&type_text);
        let mut known = Column {
            kind: ColumnType::read(&type_text),
            required: serial,
            default: serial,
            fresh: true,
        };
        let mut work = if serial { Work::Rewrite } else { Work::None };
        if !known.kind.is_builtin() && !serial {
            work = work.max(match self.scene.catalog.user_type(&known.kind.base) {
                Some(UserType::Plain) => Work::None,
                Some(UserType::CheckedDomain) => Work::Rewrite,
                None => Work::Unsure,
            });
        }
        let mut others = Vec::new();
        let mut null_default = true;
        for constraint in add.constraints() {
            match &constraint {
                ast::Constraint::DefaultConstraint(default) => {
                    let expression = default.expr();
                    let null = expression
                        .as_ref()
                        .is_some_and(|one| node_text(one).eq_ignore_ascii_case("null"));
                    known.default = !null;
                    null_default = null;
                    work = work.max(match expression.map(|one| volatility::of(&one)) {
                        Some(Volatility::Unknown) | None => Work::Unsure,
                        Some(Volatility::Once)
                            if null || self.scene.server >= DEFAULT_IN_CATALOG =>
                        {
                            Work::None
                        }
                        Some(Volatility::Once | Volatility::EachRow) => Work::Rewrite,
                    });
                }
                ast::Constraint::GeneratedConstraint(generated) => {
                    known.default = true;
                    null_default = false;
                    work = work.max(generated_work(generated));
                }
                ast::Constraint::NotNullConstraint(_) => known.required = true,
                ast::Constraint::NullConstraint(_) => {}
                other => others.extend(Written::read(other, Some(&column))),
            }
        }
        self.work(work);
        if known.required && null_default && !serial {
            self.work(Work::Scan);
            self.effect.breaks(self.part(&column), Change::Required);
        }
        for constraint in others {
            // Without a value there is nothing to check against the other table.
            let unchecked = null_default && !serial;
            constraint.add_with_column(self.table, self.only, unchecked, self.scene, self.effect);
            constraint.remember(self.table, self.scene);
        }
        for one in self.scene.family(self.table, self.only) {
            self.scene
                .catalog
                .change(&one)
                .columns
                .insert(column.clone(), known.clone());
        }
    }

    fn drop_column(&mut self, drop: &ast::DropColumn) {
        let Some(column) = drop.column_name_ref().map(|one| last_name(&one)) else {
            return self.effect.not_understood("the column has no name");
        };
        let gone = self.column(&column).is_none();
        if drop.if_exists().is_some() && gone && self.scene.catalog.is_complete() {
            return;
        }
        if self.column(&column).is_some_and(|column| column.fresh) {
            // It was never there for the release before.
        } else {
            self.effect.breaks(self.part(&column), Change::Dropped);
            self.effect.destroys(self.part(&column));
        }
        self.lock_those_of(|constraint| constraint.columns.contains(&column));
        if cascades(drop.drop_behavior()) {
            self.effect
                .not_understood("CASCADE drops whatever uses the column");
        }
        for one in self.scene.family(self.table, self.only) {
            let relation = self.scene.catalog.change(&one);
            relation.columns.remove(&column);
            relation
                .constraints
                .retain(|_, constraint| !constraint.columns.contains(&column));
        }
    }

    /// The tables at the other end of the foreign keys that go.
    fn lock_those_of(&mut self, which: impl Fn(&crate::catalog::Constraint) -> bool) {
        let Some(known) = self.scene.catalog.get(self.table) else {
            return;
        };
        for constraint in known.constraints.values().filter(|one| which(one)) {
            if let Rule::Foreign { to } = &constraint.rule {
                self.effect.lock(to, LockMode::AccessExclusive);
            }
        }
    }

    fn alter_column(&mut self, alter: &ast::AlterColumn) -> LockMode {
        let (Some(column), Some(option)) = (alter.column_name_ref(), alter.option()) else {
            self.effect
                .not_understood("the change of the column cannot be read");
            return LockMode::AccessExclusive;
        };
        let column = last_name(&column);
        let ours = self.column(&column).is_some_and(|column| column.fresh)
            || self.scene.catalog.fresh(self.table);
        match &option {
            ast::AlterColumnOption::SetType(set) => self.set_type(&column, set, ours),
            ast::AlterColumnOption::SetNotNull(_) => self.set_not_null(&column, ours),
            ast::AlterColumnOption::DropNotNull(_) => {
                self.change_column(&column, |known| known.required = false);
                self.effect
                    .restricts(format!("it may read no value from {}", self.part(&column)));
            }
            ast::AlterColumnOption::SetDefault(_) => {
                self.change_column(&column, |known| known.default = true);
            }
            ast::AlterColumnOption::DropDefault(_) | ast::AlterColumnOption::DropIdentity(_) => {
                self.drop_default(&column, ours);
            }
            ast::AlterColumnOption::AddGenerated(add) => {
                self.change_column(&column, |known| known.default = true);
                if node_text(add).to_ascii_lowercase().contains("always") && !ours {
                    self.effect.breaks(self.part(&column), Change::Generated);
                }
            }
            ast::AlterColumnOption::SetGenerated(_)
            | ast::AlterColumnOption::SetGeneratedOptions(_) => {
                let said = node_text(&option).to_ascii_lowercase();
                if said.contains("generated always") && !ours {
                    self.effect.breaks(self.part(&column), Change::Generated);
                }
            }
            ast::AlterColumnOption::SetExpression(_) => {
                self.work(Work::Rewrite);
                self.effect.irreversible(format!(
                    "the values of {} are made anew",
                    self.part(&column)
                ));
            }
            ast::AlterColumnOption::DropExpression(_) => {
                self.effect
                    .irreversible(format!("{} cannot be generated again", self.part(&column)));
                self.effect
                    .perhaps_breaks("the values are no longer kept up to date");
            }
            ast::AlterColumnOption::SetStatistics(_)
            | ast::AlterColumnOption::SetOptions(_)
            | ast::AlterColumnOption::ResetOptions(_) => return LockMode::ShareUpdateExclusive,
            ast::AlterColumnOption::SetStorage(_)
            | ast::AlterColumnOption::SetCompression(_)
            | ast::AlterColumnOption::Restart(_)
            | ast::AlterColumnOption::SetSequenceOption(_) => {}
            ast::AlterColumnOption::SetOptionsList(_)
            | ast::AlterColumnOption::Inherit(_)
            | ast::AlterColumnOption::NoInherit(_) => {
                self.effect
                    .not_understood("the change of the column is not known");
            }
        }
        LockMode::AccessExclusive
    }

    fn change_column(&mut self, column: &str, change: impl Fn(&mut Column)) {
        for one in self.scene.family(self.table, self.only) {
            if let Some(known) = self.scene.catalog.change(&one).columns.get_mut(column) {
                change(known);
            }
        }
    }

    fn drop_default(&mut self, column: &str, ours: bool) {
        let may = self.column(column).is_none_or(|known| known.default);
        if may && !ours {
            self.effect
                .breaks(self.part(column), Change::WithoutDefault);
        }
        self.change_column(column, |known| known.default = false);
    }

    /// "SET NOT NULL … Ordinarily this is checked during the ALTER TABLE by scanning the entire table;
    /// however, if a valid CHECK constraint is found which proves no NULL can exist, then the table
    /// scan is skipped."
    fn set_not_null(&mut self, column: &str, ours: bool) {
        let known = self.column(column);
        if known.is_some_and(|known| known.required) {
            return;
        }
        let default = known.is_some_and(|known| known.default);
        for one in self.scene.family(self.table, self.only) {
            let proved = self.scene.server >= NOT_NULL_BY_CHECK
                && self.scene.catalog.get(&one).is_some_and(|relation| {
                    relation
                        .constraints
                        .values()
                        .any(|constraint| match &constraint.rule {
                            Rule::Check { not_null } => {
                                constraint.valid && not_null.contains(column)
                            }
                            _ => false,
                        })
                });
            if !proved && self.scene.has_rows(&one) {
                self.effect.work_on(&one, Work::Scan);
            }
        }
        if !ours && default {
            self.effect.restricts(format!(
                "a write of NULL to {} is refused",
                self.part(column)
            ));
        } else if !ours {
            self.effect.breaks(self.part(column), Change::Required);
        }
        self.change_column(column, |known| known.required = true);
    }

    fn set_type(&mut self, column: &str, set: &ast::SetType, ours: bool) {
        let new = ColumnType::read(&set.ty().map(|one| node_text(&one)).unwrap_or_default());
        let old = self.column(column).map(|known| known.kind.clone());
        let plain_using =
            set.using_expr()
                .and_then(|using| using.expr())
                .is_none_or(|expression| {
                    let said = node_text(&expression);
                    last(said.split("::").next().unwrap_or_default()) == column
                });
        let conversion = match &old {
            Some(old) if plain_using && set.collate().is_none() => old.to(&new),
            // The expression may give any values.
            Some(_) if !plain_using => Conversion::Lossy,
            _ => Conversion::Unsure,
        };
        self.work(match conversion {
            Conversion::None => self.rechecked(column, old.as_ref() == Some(&new)),
            Conversion::Rewrite | Conversion::Lossy => Work::Rewrite,
            Conversion::Unsure => Work::Unsure,
        });
        let part = self.part(column);
        match conversion {
            Conversion::None | Conversion::Rewrite => {}
            Conversion::Lossy => {
                self.effect.irreversible(format!(
                    "values of {part} lose what the new type does not hold"
                ));
                if !ours {
                    self.effect.destroys.push(part.clone());
                }
            }
            Conversion::Unsure => self.effect.reversible = crate::effect::Reversible::Unknown,
        }
        let same_to_users = plain_using && old.is_some_and(|old| old.is_held_by(&new));
        if !same_to_users && !ours {
            self.effect.breaks(part, Change::OtherType);
        }
        self.change_column(column, |known| known.kind = new.clone());
    }

    /// A check on the column is made again for the new type, and reads the rows.
    fn rechecked(&self, column: &str, same: bool) -> Work {
        let known = self.scene.catalog.get(self.table);
        let checked = known.is_some_and(|known| {
            known.constraints.values().any(|constraint| {
                matches!(constraint.rule, Rule::Check { .. }) && constraint.columns.contains(column)
            })
        });
        if checked && !same {
            Work::Scan
        } else {
            Work::None
        }
    }

    fn add_constraint(&mut self, add: &ast::AddConstraint) -> LockMode {
        let Some(constraint) = add.constraint() else {
            self.effect.not_understood("the constraint cannot be read");
            return LockMode::AccessExclusive;
        };
        if let ast::Constraint::NotNullConstraint(not_null) = &constraint {
            // Since 18.
            let column = not_null.column_name_ref().map(|one| last_name(&one));
            let ours = self.scene.catalog.fresh(self.table);
            if let Some(column) = column {
                self.set_not_null(&column, ours);
            }
            return LockMode::AccessExclusive;
        }
        let Some(written) = Written::read(&constraint, None) else {
            self.effect.not_understood("the constraint is not known");
            return LockMode::AccessExclusive;
        };
        let lock = written.add(self.table, self.only, self.scene, self.effect);
        written.remember(self.table, self.scene);
        lock
    }

    fn drop_constraint(&mut self, drop: &ast::DropConstraint) {
        let Some(constraint) = drop.constraint_name_ref().map(|one| last_name(&one)) else {
            return self.effect.not_understood("the constraint has no name");
        };
        let known = self.scene.catalog.get(self.table);
        let rule = known
            .and_then(|known| known.constraints.get(&constraint))
            .cloned();
        if let Some(crate::catalog::Constraint {
            rule: Rule::Foreign { to },
            ..
        }) = &rule
        {
            self.effect.lock(to, LockMode::AccessExclusive);
        }
        if cascades(drop.drop_behavior()) {
            self.effect
                .not_understood("CASCADE drops whatever uses the constraint");
        }
        self.scene
            .catalog
            .change(self.table)
            .constraints
            .remove(&constraint);
        self.scene
            .catalog
            .drop_index(&self.table.sibling(constraint));
    }

    /// "Validation acquires only a SHARE UPDATE EXCLUSIVE lock on the table being altered. If the
    /// constraint is a foreign key then a ROW SHARE lock is also required on the table referenced".
    fn validate(&mut self, validate: &ast::ValidateConstraint) -> LockMode {
        let constraint = validate
            .constraint_name_ref()
            .map(|one| last_name(&one))
            .unwrap_or_default();
        let known = self
            .scene
            .catalog
            .change(self.table)
            .constraints
            .get_mut(&constraint);
        let valid = known.is_some_and(|known| std::mem::replace(&mut known.valid, true));
        if !valid {
            self.work(Work::Scan);
        }
        LockMode::ShareUpdateExclusive
    }

    fn rename_column(&mut self, rename: &ast::RenameColumn) {
        let (Some(old), Some(new)) = (rename.column_name_ref(), rename.column_name()) else {
            return self
                .effect
                .not_understood("the names of the column cannot be read");
        };
        let (old, new) = (last_name(&old), last_name(&new));
        if !self.column(&old).is_some_and(|column| column.fresh) {
            self.effect.breaks(self.part(&old), Change::Renamed);
        }
        for one in self.scene.family(self.table, self.only) {
            let relation = self.scene.catalog.change(&one);
            if let Some(column) = relation.columns.remove(&old) {
                relation.columns.insert(new.clone(), column);
            }
            for constraint in relation.constraints.values_mut() {
                if constraint.columns.remove(&old) {
                    constraint.columns.insert(new.clone());
                }
            }
        }
    }

    fn rename_constraint(&mut self, rename: &ast::RenameConstraint) {
        if let (Some(old), Some(new)) = (rename.constraint_name_ref(), rename.constraint_name()) {
            let constraints = &mut self.scene.catalog.change(self.table).constraints;
            if let Some(constraint) = constraints.remove(&last_name(&old)) {
                constraints.insert(last_name(&new), constraint);
            }
        }
    }

    fn rename(&mut self, rename: &ast::TableRenameTo) {
        let Some(new) = rename.table_name() else {
            return self.effect.not_understood("the new name cannot be read");
        };
        self.gone_as(Change::Renamed);
        let new = self.table.sibling(last_name(&new));
        self.scene.catalog.rename_relation(self.table, &new);
    }

    fn set_schema(&mut self, set: &ast::SetSchema) {
        let schema = set
            .schema_ref()
            .map(|one| last_name(&one))
            .unwrap_or_default();
        self.gone_as(Change::Moved);
        let new = Name::new(schema, self.table.name.clone());
        self.scene.catalog.rename_relation(self.table, &new);
    }

    fn gone_as(&mut self, change: Change) {
        let known = self.scene.catalog.get(self.table);
        let part = match known.map(|known| known.kind) {
            Some(Kind::View | Kind::MaterializedView) => Part::View(self.table.clone()),
            Some(Kind::Sequence) => Part::Other("sequence", self.table.to_string()),
            _ => Part::Table(self.table.clone()),
        };
        if !self.scene.catalog.fresh(self.table) {
            self.effect.breaks(part, change);
        }
    }

    /// "Attaching a partition acquires a SHARE UPDATE EXCLUSIVE lock on the parent table, in addition
    /// to the ACCESS EXCLUSIVE locks on the table being attached and on the default partition (if any)."
    fn attach(&mut self, attach: &ast::AttachPartition) -> LockMode {
        if let Some(partition) = attach.table_name_ref().map(|one| name(&one)) {
            self.scene
                .lock_family(self.effect, &partition, false, LockMode::AccessExclusive);
            self.scene
                .work_on_family(self.effect, &partition, false, Work::Scan);
            self.scene
                .catalog
                .change(self.table)
                .children
                .insert(partition);
        }
        LockMode::ShareUpdateExclusive
    }

    fn detach(&mut self, detach: &ast::DetachPartition) -> LockMode {
        let Some(partition) = detach.table_name_ref().map(|one| name(&one)) else {
            self.effect.not_understood("the partition has no name");
            return LockMode::AccessExclusive;
        };
        self.effect.lock(&partition, LockMode::AccessExclusive);
        self.effect.perhaps_breaks(format!(
            "{} no longer shows the rows of {partition}",
            self.table
        ));
        self.scene
            .catalog
            .change(self.table)
            .children
            .remove(&partition);
        match detach.detach_partition_option() {
            Some(_) => LockMode::ShareUpdateExclusive,
            None => LockMode::AccessExclusive,
        }
    }
}

fn generated_work(generated: &ast::GeneratedConstraint) -> Work {
    match generated.generated_as() {
        // Virtual ones are made when they are read, since 18.
        Some(ast::GeneratedAs::GeneratedStored(stored))
            if node_text(&stored).to_ascii_lowercase().ends_with("virtual") =>
        {
            Work::None
        }
        _ => Work::Rewrite,
    }
}

/// "SHARE UPDATE EXCLUSIVE lock will be taken for fillfactor, toast and autovacuum storage
/// parameters, as well as the planner parameter parallel_workers."
pub(super) fn storage_lock(said: &str) -> LockMode {
    let options = said.split_once('(').map_or("", |(_, options)| options);
    let light = options.trim_end_matches(')').split(',').all(|option| {
        let option = option
            .split('=')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let option = option.strip_prefix("toast.").unwrap_or(&option);
        option == "fillfactor"
            || option == "toast_tuple_target"
            || option == "parallel_workers"
            || option.starts_with("autovacuum_")
            || option.starts_with("vacuum_")
            || option == "log_autovacuum_min_duration"
    });
    if light {
        LockMode::ShareUpdateExclusive
    } else {
        LockMode::AccessExclusive
    }
}
