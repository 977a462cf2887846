//! YAML as a tree in which every node has its position in the file.
//!
//! Typed decoding happens after merging and interpolation, so the positions must survive both.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use crate::fault::{Fault, display_value};
use crate::outdent;
use crate::place::Place;
use crate::scan;

/// Deeper nesting than a configuration needs, far less than a stack holds.
const MAX_DEPTH: usize = 64;
/// Aliases may repeat nodes; this bounds what they can grow to.
const MAX_NODES: usize = 50_000;

/// The key whose value is mappings to merge.
const MERGE: &str = "<<";

/// An entry of a list, among the keys of a path.
pub const ENTRY: &str = "-";

#[derive(Clone, Debug)]
pub struct Node {
    pub place: Place,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub struct Key {
    pub name: String,
    pub place: Place,
}

/// A scalar keeps its text as written, so that `1.10` can still be a release.
#[derive(Clone, Debug)]
pub struct Scalar {
    pub text: String,
    /// Written without quotes, so that it may also be a number, a boolean or null.
    pub plain: bool,
    /// The variables in it, as `${NAME}`, that are not set.
    pub unset: Vec<String>,
    /// As written, where it contained `${NAME}`: a variable's value is text where any type is allowed,
    /// and no error shows it.
    pub written: Option<String>,
    /// The variables that it names and that are set, where nothing replaces them in it.
    pub variables: Vec<(String, String)>,
}

/// The keys that lead to each value of a YAML text, in its order; those of a list lead to the list.
/// `None` if it is not YAML that we can read.
pub fn leaves(yaml: &str) -> Option<Vec<Vec<String>>> {
    fn walk(node: &Node, path: &[String], found: &mut Vec<Vec<String>>) {
        let nothing = path.is_empty() && matches!(node.kind, Kind::Map(_));
        if node.entries().is_empty() && !nothing {
            found.push(path.to_vec());
        }
        for (key, value) in node.entries() {
            walk(
                value,
                &[path, std::slice::from_ref(&key.name)].concat(),
                found,
            );
        }
    }
    let mut found = Vec::new();
    walk(&Node::parse(yaml).ok()?, &[], &mut found);
    Some(found)
}

impl Node {
    /// The tree of the one document in `text`; an empty file is an empty mapping.
    pub fn parse(text: &str) -> Result<Node, Fault> {
        Node::parse_within(text, MAX_NODES)
    }

    /// The same for a text that may have more values, or must have fewer.
    pub fn parse_within(text: &str, max_nodes: usize) -> Result<Node, Fault> {
        let builder = Builder {
            max_nodes,
            ..Builder::new(text)
        };
        builder.document()
    }

    /// The tree of a file that other programs read, and that its owner did not write for us: as PyYAML reads it, also where
    /// what a quote or a bracket opened goes on at the indentation of its key, which YAML does not allow.
    pub fn parse_foreign(text: &str) -> Result<Node, Fault> {
        Node::parse(text).or_else(|fault| match outdent::joined(text) {
            Some(joined) => Node::parse(&joined).map_err(|_| fault),
            None => Err(fault),
        })
    }

    /// The same, with tags such as `!!binary` refused: they say what a value is, and are not read.
    pub fn parse_untagged(text: &str) -> Result<Node, Fault> {
        let builder = Builder {
            refuses_tags: true,
            ..Builder::new(text)
        };
        builder.document()
    }

    pub fn get(&self, name: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => entries
                .iter()
                .find(|(key, _)| key.name == name)
                .map(|(_, n)| n),
            _ => None,
        }
    }

    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// How many items or entries it has.
    pub fn children(&self) -> usize {
        self.items().len() + self.entries().len()
    }

    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// Appends the text of every scalar below.
    pub fn texts<'n>(&'n self, found: &mut Vec<&'n str>) {
        match &self.kind {
            Kind::Scalar(scalar) => found.push(&scalar.text),
            Kind::List(items) => items.iter().for_each(|item| item.texts(found)),
            Kind::Map(entries) => entries.iter().for_each(|(_, value)| value.texts(found)),
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(s) if s.plain && matches!(s.text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// A key with nothing behind its colon, or a dash with nothing behind it: not even `null`.
    pub fn is_blank(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(s) if s.plain && s.written.is_none() && s.text.is_empty())
    }

    /// What a person would call this node.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Scalar(scalar) if self.is_null() && scalar.written.is_some() => {
                "nothing: its variable is empty".to_owned()
            }
            _ if self.is_null() => "nothing".to_owned(),
            Kind::Scalar(scalar) => display_value(&scalar.text),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The value at a place.
    pub fn at(&self, place: &Place) -> Option<&Node> {
        if self.place == *place {
            return Some(self);
        }
        let below = self.entries().iter().map(|(_, value)| value);
        self.items()
            .iter()
            .chain(below)
            .find_map(|node| node.at(place))
    }

    /// The keys that lead to what is at a place: a key, or a value. An entry of a list is [`ENTRY`].
    pub fn path_to(&self, place: &Place) -> Option<Vec<&str>> {
        let mut path = Vec::new();
        self.find(place, &mut path).then_some(path)
    }

    fn find<'n>(&'n self, place: &Place, path: &mut Vec<&'n str>) -> bool {
        if self.place == *place {
            return true;
        }
        for item in self.items() {
            path.push(ENTRY);
            if item.find(place, path) {
                return true;
            }
            path.pop();
        }
        for (key, value) in self.entries() {
            path.push(&key.name);
            if key.place == *place || value.find(place, path) {
                return true;
            }
            path.pop();
        }
        false
    }

    /// This node with `over` laid on it: mappings deeply, everything else replaced.
    pub fn merged(self, over: Node) -> Node {
        match (self.kind, over.kind) {
            (Kind::Map(mut base), Kind::Map(entries)) => {
                for (key, value) in entries {
                    match base.iter().position(|(k, _)| k.name == key.name) {
                        Some(at) => {
                            let (_, old) = base.remove(at);
                            base.insert(at, (key, old.merged(value)));
                        }
                        None => base.push((key, value)),
                    }
                }
                Node {
                    place: self.place,
                    kind: Kind::Map(base),
                }
            }
            (_, kind) => Node {
                place: over.place,
                kind,
            },
        }
    }

    /// Keeps the entries of a mapping whose keys are `wanted`.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        if let Kind::Map(entries) = &mut self.kind {
            entries.retain(|(key, _)| wanted(&key.name));
        }
    }

    /// Takes an entry out of a mapping.
    pub fn remove(&mut self, name: &str) -> Option<Node> {
        let Kind::Map(entries) = &mut self.kind else {
            return None;
        };
        let at = entries.iter().position(|(key, _)| key.name == name)?;
        Some(entries.remove(at).1)
    }
}

struct Builder<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    /// Byte offset of each character: the parser counts characters, snippets count bytes.
    offsets: Vec<usize>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    max_nodes: usize,
    refuses_tags: bool,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str) -> Self {
        let offsets = text
            .char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .collect();
        Builder {
            text,
            parser: Parser::new_from_str(text),
            offsets,
            anchors: HashMap::new(),
            nodes: 0,
            max_nodes: MAX_NODES,
            refuses_tags: false,
        }
    }

    /// The refusal of a tag, which the text of a value begins with.
    fn tagged(&self, place: &Place) -> Fault {
        let text = self.text.get(place.start..).unwrap_or_default();
        // An anchor may come first.
        let at = text.find('!').unwrap_or_default();
        let end = text[at..].find(|c: char| c.is_whitespace() || ",[]{}".contains(c));
        let tag = &text[at..end.map_or(text.len(), |end| at + end)];
        let place = place.start + at..place.start + at + tag.len();
        Fault::new(format!(
            "the tag `{tag}` is not read: a value is what its key takes"
        ))
        .at(place)
        .hint("write the value without the tag; a text that begins with `!` needs quotes")
    }

    fn place(&self, span: Span) -> Place {
        let at = |index: usize| {
            self.offsets
                .get(index)
                .or(self.offsets.last())
                .copied()
                .unwrap_or_default()
        };
        let (start, end) = (at(span.start.index()), at(span.end.index()));
        start..end.max(start)
    }

    fn next(&mut self) -> Result<(Event<'t>, Place), Fault> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, self.place(span))),
            Some(Err(error)) => {
                let mark = *error.marker();
                let place = self.place(Span::empty(mark));
                Err(scan::fault(error.info(), self.text, place.start))
            }
            None => Err(Fault::new("not YAML: the file ends too early")),
        }
    }

    fn document(mut self) -> Result<Node, Fault> {
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamStart | Event::Nothing => {}
                Event::StreamEnd => {
                    return Ok(Node {
                        place,
                        kind: Kind::Map(Vec::new()),
                    });
                }
                Event::DocumentStart(_) => break,
                _ => return Err(Fault::new("not YAML: content outside a document").at(place)),
            }
        }
        let (event, place) = self.next()?;
        let mut root = self.node(event, place, 0)?;
        if root.is_null() {
            root.kind = Kind::Map(Vec::new());
        }
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(_) => {
                    return Err(Fault::new("a second document begins")
                        .at(place)
                        .hint("remove the `---`: a file has one document"));
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'t>, place: Place, depth: usize) -> Result<Node, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::new(format!("nested deeper than {MAX_DEPTH} levels")).at(place));
        }
        self.count(1, &place)?;
        let before = self.nodes;
        let (node, anchor) = match event {
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_))
                if self.refuses_tags =>
            {
                return Err(self.tagged(&place));
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let scalar = Scalar {
                    text: text.into_owned(),
                    plain,
                    unset: Vec::new(),
                    written: None,
                    variables: Vec::new(),
                };
                (
                    Node {
                        place,
                        kind: Kind::Scalar(scalar),
                    },
                    anchor,
                )
            }
            Event::SequenceStart(anchor, _) => (self.list(place, depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(place, depth)?, anchor),
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(Fault::new("an alias to itself or to nothing").at(place));
                };
                self.count(size, &place)?;
                return Ok(node);
            }
            _ => return Err(Fault::new("not YAML: unexpected end").at(place)),
        };
        if anchor != 0 {
            self.anchors
                .insert(anchor, (node.clone(), self.nodes - before + 1));
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize, place: &Place) -> Result<(), Fault> {
        self.nodes += nodes;
        if self.nodes > self.max_nodes {
            let most = self.max_nodes;
            let fault = Fault::new(format!("more than {most} values")).at(place.clone());
            return Err(fault.hint("an alias counts all that it names: write fewer, or see whether it is the right file"));
        }
        Ok(())
    }

    fn list(&mut self, mut place: Place, depth: usize) -> Result<Node, Fault> {
        let mut items = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                place.end = place
                    .end
                    .max(items.last().map_or(at.end, |n: &Node| n.place.end));
                return Ok(Node {
                    place,
                    kind: Kind::List(items),
                });
            }
            items.push(self.node(event, at, depth + 1)?);
        }
    }

    fn map(&mut self, mut place: Place, depth: usize) -> Result<Node, Fault> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            let (event, at) = self.next()?;
            let name = match event {
                Event::MappingEnd => {
                    place.end = place
                        .end
                        .max(entries.last().map_or(at.end, |(_, n)| n.place.end));
                    let entries = with_merged(entries)?;
                    return Ok(Node {
                        place,
                        kind: Kind::Map(entries),
                    });
                }
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(scan::odd_key(self.text, at)),
            };
            self.count(1, &at)?;
            if let Some((first, _)) = entries.iter().find(|(key, _)| key.name == name) {
                let line = scan::line_number(self.text, first.place.start);
                let fault = Fault::new(format!("duplicate key `{name}`")).at(at);
                return Err(fault.hint(match name.as_str() {
                    MERGE => "merge several as `<<: [*one, *other]`".to_owned(),
                    _ => format!("line {line} has it already: keep one of them"),
                }));
            }
            let (event, value_at) = self.next()?;
            let value = self.node(event, value_at, depth + 1)?;
            entries.push((Key { name, place: at }, value));
        }
    }
}

/// The entries with those of the mappings that `<<` names, as every editor and Compose read them:
/// an own key counts more, then that of an earlier mapping.
fn with_merged(mut entries: Vec<(Key, Node)>) -> Result<Vec<(Key, Node)>, Fault> {
    let Some(at) = entries.iter().position(|(key, _)| key.name == MERGE) else {
        return Ok(entries);
    };
    let (_, merged) = entries.remove(at);
    let parts = match merged.kind {
        Kind::List(parts) => parts,
        _ => vec![merged],
    };
    for part in parts {
        let Kind::Map(more) = part.kind else {
            let found = part.describe();
            return Err(Fault::new(format!("`<<` takes a mapping, found {found}"))
                .at(part.place)
                .hint(
                    "name one that has an anchor: `<<: *name`, where `&name` is written before",
                ));
        };
        for (key, value) in more {
            if entries.iter().all(|(own, _)| own.name != key.name) {
                entries.push((key, value));
            }
        }
    }
    Ok(entries)
}
