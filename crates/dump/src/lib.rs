//! Backups of a database: taken, read to their end, kept, and restored into another database.
//!
//! A backup counts only after a full read. A tool's exit status proves nothing: `pg_restore --list`
//! accepts a file that was cut to a fifth.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

pub mod archive;
mod child;
mod contents;
mod credentials;
mod error;
mod facts;
mod folder;
mod programs;
mod restore;
mod schema;
mod scratch;
mod sql;
mod swap;
mod take;
mod verify;

pub use contents::{Contents, ContentsError, Expected, Format};
pub use error::Error;
pub use facts::Facts;
pub use folder::{Backup, Folder};
pub use programs::Programs;
pub use restore::restore;
pub use schema::{Schema, schema};
pub use scratch::{Scratch, Source};
pub use swap::{Swap, Swapped, exists, was_swapped};
pub use take::{Taking, take};
pub use verify::verify;
