//! Plain settings that must be there.

use std::path::PathBuf;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::CheckConfig;
use crate::value::{Pattern, Weight};
use sections::KeyPosition;

/// An environment variable that must be set, or a file of examples whose every key must be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VariableCheck {
    /// The variable, which is also the check's name.
    pub name: Option<String>,
    /// A regular expression that matches the whole value.
    pub matches: Option<Pattern>,
    /// The values that it may have.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// Instead of `name`: a file such as `.env.example`, whose every key must be set.
    pub example_file: Option<PathBuf>,
    /// Keys of the example file that may be missing.
    #[serde(default)]
    pub optional: Vec<String>,
    /// Look in this file, such as `.env`, instead of in the environment.
    pub env_file: Option<PathBuf>,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

impl CheckConfig for VariableCheck {
    const KEYS: &[&str] = &["name", "example-file"];

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let of_name = self.matches.is_some() || !self.one_of.is_empty();
        let message = match (&self.name, &self.example_file) {
            (Some(_), Some(_)) => "`name` and `example-file` exclude each other",
            (None, None) => "neither `name` nor `example-file` is given",
            (None, Some(_)) if of_name => "`matches` and `one-of` are for a variable by `name`",
            (Some(_), None) if !self.optional.is_empty() => "`optional` is for an `example-file`",
            _ => return Ok(()),
        };
        Err(spot.fault(message))
    }
}
