//! `config/deploy.yml` of Kamal.

use std::rc::Rc;

use yaml::Node;

use crate::address::Address;
use crate::tool::KamalCall;
use repository::Repository;
use workflow::Lines;
use workflow::Value;
use workflow::{Fact, Line};

const USUAL: &str = "config/deploy.yml";

struct File {
    path: String,
    tree: Rc<Node>,
    lines: Lines,
}

impl File {
    fn read(repository: &Repository, path: &str) -> Option<File> {
        let text = repository.text(path)?;
        // Kamal fills in ERB before it reads the file; what is left of it here is text.
        let tree = match without_statements(&text) {
            Some(text) => Rc::new(Node::parse(&text).ok()?),
            None => repository.tree(path)?,
        };
        Some(File {
            path: path.to_owned(),
            tree,
            lines: Lines::of(&text),
        })
    }

    fn line(&self, node: &Node) -> Line {
        Line::new(&self.path, self.lines.at(node.place.start))
    }

    fn text(&self, keys: &[&str]) -> Option<Fact<String>> {
        let mut node = &*self.tree;
        for key in keys {
            node = node.get(key)?;
        }
        let text = node.text()?.to_owned();
        (!text.contains("<%")).then(|| Fact::new(text, self.line(node)))
    }
}

/// The text with blanks for the statements of ERB, which leave nothing behind: every other byte keeps its place. `None`
/// where there are none.
fn without_statements(text: &str) -> Option<String> {
    let (mut left, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("<%") {
        let end = at + rest[at..].find("%>")? + 2;
        let is_value = rest[at..].starts_with("<%=");
        let blank = |c: char| {
            if c == '\n' {
                "\n".to_owned()
            } else {
                " ".repeat(c.len_utf8())
            }
        };
        left.push_str(&rest[..at]);
        if is_value {
            left.push_str(&rest[at..end]);
        } else {
            left.extend(rest[at..end].chars().map(blank));
        }
        rest = &rest[end..];
    }
    left.push_str(rest);
    (left != text).then_some(left)
}

/// The files that a call reads: that of the destination counts more.
fn files(repository: &Repository, call: &KamalCall) -> Vec<File> {
    let path = call.config.clone().unwrap_or_else(|| USUAL.to_owned());
    let destination = call.destination.as_ref().and_then(Value::literal);
    let over = destination.map(|name| path.replace(".yml", &format!(".{name}.yml")));
    over.into_iter()
        .chain([path])
        .filter_map(|path| File::read(repository, &path))
        .collect()
}

/// The call with what Kamal's own file adds to it.
pub fn completed(repository: &Repository, mut call: KamalCall) -> KamalCall {
    let files = files(repository, &call);
    let first = |keys: &[&str]| files.iter().find_map(|file| file.text(keys));
    call.service = first(&["service"]);
    call.image = first(&["image"]);
    call.registry = first(&["registry", "server"]);
    call.user = first(&["ssh", "user"]);
    call.proxy = first(&["ssh", "proxy"]);
    for file in &files {
        let Some(servers) = file.tree.get("servers") else {
            continue;
        };
        let mut nodes: Vec<&Node> = servers.items().iter().collect();
        for (_, role) in servers.entries() {
            nodes.extend(role.items());
            nodes.extend(role.get("hosts").map_or(&[][..], Node::items));
        }
        for node in nodes {
            let name = node
                .text()
                .map(str::to_owned)
                .or_else(|| Some(node.entries().first()?.0.name.clone()));
            if let Some(name) = name.filter(|name| !name.contains("<%"))
                && !call.hosts.iter().any(|known| known.value == name)
            {
                call.hosts.push(Fact::new(name, file.line(node)));
            }
        }
        if !call.hosts.is_empty() {
            break;
        }
    }
    if call.config.is_none() && !files.is_empty() {
        call.config = Some(USUAL.to_owned());
    }
    call
}

/// What its proxy asks: the host, and the path of the health check.
pub fn address(repository: &Repository, call: &KamalCall) -> Option<Address> {
    let files = files(repository, call);
    let first = |keys: &[&str]| files.iter().find_map(|file| file.text(keys));
    let host = first(&["proxy", "host"]).or_else(|| {
        files.iter().find_map(|file| {
            let node = file.tree.get("proxy")?.get("hosts")?.items().first()?;
            Some(Fact::new(node.text()?.to_owned(), file.line(node)))
        })
    })?;
    let path = first(&["proxy", "healthcheck", "path"]);
    let tls = first(&["proxy", "ssl"]).is_some_and(|ssl| ssl.value == "true");
    let scheme = if tls { "https" } else { "http" };
    let mut at = vec![host.at];
    at.extend(path.as_ref().map(|path| path.at.clone()));
    let path = path.map_or_else(|| "/up".to_owned(), |path| path.value);
    Some(Address {
        url: Value::new(format!("{scheme}://{}{path}", host.value)),
        at,
        is_checked: true,
    })
}
