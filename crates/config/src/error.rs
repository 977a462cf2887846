//! What is wrong with a configuration, where, and what was probably meant.

use std::fmt;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::place::Place;

/// A configuration that cannot be used. Exit code 2: nothing was asked and nothing changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to read {}: {reason}", path.display())]
    Unreadable {
        path: PathBuf,
        reason: String,
        hint: String,
    },
    #[error("failed to understand {}:{line}:{column}: {message}", path.display())]
    Invalid {
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        message: String,
        hint: Option<String>,
        /// The lines around, with the place marked.
        snippet: String,
        /// The variables that are not set, where that is what is wrong, the one of `message` first.
        unset: Vec<String>,
    },
    #[error("no environment `{name}`")]
    UnknownEnvironment { name: String, hint: String },
}

impl Error {
    pub fn hint(&self) -> Option<&str> {
        match self {
            Error::Unreadable { hint, .. } | Error::UnknownEnvironment { hint, .. } => Some(hint),
            Error::Invalid { hint, .. } => hint.as_deref(),
        }
    }

    /// The variables that are not set, where that is what is wrong.
    pub fn unset(&self) -> &[String] {
        match self {
            Error::Invalid { unset, .. } => unset,
            _ => &[],
        }
    }

    /// The place in the file, drawn with the lines around it.
    pub fn snippet(&self) -> Option<&str> {
        match self {
            Error::Invalid { snippet, .. } => Some(snippet),
            _ => None,
        }
    }
}

/// A fault whose file is not known yet.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) place: Option<Place>,
    pub(crate) unset: Vec<String>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Fault {
            message: message.into(),
            hint: None,
            place: None,
            unset: Vec::new(),
        }
    }

    /// Sets the place unless a deeper one is known.
    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn into_error(self, path: &std::path::Path, text: &str) -> Error {
        let place = self.place.unwrap_or(0..0);
        let before = &text[..floor(text, place.start)];
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        Error::Invalid {
            path: path.to_owned(),
            line,
            column,
            snippet: draw(path, text, &place, &self.message),
            message: self.message,
            hint: self.hint,
            unset: self.unset,
        }
    }
}

/// A key that had another name before 1.0.
struct Renamed {
    old: &'static str,
    new: &'static str,
    hint: &'static str,
}

const RENAMED: &[Renamed] = &[
    Renamed {
        old: "drilled-within",
        new: "max-drill-age",
        hint: "its value stays the same",
    },
    Renamed {
        old: "forget-after",
        new: "stale-after",
        hint: "its value stays the same",
    },
    Renamed {
        old: "fresh",
        new: "max-evidence-age",
        hint: "its value stays the same",
    },
    Renamed {
        old: "leave",
        new: "drain",
        hint: "`drain: true` is what `leave: drain` was, `drain: false` what `leave: maint` was",
    },
    Renamed {
        old: "patience",
        new: "max-queue-time",
        hint: "its value stays the same",
    },
    Renamed {
        old: "prove-within",
        new: "verify-timeout",
        hint: "its value stays the same",
    },
    Renamed {
        old: "starts-within",
        new: "max-start-time",
        hint: "its value stays the same",
    },
    Renamed {
        old: "within",
        new: "max-age",
        hint: "its value stays the same",
    },
];

/// The largest character boundary up to `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn draw(path: &std::path::Path, text: &str, place: &Place, message: &str) -> String {
    let start = floor(text, place.start);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    // Only the first line of a long place: the start is what a person looks for.
    let end = floor(text, place.end)
        .clamp(start, line_end)
        .max((start + 1).min(line_end));
    let end = (end..=text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(text.len());
    let path = path.display().to_string();
    let report = [Level::ERROR.primary_title(message).element(
        Snippet::source(text)
            .path(path.as_str())
            .annotation(AnnotationKind::Primary.span(start..end)),
    )];
    // Without the title, which stands in the error itself.
    let drawn = Renderer::plain().render(&report);
    drawn
        .split_once('\n')
        .map(|(_, rest)| rest.to_owned())
        .unwrap_or_default()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Fault::new(message.to_string())
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let renamed = |row: &&Renamed| row.old == field && expected.contains(&row.new);
        if let Some(row) = RENAMED.iter().find(renamed) {
            return Fault::new(format!("`{field}` was renamed to `{}`", row.new)).hint(row.hint);
        }
        let fault = Fault::new(format!("unknown key `{field}`"));
        match nearest(field, expected) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint(format!("known keys here: {}", listed(expected))),
        }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let fault = Fault::new(format!("unknown value `{variant}`"));
        match nearest(variant, expected) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint(format!("one of {}", listed(expected))),
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Fault::new(format!("missing key `{field}`"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Fault::new(format!("the key `{field}` stands here twice"))
    }

    fn invalid_type(
        unexpected: serde::de::Unexpected<'_>,
        expected: &dyn serde::de::Expected,
    ) -> Self {
        Fault::new(format!("expected {expected}, found {unexpected}"))
    }
}

/// The known word closest to what was written, if it is close enough to be a slip.
pub(crate) fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let written = written.to_ascii_lowercase().replace('_', "-");
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&written, word), *word))
        .min()
        .filter(|(distance, word)| *distance <= 1 + word.len().min(written.len()) / 4)
        .map(|(_, word)| word)
}

pub(crate) fn listed(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
