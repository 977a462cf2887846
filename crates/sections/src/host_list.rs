//! Hosts of the configuration, by name or pattern.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// Machines under `hosts:`: `all`, a name, a pattern such as `web-*`, or a list of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostList(Vec<String>);

impl HostList {
    pub fn selectors(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for HostList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> de::Visitor<'de> for Either {
            type Value = HostList;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`all`, a host's name, a pattern or a list of these")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<HostList, E> {
                Ok(HostList(vec![text.to_owned()]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<HostList, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(HostList(all))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for HostList {
    fn schema_name() -> Cow<'static, str> {
        "HostList".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "array"],
            "items": {"type": "string"},
            "description": "Machines under `hosts:`: `all`, a name, a pattern such as `web-*`, or a list of these.",
            "examples": ["all", ["web-*", "db-01"]]
        })
    }
}
