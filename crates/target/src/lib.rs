//! What a release runs on and what routes to it: where that is, how it is read, and whether a
//! rollback could ever switch it.

pub mod compose;
pub mod fit;
pub mod haproxy;
mod place;
pub mod sudo;
pub mod systemd;
pub mod upstream;

pub use place::{Place, Places, word};
