//! Rules of more than one section, and where a fault stands.

use std::collections::BTreeSet;

use crate::file::Config;
use yaml::Node;
use yaml::{Fault, nearest};

pub(super) fn http_url(tree: &Node, path: &[&str], text: &str) -> Result<(), Fault> {
    let problem = match url::Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            format!("`{}` is not a scheme that is asked here", url.scheme())
        }
        Ok(_) => return Ok(()),
        Err(error) => format!("not a URL: {error}"),
    };
    Err(fault(tree, path, problem).hint("write it as `http://host:port/path` or `https://…`"))
}

pub(super) fn known_host(
    tree: &Node,
    path: &[&str],
    name: &str,
    config: &Config,
) -> Result<(), Fault> {
    if config.host_names.contains(name) {
        return Ok(());
    }
    let known: Vec<&str> = config.host_names.iter().map(String::as_str).collect();
    let fault = fault(tree, path, format!("no host `{name}` under `hosts:`"));
    Err(match nearest(name, &known) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault.hint(format!("add `hosts: {{ {name}: {{ address: … }} }}`")),
    })
}

/// Names within a list must differ: they become outcome ids.
pub(super) fn unique(tree: &Node, path: &[&str], key: &str) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    for item in at(tree, path).map(Node::items).unwrap_or_default() {
        if let Some(node) = item.get(key)
            && let Some(name) = node.text()
            && !seen.insert(name)
        {
            return Err(Fault::new(format!("`{name}` stands here twice"))
                .at(node.place.clone())
                .hint("outcomes are told apart by this name"));
        }
    }
    Ok(())
}

/// At most one of some keys; else the second one and what is wrong with it.
pub(super) fn exclusive(keys: &[(&'static str, bool)]) -> Result<(), (&'static str, String)> {
    let mut given = keys.iter().filter(|(_, given)| *given);
    match (given.next(), given.next()) {
        (Some((one, _)), Some((other, _))) => {
            Err((*other, format!("`{one}` and `{other}` exclude each other")))
        }
        _ => Ok(()),
    }
}

pub(super) fn fault(tree: &Node, path: &[&str], message: impl Into<String>) -> Fault {
    // The nearest node that exists: a default cannot be pointed at.
    let node = (0..=path.len())
        .rev()
        .find_map(|len| at(tree, &path[..len]))
        .unwrap_or(tree);
    Fault::new(message).at(node.place.clone())
}

pub(super) fn at<'n>(tree: &'n Node, path: &[&str]) -> Option<&'n Node> {
    path.iter()
        .try_fold(tree, |node, step| match step.parse::<usize>() {
            Ok(index) => node.items().get(index),
            Err(_) => node.get(step),
        })
}
