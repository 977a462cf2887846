//! The containers of a project, as Docker reports them, and which of them are half-way.

use std::collections::{BTreeMap, BTreeSet};

use place::Error;
use serde::Deserialize;

/// The labels that Compose puts on what it makes.
pub(super) const PROJECT: &str = "com.docker.compose.project";
pub(super) const FOLDER: &str = "com.docker.compose.project.working_dir";
const FILES: &str = "com.docker.compose.project.config_files";
const ENV_FILES: &str = "com.docker.compose.project.environment_file";
const SERVICE: &str = "com.docker.compose.service";
const ONE_OFF: &str = "com.docker.compose.oneoff";
const HASH: &str = "com.docker.compose.config-hash";
const VERSION: &str = "com.docker.compose.version";
const REPLACES: &str = "com.docker.compose.replace";

/// What `docker inspect` is to print of a container, on one line.
pub(super) const FORMAT: &str = r#"{"id":{{json .Id}},"name":{{json .Name}},"image":{{json .Config.Image}},"image_id":{{json .Image}},"created":{{json .Created}},"status":{{json .State.Status}},"exit":{{json .State.ExitCode}},"modes":[{{json .HostConfig.NetworkMode}},{{json .HostConfig.IpcMode}},{{json .HostConfig.PidMode}}],"volumes_from":{{json .HostConfig.VolumesFrom}},"env":{{json .Config.Env}},"labels":{{json .Config.Labels}}}"#;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Container {
    pub(super) id: String,
    name: String,
    pub(super) image: String,
    pub(super) image_id: String,
    pub(super) created: String,
    pub(super) status: String,
    exit: i64,
    modes: Vec<String>,
    volumes_from: Option<Vec<String>>,
    env: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
}

/// Compose's names of what [`FORMAT`] prints as `modes`.
const NAMESPACES: [&str; 3] = ["network_mode", "ipc", "pid"];

/// How many containers each service has.
pub(super) type Counts = BTreeMap<String, usize>;

impl Container {
    /// One line of what [`FORMAT`] prints.
    pub(super) fn read(line: &str) -> Result<Container, Error> {
        serde_json::from_str(line).map_err(|error| Error::from(error).at("docker inspect"))
    }

    pub(super) fn label(&self, name: &str) -> &str {
        let label = self.labels.as_ref().and_then(|all| all.get(name));
        label.map_or("", String::as_str)
    }

    pub(super) fn service(&self) -> &str {
        self.label(SERVICE)
    }

    pub(super) fn project(&self) -> &str {
        self.label(PROJECT)
    }

    /// Made by `compose run`: not one of the service's own.
    pub(super) fn one_off(&self) -> bool {
        self.label(ONE_OFF).eq_ignore_ascii_case("true")
    }

    pub(super) fn hash(&self) -> &str {
        self.label(HASH)
    }

    /// The Compose that made it.
    pub(super) fn version(&self) -> &str {
        self.label(VERSION)
    }

    /// The files that it was made from.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.label(FILES).split(',').filter(|file| !file.is_empty())
    }

    /// The files that its variables came from.
    pub(super) fn env_files(&self) -> Vec<String> {
        let all = self.label(ENV_FILES).split(',');
        all.filter(|file| !file.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Whose namespace it has: `container:ID`, `host`.
    pub(super) fn mode(&self, key: &str) -> Option<&str> {
        let at = NAMESPACES.iter().position(|name| *name == key)?;
        self.modes.get(at).map(String::as_str)
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let mut all = self.env.iter().flatten();
        all.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }

    pub(super) fn display_name(&self) -> &str {
        self.name.trim_start_matches('/')
    }

    /// Its name, without the id that Compose puts before a name while it recreates: docker-compose 1
    /// that of the old container before the old one's, Compose 2 the same before the new one's.
    pub(super) fn own_name(&self) -> &str {
        let name = self.display_name();
        let Some((id, rest)) = name.split_once('_') else {
            return name;
        };
        let hex = id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit());
        if hex && (self.id.starts_with(id) || !self.label(REPLACES).is_empty()) {
            return rest;
        }
        name
    }

    pub(super) fn is_half_way(&self) -> bool {
        self.own_name() != self.display_name()
    }

    pub(super) fn has_ended_well(&self) -> bool {
        self.status == "exited" && self.exit == 0
    }

    /// Why it does not do its work.
    fn trouble(&self, one_shot: bool) -> Option<String> {
        match self.status.as_str() {
            "running" => None,
            "exited" if one_shot && self.exit == 0 => None,
            "exited" | "dead" | "restarting" => Some(format!(
                "is {} (exit code {}) in {}",
                self.status,
                self.exit,
                self.display_name()
            )),
            status => Some(format!("is {status} in {}", self.display_name())),
        }
    }

    /// The containers that it lives in, by their ids.
    fn lives_in(&self) -> impl Iterator<Item = &str> {
        let whole = |id: &&str| id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
        let modes = self.modes.iter();
        let modes = modes.filter_map(|mode| mode.strip_prefix("container:"));
        let volumes = self.volumes_from.iter().flatten();
        let volumes = volumes.filter_map(|text| text.split(':').next());
        modes.chain(volumes).filter(whole)
    }
}

/// All containers of a project.
#[derive(Clone, Debug, Default)]
pub(super) struct ProjectContainers {
    pub(super) all: Vec<Container>,
    /// Containers that no longer exist but whose namespaces others use, by their ids.
    pub(super) gone: BTreeSet<String>,
}

impl ProjectContainers {
    /// Those that some of them live in and that are not of the project, if they are at all.
    pub(super) fn elsewhere(&self) -> BTreeSet<&str> {
        let there: BTreeSet<&str> = self.all.iter().map(|one| one.id.as_str()).collect();
        let all = self.all.iter().flat_map(Container::lives_in);
        all.filter(|id| !there.contains(id)).collect()
    }

    pub(super) fn of<'s>(&'s self, service: &'s str) -> impl Iterator<Item = &'s Container> {
        self.all.iter().filter(move |one| one.service() == service)
    }

    /// Why this one does not do its work in this project.
    pub(super) fn trouble(&self, one: &Container, one_shot: bool) -> Option<String> {
        one.trouble(one_shot).or_else(|| self.left_behind(one))
    }

    /// Where it was left, if what it lives in is gone.
    pub(super) fn left_behind(&self, one: &Container) -> Option<String> {
        let left = one.lives_in().any(|id| self.gone.contains(id));
        left.then(|| {
            format!(
                "lives in a container that was replaced ({})",
                one.display_name()
            )
        })
    }

    /// How many each service has. A half-replaced container and its counterpart count as one.
    pub(super) fn counts(&self) -> Counts {
        let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for one in &self.all {
            names
                .entry(one.service())
                .or_default()
                .insert(one.own_name());
        }
        let count = |(service, names): (&str, BTreeSet<_>)| (service.to_owned(), names.len());
        names.into_iter().map(count).collect()
    }

    /// What makes one container of two that Compose left half-way: it can do nothing with them, or
    /// takes them for two. Of two the one that has its name stays.
    pub(super) fn merge_commands(&self) -> Vec<[String; 4]> {
        let named: BTreeSet<&str> = self.all.iter().map(Container::display_name).collect();
        let mut given: BTreeSet<&str> = BTreeSet::new();
        let words = |words: [&str; 4]| words.map(str::to_owned);
        let half = self.all.iter().filter(|one| one.is_half_way());
        half.map(|one| {
            let name = one.own_name();
            if named.contains(name) || !given.insert(name) {
                words(["rm", "-f", "--", &one.id])
            } else {
                words(["rename", "--", &one.id, name])
            }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn container(id: char, name: &str, more: &str) -> Container {
        let id: String = std::iter::repeat_n(id, 64).collect();
        let line = format!(
            r#"{{"id":"{id}","name":"/{name}","image":"a","image_id":"","created":"","status":"running","exit":0,"modes":[],"volumes_from":null,"env":null,"labels":{{"com.docker.compose.service":"web"{more}}}}}"#
        );
        Container::read(&line).unwrap()
    }

    #[test]
    fn what_either_compose_leaves_half_way_becomes_one_container() {
        let whole = |all: &[Container]| {
            let look = ProjectContainers {
                all: all.to_vec(),
                ..ProjectContainers::default()
            };
            let words: Vec<_> = look
                .merge_commands()
                .iter()
                .map(|words| words.join(" "))
                .collect();
            (look.counts()["web"], words)
        };
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let new = r#","com.docker.compose.replace":"aa""#;
        // docker-compose 1: the old one has its id before its name.
        let old = container('a', "aaaaaaaaaaaa_p-web-1", "");
        let its = container('b', "p-web-1", "");
        assert_eq!(
            whole(&[old.clone(), its]),
            (1, vec![format!("rm -f -- {a}")])
        );
        assert_eq!(whole(&[old]), (1, vec![format!("rename -- {a} p-web-1")]));
        // Compose 2: the new one has the old one's.
        let old = container('a', "p-web-1", "");
        let its = container('b', "aaaaaaaaaaaa_p-web-1", new);
        let more = container('c', "p-web-2", new);
        let all = [old, its.clone(), more];
        assert_eq!(whole(&all), (2, vec![format!("rm -f -- {b}")]));
        assert_eq!(whole(&[its]), (1, vec![format!("rename -- {b} p-web-1")]));
        // A name of the user's own.
        let theirs = container('d', "aaaaaaaaaaaa_web", "");
        assert_eq!(whole(&[theirs]), (1, vec![]));
    }
}
