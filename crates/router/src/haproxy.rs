//! HAProxy.

pub mod socket;
