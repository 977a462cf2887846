//! The labels by which a selector chooses its series.

use std::collections::BTreeSet;

/// The names of the labels that a selector's braces name, such as `status` of `x{status=~"5.."}`.
pub fn label_names(selector: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Some(begin) = selector.find('{') else {
        return names;
    };
    let (mut word, mut quote, mut escaped) = (String::new(), None, false);
    for c in selector[begin + 1..].chars() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '\'' | '`') => {
                word.clear();
                quote = Some(c);
            }
            (None, '=' | '!' | '~') if word.is_empty() => {}
            (None, '=' | '!' | '~') => {
                names.insert(std::mem::take(&mut word));
            }
            (None, ',' | '}') => word.clear(),
            (None, c) if c.is_whitespace() => {}
            (_, c) => word.push(c),
        }
    }
    names.remove("__name__");
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_beside_any_value() {
        for (selector, names) in [
            ("x", vec![]),
            ("x{}", vec![]),
            (
                r#"x{ release="v=1,a=\"}" , status=~'5..',}"#,
                vec!["release", "status"],
            ),
            (r#"{__name__="x", path!~"a{2}"}"#, vec!["path"]),
            (
                r#"{"http.requests", "status.code"!="200"}"#,
                vec!["status.code"],
            ),
        ] {
            let found: Vec<String> = label_names(selector).into_iter().collect();
            assert_eq!(found, names, "{selector}");
        }
    }
}
