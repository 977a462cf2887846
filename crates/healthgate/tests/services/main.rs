//! Where services run: commands, units of systemd, containers, databases; here and on hosts.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod bed;
mod commands;
mod containers;
mod databases;
mod projects;
mod runbooks;
mod systemd;
