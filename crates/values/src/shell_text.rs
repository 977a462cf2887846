//! Text that a shell runs.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use yaml::Verbatim;

/// Text that a shell runs, as it is written: a value from outside is a variable of the shell, and never a part of its
/// text. Each key whose text a shell runs has this type; from it, the schema knows these keys, and from the schema the
/// reader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShellText {
    text: String,
    variables: Vec<(String, String)>,
}

impl ShellText {
    pub const SCHEMA: &str = "ShellText";

    /// `RELEASE`, where a release was named, and what the text names as `${NAME}`: a shell of ours has them already, one
    /// on a host does not.
    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }
}

impl Deref for ShellText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl From<String> for ShellText {
    fn from(text: String) -> Self {
        ShellText {
            text,
            variables: Vec::new(),
        }
    }
}

impl fmt::Display for ShellText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ShellText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Verbatim { text, variables } = Verbatim::deserialize(deserializer)?;
        Ok(ShellText { text, variables })
    }
}

impl JsonSchema for ShellText {
    fn schema_name() -> Cow<'static, str> {
        ShellText::SCHEMA.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Text that a shell runs: `$NAME` and `${NAME}` are variables of that shell."
        })
    }
}
