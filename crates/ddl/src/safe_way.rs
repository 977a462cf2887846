//! The safe way to what a statement wants, in the words of the tool.

use migration_tools::{Facts, SafeWays, Tool};

use crate::rule::{EffectRule, Rule, Squawk};

/// What to do instead. `None` where squawk's own help says it.
pub(crate) fn safe_way(rule: Rule, tool: Tool) -> Option<String> {
    match rule {
        Rule::Effect(own) => Some(own_way(own, &tool.facts().ways)),
        Rule::Squawk(squawk) => squawk_way(squawk, tool.facts()),
    }
}

fn own_way(own: EffectRule, ways: &SafeWays) -> String {
    match own {
        EffectRule::UnreadableSql => {
            "correct the statement; if PostgreSQL takes it, ignore the rule for this file with that reason".into()
        }
        EffectRule::UnknownEffect => {
            "write what it does as plain statements, or let `migrate rehearse` show what it locks and changes".into()
        }
        EffectRule::RewritesTable => {
            "add a new column or table beside it, fill it in batches, and change over in a later release".into()
        }
        EffectRule::ScansUnderLock => format!(
            "where the constraint can be added unchecked ({}), check it in a later migration ({}), which lets others write; build the index of a key before, with {}",
            ways.check_not_valid,
            ways.validate,
            ways.create_index
        ),
        EffectRule::LocksTable => "take the weakest lock that does, and nothing slow after it".into(),
        EffectRule::DestroysData => {
            "take a backup before, or keep the rows in another table; if they may go, ignore the rule with that reason".into()
        }
        EffectRule::BreaksRelease => format!(
            "first release code that {}; change the schema when no release that needs the old shape can come back",
            ways.forget_column
        ),
        EffectRule::RefusedInTransaction => format!("run it {}", ways.outside_transaction),
    }
}

fn squawk_way(squawk: Squawk, tool: &Facts) -> Option<String> {
    let ways = &tool.ways;
    let outside = ways.outside_transaction;
    let way = match squawk {
        Squawk::RequireConcurrentIndexCreation => format!("use {}; run it {outside}", ways.create_index),
        Squawk::RequireConcurrentIndexDeletion => format!("use {}; run it {outside}", ways.drop_index),
        Squawk::RequireConcurrentReindex => format!("use `REINDEX ... CONCURRENTLY`; run it {outside}"),
        Squawk::RequireConcurrentPartitionDetach => {
            format!("use `DETACH PARTITION ... CONCURRENTLY`; run it {outside}")
        }
        Squawk::BanConcurrentIndexCreationInTransaction => format!("run it {outside}"),
        Squawk::AddingForeignKeyConstraint => format!(
            "add it unchecked with {}; check it in a later migration with {}",
            ways.foreign_key_not_valid,
            ways.validate
        ),
        Squawk::ConstraintMissingNotValid => format!(
            "add it unchecked with {}; check it in a later migration with {}",
            ways.check_not_valid,
            ways.validate
        ),
        Squawk::AddingNotNullableField => format!(
            "add `CHECK (column IS NOT NULL)` unchecked with {}, check it with {}, then `SET NOT NULL` and drop the check",
            ways.check_not_valid,
            ways.validate
        ),
        Squawk::AddingRequiredField => {
            "add the column with a constant default, or without NOT NULL: the release before writes rows without it".into()
        }
        Squawk::AddingFieldWithDefault => {
            "add the column without a default, set the default in a second statement, and fill the rows in batches".into()
        }
        Squawk::DisallowedUniqueConstraint | Squawk::AddingSerialPrimaryKeyField => format!(
            "build the unique index with {} {outside}; then `ADD CONSTRAINT ... UNIQUE USING INDEX` (or `PRIMARY KEY`)",
            ways.create_index
        ),
        Squawk::ChangingColumnType => {
            "add a column of the new type, write both, fill it in batches, read the new one, and drop the old one in a later release".into()
        }
        Squawk::RenamingColumn => {
            "add a column of the new name, write both, fill it in batches, and drop the old one in a later release".into()
        }
        Squawk::RenamingTable => {
            "rename it and make a view of the old name in the same transaction, and drop the view in a later release".into()
        }
        Squawk::BanDropColumn => format!(
            "first release code that {}; drop the column when no release that uses it can come back",
            ways.forget_column
        ),
        Squawk::BanDropTable
        | Squawk::BanDropView
        | Squawk::BanDropFunction
        | Squawk::BanDropType
        | Squawk::BanDropDomain
        | Squawk::BanDropSchema
        | Squawk::BanDropSequence
        | Squawk::BanDropExtension
        | Squawk::RenamingObject
        | Squawk::BanSetSchema => {
            "first release code that does not use it; change it when no release that uses it can come back".into()
        }
        Squawk::BanDropDefault => {
            "first release code that writes the column itself; drop the default when no release before it can come back".into()
        }
        Squawk::BanTruncateCascade => "name every table that is to be emptied, and back it up before".into(),
        Squawk::TransactionNesting | Squawk::BanUncommittedTransaction if tool.has_own_transactions => {
            "let one BEGIN and one COMMIT enclose the statements".into()
        }
        Squawk::TransactionNesting | Squawk::BanUncommittedTransaction => {
            format!("leave BEGIN and COMMIT to the tool; what must not be in a transaction runs {outside}")
        }
        Squawk::PreferRepack => "use pg_repack or pg_squeeze, which let others read and write meanwhile".into(),
        _ => return None,
    };
    Some(way)
}
