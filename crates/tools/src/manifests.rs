//! Manifests and charts: the host of an ingress, the path of a readiness probe, images and workloads.

use regex::Regex;
use yaml::Node;

use crate::compose;
use crate::tool::{HelmCall, KubectlCall};
use repository::{Repository, ends_in};
use workflow::Lines;
use workflow::Value;
use workflow::{Fact, Line};

fn is_name(host: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    host.contains('.') && !host.starts_with('*') && host.chars().all(good)
}

/// `host:` of a chart's values, at the top or below `ingress:`.
pub fn host_of_values(repository: &Repository, file: &str) -> Option<Fact<String>> {
    let (text, tree) = (repository.text(file)?, repository.tree(file)?);
    let lines = Lines::of(&text);
    let found = |node: &Node| {
        let host = node.get("host").or_else(|| node.get("hostname"))?;
        let name = host.text().filter(|name| is_name(name))?;
        Some(Fact::new(
            name.to_owned(),
            Line::new(file, lines.at(host.place.start)),
        ))
    };
    let ingress = || {
        let ingress = tree.get("ingress")?;
        found(ingress).or_else(|| {
            let first = ingress.get("hosts")?.items().first()?;
            let text = first
                .text()
                .or_else(|| first.get("host")?.text())
                .filter(|name| is_name(name))?;
            Some(Fact::new(
                text.to_owned(),
                Line::new(file, lines.at(first.place.start)),
            ))
        })
    };
    found(&tree).or_else(ingress)
}

/// The images that the values of a chart in the repository name, with their tags.
pub fn images_of_chart(repository: &Repository, call: &HelmCall) -> Vec<Fact<String>> {
    let chart = call
        .chart
        .text()
        .trim_start_matches("./")
        .trim_end_matches('/');
    let own: String = format!("{chart}/values.yaml");
    let more = call
        .values
        .iter()
        .map(|file| file.text().trim_start_matches("./").to_owned());
    let files = std::iter::once(own)
        .chain(more)
        .filter(|file: &String| repository.has(file));
    let mut found = Vec::new();
    for file in files {
        if let (Some(text), Some(tree)) = (repository.text(&file), repository.tree(&file)) {
            add_images(&tree, &Lines::of(&text), &file, &mut found);
        }
    }
    found
}

fn add_images(node: &Node, lines: &Lines, file: &str, found: &mut Vec<Fact<String>>) {
    let text = |key: &str| node.get(key).and_then(Node::text);
    if let (Some(name), Some(tag)) = (text("repository"), text("tag")) {
        let registry = text("registry").map_or(String::new(), |host| format!("{host}/"));
        let at = Line::new(file, lines.at(node.place.start));
        found.push(Fact::new(format!("{registry}{name}:{tag}"), at));
    }
    for (_, inner) in node.entries() {
        add_images(inner, lines, file, found);
    }
}

/// The host of the only ingress; of two, neither is known to be the one.
pub fn host_of_ingress(repository: &Repository) -> Option<Fact<String>> {
    let pattern = Regex::new(r#"^\s*-?\s*host:\s*["']?([A-Za-z0-9.-]+)["']?\s*$"#).ok()?;
    let mut found: Vec<Fact<String>> = Vec::new();
    for (path, text) in manifests(repository) {
        if !text.contains("kind: Ingress") {
            continue;
        }
        for (at, line) in text.lines().enumerate() {
            if let Some(host) = pattern.captures(line).map(|host| host[1].to_owned())
                && is_name(&host)
                && !found.iter().any(|known| known.value == host)
            {
                found.push(Fact::new(host, Line::new(&path, at + 1)));
            }
        }
    }
    (found.len() == 1).then(|| found.remove(0))
}

/// The path of the only readiness probe. A chart's template is not YAML, so it is read by its lines.
pub fn readiness(repository: &Repository) -> Option<Fact<String>> {
    let pattern = Regex::new(r#"path:\s*["']?(/[A-Za-z0-9._~/-]*)"#).ok()?;
    let mut found: Vec<Fact<String>> = Vec::new();
    for (path, text) in manifests(repository) {
        let lines: Vec<&str> = text.lines().collect();
        for (at, _) in lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.contains("readinessProbe:"))
        {
            let near = lines.iter().enumerate().skip(at).take(5);
            let mut near =
                near.filter_map(|(nth, line)| Some((nth, pattern.captures(line)?[1].to_owned())));
            if let Some((nth, value)) = near.next()
                && !found.iter().any(|known| known.value == value)
            {
                found.push(Fact::new(value, Line::new(&path, nth + 1)));
            }
        }
    }
    (found.len() == 1).then(|| found.remove(0))
}

/// The manifests of a file or a folder; `None` where it is not in the repository.
fn files_at<'r>(repository: &'r Repository, file: &Value) -> Option<Vec<&'r String>> {
    let path = repository::joined("", file.literal()?)?;
    let below = format!("{path}/");
    let is_meant = |one: &&String| {
        let inner = one.strip_prefix(&below);
        **one == path || inner.is_some_and(|rest| !rest.contains('/'))
    };
    let mut files: Vec<&String> = repository.files.iter().filter(is_meant).collect();
    let is_known = !files.is_empty();
    files.retain(|file| ends_in(file, &["yaml", "yml"]));
    is_known.then_some(files)
}

/// The images that manifests name as they stand.
pub fn images_applied(repository: &Repository, call: &KubectlCall) -> Vec<Fact<String>> {
    let files = call.files.iter();
    let files = files
        .filter_map(|file| files_at(repository, file))
        .flatten();
    let mut found = Vec::new();
    for file in files {
        let text = repository.text(file).unwrap_or_default();
        for (nth, line) in text.lines().enumerate() {
            let image = line.split_once("image:").map(|(_, image)| image);
            let image = image.and_then(|image| image.split([',', '}', '#']).next());
            let image = image.unwrap_or_default().trim().trim_matches(['"', '\'']);
            let is_comment = line.trim_start().starts_with('#');
            if !image.is_empty() && !is_comment && !image.contains(['$', '{']) {
                found.push(Fact::new(image.to_owned(), Line::new(file, nth + 1)));
            }
        }
    }
    found
}

/// The images that a task definition of the repository names as they stand.
pub fn images_of_task(repository: &Repository, file: &str) -> Vec<Fact<String>> {
    let text = repository.text(file).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let containers = json["containerDefinitions"].as_array();
    let images = containers.into_iter().flatten();
    let images = images.filter_map(|one| one["image"].as_str());
    let images = images.filter(|image| !image.is_empty() && !image.contains(['$', '<', '{']));
    images
        .map(|image| Fact::new(image.to_owned(), Line::new(file, 1)))
        .collect()
}

/// The call with the workloads that it puts a release's image into, where all of them are known. What is only applied
/// again has no new revision: to undo it would take an older release back.
pub fn completed(repository: &Repository, mut call: KubectlCall, at: &Line) -> KubectlCall {
    if !call.workloads.is_empty() {
        return call;
    }
    let mut found: Vec<Fact<Value>> = Vec::new();
    let mut spaces: Vec<Option<String>> = Vec::new();
    for file in &call.files {
        let is_ours = at.path.starts_with(".github/");
        let files = is_ours.then(|| files_at(repository, file)).flatten();
        let Some(files) = files else {
            return call;
        };
        for file in files {
            let text = repository.text(file).unwrap_or_default();
            let Some(workloads) = workloads(&text, &call.images) else {
                return call;
            };
            for (workload, space, line) in workloads {
                found.push(Fact::new(Value::new(workload), Line::new(file, line)));
                spaces.push(space);
            }
        }
    }
    // Workloads in several namespaces would need a call for each.
    spaces.dedup();
    match (&call.namespace, spaces.as_slice()) {
        (_, [None]) => call.workloads = found,
        (None, [Some(space)]) => {
            call.namespace = Some(Value::new(&**space));
            call.workloads = found;
        }
        (Some(named), [Some(space)]) if named.text() == space => call.workloads = found,
        _ => {}
    }
    call
}

/// The workloads of a manifest that start one of these images, with their namespaces and lines; `None` where a name is
/// filled in later.
fn workloads(text: &str, images: &[Value]) -> Option<Vec<(String, Option<String>, usize)>> {
    let mut all = Vec::new();
    let mut first = 1;
    for document in text.split("\n---") {
        let lines: Vec<&str> = document.lines().collect();
        let top = |key: &str| {
            let mut values = lines.iter().filter_map(|line| line.strip_prefix(key));
            values
                .next()
                .map(|value| value.trim().trim_matches(['"', '\'']))
        };
        let kind = match top("kind:") {
            Some("Deployment") => Some("deployment"),
            Some("StatefulSet") => Some("statefulset"),
            Some("DaemonSet") => Some("daemonset"),
            _ => None,
        };
        let starts = |line: &&str| {
            let image = line.trim().trim_start_matches("- ").strip_prefix("image:");
            let image = image.map(|image| image.trim().trim_matches(['"', '\'']));
            let name = |image| compose::split_tag(image).0;
            image.is_some_and(|image| images.iter().any(|one| name(one.text()) == name(image)))
        };
        if let Some(kind) = kind.filter(|_| lines.iter().any(starts)) {
            let at = lines
                .iter()
                .position(|line| line.trim_end() == "metadata:")?;
            let inner = lines[at + 1..]
                .iter()
                .take_while(|line| line.starts_with(' '));
            let inner: Vec<&str> = inner.copied().collect();
            let depth = inner.first()?.len() - inner.first()?.trim_start().len();
            let of = |key: &str| {
                inner.iter().find_map(|line| {
                    let value = line.get(depth..)?.strip_prefix(key)?.strip_prefix(':')?;
                    let value = value.split(" #").next().unwrap_or_default();
                    Some(value.trim().trim_matches(['"', '\'']).to_owned())
                })
            };
            let good = |name: &String| {
                !name.is_empty()
                    && name
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))
            };
            let name = of("name").filter(good)?;
            let space = of("namespace");
            if space.as_ref().is_some_and(|space| !good(space)) {
                return None;
            }
            all.push((format!("{kind}/{name}"), space, first + at));
        }
        first += lines.len();
    }
    Some(all)
}

fn manifests(repository: &Repository) -> impl Iterator<Item = (String, String)> {
    let is_yaml = |path: &&String| ends_in(path, &["yaml", "yml"]) && !path.starts_with(".github/");
    (repository.files.iter().filter(is_yaml).take(500))
        .filter_map(|path| Some((path.clone(), repository.text(path)?)))
        .filter(|(_, text)| text.contains("apiVersion:"))
}
