//! Compresses the committed schema: within the binary it has a tenth of its size.
#![allow(clippy::disallowed_methods, reason = "cargo tells here what it builds")]

use std::env::var;
use std::path::Path;
use std::{fs, io};

use flate2::Compression;
use flate2::read::GzEncoder;

const NAME: &str = "deploy-guard.schema.json";

fn main() -> io::Result<()> {
    let folder = |name| var(name).map_err(io::Error::other);
    let schema = Path::new(&folder("CARGO_MANIFEST_DIR")?)
        .join("../../schema")
        .join(NAME);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", schema.display());
    let compressed = Path::new(&folder("OUT_DIR")?).join(format!("{NAME}.gz"));
    let mut reader = GzEncoder::new(fs::File::open(schema)?, Compression::best());
    io::copy(&mut reader, &mut fs::File::create(compressed)?)?;
    Ok(())
}
