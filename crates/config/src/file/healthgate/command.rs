//! Commands whose exit status and output say whether the service is well.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::probe_config::one_or_many;
use super::{HostList, PolicyOverlay, ProbeConfig};
use crate::value::{Pattern, Portion, ShellText};
use sections::KeyPosition;

/// A command that must end with an expected status and print what is expected.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CommandProbe {
    /// The probe's name.
    pub name: String,
    /// What `sh -c` runs, in the folder and with the variables of the stage; on a host, what its
    /// login shell runs, with that user's, and with those of the stage that it names as `${NAME}`.
    /// `$RELEASE` is `--release`. It must change nothing: it is run again and again.
    pub run: ShellText,
    /// A name under `hosts:` where it runs. Default: on the machine that runs us.
    pub host: Option<String>,
    /// Machines of `hosts:` where it runs, all of them probed as one group: `all`, a pattern, or a
    /// list.
    pub hosts: Option<HostList>,
    /// How many of these machines must pass, such as `95%` or `12`. Default 100%.
    pub require: Option<Portion>,
    /// Exit statuses that are good. Default: 0.
    #[serde(default = "zero")]
    pub status: Vec<u8>,
    /// A text that must stand in its standard output.
    pub contains: Option<String>,
    /// What its standard output must be, without the white space around it.
    pub equals: Option<String>,
    /// A regular expression that its standard output must match; `(?m)` lets `^` and `$` stand
    /// for lines.
    pub matches: Option<Pattern>,
    /// What it does otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

fn zero() -> Vec<u8> {
    vec![0]
}

impl ProbeConfig for CommandProbe {
    common_fields!();
    on_hosts!();

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        one_or_many(spot, self.host.as_deref(), self.hosts.as_ref())?;
        spot.key("run").some_text(&self.run)?;
        if self.status.is_empty() {
            return spot.refuse("status", "no exit status would be good");
        }
        Ok(())
    }
}
