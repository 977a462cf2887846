//! A machine that a flag or an answer names.

/// A machine that is reached by SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub name: String,
    pub user: String,
    pub address: String,
    pub port: Option<u16>,
}
