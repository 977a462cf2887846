//! What is wrong in a text, and where in it.

use std::fmt;

use serde::de::Unexpected;

use crate::place::Place;

/// What is wrong in a text, where, and what was probably meant.
#[derive(Clone, Debug)]
pub struct Fault {
    pub message: String,
    pub hint: Option<String>,
    /// The known word that was probably meant; the hint asks for it.
    pub near: Option<String>,
    pub place: Option<Place>,
    /// The variables that are not set, where that is what is wrong.
    pub unset: Vec<String>,
    /// The key that is not known, where that is what is wrong.
    pub unknown: Option<UnknownKey>,
    /// The key that must be there and is not, where that is what is wrong.
    pub missing: Option<&'static str>,
    /// Whether a list, a mapping or one value stands where another of them must.
    pub misshapen: bool,
}

impl Fault {
    pub fn new(message: impl Into<String>) -> Self {
        Fault {
            message: message.into(),
            hint: None,
            near: None,
            place: None,
            unset: Vec::new(),
            unknown: None,
            missing: None,
            misshapen: false,
        }
    }

    /// Sets the place unless a deeper one is known.
    pub fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self.near = None;
        self
    }

    /// Suggests the known word that is close to what was written; without one, the hint stays.
    pub fn guess(self, written: &str, known: &[&str]) -> Self {
        match nearest(written, known) {
            Some(near) => self.meant(near),
            None => self,
        }
    }

    pub fn meant(mut self, near: &str) -> Self {
        self.hint = Some(did_you_mean(near));
        self.near = Some(near.to_owned());
        self
    }
}

/// A key that nothing reads.
#[derive(Clone, Debug)]
pub struct UnknownKey {
    pub written: String,
    /// The allowed alternatives.
    pub known: &'static [&'static str],
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
        let fault = Fault {
            unknown: Some(UnknownKey {
                written: field.to_owned(),
                known: expected,
            }),
            ..Fault::new(format!("unknown key `{field}`"))
        };
        let hint = match expected {
            [] => "no key is known here".to_owned(),
            known => format!("known keys here: {}", listed(known)),
        };
        fault.hint(hint).guess(field, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let fault = Fault::new(format!("unknown value `{variant}`"));
        let hint = format!("one of {}", listed(expected));
        fault.hint(hint).guess(variant, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Fault {
            missing: Some(field),
            ..Fault::new(format!("missing key `{field}`"))
        }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Fault::new(format!("duplicate key `{field}`"))
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn serde::de::Expected) -> Self {
        Fault::new(format!(
            "expected {}, found {}",
            in_words(&wanted.to_string()),
            Found(found)
        ))
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn serde::de::Expected) -> Self {
        Self::invalid_type(found, wanted)
    }

    fn invalid_length(length: usize, wanted: &dyn serde::de::Expected) -> Self {
        Fault::new(format!(
            "expected {}, found {length} of them",
            in_words(&wanted.to_string())
        ))
    }
}

/// What serde calls a type, in words that a person uses.
fn in_words(wanted: &str) -> &str {
    match wanted {
        "a nonzero u8" | "a nonzero u16" | "a nonzero u32" | "a nonzero u64"
        | "a nonzero usize" => "a whole number from 1",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" | "path string" | "a character" => "text",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "unit" => "nothing",
        "any valid JSON value" => "a value",
        _ if wanted.starts_with("struct ") || wanted.starts_with("newtype ") => "a mapping",
        _ if wanted.starts_with("enum ") || wanted == "variant identifier" => "one word",
        _ if wanted.starts_with("tuple ") => "a list",
        wanted => wanted,
    }
}

/// What was found, in the same words.
struct Found<'f>(Unexpected<'f>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Bool(value) => write!(f, "`{value}`"),
            Unexpected::Unsigned(value) => write!(f, "`{value}`"),
            Unexpected::Signed(value) => write!(f, "`{value}`"),
            Unexpected::Float(value) => write!(f, "`{value}`"),
            Unexpected::Char(value) => write!(f, "`{value}`"),
            Unexpected::Str(text) => f.write_str(&display_value(text)),
            Unexpected::Unit | Unexpected::Option => f.write_str("nothing"),
            Unexpected::Seq | Unexpected::Bytes(_) => f.write_str("a list"),
            Unexpected::Map | Unexpected::NewtypeStruct => f.write_str("a mapping"),
            Unexpected::Other(what) => f.write_str(what),
            _ => f.write_str("one word"),
        }
    }
}

/// A value that was found. A long one is not shown in part: of a secret, no part would be found again.
pub(crate) fn display_value(text: &str) -> String {
    const MAX_SHOWN_CHARS: usize = 60;
    if text.chars().count() > MAX_SHOWN_CHARS || text.contains('\n') {
        "a long text".to_owned()
    } else {
        format!("`{text}`")
    }
}

/// The hint that a known word was probably meant.
pub fn did_you_mean(near: &str) -> String {
    format!("did you mean `{near}`?")
}

/// The known word closest to what was written, if it is close enough to be a slip.
pub fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let written = written.to_ascii_lowercase().replace('_', "-");
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&written, word), *word))
        .min()
        .filter(|(distance, word)| *distance <= 1 + word.len().min(written.len()) / 4)
        .map(|(_, word)| word)
}

pub fn listed(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
