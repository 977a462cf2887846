//! What requests are signed with.

use model::Secret;

/// A key pair, and the token of a session.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) access: String,
    pub(crate) secret: Secret,
    pub(crate) token: Option<Secret>,
}
