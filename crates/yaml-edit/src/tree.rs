//! A configuration as a tree that becomes YAML, with a comment above a key.

use crate::text::{indented, line, scalar};

#[derive(Clone, Debug)]
pub enum Tree {
    /// A scalar as it stands in YAML.
    Word(String),
    List(Vec<Tree>),
    Map(Map),
}

/// Keys in their order.
#[derive(Clone, Debug, Default)]
pub struct Map(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    note: Vec<String>,
    key: String,
    value: Tree,
}

/// Comments are for a reader, and no difference.
impl PartialEq for Tree {
    fn eq(&self, other: &Tree) -> bool {
        match (self, other) {
            (Tree::Word(one), Tree::Word(other)) => one == other,
            (Tree::List(one), Tree::List(other)) => one == other,
            (Tree::Map(one), Tree::Map(other)) => {
                one.0.len() == other.0.len()
                    && one
                        .0
                        .iter()
                        .zip(&other.0)
                        .all(|(a, b)| a.key == b.key && a.value == b.value)
            }
            _ => false,
        }
    }
}

impl Tree {
    /// Text in which `${NAME}` is filled in.
    pub fn filled(text: &str) -> Tree {
        Tree::Word(scalar(text))
    }

    /// Text as it is.
    pub fn text(text: &str) -> Tree {
        Tree::Word(scalar(&text.replace('$', "$$")))
    }

    /// Text that a shell runs: nothing is filled in.
    pub fn shell(text: &str) -> Tree {
        Tree::Word(scalar(text))
    }

    /// A number, a duration, a boolean of ours.
    pub fn plain(text: &str) -> Tree {
        Tree::Word(text.to_owned())
    }

    pub fn texts<'t>(all: impl IntoIterator<Item = &'t str>) -> Tree {
        Tree::List(all.into_iter().map(Tree::text).collect())
    }
}

impl Map {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn with(mut self, key: &str, value: Tree) -> Map {
        self.add(key, value);
        self
    }

    pub fn add(&mut self, key: &str, value: Tree) {
        self.0.push(Entry {
            note: Vec::new(),
            key: key.to_owned(),
            value,
        });
    }

    /// Those of these keys alone.
    pub fn of(&self, keys: &[&str]) -> Map {
        let kept = self
            .0
            .iter()
            .filter(|entry| keys.contains(&entry.key.as_str()));
        Map(kept.cloned().collect())
    }

    pub fn append(&mut self, other: Map) {
        self.0.extend(other.0);
    }

    /// The same below a comment of one line or several.
    pub fn add_noted(&mut self, note: &str, key: &str, value: Tree) {
        self.add(key, value);
        if let Some(entry) = self.0.last_mut() {
            entry.note = note.lines().map(line).collect();
        }
    }

    pub fn get(&self, key: &str) -> Option<&Tree> {
        let entry = self.0.iter().find(|entry| entry.key == key);
        entry.map(|entry| &entry.value)
    }

    /// What all have alike, and what each has besides: laid over the first, each is whole again.
    pub fn shared(all: &[Map]) -> (Map, Vec<Map>) {
        let mut common = Map::default();
        let mut own = vec![Map::default(); all.len()];
        let Some(first) = all.first() else {
            return (common, own);
        };
        for entry in &first.0 {
            let values: Option<Vec<&Tree>> = all.iter().map(|map| map.get(&entry.key)).collect();
            let Some(values) = values else { continue };
            if values.iter().all(|value| *value == &entry.value) {
                common.0.push(entry.clone());
                continue;
            }
            let maps: Option<Vec<Map>> = values
                .iter()
                .map(|value| match value {
                    Tree::Map(map) => Some(map.clone()),
                    _ => None,
                })
                .collect();
            // One target excludes the other: what is in only one of them stays there.
            if let Some(maps) = maps {
                let (inner, each) = Map::shared(&maps);
                if !inner.is_empty() {
                    common.0.push(Entry {
                        value: Tree::Map(inner),
                        ..entry.clone()
                    });
                }
                for (own, rest) in own.iter_mut().zip(each) {
                    if !rest.is_empty() {
                        own.add(&entry.key, Tree::Map(rest));
                    }
                }
            }
        }
        for (own, whole) in own.iter_mut().zip(all) {
            for entry in &whole.0 {
                if common.get(&entry.key).is_none() && own.get(&entry.key).is_none() {
                    own.0.push(entry.clone());
                }
            }
        }
        (common, own)
    }

    /// As YAML, a block of lines.
    pub fn yaml(&self) -> String {
        let mut text = String::new();
        for Entry { note, key, value } in &self.0 {
            for line in note {
                text.push_str(&format!("# {line}\n"));
            }
            text.push_str(&format!("{}:", scalar(key)));
            text.push_str(&below(value));
        }
        text
    }
}

/// What follows a key's colon.
fn below(value: &Tree) -> String {
    match value {
        Tree::Map(map) if !map.0.is_empty() && flow(value).is_none() => {
            format!("\n{}", indented(&map.yaml(), 2))
        }
        Tree::List(items) if !items.is_empty() && flow(value).is_none() => {
            let each: String = items.iter().map(item).collect();
            format!("\n{}", indented(&each, 2))
        }
        _ => format!(" {}\n", flow(value).unwrap_or_default()),
    }
}

fn item(value: &Tree) -> String {
    match (flow(value), value) {
        (None, Tree::Map(map)) => {
            let text = indented(&map.yaml(), 2);
            format!("- {}", text.trim_start())
        }
        (inline, _) => format!("- {}\n", inline.unwrap_or_default()),
    }
}

/// The longest line in braces or brackets.
const MAX_FLOW: usize = 100;

/// On one line, where it is short and has no comment: a map of scalars, a list of them.
fn flow(value: &Tree) -> Option<String> {
    let text = match value {
        Tree::Word(word) => return Some(word.clone()),
        Tree::List(items) => {
            let items = items.iter().map(|item| match item {
                Tree::Word(word) => Some(word.clone()),
                _ => None,
            });
            format!("[{}]", items.collect::<Option<Vec<_>>>()?.join(", "))
        }
        Tree::Map(map) => {
            if map.0.iter().any(|entry| !entry.note.is_empty()) {
                return None;
            }
            let entries = map.0.iter().map(|entry| match &entry.value {
                Tree::Map(_) => None,
                value => Some(format!("{}: {}", scalar(&entry.key), flow(value)?)),
            });
            format!("{{ {} }}", entries.collect::<Option<Vec<_>>>()?.join(", "))
        }
    };
    (text.len() <= MAX_FLOW).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_stands_once_and_the_rest_below_its_own() {
        let part = |host: &str| {
            let host = Map::default()
                .with("address", Tree::text(host))
                .with("user", Tree::text("ops"));
            let mut map = Map::default();
            map.add_noted(
                "By SSH.",
                "hosts",
                Tree::Map(Map::default().with("server", Tree::Map(host))),
            );
            map.with("state", Tree::texts(["a: b", "c"]))
        };
        let (common, own) = Map::shared(&[part("a.example.com"), part("b.example.com")]);
        assert_eq!(
            common.yaml(),
            "# By SSH.\nhosts:\n  server: { user: ops }\nstate: [\"a: b\", \"c\"]\n"
        );
        assert_eq!(
            own[1].yaml(),
            "hosts:\n  server: { address: b.example.com }\n"
        );
    }

    #[test]
    fn whatever_is_written_is_read_back() {
        let inner = Map::default()
            .with("run", Tree::shell("kamal rollback \"$RELEASE\""))
            .with("text", Tree::text("$5"))
            .with(
                "long",
                Tree::texts(["x".repeat(60).as_str(), "y".repeat(60).as_str()]),
            );
        let map = Map::default().with(
            "list",
            Tree::List(vec![Tree::Map(inner), Tree::plain("3s")]),
        );
        let tree = yaml::read(&map.yaml()).unwrap();
        assert_eq!(tree["list"][0]["run"], "kamal rollback \"$RELEASE\"");
        assert_eq!(tree["list"][0]["text"], "$$5");
        assert_eq!(tree["list"][1], "3s");
    }
}
