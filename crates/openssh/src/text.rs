//! Words of a command line, and the parts of a destination.

/// The words of a command line, with quotes as a shell has them; `None` where a quote does not end.
pub fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(end) = expression(rest) {
            word.get_or_insert_default().push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let next = rest.chars().next()?;
                word.get_or_insert_default().push(next);
                rest = &rest[next.len_utf8()..];
            }
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// How long the expression is that a text begins with.
fn expression(text: &str) -> Option<usize> {
    text.starts_with("${{")
        .then(|| text.find("}}"))?
        .map(|at| at + 2)
}

/// Where a character stands that is in no brackets and no expression.
pub(crate) fn places(text: &str, wanted: char) -> impl DoubleEndedIterator<Item = usize> {
    let mut depth = 0_usize;
    let found = text.char_indices().filter(move |(_, c)| {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && *c == wanted
    });
    found.map(|(at, _)| at).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_quotes_and_expressions_whole() {
        let all = words("ssh -o 'A=b c' \"x \\\" y\" ${{ secrets.A }}@h \\ z").unwrap();
        assert_eq!(
            all,
            ["ssh", "-o", "A=b c", "x \" y", "${{ secrets.A }}@h", " z"]
        );
        assert_eq!(words("a 'b"), None);
        assert_eq!(words("a \\"), None);
        assert_eq!(words(" ").unwrap(), [""; 0]);
    }
}
