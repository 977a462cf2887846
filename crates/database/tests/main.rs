//! Connections to a real PostgreSQL and a real MariaDB.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod mariadb;
mod postgres;
