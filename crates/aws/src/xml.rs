//! The answers of S3 and STS. Entities and document types are not read, so no answer can grow
//! while it is.

use roxmltree::{Document, Node};

use crate::Error;

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
