//! What is known, and the line of the repository that tells it.

use std::fmt;

/// A line of a file of the repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// From the repository's root, with `/`.
    pub path: String,
    /// From 1.
    pub number: usize,
}

impl Line {
    pub fn new(path: &str, number: usize) -> Line {
        Line {
            path: path.to_owned(),
            number,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.path, self.number)
    }
}

/// A value with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact<T> {
    pub value: T,
    pub at: Line,
}

impl<T> Fact<T> {
    pub fn new(value: T, at: Line) -> Fact<T> {
        Fact { value, at }
    }
}

/// What is known of a claim. That something is not so is said where all was read that could show it, and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    Yes(Line),
    No,
    /// It may be: by what is named, where one thing that was not understood is the reason.
    NotSeen(Option<Fact<String>>),
}
