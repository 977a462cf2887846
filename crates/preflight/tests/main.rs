//! `preflight` as a user runs it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod asking;
mod backup;
mod check_runs;
mod checks;
mod commands;
mod commit;
mod description;
mod github;
mod github_secrets;
mod hosts;
mod images;
mod migrations;
mod one_check;
mod rollback_ready;
mod runbook_004_network;
mod runbooks;
mod runners;
mod secrets;
mod settings;
