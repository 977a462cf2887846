//! Who we are to a registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Secret;

/// What proves who we are.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A user name with its password or token.
    Password { username: String, password: Secret },
    /// An OAuth2 refresh token: the token service swaps it for an access token. Docker's
    /// `identitytoken`, and a credential helper's user `<token>`.
    Identity(Secret),
    /// An access token that is sent as it is. Docker's `registrytoken`.
    Bearer(Secret),
}

impl Credentials {
    pub fn new(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Credentials::Password {
            username: username.into(),
            password: password.into(),
        }
    }

    /// What must not be shown.
    pub fn secret(&self) -> &Secret {
        match self {
            Credentials::Password { password, .. } => password,
            Credentials::Identity(token) | Credentials::Bearer(token) => token,
        }
    }

    /// The value of an `Authorization` header, where a user name and a password are wanted.
    pub(crate) fn basic(&self) -> Option<Secret> {
        let Credentials::Password { username, password } = self else {
            return None;
        };
        let pair = format!("{username}:{}", password.expose());
        Some(Secret::from(format!("Basic {}", STANDARD.encode(pair))))
    }
}
