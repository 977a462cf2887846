//! A command of the user's makes the switch.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::TargetConfig;
use crate::value::{ShellText, Span};
use sections::KeyPosition;

/// A command that makes a given release live. It is run by `sh -c` with `RELEASE`,
/// `PREVIOUS_RELEASE` and `HOST` in its environment, and must be safe to run twice.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CommandTarget {
    /// Makes `$RELEASE` live.
    pub run: ShellText,
    /// Prints the release that is live, for a rollback that must know what it leaves.
    pub current: Option<ShellText>,
    /// Proves that `$RELEASE` can be made live, without changing anything; run before the first change.
    pub check: Option<ShellText>,
    /// Names under `hosts:`; the command runs here once for each, with `HOST` set to its address.
    /// Default: once, with `HOST=localhost`.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Run the commands on the `hosts`, logged in by SSH, instead of here. Default: here, once for each host.
    #[serde(default)]
    pub on_hosts: bool,
    /// How long one run may take. Default 5m.
    #[serde(default = "command_timeout")]
    pub timeout: Span,
}

fn command_timeout() -> Span {
    Span::from_secs(5 * 60)
}

impl TargetConfig for CommandTarget {
    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        if self.on_hosts && self.hosts.is_empty() {
            let fault = spot.key("on-hosts").fault("no host is named");
            return Err(fault.hint("name the machines that the commands run on: `hosts: [web-01]`"));
        }
        for (nth, host) in self.hosts.iter().enumerate() {
            let spot = spot.key("hosts").item(nth);
            spot.known_host(host)?;
            // Two steps of one name, side by side on one host, could not be told apart.
            if self.hosts[..nth].contains(host) {
                return Err(spot.fault(format!("`{host}` is named twice")));
            }
        }
        Ok(())
    }
}
