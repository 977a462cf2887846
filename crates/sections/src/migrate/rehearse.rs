//! How a migration is tried on a copy.

use schemars::JsonSchema;
use serde::Deserialize;
use values::{ShellText, Span};
use yaml::Fault;

use crate::KeyPosition;

/// How a migration is tried on a copy.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Rehearse {
    /// The smoke test of the release before, run by `sh -c` against the changed copy: the variable of `url-env`
    /// holds the copy's URL, `RELEASE` that release.
    pub smoke: Option<ShellText>,
    /// Whether `run` needs a rehearsal of the same migrations that passed. Default false.
    pub required: bool,
    /// How old it may be. Default: any age.
    pub max_age: Option<Span>,
}

impl Rehearse {
    pub(crate) fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        match &self.smoke {
            Some(smoke) => spot.key("smoke").some_text(smoke),
            None => Ok(()),
        }
    }
}
