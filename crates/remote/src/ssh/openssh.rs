//! The `ssh` program as the client: its configuration, agents, certificates and security keys.
//!
//! One process of it, the master, holds the connection. We speak to it by its control socket
//! (`PROTOCOL.mux` of OpenSSH): each command and each tunnel costs a message and no process.

mod diagnosis;
mod guardian;
pub(super) mod login;
pub(super) mod master;
mod mux;
