//! What a stage was given, so that it can be run again elsewhere. Names of secrets, never a value.

use std::collections::BTreeMap;

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
