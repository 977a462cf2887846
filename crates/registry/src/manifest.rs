//! Manifests and indexes: what an image consists of.

use serde_json::Value;

use crate::{digest, platform};

/// What BuildKit writes beside the images of an index.
const ATTESTATION: &str = "vnd.docker.reference.type";
const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// What a tag or a digest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manifest {
    /// One image, by the digest of its configuration.
    Image { config: String },
    /// Images, each for a platform, and other indexes.
    Index { entries: Vec<Entry> },
    /// Docker's first format.
    Schema1,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `None` if it is not a digest that we know.
    pub(crate) digest: Option<String>,
    /// Where the index tells one.
    pub(crate) platform: Option<String>,
    /// Another index.
    pub(crate) nested: bool,
    /// No image at all: what was signed about one.
    pub(crate) attestation: bool,
}

impl Manifest {
    /// `None` if the document is of another kind.
    pub(crate) fn read(document: &Value) -> Option<Manifest> {
        if let Some(all) = document["manifests"].as_array() {
            return Some(Manifest::Index {
                entries: all.iter().map(entry).collect(),
            });
        }
        if document["schemaVersion"].as_u64() == Some(1) {
            return Some(Manifest::Schema1);
        }
        let config = named(&document["config"])?;
        Some(Manifest::Image { config })
    }
}

/// Whether a media type is an index's.
pub(crate) fn is_index(kind: &str) -> bool {
    INDEXES.contains(&kind)
}

fn entry(of: &Value) -> Entry {
    let platform = platform::read(&of["platform"]);
    // `unknown/unknown`: a platform is given, but it is not a real one.
    let none = of["platform"].is_object() && platform.is_none() && of["platform"]["os"].is_string();
    let nested = of["mediaType"].as_str().is_some_and(is_index);
    Entry {
        digest: named(of),
        nested,
        attestation: of["annotations"][ATTESTATION].is_string() || none && !nested,
        platform,
    }
}

fn named(descriptor: &Value) -> Option<String> {
    let digest = descriptor["digest"].as_str()?;
    digest::is_one(digest).then(|| digest.to_owned())
}
