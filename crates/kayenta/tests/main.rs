//! The judge by its public interface.
#![allow(clippy::unwrap_used, reason = "tests")]

mod watch;
