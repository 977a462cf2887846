//! `{{name}}` in texts that are filled in while asking.

/// A part of such a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'t> {
    Text(&'t str),
    /// The text between the braces.
    Name(&'t str),
}

/// Why a text has no parts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("`{{{{` is not closed by `}}}}`")]
    Open,
    #[error("`{0}` is not a name of a captured value")]
    Name(String),
}

/// The parts of a text, in their order.
pub fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Error> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else {
            return Err(Error::Open);
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        let name = name.trim();
        if !is_name(name) {
            return Err(Error::Name(name.to_owned()));
        }
        pieces.push(Piece::Name(name));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// Whether a value may be captured by this name.
pub fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    !text.is_empty() && text.len() <= 64 && text.chars().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_between_braces() {
        assert_eq!(pieces("a"), Ok(vec![Piece::Text("a")]));
        assert_eq!(
            pieces("{{a}}/{{ b-1 }}}"),
            Ok(vec![
                Piece::Name("a"),
                Piece::Text("/"),
                Piece::Name("b-1"),
                Piece::Text("}")
            ])
        );
        for bad in ["{{a", "{{}}", "{{a b}}", "{{\n}}"] {
            assert!(pieces(bad).is_err(), "{bad}");
        }
    }
}
