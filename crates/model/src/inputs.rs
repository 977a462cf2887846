//! What a stage was given, so that it can be run again elsewhere. Names of secrets, never a value.

use std::collections::BTreeMap;

use crate::Redactor;

/// What a stage was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// The words after the stage's name.
    pub arguments: Vec<String>,
    /// Flags that came as variables, `DEPLOY_GUARD_*`.
    pub settings: BTreeMap<String, String>,
    pub configuration: Option<Configuration>,
    /// Variables that the configuration uses, and whether each was set.
    pub variables: BTreeMap<String, Variable>,
}

impl Inputs {
    pub(crate) fn redacted(self, redactor: &Redactor) -> Self {
        let Inputs {
            arguments,
            settings,
            configuration,
            variables,
        } = self;
        let clean = |text: String| redactor.redact(&text);
        Inputs {
            arguments: arguments.into_iter().map(clean).collect(),
            settings: settings
                .into_iter()
                .map(|(name, value)| (clean(name), clean(value)))
                .collect(),
            configuration: configuration.map(|Configuration { path, sha256 }| Configuration {
                path: clean(path),
                sha256,
            }),
            variables: variables
                .into_iter()
                .map(|(name, variable)| (clean(name), variable))
                .collect(),
        }
    }
}

/// The file that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    pub path: String,
    /// In hexadecimal digits.
    pub sha256: String,
}

/// A variable, without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Set, and not empty.
    pub set: bool,
    pub secret: bool,
}
