//! Backups of real databases: taken, spoilt, read, restored.

#![allow(clippy::disallowed_methods, reason = "tests")]

mod damage;
mod mariadb;
mod postgres;
mod setting;
mod swap;
