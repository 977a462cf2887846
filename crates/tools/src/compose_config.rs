//! A Compose project as Compose itself resolves it (`compose config`): what it wants of each
//! service. Both programs print YAML of the same shape.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What `compose config` prints, as far as it is looked at.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// The project's name; docker-compose 1 does not report it.
    pub name: Option<String>,
    pub services: BTreeMap<String, Service>,
}

/// The output of `compose config` is not a project.
#[derive(Clone, Debug, thiserror::Error)]
#[error("compose config: {0}")]
pub struct ProjectError(yaml::Fault);

/// What Compose wants of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// How many containers; `None` where the files leave it to Compose, which makes one.
    pub replicas: Option<u64>,
    /// Others wait until it has ended with success.
    pub one_shot: bool,
    /// It is only there where one of its profiles is chosen.
    pub profile: bool,
    /// The services whose containers it lives in: their network, processes or volumes. What
    /// recreates those takes them away from it.
    pub lives_in: BTreeSet<String>,
    /// Which namespaces of those: `network_mode`, `ipc`, `pid`, and the service of each.
    pub namespaces: BTreeMap<&'static str, String>,
    /// The environment that its containers get, with the values of `env_file`.
    pub environment: BTreeMap<String, String>,
    pub image: Option<String>,
    /// Each text of it, after the keys that lead there.
    pub texts: Vec<(String, String)>,
}

const NAMESPACES: [&str; 3] = ["network_mode", "ipc", "pid"];

impl Project {
    /// Reads what `compose config` prints.
    pub fn read(text: &str) -> Result<Project, ProjectError> {
        let read = yaml::read(text).map_err(ProjectError)?;
        let all = read["services"].as_object();
        let mut services: BTreeMap<String, Service> = all
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), Service::read(value)))
            .collect();
        for (_, value) in all.into_iter().flatten() {
            for (name, how) in value["depends_on"].as_object().into_iter().flatten() {
                if how["condition"] == "service_completed_successfully"
                    && let Some(service) = services.get_mut(name)
                {
                    service.one_shot = true;
                }
            }
        }
        Ok(Project {
            name: read["name"].as_str().map(str::to_owned),
            services,
        })
    }

    /// Whether Compose makes no container of the service.
    pub fn wants_none(&self, service: &str) -> bool {
        let service = self.services.get(service);
        service.is_some_and(|service| service.replicas == Some(0))
    }

    /// Whether the service is only there where a profile is chosen.
    pub fn is_of_a_profile(&self, service: &str) -> bool {
        let service = self.services.get(service);
        service.is_some_and(|service| service.profile)
    }

    /// Whether the service is one that ends.
    pub fn is_one_shot(&self, service: &str) -> bool {
        let service = self.services.get(service);
        service.is_some_and(|service| service.one_shot)
    }

    /// The services that live in containers of `changed`, those that live in theirs after them.
    pub fn living_in(&self, changed: &BTreeSet<String>) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        loop {
            let next = self.services.iter().find(|(name, service)| {
                let gone = |of: &String| changed.contains(of) || found.contains(of);
                !changed.contains(*name)
                    && !found.contains(name)
                    && service.replicas != Some(0)
                    && service.lives_in.iter().any(gone)
            });
            let Some((name, _)) = next else { return found };
            found.push(name.clone());
        }
    }
}

impl Service {
    fn read(value: &Value) -> Service {
        let number = |value: &Value| value.as_str()?.parse().ok();
        let mut namespaces = BTreeMap::new();
        for key in NAMESPACES {
            let of = value[key]
                .as_str()
                .and_then(|text| text.strip_prefix("service:"));
            namespaces.extend(of.map(|of| (key, of.to_owned())));
        }
        let volumes = value["volumes_from"].as_array().into_iter().flatten();
        let volumes = volumes
            .filter_map(Value::as_str)
            .filter(|text| !text.starts_with("container:"))
            .filter_map(|text| text.split(':').next())
            .map(str::to_owned);
        let environment = match &value["environment"] {
            Value::Object(all) => all
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), unescaped(value.as_str()?))))
                .collect(),
            Value::Array(all) => all
                .iter()
                .filter_map(|line| line.as_str()?.split_once('='))
                .map(|(name, value)| (name.to_owned(), unescaped(value)))
                .collect(),
            _ => BTreeMap::new(),
        };
        let mut texts = Vec::new();
        leaves(value, "", &mut texts);
        Service {
            replicas: number(&value["scale"]).or(number(&value["deploy"]["replicas"])),
            one_shot: false,
            profile: (value["profiles"].as_array()).is_some_and(|all| !all.is_empty()),
            lives_in: namespaces.values().cloned().chain(volumes).collect(),
            namespaces,
            environment,
            image: value["image"].as_str().map(str::to_owned),
            texts,
        }
    }
}

fn leaves(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
    let below = |key: &str| match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match value {
        Value::Object(all) => all
            .iter()
            .for_each(|(key, value)| leaves(value, &below(key), found)),
        Value::Array(all) => all.iter().for_each(|value| leaves(value, path, found)),
        Value::String(text) => found.push((path.to_owned(), text.clone())),
        _ => {}
    }
}

/// What is printed can be read again by Compose: a dollar is written twice.
fn unescaped(text: &str) -> String {
    text.replace("$$", "$")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_compose_wants_is_read_from_what_either_program_prints() {
        let v2 = r#"{"name": "p", "services": {
            "web": {"image": "a:1", "deploy": {"replicas": 2}, "environment": {"A": "x$$y", "B": null},
                    "depends_on": {"mig": {"condition": "service_completed_successfully"}}},
            "mig": {"image": "a:1"}, "none": {"scale": 0}, "idle": {"deploy": {"replicas": 0}},
            "side": {"network_mode": "service:web"}, "more": {"pid": "service:side", "volumes_from": ["mig:ro"]}}}"#;
        let project = Project::read(v2).unwrap();
        assert_eq!(project.name.as_deref(), Some("p"));
        assert_eq!(project.services["web"].replicas, Some(2));
        assert_eq!(project.services["web"].environment["A"], "x$y");
        assert!(project.is_one_shot("mig") && !project.is_one_shot("web"));
        assert!(project.wants_none("none") && project.wants_none("idle"));
        assert!(!project.wants_none("side"));
        let changed = BTreeSet::from(["web".to_owned()]);
        assert_eq!(project.living_in(&changed), ["side", "more"]);
        let v1 = "services:\n  web:\n    environment:\n      A: \"no\"\n    depends_on:\n    - db\n  db:\n    \
                  network_mode: service:web\n    scale: 3\nversion: '3.8'\n";
        let project = Project::read(v1).unwrap();
        assert_eq!(project.services["web"].environment["A"], "no");
        assert_eq!(project.services["db"].replicas, Some(3));
        assert_eq!(project.living_in(&changed), ["db"]);
        assert!(Project::read("services: [").is_err());
    }
}
