//! A value that must not be shown.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};

/// Replaces a secret.
pub const MASK: &str = "***";

/// A token, a password, a key: printed as `***`, and wiped from memory when it is dropped. The
/// redactor is the net behind it, for what a server or a program repeats.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The value, for the one that it is sent to, and for the redactor.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Secret(SecretString::from(value))
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Secret(SecretString::from(value))
    }
}

impl From<&String> for Secret {
    fn from(value: &String) -> Self {
        Secret::from(value.as_str())
    }
}

impl From<&Secret> for Secret {
    fn from(secret: &Secret) -> Self {
        secret.clone()
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl PartialOrd for Secret {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Secret {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.expose().cmp(other.expose())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Secret::from)
    }
}

/// To the one that writes it into a file, it is a text.
impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_secret_is_printed_as_a_mask_in_every_form() {
        #[derive(Debug)]
        struct Login {
            #[expect(dead_code, reason = "it is printed")]
            password: Option<Secret>,
        }
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(secret.expose(), "hunter2");
        let login = Login {
            password: Some(secret.clone()),
        };
        for shown in [
            format!("{secret}"),
            format!("{secret:>40}"),
            format!("{secret:?}"),
            format!("{login:#?}"),
            secret.to_string(),
        ] {
            assert!(!shown.contains("hunter"), "{shown}");
            assert!(shown.contains(MASK), "{shown}");
        }
    }
}
