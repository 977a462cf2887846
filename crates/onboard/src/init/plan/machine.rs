//! A machine that a deployment goes to.

/// A machine that is reached by SSH.
#[derive(Debug)]
pub(in crate::init) struct Machine {
    pub(in crate::init) name: String,
    pub(in crate::init) user: String,
    pub(in crate::init) address: String,
}
