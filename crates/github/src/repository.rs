//! Names that become a part of a path.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::Error;

/// What a step of a path may hold as it is.
const STEP: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// `owner/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository(String);

impl Repository {
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text
            .split_once('/')
            .is_some_and(|(owner, name)| is_name(owner) && is_name(name))
        {
            return Ok(Repository(text.to_owned()));
        }
        Err(Error::NoRepository {
            name: text.to_owned(),
        })
    }

    /// The account that it belongs to.
    pub(crate) fn owner(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// `/repos/owner/name`.
    pub(crate) fn path(&self) -> String {
        format!("/repos/{}", self.0)
    }
}

impl std::fmt::Display for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether it can be the name of an account or a repository, and cannot leave its place in a path.
pub(crate) fn is_name(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= 100
        && !matches!(part, "." | "..")
        && part
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Any text as one step of a path, or a value in a query.
pub(crate) fn step(text: &str) -> String {
    match text {
        // These two mean other paths, and GitHub does not accept them as names.
        "." | ".." => "%20".to_owned(),
        text => utf8_percent_encode(text, STEP).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_its_place() {
        assert!(Repository::parse("acme/shop.js").is_ok());
        for text in ["acme", "acme/", "../x", "a/b/c", "a/b?c", "a b/c"] {
            assert!(Repository::parse(text).is_err(), "{text}");
        }
        assert_eq!(step("feature/a?b"), "feature%2Fa%3Fb");
        assert_eq!(step(".."), "%20");
    }
}
