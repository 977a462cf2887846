//! Changes of known effects, each rehearsed on a real database.

#![allow(clippy::disallowed_methods, reason = "tests")]

mod bed;
mod effects;
mod mariadb;
