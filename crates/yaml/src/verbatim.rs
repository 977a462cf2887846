//! A text as it is written, whatever its variables are.

use std::fmt;

use serde::de::value::MapDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::fault::Fault;
use crate::node::Scalar;

/// What a [`Verbatim`] is asked for by: no type of ours has this name.
pub(crate) const NAME: &str = "$yaml::Verbatim";

/// A text as it is written: nothing in it is replaced. The variables that it names come with it.
#[derive(Clone, Debug)]
pub struct Verbatim {
    pub text: String,
    pub variables: Vec<(String, String)>,
}

impl<'de> Deserialize<'de> for Verbatim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, AsWritten)
    }
}

/// The text under an empty name, then the variables.
pub(crate) fn visit<'de, V: Visitor<'de>>(
    scalar: &'de Scalar,
    visitor: V,
) -> Result<V::Value, Fault> {
    let text = scalar.written.as_ref().unwrap_or(&scalar.text);
    let variables = scalar.variables.iter();
    let variables = variables.map(|(name, value)| (name.as_str(), value.as_str()));
    visitor.visit_map(MapDeserializer::new(
        [("", text.as_str())].into_iter().chain(variables),
    ))
}

struct AsWritten;

impl<'de> Visitor<'de> for AsWritten {
    type Value = Verbatim;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Verbatim, A::Error> {
        let mut variables = Vec::new();
        let mut text = String::new();
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            if name.is_empty() {
                text = value;
            } else {
                variables.push((name, value));
            }
        }
        Ok(Verbatim { text, variables })
    }

    /// Of a format that fills nothing in.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, text: D) -> Result<Verbatim, D::Error> {
        String::deserialize(text).map(|text| Verbatim {
            text,
            variables: Vec::new(),
        })
    }
}
