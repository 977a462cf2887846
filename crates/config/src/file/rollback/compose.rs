//! Services of a Compose project.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::file::HostList;
use crate::value::Span;

/// Services of a Compose project run the images of a release. Their images stand in an override
/// file of ours, never in yours, and only these services are recreated: by `docker compose`, else
/// by `docker-compose`. Then they are watched: they must stay up, and healthy where they have a
/// health check.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ComposeTarget {
    /// The folder where Compose is called, such as `/srv/shop`; without `hosts` also one below the
    /// folder that the stage is called in. Default: that folder.
    #[serde(default = "here")]
    pub folder: PathBuf,
    /// The files of the project (`-f`), relative to `folder`, as a deployment names them. Default:
    /// those that Compose reads by itself, such as `docker-compose.yml` and
    /// `docker-compose.override.yml`.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// Our file, read after those; it is written whole. A deployment that uses the same file has
    /// one place for the images; a file that says more than that is refused. Default: `docker-compose.deploy-guard.yml`.
    #[serde(default = "override_file")]
    pub override_file: PathBuf,
    /// The project's name (`-p`). Default: what Compose derives.
    pub project: Option<String>,
    /// The files with the values of the project's variables, as a deployment names them
    /// (`--env-file`), relative to `folder`. Default: those that the containers were made with, as
    /// their label tells, else `.env`.
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

fn here() -> PathBuf {
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
