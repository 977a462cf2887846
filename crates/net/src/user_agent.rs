//! How we introduce ourselves.

pub const USER_AGENT: &str = concat!("deploy-guard/", env!("CARGO_PKG_VERSION"));
