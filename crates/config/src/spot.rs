//! A value of the file by its place, for rules that types cannot state.

use std::collections::BTreeSet;

use yaml::{Fault, Node, nearest};

/// Where a value stands. A value that is not written, a default, stands where the nearest value
/// around it does.
#[derive(Clone, Copy)]
pub struct Spot<'n> {
    node: &'n Node,
    is_given: bool,
    host_names: &'n BTreeSet<String>,
}

impl<'n> Spot<'n> {
    /// The whole file; `host_names` are the keys of `hosts:`.
    pub(crate) fn root(tree: &'n Node, host_names: &'n BTreeSet<String>) -> Self {
        Spot {
            node: tree,
            is_given: true,
            host_names,
        }
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.below(|node| node.get(key))
    }

    pub(crate) fn item(self, nth: usize) -> Self {
        self.below(|node| node.items().get(nth))
    }

    fn below(self, find: impl FnOnce(&'n Node) -> Option<&'n Node>) -> Self {
        let found = self.given().and_then(find);
        Spot {
            node: found.unwrap_or(self.node),
            is_given: found.is_some(),
            ..self
        }
    }

    fn given(self) -> Option<&'n Node> {
        self.is_given.then_some(self.node)
    }

    pub(crate) fn is_given(self) -> bool {
        self.is_given
    }

    pub(crate) fn text(self) -> Option<&'n str> {
        self.given().and_then(Node::text)
    }

    pub(crate) fn fault(self, message: impl Into<String>) -> Fault {
        Fault::new(message).at(self.node.place.clone())
    }

    /// Refuses the value of a key.
    pub(crate) fn refuse(self, key: &str, message: impl Into<String>) -> Result<(), Fault> {
        Err(self.key(key).fault(message))
    }

    pub(crate) fn http_url(self, text: &str) -> Result<(), Fault> {
        let problem = match url::Url::parse(text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                format!("`{}` is not a scheme that is asked here", url.scheme())
            }
            Ok(_) => return Ok(()),
            Err(error) => format!("not a URL: {error}"),
        };
        Err(self
            .fault(problem)
            .hint("write it as `http://host:port/path` or `https://…`"))
    }

    pub(crate) fn known_host(self, name: &str) -> Result<(), Fault> {
        if self.host_names.contains(name) {
            return Ok(());
        }
        let known: Vec<&str> = self.host_names.iter().map(String::as_str).collect();
        let fault = self.fault(format!("no host `{name}` under `hosts:`"));
        Err(match nearest(name, &known) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint(format!("add `hosts: {{ {name}: {{ address: … }} }}`")),
        })
    }

    /// Names within a list must differ: they become outcome ids.
    pub(crate) fn unique(self, key: &str) -> Result<(), Fault> {
        let mut seen = BTreeSet::new();
        for item in self.given().map(Node::items).unwrap_or_default() {
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

    /// At most one of some keys.
    pub(crate) fn exclusive(self, keys: &[(&str, bool)]) -> Result<(), Fault> {
        let mut given = keys.iter().filter(|(_, given)| *given);
        match (given.next(), given.next()) {
            (Some((one, _)), Some((other, _))) => {
                self.refuse(other, format!("`{one}` and `{other}` exclude each other"))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn some_text(self, text: &str) -> Result<(), Fault> {
        if text.trim().is_empty() {
            return Err(self.fault("it is empty"));
        }
        Ok(())
    }

    /// What a program would take for an option, or a shell for two words, is no name.
    pub(crate) fn a_word(self, text: &str) -> Result<(), Fault> {
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if text.is_empty() || text.starts_with('-') || text.contains(odd) {
            return Err(self.fault(format!("`{text}` is no name")));
        }
        Ok(())
    }
}
