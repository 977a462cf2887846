//! A Compose file: the services that a release changes, and where they answer.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

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
    pub(crate) health: Option<Health>,
    /// Does one thing and ends.
    pub(crate) ends: bool,
}

/// Where a health check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) port: u16,
    pub(crate) path: String,
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

/// What a developer lays over a project, or starts in its place.
const DEVELOPERS: [&str; 8] = [
    "override",
    "dev",
    "development",
    "test",
    "tests",
    "ci",
    "local",
    "debug",
];

/// `compose.yaml`, `docker-compose.prod.yml`; not a developer's, nor our own.
pub(super) fn is_one(name: &str) -> bool {
    variant(name).is_some_and(|of| of != "deploy-guard" && !DEVELOPERS.contains(&of))
}

/// `compose.override.yaml`.
pub(super) fn is_developers(name: &str) -> bool {
    variant(name).is_some_and(|of| DEVELOPERS.contains(&of))
}

/// What follows `compose` in a file's name: nothing, or a word.
fn variant(name: &str) -> Option<&str> {
    let stem = name
        .strip_suffix(".yml")
        .or_else(|| name.strip_suffix(".yaml"))?;
    let stem = stem.strip_prefix("docker-").unwrap_or(stem);
    let more = stem.strip_prefix("compose")?;
    let word = more.trim_start_matches(['.', '-', '_']);
    (more.is_empty() || word.len() < more.len()).then_some(word)
}

/// Why a file, or a service of it, is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unused {
    #[error("no `services:`")]
    NoServices,
    #[error("its name cannot be used")]
    Name,
    #[error("its image cannot be told from the file alone")]
    Image,
    #[error("neither `image` nor `build`")]
    NoImage,
}

pub(super) fn read(path: String, tree: &Value) -> Result<Compose, Unused> {
    let Some(services) = tree["services"].as_object() else {
        return Err(Unused::NoServices);
    };
    let mut passed_over = Vec::new();
    let mut all = Vec::new();
    for (name, service) in services {
        if service["profiles"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
        {
            passed_over.push(format!("{path}: {name:?}: started only by its profile"));
            continue;
        }
        match one(name, service) {
            Ok(service) => all.push(service),
            Err(reason) => passed_over.push(format!("{path}: {name:?}: {reason}")),
        }
    }
    let mut compose = Compose {
        path,
        project: tree["name"]
            .as_str()
            .filter(|name| is_name(name))
            .map(str::to_owned),
        services: all,
        passed_over,
    };
    let notes: Vec<String> = compose
        .kept()
        .map(|service| {
            let (path, name) = (&compose.path, &service.name);
            format!("{path}: {name:?}: its image is not of a release: name it under `rollback.compose.services` if it is")
        })
        .collect();
    compose.passed_over.extend(notes);
    Ok(compose)
}

impl Compose {
    /// The services that a release changes: those built here, or with a tag that each release brings;
    /// otherwise those that are not usual companions, otherwise all.
    pub(crate) fn released(&self) -> Vec<&Service> {
        let lasting = || self.services.iter().filter(|service| !service.ends);
        let own = || lasting().filter(|service| !is_companion(service));
        let of_release =
            |service: &&Service| service.builds || (service.varies && !is_companion(service));
        let released: Vec<_> = lasting().filter(of_release).collect();
        if lasting().any(|service| service.builds) {
            return released;
        }
        if own().next().is_some() {
            own().collect()
        } else {
            lasting().collect()
        }
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

fn one(name: &str, service: &Value) -> Result<Service, Unused> {
    if !is_name(name) {
        return Err(Unused::Name);
    }
    let builds = !service["build"].is_null();
    let image = match service["image"].as_str() {
        Some(image) => Some(untagged(image).ok_or(Unused::Image)?),
        None if builds => None,
        None => return Err(Unused::NoImage),
    };
    let ports = ports(service);
    let health = health(&service["healthcheck"]["test"]).and_then(|health| {
        let published = ports.iter().find(|(_, inside)| *inside == health.port);
        Some(Health {
            port: published?.0,
            ..health
        })
    });
    // The network of the machine has no ports to publish.
    let host = service["network_mode"] == "host";
    let asked = host
        .then(|| self::health(&service["healthcheck"]["test"]))
        .flatten();
    Ok(Service {
        name: name.to_owned(),
        image,
        builds,
        varies: service["image"].as_str().is_some_and(varies),
        port: ports.first().map(|(published, _)| *published),
        health: health.or(asked),
        ends: service["restart"] == "no" || name.contains("migrat"),
    })
}

/// Whether a variable names the tag, or all of the image.
fn varies(image: &str) -> bool {
    let (mut depth, mut tag) = (0_usize, None);
    for (at, c) in image.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '/' if depth == 0 => tag = None,
            ':' | '@' if depth == 0 => tag = Some(at),
            _ => {}
        }
    }
    match tag {
        Some(at) => image[at..].contains('$'),
        None => image.starts_with('$') && !image.contains('/'),
    }
}

/// The image's name, with variables replaced by their defaults; none where one has none.
fn untagged(image: &str) -> Option<String> {
    // What names the tag alone does not matter: the release takes its place.
    let image = image.split('@').next().unwrap_or(image);
    let (mut depth, mut tag) = (0_usize, None);
    for (at, c) in image.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '/' if depth == 0 => tag = None,
            ':' if depth == 0 => tag = Some(at),
            _ => {}
        }
    }
    let name = tag.map_or(image, |at| &image[..at]);
    let name = defaults(name)?;
    let name = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => &name,
    };
    let good = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
    let edges = |c: char| c.is_ascii_alphanumeric();
    (name.starts_with(edges)
        && name.ends_with(edges)
        && name.len() <= 200
        && name.chars().all(good))
    .then(|| name.to_owned())
}

/// `${NAME:-default}` and `${NAME-default}` by their defaults.
fn defaults(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (inner, after) = after.split_once('}')?;
        out.push_str(before);
        out.push_str(inner.split_once(":-").or_else(|| inner.split_once('-'))?.1);
        rest = after;
    }
    out.push_str(rest);
    (!out.contains('$')).then_some(out)
}

/// Published port and the container's, of each entry that says both and can be asked at 127.0.0.1.
fn ports(service: &Value) -> Vec<(u16, u16)> {
    let entries = service["ports"].as_array().into_iter().flatten();
    let asked = |host: &str| {
        matches!(
            host,
            "" | "0.0.0.0" | "127.0.0.1" | "localhost" | "::" | "[::]"
        )
    };
    let one = |entry: &Value| {
        if entry.is_object() {
            let of = |key: &str| defaults(entry[key].as_str()?)?.parse().ok();
            let here = asked(entry["host_ip"].as_str().unwrap_or_default());
            return (entry["protocol"] != "udp" && here)
                .then_some((of("published")?, of("target")?));
        }
        let text = defaults(entry.as_str()?)?;
        let text = text.strip_suffix("/tcp").unwrap_or(&text);
        let mut parts = text.rsplitn(3, ':');
        let inside = parts.next()?.parse().ok()?;
        let published = parts.next()?.parse().ok()?;
        asked(parts.next().unwrap_or_default()).then_some((published, inside))
    };
    entries.filter_map(one).collect()
}

/// The URL that a health check asks itself by.
pub(super) fn health(check: &Value) -> Option<Health> {
    let words = match check {
        Value::String(text) => text.clone(),
        Value::Array(words) => words
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" "),
        _ => return None,
    };
    url_in(&words)
}

/// The health check of a Dockerfile, by the container's port.
pub(super) fn dockerfile(text: &str) -> Option<Health> {
    let text = text.replace("\\\n", " ");
    text.lines()
        .filter(|line| line.trim_start().starts_with("HEALTHCHECK"))
        .find_map(url_in)
}

fn url_in(text: &str) -> Option<Health> {
    let pattern = r"(http)s?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::([0-9]{1,5}))?(/[A-Za-z0-9._~/-]*)?";
    let found = Regex::new(pattern).ok()?.captures(text)?;
    if found[0].starts_with("https") {
        return None;
    }
    Some(Health {
        port: found
            .get(2)
            .map_or(Some(80), |port| port.as_str().parse().ok())?,
        path: found.get(3).map_or("/", |path| path.as_str()).to_owned(),
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

    #[test]
    fn names_of_files() {
        for name in [
            "compose.yml",
            "docker-compose.yaml",
            "docker-compose.prod.yml",
            "compose-production.yaml",
        ] {
            assert!(is_one(name), "{name}");
        }
        for name in ["docker-compose.override.yml", "compose.dev.yaml"] {
            assert!(is_developers(name) && !is_one(name), "{name}");
        }
        for name in [
            "composer.yml",
            "docker-compose.override.yml",
            "compose.dev.yml",
            "docker-compose.deploy-guard.yml",
            "compose.json",
        ] {
            assert!(!is_one(name), "{name}");
        }
    }

    #[test]
    fn one_that_is_built_hides_none_that_a_release_brings() {
        let tree = serde_json::json!({"services": {
            "web": {"build": "."},
            "worker": {"image": "ghcr.io/acme/worker:${TAG:-latest}"},
            "proxy": {"image": "ghcr.io/acme/proxy:1.2"},
            "mirror": {"image": "${REGISTRY:-ghcr.io}/acme/mirror:1.2"},
            "db": {"image": "postgres:${PG:-15}"},
        }});
        let compose = read("compose.yml".to_owned(), &tree).unwrap();
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
    fn images_without_their_tags() {
        let cases = [
            ("ghcr.io/acme/shop:1.2", Some("ghcr.io/acme/shop")),
            ("localhost:5000/shop", Some("localhost:5000/shop")),
            ("shop:${TAG}", Some("shop")),
            ("localhost:5000/shop:$TAG", Some("localhost:5000/shop")),
            ("shop:v$TAG", Some("shop")),
            ("${IMAGE:-ghcr.io/acme/shop:1}", Some("ghcr.io/acme/shop")),
            ("$REGISTRY/shop:1", None),
            ("shop:${TAG:-latest}", Some("shop")),
            (
                "${REGISTRY:-ghcr.io/acme}/shop:${TAG:?no tag}",
                Some("ghcr.io/acme/shop"),
            ),
            ("shop@sha256:0123", Some("shop")),
            ("${REGISTRY}/shop:1", None),
            ("shop\": \"x", None),
            ("-shop", None),
        ];
        for (image, expected) in cases {
            assert_eq!(untagged(image).as_deref(), expected, "{image}");
        }
    }

    #[test]
    fn ports_and_health_checks() {
        let service = serde_json::json!({
            "image": "shop:1",
            "ports": ["127.0.0.1:${PORT:-8080}:80", {"published": "9090", "target": "90"}, "80", "53:53/udp"],
            "healthcheck": {"test": ["CMD-SHELL", "wget -qO- http://localhost/health/ready || exit 1"]},
        });
        let service = one("web", &service).unwrap();
        assert_eq!(service.port, Some(8080));
        let of = |entry: Value| ports(&serde_json::json!({"ports": [entry]}));
        for (entry, here) in [
            ("[::]:8080:80", true),
            ("0.0.0.0:8080:80", true),
            ("10.0.0.5:8080:80", false),
            ("[::1]:8080:80", false),
            ("8080-8090:80", false),
        ] {
            assert_eq!(!of(entry.into()).is_empty(), here, "{entry}");
        }
        let long = serde_json::json!({"published": "90", "target": "80", "host_ip": "10.0.0.5"});
        assert_eq!(of(long), []);
        assert_eq!(
            service.health,
            Some(Health {
                port: 8080,
                path: "/health/ready".to_owned()
            })
        );
        let text = "FROM x\nHEALTHCHECK --interval=5s \\\n  CMD curl -f http://127.0.0.1:3000/up\n";
        assert_eq!(
            dockerfile(text),
            Some(Health {
                port: 3000,
                path: "/up".to_owned()
            })
        );
    }
}
