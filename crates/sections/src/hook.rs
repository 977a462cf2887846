//! Commands of the user's beside what a stage does.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use values::{ShellText, Span};

use crate::KeyPosition;

/// A command of yours beside a rollback or a deployment. It cannot change the verdict.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hook {
    /// The hook's name.
    pub name: String,
    /// The command, run by `sh -c`: the shell replaces `$NAME` and `${NAME}`. Its environment has
    /// `RELEASE`, `PREVIOUS_RELEASE`, `SERVICE` and `ENVIRONMENT`; those under `after` have also
    /// `VERDICT`, `REASON` and `REPORT` (a file with the JSON report).
    ///
    /// Under `rollback`, `RELEASE` is the destination, and `EVIDENCE` the folder with what was
    /// captured; those under `capture` run once for each host, with `HOST` set to its address. Under
    /// `deploy`, `RELEASE` is what was deployed, and `PREVIOUS_RELEASE` the last good one before it.
    pub run: ShellText,
    /// How long it may take. Default 1m.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

fn timeout() -> Span {
    Span::from_secs(60)
}

impl Hook {
    /// A hook is known by its name, and one that does nothing is no backup. `list` is where the
    /// hooks stand.
    pub fn check(hooks: &[Hook], list: KeyPosition<'_>) -> Result<(), Fault> {
        list.unique("name")?;
        for (nth, hook) in hooks.iter().enumerate() {
            for (key, text) in [("name", hook.name.as_str()), ("run", &hook.run)] {
                if text.trim().is_empty() {
                    return list.item(nth).refuse(key, format!("`{key}` is empty"));
                }
            }
        }
        Ok(())
    }
}
