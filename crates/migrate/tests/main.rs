//! The stage against real databases and real tools.
// The figures are printed: they are what was measured.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr)]

mod backup;
mod bed;
mod bystanders;
mod classified;
mod contract;
mod kills;
mod lint;
mod mariadb;
mod polite;
mod projects;
mod races;
mod rehearse;
mod restore_kills;
mod run;
mod runbooks;
mod secrets;
mod shell_texts;
mod states;
mod status;
