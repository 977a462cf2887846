//! `rollback` as a user runs it: the real binary, real files, a real nginx, and kills.

mod beside;
mod fleet;
mod hook;
mod kill;
mod locks;
mod pictures;
mod race;
mod record;
mod refusals;
mod regressions;
mod rehearse;
mod releases;
mod remote;
mod rules;

mod run_ends;
mod run_lock;
mod second_user;
mod situations;

mod runbooks;
mod stops;
mod upkeep;
mod vector;
mod world;
