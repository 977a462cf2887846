//! `healthgate` as a user runs it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod cloud;
mod ecs;
mod explain;
mod gate;
mod gating;
mod groups;
mod grpc;
mod hostile;
mod http;
mod identity;
mod page;
mod peers;
mod ports;
mod prometheus;
mod runbook_000;
mod runbook_002;
mod runbook_003;
mod schedule;
mod services;
mod shards;
mod silence;
mod smoke;
mod streams;
mod summary;
mod view;
