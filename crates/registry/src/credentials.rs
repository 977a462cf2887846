//! Who we are to a registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

/// What proves who we are.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A user name with its password or token.
    Password {
        username: String,
        password: SecretString,
    },
    /// An OAuth2 refresh token: the token service swaps it for an access token. Docker's
    /// `identitytoken`, and a credential helper's user `<token>`.
    Identity(SecretString),
    /// An access token that is sent as it is. Docker's `registrytoken`.
    Bearer(SecretString),
}

impl Credentials {
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Credentials::Password {
            username: username.into(),
            password: SecretString::from(password.into()),
        }
    }

    /// What must not be shown.
    pub fn secret(&self) -> &str {
        match self {
            Credentials::Password { password, .. } => password.expose_secret(),
            Credentials::Identity(token) | Credentials::Bearer(token) => token.expose_secret(),
        }
    }

    /// The value of an `Authorization` header, where a user name and a password are wanted.
    pub(crate) fn basic(&self) -> Option<SecretString> {
        let Credentials::Password { username, password } = self else {
            return None;
        };
        let pair = format!("{username}:{}", password.expose_secret());
        Some(SecretString::from(format!(
            "Basic {}",
            STANDARD.encode(pair)
        )))
    }
}
