//! Manifests and indexes: what an image consists of.

use serde_json::Value;

use crate::{digest, platform};

/// What a tag or a digest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manifest {
    /// One image, by the digest of its configuration.
    Image { config: String },
    /// One image for each platform; attestations are left out.
    Index { images: Vec<Entry> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) digest: Option<String>,
    pub(crate) platform: String,
}

impl Manifest {
    /// `None` where the document is neither.
    pub(crate) fn read(document: &Value) -> Option<Manifest> {
        if let Some(all) = document["manifests"].as_array() {
            let entry = |one: &Value| {
                Some(Entry {
                    digest: named(one),
                    platform: platform::read(&one["platform"])?,
                })
            };
            return Some(Manifest::Index {
                images: all.iter().filter_map(entry).collect(),
            });
        }
        let config = named(&document["config"])?;
        Some(Manifest::Image { config })
    }
}

fn named(descriptor: &Value) -> Option<String> {
    let digest = descriptor["digest"].as_str()?;
    digest::is_one(digest).then(|| digest.to_owned())
}
