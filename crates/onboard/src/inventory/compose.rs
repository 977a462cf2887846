//! A Compose file by itself: the services that a release changes, and where they answer.

use std::collections::BTreeMap;

use repository::Repository;
use survey::compose::{self, Check, filled, untagged, varies};

/// One file of a project.
#[derive(Debug)]
pub(crate) struct Compose {
    /// From the repository's root.
    pub(crate) path: String,
    /// Its top-level `name`.
    pub(crate) project: Option<String>,
    pub(crate) services: Vec<Service>,
    /// Services that cannot be put into a configuration, and why.
    pub(crate) passed_over: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// Without its tag; none where it is built and not named.
    pub(crate) image: Option<String>,
    pub(crate) builds: bool,
    /// A variable names its tag: each release brings another.
    pub(crate) varies: bool,
    /// A port of this machine.
    pub(crate) port: Option<u16>,
    /// Of its health check, by the port of this machine.
    pub(crate) health: Option<Check>,
    /// Does one thing and ends.
    pub(crate) ends: bool,
}

/// Images that come with a service and are not what it deploys.
const COMPANIONS: &[&str] = &[
    "postgres",
    "postgresql",
    "postgis",
    "pgbouncer",
    "mysql",
    "mariadb",
    "mongo",
    "redis",
    "valkey",
    "memcached",
    "rabbitmq",
    "nats",
    "kafka",
    "zookeeper",
    "elasticsearch",
    "opensearch",
    "minio",
    "localstack",
    "nginx",
    "traefik",
    "caddy",
    "haproxy",
    "envoy",
    "certbot",
    "prometheus",
    "grafana",
    "loki",
    "jaeger",
    "otel-collector",
    "mailhog",
    "mailpit",
    "adminer",
    "pgadmin4",
    "watchtower",
    "vault",
    "consul",
    "cadvisor",
    "node-exporter",
    "alertmanager",
];

/// Why a service is not used.
#[derive(Debug, thiserror::Error)]
enum Unused {
    #[error("its name cannot be used")]
    Name,
    #[error("started only by its profile")]
    Profile,
    #[error("its image is not known from the file alone")]
    Image,
    #[error("neither `image` nor `build`")]
    NoImage,
}

/// `None` where the file cannot be read or has no services, which is told.
pub(super) fn read(repository: &Repository, path: &str) -> Option<Compose> {
    repository.tree(path)?;
    let project = compose::project(repository, &[path.to_owned()]);
    if project.services.is_empty() {
        repository.pass_over(path, "no `services:`");
        return None;
    }
    let (mut services, mut passed_over) = (Vec::new(), Vec::new());
    for (name, service) in &project.services {
        match one(name, service) {
            Ok(service) => services.push(service),
            Err(reason) => passed_over.push(format!("{path}: {name:?}: {reason}")),
        }
    }
    let name = project.name.map(|name| name.value);
    let mut compose = Compose {
        path: path.to_owned(),
        project: name.filter(|name| is_name(name)),
        services,
        passed_over,
    };
    let notes: Vec<String> = compose
        .kept()
        .map(|service| {
            let name = &service.name;
            format!("{path}: {name:?}: its image is not of a release: name it under `rollback.compose.services` if it is")
        })
        .collect();
    compose.passed_over.extend(notes);
    Some(compose)
}

impl Compose {
    /// The services that a release changes: those built here, or with a tag that each release brings.
    pub(crate) fn released(&self) -> Vec<&Service> {
        let lasting = self.services.iter().filter(|service| !service.ends);
        lasting
            .filter(|service| service.builds || (service.varies && !is_companion(service)))
            .collect()
    }

    /// What looks like a service of its own and is taken for none that a release changes.
    fn kept(&self) -> impl Iterator<Item = &Service> {
        let released: Vec<&str> = (self.released().iter())
            .map(|service| service.name.as_str())
            .collect();
        let lasting = self.services.iter().filter(|service| !service.ends);
        lasting.filter(move |service| {
            !is_companion(service) && !released.contains(&service.name.as_str())
        })
    }
}

fn is_companion(service: &Service) -> bool {
    let image = service.image.as_deref().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    COMPANIONS.contains(&last)
}

/// Text that the configuration and a shell accept unquoted.
fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 100
        && name.chars().all(good)
}

fn one(name: &str, service: &compose::Service) -> Result<Service, Unused> {
    if !service.profiles.is_empty() {
        return Err(Unused::Profile);
    }
    if !is_name(name) {
        return Err(Unused::Name);
    }
    let written = service.image.as_ref().map(|image| image.value.as_str());
    let image = match written {
        Some(image) => Some(untagged(image).ok_or(Unused::Image)?),
        None if service.builds => None,
        None => return Err(Unused::NoImage),
    };
    let number = |text: &str| filled(text, &BTreeMap::new()).parse::<u16>().ok();
    let ports: Vec<(u16, u16)> = (service.ports.iter())
        .filter_map(|(published, inside)| Some((number(&published.value)?, number(inside)?)))
        .collect();
    let check = service.health.as_ref().map(|health| &health.value);
    let health = check.and_then(|check| {
        let published = ports.iter().find(|(_, inside)| *inside == check.port);
        let port = match published {
            Some((published, _)) => *published,
            // The network of the machine has no ports to publish.
            None if service.host_network => check.port,
            None => return None,
        };
        Some(Check {
            port,
            path: check.path.clone(),
        })
    });
    Ok(Service {
        name: name.to_owned(),
        image,
        builds: service.builds,
        varies: written.is_some_and(varies),
        port: ports.first().map(|(published, _)| *published),
        health,
        ends: service.ends,
    })
}

/// The services with their images, `{release}` in the place of the tag.
pub(crate) fn images(project: &str, services: &[&Service]) -> BTreeMap<String, String> {
    let image = |service: &Service| match &service.image {
        Some(image) => format!("{image}:{{release}}"),
        None => format!(
            "{project}-{}:{{release}}",
            service.name.to_ascii_lowercase()
        ),
    };
    services
        .iter()
        .map(|service| (service.name.clone(), image(service)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Compose {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("compose.yml"), text).unwrap();
        read(&Repository::of(folder.path()).unwrap(), "compose.yml").unwrap()
    }

    #[test]
    fn one_that_is_built_hides_none_that_a_release_brings() {
        let compose = of(concat!(
            "services:\n",
            "  web: { build: . }\n",
            "  worker: { image: 'ghcr.io/acme/worker:${TAG:-latest}' }\n",
            "  proxy: { image: 'ghcr.io/acme/proxy:1.2' }\n",
            "  mirror: { image: '${REGISTRY:-ghcr.io}/acme/mirror:1.2' }\n",
            "  db: { image: 'postgres:${PG:-15}' }\n",
        ));
        let names: Vec<&str> = (compose.released().iter())
            .map(|service| service.name.as_str())
            .collect();
        assert_eq!(names, ["web", "worker"]);
        let notes = compose.passed_over.join("\n");
        for told in ["\"proxy\"", "\"mirror\""] {
            assert!(notes.contains(told), "{notes}");
        }
        assert!(!notes.contains("\"db\""), "{notes}");
    }

    #[test]
    fn ports_and_health_checks() {
        let compose = of(concat!(
            "services:\n",
            "  web:\n",
            "    image: shop:1\n",
            "    ports: ['127.0.0.1:${PORT:-8080}:80', { published: '9090', target: '90' }, '80', '53:53/udp']\n",
            "    healthcheck: { test: [CMD-SHELL, 'wget -qO- http://localhost/health/ready || exit 1'] }\n",
            "  job: { image: shop:1, profiles: [tools] }\n",
        ));
        let [web] = &compose.services[..] else {
            panic!("{compose:?}");
        };
        assert_eq!(web.port, Some(8080));
        let health = Check {
            port: 8080,
            path: "/health/ready".to_owned(),
        };
        assert_eq!(web.health, Some(health));
        assert_eq!(
            compose.passed_over[0],
            "compose.yml: \"job\": started only by its profile"
        );
    }

    #[test]
    fn what_a_service_takes_from_another_file_is_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "common.yml",
            "services: { app: { image: 'acme/app:${TAG}' } }\n",
        );
        write(
            "compose.yml",
            "services: { web: { extends: { file: common.yml, service: app } } }\n",
        );
        let repository = Repository::of(folder.path()).unwrap();
        let compose = read(&repository, "compose.yml").unwrap();
        assert_eq!(compose.services[0].image.as_deref(), Some("acme/app"));
    }
}
