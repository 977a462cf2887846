//! Where services run: commands, units of systemd, containers, databases; here and on hosts.

mod bed;
mod commands;
mod containers;
mod databases;
mod projects;
mod runbooks;
mod systemd;
