//! Compose files: the services of a project, from its files in their order.

use std::collections::BTreeMap;

use regex::Regex;
use yaml::{Kind, Node};

use crate::tool::ComposeCall;
use repository::{Repository, joined};
use workflow::Lines;
use workflow::{Fact, Line};

/// Files that include and extend others.
const MAX_DEPTH: usize = 5;

/// More than one project has.
const MAX_SERVICES: usize = 200;

/// The services that files make together.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// Its top-level `name`.
    pub name: Option<Fact<String>>,
    pub services: BTreeMap<String, Service>,
    /// All files that were read, from the root.
    pub files: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Service {
    /// As it is written, with variables.
    pub image: Option<Fact<String>>,
    pub builds: bool,
    /// Published port, the container's, and the line; as they are written, the last file's first.
    pub ports: Vec<(Fact<String>, String)>,
    pub health: Option<Fact<Check>>,
    pub profiles: Vec<String>,
    pub host_network: bool,
    /// Does one thing and ends.
    pub ends: bool,
}

/// Where a health check asks, in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub port: u16,
    pub path: String,
}

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

/// Whether a file's name says that it is a developer's: `docker-compose.dev.yml`.
pub fn is_developers(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.split(['.', '-', '_'])
        .any(|word| DEVELOPERS.contains(&word))
}

/// Whether Compose reads a file of this name by itself.
pub const USUAL: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];
pub const OVERRIDES: [&str; 4] = [
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// Reads the files of a project, in their order.
pub fn project(repository: &Repository, files: &[String]) -> Project {
    let mut project = Project::default();
    for file in files {
        read(repository, file, &mut project, 0);
    }
    project
}

fn read(repository: &Repository, path: &str, project: &mut Project, depth: usize) {
    if depth > MAX_DEPTH || project.files.iter().any(|file| file == path) {
        return;
    }
    let (Some(text), Some(tree)) = (repository.text(path), repository.tree(path)) else {
        return;
    };
    project.files.push(path.to_owned());
    let lines = Lines::of(&text);
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    if let Some(name) = tree.get("name").and_then(Node::text) {
        let at = tree
            .get("name")
            .map_or(1, |node| lines.at(node.place.start));
        project.name = Some(Fact::new(name.to_owned(), Line::new(path, at)));
    }
    for one in tree.get("include").map_or(&[][..], Node::items) {
        let named = one.text().or_else(|| one.get("path")?.text());
        if let Some(file) = named.and_then(|named| joined(folder, named)) {
            read(repository, &file, project, depth + 1);
        }
    }
    let services = tree.get("services").map_or(&[][..], Node::entries);
    for (key, node) in services.iter().take(MAX_SERVICES) {
        let mut service = project.services.remove(&key.name).unwrap_or_default();
        let place = FilePlace {
            repository,
            path,
            folder,
            lines: &lines,
        };
        place.service(node, &tree, &key.name, &mut service, 0);
        project.services.insert(key.name.clone(), service);
    }
    for (_, node) in services.iter().take(MAX_SERVICES) {
        for (name, wait) in node.get("depends_on").map_or(&[][..], Node::entries) {
            let condition = wait.get("condition").and_then(Node::text);
            if condition == Some("service_completed_successfully")
                && let Some(awaited) = project.services.get_mut(&name.name)
            {
                awaited.ends = true;
            }
        }
    }
}

struct FilePlace<'r> {
    repository: &'r Repository,
    path: &'r str,
    folder: &'r str,
    lines: &'r Lines,
}

impl FilePlace<'_> {
    /// Whether a service starts nothing but a shell, by its own command or by that of its Dockerfile.
    fn is_shell(&self, node: &Node) -> bool {
        let stays = ["tty", "stdin_open", "entrypoint"];
        if stays.iter().any(|key| node.get(key).is_some()) {
            return false;
        }
        if let Some(command) = node.get("command") {
            let mut words = Vec::new();
            command.texts(&mut words);
            return is_shell(&words.join(" "));
        }
        let Some(build) = node.get("build") else {
            return false;
        };
        let of = |key: &str| build.get(key).and_then(Node::text);
        let context = build.text().or_else(|| of("context")).unwrap_or(".");
        let file = of("dockerfile").unwrap_or("Dockerfile");
        let path = joined(self.folder, context).and_then(|folder| joined(&folder, file));
        let text = path.and_then(|path| self.repository.text(&path));
        let last = text.as_deref().and_then(|text| {
            let mut lines = text.lines().rev().map(str::trim);
            lines.find_map(|line| line.strip_prefix("CMD"))
        });
        last.is_some_and(is_shell)
    }

    /// Lays what a file says of a service over what is known of it.
    fn service(&self, node: &Node, tree: &Node, name: &str, service: &mut Service, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        if let Some(extends) = node.get("extends") {
            let of = extends
                .text()
                .or_else(|| extends.get("service")?.text())
                .unwrap_or(name);
            match extends.get("file").and_then(Node::text) {
                Some(file) => {
                    if let Some(path) = joined(self.folder, file)
                        && let (Some(text), Some(tree)) =
                            (self.repository.text(&path), self.repository.tree(&path))
                        && let Some(base) = tree.get("services").and_then(|all| all.get(of))
                    {
                        let lines = Lines::of(&text);
                        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                        let place = FilePlace {
                            repository: self.repository,
                            path: &path,
                            folder,
                            lines: &lines,
                        };
                        place.service(base, &tree, of, service, depth + 1);
                    }
                }
                None => {
                    if let Some(base) = tree.get("services").and_then(|all| all.get(of)) {
                        self.service(base, tree, of, service, depth + 1);
                    }
                }
            }
            // A profile is not taken over.
            service.profiles.clear();
        }
        // Merge keys come first, as what the service itself says counts more.
        if let Some(merged) = node.get("<<") {
            match &merged.kind {
                Kind::List(all) => {
                    for one in all.iter().rev() {
                        self.service(one, tree, name, service, depth + 1);
                    }
                }
                _ => self.service(merged, tree, name, service, depth + 1),
            }
        }
        let line = |node: &Node| Line::new(self.path, self.lines.at(node.place.start));
        if let Some(image) = node.get("image")
            && let Some(text) = image.text()
        {
            service.image = Some(Fact::new(text.to_owned(), line(image)));
        }
        service.builds |= node.get("build").is_some();
        if let Some(ports) = node.get("ports") {
            let mut all: Vec<_> = (ports.items().iter())
                .filter_map(|port| {
                    let (published, inside) = port_pair(port)?;
                    Some((Fact::new(published, line(port)), inside))
                })
                .collect();
            all.append(&mut service.ports);
            service.ports = all;
        }
        if let Some(test) = node.get("healthcheck").and_then(|check| check.get("test")) {
            let mut words = Vec::new();
            test.texts(&mut words);
            let text = filled(&words.join(" "), &BTreeMap::new());
            service.health = check(&text).map(|check| Fact::new(check, line(test)));
        }
        if let Some(profiles) = node.get("profiles") {
            let mut words = Vec::new();
            profiles.texts(&mut words);
            service.profiles = words.into_iter().map(str::to_owned).collect();
        }
        service.host_network |= node.get("network_mode").and_then(Node::text) == Some("host");
        service.ends |= node.get("restart").and_then(Node::text) == Some("no")
            || name.contains("migrat")
            || self.is_shell(node);
    }
}

impl Project {
    /// Whether a release changes the image of a service: one that the file builds, or another service's that it builds.
    pub fn is_built(&self, service: &Service) -> bool {
        let is_built = |image: &Fact<String>| {
            let mut built = self.services.values().filter(|one| one.builds);
            built.any(|one| {
                one.image
                    .as_ref()
                    .is_some_and(|own| own.value == image.value)
            })
        };
        service.builds || service.image.as_ref().is_some_and(is_built)
    }
}

/// The services of a call that go on running, where others of it end.
pub fn lasting(project: &Project, call: &ComposeCall) -> Vec<String> {
    let is_started = |name: &String, service: &Service| {
        let has_profile = |one: &Fact<String>| service.profiles.contains(&one.value);
        call.services.iter().any(|one| one.value == *name)
            || call.services.is_empty()
                && (service.profiles.is_empty() || call.profiles.iter().any(has_profile))
    };
    let started = (project.services.iter()).filter(|(name, service)| is_started(name, service));
    // What listens does not end by itself.
    let ends = |service: &Service| service.ends && service.ports.is_empty();
    if !started.clone().any(|(_, service)| ends(service)) {
        return Vec::new();
    }
    let stay = started.filter(|(_, service)| !ends(service));
    stay.map(|(name, _)| name.clone()).collect()
}

/// Whether a command is a shell alone, which ends at once where it has no terminal.
fn is_shell(command: &str) -> bool {
    let bare = command.trim_matches(|c: char| c.is_whitespace() || "[]\"'".contains(c));
    matches!(bare, "bash" | "sh" | "/bin/bash" | "/bin/sh")
}

/// Published port and the container's, where an entry tells both and 127.0.0.1 can ask it.
fn port_pair(entry: &Node) -> Option<(String, String)> {
    let asked = |host: &str| {
        matches!(
            host,
            "" | "0.0.0.0" | "127.0.0.1" | "localhost" | "::" | "[::]"
        )
    };
    if let Kind::Map(_) = entry.kind {
        let of = |key: &str| entry.get(key).and_then(Node::text).map(str::to_owned);
        let here = asked(&of("host_ip").unwrap_or_default());
        let udp = of("protocol").as_deref() == Some("udp");
        return (!udp && here).then_some((of("published")?, of("target")?));
    }
    let text = entry.text()?;
    let text = text.strip_suffix("/tcp").unwrap_or(text);
    // A default such as `${PORT:-80}` has a colon, too.
    let mut parts: Vec<String> = vec![String::new()];
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    let inside = parts.pop()?;
    let published = parts.pop()?;
    let plain = |port: &str| !port.is_empty() && !port.contains('-') || port.contains('$');
    (asked(&parts.join(":")) && plain(&published) && !inside.ends_with("/udp"))
        .then_some((published, inside))
}

/// A text of a Compose file with its variables: as the workflow sets them, else by their defaults.
pub fn filled(text: &str, env: &BTreeMap<String, String>) -> String {
    shell::filled(text, &|name| env.get(name).cloned())
}

/// An image's name and its tag; a digest counts as none.
pub fn split_tag(image: &str) -> (&str, Option<&str>) {
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
    match tag {
        Some(at) => (&image[..at], Some(&image[at + 1..])),
        None => (image, None),
    }
}

/// An image's name with the defaults of its variables, without its tag; `None` where a variable without one is in it.
pub fn untagged(image: &str) -> Option<String> {
    // What names the tag alone does not matter, and a default may bring one.
    let name = filled(split_tag(image).0, &BTreeMap::new());
    let name = split_tag(&name).0;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
    let edge = |c: char| c.is_ascii_alphanumeric();
    let good = name.starts_with(edge) && name.ends_with(edge) && name.chars().all(plain);
    (good && name.len() <= 200).then(|| name.to_owned())
}

/// Whether a variable names the tag or the digest, or all of the image: each release brings another.
pub fn varies(image: &str) -> bool {
    let (name, tag) = split_tag(image);
    let digest = image.split_once('@').map(|(_, digest)| digest);
    match tag.or(digest) {
        Some(tag) => tag.contains('$'),
        None => name.starts_with('$') && name.find('/').is_none_or(|at| name[at..].ends_with('}')),
    }
}

/// The address that a health check asks itself by.
pub fn check(text: &str) -> Option<Check> {
    let pattern = r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::([0-9]{1,5}))?(/[A-Za-z0-9._~/-]*)?";
    let found = Regex::new(pattern).ok()?.captures(text)?;
    // What a variable is when it runs is a part of the address, too.
    if text[found.get(0)?.end()..].starts_with('$') {
        return None;
    }
    let tls = found[0].starts_with("https");
    let port = found
        .get(1)
        .map_or(Some(80), |port| port.as_str().parse().ok())?;
    (!tls).then(|| Check {
        port,
        path: found.get(2).map_or("/", |path| path.as_str()).to_owned(),
    })
}

/// The health check of a Dockerfile, and its line.
pub fn of_dockerfile(repository: &Repository, path: &str) -> Option<Fact<Check>> {
    let text = repository.text(path)?;
    let at = text.lines().position(|line| {
        let line = line.trim_start();
        line.starts_with("HEALTHCHECK") && !line.contains("NONE")
    })?;
    let mut whole = String::new();
    let mut number = at;
    for (nth, line) in text.lines().enumerate().skip(at) {
        whole.push_str(line.trim_end().trim_end_matches('\\'));
        number = nth;
        if !line.trim_end().ends_with('\\') {
            break;
        }
        whole.push(' ');
    }
    let check = check(&whole)?;
    // The line that has the address, which a continued one may be.
    let has = |nth: &usize| {
        text.lines()
            .nth(*nth)
            .is_some_and(|line| line.contains("://"))
    };
    let line = (at..=number).find(has).unwrap_or(at);
    Some(Fact::new(check, Line::new(path, line + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_their_tags() {
        for (image, name, tag) in [
            ("ghcr.io/a/b:1", "ghcr.io/a/b", Some("1")),
            ("localhost:5000/b", "localhost:5000/b", None),
            ("b:${TAG:-latest}", "b", Some("${TAG:-latest}")),
            ("${IMAGE:-a/b:1}", "${IMAGE:-a/b:1}", None),
            ("b@sha256:01", "b", None),
        ] {
            assert_eq!(split_tag(image), (name, tag), "{image}");
        }
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
    fn what_a_release_changes_has_a_variable_for_its_tag() {
        for image in [
            "a/b:${TAG:-1}",
            "a/b:v$TAG",
            "a/b@$DIGEST",
            "$IMAGE",
            "${IMAGE:-a/b:1}",
        ] {
            assert!(varies(image), "{image}");
        }
        for image in ["a/b:1", "a/b", "${REGISTRY:-r}/b:1", "a/b@sha256:01"] {
            assert!(!varies(image), "{image}");
        }
    }

    #[test]
    fn ports_that_this_machine_can_ask() {
        let of = |text: &str| {
            let tree = Node::parse(&format!("- {text}\n")).unwrap();
            port_pair(&tree.items()[0]).map(|(published, _)| published)
        };
        assert_eq!(
            of("\"127.0.0.1:${PORT:-8080}:80\"").as_deref(),
            Some("${PORT:-8080}")
        );
        assert_eq!(of("\"[::]:8080:80\"").as_deref(), Some("8080"));
        assert_eq!(
            of("{ published: \"9090\", target: \"90\" }").as_deref(),
            Some("9090")
        );
        for text in [
            "\"10.0.0.5:8080:80\"",
            "\"80\"",
            "\"53:53/udp\"",
            "\"8080-8090:80\"",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
