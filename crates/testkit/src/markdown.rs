//! What GitHub makes of a text, by a parser of its Markdown.

use std::collections::BTreeMap;

use comrak::nodes::NodeValue as Node;

/// How many headings, links, pictures, pieces of HTML and so on a text has, and its words as they are shown.
pub fn markdown(text: &str) -> (BTreeMap<String, usize>, String) {
    let arena = comrak::Arena::new();
    let mut options = comrak::Options::default();
    options.extension.autolink = true;
    options.extension.footnotes = true;
    options.extension.math_dollars = true;
    options.extension.strikethrough = true;
    options.extension.table = true;
    options.extension.tasklist = true;
    let (mut found, mut words) = (BTreeMap::new(), String::new());
    for node in comrak::parse_document(&arena, text, &options).descendants() {
        let data = node.data.borrow();
        let what = match &data.value {
            Node::Document | Node::Paragraph => continue,
            Node::Text(text) => {
                words.push_str(text);
                continue;
            }
            Node::SoftBreak | Node::LineBreak => {
                words.push('\n');
                continue;
            }
            Node::HtmlInline(html) => {
                words.push('\n');
                format!("html {html}")
            }
            Node::HtmlBlock(html) => format!("html {}", html.literal.trim()),
            Node::Link(link) => format!("link {}", link.url),
            Node::Image(link) => format!("image {}", link.url),
            other => {
                let name = format!("{other:?}");
                let end = name.find(|c: char| !c.is_alphanumeric());
                name[..end.unwrap_or(name.len())].to_owned()
            }
        };
        *found.entry(what).or_default() += 1;
    }
    (found, words)
}

/// Whom a service calls that finds a mention in a text which it shows.
pub fn mention(text: &str) -> Option<String> {
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let name: String = text[at + c.len_utf8()..]
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        if c == '@' && !name.is_empty() && !before.is_ascii_alphanumeric() {
            return Some(name);
        }
        before = c;
    }
    None
}
