//! What is wrong with a configuration, where, and what was probably meant.

use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use model::text::CUT;
use yaml::{Fault, Place, UnknownKey};

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

/// The error of a file, of which `text` is the content.
pub fn placed(fault: Fault, path: &std::path::Path, text: &str) -> Error {
    let Fault {
        message,
        hint,
        place,
        unset,
        unknown,
    } = fault;
    let (message, hint) = match unknown.as_ref().and_then(renamed) {
        Some(row) => (
            format!("`{}` was renamed to `{}`", row.old, row.new),
            Some(row.hint.to_owned()),
        ),
        None => (message, hint),
    };
    let place = place.unwrap_or(0..0);
    let before = &text[..text.floor_char_boundary(place.start)];
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
        snippet: draw(path, text, &place, &message),
        message,
        hint,
        unset,
    }
}

/// The new name of a key, where it is allowed; elsewhere the same word is an unknown key like any other.
fn renamed(key: &UnknownKey) -> Option<&'static Renamed> {
    let is = |row: &&Renamed| row.old == key.written && key.known.contains(&row.new);
    RENAMED.iter().find(is)
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

fn draw(path: &std::path::Path, text: &str, place: &Place, message: &str) -> String {
    let start = text.floor_char_boundary(place.start);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    // Only the first line of a long place: the start is what a person looks for.
    let end = text
        .floor_char_boundary(place.end)
        .clamp(start, line_end)
        .max((start + 1).min(line_end));
    let end = text.ceil_char_boundary(end);
    let path = path.display().to_string();
    let report = [Level::ERROR.primary_title(message).element(
        Snippet::source(text)
            .path(path.as_str())
            .annotation(AnnotationKind::Primary.span(start..end)),
    )];
    // Without the title, which is part of the error itself.
    let drawn = Renderer::plain().render(&report);
    let lines = drawn.lines().skip(1).map(with_marked_cuts);
    lines.collect::<Vec<_>>().join("\n")
}

/// A drawn line with [`CUT`] where a long line of the file was cut: by this mark the redactor recognises what a cut left
/// of a secret.
fn with_marked_cuts(line: &str) -> String {
    let (gutter, text) = line.split_once("| ").unwrap_or(("", line));
    if !gutter.trim().bytes().all(|byte| byte.is_ascii_digit()) || gutter.trim().is_empty() {
        return line.to_owned();
    }
    // The signs below stay in their columns.
    let text = text
        .strip_prefix("...")
        .map_or_else(|| text.to_owned(), |rest| format!("  {CUT}{rest}"));
    let text = text
        .strip_suffix("...")
        .map_or_else(|| text.clone(), |rest| format!("{rest}{CUT}"));
    format!("{gutter}| {text}")
}
