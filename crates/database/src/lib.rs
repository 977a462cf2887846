//! A database: where it is, a connection to it, and what it tells of itself.
//!
//! PostgreSQL and MariaDB (or MySQL) are asked in the same way: a statement, and rows of text.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod address;
mod connection;
mod error;
mod forward;
pub mod lock;
pub mod mysql;
pub mod mysql_facts;
pub mod pg_facts;
pub mod postgres;
mod quote;
mod rows;
mod shape;
pub mod tls;

pub use address::{Address, Host, System, UrlError, url_of_other};
pub use connection::{Connection, Database};
pub use error::Error;
pub use forward::Forward;
pub use quote::{identifier, literal};
pub use rows::{QueryRows, Rows};
pub use shape::{Break, Shape};
