//! Compresses the committed schema: within the binary it has a tenth of its size. Finds in it the keys whose text a shell
//! runs: the schema is made from the types, and nothing fills variables into a text of this type.
#![allow(clippy::disallowed_methods, reason = "cargo tells here what it builds")]

use std::collections::BTreeSet;
use std::env::var;
use std::path::Path;
use std::{fs, io};

use flate2::Compression;
use flate2::read::GzEncoder;
use serde_json::Value;

const NAME: &str = "deploy-guard.schema.json";
/// Deeper than any key is; types may hold themselves.
const MAX_DEPTH: usize = 12;

fn main() -> io::Result<()> {
    let folder = |name| var(name).map_err(io::Error::other);
    let schema = Path::new(&folder("CARGO_MANIFEST_DIR")?)
        .join("../../schema")
        .join(NAME);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", schema.display());
    let compressed = Path::new(&folder("OUT_DIR")?).join(format!("{NAME}.gz"));
    let mut reader = GzEncoder::new(fs::File::open(&schema)?, Compression::best());
    io::copy(&mut reader, &mut fs::File::create(compressed)?)?;
    let schema: Value = serde_json::from_reader(fs::File::open(schema)?)?;
    let mut paths = BTreeSet::new();
    shell_texts(&schema, &schema, &mut Vec::new(), &mut paths);
    let list = Path::new(&folder("OUT_DIR")?).join("shell_texts.rs");
    let rows = paths.iter().map(|path| format!("    &{path:?},\n"));
    fs::write(list, format!("&[\n{}]\n", rows.collect::<String>()))
}

/// The paths below `part` whose value is a `ShellText`. An environment has those of the file.
fn shell_texts(
    part: &Value,
    root: &Value,
    path: &mut Vec<String>,
    found: &mut BTreeSet<Vec<String>>,
) {
    if let Some(name) = part["$ref"].as_str() {
        match name.strip_prefix("#/$defs/") {
            Some("ShellText") => {
                found.insert(path.clone());
            }
            Some(name) if path.len() < MAX_DEPTH => {
                shell_texts(&root["$defs"][name], root, path, found);
            }
            _ => {}
        }
    }
    for all in ["anyOf", "oneOf", "allOf"] {
        for one in part[all].as_array().into_iter().flatten() {
            shell_texts(one, root, path, found);
        }
    }
    if !part["items"].is_null() {
        shell_texts(&part["items"], root, path, found);
    }
    let any = [("*".to_owned(), &part["additionalProperties"])];
    let any = any.into_iter().filter(|(_, below)| below.is_object());
    let properties = part["properties"].as_object().into_iter().flatten();
    let properties = properties.map(|(key, below)| (key.clone(), below));
    for (key, below) in properties.chain(any) {
        if !path.is_empty() || key != "environments" {
            path.push(key);
            shell_texts(below, root, path, found);
            path.pop();
        }
    }
}
