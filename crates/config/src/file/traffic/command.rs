//! Commands of the user's divide the requests.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use crate::file::rollback::{TargetConfig, machines};
use crate::file::{HostList, Match, ReleaseSource};
use crate::value::{ShellText, Span};
use sections::KeyPosition;

/// Commands that set and print the share, run by `sh -c`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CommandRouter {
    /// Gives the share `$SHARE`, a number of percent such as `10` or `0.5`, to `$SIDE` (`blue` or `green`),
    /// which answers `$RELEASE` (empty where it does not answer); the other side gets the rest. It must be safe
    /// to run twice.
    pub set: ShellText,
    /// Prints the share of `$SIDE` in percent, such as `10` or `10%`.
    pub get: ShellText,
    /// `host:port` of the blue side.
    pub blue: String,
    /// `host:port` of the green side.
    pub green: String,
    /// A URL through the router, and where the release is in its answer. Default: the first
    /// `healthgate` probe that has a `release`.
    pub release: Option<ReleaseSource>,
    /// Machines under `hosts:` where the commands run: `all`, a pattern, or a list; the URL is then
    /// requested from there. Default: the machine that runs us.
    pub hosts: Option<HostList>,
    /// How long each command, and the proof through the router, may take. Default 1m.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

fn timeout() -> Span {
    Span::from_secs(60)
}

impl TargetConfig for CommandRouter {
    fn release_rule(&self) -> Option<Match> {
        self.release.as_ref().map(|source| source.r#match)
    }

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        for (key, text) in [("set", &self.set), ("get", &self.get)] {
            if text.trim().is_empty() {
                return spot.refuse(key, format!("`{key}` is empty"));
            }
        }
        for (key, address) in [("blue", &self.blue), ("green", &self.green)] {
            spot.key(key).plain(address, "_-.:[]/")?;
        }
        if self.blue == self.green {
            return spot.refuse("green", "both sides have the same address");
        }
        machines(spot.key("hosts"), self.hosts.as_ref())
    }
}
