//! YAML that is not ours: a Compose file, a workflow. It is read within the same bounds as the
//! configuration, and only looked at.

use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::node::{Kind, Node};

/// The document as JSON. A value keeps its text as written (`8080`, `on`); only nothing is null.
/// Merge keys (`<<`) are followed.
pub fn read(text: &str) -> Result<Value, Fault> {
    Node::parse(text).map(value)
}

fn value(node: Node) -> Value {
    if node.is_null() {
        return Value::Null;
    }
    match node.kind {
        Kind::Scalar(scalar) => Value::String(scalar.text),
        Kind::List(items) => items.into_iter().map(value).collect(),
        Kind::Map(entries) => {
            let mut map = Map::new();
            for (key, node) in entries {
                map.insert(key.name, value(node));
            }
            Value::Object(map)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_text_and_merge_keys_are_followed() {
        let text = "x: &all { a: 1, b: 2 }\ny: { <<: *all, b: 010, c: }\n";
        let json = read(text).unwrap();
        assert_eq!(
            json["y"],
            serde_json::json!({"a": "1", "b": "010", "c": null})
        );
        assert!(read("a: [").unwrap_err().message.contains("not YAML"));
    }
}
