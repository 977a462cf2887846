//! What the SQL of a migration does: to those who use the database meanwhile, and to the release
//! before. It reads texts; it asks no server and runs nothing.

pub mod catalog;
mod column_type;
pub mod effect;
mod effects;
pub mod lint;
mod migration;
mod name;
pub mod rule;
mod safe_way;
pub mod sarif;
mod scene;
mod sql;
pub mod summary;
mod volatility;

pub use catalog::Catalog;
pub use effect::{LockMode, StatementEffect, Work};
pub use effects::{Setting, effects};
pub use lint::{Finding, Ignore, LintError, Linter, Options};
pub use migration::{Migration, NoSqlError};
pub use migration_tools::{Tool, Transaction};
pub use name::Name;
pub use rule::{EffectRule, Level, Risk, Rule, Squawk};
pub use sql::{Place, ReadError};
pub use summary::{Class, Summary};
