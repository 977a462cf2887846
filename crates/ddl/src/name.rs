//! Names of relations, as PostgreSQL understands what is written.

use std::fmt;

/// The schema in which a name without one is looked up and made, unless a search path says otherwise.
pub(crate) const DEFAULT_SCHEMA: &str = "public";

/// A relation: its schema and its name, folded to lower case where they are not quoted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    pub schema: String,
    pub name: String,
}

impl Name {
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Name {
        Name {
            schema: schema.into(),
            name: name.into(),
        }
    }

    /// Reads `name`, `schema.name` and `database.schema.name`, with or without quotes.
    pub fn read(text: &str) -> Name {
        let mut parts = parts(text);
        let name = parts.pop().unwrap_or_default();
        let schema = parts.pop().unwrap_or_else(|| DEFAULT_SCHEMA.to_owned());
        Name { schema, name }
    }

    /// Another name in the same schema.
    pub fn sibling(&self, name: impl Into<String>) -> Name {
        Name::new(self.schema.clone(), name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.schema != DEFAULT_SCHEMA {
            write!(f, "{}.", self.schema)?;
        }
        f.write_str(&self.name)
    }
}

/// The last part of a name: a column, a constraint.
pub(crate) fn last(text: &str) -> String {
    parts(text).pop().unwrap_or_default()
}

/// The parts between the dots. By the manual (4.1.1, Identifiers and Key Words) what is not quoted
/// is folded to lower case, and two quotes within quotes are one.
pub(crate) fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        let part = parts.last_mut().expect("there is always one");
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                part.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            c if quoted => part.push(c),
            c if c.is_whitespace() => {}
            c => part.extend(c.to_lowercase()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_unless_they_are_quoted() {
        for (text, schema, name) in [
            ("Orders", "public", "orders"),
            ("\"Orders\"", "public", "Orders"),
            ("shop . \"a.b\"", "shop", "a.b"),
            ("db.shop.\"q\"\"q\"", "shop", "q\"q"),
            ("", "public", ""),
        ] {
            assert_eq!(Name::read(text), Name::new(schema, name), "{text}");
        }
        assert_eq!(Name::read("shop.t").to_string(), "shop.t");
        assert_eq!(Name::read("public.t").to_string(), "t");
    }
}
