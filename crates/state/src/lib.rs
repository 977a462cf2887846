//! What we know of a service's releases, kept so that a kill at any moment loses nothing: the
//! state document, its store, the lease on it, and the journal of what a rollback did.

pub mod atomic;
pub mod document;
pub mod holder;
pub mod journal;
pub mod store;

pub use document::{Document, Entry, Frozen, Lock, Status};
pub use holder::Holder;
pub use journal::Journal;
pub use store::{Error, Lease, Store};
