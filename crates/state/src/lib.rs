//! What we know of a service's releases, kept so that a kill at any moment loses nothing: the
//! state document, its stores, the lease on it, and the journal of what a rollback did.
//!
//! A store is a file, a file on a host, or an object in a bucket; [`Store`] makes them one.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

pub mod atomic;
mod backend;
mod database;
pub mod document;
mod error;
mod forced;
pub mod holder;
pub mod journal;
pub mod log;
pub mod migrate;
mod migrated;
mod parse;
mod refusal;
mod rehearsal;
mod rehearsed;
pub mod repair;
mod rollout;
pub mod store;
mod store_context;
pub mod validate;

pub use database::DatabaseSchema;
pub use document::{Document, Entry, Frozen, Lock, RehearsedRollback, Status};
pub use error::Error;
pub use forced::Forced;
pub use holder::Holder;
pub use journal::Journal;
pub use log::{Lines, Log};
pub use migrated::SchemaChange;
pub use refusal::Rule;
pub use rehearsal::{KeptBackup, Rehearsal, RehearsedMigration};
pub use rollout::{AbortRequest, OldSide, Phase, Rollout, release_shown};
pub use store::{Claim, Lease, Snapshot, Store, Within};
pub use store_context::StoreContext;
