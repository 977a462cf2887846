//! What is wrong with a configuration, where, and what was probably meant.

use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use model::Secret;
use model::redact::MASK;
use model::text::CUT;
use serde_json::Value;
use yaml::{Fault, Node, Place};

use crate::secrets::Located;
use crate::{advice, broken, interpolate, unread};

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

/// What was read of a file, for its errors.
#[derive(Clone, Debug)]
pub struct Document {
    /// As a person would type it.
    pub path: PathBuf,
    pub text: String,
    /// `None` if it is not YAML.
    pub tree: Option<Node>,
    /// Its literal secrets.
    pub hidden: Located,
    /// The JSON Schema of such a file.
    pub schema: fn() -> Value,
}

impl Document {
    /// The error of a fault in it.
    pub fn error(&self, fault: Fault) -> Error {
        let fault = match &self.tree {
            Some(_) => advice::advised(fault, self.tree.as_ref(), self.schema),
            None => interpolate::in_line(&self.text, fault),
        };
        let place = fault.place.unwrap_or(0..0);
        let before = &self.text[..self.text.floor_char_boundary(place.start)];
        let line = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let column = before[line_start..].chars().count() + 1;
        let mut hidden = self.hidden.places.clone();
        // Where a variable alone is missing, every key is known.
        if let Some(tree) = self.tree.as_ref().filter(|_| fault.unset.is_empty()) {
            hidden.extend(unread::places(tree, &(self.schema)()));
        }
        let message = self.veiled(&fault.message, &hidden, &place);
        let hint = fault.hint.map(|hint| self.veiled(&hint, &hidden, &place));
        let (text, place) = masked(&self.text, &hidden, &place);
        Error::Invalid {
            path: self.path.clone(),
            line,
            column,
            snippet: draw(&self.path, &text, &place, (line, column)),
            message,
            hint,
            unset: fault.unset,
        }
    }

    /// A sentence about a place, without what it quotes of a secret. What a secret has in common with other sentences and
    /// with paths stays there.
    fn veiled(&self, sentence: &str, hidden: &[Place], place: &Place) -> String {
        if self.tree.is_none() {
            return broken::veiled(sentence, &self.text, hidden, &(self.schema)());
        }
        let is_here = |one: &&Place| one.start < place.end && place.start < one.end;
        let here = hidden.iter().filter(is_here);
        let mut words: Vec<&str> = here.filter_map(|one| self.text.get(one.clone())).collect();
        if !words.is_empty() {
            let literals = self.hidden.secrets.literals.iter();
            words.extend(literals.map(Secret::expose));
        }
        let mut shown = sentence.to_owned();
        let words = words
            .into_iter()
            .map(|word| word.trim().trim_matches(['"', '\'']));
        for word in words.filter(|word| word.len() > broken::SHORT) {
            shown = without_word(&shown, word);
        }
        shown
    }
}

/// The sentence with a mask in the place of a word.
fn without_word(sentence: &str, word: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || "_-".contains(c);
    let mut out = String::new();
    let mut done = 0;
    for (at, _) in sentence.match_indices(word) {
        let end = at + word.len();
        if !sentence[..at].ends_with(is_part) && !sentence[end..].starts_with(is_part) {
            out.push_str(&sentence[done..at]);
            out.push_str(MASK);
            done = end;
        }
    }
    out + &sentence[done..]
}

/// The text with a mask in the place of each secret, and where a place is then.
pub(crate) fn masked(text: &str, hidden: &[Place], place: &Place) -> (String, Place) {
    let mut lines = Vec::new();
    for place in hidden {
        let end = text.floor_char_boundary(place.end);
        let mut start = text.floor_char_boundary(place.start);
        // The lines of a text stay lines.
        for line in text[start..end].split_inclusive('\n') {
            let content = line.trim();
            let at = start + line.len() - line.trim_start().len();
            if !content.is_empty() {
                lines.push(at..at + content.len());
            }
            start += line.len();
        }
    }
    lines.sort_by_key(|line| (line.start, std::cmp::Reverse(line.end)));
    let mut out = String::with_capacity(text.len());
    let mut moved = place.clone();
    let mut done = 0;
    // What two places share is one secret.
    let mut whole: Vec<Place> = Vec::new();
    for line in lines {
        match whole.last_mut().filter(|last| line.start < last.end) {
            Some(last) => last.end = last.end.max(line.end),
            None => whole.push(line),
        }
    }
    for line in whole {
        let start = line.start;
        out.push_str(&text[done..start]);
        let mask = out.len()..out.len() + MASK.len();
        out.push_str(MASK);
        for (one, at, inside) in [
            (place.start, &mut moved.start, mask.start),
            (place.end, &mut moved.end, mask.end),
        ] {
            if one >= line.end {
                *at = out.len() + (one - line.end);
            } else if one > start {
                *at = inside;
            } else if one == start {
                *at = mask.start;
            }
        }
        done = line.end;
    }
    out.push_str(&text[done..]);
    (out, moved)
}

/// `at` is the line and the column in the file, of which `text` is what may be shown.
fn draw(path: &Path, text: &str, place: &Place, at: (usize, usize)) -> String {
    let start = text.floor_char_boundary(place.start);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    // Only the first line of a long place: the start is what a person looks for.
    let end = text
        .floor_char_boundary(place.end)
        .clamp(start, line_end)
        .max((start + 1).min(line_end));
    let end = text.ceil_char_boundary(end);
    let path = path.display().to_string();
    let report = [Level::ERROR.primary_title("").element(
        Snippet::source(text)
            .path(path.as_str())
            .annotation(AnnotationKind::Primary.span(start..end)),
    )];
    let drawn = Renderer::plain().render(&report);
    // Without the title, which is part of the error itself.
    let mut lines = drawn.lines().skip(1);
    let origin = lines.next().and_then(|line| line.split_once("--> "));
    let origin = origin.map(|(gutter, _)| format!("{gutter}--> {path}:{}:{}", at.0, at.1));
    let lines = lines.map(with_marked_cuts);
    origin
        .into_iter()
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_moves_with_what_is_masked_before_it() {
        let text = "a: secret, b: sécret, c: x";
        let of = |part: &str| {
            let at = text.find(part).unwrap();
            at..at + part.len()
        };
        let hidden = [of("secret"), of("sécret"), of("cret")];
        let shown = |part: &str| {
            let (text, place) = masked(text, &hidden, &of(part));
            assert_eq!(text, "a: ***, b: ***, c: x");
            text[place].to_owned()
        };
        assert_eq!(shown("a"), "a");
        assert_eq!(shown("b"), "b");
        assert_eq!(shown("c: x"), "c: x");
        assert_eq!(shown("secret"), "***");
        assert_eq!(shown("sécret"), "***");
        assert_eq!(shown("ret, b"), "***, b");
        let lines = "a: |\n  one\n  two\nb: c\n";
        let (shown, place) = masked(lines, std::slice::from_ref(&(3..17)), &(17..18));
        assert_eq!(shown, "a: ***\n  ***\n  ***\nb: c\n");
        assert_eq!(&shown[place], "b");
    }
}
