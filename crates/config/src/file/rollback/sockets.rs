//! The runtime sockets of HAProxy.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use yaml::Fault;

use super::absolute;
use sections::KeyPosition;

/// The runtime sockets of a machine: a path, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sockets {
    paths: Vec<PathBuf>,
    /// Written as a list.
    many: bool,
}

impl Sockets {
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(PathBuf::as_path)
    }

    pub(super) fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        if self.paths.is_empty() {
            return Err(spot.fault("no socket is named"));
        }
        for (nth, path) in self.paths.iter().enumerate() {
            let at = if self.many { spot.item(nth) } else { spot };
            absolute(at, path)?;
            // Others mean something to `socat`.
            at.plain(&path.display().to_string(), "_-./@+")?;
            if self.paths[..nth].contains(path) {
                return Err(at.fault(format!("{} is named twice", path.display())));
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Sockets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<String> = self
            .paths()
            .map(|path| path.display().to_string())
            .collect();
        f.write_str(&all.join(", "))
    }
}

impl<'de> Deserialize<'de> for Sockets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> de::Visitor<'de> for Either {
            type Value = Sockets;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the path of a socket, or a list of paths")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<Sockets, E> {
                Ok(Sockets {
                    paths: vec![path.into()],
                    many: false,
                })
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Sockets, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = list.next_element::<String>()? {
                    paths.push(path.into());
                }
                Ok(Sockets { paths, many: true })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Sockets {
    fn schema_name() -> Cow<'static, str> {
        "Sockets".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "array"],
            "items": {"type": "string"},
            "description": "The path of a runtime socket, or a list of paths.",
            "examples": ["/run/haproxy/admin.sock", ["/run/haproxy/1.sock", "/run/haproxy/2.sock"]]
        })
    }
}
