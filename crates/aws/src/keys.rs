//! What requests are signed with.

use secrecy::SecretString;

/// A key pair, and the token of a session.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) access: String,
    pub(crate) secret: SecretString,
    pub(crate) token: Option<SecretString>,
}
