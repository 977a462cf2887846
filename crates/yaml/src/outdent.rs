//! Lines that YAML wants indented further, and that other parsers take as they are.

use saphyr_parser::Parser;

/// More than a file has that a person indents.
const MAX_LINES: usize = 64;

/// The text with such lines joined to those before them, where there are any. Each byte keeps its offset, so that a place in
/// the tree is one in the text, too.
pub(crate) fn joined(text: &str) -> Option<String> {
    let mut joined = text.to_owned();
    for _ in 0..MAX_LINES {
        match outdented(&joined) {
            Some(end) => {
                let crlf = joined[..end].ends_with('\r');
                joined.replace_range(end - usize::from(crlf)..=end, if crlf { "  " } else { " " });
            }
            None => break,
        }
    }
    (joined != text).then_some(joined)
}

/// Where the line ends before the first that is not indented enough.
fn outdented(text: &str) -> Option<usize> {
    let error = Parser::new_from_str(text).find_map(Result::err)?;
    let offset = |nth| text.char_indices().nth(nth).map(|(at, _)| at);
    let at = offset(error.marker().index()).unwrap_or(text.len());
    match error.info() {
        // Told at what stands there.
        "invalid indentation" => text[..at].rfind('\n'),
        // Told at the quote that opens.
        "invalid indentation in quoted scalar" => {
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let key = text[line..].find(|c: char| c != ' ' && c != '-')?;
            let mut ends = text[at..].match_indices('\n').map(|(end, _)| at + end);
            ends.find(|end| {
                let next = text[end + 1..].lines().next().unwrap_or_default();
                let content = next.trim_start();
                !content.is_empty() && next.len() - content.len() <= key
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::Node;

    fn texts(text: &str) -> Option<Vec<String>> {
        let tree = Node::parse_foreign(text).ok()?;
        let mut found = Vec::new();
        tree.texts(&mut found);
        Some(found.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn what_closes_at_the_indentation_of_its_key_is_read() {
        for (text, want) in [
            (
                "a:\n  test: [\n    \"x\",\n    \"y\"\n  ]\n  b: z\n",
                &["x", "y", "z"][..],
            ),
            (
                "a:\r\n  test: [\r\n    \"x\"\r\n  ]\r\n  b: z\r\n",
                &["x", "z"],
            ),
            ("a:\n  quoted: 'one\n  two'\n  b: z\n", &["one   two", "z"]),
            (
                "a:\n  - quoted: \"one\n\n      two\n  three\"\n",
                &["one\ntwo   three"],
            ),
        ] {
            let found = texts(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(found, want, "{text}");
            assert!(Node::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_place_is_one_of_the_text_that_was_given() {
        let text = "a:\n  test: [\n    \"x\"\n  ]\n  b: here\n";
        let tree = Node::parse_foreign(text).unwrap();
        let here = tree.get("a").and_then(|a| a.get("b")).unwrap();
        assert_eq!(&text[here.place.clone()], "here");
    }

    #[test]
    fn what_is_not_yaml_is_told_as_it_stands() {
        for text in ["a: [\nb: c\n", "a: 'open\nb: c\n", "a:\n  - b\n c\n"] {
            let own = Node::parse(text).unwrap_err();
            let foreign = Node::parse_foreign(text).unwrap_err();
            assert_eq!(
                (foreign.message, foreign.place),
                (own.message, own.place),
                "{text}"
            );
        }
    }
}
