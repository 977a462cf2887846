//! The rules: squawk's, and ours where squawk is silent.

use std::fmt;
use std::str::FromStr;

pub use squawk_linter::Rule as Squawk;

/// A rule that a statement may be found against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    Squawk(Squawk),
    Effect(EffectRule),
}

/// Rules on what a statement does, whatever its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectRule {
    /// No SQL that can be read.
    UnreadableSql,
    /// What a statement does cannot be told.
    UnknownEffect,
    /// Every row is written again while the table cannot be read.
    RewritesTable,
    /// Every row is read while the table cannot be written.
    ScansUnderLock,
    /// A statement that does nothing but lock.
    LocksTable,
    /// Something that the release before may use is gone or means something else.
    BreaksRelease,
    /// Rows or values are gone.
    DestroysData,
    /// PostgreSQL refuses the statement in the transaction that it is in.
    RefusedInTransaction,
}

impl EffectRule {
    pub const ALL: [EffectRule; 8] = [
        EffectRule::UnreadableSql,
        EffectRule::UnknownEffect,
        EffectRule::RewritesTable,
        EffectRule::ScansUnderLock,
        EffectRule::LocksTable,
        EffectRule::BreaksRelease,
        EffectRule::DestroysData,
        EffectRule::RefusedInTransaction,
    ];

    fn name(self) -> &'static str {
        match self {
            EffectRule::UnreadableSql => "unreadable-sql",
            EffectRule::UnknownEffect => "unknown-effect",
            EffectRule::RewritesTable => "rewrites-table",
            EffectRule::ScansUnderLock => "scans-under-lock",
            EffectRule::LocksTable => "locks-table",
            EffectRule::BreaksRelease => "breaks-release",
            EffectRule::DestroysData => "destroys-data",
            EffectRule::RefusedInTransaction => "refused-in-transaction",
        }
    }
}

/// What a rule is afraid of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Risk {
    /// How it is written; or it could be told better.
    Style,
    /// The release before may find what it took for certain no longer so.
    Guarantee,
    Unknown,
    /// The migration fails, or does other than it says.
    Fails,
    /// Others wait.
    Locks,
    /// Others wait until every row is written.
    Rewrites,
    /// The release before no longer works.
    Breaks,
    /// Data are lost.
    Loses,
}

impl Risk {
    /// Whether it counts when a release is to go back.
    pub fn matters_for_rollback(self) -> bool {
        matches!(self, Risk::Breaks | Risk::Loses)
    }

    pub fn name(self) -> &'static str {
        match self {
            Risk::Style => "style",
            Risk::Guarantee => "guarantee",
            Risk::Unknown => "unknown",
            Risk::Fails => "failure",
            Risk::Locks => "locks",
            Risk::Rewrites => "rewrite",
            Risk::Breaks => "compatibility",
            Risk::Loses => "data-loss",
        }
    }
}

/// What a finding counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Not looked for, unless it is asked for.
    Off,
    /// Shown.
    Advice,
    /// Fails the check.
    Failure,
}

impl Rule {
    pub fn all() -> impl Iterator<Item = Rule> {
        let own = EffectRule::ALL.into_iter().map(Rule::Effect);
        own.chain(enum_iterator::all().map(Rule::Squawk))
    }

    /// What fails by default is what locks, writes a table again, breaks the release before, loses data
    /// or fails itself. Style and what cannot be told is advice. The timeouts are off, because `migrate
    /// run` sets them, and so are the rules that squawk leaves off.
    pub fn level(self) -> Level {
        match self {
            Rule::Squawk(squawk) if is_off_by_default(squawk) => Level::Off,
            rule => match rule.concern() {
                Risk::Style | Risk::Guarantee | Risk::Unknown => Level::Advice,
                Risk::Fails | Risk::Locks | Risk::Rewrites | Risk::Breaks | Risk::Loses => {
                    Level::Failure
                }
            },
        }
    }

    pub fn concern(self) -> Risk {
        match self {
            Rule::Effect(EffectRule::UnreadableSql | EffectRule::RefusedInTransaction) => {
                Risk::Fails
            }
            Rule::Effect(EffectRule::UnknownEffect) => Risk::Unknown,
            Rule::Effect(EffectRule::RewritesTable) => Risk::Rewrites,
            Rule::Effect(EffectRule::ScansUnderLock | EffectRule::LocksTable) => Risk::Locks,
            Rule::Effect(EffectRule::BreaksRelease) => Risk::Breaks,
            Rule::Effect(EffectRule::DestroysData) => Risk::Loses,
            Rule::Squawk(squawk) => concern(squawk),
        }
    }

    /// Where the rule is explained.
    pub fn help_uri(self) -> Option<String> {
        match self {
            Rule::Squawk(squawk) => Some(format!("https://squawkhq.com/docs/{squawk}")),
            Rule::Effect(_) => None,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Squawk(squawk) => squawk.fmt(f),
            Rule::Effect(own) => f.write_str(own.name()),
        }
    }
}

/// A name that no rule has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no rule `{0}`")]
pub struct UnknownRuleError(pub String);

impl FromStr for Rule {
    type Err = UnknownRuleError;

    fn from_str(text: &str) -> Result<Rule, UnknownRuleError> {
        let own = EffectRule::ALL.into_iter().find(|own| own.name() == text);
        // Squawk reads no name of its finding on ignores.
        let squawk = || match text {
            "unused-ignore" => Some(Squawk::UnusedIgnore),
            _ => Squawk::try_from(text).ok(),
        };
        let rule = own.map(Rule::Effect).or_else(|| squawk().map(Rule::Squawk));
        rule.ok_or_else(|| UnknownRuleError(text.to_owned()))
    }
}

fn is_off_by_default(squawk: Squawk) -> bool {
    squawk.is_opt_in()
        || matches!(
            squawk,
            Squawk::RequireLockTimeout | Squawk::RequireStatementTimeout
        )
}

/// Exhaustive, so that a rule of a newer squawk is not forgotten.
fn concern(squawk: Squawk) -> Risk {
    match squawk {
        Squawk::RequireConcurrentIndexCreation
        | Squawk::RequireConcurrentIndexDeletion
        | Squawk::RequireConcurrentPartitionDetach
        | Squawk::RequireConcurrentReindex
        | Squawk::ConstraintMissingNotValid
        | Squawk::AddingForeignKeyConstraint
        | Squawk::AddingSerialPrimaryKeyField
        | Squawk::DisallowedUniqueConstraint
        | Squawk::BanAlterDomainWithAddConstraint
        | Squawk::RequireTimeoutSettings
        | Squawk::RequireLockTimeout
        | Squawk::RequireStatementTimeout => Risk::Locks,
        Squawk::AddingFieldWithDefault | Squawk::PreferRepack => Risk::Rewrites,
        Squawk::ChangingColumnType
        | Squawk::AddingNotNullableField
        | Squawk::AddingRequiredField
        | Squawk::RenamingColumn
        | Squawk::RenamingTable
        | Squawk::RenamingObject
        | Squawk::BanSetSchema
        | Squawk::BanDropView
        | Squawk::BanDropFunction
        | Squawk::BanDropType
        | Squawk::BanDropDomain
        | Squawk::BanDropDefault
        | Squawk::BanDropExtension
        | Squawk::BanDropGeneratedExpression
        | Squawk::BanAlterIdentity
        | Squawk::BanAddCompositeAttribute
        | Squawk::BanReplaceViewFunction
        | Squawk::BanAlterGeneratedExpression
        | Squawk::BanDetachInheritance => Risk::Breaks,
        Squawk::BanDropDatabase
        | Squawk::BanDropColumn
        | Squawk::BanDropTable
        | Squawk::BanDropSchema
        | Squawk::BanDropSequence
        | Squawk::BanTruncateCascade => Risk::Loses,
        Squawk::TransactionNesting
        | Squawk::BanConcurrentIndexCreationInTransaction
        | Squawk::BanUncommittedTransaction
        | Squawk::BanDuplicateColumnAssignments => Risk::Fails,
        Squawk::BanDropNotNull
        | Squawk::BanDropConstraint
        | Squawk::BanDropTrigger
        | Squawk::BanDropIndex
        | Squawk::BanSetDefault
        | Squawk::BanDisableTrigger
        | Squawk::BanReplicaIdentity
        | Squawk::BanDropPolicy
        | Squawk::BanRevoke
        | Squawk::BanAlterPolicyCondition
        | Squawk::BanAlterPolicyRoles
        | Squawk::BanCreatePolicy
        | Squawk::BanAlterFunctionOptions
        | Squawk::BanAlterViewOptions
        | Squawk::BanAlterRoleOptions
        | Squawk::BanAlterDatabaseOptions
        | Squawk::BanAlterRowLevelSecurity
        | Squawk::BanNewWriteRestriction
        | Squawk::BanAddEnumValue
        | Squawk::BanAddColumn
        | Squawk::BanAlterSequenceValues
        | Squawk::BanAlterSystemOptions
        | Squawk::BanAlterExtension => Risk::Guarantee,
        Squawk::PreferBigintOverInt
        | Squawk::PreferBigintOverSmallint
        | Squawk::PreferIdentity
        | Squawk::PreferRobustStmts
        | Squawk::PreferTextField
        | Squawk::PreferTimestampTz
        | Squawk::BanCharField
        | Squawk::BanCreateDomainWithConstraint
        | Squawk::RequireEnumValueOrdering
        | Squawk::RequireTableSchema
        | Squawk::IdentifierTooLong
        | Squawk::UnusedIgnore => Risk::Style,
    }
}
