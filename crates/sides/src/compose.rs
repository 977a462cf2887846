//! Two services of Compose that are two sides, and the container that nginx runs in.

use repository::{Repository, is_compose_file, joined};
use yaml::Node;

use crate::found::{Container, RouterFile, Sides, line_at};
use crate::pair::{self, Server};

fn files(repository: &Repository) -> impl Iterator<Item = &String> {
    let files = repository.files.iter();
    files.filter(|path| is_compose_file(path))
}

/// Two services by whose names they are two sides.
pub(crate) fn pair(repository: &Repository) -> Option<Sides> {
    files(repository).find_map(|path| {
        let (text, tree) = (repository.text(path)?, repository.tree(path)?);
        let services = tree.get("services")?.entries();
        let names: Vec<&str> = services.iter().map(|(key, _)| key.name.as_str()).collect();
        names.iter().enumerate().find_map(|(nth, one)| {
            names[nth + 1..].iter().find_map(|other| {
                let both = [*one, *other].map(|name| Server {
                    name,
                    line: name,
                    waits: false,
                    weight: 1,
                });
                let (blue, green) = pair::sides(&both, "")?;
                let is_pair = green.replace("green", "blue") == blue
                    || green.replace("canary", "stable") == blue
                    || green.replace("-canary", "").replace("_canary", "") == blue;
                let at = services.iter().find(|(key, _)| key.name == blue)?;
                is_pair.then(|| Sides {
                    router: RouterFile::Unknown,
                    blue: address(&tree, blue),
                    green: address(&tree, green),
                    at: format!("{path}:{}", line_at(&text, at.0.place.start)),
                })
            })
        })
    })
}

/// Published at every address of the machine, its own among them.
const EVERYWHERE: [&str; 2] = ["0.0.0.0", "[::]"];

/// By the address and port that it publishes; else its name.
fn address(tree: &Node, service: &str) -> String {
    let ports = tree
        .get("services")
        .and_then(|all| all.get(service)?.get("ports"));
    let port = ports.and_then(|ports| {
        let text = ports.items().first()?.text()?;
        let mut words = text.rsplitn(3, ':');
        let (_inside, outside) = (words.next()?, words.next()?);
        let port = outside.parse::<u16>().ok()?;
        let host = words.next().filter(|host| !EVERYWHERE.contains(host));
        Some(format!("{}:{port}", host.unwrap_or("127.0.0.1")))
    });
    port.unwrap_or_else(|| service.to_owned())
}

/// Whether the host of an address is the name of a service.
pub(crate) fn is_service(repository: &Repository, address: &str) -> bool {
    let host = address.split(':').next().unwrap_or(address);
    files(repository).any(|path| {
        let tree = repository.tree(path);
        let services = tree.as_ref().and_then(|tree| tree.get("services"));
        services.is_some_and(|services| services.get(host).is_some())
    })
}

/// The container into which the folder of this file is mounted, with the path of the file inside.
pub(crate) fn container_of(repository: &Repository, file: &str) -> Option<(String, Container)> {
    files(repository).find_map(|path| {
        let tree = repository.tree(path)?;
        let services = tree.get("services")?.entries().iter();
        services
            .filter(|(key, _)| is_plain(&key.name) && is_plain(path))
            .find_map(|(key, service)| {
                let (inside, is_read_only) = mounted(path, service, file)?;
                Some((
                    inside,
                    Container {
                        compose: path.clone(),
                        service: key.name.clone(),
                        outside: is_read_only.then(|| file.to_owned()),
                    },
                ))
            })
    })
}

/// A word that no shell reads as more than one.
fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    !word.starts_with('-') && word.chars().all(plain)
}

/// Where a service of nginx has this file, and whether it can only read it.
fn mounted(compose: &str, service: &Node, file: &str) -> Option<(String, bool)> {
    let (folder, name) = file.rsplit_once('/')?;
    let image = service.get("image").and_then(Node::text)?;
    if !image
        .split(['/', ':'])
        .any(|part| part.starts_with("nginx"))
    {
        return None;
    }
    let project = compose.rsplit_once('/').map_or("", |(folder, _)| folder);
    service.get("volumes")?.items().iter().find_map(|volume| {
        let mut parts = volume.text()?.split(':');
        let (outside, inside, mode) = (parts.next()?, parts.next()?, parts.next());
        let from = joined(project, outside)?;
        let below = folder.strip_prefix(&from)?;
        let is_below = below.is_empty() || below.starts_with('/') || from.is_empty();
        let path = format!("{}{below}/{name}", inside.trim_end_matches('/'));
        is_below.then(|| {
            (
                path,
                mode.is_some_and(|mode| mode.split(',').any(|one| one == "ro")),
            )
        })
    })
}
