//! What a migration tool has done to a database, and what its files would do next: read from the
//! tool's own tables and from the files, never from what the tool prints or how it ends.
//!
//! A tool is data and a pure function: it names the files and the queries that it needs, and makes a
//! [`Reading`] of the answers. [`read`] fetches both. What applies, undoes or prints a migration is a
//! [`Command`]; others run it.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod checksum;
mod command;
mod error;
mod files;
mod finding;
mod handover;
mod ini;
mod kinds;
mod line;
mod order;
mod python;
mod read;
mod reading;
mod session;
mod site;
mod sql;
mod steps;
mod tool;
mod tool_query;
mod tools;

pub use command::{Command, Pending, Script, Transactions, UndoError};
pub use error::Error;
pub use files::{FileRequest, Tree, fetch};
pub use finding::{Finding, FindingKind, Proof};
pub use handover::{HandedOver, Handover, HandoverError};
pub use kinds::tool;
pub use read::{own_tables, read};
pub use reading::{Applied, Migration, Reading, Tracking, Undo};
pub use session::{DatabaseAccess, LimitTransport, Settings};
pub use site::ToolSite;
pub use tool::Tool;
pub use tool_query::{Query, Table, ToolAnswers};
