//! Services of Compose projects.

use std::path::PathBuf;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::probe_config::one_or_many;
use super::{HostList, PolicyOverlay, ProbeConfig};
use crate::value::{Portion, Span};
use sections::KeyPosition;

/// Services of a Compose project: every container of each runs, is healthy where it has a health
/// check, and is not started again while we watch. Read by `docker compose`, else by
/// `docker-compose`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ComposeProbe {
    /// The probe's name.
    pub name: String,
    /// The folder where `docker compose` would be called, on a host such as `/srv/shop` or `~/shop`.
    /// Default: the stage's; on a host, the user's home.
    pub folder: Option<PathBuf>,
    /// The files of the project (`-f`), relative to `folder`. Default: those that Compose finds.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// The project's name (`-p`). Default: what Compose derives.
    pub project: Option<String>,
    /// The files with the values of the project's variables, as a deployment names them
    /// (`--env-file`), relative to `folder`. Default: those that the containers were made with, as
    /// their label shows, else `.env`.
    #[serde(default)]
    pub env_files: Vec<PathBuf>,
    /// The services that must run, as many containers of each as Compose wants. Default: all,
    /// without those of `completed`.
    #[serde(default)]
    pub services: Vec<String>,
    /// Services that do one thing and end, such as migrations: they must have ended with exit
    /// code 0. A service that another waits for (`service_completed_successfully`) is one by itself.
    #[serde(default)]
    pub completed: Vec<String>,
    /// A name under `hosts:`, for a project that runs there. Default: the machine that runs us.
    pub host: Option<String>,
    /// Machines of `hosts:` where it runs, all of them probed as one group: `all`, a pattern, or a
    /// list.
    pub hosts: Option<HostList>,
    /// How many of these machines must pass, such as `95%` or `12`. Default 100%.
    pub require: Option<Portion>,
    /// Call Docker through `sudo -n`, where the user may not speak to it.
    #[serde(default)]
    pub sudo: bool,
    /// How often its containers may be started again while we watch, in all. Default 0.
    #[serde(default)]
    pub max_restarts: u32,
    /// How long it must have been up. Default: 10s where it was started again before we watched,
    /// which a crash loop was; else no time.
    pub min_uptime: Option<Span>,
    /// What it does otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

impl ProbeConfig for ComposeProbe {
    common_fields!();
    on_hosts!();

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        for file in &self.env_files {
            spot.key("env-files").a_file(file, false)?;
        }
        for (key, services) in [("services", &self.services), ("completed", &self.completed)] {
            for service in services {
                spot.key(key).a_word(service)?;
            }
        }
        let both = |service: &&String| self.completed.contains(service);
        if let Some(service) = self.services.iter().find(both) {
            let message = format!("`{service}` cannot both run and have ended");
            return spot.refuse("completed", message);
        }
        one_or_many(spot, self.host.as_deref(), self.hosts.as_ref())
    }
}
