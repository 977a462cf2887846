//! Which findings in the pending SQL count.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use crate::KeyPosition;

/// Which findings in the pending SQL count.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MigrateLint {
    /// Findings that do not count, each with its reason. `-- squawk-ignore RULE` in the SQL does the same.
    #[serde(default)]
    pub ignore: Vec<LintIgnore>,
}

/// A finding that does not count.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LintIgnore {
    /// The rule's name, such as `adding-not-nullable-field`.
    pub rule: String,
    /// Files in which it does not count, such as `db/migrations/2024*`. Default: all.
    pub file: Option<String>,
    /// Why; it is shown.
    pub reason: String,
}

impl MigrateLint {
    pub(crate) fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        for (nth, ignore) in self.ignore.iter().enumerate() {
            let item = spot.key("ignore").item(nth);
            item.key("rule").some_text(&ignore.rule)?;
            item.key("reason").some_text(&ignore.reason)?;
        }
        Ok(())
    }
}
