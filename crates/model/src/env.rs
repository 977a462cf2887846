//! A snapshot of the environment variables, taken once at the start and handed down.
//!
//! Code that takes an `Env` can be tested without touching the process, and there is one place
//! to look for who reads which variable.

use std::collections::BTreeMap;

use crate::secret::Secret;

/// Environment variables whose names and values are valid UTF-8.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// The value, also when it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value, unless it is empty: GitHub hands over a missing secret as an empty string.
    pub fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// The value of a variable that holds a secret, unless it is empty.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.non_empty(name).map(Secret::from)
    }

    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Not the values: any of them may be a secret.
impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// The next step where a step did not get a secret.
pub fn mapping_hint(name: &str) -> String {
    format!("map it in the step: `env: {{ {name}: ${{{{ secrets.{name} }}}} }}`")
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Env {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(variables: T) -> Self {
        Env(variables
            .into_iter()
            .map(|(n, v)| (n.into(), v.into()))
            .collect())
    }
}
