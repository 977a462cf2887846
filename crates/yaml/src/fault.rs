//! What is wrong in a text, and where in it.

use std::fmt;

use crate::place::Place;

/// What is wrong in a text, where, and what was probably meant.
#[derive(Clone, Debug)]
pub struct Fault {
    pub message: String,
    pub hint: Option<String>,
    pub place: Option<Place>,
    /// The variables that are not set, where that is what is wrong.
    pub unset: Vec<String>,
    /// The key that is not known, where that is what is wrong.
    pub unknown: Option<UnknownKey>,
}

impl Fault {
    pub fn new(message: impl Into<String>) -> Self {
        Fault {
            message: message.into(),
            hint: None,
            place: None,
            unset: Vec::new(),
            unknown: None,
        }
    }

    /// Sets the place unless a deeper one is known.
    pub fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
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
        Fault::new(format!("duplicate key `{field}`"))
    }

    fn invalid_type(
        unexpected: serde::de::Unexpected<'_>,
        expected: &dyn serde::de::Expected,
    ) -> Self {
        Fault::new(format!("expected {expected}, found {unexpected}"))
    }
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
