//! `deploy-guard`, its Action, its installer and its documents, as a user has them.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod action;
mod action_holds;
mod action_inputs;
mod action_script;
mod canary;
mod contract;
mod docs;
mod doctor;
mod documented;
mod examples;
mod init;
mod init_cases;
mod init_guards;
mod init_patched;
mod install;
mod job;
mod masking;
mod proxy;
mod release;
mod reproduce;
mod runbook_table;
mod runbooks;
mod security;
mod shell;
mod snapshots;
