//! The schema of a database and how it is changed by a tool that is not ours: what is true of it, and
//! one change of it, made politely and proved from the tool's own tables.
//!
//! [`Session`] has the section and the ways to database and tool; [`SchemaState`] is what both tell;
//! [`change`] makes one change, under a lock that the database keeps.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod call;
mod change;
pub mod effect;
mod mysql_watcher;
mod own_url;
mod pending;
pub mod readiness;
mod readiness_error;
mod record;
mod rehearsed;
pub mod script;
mod server_catalog;
mod session;
mod session_lock;
mod tool_end;
mod truth;
mod undo;
mod watcher;
mod workers;

pub use call::Call;
pub use change::{Change, ChangeEnd, ChangeResult, RESTART, change};
pub use effect::Effect;
pub use readiness_error::ReadinessError;
pub use record::{Recorded, is_recorded, record};
pub use rehearsed::{required, way_down};
pub use server_catalog::ServerCatalog;
pub use session::{MIGRATE, Session};
pub use tool_end::{ToolEnd, ToolFailure};
pub use truth::SchemaState;
pub use undo::{UndoRequest, Undone, Unfinished};
pub use watcher::AttemptFacts;
