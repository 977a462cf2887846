//! `rollback` as a user runs it: the real binary, real files, a real nginx, and kills.
#![allow(clippy::unwrap_used)]

mod fleet;
mod hook;
mod kill;
mod locks;
mod race;
mod record;
mod refusals;
mod regressions;
mod remote;
mod rules;
mod upkeep;
mod world;
