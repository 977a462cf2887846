//! Services of a Compose project.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{TargetConfig, folder_there, machines};
use crate::file::HostList;
use crate::value::Span;
use sections::KeyPosition;

/// Services of a Compose project run the images of a release. Their images stand in an override
/// file of ours, never in yours, and only these services are recreated: by `docker compose`, else
/// by `docker-compose`. Then they are watched: they must stay up, and healthy where they have a
/// health check.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ComposeTarget {
    /// The folder where Compose is called, such as `/srv/shop`, or `~/shop` on a host; without `hosts` also one below the
    /// folder that the stage is called in. Default: that folder.
    #[serde(default = "current_folder")]
    pub folder: PathBuf,
    /// The files of the project (`-f`), relative to `folder`, as a deployment names them. Default:
    /// those that Compose reads by itself, such as `docker-compose.yml` and
    /// `docker-compose.override.yml`.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// Our file, read after those; it is written whole. A deployment that uses the same file has
    /// one place for the images; a file that has more than that is refused. Default: `docker-compose.deploy-guard.yml`.
    #[serde(default = "override_file")]
    pub override_file: PathBuf,
    /// The project's name (`-p`). Default: what Compose derives.
    pub project: Option<String>,
    /// The files with the values of the project's variables, as a deployment names them
    /// (`--env-file`), relative to `folder`. Default: those that the containers were made with, as
    /// their label shows, else `.env`.
    #[serde(default)]
    pub env_files: Vec<PathBuf>,
    /// Variables for Compose, with `{release}` in the place of the release: `TAG: "{release}"`. They
    /// count more than those of files.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The services and their images, with `{release}` in the place of the release:
    /// `backend: "ghcr.io/acme/shop:{release}"`; or with `{digest}` in the place of the digest that the
    /// state recorded for the release (`rollback record --digest sha256:…`), which no later push
    /// changes: `backend: "ghcr.io/acme/shop@{digest}"`.
    pub services: BTreeMap<String, String>,
    /// Services of these that do one thing and end, such as migrations: they must have ended with
    /// exit code 0. A service that another waits for (`service_completed_successfully`) is one by
    /// itself.
    #[serde(default)]
    pub completed: Vec<String>,
    /// The label of a container that names its release, such as
    /// `org.opencontainers.image.version`. Default: what stands in the place of `{release}`.
    pub release_label: Option<String>,
    /// Machines under `hosts:` where it runs: `all`, a pattern, or a list. Default: the machine
    /// that runs us.
    pub hosts: Option<HostList>,
    /// Call Docker through `sudo -n`, where the user may not speak to it.
    #[serde(default)]
    pub sudo: bool,
    /// How long the services must stay up without being started again. Default 3s.
    #[serde(default = "settle")]
    pub settle: Span,
    /// How long pulling the images and recreating the services may take, each. Default 5m.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

fn current_folder() -> PathBuf {
    PathBuf::from(".")
}

fn override_file() -> PathBuf {
    PathBuf::from("docker-compose.deploy-guard.yml")
}

fn settle() -> Span {
    Span::from_secs(3)
}

fn timeout() -> Span {
    Span::from_secs(5 * 60)
}

impl TargetConfig for ComposeTarget {
    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        if self.hosts.is_some() {
            folder_there(spot.key("folder"), &self.folder)?;
        } else if self.folder.starts_with("~") {
            let message = "`~` is the home of a user on a host, and there are no `hosts`";
            return spot.refuse("folder", message);
        }
        for file in self.files.iter().chain([&self.override_file]) {
            spot.key("files").a_file(file, true)?;
        }
        for file in &self.env_files {
            spot.key("env-files").a_file(file, false)?;
        }
        for name in self.env.keys() {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let starts_well = name.starts_with(|c: char| good(c) && !c.is_ascii_digit());
            if !starts_well || !name.chars().all(good) {
                let message = format!("`{name}` is not a variable name");
                return spot.key("env").refuse(name, message);
            }
        }
        if self.files.contains(&self.override_file) {
            let message = "our file is one of yours, and it would be written over";
            return spot.refuse("override-file", message);
        }
        if let Some(label) = &self.release_label {
            spot.key("release-label").plain(label, "_-./")?;
        }
        if let Some(project) = &self.project {
            spot.key("project").a_word(project)?;
        }
        if self.services.is_empty() {
            return spot.refuse("services", "no service is named");
        }
        for service in &self.completed {
            if !self.services.contains_key(service) {
                return spot.refuse("completed", format!("`{service}` is not under `services`"));
            }
        }
        for (service, image) in &self.services {
            let spot = spot.key("services");
            spot.plain(service, "_-.")?;
            if image.matches("{release}").count() + image.matches("{digest}").count() != 1 {
                let message =
                    format!("`{image}` does not have `{{release}}` or `{{digest}}` in one place");
                return Err(spot
                    .key(service)
                    .fault(message)
                    .hint("write it as `ghcr.io/acme/shop:{release}`"));
            }
        }
        machines(spot.key("hosts"), self.hosts.as_ref())
    }
}
