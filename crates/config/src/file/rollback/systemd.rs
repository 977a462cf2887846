//! A unit of systemd and a link to the release that it runs.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{TargetConfig, absolute, machines};
use crate::file::HostList;
use crate::value::Span;
use sections::KeyPosition;

/// A folder for each release below `releases`, a symbolic link to the one that runs, and a unit
/// that runs what is behind the link. The link is replaced in one move, the unit restarted, and
/// then watched: it must stay active and not be started again.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SystemdTarget {
    /// The unit, such as `shop.service`.
    pub unit: String,
    /// The folder whose folders are named like the releases, such as `/srv/shop/releases`.
    pub releases: PathBuf,
    /// The link to the release that runs. Default: `current` beside `releases`.
    pub link: Option<PathBuf>,
    /// Machines under `hosts:` where it runs: `all`, a pattern, or a list. Default: the machine
    /// that runs us.
    pub hosts: Option<HostList>,
    /// Call `systemctl` through `sudo -n`, where the user may not restart the unit.
    #[serde(default)]
    pub sudo: bool,
    /// How long the unit must stay active without being started again. Default 3s.
    #[serde(default = "settle")]
    pub settle: Span,
    /// How long a restart may take until the unit is active. Default 30s.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

impl SystemdTarget {
    /// The link to the release that runs.
    pub fn link(&self) -> PathBuf {
        let beside = || self.releases.with_file_name("current");
        self.link.clone().unwrap_or_else(beside)
    }
}

fn settle() -> Span {
    Span::from_secs(3)
}

fn timeout() -> Span {
    Span::from_secs(30)
}

impl TargetConfig for SystemdTarget {
    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        // A pattern would restart other units too.
        spot.key("unit").plain(&self.unit, "_-.:@\\")?;
        absolute(spot.key("releases"), &self.releases)?;
        let link = self.link();
        absolute(spot.key("link"), &link)?;
        if link.starts_with(&self.releases) {
            let message = "the link lies among the releases: it would be taken for one";
            return spot.refuse("link", message);
        }
        machines(spot.key("hosts"), self.hosts.as_ref())
    }
}
