//! The answers of S3, STS and Elastic Load Balancing. Entities and document types are not read, so no
//! answer can grow while it is.

use roxmltree::{Document, Node};

use crate::Error;

/// Answers are no deeper than this.
const MAX_DEPTH: usize = 32;

pub(crate) fn parse<'t>(service: &'static str, text: &'t str) -> Result<Document<'t>, Error> {
    Document::parse(text).map_err(|error| Error::Malformed {
        service,
        reason: format!("it is not XML: {error}"),
    })
}

/// The text of the first element of this name, anywhere below.
pub(crate) fn text<'n>(node: Node<'n, '_>, name: &str) -> Option<&'n str> {
    node.descendants()
        .find(|child| child.tag_name().name() == name)
        .and_then(|child| child.text())
}

/// The root of an answer, to keep and to change.
pub(crate) fn element(service: &'static str, text: &str) -> Result<Element, Error> {
    let document = parse(service, text)?;
    let element = Element::of(document.root_element(), MAX_DEPTH);
    element.ok_or_else(|| Error::Malformed {
        service,
        reason: format!("it is deeper than {MAX_DEPTH} elements"),
    })
}

/// An element without its attributes: these services write none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    name: String,
    text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    pub(crate) fn leaf(name: &str, text: &str) -> Element {
        Element {
            name: name.to_owned(),
            text: text.to_owned(),
            children: Vec::new(),
        }
    }

    pub(crate) fn with(name: &str, children: Vec<Element>) -> Element {
        Element {
            name: name.to_owned(),
            text: String::new(),
            children,
        }
    }

    fn of(node: Node<'_, '_>, depth: usize) -> Option<Element> {
        let depth = depth.checked_sub(1)?;
        let children = node.children().filter(Node::is_element);
        let children: Vec<Element> = children
            .map(|child| Element::of(child, depth))
            .collect::<Option<_>>()?;
        let name = node.tag_name().name();
        Some(if children.is_empty() {
            Element::leaf(name, node.text().unwrap_or_default())
        } else {
            Element::with(name, children)
        })
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    pub(crate) fn child_mut(&mut self, name: &str) -> Option<&mut Element> {
        self.children.iter_mut().find(|child| child.name == name)
    }

    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// The first of this name, itself or anywhere below.
    pub(crate) fn below(&self, name: &str) -> Option<&Element> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.below(name))
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.children.retain(|child| child.name != name);
    }

    /// Adds a child, in the place of one of its name.
    pub(crate) fn put(&mut self, child: Element) {
        self.remove(&child.name);
        self.children.push(child);
    }

    /// As parameters of AWS's query protocol: the members of a list and the entries of a map are
    /// counted.
    pub(crate) fn fields(&self, name: &str, fields: &mut Vec<(String, String)>) {
        if self.children.is_empty() && !self.text.is_empty() {
            fields.push((name.to_owned(), self.text.clone()));
        }
        for (nth, child) in self.children.iter().enumerate() {
            let name = match child.name.as_str() {
                counted @ ("member" | "entry") => format!("{name}.{counted}.{}", nth + 1),
                other => format!("{name}.{other}"),
            };
            child.fields(&name, fields);
        }
    }
}
